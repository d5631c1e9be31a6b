/*
 * trace_object.c - see trace_object.h
 */
#include "trace_object.h"

#include "arena.h"

static_assert((int)TRACE_OBJECT_PIPE_READER == DESCRIPTION_PIPE_READER &&
                  (int)TRACE_OBJECT_PIPE_WRITER == DESCRIPTION_PIPE_WRITER &&
                  (int)TRACE_OBJECT_STREAM == DESCRIPTION_STREAM &&
                  (int)TRACE_OBJECT_SEQPACKET == DESCRIPTION_SEQPACKET &&
                  (int)TRACE_OBJECT_VSOCK_STREAM == DESCRIPTION_VSOCK_STREAM &&
                  (int)TRACE_OBJECT_VSOCK_SEQPACKET == DESCRIPTION_VSOCK_SEQPACKET &&
                  (int)TRACE_OBJECT_EPOLL == DESCRIPTION_EPOLL &&
                  (int)TRACE_OBJECT_DEVICE == DESCRIPTION_DEVICE,
              "the format's are the emulator's");
static_assert((int)TRACE_OURS == DESCRIPTION_OURS &&
                  (int)TRACE_HANDED_OVER == DESCRIPTION_HANDED_OVER &&
                  (int)TRACE_SET == DESCRIPTION_SET && (int)TRACE_LISTENER == DESCRIPTION_LISTENER,
              "the format's are the emulator's");

void trace_fd(struct trace_writer *writer, int fd, unsigned argument)
{
    const struct description *description = fdtab_get_any(fd);
    struct trace_fd *entry = trace_put(writer, sizeof *entry);

    if (EMU_UNLIKELY(!entry)) {
        return;
    }
    *writer->fds += 1;
    *entry = (struct trace_fd){ .fd = fd, .description = UINT32_MAX, .argument = argument };
    if (description) {
        entry->description = description_index(description);
        entry->generation = atomic_load_explicit(&description->generation, memory_order_relaxed);
        entry->kind = (uint8_t)description->kind;
        entry->native = (uint8_t)atomic_load_explicit(&description->native, memory_order_relaxed);
    }
}

static void fill_vsock(const struct vsock_end *end, struct trace_object *object)
{
    object->local_cid = atomic_load_explicit(&end->local_cid, memory_order_relaxed);
    object->local_port = atomic_load_explicit(&end->local_port, memory_order_relaxed);
    object->remote_cid = atomic_load_explicit(&end->remote_cid, memory_order_relaxed);
    object->remote_port = atomic_load_explicit(&end->remote_port, memory_order_relaxed);
}

static void fill(const struct description *description, uint32_t generation,
                 struct trace_object *ret_object)
{
    *ret_object = (struct trace_object){
        .description = description_index(description),
        .generation = generation,
        .kind = description->kind,
        .native = atomic_load_explicit(&description->native, memory_order_relaxed),
        .rx = description->rx,
        .rx_generation = description->rx_generation,
        .tx = description->tx,
        .tx_generation = description->tx_generation,
        .peer = atomic_load_explicit(&description->peer, memory_order_relaxed),
        .peer_generation = atomic_load_explicit(&description->peer_generation,
                                                memory_order_relaxed),
        .connected = description_is_connected(description),
        .local_cid = UINT32_MAX,
        .local_port = UINT32_MAX,
        .remote_cid = UINT32_MAX,
        .remote_port = UINT32_MAX,
    };
    if (description_is_vsock(description)) {
        fill_vsock(&description->vsock, ret_object);
    }
}

static void note(struct emu_task *self, struct description *description, bool again)
{
    uint32_t generation = atomic_load_explicit(&description->generation, memory_order_relaxed);
    struct trace_writer writer;
    struct emu_trace_open open;
    struct trace_object *object;

    if (EMU_LIKELY(atomic_load_explicit(&description->traced, memory_order_relaxed) ==
                       generation + 1 &&
                   !again)) {
        return;
    }
    if (!trace_begin(self, TRACE_OBJECT, &writer)) {
        return;
    }
    object = trace_put(&writer, sizeof *object);
    fill(description, generation, object);
    trace_publish(self, &writer, &open);
    atomic_store_explicit(&description->traced, generation + 1, memory_order_relaxed);
}

void trace_object(struct emu_task *self, int fd, bool again)
{
    struct description *description = fdtab_get_any(fd);

    if (description) {
        note(self, description, again);
    }
}
