/*
 * vsock_data_send.c - the sending half of vsock_data.h
 */
#include "vsock_data.h"

#include "passage.h"

#include <errno.h>

/* sock_def_readable(); see stream.c */
#define DATA_KEY (POLLIN | POLLPRI | POLLRDNORM | POLLRDBAND)

/* Flags that have an effect on the very first check. */
#define RARE_FLAGS (MSG_OOB | MSG_ZEROCOPY)

static bool is_record(const struct transfer *transfer)
{
    return transfer->description->kind == DESCRIPTION_VSOCK_SEQPACKET;
}

/*
 * Bytes sent so far. Those of a record don't show in the call's result before all are, so they are
 * counted apart: a call that fails half-way has sent pieces and says nothing of it.
 */
static uint64_t *moved(struct transfer *transfer)
{
    return is_record(transfer) ? &transfer->target : &transfer->done;
}

/*
 * How a send ends with an error. EPIPE of a stream gives way to a pending error, which is gone
 * then, and raises SIGPIPE (net/core/stream.c:sk_stream_error); others leave the pending one alone.
 */
static int64_t fail(struct emu_task *self, struct transfer *transfer, int error)
{
    if (transfer->done > 0) {
        return (int64_t)transfer->done;
    }
    if (error == EPIPE && !is_record(transfer)) {
        int pending = description_take_error(transfer->description);

        if (pending != 0) {
            return -pending;
        }
        self->sigpipe = true;
        self->broken = description_index(transfer->description) + 1;
    }
    return -error;
}

static int64_t send_unconnected(struct emu_task *self, struct transfer *transfer,
                                const struct buf_state *state)
{
    vsock_mind_clock(self);
    if (transfer->flags & MSG_OOB) {
        return -EOPNOTSUPP;
    }
    return fail(self, transfer, state->flags & BUF_SHUT_WRITER ? EPIPE : ENOTCONN);
}

/* What is looked at once, before anything else; 0 or a positive errno. */
static int first_error(const struct transfer *transfer, const struct buf_state *state)
{
    if (transfer->flags & MSG_OOB) {
        return EOPNOTSUPP;
    }
    if (state->flags & BUF_SHUT) {
        return EPIPE;
    }
    return transfer->flags & MSG_ZEROCOPY ? EOPNOTSUPP : 0;
}

/*
 * Payload that a packet's memory has room for when `len` bytes of it stand there: 64 bytes of
 * alignment and a slab's or a page's rounding. net/core/skbuff.c:kmalloc_reserve, __alloc_skb.
 */
static uint32_t packet_room(uint32_t len)
{
    const uint32_t header = 44;  /* struct virtio_vsock_hdr */
    const uint32_t shared = 320; /* struct skb_shared_info, aligned */
    const uint32_t small = 640;  /* SKB_SMALL_HEAD_SIZE */
    uint32_t size = ((header + len + 63) & ~63u) + shared;

    if (size <= small) {
        return small - shared - header;
    }
    if (size > 32768) {
        return 0; /* lies in pages of its own: virtio_vsock_alloc_skb */
    }
    size = 1u << (32 - __builtin_clz(size - 1));
    return size - shared - header;
}

/* Whether so few bytes are put into the packet before: virtio_transport_recv_enqueue. */
static bool joins(const struct buf_state *state, uint32_t len)
{
    const uint32_t good_copy_len = 128; /* GOOD_COPY_LEN */

    return len <= good_copy_len && state->seg_count > 0 && !(state->last_info & SEG_PACKET) &&
           state->last_len + len < packet_room(state->last_len);
}

static void append(struct buf_state *state, uint32_t len, uint32_t info)
{
    state->charged += len;
    if (joins(state, len)) {
        state->last_len += len;
        state->last_info |= info;
        state->used += len;
    } else {
        buf_append(state, len, info);
    }
    state->records += info & SEG_PACKET ? 1 : 0;
}

/*
 * Adds packets while there is credit. Returns how many; *ret_error is ENOMEM when one couldn't be
 * made, which also is what Linux says of a bad buffer (virtio_transport_alloc_skb).
 */
static uint32_t add_packets(struct transfer *transfer, struct socket_buf *buf,
                            struct buf_state *state, int *ret_error)
{
    uint64_t *done = moved(transfer);
    uint64_t left = transfer->size - *done;
    uint32_t size = (uint32_t)base_min_u64(left, state->limit - state->charged);
    uint32_t last_info = 0;
    uint32_t packets = 0;

    if (is_record(transfer) && size == left) {
        last_info = SEG_PACKET | (transfer->flags & MSG_EOR ? SEG_EOR : 0);
    }
    if (EMU_UNLIKELY(buf_reserve_locked(buf, state, size, size / VSOCK_PACKET_MAX + 1) < 0)) {
        *ret_error = ENOMEM;
        return 0;
    }
    while (size > 0) {
        uint32_t part = base_min_u32(size, VSOCK_PACKET_MAX);

        if (EMU_UNLIKELY(ring_put(buf_ring(state), buf_ring_mask(state), state->head + state->used,
                                  &transfer->cursor, part) < 0)) {
            *ret_error = ENOMEM;
            break;
        }
        size -= part;
        append(state, part, size == 0 ? last_info : 0);
        *done += part;
        packets++;
    }
    return packets;
}

/* SO_RCVLOWAT of whoever gets it. */
static uint32_t peer_low(const struct description *description)
{
    const struct description *peer = description_peer(description);

    return peer ? atomic_load_explicit(&peer->receive_low, memory_order_relaxed) : 1;
}

