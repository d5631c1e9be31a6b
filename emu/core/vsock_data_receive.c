/*
 * vsock_data_receive.c - the receiving half of vsock_data.h
 */
#include "vsock_data.h"

#include <errno.h>

/* Publishes, wakes senders when something was reported, unlocks. */
static void commit(struct emu_task *self, struct socket_buf *buf, const struct buf_state *state,
                   bool reported)
{
    struct wake_list list;

    wake_list_init(&list);
    buf_publish_locked(buf, state);
    if (reported &&
        EMU_UNLIKELY(atomic_load_explicit(&buf->writers.first, memory_order_relaxed) != 0)) {
        queue_notify_locked(&buf->writers, VSOCK_SPACE_KEY, &list);
    }
    lock_release(self, &buf->lock);
    if (EMU_UNLIKELY(list.count > 0)) {
        wake_list_flush(self, &list);
    }
}

/*
 * What is looked at once, in __vsock_connectible_recvmsg()'s order. True: *ret_result is the call's
 * result, 0 or -errno.
 */
static bool ends_at_once(const struct transfer *transfer, const struct buf_state *state,
                         int64_t *ret_result)
{
    *ret_result = 0;
    if (transfer->flags & MSG_ERRQUEUE) {
        *ret_result = -EAGAIN; /* sock_recv_errqueue(): nothing is ever there */
    } else if (state->flags & BUF_FRESH) {
        *ret_result = -ENOTCONN;
    } else if (state->flags & BUF_CLOSING) {
        *ret_result = state->flags & BUF_DONE ? 0 : -ENOTCONN;
    } else if (transfer->flags & MSG_OOB) {
        *ret_result = -EOPNOTSUPP;
    } else if (!(state->flags & BUF_SHUT_READER) && transfer->size > 0) {
        return false;
    }
    return true;
}

/*
 * Locks what is read for one try. NULL: *ret_result is the call's result. `ended` below stands for
 * BUF_SHUT_READER or BUF_SHUT_WRITER, which BUF_SHUT is.
 */
static struct socket_buf *begin(struct emu_task *self, struct transfer *transfer,
                                struct buf_state *ret_state, int64_t *ret_result)
{
    struct socket_buf *buf = channel_lock(self, transfer, transfer->description->rx, ret_state);

    if (EMU_UNLIKELY(!buf)) {
        *ret_result = EMU_NATIVE;
        return NULL;
    }
    buf_note_cpu(&buf->reader_cpu, host_cpu());
    if (!transfer->started) {
        transfer->started = true;
        if (EMU_UNLIKELY(ret_state->flags & (BUF_SHUT | BUF_FRESH) || transfer->size == 0 ||
                         transfer->flags & (MSG_ERRQUEUE | MSG_OOB)) &&
            ends_at_once(transfer, ret_state, ret_result)) {
            lock_release(self, &buf->lock);
            return NULL;
        }
    }
    return buf;
}

/* Nothing to read: an error (it stays), the end, EAGAIN, or what to wait for. */
static int64_t receive_nothing(struct emu_task *self, struct transfer *transfer,
                               const struct buf_state *state, struct wait_set *set, bool last,
                               wait_try again)
{
    struct description *description = transfer->description;
    enum channel_news news = CHANNEL_SAME;
    bool ended = state->flags & BUF_SHUT;
    int error = atomic_load_explicit(&description->error, memory_order_relaxed);

    if (EMU_UNLIKELY(error != 0)) {
        if (description->kind == DESCRIPTION_VSOCK_SEQPACKET) {
            return 0; /* __vsock_seqpacket_recvmsg() drops what vsock_connectible_wait_data() saw */
        }
        return transfer->done > 0 ? (int64_t)transfer->done : -error;
    }
    if (last || (state->flags & BUF_WRITER_GONE &&
                 atomic_load_explicit(&description->shared, memory_order_relaxed))) {
        news = channel_ask(self, transfer->fd, description);
        /* Also when the end was closed since we looked: then it is the truth that the kernel says.
         */
        if (news == CHANNEL_CHANGED || (news == CHANNEL_STUCK && !ended &&
                                        buf_bits(buf_at(description->rx)) & BUF_WRITER_GONE)) {
            return again(self, transfer, set, last);
        }
        ended = ended && (news != CHANNEL_ORPHAN || state->flags & BUF_SHUT_READER);
    }
    if (ended) {
        return (int64_t)transfer->done;
    }
    if (transfer->nonblock) {
        return transfer->done > 0 ? (int64_t)transfer->done : -EAGAIN;
    }
    return channel_block(transfer, set, true, news);
}

