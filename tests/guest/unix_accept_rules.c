/*
 * Proves: accept's errors in their order; with no free number the connection stays queued, with a
 * bad address it is lost and the client sees its end; EAGAIN without and with a time-out; what the
 * new descriptor has of the listener (SO_PASSCRED) and what not (flags, buffer sizes, times).
 *
 * Rows: 3.2 "accept: order", 3.2 "accept: not listening", 3.2 "accept: empty", 3.2 "accept:
 * EMFILE", 3.2 "accept: bad address pointer / length", 3.2 "accepted fd: no O_NONBLOCK/CLOEXEC
 * inheritance", 3.2 "accepted fd: SO_PASSCRED", 5.1 "SOCK_NONBLOCK in accept4"
 */
#include <sys/resource.h>

#include "unix_names.h"

enum { BAD_FLAG = SOCK_NONBLOCK << 1 };

static void order(int type)
{
    struct unix_name name = unix_abstract("accept");
    int fd = unix_socket(type), file = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    struct rlimit limit, none;
    CHECK_ERR(EBADF, accept4(-1, NULL, NULL, BAD_FLAG));
    CHECK_ERR(EINVAL, accept4(file, NULL, NULL, BAD_FLAG));
    CHECK_ERR(ENOTSOCK, accept(file, NULL, NULL));
    CHECK_ERR(EINVAL, accept(fd, NULL, NULL)); /* fresh */
    CHECK_ERR(EINVAL, accept(fd, guest_bad_pointer(), guest_bad_pointer()));
    CHECK_OK(unix_bind(fd, &name));
    CHECK_ERR(EINVAL, accept(fd, NULL, NULL)); /* bound */
    CHECK_OK(listen(fd, 1));
    CHECK_ERR(EINVAL, accept4(fd, NULL, NULL, BAD_FLAG));
    int client = unix_client(type, &name);
    CHECK_ERR(EINVAL, accept4(fd, NULL, NULL, SOCK_STREAM));
    int accepted = unix_accept(fd);
    CHECK_ERR(EINVAL, accept(client, NULL, NULL)); /* connected */
    CHECK_ERR(EINVAL, accept(accepted, NULL, NULL));
    unix_talk_between(client, accepted);
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    none = limit;
    none.rlim_cur = 0;
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &none));
    CHECK_ERR(EINVAL, accept4(fd, NULL, NULL, BAD_FLAG));
    CHECK_ERR(EMFILE, accept(file, NULL, NULL)); /* before it is asked what the file is */
    CHECK_ERR(EMFILE, accept(client, NULL, NULL));
    CHECK_ERR(EBADF, accept(-1, NULL, NULL));
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    unix_finish(client, accepted);
    CHECK_OK(close(fd));
    CHECK_OK(close(file));
}

static void no_free_number(int type)
{
    struct unix_name name = unix_abstract("accept");
    int listener = unix_listener(type, &name, 4);
    int clients[2] = { unix_client(type, &name), unix_client(type, &name) };
    char byte;
    struct rlimit limit, full;
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    full = limit;
    full.rlim_cur = 0;
    CHECK_EQ(1, write(clients[0], "a", 1));
    CHECK_EQ(1, write(clients[1], "b", 1));
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &full));
    for (int i = 0; i < 5; i++) {
        CHECK_ERR(EMFILE, accept(listener, NULL, NULL));
    }
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    CHECK_EQ(POLLIN, guest_poll(listener, POLLIN, 0));
    for (int i = 0; i < 2; i++) {
        int accepted = unix_accept(listener);
        CHECK_EQ(1, read(accepted, &byte, 1));
        CHECK_EQ("ab"[i], byte);
        unix_finish(clients[i], accepted);
    }
    CHECK_OK(close(listener));
}

/* The client whose connection was accepted and thrown away. */
static void check_thrown_away(int client, bool has_written)
{
    char byte;
    CHECK_EQ(POLLIN | POLLOUT | POLLRDHUP | POLLHUP | (has_written ? POLLERR : 0),
             guest_poll(client, POLLIN | POLLOUT | POLLRDHUP, 0));
    if (has_written) {
        CHECK_ERR(ECONNRESET, read(client, &byte, 1));
    }
    CHECK_EQ(0, read(client, &byte, 1));
    CHECK_ERR(EPIPE, send(client, "x", 1, MSG_NOSIGNAL));
    CHECK_OK(close(client));
}

static void bad_address(int type, bool has_written)
{
    struct unix_name name = unix_abstract("accept"), room;
    int listener = unix_listener(type, &name, 8), clients[5];
    socklen_t length = sizeof room.bytes, negative = (socklen_t)-1;
    int low = (int)CHECK_OK(dup(0));
    CHECK_OK(close(low));
    for (int i = 0; i < 5; i++) {
        clients[i] = unix_client(type, &name);
        if (has_written) {
            CHECK_EQ(1, write(clients[i], "x", 1));
        }
    }
    CHECK_ERR(EFAULT, accept(listener, guest_bad_pointer(), &length));
    CHECK_ERR(EFAULT, accept(listener, &room.header, guest_bad_pointer()));
    CHECK_ERR(EFAULT, accept(listener, &room.header, NULL));
    CHECK_ERR(EINVAL, accept(listener, &room.header, &negative));
    for (int i = 0; i < 4; i++) {
        check_thrown_away(clients[i], has_written);
    }
    CHECK_EQ(low, dup(0)); /* the numbers are free again (those of clients, too) */
    CHECK_OK(close(low));
    char byte;
    int accepted = unix_accept(listener); /* without an address a bad length isn't looked at */
    if (has_written) {
        CHECK_EQ(1, read(accepted, &byte, 1));
    }
    unix_finish(clients[4], accepted);
    int client = unix_client(type, &name);
    accepted = (int)CHECK_OK(accept(listener, NULL, guest_bad_pointer()));
    unix_finish(client, accepted);
    CHECK_OK(close(listener));
}

