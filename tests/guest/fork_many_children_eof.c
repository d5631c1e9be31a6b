/*
 * Proves: with many children that hold copies of one pipe, the parent's blocked read ends exactly
 * when the last of them is gone, in whatever way and order they go; the same for writers.
 *
 * Rows: 2.3 "read, empty, no writers", 2.2 "or by loss of readers"
 */
#include "guest.h"

enum { CHILDREN = 30 };

static void child_ends(int number)
{
    switch (number % 4) {
    case 0: _exit(0); break;
    case 1: raise(SIGKILL); break;
    case 2: execl("/bin/true", "true", (char *)NULL); break;
    default: raise(SIGTERM); break;
    }
    _exit(99);
}

static void reap(const pid_t *pids)
{
    for (int i = 0; i < CHILDREN; i++) {
        if (i % 2 == 0) {
            guest_wait_exit(pids[i], 0);
        } else {
            guest_wait_killed(pids[i], i % 4 == 1 ? SIGKILL : SIGTERM);
        }
    }
}

static void all_write_then_end(void)
{
    int fds[2];
    unsigned char seen[CHILDREN] = { 0 }, number;
    pid_t pids[CHILDREN];
    guest_pipe(fds);
    for (int i = 0; i < CHILDREN; i++) {
        pids[i] = guest_fork();
        if (pids[i] == 0) {
            number = (unsigned char)i;
            CHECK_EQ(1, write(fds[1], &number, 1));
            child_ends(i);
        }
    }
    CHECK_OK(close(fds[1]));
    for (int i = 0; i < CHILDREN; i++) {
        CHECK_EQ(1, read(fds[0], &number, 1));
        CHECK(number < CHILDREN && !seen[number]);
        seen[number] = 1;
    }
    CHECK_EQ(0, read(fds[0], &number, 1)); /* blocks until the last one is gone */
    reap(pids);
    CHECK_OK(close(fds[0]));
}

/* A gate keeps them until all are started; its end-of-file releases all of them at once. */
static void all_released_at_once(int type)
{
    int gate[2], fds[2];
    char byte;
    pid_t pids[CHILDREN];
    guest_pipe(gate);
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
    for (int i = 0; i < CHILDREN; i++) {
        pids[i] = guest_fork();
        if (pids[i] == 0) {
            CHECK_OK(close(gate[1]));
            CHECK_OK(close(fds[0]));
            CHECK_EQ(0, read(gate[0], &byte, 1));
            child_ends(i);
        }
    }
    CHECK_OK(close(fds[1]));
    CHECK_OK(close(gate[0]));
    for (int i = 0; i < CHILDREN; i++) {
        guest_process_blocked(pids[i]);
    }
    CHECK_EQ(0, guest_poll(fds[0], POLLIN, 0));
    CHECK_OK(close(gate[1]));
    CHECK_EQ(0, read(fds[0], &byte, 1));
    reap(pids);
    CHECK_OK(close(fds[0]));
}

int main(void)
{
    guest_start();
    all_write_then_end();
    all_released_at_once(0);
    all_released_at_once(SOCK_STREAM);
    return guest_end();
}
