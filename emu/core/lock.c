/*
 * lock.c - see lock.h. The fast path is one compare-and-swap and two stores (16 ns a pair).
 */
#include "lock.h"

#include "base.h"
#include "emu.h"
#include "host.h"

#include <linux/futex.h>

/* glibc links mutexes by a member 32 bytes behind the word (futex_offset -32); so do we, so that
 * one list head serves both. */
#define PENDING_OF(lock) ((struct robust_list *)((char *)&(lock)->word + 32))

#define SPIN_ROUNDS 100 /* 2 us: a holder copies at most 4 KiB most of the time */

/*
 * Who has slept can't know whether others still do: it was woken as one of several perhaps, and the
 * bit went with the release that woke it. So from then on it takes the lock with the bit set,
 * however it gets it in the end; at worst one wake-up goes to nobody. Not inlined: the fast path
 * would save registers for it.
 */
__attribute__((noinline)) static void acquire_slowly(struct emu_task *self, struct lock *lock)
{
    uint32_t sleepers = 0;

    for (int round = 0;; round++) {
        uint32_t seen = atomic_load_explicit(&lock->word, memory_order_relaxed);

        if ((seen & FUTEX_TID_MASK) == 0 || (seen & FUTEX_OWNER_DIED)) {
            uint32_t mine = self->tid | (seen & FUTEX_WAITERS) | sleepers;

            if (atomic_compare_exchange_weak_explicit(&lock->word, &seen, mine,
                                                      memory_order_acquire, memory_order_relaxed)) {
                return;
            }
        } else if (round < SPIN_ROUNDS) {
            __builtin_ia32_pause();
        } else if ((seen & FUTEX_WAITERS) || atomic_compare_exchange_weak_explicit(
                                                 &lock->word, &seen, seen | FUTEX_WAITERS,
                                                 memory_order_relaxed, memory_order_relaxed)) {
            host_futex_wait(&lock->word, seen | FUTEX_WAITERS, 0);
            sleepers = FUTEX_WAITERS;
        }
    }
}

void lock_acquire(struct emu_task *self, struct lock *lock)
{
    uint32_t free = 0;

    EMU_DEBUG_ASSERT(self->lock_held == NULL);
    self->robust_saved = self->robust->list_op_pending;
    self->lock_held = lock;
    atomic_signal_fence(memory_order_seq_cst);
    self->robust->list_op_pending = PENDING_OF(lock);
    atomic_signal_fence(memory_order_seq_cst);
    if (EMU_UNLIKELY(!atomic_compare_exchange_strong_explicit(
            &lock->word, &free, self->tid, memory_order_acquire, memory_order_relaxed))) {
        acquire_slowly(self, lock);
    }
}

void lock_release(struct emu_task *self, struct lock *lock)
{
    uint32_t before;

    EMU_DEBUG_ASSERT(self->lock_held == lock);
    before = atomic_exchange_explicit(&lock->word, 0, memory_order_release);
    if (EMU_UNLIKELY(before & FUTEX_WAITERS)) {
        host_futex_wake(&lock->word, 1);
    }
    atomic_signal_fence(memory_order_seq_cst);
    self->robust->list_op_pending = self->robust_saved;
    self->lock_held = NULL;
}

/*
 * While the word is waited for and taken, list_op_pending names it as with any lock; then it goes
 * to the head of the list, and list_op_pending is free for the next.
 */
void outer_lock_acquire(struct emu_task *self, struct outer_lock *outer)
{
    lock_acquire(self, &outer->lock);
    outer->next = self->robust->list.next;
    atomic_signal_fence(memory_order_seq_cst);
    self->robust->list.next = PENDING_OF(&outer->lock);
    atomic_signal_fence(memory_order_seq_cst);
    self->robust->list_op_pending = self->robust_saved;
    self->lock_held = NULL;
}

void outer_lock_release(struct emu_task *self, struct outer_lock *outer)
{
    EMU_DEBUG_ASSERT(self->lock_held == NULL);
    self->robust_saved = self->robust->list_op_pending;
    self->lock_held = &outer->lock;
    self->robust->list_op_pending = PENDING_OF(&outer->lock);
    atomic_signal_fence(memory_order_seq_cst);
    self->robust->list.next = outer->next;
    atomic_signal_fence(memory_order_seq_cst);
    lock_release(self, &outer->lock);
}

bool lock_is_mine(const struct emu_task *self, const struct lock *lock)
{
    return (atomic_load_explicit(&lock->word, memory_order_relaxed) & FUTEX_TID_MASK) == self->tid;
}
