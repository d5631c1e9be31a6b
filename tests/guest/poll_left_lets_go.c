/*
 * Proves: a poll or select that is left by siglongjmp out of a handler, or by cancellation, holds
 * nothing any more: when its number was closed meanwhile, or is closed then, the other end sees it.
 *
 * Rows: 3.5 "poll() keeps the old file but re-reads the fd table", 5.5 "poll, ppoll, select,
 * pselect, epoll_wait"
 */
#include <setjmp.h>

#include "guest.h"

struct job {
    int fd;
    bool selects;
    sigjmp_buf out;
};

static void wait_for_ever(const struct job *job)
{
    struct pollfd entry = { .fd = job->fd, .events = POLLIN };
    fd_set set;
    FD_ZERO(&set);
    FD_SET(job->fd, &set);
    if (job->selects) {
        select(job->fd + 1, &set, NULL, NULL, NULL);
    } else {
        poll(&entry, 1, -1);
    }
    guest_fail(__FILE__, __LINE__, "wait", "it returned");
}

static _Thread_local struct job *current;

static void jump(int number)
{
    (void)number;
    siglongjmp(current->out, 1);
}

static void *wait_and_jump(void *argument)
{
    current = argument;
    if (sigsetjmp(current->out, 1) == 0) {
        wait_for_ever(current);
    }
    CHECK_EQ(-1, close(current->fd)); /* closed under the call; and a call notices the jump */
    CHECK_EQ(EBADF, errno);
    return NULL;
}

static void *wait_and_die(void *argument)
{
    wait_for_ever(argument);
    return NULL;
}

static void check(bool jumps, bool selects)
{
    int fds[2];
    struct guest_thread thread;
    guest_pair(SOCK_STREAM, fds);
    struct job job = { .fd = fds[0], .selects = selects };
    guest_thread_start(&thread, jumps ? wait_and_jump : wait_and_die, &job);
    guest_thread_blocked(&thread);
    CHECK_OK(close(fds[0]));
    CHECK_EQ(0, guest_poll(fds[1], POLLIN, 0)); /* held by the call */
    if (jumps) {
        CHECK_ZERO(pthread_kill(thread.pthread, SIGUSR1));
    } else {
        CHECK_ZERO(pthread_cancel(thread.pthread));
    }
    guest_thread_join(&thread);
    CHECK_EQ(POLLIN | POLLHUP, guest_poll(fds[1], POLLIN, -1));
    CHECK_OK(close(fds[1]));
}

int main(void)
{
    const struct sigaction action = { .sa_handler = jump };
    guest_start();
    CHECK_OK(sigaction(SIGUSR1, &action, NULL));
    for (int i = 0; i < 4; i++) {
        check(i & 1, i & 2);
    }
    return guest_end();
}
