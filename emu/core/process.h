/*
 * process.h - the arena's record of a process
 *
 * A record is found by pid, and by the start time where pids were used again. Its index, the slot,
 * is the bit by which descriptions know the process. It is made by the process itself, or by its
 * parent before the child could do so, whichever comes first, under one lock.
 *
 * A dead process is swept: its bits go, its waiters leave the queues, and everybody who waits on
 * what it held is woken, because it may have died between a change and the wake-up.
 */
#ifndef EMU_PROCESS_H
#define EMU_PROCESS_H

#include "fdtab.h"

/*
 * The low byte of `state`. Above it the slot of who sweeps it (12 bits), and a generation (12 bits)
 * that grows with each use of the record, so that a late sweep can't hit its next owner.
 */
enum {
    PROCESS_FREE,
    PROCESS_EXPECTED, /* made by the parent; or joined, but its table isn't rebuilt yet */
    PROCESS_LIVE,     /* its bits are what it refers to */
    PROCESS_SWEPT,    /* being swept */
};

#define PROCESS_KIND(state)       ((state)&0xffu)
#define PROCESS_SWEEPER(state)    ((state) >> 8 & 0xfffu)
#define PROCESS_GENERATION(state) ((state)&0xfff00000u)
static_assert(EMU_MAX_PROCESSES <= 0x1000, "a slot has 12 bits");

struct process_record {
    _Atomic uint32_t state; /* PROCESS_* */
    _Atomic int32_t pid;
    _Atomic uint64_t start; /* host_process_start(), 0: not known yet */
    int32_t parent_pid;     /* who expects it, while pid is 0: when that dies it never comes */
    uint32_t pad;
    uint64_t parent_start;
    _Atomic uint32_t cid; /* of its machine, 0: not said yet */
    uint32_t pad2;
    uint64_t rest[3];
};
static_assert(sizeof(struct process_record) == 64, "arena.def gives 64");

static inline struct process_record *process_at(uint32_t slot)
{
    return (struct process_record *)arena->processes + slot;
}

/* Whoever watches members looks again, if there is somebody. */
void process_ring_watcher(void);

/* Makes every description that this process refers to known by what the kernel knows it by. */
void process_identify_all(struct emu_task *self);

#endif
