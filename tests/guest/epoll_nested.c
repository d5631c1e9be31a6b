/*
 * Proves: an epoll instance is readable, for poll, select and an outer instance, when an entry on
 * its ready list is truly ready; level and edge over two and three levels, with sleepers in the
 * outer one, in poll and in select; the end of the inner instance takes the outer's entry away.
 *
 * Rows: 6.1 "Epoll fd itself: IN when its ready list has a truly ready entry", 6.4 "ADD and MOD
 * test readiness immediately", 6.4 "LT: reported on every wait while ready"
 */
#include <sys/epoll.h>

#include "guest.h"

enum kind { PIPE, STREAM, SEQPACKET, KINDS };

static void open_kind(enum kind kind, int fds[2])
{
    if (kind == PIPE) {
        guest_pipe(fds);
    } else {
        guest_pair(kind == STREAM ? SOCK_STREAM : SOCK_SEQPACKET, fds);
    }
}

static void ctl(int epoll, int op, int fd, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.fd = fd };
    CHECK_OK(epoll_ctl(epoll, op, fd, &event));
}

static int watch(int fd, uint32_t events)
{
    int epoll = (int)CHECK_OK(epoll_create1(0));
    ctl(epoll, EPOLL_CTL_ADD, fd, events);
    return epoll;
}

/* The bits of the one event that is there, 0 if none is. */
static uint32_t next_event(int epoll)
{
    struct epoll_event events[2];
    int count = (int)CHECK_OK(epoll_wait(epoll, events, 2, 0));
    CHECK(count <= 1);
    return count == 1 ? events[0].events : 0;
}

static int select_read(int fd)
{
    fd_set set;
    struct timeval zero = { 0, 0 };
    FD_ZERO(&set);
    FD_SET(fd, &set);
    return (int)CHECK_OK(select(fd + 1, &set, NULL, NULL, &zero));
}

/* What an instance is to poll and select. */
static void readable_instance(enum kind kind)
{
    int fds[2];
    char byte;
    open_kind(kind, fds);
    int epoll = watch(fds[0], EPOLLIN);
    const int all = POLLIN | POLLOUT | POLLPRI | POLLRDHUP;
    CHECK_EQ(0, guest_poll(epoll, all, 0));
    CHECK_EQ(0, select_read(epoll));
    CHECK_EQ(1, write(fds[1], "x", 1));
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(POLLIN, guest_poll(epoll, all, 0));
        CHECK_EQ(1, select_read(epoll));
    }
    CHECK_EQ(POLLIN | POLLRDNORM, guest_poll(epoll, POLLIN | POLLRDNORM, 0));
    CHECK_EQ(EPOLLIN, next_event(epoll));
    CHECK_EQ(POLLIN, guest_poll(epoll, all, 0));
    CHECK_EQ(1, read(fds[0], &byte, 1)); /* on the list still, but not ready */
    CHECK_EQ(0, guest_poll(epoll, all, 0));
    CHECK_EQ(0, select_read(epoll));
    ctl(epoll, EPOLL_CTL_MOD, fds[0], EPOLLIN | EPOLLET);
    CHECK_EQ(1, write(fds[1], "y", 1));
    CHECK_EQ(POLLIN, guest_poll(epoll, all, 0)); /* looking doesn't use the edge up */
    CHECK_EQ(POLLIN, guest_poll(epoll, all, 0));
    CHECK_EQ(EPOLLIN, next_event(epoll));
    CHECK_EQ(0, guest_poll(epoll, all, 0)); /* reported: the list is empty though data waits */
    CHECK_EQ(0, select_read(epoll));
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

static void level_over_levels(enum kind kind)
{
    int fds[2];
    char byte;
    open_kind(kind, fds);
    int inner = watch(fds[0], EPOLLIN), middle = watch(inner, EPOLLIN);
    int outer = watch(middle, EPOLLIN | EPOLLOUT);
    CHECK_EQ(0, next_event(outer));
    for (int round = 0; round < 2; round++) {
        CHECK_EQ(1, write(fds[1], "x", 1));
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(EPOLLIN, next_event(outer));
            CHECK_EQ(EPOLLIN, next_event(middle));
            CHECK_EQ(EPOLLIN, next_event(inner));
        }
        CHECK_EQ(1, read(fds[0], &byte, 1));
        CHECK_EQ(0, next_event(outer));
        CHECK_EQ(0, next_event(middle));
        CHECK_EQ(0, next_event(inner));
    }
    CHECK_EQ(1, write(fds[1], "x", 1));
    ctl(inner, EPOLL_CTL_DEL, fds[0], 0);
    CHECK_EQ(0, next_event(outer));
    ctl(inner, EPOLL_CTL_ADD, fds[0], EPOLLIN);
    CHECK_EQ(EPOLLIN, next_event(outer));
    CHECK_OK(close(middle)); /* the outer's entry goes with it */
    CHECK_EQ(0, next_event(outer));
    guest_close_both(fds);
    CHECK_OK(close(inner));
    CHECK_OK(close(outer));
}

