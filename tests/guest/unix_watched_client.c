/*
 * Proves: what epoll and poll say of a client that was in the set before connect(): connect is no
 * event, what comes through the connection is; all bits are those of a connected socket then; a
 * blocked waiter wakes at the first data although it began with the unconnected socket.
 *
 * Rows: 3.6 "fresh unconnected (bound or not)", 3.6 "connected, idle, send buffer ok", 3.2 "a
 * client that is watched before connect"
 */
#include <sys/epoll.h>

#include "unix_names.h"

enum { ALL_BITS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI };

static int watch(int fd, uint32_t events)
{
    int epoll = (int)CHECK_OK(epoll_create1(0));
    struct epoll_event event = { .events = events, .data.fd = fd };
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
    return epoll;
}

static uint32_t next_event(int epoll)
{
    struct epoll_event events[4];
    int count = (int)CHECK_OK(epoll_wait(epoll, events, 4, 0));
    CHECK(count <= 1);
    return count == 1 ? events[0].events : 0;
}

static void edges(int type)
{
    struct unix_name name = unix_abstract("watched");
    int listener = unix_listener(type, &name, 4), client = unix_socket(type);
    int epoll = watch(client, ALL_BITS | EPOLLET);
    char byte;
    CHECK_EQ(EPOLLOUT | EPOLLHUP, next_event(epoll));
    CHECK_OK(unix_connect(client, &name));
    CHECK_EQ(0, next_event(epoll)); /* connect tells nobody */
    int accepted = unix_accept(listener);
    CHECK_EQ(0, next_event(epoll));
    CHECK_EQ(1, write(accepted, "a", 1));
    CHECK_EQ(EPOLLIN | EPOLLOUT, next_event(epoll));
    CHECK_EQ(0, next_event(epoll));
    CHECK_EQ(1, read(client, &byte, 1));
    CHECK_EQ(1, write(client, "b", 1));
    CHECK_EQ(0, next_event(epoll));
    CHECK_EQ(1, read(accepted, &byte, 1)); /* room: an event each time */
    CHECK_EQ(EPOLLOUT, next_event(epoll));
    CHECK_OK(shutdown(accepted, SHUT_WR));
    CHECK_EQ(EPOLLIN | EPOLLOUT | EPOLLRDHUP, next_event(epoll));
    CHECK_OK(close(accepted));
    CHECK_EQ(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP, next_event(epoll));
    CHECK_OK(close(client));
    CHECK_EQ(0, next_event(epoll));
    CHECK_OK(close(listener));
    CHECK_OK(close(epoll));
}

static void levels(int type)
{
    struct unix_name name = unix_abstract("watched"), nobody = unix_abstract("nobody");
    int listener = unix_listener(type, &name, 0), client = unix_socket(type);
    int first = unix_client(type, &name), epoll = watch(client, ALL_BITS);
    CHECK_EQ(EPOLLOUT | EPOLLHUP, next_event(epoll));
    guest_set_nonblock(client, true);
    CHECK_ERR(EAGAIN, unix_connect(client, &name)); /* failures change nothing */
    CHECK_EQ(EPOLLOUT | EPOLLHUP, next_event(epoll));
    CHECK_ERR(ECONNREFUSED, unix_connect(client, &nobody));
    CHECK_EQ(EPOLLOUT | EPOLLHUP, next_event(epoll));
    unix_finish(first, unix_accept(listener));
    CHECK_OK(unix_connect(client, &name));
    CHECK_EQ(EPOLLOUT, next_event(epoll));
    guest_set_nonblock(client, false);
    int accepted = unix_accept(listener);
    CHECK_EQ(1, write(accepted, "a", 1));
    CHECK_EQ(EPOLLIN | EPOLLOUT, next_event(epoll));
    CHECK_OK(close(accepted));
    CHECK_EQ(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP, next_event(epoll));
    struct epoll_event event = { .events = EPOLLRDHUP };
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_MOD, client, &event));
    CHECK_EQ(EPOLLRDHUP | EPOLLHUP, next_event(epoll));
    CHECK_OK(close(client));
    CHECK_OK(close(listener));
    CHECK_OK(close(epoll));
}

struct waiter {
    struct guest_thread thread;
    int epoll;
    uint32_t events;
};

