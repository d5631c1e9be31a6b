/*
 * Proves: descriptors that travel in messages and epoll: a message with descriptors is an edge and
 * wakes like any other; an epoll instance that is passed, to oneself or to a process that didn't
 * inherit it, is the same set.
 *
 * Rows: 6.4 "fork shares the epoll set", 6.4 "ET (EPOLLET): queued by a wake-up"
 */
#include <sys/epoll.h>

#include "message.h"

#define ROOM CMSG_SPACE(sizeof(int) * 4)

enum { MARK = 0x5a17 };
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

static void message_is_an_edge(int channel_type, enum kind kind)
{
    int fds[2], channel[2], epoll = (int)CHECK_OK(epoll_create1(0));
    char byte;
    open_kind(kind, fds);
    guest_pair(channel_type, channel);
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, channel[1], EPOLLIN | EPOLLET));
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(1, write(channel[0], "p", 1));
        CHECK_EQ(channel[1], next_fd(epoll));
        CHECK_EQ(-1, next_fd(epoll));
        CHECK_EQ(1, message_send(channel[0], "m", 1, &fds[0], 1));
        CHECK_EQ(channel[1], next_fd(epoll));
        CHECK_EQ(-1, next_fd(epoll));
        CHECK_EQ(1, read(channel[1], &byte, 1));
        CHECK_OK(close(receive_one(channel[1])));
        CHECK_EQ(-1, next_fd(epoll));
    }
    guest_close_both(fds);
    guest_close_both(channel);
    CHECK_OK(close(epoll));
}

static void *sleep_for_input(void *argument)
{
    struct epoll_event event;
    CHECK_EQ(1, epoll_wait(*(int *)argument, &event, 1, -1));
    CHECK_EQ(EPOLLIN, event.events);
    return NULL;
}

/* A sleeper on the channel is woken by the first message with descriptors, too. */
static void message_wakes(int channel_type, enum kind kind)
{
    int fds[2], channel[2], epoll = (int)CHECK_OK(epoll_create1(0));
    struct guest_thread thread;
    open_kind(kind, fds);
    guest_pair(channel_type, channel);
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, channel[1], EPOLLIN));
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, fds[0], EPOLLIN));
    guest_thread_start(&thread, sleep_for_input, &epoll);
    guest_thread_blocked(&thread);
    CHECK_EQ(1, message_send(channel[0], "m", 1, &fds[1], 1));
    guest_thread_join(&thread);
    CHECK_EQ(channel[1], next_fd(epoll));
    int passed = receive_one(channel[1]);
    CHECK_EQ(-1, next_fd(epoll));
    guest_thread_start(&thread, sleep_for_input, &epoll);
    guest_thread_blocked(&thread);
    CHECK_EQ(1, write(passed, "x", 1));
    guest_thread_join(&thread);
    CHECK_EQ(fds[0], next_fd(epoll));
    CHECK_OK(close(passed));
    guest_close_both(fds);
    guest_close_both(channel);
    CHECK_OK(close(epoll));
}

static void instance_to_oneself(enum kind kind, int channel_type)
{
    int fds[2], channel[2], epoll = (int)CHECK_OK(epoll_create1(0));
    open_kind(kind, fds);
    guest_pair(channel_type, channel);
    CHECK_OK(ctl(epoll, EPOLL_CTL_ADD, fds[0], EPOLLIN));
    CHECK_EQ(1, message_send(channel[0], "m", 1, &epoll, 1));
    int passed = receive_one(channel[1]);
    CHECK_OK(close(epoll));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(fds[0], next_fd(passed));
    CHECK_ERR(EEXIST, ctl(passed, EPOLL_CTL_ADD, fds[0], EPOLLIN));
    CHECK_OK(ctl(passed, EPOLL_CTL_MOD, fds[0], EPOLLIN | EPOLLET));
    CHECK_EQ(fds[0], next_fd(passed));
    CHECK_EQ(-1, next_fd(passed));
    CHECK_OK(close(passed));
    guest_close_both(fds);
    guest_close_both(channel);
}

/* The child is older than the instance and the ends; it sleeps in the set all the same. */
static void instance_to_a_child(enum kind kind, int channel_type)
{
    int fds[2], channel[2];
    guest_pair(channel_type, channel);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(channel[0]));
        int passed = receive_one(channel[1]);
        struct epoll_event event;
        CHECK_EQ(1, write(channel[1], "r", 1));
        CHECK_EQ(1, epoll_wait(passed, &event, 1, -1));
        CHECK_EQ(EPOLLIN, event.events);
        CHECK_EQ(MARK, event.data.u64);
        _exit(0);
    }
    CHECK_OK(close(channel[1]));
    int epoll = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    open_kind(kind, fds);
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = MARK };
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event));
    CHECK_EQ(1, message_send(channel[0], "m", 1, &epoll, 1));
    char byte;
    CHECK_EQ(1, read(channel[0], &byte, 1));
    guest_process_blocked(pid);
    CHECK_EQ(1, write(fds[1], "x", 1));
    guest_wait_exit(pid, 0);
    CHECK_EQ(1, epoll_wait(epoll, &event, 1, 0));
    CHECK_EQ(MARK, event.data.u64);
    CHECK_OK(close(channel[0]));
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

int main(void)
{
    guest_start();
    const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
    for (int i = 0; i < KINDS * 2; i++) {
        enum kind kind = (enum kind)(i / 2);
        message_is_an_edge(types[i % 2], kind);
        message_wakes(types[i % 2], kind);
        instance_to_oneself(kind, types[i % 2]);
        instance_to_a_child(kind, types[i % 2]);
    }
    return guest_end();
}
