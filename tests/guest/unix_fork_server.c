/*
 * Proves: servers of several processes: accept in a child; a child for each connection, while the
 * parent closes its copy; an accepted socket that parent and child share ends with the last of
 * them; a socket that is made in one process, bound, put to listen, connected or accepted in
 * another.
 *
 * Rows: 3.2 "listen / accept / connect in several processes", 3.2 "sockets shared by fork before
 * they are connected"
 */
#include "unix_names.h"

enum { CLIENTS = 12 };

/* Sends the text back in capitals until end-of-file. */
static void serve(int fd)
{
    char buffer[64];
    ssize_t count;
    while ((count = CHECK_OK(read(fd, buffer, sizeof buffer))) > 0) {
        for (ssize_t i = 0; i < count; i++) {
            buffer[i] = (char)(buffer[i] & ~0x20);
        }
        guest_write_all(fd, buffer, (size_t)count);
    }
}

static void ask(int fd)
{
    char buffer[16];
    CHECK_EQ(5, write(fd, "hello", 5));
    CHECK_EQ(5, read(fd, buffer, sizeof buffer));
    CHECK_MEM("HELLO", buffer, 5);
}

static void accept_in_child(int type, enum unix_form form)
{
    struct unix_name name = unix_named(form, "fork");
    int listener = unix_listener(type, &name, 4);
    pid_t pid = guest_fork();
    if (pid == 0) {
        int accepted = unix_accept(listener);
        CHECK_OWN_NAME(name, accepted);
        serve(accepted);
        _exit(0);
    }
    CHECK_OK(close(listener)); /* the child's lives on */
    int client = unix_client(type, &name);
    ask(client);
    CHECK_OK(shutdown(client, SHUT_WR));
    guest_wait_exit(pid, 0);
    char byte;
    CHECK_EQ(0, read(client, &byte, 1));
    CHECK_OK(close(client));
    unix_forget(&name);
}

/* The classic: the parent accepts, the child serves. */
static void child_for_each(int type)
{
    struct unix_name name = unix_abstract("fork");
    int listener = unix_listener(type, &name, CLIENTS), clients[CLIENTS];
    pid_t pids[CLIENTS];
    char byte;
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = unix_client(type, &name);
        int accepted = unix_accept(listener);
        pids[i] = guest_fork();
        if (pids[i] == 0) {
            CHECK_OK(close(listener));
            for (int client = 0; client <= i; client++) {
                CHECK_OK(close(clients[client]));
            }
            serve(accepted);
            _exit(0);
        }
        CHECK_OK(close(accepted));
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < CLIENTS; i++) {
            ask(clients[i]);
        }
    }
    for (int i = CLIENTS - 1; i >= 0; i--) {
        CHECK_OK(shutdown(clients[i], SHUT_WR));
        guest_wait_exit(pids[i], 0);
        CHECK_EQ(0, read(clients[i], &byte, 1));
        CHECK_OK(close(clients[i]));
    }
    CHECK_OK(close(listener));
}

static void shared_accepted(int type, bool is_killed)
{
    struct unix_name name = unix_abstract("fork");
    int listener = unix_listener(type, &name, 4), client = unix_client(type, &name);
    int accepted = unix_accept(listener);
    char buffer[8];
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(client));
        CHECK_EQ(4, read(accepted, buffer, sizeof buffer));
        CHECK_MEM("mine", buffer, 4);
        CHECK_EQ(2, write(accepted, "ok", 2));
        CHECK_EQ(3, read(accepted, buffer, sizeof buffer));
        if (is_killed) {
            raise(SIGKILL);
        }
        _exit(0);
    }
    CHECK_EQ(4, write(client, "mine", 4));
    CHECK_EQ(2, read(client, buffer, sizeof buffer));
    CHECK_OK(close(accepted));
    CHECK_EQ(POLLOUT, guest_poll(client, POLLIN | POLLOUT | POLLRDHUP, 0));
    CHECK_EQ(3, write(client, "end", 3));
    CHECK_EQ(0, read(client, buffer, sizeof buffer)); /* the last one is gone */
    CHECK_EQ(POLLIN | POLLOUT | POLLRDHUP | POLLHUP,
             guest_poll(client, POLLIN | POLLOUT | POLLRDHUP, 0));
    if (is_killed) {
        guest_wait_killed(pid, SIGKILL);
    } else {
        guest_wait_exit(pid, 0);
    }
    CHECK_OK(close(client));
    CHECK_OK(close(listener));
}

