/*
 * stream_receive.c - the receiving half of stream.h
 */
#include "stream.h"

#include <errno.h>

static void unlock(struct emu_task *self, struct socket_buf *buf, struct transfer *transfer)
{
    lock_release(self, &buf->lock);
    if (EMU_UNLIKELY(transfer->rights_left != 0)) {
        rights_let_go(self, transfer->rights_left);
        transfer->rights_left = 0;
    }
}

/* Wakes senders when at most a quarter of their buffer is charged: unix_write_space. */
static void receive_commit(struct emu_task *self, struct transfer *transfer, struct socket_buf *buf,
                           const struct buf_state *state, uint32_t charged_before)
{
    struct wake_list list;

    wake_list_init(&list);
    buf_publish_locked(buf, state);
    if (EMU_UNLIKELY(atomic_load_explicit(&buf->writers.first, memory_order_relaxed) != 0) &&
        state->charged < charged_before && 4ull * (state->charged + 1ull) <= state->limit) {
        queue_notify_locked(&buf->writers, POLLOUT | POLLWRNORM | POLLWRBAND | WAITER_ASYNC, &list);
    }
    unlock(self, buf, transfer);
    if (EMU_UNLIKELY(list.count > 0)) {
        wake_list_flush(self, &list);
    }
}

/* Nothing to read: an error, the end, EAGAIN, or what to wait for. */
static int64_t receive_nothing(struct emu_task *self, struct transfer *transfer, uint32_t flags,
                               struct wait_set *set, bool last, wait_try again)
{
    struct description *description = transfer->description;
    enum channel_news news = CHANNEL_SAME;
    bool ended = flags & BUF_SHUT;
    int64_t result;
    int error;

    /* A stream's peer may have sent its last bytes and died since we looked: they come first. */
    if (EMU_UNLIKELY(atomic_load(&description->error) != 0) &&
        description->kind == DESCRIPTION_STREAM && !(transfer->flags & MSG_PEEK) &&
        buf_bits(buf_at(description->rx)) & BUF_IN) {
        return again(self, transfer, set, last);
    }
    error = description_take_error(description);
    if (error != 0) {
        return transfer->done > 0 ? (int64_t)transfer->done : -error;
    }
    if (last || (flags & BUF_WRITER_GONE &&
                 atomic_load_explicit(&description->shared, memory_order_relaxed))) {
        news = channel_ask(self, transfer->fd, description);
        /* Also when the end was closed since we looked: then it is the truth that the kernel says.
         */
        if (news == CHANNEL_CHANGED || (news == CHANNEL_STUCK && !ended &&
                                        buf_bits(buf_at(description->rx)) & BUF_WRITER_GONE)) {
            return again(self, transfer, set, last);
        }
        ended = ended && news != CHANNEL_ORPHAN;
    }
    if (ended) {
        transfer->ended = transfer->done == 0;
        return (int64_t)transfer->done;
    }
    if (transfer->nonblock) {
        return transfer->done > 0 ? (int64_t)transfer->done : -EAGAIN;
    }
    result = channel_block(transfer, set, true, news);
    if (description->kind == DESCRIPTION_STREAM) {
        set->items[set->count - 1].events |= WAITER_RECEIVES;
    }
    return result;
}

/* Descriptors come with the first byte of the first segment. */
static void take_rights(struct emu_task *self, struct transfer *transfer, struct socket_buf *buf,
                        const struct buf_state *state)
{
    transfer->rights_left = rights_take(self, transfer->rights,
                                        fdtab_placeholder(transfer->fd, transfer->index), buf,
                                        state->seg_head);
    transfer->ret_flags |= transfer->rights ? 0 : MSG_CTRUNC; /* they are closed */
}

/* The first segment stays, without the descriptors that were taken. */
static void forget_rights(struct buf_state *state)
{
    if (state->seg_count == 1) {
        state->last_info &= ~SEG_RIGHTS;
    } else {
        buf_segs(state)[state->seg_head & buf_seg_mask(state)].info &= ~SEG_RIGHTS;
    }
}

/* The same for a peek at the segment `number` places behind the first. */
static void peek_rights(struct emu_task *self, struct transfer *transfer,
                        const struct socket_buf *buf, const struct buf_state *state,
                        uint32_t number)
{
    rights_peek(self, transfer->rights, fdtab_placeholder(transfer->fd, transfer->index), buf,
                state->seg_head + number);
    transfer->ret_flags |= transfer->rights ? 0 : MSG_CTRUNC;
}

/* The first `take` bytes of the first segment are read. */
static void leave_rest(struct buf_state *state, uint32_t take)
{
    state->first_taken += take;
    state->head += take;
    state->used -= take;
}

/*
 * Joins segments until the buffer is full, or one with descriptors was begun. Returns 0, or -EFAULT
 * when nothing at all was moved.
 */
