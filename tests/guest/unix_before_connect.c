/*
 * Proves: what was set on a fresh socket holds when it is connected: buffer size (what fits until
 * EAGAIN), times, SO_RCVLOWAT, SO_PEEK_OFF, O_NONBLOCK, shutdown of either direction; a pending
 * read-only state is asked for and not spoilt by a connect that fails; records of no bytes wait to
 * be accepted like others.
 *
 * Rows: 3.2 "data over connections", 3.2 "connect succeeds before accept()",
 * 3.7 "SEQPACKET record: linear part", 3.8 "SO_RCVTIMEO/SNDTIMEO"
 */
#include "unix_names.h"

static void buffer_sizes(int type)
{
    static const int sizes[] = { 1, 5000, 20000, 100000 };
    struct unix_name name = unix_abstract("before");
    int listener = unix_listener(type, &name, 4);
    for (int i = 0; i < 4; i++) {
        int pair[2], client = unix_socket(type);
        guest_pair(type, pair);
        unix_set_option(client, SO_SNDBUF, sizes[i]);
        unix_set_option(pair[0], SO_SNDBUF, sizes[i]);
        CHECK_EQ(unix_option(pair[0], SO_SNDBUF), unix_option(client, SO_SNDBUF));
        CHECK_OK(unix_connect(client, &name));
        int accepted = unix_accept(listener);
        unix_set_option(accepted, SO_SNDBUF, sizes[i]);
        int expected = guest_socket_fill(pair[0], 1000);
        CHECK_EQ(expected, guest_socket_fill(client, 1000));
        CHECK_EQ(expected, guest_socket_fill(accepted, 1000));
        guest_close_both(pair);
        CHECK_OK(close(client));
        CHECK_OK(close(accepted));
    }
    CHECK_OK(close(listener));
}

static void times_and_marks(int type)
{
    struct unix_name name = unix_abstract("before");
    int listener = unix_listener(type, &name, 4), client = unix_socket(type);
    char buffer[8];
    unix_set_time(client, SO_RCVTIMEO, 60);
    unix_set_option(client, SO_RCVLOWAT, 3);
    unix_set_option(client, SO_PEEK_OFF, 1);
    CHECK_OK(unix_connect(client, &name));
    int accepted = unix_accept(listener);
    int64_t start = guest_now_ms();
    CHECK_ERR(EAGAIN, read(client, buffer, 1));
    CHECK(guest_now_ms() - start >= 60);
    CHECK_EQ(3, unix_option(client, SO_RCVLOWAT));
    CHECK_EQ(3, write(accepted, "abc", 3));
    CHECK_EQ(2, recv(client, buffer, sizeof buffer, MSG_PEEK));
    CHECK_MEM("bc", buffer, 2);
    CHECK_EQ(3, read(client, buffer, sizeof buffer));
    if (type == SOCK_STREAM) { /* less than SO_RCVLOWAT: it waits for the time to pass */
        CHECK_EQ(2, write(accepted, "de", 2));
        start = guest_now_ms();
        CHECK_EQ(2, read(client, buffer, sizeof buffer));
        CHECK(guest_now_ms() - start >= 60);
    }
    CHECK_OK(close(client));
    CHECK_OK(close(accepted));
    CHECK_OK(close(listener));
}

static void flags(int type)
{
    struct unix_name name = unix_abstract("before");
    int listener = unix_listener(type, &name, 4), client = unix_socket(type | SOCK_NONBLOCK);
    char byte;
    CHECK_OK(unix_connect(client, &name));
    CHECK_ERR(EAGAIN, read(client, &byte, 1));
    CHECK_EQ(O_RDWR | O_NONBLOCK, CHECK_OK(fcntl(client, F_GETFL)));
    int accepted = unix_accept(listener), other = unix_socket(type);
    guest_set_nonblock(other, true);
    CHECK_OK(fcntl(other, F_SETFD, FD_CLOEXEC));
    CHECK_OK(unix_connect(other, &name));
    CHECK_ERR(EAGAIN, read(other, &byte, 1));
    CHECK_EQ(FD_CLOEXEC, CHECK_OK(fcntl(other, F_GETFD)));
    unix_finish(client, accepted);
    unix_finish(other, unix_accept(listener));
    CHECK_OK(close(listener));
}

