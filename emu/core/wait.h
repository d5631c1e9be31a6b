/*
 * wait.h - queues of sleepers, and the one place of the emulator that sleeps
 *
 * A queue belongs to an object and is guarded by the object's lock. A waiter is a registration of a
 * task in one queue for some events; it stays until the task takes it back, so each event costs as
 * much as there are waiters for it, not as there are objects watched.
 *
 * Every blocked call is the same loop, wait_run(): try, register, try again, sleep. The second try
 * is made after registration, under the object's lock like any other, so whatever happens later
 * finds the waiter. A death that nobody could report is found by asking the placeholder: tries are
 * told when they are the last before a sleep, and ask then.
 */
#ifndef EMU_WAIT_H
#define EMU_WAIT_H

#include "lock.h"
#include "task.h"

#define WAIT_BLOCK (INT64_MIN + 1) /* a try's answer: not now, see the set */

/* Waiters of one object for one side; guarded by the object's lock. */
struct wait_queue {
    _Atomic uint32_t first; /* index + 1 of the newest waiter; 0: nobody waits */
};

struct waiter {
    uint32_t next;         /* in the queue: index + 1; guarded by the object's lock */
    uint32_t task_next;    /* in the task's own list: index + 1 */
    uint32_t task;         /* whom to wake */
    uint32_t queue_offset; /* the queue and the lock that guards it, from the arena's start */
    uint32_t lock_offset;
    uint32_t events;          /* POLL* bits it waits for */
    _Atomic uint32_t process; /* slot of its task's process, for the sweep */
    _Atomic uint32_t linked;
};
static_assert(sizeof(struct waiter) == 32, "arena.def gives 32");

/* One object that a blocked call waits for. Pointers into the arena. */
struct wait_item {
    struct lock *lock;
    struct wait_queue *queue;
    const _Atomic uint32_t *version; /* changes when the object does: what a spin looks at */
    int peer_cpu;                    /* where the other side last ran, or -1 */
    uint32_t events;
};

struct wait_set {
    struct wait_item *items; /* caller's */
    uint32_t count;
    uint32_t capacity;
    bool shared; /* some item's other end may be in another process: it can die unseen */
};

/*
 * One try of a call. Completes (>= 0, -errno, EMU_NATIVE) or answers WAIT_BLOCK and adds what it
 * waits for to `set` (emptied before each try). `last`: the task sleeps next; ask the placeholder.
 */
typedef int64_t (*wait_try)(struct emu_task *self, void *op, struct wait_set *set, bool last);

struct wait_request {
    wait_try try;
    void *op;
    struct wait_set *set;
    uint64_t deadline_ns; /* CLOCK_MONOTONIC; 0: none */
    bool restarts;        /* handlers with SA_RESTART don't end it ... */
    const uint64_t *done; /* ... unless this says that something was moved already; or NULL */
    /* Sleeps for poll, where real descriptors are watched too; NULL: on the wake word. */
    int64_t (*sleep)(struct emu_task *self, struct task_record *record, uint32_t expected,
                     uint64_t deadline_ns, void *op);
};

/*
 * Runs the call to its end.
 * Returns the try's answer; -EINTR; -ETIMEDOUT at the deadline; -ENOMEM: no room to wait;
 *         -EDEADLK: the host knows that nothing can wake it (a fake host, the interpreter).
 */
int64_t wait_run(struct emu_task *self, const struct wait_request *request);

void wait_set_add(struct wait_set *set, struct lock *lock, struct wait_queue *queue,
                  const _Atomic uint32_t *version, int peer_cpu, uint32_t events);

/* Tasks to wake once the lock is released. */
#define WAKE_LIST_MAX 16
struct wake_list {
    uint32_t count;
    uint32_t tasks[WAKE_LIST_MAX];
};

/*
 * Notes the waiters whose events meet `events` (POLL* bits; ERR, HUP and NVAL meet everybody).
 * Requires: the queue's lock. More than the list holds are woken at once.
 */
void wait_notify_locked(struct wait_queue *queue, uint32_t events, struct wake_list *list);

/* Wakes them. Requires: no lock. */
void wake_list_flush(struct wake_list *list);

/* Takes back every registration of this task: of calls whose frames are gone. */
void wait_clear(struct emu_task *self);

/* Waiters in use, by the elements themselves. */
uint32_t wait_count(void);

/* Takes every waiter of a dead process out of the queues. */
void wait_sweep(struct emu_task *self, uint32_t process);

#endif
