/*
 * Proves: when an edge-triggered entry of a pipe's end reports: once for ADD or MOD when ready, for
 * each write (two before the wait are one), for the last close; not for partial reads; for room
 * only when the first slot of a full ring is freed.
 *
 * Rows: 6.4 "ET (EPOLLET): queued by a wake-up, reported once", 6.4 "ADD and MOD test readiness
 * immediately", 6.4 "partial read, data left", 6.4 "more data arrives while not empty", 6.4 "two
 * writes before the wait", 6.4 "peer reads part of an skb / part of a slot", 6.4 "writer was full",
 * 6.4 "peer SHUT_WR, then close"
 */
#include <sys/epoll.h>

#include "guest.h"

enum { ALL_BITS = EPOLLIN | EPOLLOUT | EPOLLRDHUP };

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

/* The bits of the one event that is there, 0 if none is; after it there's never a second one. */
static uint32_t next_event_at(int line, int epoll)
{
    struct epoll_event events[2], more;
    int count = (int)CHECK_OK(epoll_wait(epoll, events, 2, 0));
    if (count > 1 || epoll_wait(epoll, &more, 1, 0) != 0) {
        guest_fail(__FILE__, line, "edge", "expected one event at most, first count %d, bits %#x",
                   count, events[0].events);
    }
    return count == 1 ? events[0].events : 0;
}

#define next_event(epoll) next_event_at(__LINE__, (epoll))

static void reader_edges(void)
{
    int fds[2];
    char buffer[16];
    guest_pipe(fds);
    int epoll = watch(fds[0], ALL_BITS | EPOLLET);
    CHECK_EQ(0, next_event(epoll));
    CHECK_EQ(4, write(fds[1], "abcd", 4));
    CHECK_EQ(EPOLLIN, next_event(epoll));
    CHECK_EQ(1, read(fds[0], buffer, 1)); /* partial read, data left */
    CHECK_EQ(0, next_event(epoll));
    CHECK_EQ(1, write(fds[1], "e", 1)); /* more data arrives while not empty */
    CHECK_EQ(EPOLLIN, next_event(epoll));
    CHECK_EQ(1, write(fds[1], "f", 1)); /* two writes before the wait */
    CHECK_EQ(1, write(fds[1], "g", 1));
    CHECK_EQ(EPOLLIN, next_event(epoll));
    CHECK_EQ(0, write(fds[1], "", 0)); /* nothing was written */
    CHECK_EQ(0, next_event(epoll));
    CHECK_EQ(6, read(fds[0], buffer, sizeof buffer));
    CHECK_EQ(0, next_event(epoll));
    CHECK_EQ(1, write(fds[1], "h", 1)); /* written and read again before the wait: nothing */
    CHECK_EQ(1, read(fds[0], buffer, 1));
    CHECK_EQ(0, next_event(epoll));
    CHECK_EQ(1, write(fds[1], "i", 1));
    CHECK_EQ(EPOLLIN, next_event(epoll));
    CHECK_OK(close(fds[1]));
    CHECK_EQ(EPOLLIN | EPOLLHUP, next_event(epoll));
    CHECK_EQ(1, read(fds[0], buffer, sizeof buffer));
    CHECK_EQ(0, next_event(epoll));
    CHECK_EQ(0, read(fds[0], buffer, sizeof buffer));
    CHECK_EQ(0, next_event(epoll));
    CHECK_OK(close(fds[0]));
    CHECK_OK(close(epoll));
}

static void writer_edges(void)
{
    int fds[2];
    char *buffer = calloc(1, GUEST_PIPE_SIZE);
    guest_pipe(fds);
    int epoll = watch(fds[1], ALL_BITS | EPOLLET);
    CHECK_EQ(EPOLLOUT, next_event(epoll));
    CHECK_EQ(3 * GUEST_PAGE, write(fds[1], buffer, 3 * GUEST_PAGE));
    CHECK_EQ(0, next_event(epoll)); /* one's own write is no edge */
    CHECK_EQ(100, read(fds[0], buffer, 100));
    CHECK_EQ(2 * GUEST_PAGE, read(fds[0], buffer, 2 * GUEST_PAGE)); /* slots of a ring not full */
    CHECK_EQ(0, next_event(epoll));
    CHECK_EQ(GUEST_PAGE - 100, read(fds[0], buffer, GUEST_PAGE));
    CHECK_EQ(0, next_event(epoll));
    CHECK_EQ(GUEST_PIPE_SIZE, write(fds[1], buffer, GUEST_PIPE_SIZE));
    CHECK_EQ(0, next_event(epoll));
    CHECK_EQ(GUEST_PAGE - 1, read(fds[0], buffer, GUEST_PAGE - 1)); /* part of a slot */
    CHECK_EQ(0, next_event(epoll));
    CHECK_EQ(1, read(fds[0], buffer, 1)); /* the first slot of a full ring */
    CHECK_EQ(EPOLLOUT, next_event(epoll));
    for (int slot = 1; slot < 16; slot++) {
        CHECK_EQ(GUEST_PAGE, read(fds[0], buffer, GUEST_PAGE));
        CHECK_EQ(0, next_event(epoll)); /* none for later slots */
    }
    CHECK_EQ(GUEST_PIPE_SIZE, write(fds[1], buffer, GUEST_PIPE_SIZE));
    CHECK_EQ(GUEST_PIPE_SIZE, read(fds[0], buffer, GUEST_PIPE_SIZE)); /* all of a full ring */
    CHECK_EQ(EPOLLOUT, next_event(epoll));
    CHECK_OK(close(fds[0]));
    CHECK_EQ(EPOLLOUT | EPOLLERR, next_event(epoll));
    CHECK_OK(close(fds[1]));
    CHECK_OK(close(epoll));
    free(buffer);
}

