/*
 * Proves: what an epoll set keeps while descriptors travel in messages and nobody has a number for
 * them: the entry of an end in flight stays armed, and goes when the message is dropped; the only
 * reference of an instance in flight keeps its entries.
 *
 * Rows: 6.4 "When the last reference closes, the entry vanishes", 6.4 "Closing a registered fd
 * while a dup"
 */
#include <sys/epoll.h>

#include "message.h"

#define ROOM CMSG_SPACE(sizeof(int) * 4)

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

/* The one fd that is reported with input now; -1: none. */
static int next_fd(int epoll)
{
    struct epoll_event events[2];
    int count = (int)CHECK_OK(epoll_wait(epoll, events, 2, 0));
    CHECK(count <= 1);
    if (count == 0) {
        return -1;
    }
    CHECK(events[0].events & EPOLLIN);
    return events[0].data.fd;
}

static int receive_one(int channel)
{
    struct message_received received;
    message_receive(channel, 1, ROOM, 0, &received);
    CHECK_EQ(1, received.size);
    CHECK_EQ(1, received.fd_count);
    return received.fds[0];
}

static void entry_in_flight(enum kind kind, int channel_type)
{
    int fds[2], channel[2], epoll = (int)CHECK_OK(epoll_create1(0));
    char byte;
    open_kind(kind, fds);
    guest_pair(channel_type, channel);
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, fds[0], EPOLLIN));
    CHECK_EQ(1, message_send(channel[0], "m", 1, &fds[0], 1));
    CHECK_OK(close(fds[0]));
    CHECK_EQ(-1, next_fd(epoll));
    CHECK_EQ(1, write(fds[1], "x", 1)); /* into an end that nobody has a number for */
    CHECK_EQ(fds[0], next_fd(epoll));
    int passed = receive_one(channel[1]);
    CHECK_EQ(fds[0], passed); /* the lowest free number: the same key again */
    CHECK_ERR(EEXIST, ctl(epoll, EPOLL_CTL_ADD, passed, EPOLLIN));
    CHECK_EQ(1, read(passed, &byte, 1));
    CHECK_EQ(-1, next_fd(epoll));
    CHECK_EQ(1, message_send(channel[0], "m", 1, &passed, 1));
    CHECK_OK(close(passed));
    CHECK_EQ(1, write(fds[1], "y", 1));
    CHECK_EQ(fds[0], next_fd(epoll));
    CHECK_EQ(1, read(channel[1], &byte, 1)); /* a plain read drops what travelled */
    CHECK_EQ(-1, next_fd(epoll));
    CHECK_OK(close(fds[1]));
    guest_close_both(channel);
    CHECK_OK(close(epoll));
}

static void instance_in_flight(enum kind kind, int channel_type)
{
    int fds[2], channel[2], epoll = (int)CHECK_OK(epoll_create1(0));
    open_kind(kind, fds);
    guest_pair(channel_type, channel);
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, fds[0], EPOLLIN));
    CHECK_EQ(1, message_send(channel[0], "m", 1, &epoll, 1));
    CHECK_OK(close(epoll)); /* the set lives in the message now */
    CHECK_EQ(1, write(fds[1], "x", 1));
    int passed = receive_one(channel[1]);
    CHECK_EQ(fds[0], next_fd(passed));
    CHECK_ERR(EEXIST, ctl(passed, EPOLL_CTL_ADD, fds[0], EPOLLIN));
    CHECK_OK(ctl(passed, EPOLL_CTL_MOD, fds[0], EPOLLIN | EPOLLET));
    CHECK_EQ(fds[0], next_fd(passed));
    CHECK_EQ(-1, next_fd(passed));
    CHECK_OK(close(passed));
    guest_close_both(fds);
    guest_close_both(channel);
}

int main(void)
{
    guest_start();
    const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
    for (int i = 0; i < KINDS * 2; i++) {
        entry_in_flight((enum kind)(i / 2), types[i % 2]);
        instance_in_flight((enum kind)(i / 2), types[i % 2]);
    }
    return guest_end();
}
