/*
 * run_watch.h - what `sockrig run` does while PROG runs
 */
#ifndef CLI_RUN_WATCH_H
#define CLI_RUN_WATCH_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "emu.h"

#include "run_session.h"
#include "waits/lookout.h"
#include "watcher.h"

struct run_watch {
    struct emu_task *self;
    pid_t child;
    int signals; /* signalfd of run_watch_signals(), non-blocking */
    int bell;    /* reading end of the pipe that members ring when they join, non-blocking */
    struct run_session *session;
    struct watcher *watcher; /* claimed */
    uint64_t limit_ns;       /* how long the child may run, 0: for ever */
    bool deadlocks;          /* look for them */
    uint64_t hang_ns;        /* and for so long a time in which nothing moves, 0: not */
    /* called when that was found: true when all are to be ended */
    bool (*stuck)(void *, struct lookout *, enum waits_cause);
    void (*time_up)(void *); /* called when that is over, before all are ended; with `context` */
    void (*removed)(void *); /* called when somebody removes the session, before the same */
    bool (*left)(void *);    /* called at each event when the child has ended: true while processes
                                are left to be waited for */
    int (*ended)(void *);    /* called when nobody is left: a pidfd, until whose end the watch
                                goes on; -1: none */
    void (*hurry)(void *, int); /* called when a signal comes after the child's end */
    void *context;
};

#define RUN_WATCH_TIME_UP INT_MIN       /* the time was up; the run's processes are gone */
#define RUN_WATCH_STUCK   (INT_MIN + 1) /* `stuck` said so; they are gone as well */

/* The signals that must be blocked, and come through the signalfd. */
void run_watch_signals(sigset_t *ret_signals);

/*
 * Waits for the child to end, and for what `ended` names. Meanwhile passes signals on to it, stops
 * when it stops, answers those who ask for the session, and, as its watcher, sweeps each member of
 * it that dies, which wakes those who wait for it.
 *
 * Requires: an attached session.
 * Returns the child's wait status; RUN_WATCH_TIME_UP; RUN_WATCH_STUCK; or -errno: it can't be
 * watched.
 */
int run_watch(const struct run_watch *watch);

#endif
