/*
 * Proves: when SIGCHLD tells of a child's death, the ends that it alone had are known to be gone: a
 * handler that writes into a pipe (the self-pipe trick) doesn't overtake the hang-up of the child's
 * pipe and socket; epoll_wait, poll and a look from within the handler see all of them at once.
 *
 * Rows: 6.4 "Wake-ups carrying no key"
 */
#include <poll.h>
#include <sys/epoll.h>

#include "guest.h"

enum { ROUNDS = 60, ENDS = 2 };

static int self_pipe[2];
static int from_child[2]; /* a pipe, its writing end the child's */
static int pair[2];       /* pair[1] is the child's */
static volatile sig_atomic_t seen_within;

/* How many of the child's channels are at their end. */
static int ended(void)
{
    struct pollfd fds[ENDS] = { { .fd = from_child[0], .events = POLLIN },
                                { .fd = pair[0], .events = POLLIN } };
    int count = 0;
    poll(fds, ENDS, 0);
    for (int i = 0; i < ENDS; i++) {
        count += (fds[i].revents & POLLHUP) != 0;
    }
    return count;
}

static void on_death(int number)
{
    (void)number;
    seen_within = ended();
    if (write(self_pipe[1], "s", 1) != 1) {
        abort();
    }
}

static pid_t start_child(void)
{
    guest_pipe(from_child);
    guest_pair(SOCK_STREAM, pair);
    pid_t child = guest_fork();
    if (child == 0) {
        for (;;) {
            pause();
        }
    }
    CHECK_OK(close(from_child[1]));
    CHECK_OK(close(pair[1]));
    return child;
}

static void add(int epoll, int fd)
{
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

/* When epoll_wait tells of the self-pipe it has told of the ends, or tells of them with it. */
static void round_of_death(void)
{
    pid_t child = start_child();
    int epoll = (int)CHECK_OK(epoll_create1(0));
    int told = 0;
    bool signalled = false;
    char byte;
    add(epoll, self_pipe[0]);
    add(epoll, from_child[0]);
    add(epoll, pair[0]);
    seen_within = -1;
    CHECK_OK(kill(child, SIGKILL));
    while (!signalled) {
        struct epoll_event events[ENDS + 1];
        int count = epoll_wait(epoll, events, ENDS + 1, 10000);
        CHECK(count > 0 || (count < 0 && errno == EINTR));
        told = 0;
        for (int i = 0; i < count; i++) {
            signalled |= events[i].data.fd == self_pipe[0];
            told += events[i].data.fd != self_pipe[0] && (events[i].events & EPOLLHUP);
        }
    }
    CHECK_EQ(ENDS, told);
    CHECK_EQ(ENDS, seen_within);
    CHECK_EQ(1, read(self_pipe[0], &byte, 1));
    guest_wait_killed(child, SIGKILL);
    CHECK_OK(close(from_child[0]));
    CHECK_OK(close(pair[0]));
    CHECK_OK(close(epoll));
}

int main(void)
{
    struct sigaction action = { .sa_handler = on_death, .sa_flags = SA_RESTART };
    guest_start();
    guest_pipe(self_pipe);
    CHECK_OK(sigaction(SIGCHLD, &action, NULL));
    for (int round = 0; round < ROUNDS; round++) {
        round_of_death();
    }
    action.sa_handler = SIG_DFL;
    CHECK_OK(sigaction(SIGCHLD, &action, NULL));
    guest_close_both(self_pipe);
    return guest_end();
}
