/*
 * members.h - the members of a session, each behind a pidfd: what a watcher polls
 *
 * The kernel says who is alive; what is missing when a process dies is somebody who wakes the
 * sleepers. A pidfd becomes readable when the whole process is gone, and the kernel has closed its
 * descriptors by then (kernel/exit.c do_exit: exit_files() comes before exit_notify()), so the
 * placeholders already tell the truth when emu_process_sweep() wakes those who ask them.
 *
 * Leaves out: members in another PID namespace (their pids mean nothing here), and those beyond
 * RLIMIT_NOFILE. Their sleepers are woken by the `wait` of their parents.
 */
#ifndef EMU_MEMBERS_H
#define EMU_MEMBERS_H

#include "bounds.h"
#include "emu.h"

#define MEMBERS_OTHERS 8u /* entries of poll's array that may be the caller's own, at its start */

/* Large. poll's array, and beside it the pids. */
struct members {
    struct pollfd fds[MEMBERS_OTHERS + EMU_MAX_PROCESSES];
    int32_t pids[MEMBERS_OTHERS + EMU_MAX_PROCESSES];
    nfds_t others;    /* entries of the caller's, which it fills in itself */
    nfds_t count;     /* of fds */
    uint32_t changes; /* the session's counter when it was last asked */
};

void members_init(struct members *members, nfds_t others);

/*
 * Finds members that joined since it was last asked, also those that said nothing (announce.h); one
 * that is gone already is swept at once.
 */
void members_find(struct emu_task *self, struct members *members);

/* Sweeps the members whose revents say that they are gone, and forgets them. */
void members_sweep(struct emu_task *self, struct members *members);

/* Closes the pidfds. */
void members_fini(struct members *members);

#endif