static void empty(int type)
{
    struct unix_name name = unix_abstract("accept");
    int listener = unix_listener(type, &name, 4);
    guest_set_nonblock(listener, true);
    CHECK_ERR(EAGAIN, accept(listener, NULL, NULL));
    CHECK_ERR(EAGAIN, accept(listener, guest_bad_pointer(), guest_bad_pointer()));
    unix_set_time(listener, SO_RCVTIMEO, 10000);
    CHECK_ERR(EAGAIN, accept(listener, NULL, NULL)); /* O_NONBLOCK goes first */
    guest_set_nonblock(listener, false);
    unix_set_time(listener, SO_RCVTIMEO, 60);
    int64_t start = guest_now_ms();
    CHECK_ERR(EAGAIN, accept(listener, NULL, NULL));
    CHECK(guest_now_ms() - start >= 60);
    CHECK_ERR(EAGAIN, accept4(listener, NULL, NULL, SOCK_NONBLOCK)); /* not this call's flag */
    int client = unix_client(type, &name);
    int accepted = unix_accept(listener);
    unix_finish(client, accepted);
    CHECK_OK(close(listener));
}

static void flags(int type)
{
    struct unix_name name = unix_abstract("accept");
    int listener = unix_listener(type | SOCK_NONBLOCK | SOCK_CLOEXEC, &name, 4);
    for (int i = 0; i < 5; i++) { /* all combinations, and accept */
        int want = (i & 1 ? SOCK_NONBLOCK : 0) | (i & 2 ? SOCK_CLOEXEC : 0);
        int client = unix_client(type, &name);
        int fd = (int)CHECK_OK(i == 4 ? accept(listener, NULL, NULL)
                                      : accept4(listener, NULL, NULL, want));
        CHECK_EQ(O_RDWR | (i & 1 ? O_NONBLOCK : 0), CHECK_OK(fcntl(fd, F_GETFL)));
        CHECK_EQ(i & 2 ? FD_CLOEXEC : 0, CHECK_OK(fcntl(fd, F_GETFD)));
        CHECK_EQ(O_RDWR, CHECK_OK(fcntl(client, F_GETFL)));
        unix_finish(client, fd);
    }
    CHECK_OK(close(listener));
}

static void options(int type)
{
    struct unix_name name = unix_abstract("accept");
    int listener = unix_listener(type, &name, 4), fresh = unix_socket(type);
    int send_size = unix_option(fresh, SO_SNDBUF), receive_size = unix_option(fresh, SO_RCVBUF);
    struct timeval value = { 1, 1 };
    socklen_t size = sizeof value;
    CHECK_OK(close(fresh));
    unix_set_option(listener, SO_SNDBUF, 10000);
    unix_set_option(listener, SO_RCVBUF, 10000);
    unix_set_option(listener, SO_RCVLOWAT, 5);
    unix_set_option(listener, SO_KEEPALIVE, 1);
    unix_set_time(listener, SO_RCVTIMEO, 8000);
    unix_set_time(listener, SO_SNDTIMEO, 8000);
    unix_set_option(listener, SO_PASSCRED, 1);
    int client = unix_client(type, &name), accepted = unix_accept(listener);
    CHECK_EQ(send_size, unix_option(accepted, SO_SNDBUF));
    CHECK_EQ(receive_size, unix_option(accepted, SO_RCVBUF));
    CHECK_EQ(1, unix_option(accepted, SO_RCVLOWAT));
    CHECK_EQ(0, unix_option(accepted, SO_KEEPALIVE));
    CHECK_OK(getsockopt(accepted, SOL_SOCKET, SO_RCVTIMEO, &value, &size));
    CHECK_EQ(0, value.tv_sec + value.tv_usec);
    CHECK_OK(getsockopt(accepted, SOL_SOCKET, SO_SNDTIMEO, &value, &size));
    CHECK_EQ(0, value.tv_sec + value.tv_usec);
    CHECK_EQ(1, unix_option(accepted, SO_PASSCRED)); /* the one that is handed down */
    CHECK_EQ(0, unix_option(client, SO_PASSCRED));
    unix_finish(client, accepted);
    unix_set_option(listener, SO_PASSCRED, 0);
    client = unix_socket(type); /* options of the client stay the client's */
    unix_set_option(client, SO_SNDBUF, 10000);
    CHECK_OK(unix_connect(client, &name));
    accepted = unix_accept(listener);
    CHECK_EQ(20000, unix_option(client, SO_SNDBUF));
    CHECK_EQ(send_size, unix_option(accepted, SO_SNDBUF));
    CHECK_EQ(0, unix_option(accepted, SO_PASSCRED));
    unix_finish(client, accepted);
    CHECK_OK(close(listener));
}

int main(void)
{
    unix_start();
    for (int i = 0; i < 2; i++) {
        order(unix_types[i]);
        no_free_number(unix_types[i]);
        bad_address(unix_types[i], false);
        bad_address(unix_types[i], true);
        empty(unix_types[i]);
        flags(unix_types[i]);
        options(unix_types[i]);
    }
    return unix_end();
}