/* ---- Streams ---- */

/*
 * virtio_transport_stream_do_dequeue(): reports when what is unread wouldn't wake a reader, or when
 * less than a packet fits into what the peer doesn't know to be free.
 */
bool vsock_report_when_due(const struct description *description, struct buf_state *state)
{
    uint32_t size;

    if (state->unreported == 0) {
        return false;
    }
    if (state->used >= atomic_load_explicit(&description->receive_low, memory_order_relaxed)) {
        if (EMU_LIKELY(state->limit >= state->unreported + VSOCK_PACKET_MAX)) {
            return false; /* our own buffer is no smaller than the limit */
        }
        size = (uint32_t)base_min_u64(atomic_load(&description->vsock.buffer_size), UINT32_MAX);
        if (size - state->unreported >= VSOCK_PACKET_MAX) {
            return false;
        }
    }
    vsock_report_locked(state);
    return true;
}

/*
 * Joins packets until the buffer is full; a packet counts as read when its last byte is.
 * Returns 0, or -EFAULT: the packet that met it is unread still.
 */
static int take_packets(struct transfer *transfer, struct buf_state *state)
{
    while (state->seg_count > 0 && transfer->done < transfer->size) {
        struct seg seg = buf_first_seg(state);
        uint32_t rest = seg.len - state->first_taken;
        uint32_t take = (uint32_t)base_min_u64(rest, transfer->size - transfer->done);

        if (EMU_UNLIKELY(ring_get(buf_ring(state), buf_ring_mask(state), state->head,
                                  &transfer->cursor, take) < 0)) {
            return -EFAULT;
        }
        transfer->done += take;
        if (take == rest) {
            buf_drop_first(state);
            state->unreported += seg.len;
        } else {
            state->first_taken += take;
            state->head += take;
            state->used -= take;
        }
    }
    return 0;
}

/* MSG_PEEK: packet by packet, so that a fault costs the packet in which it happened alone. */
static int64_t peek_stream(struct transfer *transfer, const struct buf_state *state)
{
    uint32_t position = state->head;
    uint64_t done = 0;

    for (uint32_t i = 0; i < state->seg_count && done < transfer->size; i++) {
        uint32_t at = (state->seg_head + i) & buf_seg_mask(state);
        uint32_t len = i + 1 == state->seg_count ? state->last_len : buf_segs(state)[at].len;
        uint32_t here = len - (i == 0 ? state->first_taken : 0);
        uint64_t take = base_min_u64(transfer->size - done, here);

        if (ring_get(buf_ring(state), buf_ring_mask(state), position, &transfer->cursor, take) <
            0) {
            return done > 0 ? (int64_t)done : -EFAULT;
        }
        done += take;
        position += here;
    }
    return (int64_t)done;
}

/* "makes it impossible to handle cases where target is greater than the queue size" */
static bool wants_too_much(const struct transfer *transfer, const struct buf_state *state)
{
    return EMU_UNLIKELY(transfer->target >= state->limit) && transfer->done == 0 &&
           transfer->target >= atomic_load(&transfer->description->vsock.buffer_size);
}

