/*
 * world.h - processes and tasks that make calls: virtual ones on the emulator, real ones on the
 * kernel
 *
 * A world is one side of a run, in a process of its own. It begins with one process that has one
 * task, number 0. A task makes one call at a time: world_start() begins it, and returns when the
 * world stands still, that is when no task runs any more: each is idle, done or blocked. So the
 * order of starts is the only order there is, and a run is the same every time.
 *
 * Emulator: all tasks run in this thread, each on a stack of its own; a call that would sleep
 * switches back to who started it, and is resumed when its wake word has changed. All processes of
 * the world are this one process: a fork duplicates the numbers of the parent.
 * Kernel: each process is a child process, each task a thread in it. "Blocked" is read from the
 * kernel: the thread sleeps inside the system call (/proc/PID/task/TID/syscall and stat), not in
 * its wait for an order.
 *
 * Numbers: callers use a process's own descriptor numbers, which the world translates (arguments,
 * pollfd and fd_set, SCM_RIGHTS, results), because virtual processes share one table. A new
 * descriptor gets the lowest number that is free in its process, as in Linux, or the one that
 * world_expect() names.
 * Memory: what arguments point to lies in world_memory(), which all processes see at one address.
 *
 * AF_VSOCK is never made on the kernel's side: the call isn't started, its result is -ENOTSUP and
 * `refused` is set.
 */
#ifndef INTERPRET_WORLD_H
#define INTERPRET_WORLD_H

#include <signal.h>

#include "interpret/script.h"

#define WORLD_MAX_TASKS   256
#define WORLD_MAX_NUMBERS 4096 /* of one process */
#define WORLD_MAX_SIGNALS 64   /* that one call raises */
#define WORLD_MAX_NEW     256  /* descriptors that one call makes: SCM_MAX_FD is 253 */

enum world_state {
    WORLD_NONE,    /* no such task */
    WORLD_IDLE,    /* waits for a call */
    WORLD_BLOCKED, /* in a call that sleeps */
    WORLD_DONE,    /* the call has ended; world_take() */
    WORLD_GONE,    /* it has exited */
};

/* What came of a call. */
struct world_result {
    int64_t value; /* >= 0, or -errno */
    bool native;   /* emulator's side: the kernel served a transfer */
    bool refused;  /* kernel's side: AF_VSOCK */
    bool blocked;  /* it slept at least once */
    size_t signal_count;
    siginfo_t signals[WORLD_MAX_SIGNALS];
};

struct world;

/*
 * Makes the world in this process, which is its own from now on: signals, descriptors from 3 on and
 * limits are changed. `memory_size` bytes of memory for arguments, zeroed, touched where used.
 *
 * Returns NULL and a message in `ret_why` when it can't be made.
 */
struct world *world_create(enum side side, size_t memory_size, char *ret_why, size_t why_size);

/* Ends all processes of the world that are not this one. */
void world_destroy(struct world *world);

void *world_memory(struct world *world);

/* An address that can't be touched, in every process of the world. */
void *world_bad_page(struct world *world);

/*
 * A place for `size` bytes that ends directly in front of such a page; NULL when there is no more
 * room. They are all given back by world_faults_reset(). Requires: no call that uses one is
 * blocked.
 */
void *world_fault(struct world *world, size_t size);
void world_faults_reset(struct world *world);

/*
 * Begins a call (a number of calls.h) and runs the world until it stands still. Until the call is
 * done its memory is its own: numbers in it are translated in place.
 *
 * Requires: the task is idle.
 * After: `task` is done or blocked, and others may have become done.
 */
void world_start(struct world *world, uint32_t task, int call, const uint64_t *words);

/* The numbers that the descriptors made by the task's next call get, in their order. */
void world_expect(struct world *world, uint32_t task, const int *numbers, size_t count);

enum world_state world_task_state(const struct world *world, uint32_t task);

/* Fetches the result of a call that is done; the task is idle afterwards. */
void world_take(struct world *world, uint32_t task, struct world_result *ret_result);

/*
 * fork, and a thread that shares everything with `task`. Returns the new task, idle; its number may
 * be that of one that is gone. UINT32_MAX: no room. Requires: `task` is idle.
 */
uint32_t world_fork(struct world *world, uint32_t task);
uint32_t world_thread(struct world *world, uint32_t task);

/* The task ends; with its process's last one (or `group`) the process does and its numbers close.
 */
void world_exit(struct world *world, uint32_t task, bool group);

/* execve: close-on-exec numbers close, the process's other tasks are gone. */
void world_exec(struct world *world, uint32_t task);

/* A handler ran in the task's blocked call, with or without SA_RESTART. */
void world_interrupt(struct world *world, uint32_t task, bool restart);

/*
 * Lets up to `limit_ns` pass, until a blocked call ends by its time-out. world_start() lets none
 * pass on the emulator, where time is a number; on the kernel it passes by itself.
 *
 * Returns true: a task became done. False: none did, and the time has passed.
 */
bool world_expire(struct world *world, uint64_t limit_ns);

/* The real number behind one of the process's, or -1; and whether the emulator serves it. */
int world_number(const struct world *world, uint32_t task, int number);

#endif
