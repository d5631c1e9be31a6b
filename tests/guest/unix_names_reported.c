/*
 * Proves: the names that getsockname, getpeername, accept and recvfrom report on both sides of a
 * connection, for clients that are unbound, bound to a path and to an abstract name, and of a pair
 * whose end is bound; lengths that are cut, and errors; names live on after the peer is gone.
 *
 * Rows: 3.1 "unbound (fresh, socketpair, client)", 3.1 "path: 2+strlen+1", 3.1 "abstract: exactly
 * as bound", 3.1 "accepted socket's own name", 3.1 "client's getpeername", 3.1 "accept's address",
 * 3.1 "recvfrom/recvmsg on stream from an unnamed sender", 3.1 "recvfrom/recvmsg from a named
 * sender", 3.1 "buffer too small", 3.1 "*len < 0", 3.1 "getpeername, never connected or listening",
 * 3.1 "getpeername after peer closed", 3.1 "bind: connected but unbound socket"
 */
#include "unix_names.h"

struct connection {
    int listener, client, accepted;
};

static struct connection make(int type, const struct unix_name *server,
                              const struct unix_name *client_name)
{
    struct connection connection = { .listener = unix_listener(type, server, 1),
                                     .client = unix_socket(type) };
    if (client_name->length > UNIX_UNNAMED) {
        CHECK_OK(unix_bind(connection.client, client_name));
    }
    CHECK_OK(unix_connect(connection.client, server));
    connection.accepted = ACCEPT_FROM(connection.listener, *client_name);
    return connection;
}

static void check_recvfrom(int fd, int from, const struct unix_name *expected)
{
    char byte;
    struct unix_name actual = { .length = UNIX_NAME_BYTES };
    CHECK_EQ(1, write(from, "x", 1));
    int size = (int)recvfrom(fd, &byte, 1, 0, &actual.header, &actual.length);
    if (expected->length > UNIX_UNNAMED) {
        unix_check_name(__FILE__, __LINE__, "recvfrom", expected, size, &actual);
    } else {
        CHECK_EQ(1, size);
        CHECK_EQ(0, actual.length); /* unlike getsockname: no family either */
    }
}

static void check_recvmsg(int fd, int from, const struct unix_name *expected)
{
    char byte;
    struct unix_name actual = { .length = 0 };
    struct iovec vector = { .iov_base = &byte, .iov_len = 1 };
    struct msghdr message = { .msg_name = actual.bytes,
                              .msg_namelen = UNIX_NAME_BYTES,
                              .msg_iov = &vector,
                              .msg_iovlen = 1 };
    CHECK_EQ(1, write(from, "x", 1));
    CHECK_EQ(1, recvmsg(fd, &message, 0));
    CHECK_EQ(expected->length > UNIX_UNNAMED ? expected->length : 0, message.msg_namelen);
    CHECK_MEM(expected->bytes, actual.bytes, message.msg_namelen);
}

static void both_sides(int type, enum unix_form form, const struct unix_name *client_name)
{
    struct unix_name server = unix_named(form, "server");
    struct connection connection = make(type, &server, client_name);
    CHECK_OWN_NAME(server, connection.listener);
    CHECK_OWN_NAME(server, connection.accepted);
    CHECK_OWN_NAME(*client_name, connection.client);
    CHECK_PEER_NAME(server, connection.client);
    CHECK_PEER_NAME(*client_name, connection.accepted);
    check_recvfrom(connection.client, connection.accepted, &server);
    check_recvfrom(connection.accepted, connection.client, client_name);
    check_recvmsg(connection.client, connection.accepted, &server);
    check_recvmsg(connection.accepted, connection.client, client_name);
    CHECK_OK(close(connection.listener)); /* takes no name away */
    CHECK_PEER_NAME(server, connection.client);
    CHECK_OK(shutdown(connection.client, SHUT_RDWR));
    CHECK_PEER_NAME(server, connection.client);
    CHECK_PEER_NAME(*client_name, connection.accepted);
    CHECK_OK(close(connection.accepted));
    CHECK_PEER_NAME(server, connection.client);
    CHECK_OWN_NAME(*client_name, connection.client);
    CHECK_OK(close(connection.client));
    unix_forget(&server);
    unix_forget(client_name);
}

/* The peer sees a name given while it is connected. */
static void bound_when_connected(int type, enum unix_form form)
{
    struct unix_name late = unix_named(form, "late"), unnamed = unix_unnamed();
    int fds[2];
    guest_pair(type, fds);
    CHECK_PEER_NAME(unnamed, fds[1]);
    CHECK_OK(unix_bind(fds[0], &late));
    CHECK_OWN_NAME(late, fds[0]);
    CHECK_PEER_NAME(late, fds[1]);
    CHECK_OWN_NAME(unnamed, fds[1]);
    check_recvfrom(fds[1], fds[0], &late);
    check_recvmsg(fds[1], fds[0], &late);
    check_recvfrom(fds[0], fds[1], &unnamed);
    CHECK_ERR(EINVAL, listen(fds[0], 1)); /* bound, but connected */
    unix_finish(fds[0], fds[1]);
    unix_forget(&late);
}

