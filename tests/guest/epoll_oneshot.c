/*
 * Proves: a one-shot entry reports once and is then silent, for data, room, HUP and ERR alike,
 * until MOD re-arms it, which looks at once; it stays registered meanwhile. Of two threads that
 * wait one alone gets it.
 *
 * Rows: 6.4 "ONESHOT: after one report the mask is cleared to private bits", 6.4 "ADD and MOD test
 * readiness immediately and queue it - also for ET and for a re-armed ONESHOT"
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

static int ctl(int epoll, int op, int fd, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.fd = fd };
    return epoll_ctl(epoll, op, fd, &event);
}

/* The bits of the one event that is there, 0 if none is. */
static uint32_t next_event(int epoll)
{
    struct epoll_event events[2];
    int count = (int)CHECK_OK(epoll_wait(epoll, events, 2, 0));
    CHECK(count <= 1);
    return count == 1 ? events[0].events : 0;
}

static void reports_once(enum kind kind, uint32_t edge)
{
    int fds[2], epoll = (int)CHECK_OK(epoll_create1(0));
    char buffer[8];
    open_kind(kind, fds);
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLONESHOT | edge));
    CHECK_EQ(0, next_event(epoll)); /* nothing reported: still armed */
    CHECK_EQ(1, write(fds[1], "a", 1));
    CHECK_EQ(EPOLLIN, next_event(epoll));
    CHECK_EQ(0, next_event(epoll));
    CHECK_EQ(1, write(fds[1], "b", 1));
    CHECK_EQ(0, next_event(epoll));
    CHECK_ERR(EEXIST, ctl(epoll, EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLONESHOT));
    CHECK_OK(ctl(epoll, EPOLL_CTL_MOD, fds[0], EPOLLIN | EPOLLONESHOT | edge));
    CHECK_EQ(EPOLLIN, next_event(epoll)); /* ready when re-armed */
    CHECK_EQ(0, next_event(epoll));
    CHECK_EQ(1, read(fds[0], buffer, 1));
    CHECK_EQ(1, read(fds[0], buffer, 1));
    CHECK_OK(ctl(epoll, EPOLL_CTL_MOD, fds[0], EPOLLIN | EPOLLONESHOT | edge));
    CHECK_EQ(0, next_event(epoll)); /* armed and not ready */
    CHECK_EQ(1, write(fds[1], "c", 1));
    CHECK_EQ(EPOLLIN, next_event(epoll));
    CHECK_OK(ctl(epoll, EPOLL_CTL_MOD, fds[0], EPOLLIN)); /* without ONESHOT: stays armed */
    CHECK_EQ(EPOLLIN, next_event(epoll));
    CHECK_EQ(EPOLLIN, next_event(epoll));
    CHECK_OK(ctl(epoll, EPOLL_CTL_DEL, fds[0], 0));
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

/* Disarmed, it tells nothing of the end of the other side, not even what is always told. */
static void silent_end(enum kind kind)
{
    int fds[2], epoll = (int)CHECK_OK(epoll_create1(0));
    open_kind(kind, fds);
    const uint32_t end = kind == PIPE ? EPOLLHUP : EPOLLIN | EPOLLHUP;
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLONESHOT));
    CHECK_EQ(1, write(fds[1], "a", 1));
    CHECK_EQ(EPOLLIN, next_event(epoll));
    CHECK_OK(close(fds[1]));
    CHECK_EQ(0, next_event(epoll));
    CHECK_OK(ctl(epoll, EPOLL_CTL_MOD, fds[0], EPOLLONESHOT)); /* a mask of 0, armed */
    CHECK_EQ(EPOLLHUP, next_event(epoll));
    CHECK_EQ(0, next_event(epoll));
    char byte;
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_EQ(0, next_event(epoll));
    CHECK_OK(ctl(epoll, EPOLL_CTL_MOD, fds[0], EPOLLIN | EPOLLONESHOT));
    CHECK_EQ(end, next_event(epoll));
    CHECK_EQ(0, next_event(epoll));
    CHECK_OK(close(fds[0]));
    CHECK_OK(close(epoll));
}