int64_t vsock_stream_receive_try(struct emu_task *self, void *op, struct wait_set *set, bool last)
{
    struct transfer *transfer = op;
    uint64_t before = transfer->done;
    bool started = transfer->started;
    struct buf_state state;
    int64_t result;
    struct socket_buf *buf = begin(self, transfer, &state, &result);
    int fault;

    if (EMU_UNLIKELY(!buf)) {
        return result;
    }
    if (!started && wants_too_much(transfer, &state)) {
        lock_release(self, &buf->lock);
        return -ENOMEM;
    }
    if (state.used == 0 || EMU_UNLIKELY(transfer->flags & MSG_PEEK)) {
        result = state.used == 0 ? 0 : peek_stream(transfer, &state);
        lock_release(self, &buf->lock);
        return state.used == 0
                   ? receive_nothing(self, transfer, &state, set, last, vsock_stream_receive_try)
                   : result;
    }
    fault = take_packets(transfer, &state);
    if (EMU_UNLIKELY(fault < 0 && transfer->done == before)) {
        lock_release(self, &buf->lock);
    } else {
        commit(self, buf, &state,
               fault == 0 && vsock_report_when_due(transfer->description, &state));
    }
    if (EMU_UNLIKELY(fault < 0)) {
        return transfer->done > 0 ? (int64_t)transfer->done : -EFAULT;
    }
    if (EMU_LIKELY(transfer->done >= transfer->target || transfer->done == transfer->size)) {
        return (int64_t)transfer->done;
    }
    return receive_nothing(self, transfer, &state, set, last, vsock_stream_receive_try);
}

/* ---- Records ---- */

/*
 * Copies the first record, which may be in pieces, as far as there is room, and takes it out of
 * `state`, also when the copy faults. Returns its length, or -EFAULT.
 */
static int64_t give_record(struct transfer *transfer, struct buf_state *state)
{
    int64_t length = 0;
    uint64_t room = transfer->size;
    uint32_t info = 0;

    while (state->seg_count > 0 && !(info & SEG_PACKET)) {
        struct seg seg = buf_first_seg(state);
        uint64_t take = base_min_u64(room, seg.len);

        if (length >= 0 && take > 0 &&
            ring_get(buf_ring(state), buf_ring_mask(state), state->head, &transfer->cursor, take) <
                0) {
            length = -EFAULT;
        }
        length += length >= 0 ? (int64_t)seg.len : 0;
        room -= take;
        info = seg.info;
        state->charged -= seg.len;
        buf_drop_first(state);
    }
    if (info & SEG_EOR) {
        transfer->ret_flags |= MSG_EOR;
    }
    state->records--;
    return length;
}

int64_t vsock_seqpacket_receive_try(struct emu_task *self, void *op, struct wait_set *set,
                                    bool last)
{
    struct transfer *transfer = op;
    struct description *description = transfer->description;
    struct buf_state state;
    int64_t length;
    struct socket_buf *buf = begin(self, transfer, &state, &length);
    int error;

    if (EMU_UNLIKELY(!buf)) {
        return length;
    }
    if (state.records == 0) {
        lock_release(self, &buf->lock);
        return receive_nothing(self, transfer, &state, set, last, vsock_seqpacket_receive_try);
    }
    if (EMU_UNLIKELY(transfer->flags & MSG_PEEK)) {
        struct buf_state copy = state; /* which nobody publishes */

        length = give_record(transfer, &copy);
        lock_release(self, &buf->lock);
    } else {
        length = give_record(transfer, &state);
        commit(self, buf, &state, true);
    }
    if (length < 0) {
        return length; /* the record is lost all the same */
    }
    error = atomic_load_explicit(&description->error, memory_order_relaxed);
    if (EMU_UNLIKELY(error != 0 || state.flags & BUF_SHUT_READER)) {
        return -error;
    }
    if ((uint64_t)length > transfer->size) {
        transfer->ret_flags |= MSG_TRUNC;
    }
    return transfer->flags & MSG_TRUNC ? length
                                       : (int64_t)base_min_u64((uint64_t)length, transfer->size);
}
