/*
 * stream.c - see stream.h: sending, charges, shutdown, what both socket types share
 */
#include "stream.h"

#include "charge.h"

#include <errno.h>

#define STREAM_CHUNK_MAX 36544u /* SKB_MAX_HEAD(0) + UNIX_SKB_FRAGS_SZ */
static int64_t sent_or(const struct transfer *transfer, int error)
{
    return transfer->done > 0 ? (int64_t)transfer->done : -error;
}

/* No room for another segment: asks, fails, or says what to wait for. */
static int64_t send_no_room(struct emu_task *self, struct transfer *transfer, struct wait_set *set,
                            bool last, wait_try again)
{
    struct description *description = transfer->description;
    struct socket_buf *buf = buf_at(description->tx);
    bool shared = atomic_load_explicit(&description->shared, memory_order_relaxed);

    if (last && channel_ask(self, transfer->fd, description) == CHANNEL_CHANGED) {
        return again(self, transfer, set, last);
    }
    if (transfer->nonblock) {
        return sent_or(transfer, EAGAIN);
    }
    transfer->waited |= last; /* from the sleep on, only unix_write_space lets it go on */
    wait_set_add(set, &buf->lock, &buf->writers, &buf->version,
                 atomic_load_explicit(&buf->reader_cpu, memory_order_relaxed),
                 POLLOUT | POLLWRNORM);
    set->shared = shared;
    return WAIT_BLOCK;
}

/*
 * Whether a sender may add a segment: while less than its buffer is charged; but one that slept is
 * woken only when a quarter at most is (sock_alloc_send_pskb, unix_writable).
 */
static bool has_room(const struct transfer *transfer, const struct buf_state *state)
{
    if (EMU_UNLIKELY(transfer->waited)) {
        return 4ull * (state->charged + 1ull) <= state->limit;
    }
    return state->charged < state->limit;
}

/* Publishes what was added, wakes receivers, unlocks. */
static void send_commit(struct emu_task *self, struct socket_buf *buf,
                        const struct buf_state *state, bool changed)
{
    struct wake_list list = { 0 };

    if (changed) {
        buf_publish_locked(buf, state);
        if (EMU_UNLIKELY(atomic_load_explicit(&buf->readers.first, memory_order_relaxed) != 0)) {
            wait_notify_locked(&buf->readers, POLLIN | POLLRDNORM, &list);
        }
    }
    lock_release(self, &buf->lock);
    if (EMU_UNLIKELY(list.count > 0)) {
        wake_list_flush(&list);
    }
}

/*
 * Adds segments while the accounting allows. Returns 0 (all sent, or no more room), or a positive
 * errno: EFAULT, ENOBUFS.
 */
static int add_segments(struct transfer *transfer, struct socket_buf *buf, struct buf_state *state)
{
    if (!has_room(transfer, state)) {
        return 0;
    }
    transfer->waited = false;
    while (transfer->done < transfer->size && state->charged < state->limit) {
        uint32_t part = (uint32_t)base_min_u64(transfer->size - transfer->done, STREAM_CHUNK_MAX);

        part = base_min_u32(part, state->limit / 2 - 64);
        if (EMU_UNLIKELY(buf_reserve_locked(buf, state, part, 1) < 0)) {
            return ENOBUFS;
        }
        if (EMU_UNLIKELY(ring_put(buf_ring(state), buf_ring_mask(state), state->head + state->used,
                                  &transfer->cursor, part) < 0)) {
            return EFAULT;
        }
        buf_append(state, part, charge_stream(part));
        transfer->done += part;
    }
    return 0;
}