static void *wait_in_epoll(void *argument)
{
    struct waiter *waiter = argument;
    struct epoll_event event;
    CHECK_EQ(1, epoll_wait(waiter->epoll, &event, 1, -1));
    waiter->events = event.events;
    return NULL;
}

/* The event loop sleeps with the fresh socket in its set; another thread connects it. */
static void sleeper_wakes(int type)
{
    struct unix_name name = unix_abstract("watched");
    int listener = unix_listener(type, &name, 4), client = unix_socket(type);
    struct waiter waiter = { .epoll = watch(client, ALL_BITS | EPOLLET) };
    char byte;
    CHECK_EQ(EPOLLOUT | EPOLLHUP, next_event(waiter.epoll));
    guest_thread_start(&waiter.thread, wait_in_epoll, &waiter);
    guest_thread_blocked(&waiter.thread);
    CHECK_OK(unix_connect(client, &name));
    guest_thread_blocked(&waiter.thread);
    int accepted = unix_accept(listener);
    guest_thread_blocked(&waiter.thread);
    CHECK_EQ(1, write(accepted, "x", 1));
    guest_thread_join(&waiter.thread);
    CHECK_EQ(EPOLLIN | EPOLLOUT, waiter.events);
    CHECK_EQ(1, read(client, &byte, 1));
    unix_finish(client, accepted);
    CHECK_OK(close(listener));
    CHECK_OK(close(waiter.epoll));
}

/* The peer is another process; the set is older than the connection and than the fork. */
static void over_processes(int type, bool is_killed)
{
    struct unix_name name = unix_abstract("watched");
    int listener = unix_listener(type, &name, 4), client = unix_socket(type);
    int epoll = watch(client, EPOLLIN | EPOLLRDHUP | EPOLLET);
    struct epoll_event event;
    char byte;
    CHECK_EQ(EPOLLHUP, next_event(epoll));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(client));
        int accepted = unix_accept(listener);
        CHECK_EQ(1, write(accepted, "x", 1));
        CHECK_EQ(1, read(accepted, &byte, 1));
        if (is_killed) {
            raise(SIGKILL);
        }
        _exit(0);
    }
    CHECK_OK(unix_connect(client, &name));
    CHECK_EQ(1, epoll_wait(epoll, &event, 1, -1));
    CHECK_EQ(EPOLLIN, event.events);
    CHECK_EQ(1, read(client, &byte, 1));
    CHECK_EQ(1, write(client, "y", 1));
    CHECK_EQ(1, epoll_wait(epoll, &event, 1, -1));
    CHECK_EQ(EPOLLIN | EPOLLRDHUP | EPOLLHUP, event.events);
    CHECK_EQ(0, read(client, &byte, 1));
    if (is_killed) {
        guest_wait_killed(pid, SIGKILL);
    } else {
        guest_wait_exit(pid, 0);
    }
    CHECK_OK(close(client));
    CHECK_OK(close(listener));
    CHECK_OK(close(epoll));
}

/* poll() looks anew in each call; the same array all along. */
static void polled(int type)
{
    struct unix_name name = unix_abstract("watched");
    int listener = unix_listener(type, &name, 4), client = unix_socket(type);
    struct pollfd entry = { .fd = client, .events = POLLIN | POLLOUT | POLLRDHUP };
    char byte;
    CHECK_EQ(1, poll(&entry, 1, -1));
    CHECK_EQ(POLLOUT | POLLHUP, entry.revents);
    CHECK_OK(unix_connect(client, &name));
    CHECK_EQ(1, poll(&entry, 1, -1));
    CHECK_EQ(POLLOUT, entry.revents);
    int accepted = unix_accept(listener);
    CHECK_EQ(1, write(accepted, "x", 1));
    CHECK_EQ(1, poll(&entry, 1, -1));
    CHECK_EQ(POLLIN | POLLOUT, entry.revents);
    CHECK_EQ(1, read(client, &byte, 1));
    unix_finish(client, accepted);
    CHECK_OK(close(listener));
}

int main(void)
{
    unix_start();
    for (int i = 0; i < 2; i++) {
        edges(unix_types[i]);
        levels(unix_types[i]);
        sleeper_wakes(unix_types[i]);
        over_processes(unix_types[i], false);
        over_processes(unix_types[i], true);
        polled(unix_types[i]);
    }
    return unix_end();
}