/* Each wake-up of the inner instance is an edge of the outer one. */
static void edges_of_an_instance(enum kind kind)
{
    int fds[2];
    char byte;
    open_kind(kind, fds);
    int inner = watch(fds[0], EPOLLIN), outer = watch(inner, EPOLLIN | EPOLLET);
    CHECK_EQ(0, next_event(outer));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(EPOLLIN, next_event(outer));
    CHECK_EQ(0, next_event(outer));
    CHECK_EQ(EPOLLIN, next_event(inner));
    CHECK_EQ(0, next_event(outer));
    CHECK_EQ(1, write(fds[1], "y", 1)); /* again, though it is on the inner list already */
    CHECK_EQ(EPOLLIN, next_event(outer));
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_EQ(0, next_event(outer));
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_EQ(0, next_event(inner));
    CHECK_EQ(1, write(fds[1], "z", 1));
    ctl(outer, EPOLL_CTL_MOD, inner, EPOLLIN | EPOLLONESHOT);
    CHECK_EQ(EPOLLIN, next_event(outer));
    CHECK_EQ(0, next_event(outer));
    ctl(inner, EPOLL_CTL_MOD, fds[0], EPOLLIN); /* ready: a wake-up of the inner one */
    CHECK_EQ(0, next_event(outer));
    ctl(outer, EPOLL_CTL_MOD, inner, EPOLLIN | EPOLLET);
    CHECK_EQ(EPOLLIN, next_event(outer));
    ctl(inner, EPOLL_CTL_MOD, fds[0], EPOLLIN); /* on the list already: no wake-up */
    CHECK_EQ(0, next_event(outer));
    guest_close_both(fds);
    CHECK_OK(close(inner));
    CHECK_OK(close(outer));
}

enum way { BY_EPOLL, BY_POLL, BY_SELECT, WAYS };

struct sleeper {
    enum way way;
    int outer, inner;
};

static void *sleep_on_it(void *argument)
{
    const struct sleeper *sleeper = argument;
    fd_set set;
    struct epoll_event event;
    switch (sleeper->way) {
    case BY_EPOLL:
        CHECK_EQ(1, epoll_wait(sleeper->outer, &event, 1, -1));
        CHECK_EQ(EPOLLIN, event.events);
        CHECK_EQ(sleeper->inner, event.data.fd);
        break;
    case BY_POLL: CHECK_EQ(POLLIN, guest_poll(sleeper->inner, POLLIN, -1)); break;
    default:
        FD_ZERO(&set);
        FD_SET(sleeper->inner, &set);
        CHECK_EQ(1, select(sleeper->inner + 1, &set, NULL, NULL, NULL));
    }
    return NULL;
}

static void sleepers(enum kind kind, enum way way)
{
    int fds[2];
    struct guest_thread thread;
    open_kind(kind, fds);
    int inner = watch(fds[0], EPOLLIN), outer = watch(inner, EPOLLIN);
    struct sleeper sleeper = { .way = way, .outer = outer, .inner = inner };
    guest_thread_start(&thread, sleep_on_it, &sleeper);
    guest_thread_blocked(&thread);
    CHECK_EQ(1, write(fds[1], "x", 1));
    guest_thread_join(&thread);
    char byte;
    CHECK_EQ(1, read(fds[0], &byte, 1));
    ctl(inner, EPOLL_CTL_DEL, fds[0], 0);
    CHECK_EQ(1, write(fds[1], "y", 1));
    guest_thread_start(&thread, sleep_on_it, &sleeper);
    guest_thread_blocked(&thread);
    ctl(inner, EPOLL_CTL_ADD, fds[0], EPOLLIN); /* ready at once: wakes, too */
    guest_thread_join(&thread);
    CHECK_EQ(1, read(fds[0], &byte, 1));
    guest_close_both(fds);
    CHECK_OK(close(inner));
    CHECK_OK(close(outer));
}

/* An end of its own beside the inner instance in the outer one; a real fd inside the inner one. */
static void neighbours(enum kind kind)
{
    int fds[2], tick[2];
    struct epoll_event events[4];
    open_kind(kind, fds);
    guest_pipe(tick);
    int inner = watch(tick[0], EPOLLIN), outer = watch(inner, EPOLLIN);
    ctl(outer, EPOLL_CTL_ADD, fds[0], EPOLLIN);
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(1, epoll_wait(outer, events, 4, 0));
    CHECK_EQ(fds[0], events[0].data.fd);
    CHECK_EQ(1, write(tick[1], "x", 1));
    CHECK_EQ(2, epoll_wait(outer, events, 4, 0));
    CHECK_OK(close(inner));
    CHECK_EQ(1, epoll_wait(outer, events, 4, 0));
    CHECK_EQ(fds[0], events[0].data.fd);
    guest_close_both(fds);
    guest_close_both(tick);
    CHECK_OK(close(outer));
}

int main(void)
{
    guest_start();
    for (int kind = 0; kind < KINDS; kind++) {
        readable_instance((enum kind)kind);
        level_over_levels((enum kind)kind);
        edges_of_an_instance((enum kind)kind);
        for (int way = 0; way < WAYS; way++) {
            sleepers((enum kind)kind, (enum way)way);
        }
        neighbours((enum kind)kind);
    }
    return guest_end();
}
