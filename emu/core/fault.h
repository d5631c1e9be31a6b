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
 *   pause      before and after a call: another task goes first. Linux: preemption. One task in
 *              four is slow: for a while this, and what follows, comes more often to it
 *   linger     the same, more often, after a call that says what is ready: it may be so no more
 *              where others look at it, too. Linux: select(2), BUGS
 *   late       who was woken comes later, and finds more, or less, than what woke it; several are
 *              woken in any order. Linux: the scheduler
 *   rare       before a process ends, and before a handler runs: signals of its kind that come
 *              meanwhile are one
 *   interrupt  EINTR, or a transfer of a part, in a call that waits, where a handler is installed
 *              that would do so. Linux: signal(7), "Interruption of system calls"
 *   sizes      of a new pipe (F_SETPIPE_SZ, or a user beyond pipe-user-pages-soft), socket
 *              (SO_SNDBUF, or net.core.wmem_default) and backlog (net.core.somaxconn): writes move
 *              a part, connects meet a full backlog
 *   pieces     a send over a stream shows its reader each segment by itself: stream.c
 *
 * What only a machine in need, or a peer that dies, brings about is never drawn: ENOMEM, ENOBUFS,
 * EMFILE, ENFILE, ECONNRESET, EPIPE. That is for --inject.
 */
#ifndef EMU_FAULT_H
#define EMU_FAULT_H

#include "arena.h"
#include "emu.h"

static inline bool fault_on(const struct emu_task *self)
{
    return EMU_UNLIKELY(self->process->options.faults != EMU_FAULTS_NONE);
}

/* Now and then: others go first. */
void emu_fault_pause(struct emu_task *self);

/* The same, more often: after what was said to be ready; for who was woken; and before what is rare
 * and brings others to light: the end of a process. */
void fault_linger(struct emu_task *self);
void fault_late(struct emu_task *self);
void fault_rare(struct emu_task *self);

/* A number below `count`. */
uint32_t fault_below(struct emu_task *self, uint32_t count);

/* Draws: true in `chance` of 2^32 cases. */
bool fault_chance(struct emu_task *self, uint32_t chance);

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
