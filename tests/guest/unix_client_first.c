/*
 * Proves: a client is connected before accept: it writes, fills its buffer, shuts down, sends
 * descriptors, closes or dies, and what is accepted then has all of it, in order; connections come
 * out in the order they were made.
 *
 * Rows: 3.2 "connect succeeds before accept()", 3.2 "accept: client already closed",
 * 3.6 "connected, idle, send buffer ok"
 */
#include "message.h"
#include "unix_names.h"

enum { MANY = 20, BLOCK = 4096 };

static void writes_at_once(int type)
{
    struct unix_name name = unix_abstract("first");
    int listener = unix_listener(type, &name, MANY), clients[MANY];
    char text[16], buffer[16];
    for (int i = 0; i < MANY; i++) {
        clients[i] = unix_client(type, &name);
        CHECK_EQ(POLLOUT, guest_poll(clients[i], POLLIN | POLLOUT | POLLRDHUP, 0));
        CHECK_EQ(9, snprintf(text, sizeof text, "client %02d", i));
        CHECK_EQ(9, write(clients[i], text, 9));
        CHECK_ERR(EAGAIN, recv(clients[i], buffer, 1, MSG_DONTWAIT));
    }
    for (int i = 0; i < MANY; i++) {
        int accepted = unix_accept(listener);
        CHECK_EQ(POLLIN | POLLOUT, guest_poll(accepted, POLLIN | POLLOUT | POLLRDHUP, 0));
        CHECK_EQ(9, read(accepted, buffer, sizeof buffer));
        snprintf(text, sizeof text, "client %02d", i);
        CHECK_MEM(text, buffer, 9);
        unix_finish(clients[i], accepted);
    }
    CHECK_OK(close(listener));
}

/* As much as into a pair: until EAGAIN, then until it is read. */
static void fills_its_buffer(int type)
{
    struct unix_name name = unix_abstract("first");
    int listener = unix_listener(type, &name, 1), client = unix_client(type, &name), fds[2];
    char block[BLOCK];
    guest_pair(type, fds);
    int count = guest_socket_fill(client, BLOCK);
    CHECK_EQ(guest_socket_fill(fds[0], BLOCK), count);
    guest_close_both(fds);
    CHECK_EQ(0, guest_poll(client, POLLOUT, 0));
    int accepted = unix_accept(listener);
    CHECK_EQ(0, guest_poll(client, POLLOUT, 0));
    for (int i = 0; i < count; i++) {
        CHECK_EQ(BLOCK, recv(accepted, block, BLOCK, MSG_WAITALL));
    }
    CHECK_ERR(EAGAIN, recv(accepted, block, BLOCK, MSG_DONTWAIT));
    CHECK_EQ(POLLOUT, guest_poll(client, POLLOUT, 0));
    unix_finish(client, accepted);
    CHECK_OK(close(listener));
}

static void *write_pattern(void *argument)
{
    static _Thread_local char bytes[512 * 1024];
    guest_pattern_fill(bytes, sizeof bytes, 0);
    guest_write_all(*(int *)argument, bytes, sizeof bytes);
    CHECK_OK(shutdown(*(int *)argument, SHUT_WR));
    return NULL;
}

/* A large write begun before accept goes on after it. */
static void blocked_writer_goes_on(void)
{
    static char bytes[512 * 1024];
    char byte;
    struct unix_name name = unix_abstract("first");
    int listener = unix_listener(SOCK_STREAM, &name, 1), client = unix_client(SOCK_STREAM, &name);
    struct guest_thread writer;
    guest_thread_start(&writer, write_pattern, &client);
    guest_thread_blocked(&writer);
    int accepted = unix_accept(listener);
    CHECK_EQ(sizeof bytes, guest_read_all(accepted, bytes, sizeof bytes));
    guest_pattern_check(bytes, sizeof bytes, 0);
    guest_thread_join(&writer);
    CHECK_EQ(0, read(accepted, &byte, 1));
    CHECK_EQ(4, write(accepted, "done", 4));
    CHECK_EQ(4, read(client, bytes, 8));
    CHECK_OK(close(accepted));
    CHECK_OK(close(client));
    CHECK_OK(close(listener));
}

static void *read_four(void *argument)
{
    char buffer[8];
    CHECK_EQ(4, read(*(int *)argument, buffer, sizeof buffer));
    CHECK_MEM("late", buffer, 4);
    return NULL;
}

/* So does a reader, and one who polls. */
static void blocked_reader_goes_on(int type)
{
    struct unix_name name = unix_abstract("first");
    int listener = unix_listener(type, &name, 1), client = unix_client(type, &name);
    struct guest_thread reader;
    guest_thread_start(&reader, read_four, &client);
    guest_thread_blocked(&reader);
    int accepted = unix_accept(listener);
    guest_thread_blocked(&reader);
    CHECK_EQ(4, write(accepted, "late", 4));
    guest_thread_join(&reader);
    unix_finish(client, accepted);
    CHECK_OK(close(listener));
}

