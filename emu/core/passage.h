/*
 * passage.h - bytes that leave one direction and arrive in another as one step
 *
 * splice takes what is unread in one buf and puts it into another. Each buf has its own lock and
 * no two are held at once, and whoever does it may be killed between any two instructions; still
 * no byte may be lost or come twice. So there is one journal in the arena, guarded by an outer
 * lock, and three steps under it:
 *
 *   passage_begin()    the source says BUF_LEAVING: its unread bytes stay what and where they are.
 *                      Who locks it and finds that waits for the outer lock (passage_wait)
 *   passage_arrives()  under the destination's lock, when the bytes are in its ring: the journal
 *                      says how many, and the state that is published next has BUF_ARRIVED changed.
 *                      That one store is the moment at which all of it happens
 *   passage_take()     under the source's lock again: the bytes go out of its state
 *
 * Whoever takes the outer lock and finds the journal in use knows that its owner died over it: the
 * destination's BUF_ARRIVED tells whether the bytes have come, and the source is put right.
 *
 * Left out: sources that keep records; taking a record is one step anyway.
 */
#ifndef EMU_PASSAGE_H
#define EMU_PASSAGE_H

#include "socket_buf.h"

struct emu_task;

/*
 * Takes the outer lock, waits for nobody else. The journal is empty then, and no buf is leaving.
 * Requires: no lock of either kind.
 */
void passage_enter(struct emu_task *self);

/* Gives it back. Requires: no inner lock; passage_take() has followed passage_begin(). */
void passage_leave(struct emu_task *self);

/*
 * Requires: between enter and leave; the lock of `from`, whose state is `state`. Publishes it with
 * BUF_LEAVING and releases the lock. Until passage_take() the caller may read its ring.
 */
void passage_begin(struct emu_task *self, struct socket_buf *from, struct buf_state *state);

/* Requires: the lock of `to`; `bytes` stand in its ring; `state` is published next. */
void passage_arrives(const struct socket_buf *to, struct buf_state *state, uint32_t bytes);

/*
 * Locks `from` and gives its state without BUF_LEAVING: the caller takes the bytes out, publishes
 * it, tells who waits, and unlocks.
 */
void passage_take(struct emu_task *self, struct socket_buf *from, struct buf_state *ret_state);

/* Takes the first bytes out of a state. Returns true when a segment was used up. */
bool passage_drop(struct buf_state *state, uint64_t bytes);

/*
 * For whoever has locked a buf that says BUF_LEAVING: unlocks it and returns when that is over.
 * Requires: the buf's lock, no other.
 */
void passage_wait(struct emu_task *self, struct socket_buf *buf);

/* Locks a buf that isn't leaving, and gives its state. */
static inline void buf_lock_settled(struct emu_task *self, struct socket_buf *buf,
                                    struct buf_state *ret_state)
{
    lock_acquire(self, &buf->lock);
    *ret_state = buf_state_locked(buf);
    while (EMU_UNLIKELY(ret_state->flags & BUF_LEAVING)) {
        passage_wait(self, buf);
        lock_acquire(self, &buf->lock);
        *ret_state = buf_state_locked(buf);
    }
}

/* A process died: ends what it may have begun. Requires: no lock. */
void passage_sweep(struct emu_task *self);

#endif
