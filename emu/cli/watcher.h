/*
 * watcher.h - which of a session's supervisors watches its members
 *
 * One does, for all. The role is a lock (POSIX, of the process) on the arena's first byte, so the
 * kernel gives it back when its holder dies, however that happens; the others watch the holder's
 * pidfd, and whoever gets the lock next goes on. Where there is none left, a member starts a
 * reaper, which takes the same lock (shim/reaper.c).
 *
 * Invariants: the session's header names a watcher only while that process holds the lock, or is
 * dead. A process drops the lock by closing any descriptor of the arena (fcntl(2)), so it keeps
 * just one once it has claimed.
 *
 * Leaves out: supervisors in different PID namespaces, which can't name each other: the role passes
 * on only when a later one claims it.
 */
#ifndef CLI_WATCHER_H
#define CLI_WATCHER_H

#include <stdbool.h>

struct watcher {
    int bell;  /* writing end of the pipe that members ring when they join */
    bool mine; /* this process is the watcher */
    int pidfd; /* of who else is, -1: not known */
};

/*
 * Tries to become the watcher. After: watcher->mine, or watcher->pidfd is readable when it is time
 * to try again. Requires: an attached session.
 */
void watcher_claim(struct watcher *watcher);

/* Gives the role back. The next one learns of it when this process ends. */
void watcher_release(struct watcher *watcher);

#endif
