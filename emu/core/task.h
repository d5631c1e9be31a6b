/*
 * task.h - the arena's record of a thread: what wakes it and what it is doing
 *
 * A thread gets a record the first time it has to sleep. `wake` counts wake-ups and interruptions;
 * a sleeper reads it, looks at the objects, and sleeps only while it is unchanged, so nothing that
 * happens in between is lost. A scheduler that decides who runs next would stand behind this word.
 */
#ifndef EMU_TASK_H
#define EMU_TASK_H

#include "bell.h"

enum { TASK_FREE, TASK_LIVE, TASK_SWEPT };

#define TASK_WATCHED EMU_BLOCKED_FDS

/* What a blocked call waits for, as it says before each sleep; for who looks on (blocked.c). */
struct task_sleep {
    uint64_t since_ns;  /* when the call slept first (CLOCK_MONOTONIC); 0: the task isn't blocked */
    uint32_t call;      /* enum emu_call_id, as near as the core knows it */
    uint32_t count;     /* descriptors that it looks at */
    uint64_t size;      /* bytes asked for, */
    uint64_t done;      /* ... and moved so far */
    int64_t timeout_ns; /* < 0: none */
    uint64_t frame;     /* of the loop that sleeps: where the guest's stack can be read from */
    uint32_t watched;   /* entries of `watch` */
    uint32_t outside;   /* 1: descriptors that only the kernel can tell about may end it, too */
    struct {
        int32_t fd;
        uint32_t description;
        uint32_t generation;
        uint32_t events; /* POLL* bits that it waits for */
    } watch[TASK_WATCHED];
};
#define TASK_SLEEP_WORDS (sizeof(struct task_sleep) / sizeof(uint64_t))
static_assert(sizeof(struct task_sleep) % sizeof(uint64_t) == 0, "copied by words");

struct task_record {
    _Atomic uint32_t wake;     /* grows; a futex */
    _Atomic uint32_t sleeping; /* 1: somebody sleeps on `wake` in the kernel */
    _Atomic uint32_t state;    /* TASK_* */
    _Atomic uint32_t waiters;  /* index + 1 of the newest of its waiters; links in the waiter */
    _Atomic uint32_t process;  /* slot */
    uint32_t tid;
    _Atomic uint32_t sleep_version; /* odd while the task writes `sleep`, else even */
    uint32_t pad;
    struct bell bell;                         /* it sleeps in poll, and is woken by this */
    _Atomic uint64_t sleep[TASK_SLEEP_WORDS]; /* struct task_sleep; read by anybody */
    uint64_t spare[3];
};
static_assert(sizeof(struct task_record) == 192, "arena.def gives 192");

static inline struct task_record *task_at(uint32_t index)
{
    EMU_DEBUG_ASSERT(index < EMU_MAX_TASKS);
    return (struct task_record *)arena->tasks + index;
}

/* This thread's record, made now when it has none; NULL when the table is full. */
struct task_record *task_record(struct emu_task *self);

/*
 * The task's private memory, grown to `size`; the caller sets self->scratch_busy to false when it
 * is done. NULL when it is in use (by a call that a handler interrupted), or there is no memory.
 */
void *task_scratch(struct emu_task *self, uint64_t size);

/* Says what the task sleeps for, and that it does no longer. Only the task itself may. */
void task_sleep_begin(struct task_record *record, const struct task_sleep *sleep);
void task_sleep_end(struct task_record *record);

/* What the task sleeps for now. False: it doesn't, or it can't be had because it changes. */
bool task_sleep_peek(const struct task_record *record, struct task_sleep *ret_sleep);

/* Counts a wake-up and, when the task sleeps in the kernel, wakes it. Any process may call it. */
void task_wake(uint32_t index);

#endif
