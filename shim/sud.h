/*
 * sud.h - the net that misses nothing: Syscall User Dispatch (--net=sud, --audit)
 *
 * From sud_start() on, every system call of the process that doesn't stand in this library raises
 * SIGSYS: calls inside libc, and those written by hand (rustix, sanitizers). The handler does what
 * syscall(2) does here: it hands the numbers of syscalls.def to their wrappers, and makes all
 * others itself. See sud.c for what can't be made from inside a handler.
 */
#ifndef SHIM_SUD_H
#define SHIM_SUD_H

#include "shim.h"

#include <signal.h>
#include <ucontext.h>

/*
 * Switches it on. Only while there is one thread. Returns 0, or -errno: it is off; ENOEXEC: a
 * program in Go, ENOSYS, EINVAL or EPERM: the kernel, or a filter, doesn't let us.
 */
int sud_start(void);

/* A forked child begins with it off. Call again and again without harm. */
void sud_start_again(void);

/* rt_sigaction(2) of SIGSYS, once it is ours. 0. */
long sud_set_action(const struct sigaction *action, struct sigaction *ret_old);

/*
 * rt_sigprocmask(2) while it is on: SIGSYS stays unblocked, since a blocked one kills, and the
 * guest is told what it asked for. 0 or -errno.
 */
long sud_set_mask(int how, const void *set, void *ret_old, size_t size);

/*
 * Brackets a handler of the guest's: its mask may hold SIGSYS, and it may change the mask of what
 * it interrupted.
 */
void sud_handler_begins(ucontext_t *context);
void sud_handler_ends(ucontext_t *context);

#endif