static void shut_for_reading(int type)
{
    struct unix_name name = unix_abstract("before");
    int listener = unix_listener(type, &name, 4), client = unix_socket(type);
    char buffer[4];
    CHECK_OK(shutdown(client, SHUT_RD));
    CHECK_EQ(POLLIN | POLLOUT | POLLRDHUP | POLLHUP,
             guest_poll(client, POLLIN | POLLOUT | POLLRDHUP, 0));
    CHECK_OK(unix_connect(client, &name));
    CHECK_EQ(POLLIN | POLLOUT | POLLRDHUP, guest_poll(client, POLLIN | POLLOUT | POLLRDHUP, 0));
    CHECK_EQ(0, read(client, buffer, 1));
    int accepted = unix_accept(listener);
    CHECK_ERR(EPIPE, send(accepted, "x", 1, MSG_NOSIGNAL));
    CHECK_EQ(2, write(client, "up", 2));
    CHECK_EQ(2, read(accepted, buffer, sizeof buffer));
    CHECK_OK(close(client));
    CHECK_EQ(0, read(accepted, buffer, sizeof buffer));
    CHECK_OK(close(accepted));
    CHECK_OK(close(listener));
}

static void shut_both(int type)
{
    struct unix_name name = unix_abstract("before");
    int listener = unix_listener(type, &name, 4), client = unix_socket(type);
    char byte;
    CHECK_OK(shutdown(client, SHUT_RDWR));
    CHECK_OK(unix_connect(client, &name));
    CHECK_EQ(POLLIN | POLLOUT | POLLRDHUP | POLLHUP,
             guest_poll(client, POLLIN | POLLOUT | POLLRDHUP, 0));
    CHECK_EQ(0, read(client, &byte, 1));
    CHECK_ERR(EPIPE, send(client, "x", 1, MSG_NOSIGNAL));
    int accepted = unix_accept(listener);
    CHECK_ERR(EPIPE, send(accepted, "x", 1, MSG_NOSIGNAL));
    CHECK_EQ(POLLOUT, guest_poll(accepted, POLLIN | POLLOUT | POLLRDHUP, 0));
    CHECK_OK(close(client));
    CHECK_EQ(0, read(accepted, &byte, 1));
    CHECK_OK(close(accepted));
    CHECK_OK(close(listener));
}

static void calls_on_fresh(int type)
{
    struct unix_name name = unix_abstract("before");
    int listener = unix_listener(type, &name, 4), client = unix_socket(type), bytes = -1;
    char byte = 'x';
    int nothing = type == SOCK_STREAM ? EINVAL : ENOTCONN;
    CHECK_ERR(nothing, read(client, &byte, 1));
    CHECK_ERR(nothing, recv(client, &byte, 1, MSG_DONTWAIT));
    CHECK_ERR(ENOTCONN, write(client, &byte, 1));
    CHECK_OK(ioctl(client, FIONREAD, &bytes));
    CHECK_EQ(0, bytes);
    CHECK_EQ(0, unix_option(client, SO_ERROR));
    CHECK_ERR(type == SOCK_STREAM ? EOPNOTSUPP : ENOTCONN,
              sendto(client, &byte, 1, MSG_NOSIGNAL, &name.header, name.length));
    CHECK_OK(unix_connect(client, &name));
    unix_finish(client, unix_accept(listener));
    CHECK_OK(close(listener));
}

static void empty_records(void)
{
    struct unix_name name = unix_abstract("before");
    int listener = unix_listener(SOCK_SEQPACKET, &name, 4);
    int client = unix_client(SOCK_SEQPACKET, &name);
    char buffer[8];
    CHECK_EQ(0, write(client, "", 0));
    CHECK_EQ(3, write(client, "abc", 3));
    CHECK_EQ(0, send(client, "", 0, 0));
    CHECK_OK(close(client));
    int accepted = unix_accept(listener);
    CHECK_EQ(0, recv(accepted, buffer, sizeof buffer, 0));
    CHECK_EQ(3, recv(accepted, buffer, 1, MSG_TRUNC));
    CHECK_EQ('a', buffer[0]);
    CHECK_EQ(POLLIN | POLLRDHUP | POLLHUP, guest_poll(accepted, POLLIN | POLLRDHUP, 0));
    CHECK_EQ(0, recv(accepted, buffer, sizeof buffer, 0));
    CHECK_OK(close(accepted));
    CHECK_OK(close(listener));
}

int main(void)
{
    unix_start();
    empty_records();
    for (int i = 0; i < 2; i++) {
        buffer_sizes(unix_types[i]);
        times_and_marks(unix_types[i]);
        flags(unix_types[i]);
        shut_for_reading(unix_types[i]);
        shut_both(unix_types[i]);
        calls_on_fresh(unix_types[i]);
    }
    return unix_end();
}
