/*
 * vigil.h - who sleeps keeps an eye on the session's watcher
 *
 * The watcher (`sockrig run`, or a reaper) wakes those who wait for a process that was killed. It
 * can be killed itself. So who sleeps in poll has a pidfd of it among its descriptors, one for each
 * process, opened at its first long sleep: that costs nothing while the watcher lives, and nobody
 * has to ask by the clock. Who learns that the watcher is gone asks its user for another one
 * (emu_process.unwatched), once; whoever comes next wakes all sleepers, so that they look at it.
 *
 * Invariant: a number that turns out to be the guest's is forgotten, never closed.
 *
 * Leaves out: sleeps of less than EMU_ASK_FIRST_NS, and calls that the kernel serves: who is in
 * such a call learns of it at its next long sleep.
 */
#ifndef EMU_VIGIL_H
#define EMU_VIGIL_H

#include "task.h"

/*
 * Before a sleep in poll: has a pidfd of the watcher, or has asked for another watcher. Requires:
 * no lock; self->critical > 0.
 */
void vigil_keep(struct emu_task *self);

/* What to poll for POLLIN, or -1. */
int vigil_number(void);

/* That number has shown something. */
void vigil_alarm(int number);

/* In a fork's child: the parent's number is closed here. */
void vigil_forget(void);

/* Whether the process has ended, reaped or not; when that can't be told it hasn't. */
bool vigil_has_ended(int32_t pid);

/* Somebody has become the watcher: who sleeps already is woken, to look at it. */
void vigil_announce(void);

#endif
