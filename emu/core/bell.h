/*
 * bell.h - sleeping in the kernel's poll, and being woken there
 *
 * A task that watches descriptors sleeps in ppoll(2) with them and with its own bell, a socket that
 * any process of the session rings by the name in the task's record. So a wake-up concerns the task
 * that it is meant for and no other, and is made once a sleep.
 *
 * Who can't ring by name (another network namespace, a seccomp filter, no descriptor left for a
 * sender) makes the session mute, once and for good, and rings the session's bell, a FIFO that all
 * members inherit. Sleepers watch it too: while the session isn't mute the FIFO itself, which is
 * empty then, so the first byte reaches all who sleep, and stays; afterwards through an edge-
 * triggered epoll instance of their own, so that nobody has to drain.
 *
 * Invariants: a name that is in a record while its task sleeps is the name of a socket which the
 * task watches. Numbers of ours that turn out to be the guest's are forgotten, never closed, read
 * or written.
 */
#ifndef EMU_BELL_H
#define EMU_BELL_H

#include "arena.h"

/* In the task's record. */
struct bell {
    _Atomic uint32_t state;   /* asleep or not, and above how often the task slept on it */
    _Atomic uint32_t network; /* in which its name is known: host_bell's; 0: unknown */
    _Atomic uint64_t name;    /* of the task's socket, for host_bell_send(); 0: it has none */
};

#define BELL_ROOM 3 /* entries behind the caller's that bell_sleep() needs */

/* What a task sleeps for. */
struct bell_wait {
    const _Atomic uint32_t *word; /* it sleeps only while this ... */
    uint32_t expected;            /* ... is that */
    uint32_t count;
    struct pollfd *fds;   /* `count` entries, and room for BELL_ROOM more; revents are filled in */
    uint64_t deadline_ns; /* CLOCK_MONOTONIC; 0: none */
    const sigset_t *mask; /* in force while it sleeps, or NULL */
    int also;             /* POLLIN here ends the sleep too; -1: nothing. The last of the entries */
};

/*
 * Sleeps until *word differs and bell_wake() was called, an entry is ready, a handler has run, or
 * the deadline. May return earlier. Requires: self has a record, in which `bell` stands.
 * Returns 0, -EINTR, -ETIMEDOUT, -EDEADLK (a fake host), -errno of ppoll. Blocks.
 */
int64_t bell_sleep(struct emu_task *self, struct bell *bell, const struct bell_wait *wait);

/* Makes the task's own bell, if it has none. False: there is no descriptor for it. */
bool bell_ready(struct emu_task *self, struct bell *bell);

/* Whether a task may be asleep on this number, although the guest has closed it. */
bool bell_has_number(int fd);

/*
 * Wakes the task if it sleeps in bell_sleep(). Requires: *word was changed before, and both that
 * and the reading here are sequentially consistent. May be called by anybody, also by a handler in
 * the task's own thread. Returns false when the task doesn't sleep there.
 */
bool bell_wake(struct bell *bell);

/* The task's sleep was left (cancellation, siglongjmp): nobody need ring. */
void bell_leave(struct bell *bell);

/* The task has got its record; it ends. */
void bell_init(struct bell *bell);
void bell_close(struct emu_task *self, struct bell *bell);

/* In a fork's child: the bells of the parent's tasks are closed here. */
void bell_forget_all(void);

#endif
