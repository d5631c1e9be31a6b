/*
 * stuck.h - who of the blocked tasks can never go on: what was seen of each, as deadlock.h wants it
 *
 * Analysed: calls blocked in the emulator on channels whose other ends are known, wait4 and waitid,
 * and futexes (pthread_join, mutexes, conditions, semaphores) without a time-out. Everything else
 * may be ended from outside: a time-out or an armed timer, a descriptor of the kernel's, a listener
 * (whoever comes next connects), a stopped process (somebody may continue it), sigwait and pause.
 * So is a process that waits for data of its own only and has signal handlers: that is how a
 * daemon waits for a signal (self-pipe).
 *
 * Leaves out: that a person could end any wait with a signal.
 */
#ifndef CLI_STUCK_H
#define CLI_STUCK_H

#include "waits/waits.h"

/*
 * Sets `stuck` of the tasks. `before` is an earlier look at the same processes: who has run since
 * isn't stuck, and neither is anybody who waits for it; with it the answer is a proof, since all
 * that are stuck have slept from one look to the other.
 *
 * Returns how many are stuck; 0 when none of them is blocked in the emulator: that is no matter of
 * sockets.
 */
size_t stuck_find(struct waits *waits, const struct waits *before);

#endif