/* A client that closed before accept is still known by its name. */
static void closed_before_accept(int type, const struct unix_name *client_name)
{
    struct unix_name server = unix_abstract("server");
    int listener = unix_listener(type, &server, 1), client = unix_socket(type);
    CHECK_OK(unix_bind(client, client_name));
    CHECK_OK(unix_connect(client, &server));
    CHECK_OK(close(client));
    int accepted = ACCEPT_FROM(listener, *client_name);
    CHECK_PEER_NAME(*client_name, accepted);
    CHECK_OK(close(accepted));
    CHECK_OK(close(listener));
    unix_forget(client_name);
}

static void cut(int type)
{
    struct unix_name server = unix_abstract("server"), client = unix_file("client");
    struct connection connection = make(type, &server, &client);
    char bytes[UNIX_NAME_BYTES];
    memset(bytes, 'z', sizeof bytes);
    socklen_t length = 5;
    CHECK_OK(getpeername(connection.accepted, (struct sockaddr *)bytes, &length));
    CHECK_EQ(client.length, length);
    CHECK_MEM(client.bytes, bytes, 5);
    CHECK_EQ('z', bytes[5]);
    length = 0;
    CHECK_OK(getsockname(connection.client, NULL, &length));
    CHECK_EQ(client.length, length);
    unix_finish(connection.client, connection.accepted);
    connection.client = unix_client(type, &server);
    length = 3; /* the same of accept's */
    memset(bytes, 'z', sizeof bytes);
    connection.accepted =
        (int)CHECK_OK(accept(connection.listener, (struct sockaddr *)bytes, &length));
    CHECK_EQ(UNIX_UNNAMED, length);
    CHECK_EQ('z', bytes[2]);
    unix_finish(connection.client, connection.accepted);
    CHECK_OK(close(connection.listener));
    unix_forget(&client);
}

static void errors(int type)
{
    struct unix_name server = unix_abstract("server"), client = unix_abstract("client"), name;
    struct connection connection = make(type, &server, &client);
    const int fds[] = { connection.listener, connection.client, connection.accepted };
    for (int i = 0; i < 3; i++) {
        socklen_t length = (socklen_t)-1;
        CHECK_ERR(EINVAL, getsockname(fds[i], &name.header, &length));
        CHECK_ERR(EFAULT, getsockname(fds[i], &name.header, NULL));
        CHECK_ERR(EFAULT, getsockname(fds[i], &name.header, guest_bad_pointer()));
        length = sizeof name.bytes;
        CHECK_ERR(EFAULT, getsockname(fds[i], guest_bad_pointer(), &length));
        if (i == 0) {
            CHECK_ERR(ENOTCONN, getpeername(fds[i], &name.header, &length));
            continue;
        }
        length = (socklen_t)-1;
        CHECK_ERR(EINVAL, getpeername(fds[i], &name.header, &length));
        CHECK_ERR(EFAULT, getpeername(fds[i], &name.header, NULL));
        length = sizeof name.bytes;
        CHECK_ERR(EFAULT, getpeername(fds[i], guest_bad_pointer(), &length));
    }
    unix_finish(connection.client, connection.accepted);
    CHECK_OK(close(connection.listener));
    int fresh = unix_socket(type);
    struct unix_name unnamed = unix_unnamed();
    socklen_t length = sizeof name.bytes;
    CHECK_OWN_NAME(unnamed, fresh);
    CHECK_ERR(ENOTCONN, getpeername(fresh, &name.header, &length));
    CHECK_OK(unix_bind(fresh, &server));
    CHECK_ERR(ENOTCONN, getpeername(fresh, &name.header, &length));
    CHECK_OK(close(fresh));
}

int main(void)
{
    unix_start();
    struct unix_name clients[] = { unix_unnamed(), unix_file("client"), unix_abstract("client") };
    for (int i = 0; i < 2; i++) {
        for (int kind = 0; kind < 3; kind++) {
            both_sides(unix_types[i], UNIX_PATH, &clients[kind]);
            both_sides(unix_types[i], UNIX_ABSTRACT, &clients[kind]);
        }
        bound_when_connected(unix_types[i], UNIX_PATH);
        bound_when_connected(unix_types[i], UNIX_ABSTRACT);
        closed_before_accept(unix_types[i], &clients[1]);
        closed_before_accept(unix_types[i], &clients[2]);
        cut(unix_types[i]);
        errors(unix_types[i]);
    }
    return unix_end();
}