/* Each step in a process of its own, on descriptors that one process made. */
static void steps_in_children(int type)
{
    struct unix_name name = unix_abstract("fork");
    int listener = unix_socket(type), client = unix_socket(type);
    for (int step = 0; step < 4; step++) {
        pid_t pid = guest_fork();
        if (pid == 0) {
            if (step == 0) {
                CHECK_OK(unix_bind(listener, &name));
            } else if (step == 1) {
                CHECK_OK(listen(listener, 4));
            } else if (step == 2) {
                CHECK_OK(unix_connect(client, &name));
            } else {
                CHECK_EQ(3, write(client, "via", 3));
            }
            _exit(0);
        }
        guest_wait_exit(pid, 0);
    }
    CHECK_OWN_NAME(name, listener);
    CHECK_EQ(1, unix_option(listener, SO_ACCEPTCONN));
    CHECK_PEER_NAME(name, client);
    CHECK_ERR(EISCONN, unix_connect(client, &name));
    CHECK_EQ(POLLOUT, guest_poll(client, POLLIN | POLLOUT, 0));
    char buffer[8];
    int accepted = unix_accept(listener);
    CHECK_EQ(3, read(accepted, buffer, sizeof buffer));
    CHECK_MEM("via", buffer, 3);
    unix_finish(client, accepted);
    CHECK_OK(close(listener));
}

static void *read_two(void *argument)
{
    char buffer[4];
    CHECK_EQ(2, read(*(int *)argument, buffer, sizeof buffer));
    CHECK_MEM("ok", buffer, 2);
    return NULL;
}

/* Connected by a child that dies; the parent knew the socket fresh, through a dup as well. */
static void connected_by_a_child(int type)
{
    struct unix_name name = unix_abstract("fork");
    int listener = unix_listener(type, &name, 4), client = unix_socket(type);
    int copy = (int)CHECK_OK(dup(client));
    struct guest_thread reader;
    char byte;
    CHECK_EQ(POLLOUT | POLLHUP, guest_poll(client, POLLIN | POLLOUT, 0));
    CHECK_ERR(ENOTCONN, send(client, "x", 1, MSG_NOSIGNAL));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(unix_connect(client, &name));
        raise(SIGKILL);
    }
    guest_wait_killed(pid, SIGKILL);
    int accepted = unix_accept(listener);
    CHECK_EQ(POLLOUT, guest_poll(accepted, POLLIN | POLLOUT | POLLRDHUP, 0));
    guest_thread_start(&reader, read_two, &copy);
    guest_thread_blocked(&reader);
    CHECK_EQ(2, write(accepted, "ok", 2));
    guest_thread_join(&reader);
    CHECK_OK(close(client));
    unix_talk_between(copy, accepted);
    CHECK_OK(close(copy));
    CHECK_EQ(0, read(accepted, &byte, 1));
    CHECK_OK(close(accepted));
    CHECK_OK(close(listener));
}

int main(void)
{
    unix_start();
    for (int i = 0; i < 2; i++) {
        accept_in_child(unix_types[i], UNIX_PATH);
        accept_in_child(unix_types[i], UNIX_ABSTRACT);
        child_for_each(unix_types[i]);
        shared_accepted(unix_types[i], false);
        shared_accepted(unix_types[i], true);
        steps_in_children(unix_types[i]);
        connected_by_a_child(unix_types[i]);
    }
    return unix_end();
}
