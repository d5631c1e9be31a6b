/*
 * Proves: poll, ppoll, select and pselect on pipes and sockets fail with EINTR after a handler,
 * with SA_RESTART, too; the sets and revents of the next call are right.
 *
 * Rows: 5.5 "poll, ppoll, select, pselect, epoll_wait"
 */
#include "guest.h"

enum way { BY_POLL, BY_PPOLL, BY_SELECT, BY_PSELECT, WAYS };

struct sleeper {
    enum way way;
    const int *fds;
};

static void *interrupted(void *argument)
{
    const struct sleeper *sleeper = argument;
    struct pollfd entries[] = { { .fd = sleeper->fds[0], .events = POLLIN },
                                { .fd = sleeper->fds[1], .events = POLLIN } };
    const struct timespec long_time = { 20, 0 };
    fd_set set;
    FD_ZERO(&set);
    FD_SET(sleeper->fds[0], &set);
    switch (sleeper->way) {
    case BY_POLL: CHECK_ERR(EINTR, poll(entries, 2, -1)); break;
    case BY_PPOLL: CHECK_ERR(EINTR, ppoll(entries, 2, &long_time, NULL)); break;
    case BY_SELECT:
        CHECK_ERR(EINTR, select(sleeper->fds[0] + 1, &set, NULL, NULL, NULL));
        CHECK(FD_ISSET(sleeper->fds[0], &set)); /* an error leaves the sets alone */
        break;
    default:
        CHECK_ERR(EINTR, pselect(sleeper->fds[0] + 1, &set, NULL, NULL, &long_time, NULL));
        CHECK(FD_ISSET(sleeper->fds[0], &set));
        break;
    }
    CHECK_EQ(0, guest_poll(sleeper->fds[0], POLLIN, 0));
    return NULL;
}

static void with_flags(enum way way, int type, int flags)
{
    int fds[2];
    struct guest_thread thread;
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
    struct sleeper sleeper = { .way = way, .fds = fds };
    guest_count_signal(SIGUSR1, flags);
    guest_thread_start(&thread, interrupted, &sleeper);
    guest_thread_blocked(&thread);
    CHECK_ZERO(pthread_kill(thread.pthread, SIGUSR1));
    guest_thread_join(&thread);
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGUSR1]));
    guest_close_both(fds);
}

int main(void)
{
    static const int types[] = { 0, SOCK_STREAM, SOCK_SEQPACKET };
    guest_start();
    for (int way = 0; way < WAYS; way++) {
        for (int i = 0; i < 3; i++) {
            with_flags((enum way)way, types[i], 0);
            with_flags((enum way)way, types[i], SA_RESTART);
        }
    }
    return guest_end();
}
