/*
 * waits.h - who waits for what: every thread of the session, and what it is blocked on
 */
#ifndef CLI_WAITS_H
#define CLI_WAITS_H

#include <stdio.h>

#include "blocked.h"
#include "waits/callsite.h"
#include "waits/proc.h"

#define WAITS_CALL    128
#define WAITS_HOLDERS 8 /* of one end that are named */

/* A process that has the other end open. */
struct waits_holder {
    int32_t pid;
    int32_t fd; /* -1: its number isn't known */
    char program[PROC_NAME];
    struct emu_origin origin;    /* how it came to have it */
    char parent[PROC_NAME];      /* the program that made the process, or "" */
    struct callsite_frame place; /* ... where; module "": not known */
};

/* A descriptor that a thread waits for, and who could end that. */
struct waits_end {
    struct emu_blocked_fd fd;
    uint32_t holder_count; /* all of them; 0: nobody has the other end open */
    struct waits_holder holders[WAITS_HOLDERS];
};

enum waits_state {
    WAITS_EMULATED, /* blocked inside the emulator: `blocked` and `ends` hold */
    WAITS_OUTSIDE,  /* blocked in the kernel: `call` says in what, `link` on which file */
    WAITS_RUNS,
    WAITS_STOPPED,
    WAITS_ENDED, /* a process that nobody has waited for */
};

struct waits_task {
    int32_t pid;
    int32_t tid;
    char program[PROC_NAME];
    enum waits_state state;
    char name[CALLSITE_CALL]; /* of the call; "" when it isn't known */
    char call[WAITS_CALL];    /* ... with its arguments */
    char link[PROC_LINK];     /* WAITS_OUTSIDE: what the descriptor leads to, or "" */
    struct proc_call outside; /* WAITS_OUTSIDE */
    uint64_t switches;        /* how often it has left the CPU: the same sleep, the same number */
    bool alarm;               /* a timer of its process is armed, which raises a signal */
    bool stuck;               /* it can never go on: see stuck.h */
    struct callsite site;
    struct emu_blocked blocked;
    uint64_t blocked_ns; /* since when */
    struct waits_end ends[EMU_BLOCKED_FDS];
};

/* Why somebody has looked. */
enum waits_cause {
    WAITS_NONE, /* nobody has */
    WAITS_TIME, /* --timeout */
    WAITS_DEADLOCK,
    WAITS_HANG, /* --hang-timeout: nothing has moved for so long */
};

struct waits {
    enum waits_cause cause;
    uint64_t limit_ns;        /* what --timeout or --hang-timeout said */
    bool brief;               /* names, call sites and numbers of other ends are left out */
    struct waits_task *tasks; /* by pid, then tid */
    size_t count;
    size_t room;
};

/*
 * Looks at `pids` (count): all their threads. `waits` is empty, but for `brief`. Requires: an
 * attached arena. On failure (no memory) the rest is missing.
 */
void waits_collect(struct waits *waits, const int32_t *pids, size_t count);
void waits_fini(struct waits *waits);

/* How many of the tasks run, are blocked, wherever, and can never go on. */
size_t waits_running(const struct waits *waits);
size_t waits_blocked(const struct waits *waits);
size_t waits_stuck(const struct waits *waits);

/* Prints them as text, or as a JSON object. */
void waits_print(const struct waits *waits, FILE *file);
void waits_print_json(const struct waits *waits, FILE *file);

#endif
