/*
 * Proves: a backlog of n lets n+1 connections wait; then connect fails with EAGAIN or waits: for
 * accept, for a larger backlog, for the listener's end, for its time-out; each accept lets one in.
 *
 * Rows: 3.2 "Backlog: connections queue while queued <= backlog", 3.2 "connect: backlog full,
 * O_NONBLOCK", 3.2 "connect: backlog full, blocking", 3.2 "connect: backlog full, SO_SNDTIMEO",
 * 3.2 "connect: listener closed meanwhile", 3.2 "listen: already listening", 3.2 "listen: backlog <
 * 0 or > somaxconn"
 */
#include "unix_names.h"

enum { CLIENTS = 6 };

struct connector {
    struct guest_thread thread;
    int fd, error; /* 0: connected */
    const struct unix_name *name;
};

static void *connect_in_thread(void *argument)
{
    struct connector *connector = argument;
    errno = 0;
    connector->error = unix_connect(connector->fd, connector->name) == 0 ? 0 : errno;
    return NULL;
}

static void connector_start(struct connector *connector, int type, const struct unix_name *name)
{
    connector->fd = unix_socket(type);
    connector->name = name;
    connector->error = -1;
    guest_thread_start(&connector->thread, connect_in_thread, connector);
    guest_thread_blocked(&connector->thread);
}

static void connector_end(struct connector *connector, int error)
{
    guest_thread_join(&connector->thread);
    CHECK_EQ(error, connector->error);
}

static void how_many(int type, enum unix_form form)
{
    static const int backlogs[] = { 0, 1, 3, 4 };
    struct unix_name name = unix_named(form, "backlog");
    int listener = unix_socket(type), clients[CLIENTS];
    CHECK_OK(unix_bind(listener, &name));
    for (int i = 0; i < 4; i++) {
        const int count = backlogs[i] + 1;
        CHECK_OK(listen(listener, backlogs[i]));
        for (int client = 0; client <= count; client++) {
            clients[client] = unix_socket(type | SOCK_NONBLOCK);
            if (client < count) {
                CHECK_OK(unix_connect(clients[client], &name));
            }
        }
        CHECK_ERR(EAGAIN, unix_connect(clients[count], &name));
        int accepted = unix_accept(listener); /* one goes, one comes */
        CHECK_OK(unix_connect(clients[count], &name));
        unix_finish(clients[0], accepted);
        for (int client = 1; client <= count; client++) {
            unix_finish(clients[client], unix_accept(listener));
        }
    }
    CHECK_OK(close(listener));
    unix_forget(&name);
}

/* A negative backlog is the largest. */
static void negative(int type)
{
    struct unix_name name = unix_abstract("backlog");
    int listener = unix_listener(type, &name, -1), clients[40];
    for (int i = 0; i < 40; i++) {
        clients[i] = unix_client(type | SOCK_NONBLOCK, &name);
    }
    for (int i = 0; i < 40; i++) {
        unix_finish(clients[i], unix_accept(listener));
    }
    CHECK_OK(close(listener));
}

static void waits_for_accept(int type)
{
    struct unix_name name = unix_abstract("backlog");
    int listener = unix_listener(type, &name, 0), first = unix_client(type, &name);
    struct connector waiting[3];
    char byte;
    for (int i = 0; i < 3; i++) {
        connector_start(&waiting[i], type, &name);
    }
    unix_finish(first, unix_accept(listener));
    for (int i = 0; i < 3; i++) { /* in an order of their own: each says who it is */
        int accepted = unix_accept(listener), found = -1;
        CHECK_EQ(1, write(accepted, "x", 1));
        for (int candidate = 0; found < 0; candidate = (candidate + 1) % 3) {
            if (waiting[candidate].fd >= 0 &&
                recv(waiting[candidate].fd, &byte, 1, MSG_DONTWAIT) == 1) {
                found = candidate;
            }
        }
        connector_end(&waiting[found], 0);
        unix_finish(waiting[found].fd, accepted);
        waiting[found].fd = -1;
    }
    CHECK_OK(close(listener));
}

static void waits_for_a_larger_backlog(int type)
{
    struct unix_name name = unix_abstract("backlog");
    int listener = unix_listener(type, &name, 0), first = unix_client(type, &name);
    struct connector waiting[2];
    connector_start(&waiting[0], type, &name);
    connector_start(&waiting[1], type, &name);
    CHECK_OK(listen(listener, 2));
    connector_end(&waiting[0], 0);
    connector_end(&waiting[1], 0);
    CHECK_OK(close(unix_accept(listener)));
    CHECK_OK(close(unix_accept(listener)));
    CHECK_OK(close(unix_accept(listener)));
    CHECK_OK(close(first));
    CHECK_OK(close(waiting[0].fd));
    CHECK_OK(close(waiting[1].fd));
    CHECK_OK(close(listener));
}

