/*
 * Proves: when an edge-triggered entry of a socketpair's end reports, for stream and seqpacket:
 * once for each send (two before the wait are one) with all bits true at that moment, not for
 * partial reads; room at every buffer freed below the lower mark; each shutdown, also one's own and
 * repeated, and the close.
 *
 * Rows: 6.4 "ET (EPOLLET): queued by a wake-up, reported once", 6.4 "ADD and MOD test readiness
 * immediately", 6.4 "partial read, data left", 6.4 "more data arrives while not empty", 6.4 "two
 * writes before the wait", 6.4 "peer reads part of an skb / part of a slot", 6.4 "peer frees an skb
 * while charged <= 1/4", 6.4 "writer was full", 6.4 "peer SHUT_WR, then close", 6.4 "own
 * shutdown(), each call even if repeated"
 */
#include <sys/epoll.h>

#include "guest.h"

enum { ALL_BITS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI };

static int watch(int fd, uint32_t events)
{
    int epoll = (int)CHECK_OK(epoll_create1(0));
    struct epoll_event event = { .events = events, .data.fd = fd };
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
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

static void data_edges(int type)
{
    int fds[2];
    char buffer[16];
    guest_pair(type, fds);
    int epoll = watch(fds[0], ALL_BITS | EPOLLET);
    CHECK_EQ(EPOLLOUT, next_event(epoll));
    CHECK_EQ(4, write(fds[1], "abcd", 4));
    CHECK_EQ(EPOLLIN | EPOLLOUT, next_event(epoll)); /* all that is true, not what woke */
    CHECK_EQ(1, write(fds[1], "e", 1));              /* more data arrives while not empty */
    CHECK_EQ(EPOLLIN | EPOLLOUT, next_event(epoll));
    CHECK_EQ(1, write(fds[1], "f", 1)); /* two writes before the wait */
    CHECK_EQ(1, write(fds[1], "g", 1));
    CHECK_EQ(EPOLLIN | EPOLLOUT, next_event(epoll));
    CHECK_EQ(2, recv(fds[0], buffer, 2, MSG_PEEK));
    CHECK_EQ(0, next_event(epoll));
    CHECK_EQ(1, read(fds[0], buffer, 1)); /* partial read, data left */
    CHECK_EQ(0, next_event(epoll));
    CHECK_EQ(2, write(fds[0], "up", 2)); /* one's own write is no edge */
    CHECK_EQ(0, next_event(epoll));
    CHECK_EQ(1, recv(fds[1], buffer, 1, MSG_PEEK));
    CHECK_EQ(0, next_event(epoll));
    CHECK_OK(shutdown(fds[0], SHUT_WR)); /* so that what comes next has one cause alone */
    CHECK_EQ(EPOLLIN | EPOLLOUT, next_event(epoll));
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

/* A send of nothing: no buffer on a stream, a record on a seqpacket. */
static void empty_sends(int type)
{
    int fds[2];
    char byte;
    guest_pair(type, fds);
    int epoll = watch(fds[0], EPOLLIN | EPOLLET);
    CHECK_EQ(0, next_event(epoll));
    CHECK_EQ(0, write(fds[1], "", 0));
    CHECK_EQ(type == SOCK_STREAM ? 0 : EPOLLIN, next_event(epoll));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(EPOLLIN, next_event(epoll));
    CHECK_EQ(type == SOCK_STREAM ? 1 : 0, read(fds[0], &byte, 1));
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

/* Every freed buffer is an OUT event while little is charged; a part of one is not (stream). */
static void freed_buffers(int type)
{
    int fds[2];
    char buffer[16];
    guest_pair(type, fds);
    int epoll = watch(fds[0], EPOLLOUT | EPOLLET);
    CHECK_EQ(EPOLLOUT, next_event(epoll));
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(4, write(fds[0], "abcd", 4));
        CHECK_EQ(0, next_event(epoll));
    }
    if (type == SOCK_STREAM) {
        CHECK_EQ(3, read(fds[1], buffer, 3));
        CHECK_EQ(0, next_event(epoll));
        CHECK_EQ(1, read(fds[1], buffer, 1));
    } else {
        CHECK_EQ(3, read(fds[1], buffer, 3)); /* the rest of the record goes, too */
    }
    CHECK_EQ(EPOLLOUT, next_event(epoll));
    CHECK_EQ(4, read(fds[1], buffer, 4));
    CHECK_EQ(EPOLLOUT, next_event(epoll));
    CHECK_EQ(4, read(fds[1], buffer, 16));
    CHECK_EQ(EPOLLOUT, next_event(epoll));
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

/* Two buffers freed before the wait are one event. */
static void freed_buffers_join(int type)
{
    int fds[2];
    char buffer[16];
    guest_pair(type, fds);
    int epoll = watch(fds[0], EPOLLOUT | EPOLLET);
    CHECK_EQ(EPOLLOUT, next_event(epoll));
    CHECK_EQ(4, write(fds[0], "abcd", 4));
    CHECK_EQ(4, write(fds[0], "efgh", 4));
    CHECK_EQ(4, read(fds[1], buffer, 4));
    CHECK_EQ(4, read(fds[1], buffer, 4));
    CHECK_EQ(EPOLLOUT, next_event(epoll));
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

/* A full writer: chunks of 4096 are freed; above the lower mark (3.7) that is no event. */
static void full_writer(int type)
{
    int fds[2], chunks = 0, events = 0;
    char buffer[4096] = { 0 };
    guest_pair(type, fds);
    guest_set_nonblock(fds[0], true);
    int epoll = watch(fds[0], EPOLLOUT | EPOLLET);
    CHECK_EQ(EPOLLOUT, next_event(epoll));
    while (write(fds[0], buffer, sizeof buffer) == sizeof buffer) {
        chunks++;
    }
    CHECK_EQ(EAGAIN, errno);
    CHECK_EQ(type == SOCK_STREAM ? 44 : 26, chunks);
    CHECK_EQ(0, next_event(epoll));
    for (int i = 0; i < chunks; i++) {
        CHECK_EQ(sizeof buffer, read(fds[1], buffer, sizeof buffer));
        uint32_t bits = next_event(epoll);
        CHECK_EQ(guest_poll(fds[0], POLLOUT, 0), bits);
        events += bits != 0;
    }
    CHECK_EQ(type == SOCK_STREAM ? 11 : 7, events); /* 34 of 44 reads until the first one */
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

static void peer_ends(int type)
{
    int fds[2];
    guest_pair(type, fds);
    int epoll = watch(fds[0], ALL_BITS | EPOLLET);
    CHECK_EQ(EPOLLOUT, next_event(epoll));
    CHECK_OK(shutdown(fds[1], SHUT_WR));
    CHECK_EQ(EPOLLIN | EPOLLOUT | EPOLLRDHUP, next_event(epoll));
    CHECK_OK(shutdown(fds[1], SHUT_WR)); /* repeated: an edge again */
    CHECK_EQ(EPOLLIN | EPOLLOUT | EPOLLRDHUP, next_event(epoll));
    CHECK_OK(close(fds[1]));
    CHECK_EQ(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP, next_event(epoll));
    CHECK_OK(close(fds[0]));
    CHECK_OK(close(epoll));
}

static void peer_shuts_reading(int type)
{
    int fds[2];
    guest_pair(type, fds);
    int epoll = watch(fds[0], ALL_BITS | EPOLLET);
    CHECK_EQ(EPOLLOUT, next_event(epoll));
    CHECK_OK(shutdown(fds[1], SHUT_RD));
    CHECK_EQ(EPOLLOUT, next_event(epoll));
    CHECK_OK(shutdown(fds[1], SHUT_RDWR));
    CHECK_EQ(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP, next_event(epoll));
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

static void own_shutdown(int type)
{
    int fds[2];
    guest_pair(type, fds);
    int epoll = watch(fds[0], ALL_BITS | EPOLLET);
    CHECK_EQ(EPOLLOUT, next_event(epoll));
    for (int i = 0; i < 3; i++) {
        CHECK_OK(shutdown(fds[0], SHUT_WR));
        CHECK_EQ(EPOLLOUT, next_event(epoll));
    }
    for (int i = 0; i < 3; i++) {
        CHECK_OK(shutdown(fds[0], SHUT_RD));
        CHECK_EQ(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP, next_event(epoll));
    }
    CHECK_ERR(EINVAL, shutdown(fds[0], 3));
    CHECK_EQ(0, next_event(epoll));
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

static void reset_and_error(int type)
{
    int fds[2];
    char byte;
    guest_pair(type, fds);
    int epoll = watch(fds[0], EPOLLIN | EPOLLET);
    CHECK_EQ(1, write(fds[0], "x", 1));
    CHECK_OK(close(fds[1]));
    CHECK_EQ(EPOLLIN | EPOLLHUP | EPOLLERR, next_event(epoll));
    CHECK_ERR(ECONNRESET, read(fds[0], &byte, 1));
    CHECK_EQ(0, next_event(epoll));
    CHECK_OK(close(fds[0]));
    CHECK_OK(close(epoll));
}

int main(void)
{
    guest_start();
    const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
    for (int i = 0; i < 2; i++) {
        data_edges(types[i]);
        empty_sends(types[i]);
        freed_buffers(types[i]);
        freed_buffers_join(types[i]);
        full_writer(types[i]);
        peer_ends(types[i]);
        peer_shuts_reading(types[i]);
        own_shutdown(types[i]);
        reset_and_error(types[i]);
    }
    return guest_end();
}
