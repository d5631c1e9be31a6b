/*
 * announce.h - making a process known to who watches the session's members
 *
 * The watcher holds a pidfd of each process for whose death somebody may wait: of all that have, or
 * are about to have, a description. Until then a member is silent: its death concerns nobody, and
 * a program that uses no socket starts without waking the watcher. It stands in the table of
 * processes all the same, and the watcher finds it there when it wakes for another reason.
 *
 * Invariant: who holds a description is announced, by itself before it takes the first one, or by
 * the parent that it has it from.
 */
#ifndef EMU_ANNOUNCE_H
#define EMU_ANNOUNCE_H

#include "arena.h"

/* Whoever watches members looks again, if there is somebody. */
void announce_ring(void);

/* The slow part of announce(). */
void announce_process(struct emu_process *process);

/* Before this process takes a description. Requires: it has joined. */
static inline void announce(struct emu_process *process)
{
    if (EMU_UNLIKELY(!atomic_load_explicit(&process->announced, memory_order_relaxed))) {
        announce_process(process);
    }
}

#endif
