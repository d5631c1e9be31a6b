/*
 * Proves: a pipe that a thread opens while another one forks works in the child when the child has
 * both of its ends, whatever the parent does to its own numbers meanwhile. Linux copies descriptors
 * before memory (kernel/fork.c:copy_process), so a number that is seen may not be there yet.
 *
 * Rows: 2.2 "Write of n>0 bytes"
 */
#include "guest.h"

#include <sys/stat.h>

enum { OPENERS = 3, FORKS = 150, HELD = 8 };

static atomic_int stop;
static _Atomic uint64_t open_now[OPENERS]; /* both numbers while they are open, else 0 */

static void *open_and_close(void *argument)
{
    int number = (int)(intptr_t)argument;
    int fds[2];

    while (!atomic_load(&stop)) {
        guest_pipe(fds);
        atomic_store(&open_now[number], (uint64_t)fds[0] << 32 | (uint64_t)fds[1]);
        for (int i = 0; i < HELD; i++) {
            sched_yield(); /* so that about every second fork finds it open */
        }
        atomic_store(&open_now[number], 0);
        guest_close_both(fds);
    }
    return NULL;
}

static bool is_one_pipe(const int fds[2])
{
    struct stat ends[2];

    return fstat(fds[0], &ends[0]) == 0 && fstat(fds[1], &ends[1]) == 0 &&
           S_ISFIFO(ends[0].st_mode) && ends[0].st_ino == ends[1].st_ino;
}

static int look_at_inherited(void)
{
    int seen = 0;

    for (int i = 0; i < OPENERS; i++) {
        uint64_t both = atomic_load(&open_now[i]);
        int fds[2] = { (int)(both >> 32), (int)(both & 0xffffffffu) };
        char byte = 0;

        if (both == 0 || !is_one_pipe(fds)) {
            continue;
        }
        CHECK_EQ(1, write(fds[1], "x", 1));
        CHECK_EQ(1, read(fds[0], &byte, 1));
        CHECK_EQ('x', byte);
        CHECK_OK(close(fds[1]));
        CHECK_EQ(0, read(fds[0], &byte, 1));
        CHECK_OK(close(fds[0]));
        seen++;
    }
    return seen;
}

int main(void)
{
    struct guest_thread openers[OPENERS];
    int seen = 0;

    guest_start();
    for (int i = 0; i < OPENERS; i++) {
        guest_thread_start(&openers[i], open_and_close, (void *)(intptr_t)i);
    }
    for (int i = 0; i < FORKS || (seen == 0 && i < 20 * FORKS); i++) {
        pid_t child = guest_fork();
        int status;

        if (child == 0) {
            exit(10 + look_at_inherited());
        }
        status = guest_wait(child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) >= 10);
        seen += WEXITSTATUS(status) - 10;
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < OPENERS; i++) {
        guest_thread_join(&openers[i]);
    }
    CHECK(seen > 0); /* at least once there was something to look at */
    return guest_end();
}
