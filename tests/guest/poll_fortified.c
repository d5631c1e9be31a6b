/*
 * Proves: a program compiled with _FORTIFY_SOURCE: __poll_chk, __ppoll_chk, __fdelt_chk and the
 * __read_chk family serve emulated fds, and end the program by abort, with libc's message on
 * stderr, when the object is smaller than the call says. stderr may be an emulated pipe.
 *
 * Rows: 6.2 "nfds > RLIMIT_NOFILE"
 */
#undef _FORTIFY_SOURCE
#define _FORTIFY_SOURCE 2

#include "guest.h"

static int fds[2];
static volatile nfds_t three = 3; /* that the compiler doesn't know */
static volatile int beyond = FD_SETSIZE;
static volatile size_t sixteen = 16;

enum overflow { BY_POLL, BY_PPOLL, BY_FD_SET, BY_FD_ISSET, BY_READ, BY_RECV, BY_RECVFROM, COUNT };

static void within_bounds(void)
{
    struct pollfd entries[3] = { { .fd = fds[0], .events = POLLIN },
                                 { .fd = fds[1], .events = POLLOUT },
                                 { .fd = -1 } };
    const struct timespec now = { 0, 0 };
    char buffer[16];
    fd_set set;
    FD_ZERO(&set);
    FD_SET(beyond - 1, &set);
    CHECK(FD_ISSET(beyond - 1, &set));
    CHECK_EQ(1, poll(entries, three, -1));
    CHECK_EQ(POLLOUT, entries[1].revents);
    CHECK_EQ(1, ppoll(entries, three, &now, NULL));
    CHECK_EQ(3, write(fds[1], "abc", 3));
    CHECK_EQ(2, poll(entries, three, -1));
    CHECK_EQ(3, read(fds[0], buffer, sixteen));
    CHECK_MEM("abc", buffer, 3);
}

/* Ends in __chk_fail() before anything happens to the fds. */
static void overflow(enum overflow by)
{
    struct pollfd entries[2] = { { .fd = fds[0], .events = POLLIN },
                                 { .fd = fds[1], .events = POLLOUT } };
    const struct timespec now = { 0, 0 };
    char buffer[8];
    fd_set set;
    FD_ZERO(&set);
    switch (by) {
    case BY_POLL: (void)poll(entries, three, 0); break;
    case BY_PPOLL: (void)ppoll(entries, three, &now, NULL); break;
    case BY_FD_SET: FD_SET(beyond, &set); break;
    case BY_FD_ISSET: CHECK(!FD_ISSET(beyond, &set)); break;
    case BY_READ: (void)!read(fds[0], buffer, sixteen); break;
    case BY_RECV: (void)!recv(fds[0], buffer, sixteen, 0); break;
    default: (void)!recvfrom(fds[0], buffer, sixteen, 0, NULL, NULL); break;
    }
}

static void is_aborted(enum overflow by)
{
    int errors[2];
    char message[256];
    guest_pipe(errors);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(2, dup2(errors[1], 2));
        CHECK_OK(close(errors[1]));
        overflow(by);
        _exit(0);
    }
    CHECK_OK(close(errors[1]));
    guest_wait_killed(pid, SIGABRT);
    size_t size = guest_read_all(errors[0], message, sizeof message - 1);
    message[size] = '\0';
    CHECK(strncmp(message, "*** ", 4) == 0);
    CHECK(strstr(message, " ***: terminated\n") != NULL);
    CHECK_OK(close(errors[0]));
}

int main(void)
{
    int available;
    guest_start();
    guest_pipe(fds);
    within_bounds();
    CHECK_EQ(3, write(fds[1], "abc", 3));
    for (int by = 0; by < COUNT; by++) {
        if (by == BY_RECV) {
            guest_close_both(fds);
            guest_pair(SOCK_STREAM, fds);
            CHECK_EQ(3, write(fds[1], "abc", 3));
        }
        is_aborted((enum overflow)by);
    }
    CHECK_OK(ioctl(fds[0], FIONREAD, &available));
    CHECK_EQ(3, available);
    guest_close_both(fds);
    return guest_end();
}
