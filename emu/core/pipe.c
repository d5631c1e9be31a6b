/*
 * pipe.c - see pipe.h
 */
#include "pipe.h"

#include "passage.h"

#include <errno.h>

/*
 * Takes slot after slot. A fault leaves the slot in which it happened as it was.
 * Returns the bytes taken, or -EFAULT when there were none.
 */
static int64_t take_slots(struct transfer *transfer, struct buf_state *state)
{
    uint64_t moved = 0;

    while (state->seg_count > 0 && moved < transfer->size) {
        struct seg seg = buf_first_seg(state);
        uint32_t rest = seg.len - state->first_taken;
        uint32_t take = (uint32_t)base_min_u64(rest, transfer->size - moved);

        if (EMU_UNLIKELY(ring_get(buf_ring(state), buf_ring_mask(state), state->head,
                                  &transfer->cursor, take) < 0)) {
            return moved > 0 ? (int64_t)moved : -EFAULT;
        }
        moved += take;
        if (take == rest || (seg.info & SEG_PACKET)) {
            buf_drop_first(state); /* the rest of a packet is thrown away */
            if (seg.info & SEG_PACKET) {
                break;
            }
        } else {
            state->first_taken += take;
            state->head += take;
            state->used -= take;
        }
    }
    return (int64_t)moved;
}

/* What Linux says by kill_fasync() though nothing changed; wakes nobody. Requires: no lock. */
static void tell_owner(struct emu_task *self, struct socket_buf *buf, struct wait_queue *queue)
{
    struct wake_list list;

    if (EMU_LIKELY(atomic_load_explicit(&queue->first, memory_order_relaxed) == 0)) {
        return;
    }
    wake_list_init(&list);
    lock_acquire(self, &buf->lock);
    queue_notify_locked(queue, WAITER_ASYNC, &list);
    lock_release(self, &buf->lock);
    wake_list_flush(self, &list);
}

/*
 * A pipe's calls look at O_NONBLOCK again when the pipe has woken them and there is nothing for
 * them after all (pipe_read, pipe_write); a socket's look once. We are woken for other reasons,
 * too.
 */
static bool is_nonblocking_now(struct transfer *transfer, const struct socket_buf *buf)
{
    uint32_t version = atomic_load_explicit(&buf->version, memory_order_relaxed);
    bool woken = transfer->looked && transfer->looked_version != version;

    transfer->looked = true;
    transfer->looked_version = version;
    return transfer->nonblock ||
           (woken && (atomic_load_explicit(&transfer->description->status, memory_order_relaxed) &
                      O_NONBLOCK));
}

static int64_t read_nothing_there(struct emu_task *self, struct transfer *transfer,
                                  const struct buf_state *state, struct wait_set *set, bool last)
{
    struct description *description = transfer->description;
    enum channel_news news = CHANNEL_SAME;
    bool ended = state->flags & BUF_WRITER_GONE;

    if (last || (ended && atomic_load_explicit(&description->shared, memory_order_relaxed))) {
        news = channel_ask(self, transfer->fd, description);
        /* Also when the end was closed since we looked: then it is the truth that the kernel says.
         */
        if (news == CHANNEL_CHANGED || (news == CHANNEL_STUCK && !ended &&
                                        buf_bits(buf_at(description->rx)) & BUF_WRITER_GONE)) {
            return pipe_read_try(self, transfer, set, last);
        }
        ended = ended && news != CHANNEL_ORPHAN;
    }
    if (ended) {
        return 0;
    }
    if (is_nonblocking_now(transfer, buf_at(description->rx))) {
        tell_owner(self, buf_at(description->rx), &buf_at(description->rx)->writers);
        return -EAGAIN;
    }
    return channel_block(transfer, set, true, news);
}

int64_t pipe_read_try(struct emu_task *self, void *op, struct wait_set *set, bool last)
{
    struct transfer *transfer = op;
    struct buf_state state;
    bool full;
    struct wake_list list;
    struct socket_buf *buf;
    int64_t moved;

    wake_list_init(&list);
    if (EMU_UNLIKELY(transfer->size == 0)) {
        return 0;
    }
    buf = channel_lock(self, transfer, transfer->description->rx, &state);
    if (EMU_UNLIKELY(!buf)) {
        return EMU_NATIVE;
    }
    buf_note_cpu(&buf->reader_cpu, host_cpu());
    if (state.seg_count == 0) {
        lock_release(self, &buf->lock);
        return read_nothing_there(self, transfer, &state, set, last);
    }
    full = state.seg_count >= state.limit;
    moved = take_slots(transfer, &state);
    if (moved > 0) {
        buf_publish_locked(buf, &state);
    }
    /* Only a pipe that was full wakes its writers: anon_pipe_read. An owner is told in any case. */
    if (EMU_UNLIKELY(atomic_load_explicit(&buf->writers.first, memory_order_relaxed) != 0)) {
        uint32_t room = full && state.seg_count < state.limit ? POLLOUT | POLLWRNORM : 0;

        queue_notify_locked(&buf->writers, room | WAITER_ASYNC, &list);
    }
    lock_release(self, &buf->lock);
    if (EMU_UNLIKELY(list.count > 0)) {
        wake_list_flush(self, &list);
    }
    return moved;
}

/*
 * The first bytes of a write may go into the last slot: those beyond a whole number of pages, all
 * or none (anon_pipe_write). Returns 0 or -EFAULT.
 */
