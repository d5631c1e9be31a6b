/*
 * pipe_slots.c - what splice and its kin do to a pipe: see pipe.h
 *
 * Linux: fs/splice.c:vmsplice_to_pipe, iter_to_pipe, vmsplice_to_user, splice_from_pipe_next,
 * wait_for_space, wakeup_pipe_readers, wakeup_pipe_writers.
 *
 * Left out: pages that are shared. The guest's memory is copied when vmsplice is called, so what it
 * writes there afterwards isn't in the pipe; SPLICE_F_GIFT changes nothing.
 */
#include "pipe.h"

#include "passage.h"

#include <errno.h>

int pipe_reserve_locked(struct socket_buf *buf, struct buf_state *state, uint32_t slots,
                        uint32_t longer)
{
    uint64_t bytes = (uint64_t)slots * EMU_PAGE + longer;

    for (uint32_t i = 0; i < state->seg_count; i++) {
        uint32_t len = buf_nth_seg(state, i).len;

        bytes += len > EMU_PAGE ? len - EMU_PAGE : 0;
    }
    bytes -= base_min_u64(bytes, state->used);
    if (bytes > UINT32_MAX - EMU_PAGE) {
        return -ENOMEM;
    }
    return buf_reserve_locked(buf, state, (uint32_t)bytes,
                              slots > state->seg_count ? slots - state->seg_count : 0);
}

/* wake_up_interruptible() has no key: everybody looks again. */
void pipe_tell_readers_locked(struct socket_buf *buf, struct wake_list *list)
{
    if (atomic_load_explicit(&buf->readers.first, memory_order_relaxed) != 0) {
        queue_notify_locked(&buf->readers, POLLNVAL | POLLIN | POLLRDNORM | WAITER_ASYNC, list);
    }
}

void pipe_tell_writers_locked(struct socket_buf *buf, struct wake_list *list)
{
    if (atomic_load_explicit(&buf->writers.first, memory_order_relaxed) != 0) {
        queue_notify_locked(&buf->writers, POLLNVAL | POLLOUT | POLLWRNORM | WAITER_ASYNC, list);
    }
}

int64_t pipe_await_data(struct emu_task *self, const struct transfer *transfer, uint32_t flags,
                        struct wait_set *set, bool last)
{
    struct description *description = transfer->description;
    enum channel_news news = CHANNEL_SAME;
    bool ended = flags & BUF_WRITER_GONE;

    if (last || transfer->nonblock ||
        (ended && atomic_load_explicit(&description->shared, memory_order_relaxed))) {
        news = channel_ask(self, transfer->fd, description);
        if (news == CHANNEL_CHANGED || (news == CHANNEL_STUCK && !ended &&
                                        buf_bits(buf_at(description->rx)) & BUF_WRITER_GONE)) {
            return PIPE_AGAIN;
        }
        ended = ended && news != CHANNEL_ORPHAN;
    }
    if (ended) {
        return 0;
    }
    return transfer->nonblock ? -EAGAIN : channel_block(transfer, set, true, news);
}

int64_t pipe_await_room(struct emu_task *self, const struct transfer *transfer,
                        struct wait_set *set, bool last)
{
    enum channel_news news = last || transfer->nonblock
                                 ? channel_ask(self, transfer->fd, transfer->description)
                                 : CHANNEL_SAME;

    if (news == CHANNEL_CHANGED) {
        return PIPE_AGAIN;
    }
    return transfer->nonblock ? -EAGAIN : channel_block(transfer, set, false, news);
}

/* Steps over elements of nothing. Returns what of the current one lies in one page. */
static uint32_t next_page(struct cursor *cursor, uint64_t left)
{
    const struct iovec *iov;
    uint64_t rest;

    while (cursor->iov->iov_len == cursor->offset) {
        cursor->iov++;
        cursor->count--;
        cursor->offset = 0;
    }
    iov = cursor->iov;
    rest = EMU_PAGE - (((uintptr_t)iov->iov_base + cursor->offset) & (EMU_PAGE - 1));
    rest = base_min_u64(rest, iov->iov_len - cursor->offset);
    return (uint32_t)base_min_u64(rest, left);
}