/*
 * Publishes the packets, tells the receivers, unlocks. A blocked receiver is woken by any packet;
 * that there is something to read is only said when it is enough (vsock_data_ready).
 */
static void commit(struct emu_task *self, const struct description *description,
                   struct socket_buf *buf, const struct buf_state *state, uint32_t packets)
{
    struct wake_list list;

    wake_list_init(&list);
    buf_publish_locked(buf, state);
    if (EMU_UNLIKELY(atomic_load_explicit(&buf->readers.first, memory_order_relaxed) != 0)) {
        uint32_t key = DATA_KEY;

        if (state->used >= peer_low(description)) {
            key |= WAITER_ASYNC | base_min_u32(packets - 1, WAITER_MORE_MAX) << WAITER_MORE_SHIFT;
        }
        queue_notify_locked(&buf->readers, key, &list);
    }
    lock_release(self, &buf->lock);
    if (EMU_UNLIKELY(list.count > 0)) {
        wake_list_flush(self, &list);
    }
}

/*
 * Each packet reports what we have read, and the peer's senders are woken by it when they have
 * credit. Mostly there is neither: one look without the lock.
 */
static inline void report_beside(struct emu_task *self, const struct description *description)
{
    const struct socket_buf *buf = buf_at(description->rx);
    uint32_t version = atomic_load_explicit(&buf->version, memory_order_acquire);
    const struct buf_state *state = &buf->state[buf_copy_of(version)].at;

    if (EMU_UNLIKELY(atomic_load_explicit(&buf->writers.first, memory_order_relaxed) != 0 ||
                     (description->kind == DESCRIPTION_VSOCK_STREAM &&
                      __atomic_load_n(&state->unreported, __ATOMIC_RELAXED) != 0))) {
        vsock_report(self, description, UINT32_MAX);
    }
}

static int64_t no_credit(struct emu_task *self, struct transfer *transfer, struct wait_set *set,
                         bool last, wait_try again)
{
    enum channel_news news = last ? channel_ask(self, transfer->fd, transfer->description)
                                  : CHANNEL_SAME;

    if (news == CHANNEL_CHANGED) {
        return again(self, transfer, set, last);
    }
    if (transfer->nonblock) {
        return fail(self, transfer, EAGAIN);
    }
    return channel_block(transfer, set, false, news);
}

/* The loop's checks after the credit's: 0 or a positive errno. */
static int error_now(struct transfer *transfer, const struct buf_state *state)
{
    int error = atomic_load_explicit(&transfer->description->error,
                                     memory_order_relaxed); /* it stays */

    if (EMU_LIKELY(error == 0 && !(state->flags & BUF_SHUT))) {
        return 0;
    }
    return error != 0 ? error : EPIPE;
}

static int64_t send_try(struct emu_task *self, struct transfer *transfer, struct wait_set *set,
                        bool last, wait_try again)
{
    struct description *description = transfer->description;
    struct buf_state state;
    struct socket_buf *buf;
    uint64_t before;
    uint32_t packets;
    int error = 0;

    buf = channel_lock(self, transfer, description->tx, &state);
    if (EMU_UNLIKELY(!buf)) {
        return EMU_NATIVE;
    }
    if (EMU_UNLIKELY(state.flags & BUF_FRESH)) {
        lock_release(self, &buf->lock);
        return send_unconnected(self, transfer, &state);
    }
    buf_note_cpu(&buf->writer_cpu, host_cpu());
    if (!transfer->started) {
        transfer->started = true;
        transfer->target = 0;
        if (EMU_UNLIKELY(transfer->flags & RARE_FLAGS || state.flags & BUF_SHUT)) {
            error = first_error(transfer, &state);
        }
    }
    if (EMU_UNLIKELY(error != 0 || transfer->size == 0)) {
        lock_release(self, &buf->lock);
        return error != 0 ? fail(self, transfer, error) : 0;
    }
    error = error_now(transfer, &state);
    if (EMU_UNLIKELY(error == 0 && state.charged >= state.limit)) {
        lock_release(self, &buf->lock);
        return no_credit(self, transfer, set, last, again);
    }
    if (is_record(transfer) && error == 0 && transfer->size - transfer->target > state.limit) {
        error = EMSGSIZE;
    }
    if (EMU_UNLIKELY(error != 0)) {
        lock_release(self, &buf->lock);
        return fail(self, transfer, error);
    }
    before = *moved(transfer);
    packets = add_packets(transfer, buf, &state, &error);
    if (EMU_LIKELY(packets > 0)) {
        if (EMU_UNLIKELY(transfer->passes)) {
            passage_arrives(buf, &state, (uint32_t)(*moved(transfer) - before));
        }
        commit(self, description, buf, &state, packets);
        report_beside(self, description);
    } else {
        lock_release(self, &buf->lock);
    }
    if (EMU_LIKELY(*moved(transfer) == transfer->size)) {
        return (int64_t)transfer->size;
    }
    return error != 0 ? fail(self, transfer, error) : no_credit(self, transfer, set, last, again);
}

int64_t vsock_stream_send_try(struct emu_task *self, void *transfer, struct wait_set *set,
                              bool last)
{
    return send_try(self, transfer, set, last, vsock_stream_send_try);
}

int64_t vsock_seqpacket_send_try(struct emu_task *self, void *transfer, struct wait_set *set,
                                 bool last)
{
    return send_try(self, transfer, set, last, vsock_seqpacket_send_try);
}
