/*
 * Proves: what other threads do to a set while one sleeps in it: ADD and MOD of a ready end wake
 * it, of an unready one don't, but count from then on; DEL and the last close take an entry away
 * without waking; closing the instance's own number neither wakes the sleeper nor ends the set.
 *
 * Rows: 6.4 "ADD and MOD test readiness immediately", 6.4 "When the last reference closes, the
 * entry vanishes", 6.4 "The key is (fd number, open file description)"
 */
#include <sys/epoll.h>

#include "guest.h"

enum kind { PIPE, STREAM, SEQPACKET, KINDS };

/* A set with a sleeper, and two ends that may be in it. */
static struct sleeper {
    struct guest_thread thread;
    int epoll;
    int fds[2], more[2];
    int got_fd; /* what the sleeper heard of */
    uint32_t got_events;
} set;

static void open_kind(enum kind kind, int fds[2])
{
    if (kind == PIPE) {
        guest_pipe(fds);
    } else {
        guest_pair(kind == STREAM ? SOCK_STREAM : SOCK_SEQPACKET, fds);
    }
}

static void ctl(int op, int fd, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.fd = fd };
    CHECK_OK(epoll_ctl(set.epoll, op, fd, &event));
}

static void *sleep_in_set(void *argument)
{
    struct epoll_event event;
    (void)argument;
    CHECK_EQ(1, epoll_wait(set.epoll, &event, 1, -1));
    set.got_fd = event.data.fd;
    set.got_events = event.events;
    return NULL;
}

static void fall_asleep(void)
{
    guest_thread_start(&set.thread, sleep_in_set, NULL);
    guest_thread_blocked(&set.thread);
}

static void check_still_asleep(void)
{
    guest_thread_blocked(&set.thread);
}

static void check_woken(int fd, uint32_t events)
{
    guest_thread_join(&set.thread);
    CHECK_EQ(fd, set.got_fd);
    CHECK_EQ(events, set.got_events);
}

static void open_set(enum kind kind, enum kind other)
{
    set.epoll = (int)CHECK_OK(epoll_create1(0));
    open_kind(kind, set.fds);
    open_kind(other, set.more);
}

static void close_set(void)
{
    CHECK_OK(close(set.epoll));
    guest_close_both(set.fds);
    guest_close_both(set.more);
}

/* The sleeper's set is empty at first. */
static void added_ready(enum kind kind, enum kind other)
{
    open_set(kind, other);
    CHECK_EQ(1, write(set.fds[1], "x", 1));
    fall_asleep();
    ctl(EPOLL_CTL_ADD, set.fds[0], EPOLLIN | EPOLLET);
    check_woken(set.fds[0], EPOLLIN);
    close_set();
}

static void added_unready(enum kind kind, enum kind other)
{
    open_set(kind, other);
    ctl(EPOLL_CTL_ADD, set.more[0], EPOLLIN);
    fall_asleep();
    ctl(EPOLL_CTL_ADD, set.fds[0], EPOLLIN);
    check_still_asleep();
    CHECK_EQ(1, write(set.fds[1], "x", 1));
    check_woken(set.fds[0], EPOLLIN);
    close_set();
}

static void modified(enum kind kind, enum kind other)
{
    open_set(kind, other);
    ctl(EPOLL_CTL_ADD, set.fds[0], EPOLLPRI);
    ctl(EPOLL_CTL_ADD, set.more[0], EPOLLIN);
    fall_asleep();
    CHECK_EQ(1, write(set.fds[1], "x", 1));
    check_still_asleep();
    ctl(EPOLL_CTL_MOD, set.fds[0], EPOLLIN);
    check_woken(set.fds[0], EPOLLIN);
    ctl(EPOLL_CTL_MOD, set.fds[0], EPOLLPRI);
    fall_asleep();
    ctl(EPOLL_CTL_MOD, set.more[0], EPOLLPRI); /* takes back what the sleeper waited for */
    CHECK_EQ(1, write(set.more[1], "x", 1));
    check_still_asleep();
    ctl(EPOLL_CTL_MOD, set.fds[0], EPOLLIN);
    check_woken(set.fds[0], EPOLLIN);
    close_set();
}