static void silent_error(enum kind kind)
{
    int fds[2], epoll = (int)CHECK_OK(epoll_create1(0));
    open_kind(kind, fds);
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, fds[1], EPOLLOUT | EPOLLONESHOT));
    CHECK_EQ(EPOLLOUT, next_event(epoll));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_OK(close(fds[0])); /* with a byte unread: ERR on all three */
    CHECK_EQ(0, next_event(epoll));
    CHECK_OK(ctl(epoll, EPOLL_CTL_MOD, fds[1], EPOLLOUT | EPOLLONESHOT));
    CHECK_EQ(EPOLLOUT | EPOLLERR | (kind == PIPE ? 0 : EPOLLHUP), next_event(epoll));
    CHECK_EQ(0, next_event(epoll));
    CHECK_OK(close(fds[1]));
    CHECK_OK(close(epoll));
}

/* The pending report of a one-shot entry is taken back when MOD asks for something else. */
static void changed_before_the_wait(enum kind kind)
{
    int fds[2], epoll = (int)CHECK_OK(epoll_create1(0));
    open_kind(kind, fds);
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLONESHOT));
    CHECK_EQ(1, write(fds[1], "a", 1));
    CHECK_OK(ctl(epoll, EPOLL_CTL_MOD, fds[0], EPOLLPRI | EPOLLONESHOT));
    CHECK_EQ(0, next_event(epoll));
    CHECK_OK(ctl(epoll, EPOLL_CTL_MOD, fds[0], EPOLLIN | EPOLLONESHOT));
    CHECK_EQ(EPOLLIN, next_event(epoll));
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

struct waiter {
    int epoll;
    struct guest_thread thread;
    int got_fd;
};

static void *wait_for_one(void *argument)
{
    struct waiter *waiter = argument;
    struct epoll_event event;
    CHECK_EQ(1, epoll_wait(waiter->epoll, &event, 1, -1));
    CHECK_EQ(EPOLLIN, event.events);
    waiter->got_fd = event.data.fd;
    return NULL;
}

/* The one that isn't served sleeps on until another end is ready. */
static void one_of_two_threads(enum kind kind)
{
    int fds[2], more[2], epoll = (int)CHECK_OK(epoll_create1(0));
    struct waiter waiters[2] = { { .epoll = epoll }, { .epoll = epoll } };
    open_kind(kind, fds);
    open_kind(kind, more);
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLONESHOT));
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, more[0], EPOLLIN | EPOLLONESHOT));
    for (int i = 0; i < 2; i++) {
        guest_thread_start(&waiters[i].thread, wait_for_one, &waiters[i]);
        guest_thread_blocked(&waiters[i].thread);
    }
    CHECK_EQ(1, write(fds[1], "a", 1));
    while (!atomic_load(&waiters[0].thread.done) && !atomic_load(&waiters[1].thread.done)) {
        sched_yield(); /* bounded by the deadline */
    }
    int first = atomic_load(&waiters[0].thread.done) ? 0 : 1;
    CHECK_EQ(1, write(fds[1], "b", 1));
    guest_thread_blocked(&waiters[1 - first].thread);
    CHECK_EQ(1, write(more[1], "c", 1));
    for (int i = 0; i < 2; i++) {
        guest_thread_join(&waiters[i].thread);
    }
    CHECK_EQ(fds[0], waiters[first].got_fd);
    CHECK_EQ(more[0], waiters[1 - first].got_fd);
    guest_close_both(fds);
    guest_close_both(more);
    CHECK_OK(close(epoll));
}

int main(void)
{
    guest_start();
    for (int kind = 0; kind < KINDS; kind++) {
        reports_once((enum kind)kind, 0);
        reports_once((enum kind)kind, EPOLLET);
        silent_end((enum kind)kind);
        silent_error((enum kind)kind);
        changed_before_the_wait((enum kind)kind);
        one_of_two_threads((enum kind)kind);
    }
    return guest_end();
}
