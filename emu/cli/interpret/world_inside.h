/*
 * world_inside.h - between world.c (what both sides share) and the two sides
 */
#ifndef INTERPRET_WORLD_INSIDE_H
#define INTERPRET_WORLD_INSIDE_H

#include "interpret/world.h"

#define WORLD_FAULTS_SMALL 24
#define WORLD_FAULTS_LARGE 4
#define WORLD_FAULTS       (WORLD_FAULTS_SMALL + WORLD_FAULTS_LARGE)

struct world_task {
    enum world_state state;
    uint32_t process; /* index of the side's own records */
    int call;
    uint64_t words[SCRIPT_MAX_ARGUMENTS];
    int expect[WORLD_MAX_NEW];
    size_t expect_count;
    struct world_result result;
};

/* What a side does; the functions of world.h by these names. */
struct world_side {
    /* Returns 0, -1 and a message. */
    int (*create)(struct world *world, char *ret_why, size_t why_size);
    void (*destroy)(struct world *world);
    void (*start)(struct world *world, uint32_t task);
    bool (*child)(struct world *world, uint32_t task, uint32_t child, bool thread);
    void (*exit)(struct world *world, uint32_t task, bool group);
    void (*exec)(struct world *world, uint32_t task);
    void (*interrupt)(struct world *world, uint32_t task, bool restart);
    bool (*expire)(struct world *world, uint64_t limit_ns);
    int (*number)(const struct world *world, uint32_t task, int number);
};

struct world_fault {
    uint8_t *end; /* the page that can't be touched begins here */
    size_t room;
    size_t used; /* of the last world_fault(), or 0 */
};

struct world {
    enum side side;
    const struct world_side *functions;
    uint8_t *memory;
    size_t memory_size;
    void *bad_page;
    struct world_fault faults[WORLD_FAULTS];
    uint32_t process_count; /* that live */
    uint32_t task_end;      /* no task from here on was ever made */
    struct world_task tasks[WORLD_MAX_TASKS];
};

extern const struct world_side world_emu;
extern const struct world_side world_kernel;

/* Which signals are caught, by this handler, with SA_SIGINFO and SA_RESTART. */
void world_catch_signals(void (*handler)(int number, siginfo_t *info, void *context));

/* A call of libc's on a bad pointer that libc itself follows: -EFAULT, as the kernel says. */
int64_t world_call_real(int call, const uint64_t *words);

/* For handlers of SIGSEGV and SIGBUS: doesn't return when the fault is in world_call_real(). */
void world_fault_in_libc(void);

/* Notes a signal that a call raised. */
void world_add_signal(struct world_result *result, const siginfo_t *info);

/* How many calls have ended and aren't taken yet. */
size_t world_count_done(const struct world *world);

/* The world can't go on: says so and ends this process with 125. */
__attribute__((format(printf, 1, 2))) _Noreturn void world_break(const char *format, ...);

#endif
