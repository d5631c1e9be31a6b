/*
 * passage.c - see passage.h
 */
#include "passage.h"

#include <linux/futex.h>
#include <poll.h>

enum { PASSAGE_NONE, PASSAGE_BEGUN, PASSAGE_ARRIVES };

static uint32_t index_of(const struct socket_buf *buf)
{
    return (uint32_t)(buf - (struct socket_buf *)arena->bufs);
}

bool passage_drop(struct buf_state *state, uint64_t bytes)
{
    bool any = false;

    while (bytes > 0 && state->seg_count > 0) {
        struct seg seg = buf_first_seg(state);
        uint32_t rest = seg.len - state->first_taken;

        if (bytes < rest) {
            state->first_taken += (uint32_t)bytes;
            state->head += (uint32_t)bytes;
            state->used -= (uint32_t)bytes;
            break;
        }
        bytes -= rest;
        buf_drop_first(state);
        if (state->kind == DESCRIPTION_VSOCK_STREAM) {
            state->unreported += seg.len;
        }
        any = true;
    }
    return any;
}

/* Whether the journal's bytes came; a destination that is gone can't have anything. */
static bool has_arrived(const struct passage_journal *journal)
{
    const struct socket_buf *to = buf_at(journal->to);

    return atomic_load(&journal->state) == PASSAGE_ARRIVES &&
           atomic_load(&to->generation) == journal->to_generation &&
           (buf_peek(to).flags & BUF_ARRIVED) == journal->arrived;
}

/* The journal's owner died. May be repeated. Requires: the outer lock, no other. */
static void repair(struct emu_task *self)
{
    struct passage_journal *journal = &arena->header.passage;
    struct socket_buf *from = buf_at(journal->from);
    bool arrived = has_arrived(journal);
    struct wake_list list;
    struct buf_state state;

    wake_list_init(&list);
    lock_acquire(self, &from->lock);
    state = buf_state_locked(from);
    if (atomic_load(&from->generation) == journal->from_generation && state.flags & BUF_LEAVING) {
        state.flags &= (uint16_t)~BUF_LEAVING;
        if (arrived) {
            passage_drop(&state, journal->bytes);
        }
        buf_publish_locked(from, &state);
        queue_notify_locked(&from->readers, POLLNVAL, &list);
        queue_notify_locked(&from->writers, POLLNVAL, &list);
    }
    lock_release(self, &from->lock);
    atomic_store(&journal->state, PASSAGE_NONE);
    wake_list_flush(self, &list);
}

void passage_enter(struct emu_task *self)
{
    outer_lock_acquire(self, &arena->header.passage_lock);
    if (EMU_UNLIKELY(atomic_load(&arena->header.passage.state) != PASSAGE_NONE)) {
        repair(self);
    }
}

void passage_leave(struct emu_task *self)
{
    atomic_store_explicit(&arena->header.passage.state, PASSAGE_NONE, memory_order_release);
    outer_lock_release(self, &arena->header.passage_lock);
}

void passage_begin(struct emu_task *self, struct socket_buf *from, struct buf_state *state)
{
    struct passage_journal *journal = &arena->header.passage;

    EMU_ASSERT(!(state->flags & BUF_LEAVING));
    journal->from = index_of(from);
    journal->from_generation = atomic_load(&from->generation);
    atomic_store_explicit(&journal->state, PASSAGE_BEGUN, memory_order_release);
    state->flags |= BUF_LEAVING;
    buf_publish_locked(from, state);
    lock_release(self, &from->lock);
}

void passage_arrives(const struct socket_buf *to, struct buf_state *state, uint32_t bytes)
{
    struct passage_journal *journal = &arena->header.passage;

    EMU_ASSERT(atomic_load(&journal->state) == PASSAGE_BEGUN);
    state->flags ^= BUF_ARRIVED;
    journal->to = index_of(to);
    journal->to_generation = atomic_load(&to->generation);
    journal->arrived = state->flags & BUF_ARRIVED;
    journal->bytes = bytes;
    atomic_store_explicit(&journal->state, PASSAGE_ARRIVES, memory_order_release);
}

void passage_take(struct emu_task *self, struct socket_buf *from, struct buf_state *ret_state)
{
    lock_acquire(self, &from->lock);
    *ret_state = buf_state_locked(from);
    ret_state->flags &= (uint16_t)~BUF_LEAVING;
}

void passage_wait(struct emu_task *self, struct socket_buf *buf)
{
    lock_release(self, &buf->lock);
    passage_enter(self);
    passage_leave(self);
}

void passage_sweep(struct emu_task *self)
{
    uint32_t owner;

    if (EMU_LIKELY(atomic_load(&arena->header.passage.state) == PASSAGE_NONE)) {
        return;
    }
    owner = atomic_load(&arena->header.passage_lock.lock.word);
    if (owner & FUTEX_OWNER_DIED || (owner & FUTEX_TID_MASK) == 0) {
        passage_enter(self); /* else somebody who lives is at it, and perhaps stopped */
        passage_leave(self);
    }
}