int64_t stream_send_try(struct emu_task *self, void *op, struct wait_set *set, bool last)
{
    struct transfer *transfer = op;
    struct description *description = transfer->description;
    uint64_t before = transfer->done;
    struct buf_state state;
    struct socket_buf *buf = channel_lock(self, transfer, description->tx, &state);
    bool first = !transfer->started;
    int error;

    if (EMU_UNLIKELY(!buf)) {
        return EMU_NATIVE;
    }
    transfer->started = true;
    buf_note_cpu(&buf->writer_cpu, host_cpu());
    if (first && EMU_UNLIKELY(state.flags & BUF_SHUT)) {
        lock_release(self, &buf->lock);
        self->sigpipe = true;
        return -EPIPE;
    }
    if (EMU_UNLIKELY(transfer->size == 0)) {
        lock_release(self, &buf->lock);
        return 0;
    }
    /* sock_alloc_send_pskb: from here on neither error raises SIGPIPE. */
    error = description_take_error(description);
    if (error == 0 && state.flags & BUF_SHUT) {
        error = EPIPE;
    }
    if (EMU_UNLIKELY(error != 0)) {
        lock_release(self, &buf->lock);
        return sent_or(transfer, error);
    }
    error = add_segments(transfer, buf, &state);
    send_commit(self, buf, &state, transfer->done > before);
    if (EMU_UNLIKELY(error != 0)) {
        return sent_or(transfer, error);
    }
    if (transfer->done < transfer->size) {
        return send_no_room(self, transfer, set, last, stream_send_try);
    }
    return (int64_t)transfer->done;
}

int64_t seqpacket_send_try(struct emu_task *self, void *op, struct wait_set *set, bool last)
{
    struct transfer *transfer = op;
    uint32_t size = (uint32_t)transfer->size;
    struct buf_state state;
    struct socket_buf *buf;
    int error = description_take_error(transfer->description);

    if (EMU_UNLIKELY(error != 0)) {
        return -error;
    }
    buf = channel_lock(self, transfer, transfer->description->tx, &state);
    if (EMU_UNLIKELY(!buf)) {
        return EMU_NATIVE;
    }
    buf_note_cpu(&buf->writer_cpu, host_cpu());
    if (size > state.limit - 32) {
        error = EMSGSIZE;
    } else if (state.flags & BUF_SHUT) {
        error = EPIPE; /* a record never raises SIGPIPE */
    } else if (!has_room(transfer, &state)) {
        lock_release(self, &buf->lock);
        return send_no_room(self, transfer, set, last, seqpacket_send_try);
    } else if (buf_reserve_locked(buf, &state, size, 1) < 0) {
        error = ENOBUFS;
    } else if (ring_put(buf_ring(&state), buf_ring_mask(&state), state.head + state.used,
                        &transfer->cursor, size) < 0) {
        error = EFAULT;
    } else {
        buf_append(&state, size, charge_record(size) | SEG_PACKET);
    }
    send_commit(self, buf, &state, error == 0);
    return error == 0 ? (int64_t)size : -error;
}

static void shut_direction(struct emu_task *self, uint32_t index)
{
    struct socket_buf *buf = buf_at(index);
    struct wake_list list = { 0 };
    struct buf_state state;

    lock_acquire(self, &buf->lock);
    state = buf_state_locked(buf);
    state.flags |= BUF_SHUT;
    buf_publish_locked(buf, &state);
    wait_notify_locked(&buf->readers, POLLHUP, &list);
    wait_notify_locked(&buf->writers, POLLHUP, &list);
    lock_release(self, &buf->lock);
    wake_list_flush(&list);
}

void stream_shutdown(struct emu_task *self, struct description *description, int how)
{
    if (how == SHUT_WR || how == SHUT_RDWR) {
        shut_direction(self, description->tx);
    }
    if (how == SHUT_RD || how == SHUT_RDWR) {
        shut_direction(self, description->rx);
    }
    description_wake(self, description, POLLHUP); /* a state change concerns both directions */
}

void stream_set_send_buffer(struct emu_task *self, struct description *description, uint32_t size)
{
    struct socket_buf *buf = buf_at(description->tx);
    struct wake_list list = { 0 };
    struct buf_state state;

    lock_acquire(self, &buf->lock);
    state = buf_state_locked(buf);
    state.limit = size;
    buf_publish_locked(buf, &state);
    wait_notify_locked(&buf->writers, POLLOUT | POLLWRNORM, &list);
    lock_release(self, &buf->lock);
    wake_list_flush(&list);
}

uint32_t stream_unread(const struct description *description)
{
    return buf_peek(buf_at(description->rx)).used;
}

uint32_t stream_charged(const struct description *description)
{
    return buf_peek(buf_at(description->tx)).charged;
}