/* Returns 0 or -EFAULT; transfer->done says how much there is. */
static int map_pages(struct transfer *transfer, struct buf_state *state)
{
    while (transfer->done < transfer->size && state->seg_count < state->limit) {
        uint32_t part = next_page(&transfer->cursor, transfer->size - transfer->done);

        if (ring_put(buf_ring(state), buf_ring_mask(state), state->head + state->used,
                     &transfer->cursor, part) < 0) {
            return -EFAULT;
        }
        buf_append(state, part, 0);
        transfer->done += part;
    }
    return 0;
}

/* Slot after slot, packets like all others; a fault leaves the slot in which it happened. */
static int copy_slots(struct transfer *transfer, struct buf_state *state, bool *ret_used_up)
{
    while (state->seg_count > 0 && transfer->done < transfer->size) {
        uint32_t rest = buf_first_seg(state).len - state->first_taken;
        uint32_t take = (uint32_t)base_min_u64(rest, transfer->size - transfer->done);

        if (ring_get(buf_ring(state), buf_ring_mask(state), state->head, &transfer->cursor, take) <
            0) {
            return -EFAULT;
        }
        *ret_used_up |= passage_drop(state, take);
        transfer->done += take;
    }
    return 0;
}

/* False: there is no room, or nothing to get; the lock is released. *ret_result: what comes of it.
 */
static bool has_slots(struct emu_task *self, struct transfer *transfer, bool puts,
                      struct socket_buf *buf, const struct buf_state *state, struct wait_set *set,
                      bool last, int64_t *ret_result)
{
    if (puts && state->flags & BUF_READER_GONE) {
        lock_release(self, &buf->lock);
        self->sigpipe = true;
        *ret_result = -EPIPE;
        return false;
    }
    if (puts ? state->seg_count < state->limit : state->seg_count > 0) {
        return true;
    }
    lock_release(self, &buf->lock);
    *ret_result = puts ? pipe_await_room(self, transfer, set, last)
                       : pipe_await_data(self, transfer, state->flags, set, last);
    return false;
}

/* Puts pages into the pipe, or gets slots out of it. */
static int64_t slots_try(struct emu_task *self, struct transfer *transfer, bool puts,
                         struct wait_set *set, bool last)
{
    struct wake_list list;
    int64_t result = PIPE_AGAIN;

    wake_list_init(&list);
    for (uint32_t round = 0; round < EMU_TRY_LIMIT && result == PIPE_AGAIN; round++) {
        uint32_t index = puts ? transfer->description->tx : transfer->description->rx;
        struct buf_state state;
        struct socket_buf *buf = channel_lock(self, transfer, index, &state);
        bool used_up = false;
        int rc;

        if (!buf) {
            return EMU_NATIVE;
        }
        buf_note_cpu(puts ? &buf->writer_cpu : &buf->reader_cpu, host_cpu());
        if (!has_slots(self, transfer, puts, buf, &state, set, last, &result)) {
            continue;
        }
        rc = puts ? map_pages(transfer, &state) : copy_slots(transfer, &state, &used_up);
        if (transfer->done > 0) {
            buf_publish_locked(buf, &state);
        }
        if (puts && transfer->done > 0) {
            pipe_tell_readers_locked(buf, &list);
        } else if (used_up) {
            pipe_tell_writers_locked(buf, &list);
        }
        lock_release(self, &buf->lock);
        wake_list_flush(self, &list);
        result = transfer->done > 0 ? (int64_t)transfer->done : rc;
    }
    return result;
}

int64_t pipe_map_try(struct emu_task *self, void *op, struct wait_set *set, bool last)
{
    return slots_try(self, op, true, set, last);
}

int64_t pipe_unmap_try(struct emu_task *self, void *op, struct wait_set *set, bool last)
{
    return slots_try(self, op, false, set, last);
}
