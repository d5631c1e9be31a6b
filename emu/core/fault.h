/*
 * fault.h - disturbances that Linux may bring about itself, chosen by a seed
 *
 * --faults=legal makes a run as unkind as Linux can be, without breaking a promise of its: calls
 * take longer, new objects are smaller, a signal with a handler interrupts a wait. No byte is lost
 * or repeated by any of it. --faults=harsh does so more often.
 *
 * Every task draws from a sequence of its own, which the seed, the place of its process in the tree
 * and its number in the process determine. So a run with the same seed does the same to each task,
 * as far as the task makes the same calls; what the machine adds by itself isn't repeated.
 *
 *   pause      before and after a call: another task goes first. Linux: preemption
 *   interrupt  EINTR in a call that waits, where a handler is installed that would do so.
 *              Linux: signal(7), "Interruption of system calls"
 *   sizes      of a new pipe (F_SETPIPE_SZ, or a user beyond pipe-user-pages-soft), socket
 *              (SO_SNDBUF, or net.core.wmem_default) and backlog (net.core.somaxconn)
 */
#ifndef EMU_FAULT_H
#define EMU_FAULT_H

#include "arena.h"
#include "emu.h"

static inline bool fault_on(const struct emu_task *self)
{
    return EMU_UNLIKELY(self->process->options.faults != EMU_FAULTS_NONE);
}

/* Whether a wait that is about to begin ends with EINTR. `restarts`: SA_RESTART would prevent it.
 */
bool fault_interrupt(struct emu_task *self, bool restarts);

/* Bytes of a new pipe, and SO_SNDBUF of a new socket, as an option would say; 0: as usual. */
uint32_t fault_pipe_capacity(struct emu_task *self);
uint32_t fault_send_buffer(struct emu_task *self);

/* What becomes of a backlog that the guest asks for. */
int fault_backlog(struct emu_task *self, int backlog);

/* The place in the tree of a process that `parent` makes next (NULL: the first of a session). */
uint64_t fault_place_of_child(struct emu_process *parent);

#endif