static int take_segments(struct emu_task *self, struct transfer *transfer, struct socket_buf *buf,
                         struct buf_state *state)
{
    while (state->seg_count > 0 && transfer->done < transfer->size) {
        struct seg seg = buf_first_seg(state);
        uint32_t rest = seg.len - state->first_taken;
        uint32_t take = (uint32_t)base_min_u64(rest, transfer->size - transfer->done);

        if (EMU_UNLIKELY(ring_get(buf_ring(state), buf_ring_mask(state), state->head,
                                  &transfer->cursor, take) < 0)) {
            return transfer->done > 0 ? 0 : -EFAULT;
        }
        transfer->done += take;
        if (EMU_UNLIKELY(seg.info & SEG_RIGHTS) && state->first_taken == 0) {
            take_rights(self, transfer, buf, state);
            if (take < rest) {
                leave_rest(state, take);
            } else {
                buf_drop_first(state);
            }
            transfer->target = transfer->done; /* nothing is joined to it */
            return 0;
        }
        if (take == rest) {
            buf_drop_first(state);
        } else {
            leave_rest(state, take);
        }
    }
    return 0;
}

void stream_peek_offset_back(struct description *description, uint64_t size)
{
    int32_t offset = atomic_load_explicit(&description->peek_offset, memory_order_relaxed);

    if (EMU_UNLIKELY(offset > 0)) {
        offset = size < (uint64_t)offset ? offset - (int32_t)size : 0;
        atomic_store_explicit(&description->peek_offset, offset, memory_order_relaxed);
    }
}

static void peek_offset_forward(struct description *description, uint64_t size)
{
    int32_t offset = atomic_load_explicit(&description->peek_offset, memory_order_relaxed);

    if (EMU_UNLIKELY(offset >= 0)) {
        atomic_store_explicit(&description->peek_offset, offset + (int32_t)size,
                              memory_order_relaxed);
    }
}

static struct seg seg_at(const struct buf_state *state, uint32_t number)
{
    return number + 1 == state->seg_count
               ? (struct seg){ state->last_len, state->last_info }
               : buf_segs(state)[(state->seg_head + number) & buf_seg_mask(state)];
}

/*
 * MSG_PEEK on a stream: copies from SO_PEEK_OFF on (or from the start) and leaves it there, segment
 * by segment, so that a fault costs the segment in which it happened alone. A full buffer doesn't
 * end it: unix_stream_read_generic looks on for the next descriptors.
 * Returns bytes, -EFAULT, or 0 with *ret_empty when nothing lies behind the offset.
 */
static int64_t peek_stream(struct emu_task *self, struct transfer *transfer,
                           const struct socket_buf *buf, const struct buf_state *state,
                           bool *ret_empty)
{
    struct description *description = transfer->description;
    int32_t offset = atomic_load_explicit(&description->peek_offset, memory_order_relaxed);
    uint32_t skip = offset > 0 ? (uint32_t)offset : 0;
    uint32_t position = state->head;
    uint64_t done = 0;

    *ret_empty = skip >= state->used;
    for (uint32_t i = 0; i < state->seg_count && !*ret_empty; i++) {
        struct seg seg = seg_at(state, i);
        uint32_t here = seg.len - (i == 0 ? state->first_taken : 0);
        bool rights = (seg.info & SEG_RIGHTS) && (i > 0 || state->first_taken == 0);
        uint32_t gone = base_min_u32(skip, here);
        uint64_t take = base_min_u64(transfer->size - done, here - gone);

        if (take > 0 && ring_get(buf_ring(state), buf_ring_mask(state), position + gone,
                                 &transfer->cursor, take) < 0) {
            if (done == 0) {
                return -EFAULT;
            }
            break;
        }
        done += take;
        skip -= gone;
        position += here;
        if (EMU_UNLIKELY(rights) && gone < here) {
            peek_rights(self, transfer, buf, state, i);
            break;
        }
    }
    peek_offset_forward(description, done);
    return (int64_t)done;
}

/* Decides after a round of taking: enough, or wait for more. */
static int64_t receive_more(struct emu_task *self, struct transfer *transfer, uint32_t flags,
                            struct wait_set *set, bool last)
{
    if (transfer->done >= transfer->target ||
        (transfer->size > 0 && transfer->done >= transfer->size)) {
        return (int64_t)transfer->done;
    }
    return receive_nothing(self, transfer, flags, set, last, stream_receive_try);
}

int64_t stream_receive_try(struct emu_task *self, void *op, struct wait_set *set, bool last)
{
    struct transfer *transfer = op;
    uint64_t before = transfer->done;
    struct buf_state state;
    struct socket_buf *buf = channel_lock(self, transfer, transfer->description->rx, &state);
    uint32_t charged;
    bool empty = state.seg_count == 0;
    int64_t result;

    if (EMU_UNLIKELY(!buf)) {
        return EMU_NATIVE;
    }
    buf_note_cpu(&buf->reader_cpu, host_cpu());
    if (EMU_UNLIKELY(transfer->flags & MSG_PEEK)) {
        result = peek_stream(self, transfer, buf, &state, &empty);
        lock_release(self, &buf->lock);
        return empty ? receive_nothing(self, transfer, state.flags, set, last, stream_receive_try)
                     : result;
    }
    if (empty || EMU_UNLIKELY(transfer->size == 0)) {
        if (!empty && (buf_first_seg(&state).info & SEG_RIGHTS) && state.first_taken == 0) {
            take_rights(self, transfer, buf, &state);
            forget_rights(&state);
            buf_publish_locked(buf, &state);
        }
        unlock(self, buf, transfer);
        return empty ? receive_more(self, transfer, state.flags, set, last) : 0;
    }
    charged = state.charged;
    result = take_segments(self, transfer, buf, &state);
    if (result < 0 && transfer->done == before) {
        lock_release(self, &buf->lock);
        return result;
    }
    receive_commit(self, transfer, buf, &state, charged);
    stream_peek_offset_back(transfer->description, transfer->done - before);
    if (result == 0 && state.seg_count > 0) {
        return (int64_t)transfer->done; /* full, or a fault behind the first bytes */
    }
    return receive_more(self, transfer, state.flags, set, last);
}

