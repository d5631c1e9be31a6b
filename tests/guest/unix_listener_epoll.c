/*
 * Proves: what epoll reports of a listener: level-triggered while a connection waits,
 * edge-triggered once for each connection, one-shot until it is armed again; an entry made before
 * bind or listen serves the listener it becomes; shutdown is an edge; several sets and processes
 * are told; a listener that is closed leaves the set.
 *
 * Rows: 6.4 "listener: 2nd connection while one is queued", 6.4 "listen() on a registered
 * unconnected socket", 3.6 "listening, connection queued", 3.6 "listening after SHUT_RD",
 * 3.6 "listening, queue empty"
 */
#include <sys/epoll.h>

#include "unix_names.h"

enum { ALL_BITS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI };

static void add(int epoll, int fd, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.fd = fd };
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

static int watch(int fd, uint32_t events)
{
    int epoll = (int)CHECK_OK(epoll_create1(0));
    add(epoll, fd, events);
    return epoll;
}

/* The bits of the one event that is there now, 0 if none is. */
static uint32_t next_event(int epoll)
{
    struct epoll_event events[4];
    int count = (int)CHECK_OK(epoll_wait(epoll, events, 4, 0));
    CHECK(count <= 1);
    return count == 1 ? events[0].events : 0;
}

static void level(int type)
{
    struct unix_name name = unix_abstract("epoll");
    int listener = unix_listener(type, &name, 4), epoll = watch(listener, ALL_BITS);
    CHECK_EQ(0, next_event(epoll));
    int first = unix_client(type, &name);
    CHECK_EQ(EPOLLIN, next_event(epoll));
    CHECK_EQ(EPOLLIN, next_event(epoll));
    int second = unix_client(type, &name);
    CHECK_OK(close(unix_accept(listener)));
    CHECK_EQ(EPOLLIN, next_event(epoll));
    CHECK_OK(close(unix_accept(listener)));
    CHECK_EQ(0, next_event(epoll));
    CHECK_OK(close(first));
    CHECK_OK(close(second));
    CHECK_EQ(0, next_event(epoll));
    CHECK_OK(shutdown(listener, SHUT_RD));
    CHECK_EQ(EPOLLIN | EPOLLRDHUP, next_event(epoll));
    CHECK_EQ(EPOLLIN | EPOLLRDHUP, next_event(epoll));
    CHECK_OK(close(listener));
    CHECK_EQ(0, next_event(epoll));
    CHECK_OK(close(epoll));
}

static void edge(int type)
{
    struct unix_name name = unix_abstract("epoll");
    int listener = unix_listener(type, &name, 8), clients[5];
    int epoll = watch(listener, ALL_BITS | EPOLLET);
    CHECK_EQ(0, next_event(epoll));
    clients[0] = unix_client(type, &name);
    CHECK_EQ(EPOLLIN, next_event(epoll));
    CHECK_EQ(0, next_event(epoll));
    clients[1] = unix_client(type, &name); /* a second while one is queued */
    CHECK_EQ(EPOLLIN, next_event(epoll));
    clients[2] = unix_client(type, &name); /* two before the wait */
    clients[3] = unix_client(type, &name);
    CHECK_EQ(EPOLLIN, next_event(epoll));
    CHECK_EQ(0, next_event(epoll));
    CHECK_EQ(1, write(clients[0], "x", 1)); /* the listener isn't told */
    CHECK_EQ(0, next_event(epoll));
    CHECK_OK(close(unix_accept(listener))); /* nor of accept */
    CHECK_EQ(0, next_event(epoll));
    clients[4] = unix_client(type, &name);
    for (int i = 0; i < 4; i++) {
        CHECK_OK(close(unix_accept(listener)));
    }
    CHECK_EQ(0, next_event(epoll)); /* came and went */
    CHECK_OK(shutdown(listener, SHUT_RD));
    CHECK_EQ(EPOLLIN | EPOLLRDHUP, next_event(epoll));
    CHECK_EQ(0, next_event(epoll));
    for (int i = 0; i < 5; i++) {
        CHECK_OK(close(clients[i]));
    }
    CHECK_OK(close(listener));
    CHECK_OK(close(epoll));
}

static void one_shot(int type)
{
    struct unix_name name = unix_abstract("epoll");
    int listener = unix_listener(type, &name, 8);
    int epoll = watch(listener, EPOLLIN | EPOLLONESHOT);
    int first = unix_client(type, &name);
    CHECK_EQ(EPOLLIN, next_event(epoll));
    int second = unix_client(type, &name);
    CHECK_EQ(0, next_event(epoll));
    struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT };
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_MOD, listener, &event));
    CHECK_EQ(EPOLLIN, next_event(epoll));
    CHECK_EQ(0, next_event(epoll));
    unix_finish(first, unix_accept(listener));
    unix_finish(second, unix_accept(listener));
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_MOD, listener, &event));
    CHECK_EQ(0, next_event(epoll));
    first = unix_client(type, &name);
    CHECK_EQ(EPOLLIN, next_event(epoll));
    unix_finish(first, unix_accept(listener));
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_DEL, listener, NULL));
    CHECK_ERR(ENOENT, epoll_ctl(epoll, EPOLL_CTL_DEL, listener, NULL));
    CHECK_OK(close(listener));
    CHECK_OK(close(epoll));
}

