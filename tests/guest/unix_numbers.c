/*
 * Proves: which numbers socket, accept and dup give, and that a number means what it was last made:
 * an accepted socket over a listener's number, a pipe over a connection's, a fresh socket over a
 * pipe's; dup and F_DUPFD of listeners and of sockets that are connected later; status flags are
 * shared between copies.
 *
 * Rows: 3.2 "accepted fd: lowest number", 3.2 "copies of a socket", 5.2 "F_DUPFD / _CLOEXEC min"
 */
#include <sys/resource.h>

#include "unix_names.h"

static int lowest(void)
{
    int fd = (int)CHECK_OK(dup(0));
    CHECK_OK(close(fd));
    return fd;
}

static void lowest_numbers(int type)
{
    struct unix_name name = unix_abstract("numbers");
    int low = lowest();
    int listener = unix_listener(type, &name, 4);
    CHECK_EQ(low, listener);
    int client = unix_client(type, &name);
    CHECK_EQ(low + 1, client);
    CHECK_EQ(low + 2, unix_accept(listener));
    CHECK_OK(close(client));
    int second = unix_client(type, &name);
    CHECK_EQ(low + 1, second); /* the first one's number, another connection */
    CHECK_EQ(low + 3, unix_accept(listener));
    unix_finish(second, low + 3);
    CHECK_OK(close(low + 2));
    int fd = unix_socket(type);
    CHECK_OK(close(fd)); /* a socket that was never connected */
    struct rlimit limit, full;
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    full = limit;
    full.rlim_cur = (rlim_t)low + 1;
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &full));
    CHECK_ERR(EMFILE, socket(AF_UNIX, type, 0));
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    CHECK_OK(close(listener));
    CHECK_EQ(low, lowest());
}

/* dup2 with accepted, listening, connected and fresh sockets at either side. */
static void one_over_another(int type)
{
    struct unix_name name = unix_abstract("numbers");
    int listener = unix_listener(type, &name, 4), client = unix_client(type, &name), fds[2];
    char byte;
    int number = unix_accept(listener);
    CHECK_OK(dup2(number, listener)); /* the listener is no more */
    CHECK_OK(close(number));
    int refused = unix_socket(type);
    CHECK_ERR(ECONNREFUSED, unix_connect(refused, &name));
    CHECK_ERR(EINVAL, accept(listener, NULL, NULL));
    unix_talk_between(client, listener);
    guest_pipe(fds);
    CHECK_OK(dup2(fds[0], listener)); /* a pipe instead: the connection ends */
    CHECK_EQ(0, read(client, &byte, 1));
    CHECK_EQ(1, write(fds[1], "p", 1));
    CHECK_EQ(1, read(listener, &byte, 1));
    CHECK_ERR(ENOTSOCK, accept(listener, NULL, NULL));
    CHECK_OK(close(client));
    client = unix_socket(type);
    CHECK_OK(dup2(client, fds[0])); /* a fresh socket over a pipe's end */
    CHECK_OK(close(client));
    client = fds[0];
    CHECK_ERR(ENOTCONN, send(client, "x", 1, MSG_NOSIGNAL));
    CHECK_OK(close(listener)); /* the pipe's last reader */
    guest_count_signal(SIGPIPE, 0);
    CHECK_ERR(EPIPE, write(fds[1], "x", 1));
    listener = unix_listener(type, &name, 4);
    CHECK_OK(unix_connect(client, &name));
    CHECK_OK(unix_connect(refused, &name));
    number = unix_accept(listener);
    CHECK_OK(dup2(number, fds[1])); /* an accepted one over the other end */
    unix_talk_between(client, fds[1]);
    CHECK_OK(close(fds[1]));
    CHECK_EQ(POLLOUT, guest_poll(client, POLLIN | POLLOUT, 0)); /* accept's own is still open */
    CHECK_OK(close(number));
    CHECK_EQ(0, read(client, &byte, 1));
    CHECK_OK(close(client));
    CHECK_OK(close(listener));
    CHECK_ERR(ECONNRESET, read(refused, &byte, 1));
    CHECK_OK(close(refused));
}

static void copies_of_listeners(int type)
{
    struct unix_name name = unix_abstract("numbers");
    int listener = unix_listener(type, &name, 4);
    int copy = (int)CHECK_OK(dup(listener));
    int high = (int)CHECK_OK(fcntl(listener, F_DUPFD_CLOEXEC, 100));
    CHECK(high >= 100);
    guest_set_nonblock(copy, true);
    CHECK_ERR(EAGAIN, accept(listener, NULL, NULL)); /* one set of flags */
    int client = unix_client(type, &name);
    unix_finish(client, unix_accept(high));
    CHECK_ERR(EAGAIN, accept(copy, NULL, NULL));
    CHECK_OK(close(listener));
    client = unix_client(type, &name);
    CHECK_EQ(POLLIN, guest_poll(copy, POLLIN, 0));
    CHECK_EQ(POLLIN, guest_poll(high, POLLIN, 0));
    unix_finish(client, unix_accept(copy));
    CHECK_OK(close(copy));
    CHECK_OK(listen(high, 1));
    client = unix_client(type, &name);
    unix_finish(client, unix_accept(high));
    CHECK_OK(close(high));
    client = unix_socket(type);
    CHECK_ERR(ECONNREFUSED, unix_connect(client, &name));
    CHECK_OK(close(client));
}

/* All copies of a fresh socket are bound, listen or are connected at once. */
static void copies_of_fresh(int type)
{
    struct unix_name name = unix_abstract("numbers"), own = unix_abstract("own");
    int first = unix_socket(type), listener = (int)CHECK_OK(dup(first));
    CHECK_OK(unix_bind(first, &name));
    CHECK_OWN_NAME(name, listener);
    CHECK_OK(listen(listener, 4));
    CHECK_EQ(1, unix_option(first, SO_ACCEPTCONN));
    CHECK_OK(close(first));
    int client = unix_socket(type), copy = (int)CHECK_OK(fcntl(client, F_DUPFD, 0));
    CHECK_OK(unix_bind(copy, &own));
    CHECK_OK(unix_connect(client, &name));
    CHECK_ERR(EISCONN, unix_connect(copy, &name));
    CHECK_PEER_NAME(name, copy);
    int accepted = ACCEPT_FROM(listener, own);
    unix_talk_between(copy, accepted);
    CHECK_OK(close(client));
    unix_talk_between(copy, accepted);
    guest_set_nonblock(accepted, true);
    int other = (int)CHECK_OK(dup(accepted));
    char byte;
    CHECK_ERR(EAGAIN, read(other, &byte, 1));
    CHECK_OK(close(accepted));
    unix_finish(copy, other);
    CHECK_OK(close(listener));
}

int main(void)
{
    unix_start();
    for (int i = 0; i < 2; i++) {
        lowest_numbers(unix_types[i]);
        one_over_another(unix_types[i]);
        copies_of_listeners(unix_types[i]);
        copies_of_fresh(unix_types[i]);
    }
    return unix_end();
}
