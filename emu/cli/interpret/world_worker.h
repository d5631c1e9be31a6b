/*
 * world_worker.h - between the kernel's side (world_kernel.c) and its processes (world_worker.c)
 *
 * A task is a thread with a box of orders in shared memory. An order is given by counting `order`
 * up and waking its futex; it is answered by setting `answered` to the same count. `news` counts
 * answers, for the world to sleep on.
 */
#ifndef INTERPRET_WORLD_WORKER_H
#define INTERPRET_WORLD_WORKER_H

#include <stdatomic.h>

#include "interpret/world_inside.h"

enum order { ORDER_CALL, ORDER_FORK, ORDER_THREAD, ORDER_EXEC, ORDER_LEAVE };

struct box {
    _Atomic uint32_t order;    /* a futex */
    _Atomic uint32_t answered; /* the last order that was carried out; the first: it is there */
    _Atomic int32_t pid;
    _Atomic int32_t tid;
    enum order kind;
    uint32_t child; /* FORK, THREAD: whose box the new task has */
    int call;
    uint64_t words[SCRIPT_MAX_ARGUMENTS];
    int expect[WORLD_MAX_NEW];
    size_t expect_count;
    int64_t value;
    _Atomic uint32_t signal_count;
    siginfo_t signals[WORLD_MAX_SIGNALS];
};

struct worker_shared {
    _Atomic uint32_t news;     /* a futex */
    _Atomic uint32_t sleeping; /* the world waits for news */
    _Atomic uint32_t current;  /* whose call it was that was started last */
    int32_t world_pid;
    struct box boxes[WORLD_MAX_TASKS];
};

/* The signals of world_interrupt(). */
#define WORKER_RESTART (SIGRTMAX - 1)
#define WORKER_FINAL   SIGRTMAX
#define WORKER_LEAVE   (SIGRTMAX - 2) /* the thread ends where it is */

/* Sets the handlers, before the first process is made. */
void worker_prepare(struct worker_shared *shared);

/* Makes a process that is this one's child, or, in a worker, its sibling. Returns pid, or -errno.
 */
int worker_fork(uint32_t box);

#endif
