/*
 * task.h - the arena's record of a thread: what wakes it and what it is doing
 *
 * A thread gets a record the first time it has to sleep. `wake` counts wake-ups and interruptions;
 * a sleeper reads it, looks at the objects, and sleeps only while it is unchanged, so nothing that
 * happens in between is lost. A scheduler that decides who runs next would stand behind this word.
 */
#ifndef EMU_TASK_H
#define EMU_TASK_H

#include "arena.h"

enum { TASK_FREE, TASK_LIVE, TASK_SWEPT };

struct task_record {
    _Atomic uint32_t wake;     /* grows; a futex */
    _Atomic uint32_t sleeping; /* 1: somebody sleeps on `wake` in the kernel */
    _Atomic uint32_t on_bell;  /* 1: ... in poll, and needs the session's bell rung */
    _Atomic uint32_t state;    /* TASK_* */
    _Atomic uint32_t waiters;  /* index + 1 of the newest of its waiters; links in the waiter */
    _Atomic uint32_t process;  /* slot */
    uint32_t tid;
    uint32_t pad;
    uint64_t blocked_since_ns; /* 0: it isn't */
    uint64_t spare[3];
};
static_assert(sizeof(struct task_record) == 64, "arena.def gives 64");

static inline struct task_record *task_at(uint32_t index)
{
    EMU_DEBUG_ASSERT(index < EMU_MAX_TASKS);
    return (struct task_record *)arena->tasks + index;
}

/* This thread's record, made now when it has none; NULL when the table is full. */
struct task_record *task_record(struct emu_task *self);

/* Counts a wake-up and, when the task sleeps in the kernel, wakes it. Any process may call it. */
void task_wake(uint32_t index);

#endif