static void shuts_down(int type)
{
    struct unix_name name = unix_abstract("first");
    int listener = unix_listener(type, &name, 4);
    char buffer[8];
    int client = unix_client(type, &name);
    CHECK_EQ(3, write(client, "all", 3));
    CHECK_OK(shutdown(client, SHUT_WR));
    int accepted = unix_accept(listener);
    CHECK_EQ(POLLIN | POLLOUT | POLLRDHUP, guest_poll(accepted, POLLIN | POLLOUT | POLLRDHUP, 0));
    CHECK_EQ(3, read(accepted, buffer, sizeof buffer));
    CHECK_EQ(0, read(accepted, buffer, sizeof buffer));
    CHECK_EQ(2, write(accepted, "ok", 2));
    CHECK_EQ(2, read(client, buffer, sizeof buffer));
    CHECK_OK(close(client));
    CHECK_OK(close(accepted));
    client = unix_client(type, &name);
    CHECK_OK(shutdown(client, SHUT_RD));
    accepted = unix_accept(listener);
    CHECK_EQ(POLLOUT, guest_poll(accepted, POLLIN | POLLOUT | POLLRDHUP, 0));
    CHECK_ERR(EPIPE, send(accepted, "x", 1, MSG_NOSIGNAL));
    CHECK_EQ(1, write(client, "y", 1));
    CHECK_EQ(1, read(accepted, buffer, sizeof buffer));
    CHECK_OK(close(client));
    CHECK_OK(close(accepted));
    CHECK_OK(close(listener));
}

enum leaving { CLOSES, EXITS, IS_KILLED, LEAVINGS };

static void leave(int type, const struct unix_name *name, enum leaving leaving, const char *text)
{
    pid_t pid = leaving == CLOSES ? 0 : guest_fork();
    if (pid == 0) {
        int client = unix_client(type, name);
        if (text[0] != '\0') {
            CHECK_EQ(strlen(text), write(client, text, strlen(text)));
        }
        if (leaving == IS_KILLED) {
            raise(SIGKILL);
        } else if (leaving == EXITS) {
            _exit(0);
        }
        CHECK_OK(close(client));
        return;
    }
    if (leaving == EXITS) {
        guest_wait_exit(pid, 0);
    } else {
        guest_wait_killed(pid, SIGKILL);
    }
}

static void is_gone(int type, enum unix_form form, enum leaving leaving)
{
    struct unix_name name = unix_named(form, "first");
    int listener = unix_listener(type, &name, 4);
    char buffer[8];
    leave(type, &name, leaving, "");
    leave(type, &name, leaving, "bytes");
    for (int i = 0; i < 2; i++) {
        int accepted = unix_accept(listener);
        CHECK_EQ(POLLIN | POLLOUT | POLLRDHUP | POLLHUP,
                 guest_poll(accepted, POLLIN | POLLOUT | POLLRDHUP, 0));
        CHECK_ERR(EPIPE, send(accepted, "x", 1, MSG_NOSIGNAL));
        if (i == 1) {
            CHECK_EQ(5, read(accepted, buffer, sizeof buffer));
            CHECK_MEM("bytes", buffer, 5);
        }
        CHECK_EQ(0, read(accepted, buffer, sizeof buffer));
        CHECK_EQ(0, read(accepted, buffer, sizeof buffer));
        CHECK_OK(close(accepted));
    }
    CHECK_OK(close(listener));
    unix_forget(&name);
}

/* Descriptors sent before accept: a pipe's end, and one of the client itself. */
static void passes_descriptors(int type)
{
    struct unix_name name = unix_abstract("first");
    int listener = unix_listener(type, &name, 4), client = unix_client(type, &name), fds[2];
    struct message_received received;
    char buffer[8];
    guest_pipe(fds);
    const int sent[] = { fds[0], client };
    CHECK_EQ(1, message_send(client, "d", 1, sent, 2));
    CHECK_OK(close(fds[0]));
    CHECK_EQ(4, write(fds[1], "pipe", 4));
    int accepted = unix_accept(listener);
    message_receive(accepted, 8, CMSG_SPACE(2 * sizeof(int)), 0, &received);
    CHECK_EQ(1, received.size);
    CHECK_EQ(2, received.fd_count);
    CHECK_EQ(4, read(received.fds[0], buffer, sizeof buffer));
    CHECK_MEM("pipe", buffer, 4);
    unix_talk_between(received.fds[1], accepted);
    CHECK_OK(close(received.fds[0]));
    CHECK_OK(close(received.fds[1]));
    CHECK_OK(close(fds[1]));
    unix_finish(client, accepted);
    CHECK_OK(close(listener));
}

int main(void)
{
    unix_start();
    blocked_writer_goes_on();
    for (int i = 0; i < 2; i++) {
        writes_at_once(unix_types[i]);
        fills_its_buffer(unix_types[i]);
        blocked_reader_goes_on(unix_types[i]);
        shuts_down(unix_types[i]);
        for (enum leaving leaving = CLOSES; leaving < LEAVINGS; leaving++) {
            is_gone(unix_types[i], UNIX_PATH, leaving);
            is_gone(unix_types[i], UNIX_ABSTRACT, leaving);
        }
        passes_descriptors(unix_types[i]);
    }
    return unix_end();
}