/* Not spoilt by what failed. */
static void connector_tries_again(struct connector *connector, int type)
{
    int listener = unix_listener(type, connector->name, 0);
    CHECK_OK(unix_connect(connector->fd, connector->name));
    unix_finish(connector->fd, unix_accept(listener));
    CHECK_OK(close(listener));
}

static void waits_for_the_end(int type)
{
    struct unix_name name = unix_abstract("backlog");
    int listener = unix_listener(type, &name, 0), first = unix_client(type, &name);
    struct connector waiting[2];
    connector_start(&waiting[0], type, &name);
    connector_start(&waiting[1], type, &name);
    CHECK_OK(close(listener));
    connector_end(&waiting[0], ECONNREFUSED); /* both, before the name leads anywhere again */
    connector_end(&waiting[1], ECONNREFUSED);
    connector_tries_again(&waiting[0], type);
    connector_tries_again(&waiting[1], type);
    CHECK_OK(close(first));
}

/* unix_shutdown() wakes nobody who waits for room: accept wakes one, who finds it closed. */
static void waits_beyond_shutdown(int type)
{
    struct unix_name name = unix_abstract("backlog");
    int listener = unix_listener(type, &name, 0), first = unix_client(type, &name);
    struct connector waiting[2];
    connector_start(&waiting[0], type, &name);
    connector_start(&waiting[1], type, &name);
    CHECK_OK(shutdown(listener, SHUT_RD));
    guest_thread_blocked(&waiting[0].thread);
    guest_thread_blocked(&waiting[1].thread);
    unix_finish(first, unix_accept(listener));
    connector_end(&waiting[0], ECONNREFUSED);
    guest_thread_blocked(&waiting[1].thread);
    CHECK_OK(close(listener));
    connector_end(&waiting[1], ECONNREFUSED);
    connector_tries_again(&waiting[0], type);
    connector_tries_again(&waiting[1], type);
}

static void waits_for_a_time(int type)
{
    struct unix_name name = unix_abstract("backlog");
    int listener = unix_listener(type, &name, 0), first = unix_client(type, &name);
    int fd = unix_socket(type);
    unix_set_time(fd, SO_SNDTIMEO, 60);
    int64_t start = guest_now_ms();
    CHECK_ERR(EAGAIN, unix_connect(fd, &name));
    CHECK(guest_now_ms() - start >= 60);
    unix_set_time(fd, SO_RCVTIMEO, 20); /* that isn't connect's */
    unix_set_time(fd, SO_SNDTIMEO, 0);
    CHECK_OK(close(fd));
    struct connector waiting;
    waiting.fd = unix_socket(type);
    waiting.name = &name;
    unix_set_time(waiting.fd, SO_SNDTIMEO, 20000);
    guest_thread_start(&waiting.thread, connect_in_thread, &waiting);
    guest_thread_blocked(&waiting.thread);
    int accepted = unix_accept(listener);
    connector_end(&waiting, 0); /* long before */
    unix_finish(first, accepted);
    unix_finish(waiting.fd, unix_accept(listener));
    CHECK_OK(close(listener));
}

/* A client that is gone still takes its place until it is accepted. */
static void gone_client_counts(int type)
{
    struct unix_name name = unix_abstract("backlog");
    int listener = unix_listener(type, &name, 0), fd = unix_client(type, &name);
    char byte;
    CHECK_OK(close(fd));
    fd = unix_socket(type | SOCK_NONBLOCK);
    CHECK_ERR(EAGAIN, unix_connect(fd, &name));
    int accepted = unix_accept(listener);
    CHECK_EQ(0, read(accepted, &byte, 1));
    CHECK_OK(close(accepted));
    CHECK_OK(unix_connect(fd, &name));
    unix_finish(fd, unix_accept(listener));
    CHECK_OK(close(listener));
}

int main(void)
{
    unix_start();
    for (int i = 0; i < 2; i++) {
        how_many(unix_types[i], UNIX_PATH);
        how_many(unix_types[i], UNIX_ABSTRACT);
        negative(unix_types[i]);
        waits_for_accept(unix_types[i]);
        waits_for_a_larger_backlog(unix_types[i]);
        waits_for_the_end(unix_types[i]);
        waits_beyond_shutdown(unix_types[i]);
        waits_for_a_time(unix_types[i]);
        gone_client_counts(unix_types[i]);
    }
    return unix_end();
}
