/*
 * deadlock.h - which blocked tasks can never go on by themselves
 *
 * A blocked task has wakers: all those who could end its wait, by a call or by ending themselves.
 * It can go on if any of them can (waiting for several descriptors is waiting for any). So the
 * largest set of blocked tasks whose wakers all belong to the set is stuck: nobody in it moves
 * before somebody in it does. Who may be woken from outside (a clock, the kernel's descriptors, a
 * person) isn't `blocked` here, and keeps all from being stuck who wait for it.
 *
 * Pure: what a task waits for is found out elsewhere (stuck.h).
 */
#ifndef CLI_DEADLOCK_H
#define CLI_DEADLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Any task of process `pid`, or with `tid` that one. */
struct deadlock_waker {
    int32_t pid;
    int32_t tid;
};

struct deadlock_task {
    int32_t pid;
    int32_t tid;
    bool blocked; /* ... and only its wakers can end that */
    bool stuck;   /* out */
    size_t first; /* its wakers are so many from here on; none: it is blocked for ever */
    size_t count;
};

/*
 * Sets `stuck` of each task. A waker that is none of the tasks can go on.
 *
 * Returns how many are stuck.
 */
size_t deadlock_find(struct deadlock_task *tasks, size_t count,
                     const struct deadlock_waker *wakers);

#endif