static int merge(struct transfer *transfer, struct buf_state *state)
{
    uint32_t part = (uint32_t)(transfer->size % EMU_PAGE);
    uint32_t page = EMU_PAGE;

    if (EMU_UNLIKELY(state->piece != 0)) {
        page = state->piece;
        part = (uint32_t)(transfer->size % page);
    }
    if (part == 0 || state->seg_count == 0 || !(state->last_info & SEG_MERGEABLE) ||
        state->last_len + (state->last_info & SEG_CHARGE) + part > page) {
        return 0;
    }
    if (EMU_UNLIKELY(ring_put(buf_ring(state), buf_ring_mask(state), state->head + state->used,
                              &transfer->cursor, part) < 0)) {
        return -EFAULT;
    }
    state->last_len += part;
    state->used += part;
    transfer->done += part;
    return 0;
}

/* Cuts the rest into slots until they are used up. Returns 0 or -EFAULT. */
static int fill_slots(struct transfer *transfer, struct buf_state *state, uint32_t info)
{
    uint32_t page = EMU_LIKELY(state->piece == 0) ? EMU_PAGE : state->piece;

    while (transfer->done < transfer->size && state->seg_count < state->limit) {
        uint32_t part = (uint32_t)base_min_u64(page, transfer->size - transfer->done);

        if (EMU_UNLIKELY(ring_put(buf_ring(state), buf_ring_mask(state), state->head + state->used,
                                  &transfer->cursor, part) < 0)) {
            return -EFAULT;
        }
        buf_append(state, part, info);
        transfer->done += part;
    }
    return 0;
}

static int64_t write_no_room(struct emu_task *self, struct transfer *transfer, struct wait_set *set,
                             bool last)
{
    enum channel_news news = last ? channel_ask(self, transfer->fd, transfer->description)
                                  : CHANNEL_SAME;

    if (news == CHANNEL_CHANGED) {
        return pipe_write_try(self, transfer, set, last);
    }
    if (is_nonblocking_now(transfer, buf_at(transfer->description->tx))) {
        return transfer->done > 0 ? (int64_t)transfer->done : -EAGAIN;
    }
    return channel_block(transfer, set, false, news);
}

int64_t pipe_write_try(struct emu_task *self, void *op, struct wait_set *set, bool last)
{
    struct transfer *transfer = op;
    uint32_t status = atomic_load_explicit(&transfer->description->status, memory_order_relaxed);
    uint64_t before = transfer->done;
    bool first = !transfer->started;
    struct buf_state state;
    struct wake_list list;
    struct socket_buf *buf;
    int rc = 0;

    wake_list_init(&list);
    if (EMU_UNLIKELY(transfer->size == 0)) {
        return 0;
    }
    buf = channel_lock(self, transfer, transfer->description->tx, &state);
    if (EMU_UNLIKELY(!buf)) {
        return EMU_NATIVE;
    }
    buf_note_cpu(&buf->writer_cpu, host_cpu());
    if (EMU_UNLIKELY(state.flags & BUF_READER_GONE)) {
        lock_release(self, &buf->lock);
        self->sigpipe = true; /* also after a partial write */
        self->broken = description_index(transfer->description) + 1;
        return before > 0 ? (int64_t)before : -EPIPE;
    }
    if (first) {
        transfer->started = true;
        rc = merge(transfer, &state);
    }
    if (rc == 0) {
        rc = fill_slots(transfer, &state, status & O_DIRECT ? SEG_PACKET : SEG_MERGEABLE);
    }
    if (transfer->done > before) {
        buf_publish_locked(buf, &state);
    }
    /* Also of a write that found no room or a bad buffer: anon_pipe_write. */
    if (EMU_UNLIKELY(atomic_load_explicit(&buf->readers.first, memory_order_relaxed) != 0) &&
        (first || transfer->done > before)) {
        queue_notify_locked(&buf->readers, POLLIN | POLLRDNORM | WAITER_ASYNC, &list);
    }
    lock_release(self, &buf->lock);
    if (EMU_UNLIKELY(list.count > 0)) {
        wake_list_flush(self, &list);
    }
    if (EMU_UNLIKELY(rc < 0)) {
        return transfer->done > 0 ? (int64_t)transfer->done : rc;
    }
    if (transfer->done < transfer->size) {
        return write_no_room(self, transfer, set, last);
    }
    return (int64_t)transfer->done;
}

uint32_t pipe_unread(const struct description *description)
{
    uint32_t index = description->rx != ARENA_NONE ? description->rx : description->tx;

    return buf_peek(buf_at(index)).used;
}

int pipe_resize(struct emu_task *self, struct description *description, uint32_t slots)
{
    uint32_t index = description->rx != ARENA_NONE ? description->rx : description->tx;
    struct socket_buf *buf = buf_at(index);
    struct wake_list list;
    struct buf_state state;
    int rc = 0;

    wake_list_init(&list);
    buf_lock_settled(self, buf, &state);
    if (slots < state.seg_count) {
        rc = -EBUSY;
    } else {
        rc = pipe_reserve_locked(buf, &state, slots, 0);
    }
    if (rc == 0) {
        state.limit = slots;
        state.piece = 0;
        buf_publish_locked(buf, &state);
        queue_notify_locked(&buf->writers, POLLNVAL, &list); /* pipe_resize_ring: without a key */
    }
    lock_release(self, &buf->lock);
    wake_list_flush(self, &list);
    return rc;
}

void pipe_make_tiny(struct emu_task *self, uint32_t index, uint32_t bytes)
{
    struct socket_buf *buf = buf_at(index);
    struct buf_state state;

    lock_acquire(self, &buf->lock);
    state = buf_state_locked(buf);
    state.piece = bytes;
    buf_publish_locked(buf, &state);
    lock_release(self, &buf->lock);
}
