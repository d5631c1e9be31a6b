/*
 * process.h - the arena's record of a process
 *
 * A record is found by pid, and by the process's mark where pids were used again. Its index, the
 * slot, is the bit by which descriptions know the process. It is made by the process itself, or by
 * its parent before the child could do so, whichever comes first, under one lock.
 *
 * A dead process is swept: its bits go, its waiters leave the queues, and everybody who waits on
 * what it held is woken, because it may have died between a change and the wake-up.
 *
 * A record says by its slot who sweeps it, and what is being freed says who frees it. So a watcher
 * has a record too, of its own kind: else one that was killed could not be told from its successor,
 * and two would sweep, and free, one record.
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
    PROCESS_WATCHER,  /* of a process that watches members, and is none: it may sweep */
};

#define PROCESS_KIND(state)       ((state)&0xffu)
#define PROCESS_SWEEPER(state)    ((state) >> 8 & 0xfffu)
#define PROCESS_GENERATION(state) ((state)&0xfff00000u)
#define PROCESS_ONE_GENERATION    0x100000u
static_assert(EMU_MAX_PROCESSES <= 0x1000, "a slot has 12 bits");

struct process_record {
    _Atomic uint32_t state; /* PROCESS_* */
    _Atomic int32_t pid;
    _Atomic uint64_t mark; /* host_process_mark(), 0: not known yet */
    int32_t parent_pid;    /* who expects it, while pid is 0: when that dies it never comes */
    uint32_t pad;
    uint64_t parent_mark;
    _Atomic uint32_t cid;       /* of its machine, 0: not said yet */
    _Atomic uint32_t announced; /* 1: the watcher has been rung for it: announce.h */
    _Atomic uint64_t alarm_ns;  /* ITIMER_REAL will fire then, at the latest; 0: it isn't armed */
    uint64_t place;             /* in the tree: fault.h */
    uint64_t rest[1];
};
static_assert(sizeof(struct process_record) == 64, "arena.def gives 64");

static inline struct process_record *process_at(uint32_t slot)
{
    return (struct process_record *)arena->processes + slot;
}

/* All records that were ever used have smaller slots. */
static inline uint32_t process_slots(void)
{
    return atomic_load_explicit(&arena->header.processes.fresh, memory_order_acquire);
}

/* A member's record: being swept it counts as one until that is done. */
static inline bool process_is_member(uint32_t state)
{
    return PROCESS_KIND(state) != PROCESS_FREE && PROCESS_KIND(state) != PROCESS_WATCHER;
}

/* The record of a member, or ARENA_NONE. */
uint32_t process_find(int32_t pid);

/*
 * A fresh record of that kind, or ARENA_NONE. pid 0 is a child that isn't born yet, which `parent`
 * expects. mark 0: not known yet. parent NULL: there is none, or it doesn't know.
 */
uint32_t process_make(int32_t pid, uint64_t mark, uint32_t kind, struct emu_process *parent);

/* Moves a record that is ours, or whose lock we hold, on. */
static inline void process_set_kind(uint32_t slot, uint32_t kind)
{
    struct process_record *record = process_at(slot);

    atomic_store(&record->state, PROCESS_GENERATION(atomic_load(&record->state)) | kind);
}

/* Clears the slot's bit wherever it stands, and wakes who waits there. */
void process_drop_all(struct emu_task *self, uint32_t slot);

/* Gives the record back. Requires: it is ours, or nobody else's any more. */
void process_free(uint32_t slot);

/*
 * What the slot's process was sweeping, freeing or making goes on in our hands, or is given up:
 * after its death, and of the threads of an image before exec.
 */
void process_take_over(struct emu_task *self, uint32_t slot);

/* Whether the records of two processes with one pid are the same process's, as far as is known. */
static inline bool process_has_mark(uint32_t slot, uint64_t mark)
{
    return !host_marks_differ(atomic_load(&process_at(slot)->mark), mark);
}

/* Forgets a process that was found dead when its record's state was `seen`. */
void process_sweep_slot(struct emu_task *self, uint32_t slot, uint32_t seen);

/* Makes every description that this process refers to known by what the kernel knows it by. */
void process_identify_all(struct emu_task *self);

#endif
