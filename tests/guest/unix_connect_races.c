/*
 * Proves: what happens to a socket while another thread's connect on it waits for room: a connect
 * elsewhere wins and the waiting one gets EISCONN; a close doesn't wake it, and what it connects
 * ends with the call unless the socket has another descriptor. Two threads that connect one socket:
 * one of them does.
 *
 * Rows: 3.2 "connect: own state connected", 3.2 "connect: backlog full, blocking",
 * 3.2 "copies of a socket"
 */
#include "unix_names.h"

struct waiting {
    struct guest_thread thread;
    int fd, result, error;
    struct unix_name name;
};

static void *connect_in_thread(void *argument)
{
    struct waiting *waiting = argument;
    waiting->result = unix_connect(waiting->fd, &waiting->name);
    waiting->error = errno;
    return NULL;
}

/* A listener with no room left; returns the client that fills it. */
static int full_listener(int type, const struct unix_name *name, int *ret_listener)
{
    *ret_listener = unix_listener(type, name, 0);
    return unix_client(type, name);
}

static void waiting_start(struct waiting *waiting, int type, const struct unix_name *name)
{
    waiting->fd = unix_socket(type);
    waiting->name = *name;
    guest_thread_start(&waiting->thread, connect_in_thread, waiting);
    guest_thread_blocked(&waiting->thread);
}

static void connected_elsewhere(int type)
{
    struct unix_name name = unix_abstract("full"), other = unix_abstract("other");
    int listener, first = full_listener(type, &name, &listener);
    int second = unix_listener(type, &other, 4);
    struct waiting waiting;
    waiting_start(&waiting, type, &name);
    CHECK_OK(unix_connect(waiting.fd, &other));
    int accepted = unix_accept(second);
    unix_talk_between(waiting.fd, accepted);
    guest_thread_blocked(&waiting.thread);
    unix_finish(first, unix_accept(listener)); /* room */
    guest_thread_join(&waiting.thread);
    CHECK_EQ(-1, waiting.result);
    CHECK_EQ(EISCONN, waiting.error);
    CHECK_PEER_NAME(other, waiting.fd);
    unix_finish(waiting.fd, accepted);
    guest_set_nonblock(listener, true);
    CHECK_ERR(EAGAIN, accept(listener, NULL, NULL));
    CHECK_OK(close(listener));
    CHECK_OK(close(second));
}

static void closed_meanwhile(int type)
{
    struct unix_name name = unix_abstract("full");
    int listener, first = full_listener(type, &name, &listener);
    struct waiting waiting;
    char byte;
    waiting_start(&waiting, type, &name);
    CHECK_OK(close(waiting.fd));
    guest_thread_blocked(&waiting.thread);
    unix_finish(first, unix_accept(listener));
    guest_thread_join(&waiting.thread);
    CHECK_OK(waiting.result);
    int accepted = unix_accept(listener); /* connected for a moment, and closed */
    CHECK_EQ(0, read(accepted, &byte, 1));
    CHECK_OK(close(accepted));
    CHECK_OK(close(listener));
}

/* The other holder of the socket goes on with the connection. */
static void closed_but_copied(int type)
{
    struct unix_name name = unix_abstract("full");
    int listener, first = full_listener(type, &name, &listener);
    struct waiting waiting;
    waiting_start(&waiting, type, &name);
    int copy = (int)CHECK_OK(dup(waiting.fd));
    CHECK_OK(close(waiting.fd));
    unix_finish(first, unix_accept(listener));
    guest_thread_join(&waiting.thread);
    CHECK_OK(waiting.result);
    unix_finish(copy, unix_accept(listener));
    CHECK_OK(close(listener));
}

/* Two threads, one socket, two listeners: one connection in all. */
static void one_of_two(int type)
{
    struct unix_name names[2] = { unix_abstract("one"), unix_abstract("two") };
    int listeners[2];
    for (int i = 0; i < 2; i++) {
        listeners[i] = unix_listener(type | SOCK_NONBLOCK, &names[i], 4);
    }
    for (int round = 0; round < 100; round++) {
        struct waiting waiting[2];
        int fd = unix_socket(type), accepted = -1;
        for (int i = 0; i < 2; i++) {
            waiting[i].fd = fd;
            waiting[i].name = names[i];
            guest_thread_start(&waiting[i].thread, connect_in_thread, &waiting[i]);
        }
        for (int i = 0; i < 2; i++) {
            guest_thread_join(&waiting[i].thread);
        }
        int winner = waiting[0].result == 0 ? 0 : 1;
        CHECK_EQ(0, waiting[winner].result);
        CHECK_EQ(-1, waiting[1 - winner].result);
        CHECK_EQ(EISCONN, waiting[1 - winner].error);
        CHECK_ERR(EAGAIN, accept(listeners[1 - winner], NULL, NULL));
        accepted = unix_accept(listeners[winner]);
        CHECK_ERR(EAGAIN, accept(listeners[winner], NULL, NULL));
        CHECK_PEER_NAME(names[winner], fd);
        unix_finish(fd, accepted);
    }
    CHECK_OK(close(listeners[0]));
    CHECK_OK(close(listeners[1]));
}

int main(void)
{
    unix_start();
    for (int i = 0; i < 2; i++) {
        connected_elsewhere(unix_types[i]);
        closed_meanwhile(unix_types[i]);
        closed_but_copied(unix_types[i]);
        one_of_two(unix_types[i]);
    }
    return unix_end();
}