/* The entry is older than the listener. */
static void registered_first(int type)
{
    struct unix_name name = unix_abstract("epoll");
    int listener = unix_socket(type), edges = watch(listener, ALL_BITS | EPOLLET);
    int levels = watch(listener, ALL_BITS);
    CHECK_EQ(EPOLLOUT | EPOLLHUP, next_event(edges));
    CHECK_EQ(EPOLLOUT | EPOLLHUP, next_event(levels));
    CHECK_OK(unix_bind(listener, &name));
    CHECK_EQ(0, next_event(edges));
    CHECK_EQ(EPOLLOUT | EPOLLHUP, next_event(levels));
    CHECK_OK(listen(listener, 4));
    CHECK_EQ(0, next_event(edges)); /* no wake-up */
    CHECK_EQ(0, next_event(levels));
    int client = unix_client(type, &name);
    CHECK_EQ(EPOLLIN, next_event(edges));
    CHECK_EQ(EPOLLIN, next_event(levels));
    int accepted = unix_accept(listener);
    add(levels, client, EPOLLIN); /* a server's set holds both */
    add(levels, accepted, EPOLLIN);
    CHECK_EQ(0, next_event(levels));
    CHECK_EQ(1, write(client, "x", 1));
    struct epoll_event event;
    CHECK_EQ(1, epoll_wait(levels, &event, 1, -1));
    CHECK_EQ(accepted, event.data.fd);
    char byte;
    CHECK_EQ(1, read(accepted, &byte, 1));
    unix_finish(client, accepted);
    CHECK_EQ(0, next_event(levels));
    CHECK_OK(close(listener));
    CHECK_OK(close(edges));
    CHECK_OK(close(levels));
}

struct sleeper {
    struct guest_thread thread;
    int epoll;
    uint32_t events;
};

static void *sleep_in_epoll(void *argument)
{
    struct sleeper *sleeper = argument;
    struct epoll_event event;
    CHECK_EQ(1, epoll_wait(sleeper->epoll, &event, 1, -1));
    sleeper->events = event.events;
    return NULL;
}

static void sleepers_wake(int type, uint32_t flags)
{
    struct unix_name name = unix_abstract("epoll");
    int listener = unix_listener(type, &name, 8);
    struct sleeper sleepers[2];
    for (int i = 0; i < 2; i++) {
        sleepers[i].epoll = watch(listener, EPOLLIN | flags);
        guest_thread_start(&sleepers[i].thread, sleep_in_epoll, &sleepers[i]);
        guest_thread_blocked(&sleepers[i].thread);
    }
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(unix_client(type, &name)));
        _exit(0);
    }
    for (int i = 0; i < 2; i++) {
        guest_thread_join(&sleepers[i].thread);
        CHECK_EQ(EPOLLIN, sleepers[i].events);
    }
    guest_wait_exit(pid, 0);
    CHECK_OK(close(unix_accept(listener)));
    CHECK_EQ(0, next_event(sleepers[0].epoll));
    CHECK_OK(close(sleepers[0].epoll));
    CHECK_OK(close(sleepers[1].epoll));
    CHECK_OK(close(listener));
}

/* EPOLLEXCLUSIVE: as many sleepers as connections wake at least. */
static void exclusive(int type)
{
    struct unix_name name = unix_abstract("epoll");
    int listener = unix_listener(type, &name, 8);
    struct sleeper sleepers[2];
    for (int i = 0; i < 2; i++) {
        sleepers[i].epoll = watch(listener, EPOLLIN | EPOLLEXCLUSIVE);
        guest_thread_start(&sleepers[i].thread, sleep_in_epoll, &sleepers[i]);
        guest_thread_blocked(&sleepers[i].thread);
    }
    int first = unix_client(type, &name);
    guest_thread_join(&sleepers[0].thread);
    int second = unix_client(type, &name);
    guest_thread_join(&sleepers[1].thread);
    unix_finish(first, unix_accept(listener));
    unix_finish(second, unix_accept(listener));
    CHECK_OK(close(sleepers[0].epoll));
    CHECK_OK(close(sleepers[1].epoll));
    CHECK_OK(close(listener));
}

int main(void)
{
    unix_start();
    for (int i = 0; i < 2; i++) {
        level(unix_types[i]);
        edge(unix_types[i]);
        one_shot(unix_types[i]);
        registered_first(unix_types[i]);
        sleepers_wake(unix_types[i], 0);
        sleepers_wake(unix_types[i], EPOLLET);
        exclusive(unix_types[i]);
    }
    return unix_end();
}
