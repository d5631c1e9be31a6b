/*
 * Proves: a blocked read that was left by siglongjmp keeps nothing: when its descriptor is closed
 * then, the writer gets EPIPE, and a reader at the other end of a pair end-of-file.
 *
 * Rows: 2.2 "no reader: EPIPE+SIG", 3.5 "we close, our receive queue empty"
 */
#include <setjmp.h>
#include <sys/time.h>

#include "guest.h"

static sigjmp_buf jump;

static void leave(int signo)
{
    siglongjmp(jump, signo);
}

/* Blocks in read until the alarm takes us out of it. */
static void leave_a_read(int fd)
{
    char byte;

    if (sigsetjmp(jump, 1) == 0) {
        const struct itimerval soon = { .it_value = { .tv_usec = 20000 } };
        CHECK_OK(setitimer(ITIMER_REAL, &soon, NULL));
        CHECK_EQ(-2, read(fd, &byte, 1)); /* doesn't return */
    }
}

int main(void)
{
    int fds[2];
    char byte;

    guest_start();
    guest_on_signal(SIGALRM, leave, 0);
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    guest_pipe(fds);
    leave_a_read(fds[0]);
    CHECK_OK(close(fds[0]));
    CHECK_ERR(EPIPE, write(fds[1], "x", 1));
    CHECK_OK(close(fds[1]));

    guest_pair(SOCK_STREAM, fds);
    leave_a_read(fds[0]);
    CHECK_OK(close(fds[0]));
    CHECK_EQ(0, read(fds[1], &byte, 1));
    CHECK_OK(close(fds[1]));
    return guest_end();
}
