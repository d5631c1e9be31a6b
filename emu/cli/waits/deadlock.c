/*
 * deadlock.c - see deadlock.h
 *
 * All blocked tasks are suspects. Who has a waker that is no suspect is none either; until nothing
 * changes. Each round but the last clears one at least, so there are at most `count` rounds.
 */
#include "waits/deadlock.h"

/* True when all that the waker names are suspects (and there is one). */
static bool is_stuck(const struct deadlock_task *tasks, size_t count,
                     const struct deadlock_waker *waker)
{
    bool found = false;

    for (size_t i = 0; i < count; i++) {
        if (tasks[i].pid != waker->pid || (waker->tid != 0 && tasks[i].tid != waker->tid))
            continue;
        if (!tasks[i].stuck)
            return false;
        found = true;
    }
    return found;
}

static bool can_be_woken(const struct deadlock_task *tasks, size_t count,
                         const struct deadlock_task *task, const struct deadlock_waker *wakers)
{
    for (size_t i = 0; i < task->count; i++) {
        if (!is_stuck(tasks, count, &wakers[task->first + i]))
            return true;
    }
    return false;
}

size_t deadlock_find(struct deadlock_task *tasks, size_t count, const struct deadlock_waker *wakers)
{
    size_t stuck = 0;
    bool changed;

    for (size_t i = 0; i < count; i++) {
        tasks[i].stuck = tasks[i].blocked;
        stuck += tasks[i].stuck;
    }
    do {
        changed = false;
        for (size_t i = 0; i < count; i++) {
            if (tasks[i].stuck && can_be_woken(tasks, count, &tasks[i], wakers)) {
                tasks[i].stuck = false;
                stuck--;
                changed = true;
            }
        }
    } while (changed);
    return stuck;
}
