/*
 * Proves: who may listen; a second listen sets the backlog; what a listener answers to calls for
 * connected sockets, and what is said of its state: SO_ACCEPTCONN, SO_PEERCRED, FIONREAD, SO_ERROR.
 *
 * Rows: 3.2 "listen: unbound", 3.2 "listen: connected", 3.2 "listen: already listening",
 * 3.2 "SO_ACCEPTCONN", 3.2 "calls for connected sockets on a listener", 3.2 "SO_PEERCRED: of a
 * listener", 3.8 "FIONREAD"
 */
#include "unix_names.h"

static void who_may_listen(int type)
{
    int fd = unix_socket(type), fds[2];
    struct unix_name name = unix_abstract("listen");
    CHECK_ERR(EINVAL, listen(fd, 1));
    CHECK_EQ(0, unix_option(fd, SO_ACCEPTCONN));
    CHECK_OK(unix_bind(fd, &name));
    CHECK_EQ(0, unix_option(fd, SO_ACCEPTCONN));
    CHECK_OK(listen(fd, 1));
    CHECK_EQ(1, unix_option(fd, SO_ACCEPTCONN));
    CHECK_OK(listen(fd, 0));
    CHECK_OK(listen(fd, -1));
    CHECK_OK(listen(fd, INT_MAX));
    int client = unix_client(type, &name), accepted = unix_accept(fd);
    CHECK_ERR(EINVAL, listen(client, 1));
    CHECK_ERR(EINVAL, listen(accepted, 1));
    CHECK_EQ(0, unix_option(client, SO_ACCEPTCONN));
    CHECK_EQ(0, unix_option(accepted, SO_ACCEPTCONN));
    unix_finish(client, accepted);
    CHECK_OK(close(fd));
    guest_pair(type, fds);
    CHECK_ERR(EINVAL, listen(fds[0], 1));
    struct unix_name unnamed = unix_unnamed();
    CHECK_OK(unix_bind(fds[0], &unnamed));
    CHECK_ERR(EINVAL, listen(fds[0], 1));
    unix_finish(fds[0], fds[1]);
    CHECK_ERR(EBADF, listen(fd, 1));
    fd = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    CHECK_ERR(ENOTSOCK, listen(fd, 1));
    CHECK_ERR(ENOTSOCK, accept(fd, NULL, NULL));
    CHECK_OK(close(fd));
}

static void not_connected(int type)
{
    struct unix_name name = unix_abstract("listen");
    int listener = unix_listener(type, &name, 4), bytes = 0;
    int client = unix_client(type, &name);
    char byte = 'x';
    struct sockaddr_un address;
    socklen_t length = sizeof address;
    guest_set_nonblock(listener, true);
    CHECK_EQ(1, write(client, "x", 1)); /* data that waits isn't the listener's */
    int nothing = type == SOCK_STREAM ? EINVAL : ENOTCONN;
    CHECK_ERR(nothing, read(listener, &byte, 1));
    CHECK_ERR(nothing, recv(listener, &byte, 1, 0));
    CHECK_ERR(ENOTCONN, write(listener, &byte, 1));
    CHECK_ERR(ENOTCONN, send(listener, &byte, 1, MSG_NOSIGNAL));
    CHECK_ERR(ENOTCONN, getpeername(listener, (struct sockaddr *)&address, &length));
    CHECK_ERR(EINVAL, ioctl(listener, FIONREAD, &bytes));
    CHECK_OK(ioctl(listener, TIOCOUTQ, &bytes));
    CHECK_EQ(0, bytes);
    CHECK_EQ(0, unix_option(listener, SO_ERROR));
    CHECK_EQ(type, unix_option(listener, SO_TYPE));
    CHECK_EQ(AF_UNIX, unix_option(listener, SO_DOMAIN));
    struct ucred credentials = { 0 };
    socklen_t size = sizeof credentials;
    CHECK_OK(getsockopt(listener, SOL_SOCKET, SO_PEERCRED, &credentials, &size));
    CHECK_EQ(getpid(), credentials.pid); /* its own */
    CHECK_EQ(geteuid(), credentials.uid);
    CHECK_EQ(getegid(), credentials.gid);
    CHECK_ERR(EINVAL, unix_connect(listener, &name)); /* to itself */
    int accepted = unix_accept(listener);
    CHECK_EQ(1, read(accepted, &byte, 1));
    unix_finish(client, accepted);
    CHECK_OK(close(listener));
}

/* Options of a listener are its own; they hold. */
static void options(int type)
{
    struct unix_name name = unix_abstract("listen");
    int listener = unix_socket(type);
    unix_set_option(listener, SO_REUSEADDR, 1); /* means nothing here */
    unix_set_option(listener, SO_SNDBUF, 10000);
    CHECK_OK(unix_bind(listener, &name));
    CHECK_OK(listen(listener, 1));
    unix_set_option(listener, SO_RCVBUF, 20000);
    unix_set_time(listener, SO_RCVTIMEO, 4000);
    struct timeval value;
    socklen_t size = sizeof value;
    CHECK_OK(getsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &value, &size));
    CHECK_EQ(4, value.tv_sec);
    CHECK_EQ(20000, unix_option(listener, SO_SNDBUF));
    CHECK_EQ(40000, unix_option(listener, SO_RCVBUF));
    CHECK_EQ(1, unix_option(listener, SO_REUSEADDR));
    int other = unix_socket(type);
    unix_set_option(other, SO_REUSEADDR, 1);
    CHECK_ERR(EADDRINUSE, unix_bind(other, &name));
    CHECK_OK(close(other));
    CHECK_OK(close(listener));
}

int main(void)
{
    unix_start();
    for (int i = 0; i < 2; i++) {
        who_may_listen(unix_types[i]);
        not_connected(unix_types[i]);
        options(unix_types[i]);
    }
    return unix_end();
}
