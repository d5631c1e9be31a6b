/*
 * Proves: threads that sleep for long in read and in poll leave no descriptor behind when they end,
 * and none in a child that is forked meanwhile; the child can sleep in poll itself, and be woken.
 *
 * Rows: 3.6 "connected, idle, send buffer ok"
 */
#include <sys/eventfd.h>

#include "guest.h"

enum { THREADS = 8, SETTLE_MS = 30, FROM = 64, TO = 1000 };

static struct sleeper {
    struct guest_thread thread;
    int fds[2];
    int real;
    bool polls;
} sleepers[THREADS];

static void *sleep_in_call(void *argument)
{
    const struct sleeper *sleeper = argument;
    struct pollfd both[2] = { { .fd = sleeper->real, .events = POLLIN },
                              { .fd = sleeper->fds[0], .events = POLLIN } };
    char byte;
    if (sleeper->polls) {
        CHECK_EQ(1, poll(both, 2, -1));
    }
    CHECK_EQ(1, read(sleeper->fds[0], &byte, 1));
    return NULL;
}

/* Numbers that this program never asked for. */
static int count_high(void)
{
    int count = 0;
    for (int fd = FROM; fd < TO; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static void in_child(int go, int high)
{
    struct sleeper own = { .polls = true, .real = sleepers[0].real };
    CHECK_EQ(high, count_high());
    guest_pipe(own.fds);
    guest_thread_start(&own.thread, sleep_in_call, &own);
    guest_thread_blocked(&own.thread);
    CHECK_EQ(1, write(own.fds[1], "x", 1));
    guest_thread_join(&own.thread);
    CHECK_EQ(1, write(go, "x", 1));
    _exit(0);
}

int main(void)
{
    const struct timespec settle = { 0, SETTLE_MS * 1000000 };
    int go[2];
    char byte;
    guest_start();
    guest_pipe(go);
    const int high = count_high();
    for (int i = 0; i < THREADS; i++) {
        sleepers[i].polls = i % 2 == 0;
        sleepers[i].real = (int)CHECK_OK(eventfd(0, 0));
        guest_pipe(sleepers[i].fds);
        guest_thread_start(&sleepers[i].thread, sleep_in_call, &sleepers[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        guest_thread_blocked(&sleepers[i].thread);
    }
    CHECK_OK(nanosleep(&settle, NULL)); /* so that all have slept for long */
    pid_t child = guest_fork();
    if (child == 0) {
        in_child(go[1], high);
    }
    CHECK_EQ(1, read(go[0], &byte, 1));
    guest_wait_exit(child, 0);
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQ(1, write(sleepers[i].fds[1], "x", 1));
        guest_thread_join(&sleepers[i].thread);
        guest_close_both(sleepers[i].fds);
        CHECK_OK(close(sleepers[i].real));
    }
    CHECK(count_high() - high <= 3); /* the process's own, not one a thread */
    guest_close_both(go);
    return guest_end();
}
