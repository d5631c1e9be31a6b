/*
 * wait.h - the one place of the emulator that sleeps
 *
 * Every blocked call is the same loop, wait_run(): try, register, try again, sleep. The second try
 * is made after registration, under the object's lock like any other, so whatever happens later
 * finds the waiter.
 *
 * What nobody tells the emulator (a holder was killed, bytes came past the library) shows at the
 * placeholder. Tries are told when they are the last before a sleep, and ask it. A sleep begins on
 * a futex, which is quick to enter and to leave; one that has lasted for EMU_ASK_FIRST_NS asks once
 * more and goes on in the kernel's poll, with the placeholders. It has no time-out but the call's.
 * Real descriptors can be watched in poll alone, so who has some sleeps there from the start.
 */
#ifndef EMU_WAIT_H
#define EMU_WAIT_H

#include "queue.h"

#define WAIT_BLOCK (INT64_MIN + 1) /* a try's answer: not now, see the set */

/* One object that a blocked call waits for. Pointers into the arena. */
struct wait_item {
    struct lock *lock;
    struct wait_queue *queue;
    const _Atomic uint32_t *version; /* changes when the object does: what a spin looks at */
    uint32_t seen;                   /* what it was when the try blocked */
    uint32_t events;
    int peer_cpu; /* where the other side last ran, or -1 */
};

struct wait_set {
    struct wait_item *items; /* caller's */
    uint32_t count;
    uint32_t capacity;
    /*
     * Descriptors that the kernel watches while the task sleeps: placeholders, for what nobody
     * tells the emulator, and real ones. Named by the last try; the caller's array has room for
     * BELL_ROOM more. NULL: there are none, ever.
     */
    struct pollfd *fds;
    uint32_t fd_count;
    uint32_t fd_capacity;
    bool real;         /* some of them the kernel alone can tell about */
    uint64_t until_ns; /* a sleep ends here at the latest, and the call is tried again; 0: never */
    bool deep; /* in: the sleep will be a long one, so all placeholders are asked and named */
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
    /*
     * What a handler is followed by that doesn't end it: Linux makes the call anew. Returns 0, it
     * goes on, or what it ends with. NULL: it goes on.
     */
    int64_t (*again)(const struct emu_task *self, const void *op);
    const sigset_t *mask; /* in force while it sleeps, or NULL */
    /*
     * Says before each sleep what the call waits for: call, count, size, done, timeout_ns, watched
     * and watch, of which it gets zeros and no time-out. NULL: says only that it sleeps.
     */
    void (*describe)(const void *op, const struct wait_set *set, struct task_sleep *ret_sleep);
};

/*
 * Runs the call to its end.
 * Returns the try's answer; -EINTR; -ETIMEDOUT at the deadline; -ENOMEM: no room to wait;
 *         -EDEADLK: the host knows that nothing can wake it (a fake host, the interpreter).
 */
int64_t wait_run(struct emu_task *self, const struct wait_request *request);

/*
 * A system call of the kernel's that may block, and is all that the guest's call has to wait for:
 * handlers run meanwhile, and end or restart it as they would natively. Returns its result or
 * -errno. Requires: no lock.
 */
int64_t wait_in_kernel(struct emu_task *self, long number, const long arguments[6]);

void wait_set_add(struct wait_set *set, struct lock *lock, struct wait_queue *queue,
                  const _Atomic uint32_t *version, int peer_cpu, uint32_t events);

/* The kernel watches fd for `events` meanwhile; fd < 0: nothing happens. */
void wait_set_watch(struct wait_set *set, int fd, short events);

/*
 * Ends what the emulator's own clock ends (arena->header.unanswered says that there is something):
 * connects of AF_VSOCK that nobody answers. Returns when the next one ends, CLOCK_MONOTONIC; 0:
 * none does. Requires: no lock. Defined by vsock.c, which stands above.
 */
uint64_t vsock_expire(struct emu_task *self);

/* Takes back every registration of this task: of calls whose frames are gone. */
void wait_clear(struct emu_task *self);

/* Takes every waiter of a dead process out of the queues. */
void wait_sweep(struct emu_task *self, uint32_t process);

#endif