/* A write that fails for want of room is an edge all the same (fs/pipe.c:anon_pipe_write). */
static void failed_writes(void)
{
    int fds[2];
    char *buffer = calloc(1, GUEST_PIPE_SIZE);
    guest_pipe(fds);
    guest_set_nonblock(fds[1], true);
    int epoll = watch(fds[0], EPOLLIN | EPOLLET);
    CHECK_EQ(GUEST_PIPE_SIZE, write(fds[1], buffer, GUEST_PIPE_SIZE));
    CHECK_EQ(EPOLLIN, next_event(epoll));
    CHECK_ERR(EAGAIN, write(fds[1], buffer, 1));
    CHECK_EQ(EPOLLIN, next_event(epoll));
    CHECK_EQ(0, write(fds[1], buffer, 0));
    CHECK_EQ(0, next_event(epoll));
    CHECK_EQ(GUEST_PAGE, read(fds[0], buffer, GUEST_PAGE));
    CHECK_ERR(EFAULT, write(fds[1], guest_bad_pointer(), 1));
    CHECK_EQ(EPOLLIN, next_event(epoll));
    guest_close_both(fds);
    CHECK_OK(close(epoll));
    free(buffer);
}

static void last_close_is_the_edge(void)
{
    int fds[2];
    guest_pipe(fds);
    int copy = (int)CHECK_OK(dup(fds[1])), epoll = watch(fds[0], EPOLLET);
    CHECK_OK(close(fds[1]));
    CHECK_EQ(0, next_event(epoll));
    CHECK_OK(close(copy));
    CHECK_EQ(EPOLLHUP, next_event(epoll));
    CHECK_OK(close(fds[0]));
    CHECK_OK(close(epoll));
}

/* ADD and MOD look at once; MOD re-arms an edge that was reported. */
static void add_and_mod_look(void)
{
    int fds[2];
    guest_pipe(fds);
    CHECK_EQ(1, write(fds[1], "x", 1));
    int epoll = watch(fds[0], EPOLLIN | EPOLLET);
    CHECK_EQ(EPOLLIN, next_event(epoll));
    for (int i = 0; i < 3; i++) {
        ctl(epoll, EPOLL_CTL_MOD, fds[0], EPOLLIN | EPOLLET);
        CHECK_EQ(EPOLLIN, next_event(epoll));
    }
    ctl(epoll, EPOLL_CTL_MOD, fds[0], EPOLLOUT | EPOLLET); /* not what is ready */
    CHECK_EQ(0, next_event(epoll));
    CHECK_EQ(1, write(fds[1], "y", 1)); /* nor what this wake-up is about */
    CHECK_EQ(0, next_event(epoll));
    ctl(epoll, EPOLL_CTL_MOD, fds[0], EPOLLIN); /* level from here on */
    for (int i = 0; i < 3; i++) {
        struct epoll_event event;
        CHECK_EQ(1, epoll_wait(epoll, &event, 1, 0));
        CHECK_EQ(EPOLLIN, event.events);
    }
    ctl(epoll, EPOLL_CTL_MOD, fds[0], EPOLLIN | EPOLLET);
    CHECK_EQ(EPOLLIN, next_event(epoll));
    ctl(epoll, EPOLL_CTL_DEL, fds[0], 0);
    CHECK_EQ(1, write(fds[1], "z", 1));
    CHECK_EQ(0, next_event(epoll));
    ctl(epoll, EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLET);
    CHECK_EQ(EPOLLIN, next_event(epoll));
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

/* A pending edge is not lost when its bits change before the wait: those of that moment count. */
static void bits_of_the_moment(void)
{
    int fds[2];
    char byte;
    guest_pipe(fds);
    int epoll = watch(fds[0], EPOLLIN | EPOLLET);
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_EQ(1, write(fds[1], "y", 1));
    CHECK_OK(close(fds[1]));
    CHECK_EQ(EPOLLIN | EPOLLHUP, next_event(epoll));
    CHECK_OK(close(fds[0]));
    CHECK_OK(close(epoll));
}

int main(void)
{
    guest_start();
    reader_edges();
    writer_edges();
    failed_writes();
    last_close_is_the_edge();
    add_and_mod_look();
    bits_of_the_moment();
    return guest_end();
}
