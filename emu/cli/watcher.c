/*
 * watcher.c - see watcher.h
 */
#include "watcher.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "emu.h"

#define CLAIM_ROUNDS 100 /* the holder may die between the question and the look at it */

/* Takes the lock: 0, or the pid of who has it (< 0: it can't be named here). */
static pid_t take_lock(void)
{
    const int arena = emu_session_hidden().arena;
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };

    if (fcntl(arena, F_SETLK, &lock) == 0)
        return 0;
    if (fcntl(arena, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0)
        return lock.l_pid;
    return -1;
}

void watcher_claim(struct watcher *watcher)
{
    if (watcher->pidfd >= 0)
        close(watcher->pidfd);
    watcher->pidfd = -1;
    for (int round = 0; round < CLAIM_ROUNDS; round++) {
        const pid_t holder = take_lock();

        if (holder == 0) {
            watcher->mine = true;
            emu_session_set_watcher(getpid(), watcher->bell);
            return;
        }
        if (holder < 0)
            continue;
        watcher->pidfd = (int)syscall(SYS_pidfd_open, holder, 0);
        if (watcher->pidfd >= 0 || errno != ESRCH)
            return;
    }
}

void watcher_release(struct watcher *watcher)
{
    if (watcher->mine)
        emu_session_set_watcher(0, -1);
    watcher->mine = false;
    if (watcher->pidfd >= 0)
        close(watcher->pidfd);
    watcher->pidfd = -1;
}
