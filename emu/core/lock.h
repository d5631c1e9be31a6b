/*
 * lock.h - the one kind of lock in the arena: owner's tid in the word, taken over when it dies
 *
 * The word holds the owner's raw tid, FUTEX_WAITERS when somebody sleeps on it. While a thread
 * holds a lock, list_op_pending of its robust list (set_robust_list(2)) names it, so the kernel
 * marks it FUTEX_OWNER_DIED and wakes a sleeper when the thread dies, by SIGKILL and by exec too
 * (kernel/futex/core.c:exit_robust_list). Only one lock can be named there:
 *
 *   - No thread ever holds two locks of the arena, but for one `outer_lock` around one `lock`.
 *     Debug builds assert it.
 *   - A handler of the guest never runs while one is held (emu.h: critical).
 *
 * Whoever takes a dead owner's lock finds the object consistent, because each object publishes its
 * state by one store (socket_buf.h); there is nothing to repair and so no word about it.
 */
#ifndef EMU_LOCK_H
#define EMU_LOCK_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct emu_task;

struct lock {
    _Atomic uint32_t word;
};

/*
 * Takes the lock; sleeps while another live thread holds it.
 * Requires: this task holds no lock.
 */
void lock_acquire(struct emu_task *self, struct lock *lock);

/* Requires: this task holds the lock. */
void lock_release(struct emu_task *self, struct lock *lock);

/*
 * A lock that may be held while others of the first kind are taken and released, one at a time. It
 * stands in the thread's robust list itself, where list_op_pending leaves it alone. Who takes it
 * after its owner died must look whether what it guards was being changed.
 */
struct outer_lock {
    struct lock lock;
    char pad[28];
    void *next; /* of the robust list: an address of the owner's, meaningless to everybody else */
};

static_assert(offsetof(struct outer_lock, next) == 32, "glibc's place of the link: lock.c");

/* Requires: this task holds no lock of either kind. */
void outer_lock_acquire(struct emu_task *self, struct outer_lock *outer);
void outer_lock_release(struct emu_task *self, struct outer_lock *outer);

/* True when this task holds it: for assertions. */
bool lock_is_mine(const struct emu_task *self, const struct lock *lock);

#endif
