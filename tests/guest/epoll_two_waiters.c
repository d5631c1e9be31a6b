/*
 * Proves: threads that wait on one instance: an edge wakes one of them; a level that lasts wakes
 * all of them; an edge each serves two; poll on the instance hears of it, too; threads that share
 * the work of a flow of bytes lose none.
 *
 * Rows: 6.4 "LT: reported on every wait while ready", 6.4 "ET (EPOLLET): queued by a wake-up,
 * reported once", 6.4 "sleepers of one instance"
 */
#include <sys/epoll.h>

#include "guest.h"

enum kind { PIPE, STREAM, SEQPACKET, KINDS };
enum { WAITERS = 3, ROUNDS = 2000 };

static struct waiter {
    struct guest_thread thread;
    int epoll;
    int fd;
} waiters[WAITERS];

static void open_kind(enum kind kind, int fds[2])
{
    if (kind == PIPE) {
        guest_pipe(fds);
    } else {
        guest_pair(kind == STREAM ? SOCK_STREAM : SOCK_SEQPACKET, fds);
    }
}

static void add(int epoll, int fd, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.fd = fd };
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

static void *wait_once(void *argument)
{
    struct waiter *waiter = argument;
    struct epoll_event event;
    CHECK_EQ(1, epoll_wait(waiter->epoll, &event, 1, -1));
    CHECK_EQ(EPOLLIN, event.events);
    waiter->fd = event.data.fd;
    return NULL;
}

static void start_waiters(int epoll)
{
    for (int i = 0; i < WAITERS; i++) {
        waiters[i].epoll = epoll;
        waiters[i].fd = -1;
        guest_thread_start(&waiters[i].thread, wait_once, &waiters[i]);
        guest_thread_blocked(&waiters[i].thread);
    }
}

/* Joins one waiter that is through, whichever it is; returns its index. */
static int join_one(int fd)
{
    for (;;) { /* bounded by the deadline */
        for (int i = 0; i < WAITERS; i++) {
            if (waiters[i].epoll >= 0 && atomic_load(&waiters[i].thread.done)) {
                guest_thread_join(&waiters[i].thread);
                waiters[i].epoll = -1;
                CHECK_EQ(fd, waiters[i].fd);
                return i;
            }
        }
        sched_yield();
    }
}

static void check_others_sleep(void)
{
    for (int i = 0; i < WAITERS; i++) {
        if (waiters[i].epoll >= 0) {
            guest_thread_blocked(&waiters[i].thread);
        }
    }
}

static void an_edge_wakes_one(enum kind kind)
{
    int fds[2], epoll = (int)CHECK_OK(epoll_create1(0));
    open_kind(kind, fds);
    add(epoll, fds[0], EPOLLIN | EPOLLET);
    start_waiters(epoll);
    for (int i = 0; i < WAITERS; i++) {
        CHECK_EQ(1, write(fds[1], "x", 1));
        join_one(fds[0]);
        check_others_sleep();
    }
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

static void a_level_wakes_all(enum kind kind)
{
    int fds[2], epoll = (int)CHECK_OK(epoll_create1(0));
    open_kind(kind, fds);
    add(epoll, fds[0], EPOLLIN);
    start_waiters(epoll);
    CHECK_EQ(1, write(fds[1], "x", 1));
    for (int i = 0; i < WAITERS; i++) {
        join_one(fds[0]);
    }
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

/* Two ends become ready, two sleepers get one each; the third sleeps on. */
static void an_end_for_each(enum kind kind)
{
    int fds[2], more[2], epoll = (int)CHECK_OK(epoll_create1(0));
    open_kind(kind, fds);
    open_kind((enum kind)((kind + 1) % KINDS), more);
    add(epoll, fds[0], EPOLLIN | EPOLLET);
    add(epoll, more[0], EPOLLIN | EPOLLET);
    start_waiters(epoll);
    CHECK_EQ(1, write(fds[1], "x", 1));
    join_one(fds[0]);
    CHECK_EQ(1, write(more[1], "x", 1));
    join_one(more[0]);
    check_others_sleep();
    CHECK_EQ(1, write(more[1], "y", 1));
    join_one(more[0]);
    guest_close_both(fds);
    guest_close_both(more);
    CHECK_OK(close(epoll));
}

/* One wait in another thread takes the edge; poll on the instance hears of it, too. */
static void *poll_once(void *argument)
{
    const int *epoll = argument;
    CHECK_EQ(POLLIN, guest_poll(*epoll, POLLIN, -1));
    return NULL;
}

static void pollers_and_waiters(enum kind kind)
{
    int fds[2], epoll = (int)CHECK_OK(epoll_create1(0));
    struct guest_thread poller;
    open_kind(kind, fds);
    add(epoll, fds[0], EPOLLIN);
    guest_thread_start(&poller, poll_once, &epoll);
    guest_thread_blocked(&poller);
    start_waiters(epoll);
    CHECK_EQ(1, write(fds[1], "x", 1));
    guest_thread_join(&poller);
    for (int i = 0; i < WAITERS; i++) {
        join_one(fds[0]);
    }
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

/* Threads share the work of a stream of bytes: each is read by somebody, once. */
static atomic_int bytes_read;

static void *work(void *argument)
{
    const struct waiter *waiter = argument;
    for (;;) {
        struct epoll_event event;
        char buffer[4];
        CHECK_EQ(1, epoll_wait(waiter->epoll, &event, 1, -1));
        ssize_t count;
        while ((count = read(event.data.fd, buffer, sizeof buffer)) > 0) {
            atomic_fetch_add(&bytes_read, (int)count);
        }
        if (count == 0) {
            return NULL; /* the end stays ready (level), the others hear of it, too */
        }
        CHECK_EQ(EAGAIN, errno);
    }
}

/* seqpacket's end-of-file and an empty record look the same; none is sent. */
static void shared_work(enum kind kind, uint32_t events)
{
    int fds[2], epoll = (int)CHECK_OK(epoll_create1(0));
    open_kind(kind, fds);
    guest_set_nonblock(fds[0], true);
    add(epoll, fds[0], events);
    atomic_store(&bytes_read, 0);
    for (int i = 0; i < WAITERS; i++) {
        waiters[i].epoll = epoll;
        guest_thread_start(&waiters[i].thread, work, &waiters[i]);
    }
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_EQ(1, write(fds[1], "x", 1));
    }
    while (atomic_load(&bytes_read) < ROUNDS) { /* bounded by the deadline */
        sched_yield();
    }
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fds[0] };
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_MOD, fds[0], &event)); /* so that all hear of the end */
    CHECK_OK(close(fds[1]));
    for (int i = 0; i < WAITERS; i++) {
        guest_thread_join(&waiters[i].thread);
    }
    CHECK_EQ(ROUNDS, atomic_load(&bytes_read));
    CHECK_OK(close(fds[0]));
    CHECK_OK(close(epoll));
}

int main(void)
{
    guest_start();
    for (int kind = 0; kind < KINDS; kind++) {
        an_edge_wakes_one((enum kind)kind);
        a_level_wakes_all((enum kind)kind);
        an_end_for_each((enum kind)kind);
        pollers_and_waiters((enum kind)kind);
        shared_work((enum kind)kind, EPOLLIN);
        shared_work((enum kind)kind, EPOLLIN | EPOLLET);
    }
    return guest_end();
}
