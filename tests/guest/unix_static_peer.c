/*
 * Proves: a statically linked program as client of this program's listener and as a server that
 * this program connects to, by path and by abstract name; as the heir of a connected and of an
 * accepted socket, with bytes on their way.
 *
 * Rows: 3.2 "listen / accept / connect in several processes", 3.2 "exec with an inherited
 * connection"
 */
#include "unix_static.h"

enum { BIG = 300000 };

static void as_client(enum unix_form form)
{
    struct unix_name name = unix_named(form, "static"), unnamed = unix_unnamed();
    int listener = unix_listener(SOCK_STREAM | SOCK_CLOEXEC, &name, 4);
    char buffer[8];
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    pid_t pid = unix_static_start("connect", &name, -1);
    CHECK_EQ(POLLIN, guest_poll(listener, POLLIN, -1));
    int own = unix_client(SOCK_STREAM | SOCK_CLOEXEC, &name); /* behind it in the queue */
    int accepted = ACCEPT_FROM(listener, unnamed);
    CHECK_OK(fcntl(accepted, F_SETFD, FD_CLOEXEC));
    CHECK_OWN_NAME(name, accepted);
    CHECK_PEER_NAME(unnamed, accepted);
    CHECK_OK(getsockopt(accepted, SOL_SOCKET, SO_PEERCRED, &credentials, &size));
    CHECK_EQ(pid, credentials.pid);
    CHECK_EQ(6, guest_read_all(accepted, buffer, 6));
    CHECK_MEM("static", buffer, 6);
    CHECK_EQ(4, write(accepted, "pong", 4));
    CHECK_OK(close(accepted));
    guest_wait_exit(pid, UNIX_STATIC_OK);
    unix_finish(own, unix_accept(listener));
    CHECK_OK(close(listener));
    unix_forget(&name);
}

static void *write_big(void *argument)
{
    static unsigned char bytes[BIG];
    guest_pattern_fill(bytes, BIG, 0);
    guest_write_all(*(int *)argument, bytes, BIG);
    CHECK_OK(shutdown(*(int *)argument, SHUT_WR));
    return NULL;
}

static void echo_big(int fd, pid_t pid)
{
    static unsigned char bytes[BIG + 1];
    struct guest_thread writer;
    guest_thread_start(&writer, write_big, &fd);
    CHECK_EQ(BIG, guest_read_all(fd, bytes, BIG + 1));
    guest_pattern_check(bytes, BIG, 0);
    guest_thread_join(&writer);
    guest_wait_exit(pid, UNIX_STATIC_OK);
    CHECK_OK(close(fd));
}

static void as_server(enum unix_form form)
{
    struct unix_name name = unix_named(form, "static");
    int ready[2];
    char byte;
    CHECK_OK(pipe2(ready, O_CLOEXEC));
    pid_t pid = unix_static_start("serve", &name, ready[1]);
    CHECK_EQ(1, read(ready[0], &byte, 1));
    int fd = unix_client(SOCK_STREAM | SOCK_CLOEXEC, &name);
    CHECK_PEER_NAME(name, fd);
    CHECK_ERR(EISCONN, unix_connect(fd, &name));
    echo_big(fd, pid);
    guest_close_both(ready);
    fd = unix_socket(SOCK_STREAM);
    CHECK_ERR(ECONNREFUSED, unix_connect(fd, &name));
    CHECK_OK(close(fd));
    unix_forget(&name);
}

/* index 0: it gets the client, 1: the accepted one; "ab" is on its way already. */
static void as_heir(int index)
{
    int fds[2];
    char buffer[4];
    unix_connection(SOCK_STREAM | SOCK_CLOEXEC, fds);
    CHECK_OK(fcntl(fds[1], F_SETFD, FD_CLOEXEC));
    CHECK_EQ(2, write(fds[1 - index], "ab", 2));
    pid_t pid = unix_static_start("echo", NULL, fds[index]);
    CHECK_OK(close(fds[index]));
    CHECK_EQ(2, guest_read_all(fds[1 - index], buffer, 2));
    CHECK_MEM("ab", buffer, 2);
    echo_big(fds[1 - index], pid);
}

int main(void)
{
    unix_start();
    unix_static_find();
    for (enum unix_form form = UNIX_PATH; form < UNIX_FORMS; form++) {
        as_client(form);
        as_server(form);
    }
    as_heir(0);
    as_heir(1);
    return unix_end();
}