static void deleted(enum kind kind, enum kind other)
{
    open_set(kind, other);
    ctl(EPOLL_CTL_ADD, set.fds[0], EPOLLIN);
    ctl(EPOLL_CTL_ADD, set.more[0], EPOLLIN);
    fall_asleep();
    ctl(EPOLL_CTL_DEL, set.fds[0], 0);
    CHECK_EQ(1, write(set.fds[1], "x", 1));
    check_still_asleep();
    CHECK_EQ(1, write(set.more[1], "x", 1));
    check_woken(set.more[0], EPOLLIN);
    close_set();
}

/* The last close isn't told; the other entry still wakes. */
static void closed(enum kind kind, enum kind other)
{
    open_set(kind, other);
    ctl(EPOLL_CTL_ADD, set.fds[0], EPOLLIN);
    ctl(EPOLL_CTL_ADD, set.more[0], EPOLLIN);
    fall_asleep();
    CHECK_OK(close(set.fds[0]));
    check_still_asleep();
    CHECK_OK(close(set.fds[1]));
    check_still_asleep();
    CHECK_EQ(1, write(set.more[1], "x", 1));
    check_woken(set.more[0], EPOLLIN);
    CHECK_OK(close(set.epoll));
    guest_close_both(set.more);
}

/* While a dup lives the entry stays armed for the sleeper, under the number that is gone. */
static void closed_number(enum kind kind, enum kind other)
{
    open_set(kind, other);
    int copy = (int)CHECK_OK(dup(set.fds[0])), number = set.fds[0];
    ctl(EPOLL_CTL_ADD, number, EPOLLIN);
    fall_asleep();
    CHECK_OK(close(number));
    check_still_asleep();
    CHECK_EQ(1, write(set.fds[1], "x", 1));
    check_woken(number, EPOLLIN);
    set.fds[0] = copy;
    close_set();
}

/* The sleeper holds the instance: it sleeps on, hears of events, and can't come back. */
static void closed_instance(enum kind kind, enum kind other)
{
    open_set(kind, other);
    ctl(EPOLL_CTL_ADD, set.fds[0], EPOLLIN);
    fall_asleep();
    int number = set.epoll;
    CHECK_OK(close(number));
    check_still_asleep();
    int next = (int)CHECK_OK(epoll_create1(0)); /* the number is free and used for another */
    CHECK_EQ(number, next);
    CHECK_EQ(1, write(set.fds[1], "x", 1));
    check_woken(set.fds[0], EPOLLIN);
    struct epoll_event event;
    CHECK_EQ(0, epoll_wait(next, &event, 1, 0));
    close_set();
}

/* The same, and the ends are closed, too: the sleeper is woken by nothing but its signal. */
static void *sleep_till_signal(void *argument)
{
    struct epoll_event event;
    (void)argument;
    CHECK_ERR(EINTR, epoll_wait(set.epoll, &event, 1, -1));
    CHECK_ERR(EBADF, epoll_wait(set.epoll, &event, 1, -1));
    return NULL;
}

static void closed_everything(enum kind kind, enum kind other)
{
    open_set(kind, other);
    ctl(EPOLL_CTL_ADD, set.fds[0], EPOLLIN);
    guest_count_signal(SIGUSR1, SA_RESTART);
    guest_thread_start(&set.thread, sleep_till_signal, NULL);
    guest_thread_blocked(&set.thread);
    CHECK_OK(close(set.epoll));
    guest_close_both(set.fds);
    guest_close_both(set.more);
    check_still_asleep();
    CHECK_ZERO(pthread_kill(set.thread.pthread, SIGUSR1));
    guest_thread_join(&set.thread);
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGUSR1]));
}

int main(void)
{
    guest_start();
    for (int i = 0; i < KINDS * KINDS; i++) {
        enum kind kind = (enum kind)(i / KINDS), other = (enum kind)(i % KINDS);
        added_ready(kind, other);
        added_unready(kind, other);
        modified(kind, other);
        deleted(kind, other);
        closed(kind, other);
        closed_number(kind, other);
        closed_instance(kind, other);
        closed_everything(kind, other);
    }
    return guest_end();
}