/* What one record gives: copies, cuts, says MSG_TRUNC. Returns the call's result. */
static int64_t give_record(struct transfer *transfer, const struct buf_state *state,
                           uint32_t position, uint32_t len)
{
    uint64_t take = base_min_u64(transfer->size, len);

    if (ring_get(buf_ring(state), buf_ring_mask(state), position, &transfer->cursor, take) < 0) {
        return -EFAULT;
    }
    if (len > take) {
        transfer->ret_flags |= MSG_TRUNC;
    }
    return transfer->flags & MSG_TRUNC ? (int64_t)len : (int64_t)take;
}

/* Remembers that an empty record was peeked at. */
static void set_peeked(struct buf_state *state, uint32_t number)
{
    if (number + 1 == state->seg_count) {
        state->last_info |= SEG_PEEKED;
    } else {
        buf_segs(state)[(state->seg_head + number) & buf_seg_mask(state)].info |= SEG_PEEKED;
    }
}

/*
 * MSG_PEEK on records: SO_PEEK_OFF skips whole records and the front of one; an empty one is
 * stepped over once it was peeked at (net/core/datagram.c:__skb_try_recv_from_queue).
 */
static int64_t peek_record(struct emu_task *self, struct transfer *transfer,
                           const struct socket_buf *buf, struct buf_state *state, bool *ret_empty)
{
    struct description *description = transfer->description;
    int32_t offset = atomic_load_explicit(&description->peek_offset, memory_order_relaxed);
    uint32_t skip = offset > 0 ? (uint32_t)offset : 0;
    uint32_t position = state->head;
    int64_t result;

    for (uint32_t i = 0; i < state->seg_count; i++) {
        struct seg seg = seg_at(state, i);

        if (offset >= 0 && skip >= seg.len && (skip > 0 || (seg.info & SEG_PEEKED))) {
            skip -= seg.len;
            position += seg.len;
            continue;
        }
        *ret_empty = false;
        if (seg.len == 0) {
            set_peeked(state, i);
        }
        result = give_record(transfer, state, position + skip, seg.len - skip);
        if (result >= 0) {
            peek_offset_forward(description, base_min_u64(transfer->size, seg.len - skip));
            if (EMU_UNLIKELY(seg.info & SEG_RIGHTS)) {
                peek_rights(self, transfer, buf, state, i);
            }
        }
        return result;
    }
    *ret_empty = true;
    return 0;
}

int64_t seqpacket_receive_try(struct emu_task *self, void *op, struct wait_set *set, bool last)
{
    struct transfer *transfer = op;
    struct description *description = transfer->description;
    int error = description_take_error(description); /* __skb_try_recv_datagram: before data */
    struct buf_state state;
    struct socket_buf *buf;
    uint32_t charged;
    uint32_t len;
    bool empty;
    int64_t result;

    if (EMU_UNLIKELY(error != 0)) {
        return -error;
    }
    buf = channel_lock(self, transfer, description->rx, &state);
    if (EMU_UNLIKELY(!buf)) {
        return EMU_NATIVE;
    }
    buf_note_cpu(&buf->reader_cpu, host_cpu());
    empty = state.seg_count == 0;
    if (!empty && EMU_UNLIKELY(transfer->flags & MSG_PEEK)) {
        result = peek_record(self, transfer, buf, &state, &empty);
        buf_publish_locked(buf, &state);
        lock_release(self, &buf->lock);
        return empty
                   ? receive_nothing(self, transfer, state.flags, set, last, seqpacket_receive_try)
                   : result;
    }
    if (empty) {
        lock_release(self, &buf->lock);
        return receive_nothing(self, transfer, state.flags, set, last, seqpacket_receive_try);
    }
    charged = state.charged;
    len = buf_first_seg(&state).len;
    result = give_record(transfer, &state, state.head, len);
    if (EMU_UNLIKELY(buf_first_seg(&state).info & SEG_RIGHTS)) {
        take_rights(self, transfer, buf, &state);
    }
    buf_drop_first(&state); /* also after a fault: the record is gone, as in Linux */
    receive_commit(self, transfer, buf, &state, charged);
    if (result >= 0) {
        stream_peek_offset_back(description, len);
    }
    return result;
}
