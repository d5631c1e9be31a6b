/*
 * Proves (in the emulator only): a non-blocking connect of AF_VSOCK is always EINPROGRESS; how its
 * end is seen by poll, by level- and edge-triggered epoll and in SO_ERROR; after a refusal the
 * socket stays connecting: EALREADY for ever, until a blocking connect takes the error or, when it
 * was read already, waits for the timeout; a stored error replaces EPIPE once.
 *
 * Rows: 7.4 "CONNECTING, O_NONBLOCK", 7.4 "CONNECTING, blocking",
 * 7.4 "otherwise O_NONBLOCK", 7.4 "After a non-blocking refusal", 7.4 "Completion order",
 * 7.6 "failed non-blocking connect", 7.5 "a pending sk_err replaces EPIPE once",
 * 7.5 "sk_err found while sending"
 */
#include "vsock.h"

static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };

static int epoll_with(int fd, uint32_t events)
{
    int epoll = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    struct epoll_event event = { .events = events, .data.fd = fd };
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
    return epoll;
}

static uint32_t next_event(int epoll, int timeout)
{
    struct epoll_event event = { .events = 0 };
    return CHECK_OK(epoll_wait(epoll, &event, 1, timeout)) == 1 ? event.events : 0;
}

static void success_server(struct vsock_side *side)
{
    for (int i = 0; i < 4; i++) {
        int listener = vsock_listen(side, types[i % 2], 1);
        int fd = vsock_accept(listener);
        vsock_meet(side);
        CHECK_EQ(1, write(fd, "x", 1));
        vsock_meet(side);
        CHECK_OK(close(fd));
        CHECK_OK(close(listener));
    }
}

/* As event loops do it: connect, wait for OUT, ask SO_ERROR and getpeername. */
static void success_client(struct vsock_side *side)
{
    for (int i = 0; i < 4; i++) {
        uint32_t port = vsock_hear(side);
        int fd = vsock_socket(types[i % 2] | SOCK_NONBLOCK);
        CHECK_ERR(EINPROGRESS, vsock_connect(fd, side->peer_cid, port));
        int epoll = epoll_with(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
        if (i < 2) {
            CHECK_EQ(EPOLLOUT, next_event(epoll, -1));
        } else {
            vsock_wait_bit(fd, POLLOUT);
        }
        CHECK_EQ(0, vsock_error(fd));
        CHECK_PEER(side->peer_cid, port, fd);
        CHECK_BITS(VSOCK_OUT, fd);
        CHECK_ERR(EISCONN, vsock_connect(fd, side->peer_cid, port));
        guest_set_nonblock(fd, false);
        CHECK_ERR(EISCONN, vsock_connect(fd, side->peer_cid, port));
        vsock_meet(side);
        vsock_meet(side);
        CHECK_EQ(1, read(fd, &(char){ 0 }, 1));
        CHECK_OK(close(epoll));
        CHECK_OK(close(fd));
    }
}

/* A set that held the socket from the start: OUT of the fresh socket, then OUT of the connection.
 */
static void registered_server(struct vsock_side *side)
{
    int fd = vsock_answer(side, SOCK_STREAM);
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static void registered_client(struct vsock_side *side)
{
    uint32_t port = vsock_hear(side);
    int fd = vsock_socket(SOCK_STREAM | SOCK_NONBLOCK);
    int epoll = epoll_with(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    CHECK_EQ(EPOLLOUT, next_event(epoll, 0));
    CHECK_EQ(0, next_event(epoll, 0));
    CHECK_ERR(EINPROGRESS, vsock_connect(fd, side->peer_cid, port));
    CHECK_EQ(EPOLLOUT, next_event(epoll, -1));
    CHECK_EQ(0, vsock_error(fd));
    vsock_meet(side);
    vsock_meet(side);
    CHECK_OK(close(epoll));
    CHECK_OK(close(fd));
}

/* A refused socket, with its error unread. */
static int refused_socket(int type, uint32_t cid, uint32_t port)
{
    int fd = vsock_socket(type | SOCK_NONBLOCK);
    int edges = epoll_with(fd, EPOLLIN | EPOLLOUT | EPOLLET);
    CHECK_EQ(EPOLLOUT, next_event(edges, 0));
    CHECK_ERR(EINPROGRESS, vsock_connect(fd, cid, port));
    CHECK_EQ(EPOLLOUT | EPOLLERR, next_event(edges, -1));
    CHECK_OK(close(edges));
    CHECK_BITS(POLLERR | VSOCK_OUT, fd);
    CHECK_NO_PEER(fd);
    return fd;
}

/* Nobody listens on the port at first; then somebody does, and then nobody again. */
static void refused_server(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        int fd = vsock_socket(types[i]);
        CHECK_OK(vsock_bind(fd, VMADDR_CID_ANY, VMADDR_PORT_ANY));
        vsock_say(side, vsock_port(fd));
        vsock_meet(side);
        CHECK_OK(listen(fd, 2));
        vsock_meet(side);
        int first = vsock_accept(fd), second = vsock_accept(fd);
        vsock_meet(side);
        CHECK_OK(close(first));
        CHECK_OK(close(second));
        CHECK_OK(close(fd));
    }
}

static void stays_connecting(int fd, uint32_t cid, uint32_t port)
{
    const struct sockaddr_vm wrong = { .svm_family = AF_UNSPEC };
    for (int i = 0; i < 3; i++) {
        CHECK_ERR(EALREADY, vsock_connect(fd, cid, port));
        CHECK_ERR(EALREADY, vsock_connect(fd, VMADDR_CID_LOCAL, 1));
    }
    CHECK_ERR(EALREADY, connect(fd, (const struct sockaddr *)&wrong, 2)); /* not looked at */
    CHECK_ERR(EINVAL, listen(fd, 1));
    CHECK_ERR(EINVAL, vsock_bind(fd, VMADDR_CID_ANY, VMADDR_PORT_ANY));
    CHECK_ERR(ENOTCONN, recv(fd, &(char){ 0 }, 1, 0));
    CHECK_ERR(ENOTCONN, send(fd, "x", 1, MSG_NOSIGNAL));
    CHECK_NO_PEER(fd);
}

static void refused_client(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        uint32_t port = vsock_hear(side), cid = side->peer_cid;
        int unread = refused_socket(types[i], cid, port);
        int asked = refused_socket(types[i], cid, port);
        uint32_t own = vsock_port(unread);
        stays_connecting(unread, cid, port);
        CHECK_BITS(POLLERR | VSOCK_OUT, unread);
        CHECK_EQ(ECONNRESET, vsock_error(asked));
        CHECK_BITS(VSOCK_OUT, asked);
        stays_connecting(asked, cid, port);
        vsock_meet(side);
        vsock_meet(side); /* now somebody listens: it makes no difference yet */
        CHECK_ERR(EALREADY, vsock_connect(unread, cid, port));
        CHECK_ERR(EALREADY, vsock_connect(asked, cid, port));
        guest_set_nonblock(unread, false);
        CHECK_ERR(ECONNRESET, vsock_connect(unread, cid, port));
        CHECK_OK(vsock_connect(unread, cid, port));
        CHECK_NAME(VMADDR_CID_ANY, own, unread);
        guest_set_nonblock(asked, false);
        vsock_set_connect_timeout(asked, 100);
        int64_t before = guest_now_ms();
        CHECK_ERR(ETIMEDOUT, vsock_connect(asked, cid, port));
        CHECK(guest_now_ms() - before >= 99);
        guest_set_nonblock(asked, true);
        CHECK_ERR(EINPROGRESS, vsock_connect(asked, cid, port));
        vsock_wait_bit(asked, POLLOUT);
        CHECK_EQ(0, vsock_error(asked));
        vsock_meet(side);
        CHECK_OK(close(unread));
        CHECK_OK(close(asked));
    }
}

/* shutdown() counts as done on a socket that is connecting, and is the end of it. */
static void shut_client(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        uint32_t port = vsock_hear(side);
        int fd = refused_socket(types[i], side->peer_cid, port);
        CHECK_OK(shutdown(fd, SHUT_WR));
        CHECK_ERR(EINVAL, vsock_connect(fd, side->peer_cid, port));
        vsock_sigpipes = 0;
        if (types[i] == SOCK_STREAM) {
            CHECK_ERR(ECONNRESET, send(fd, "x", 1, 0)); /* instead of EPIPE, and it is taken */
            CHECK_EQ(0, vsock_sigpipes);
            CHECK_ERR(EPIPE, send(fd, "x", 1, 0));
            CHECK_EQ(1, vsock_sigpipes);
            CHECK_EQ(0, vsock_error(fd));
        } else {
            CHECK_ERR(EPIPE, send(fd, "x", 1, 0));
            CHECK_EQ(0, vsock_sigpipes);
            CHECK_EQ(ECONNRESET, vsock_error(fd));
        }
        CHECK_BITS(0, fd);
        CHECK_OK(close(fd));
        vsock_meet(side);
    }
}

static void shut_server(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        int fd = vsock_socket(types[i]);
        CHECK_OK(vsock_bind(fd, VMADDR_CID_ANY, VMADDR_PORT_ANY));
        vsock_say(side, vsock_port(fd));
        vsock_meet(side);
        CHECK_OK(close(fd));
    }
}

static const struct vsock_case cases[] = {
    { "success", success_server, success_client, 0, 0, false },
    { "registered before", registered_server, registered_client, 0, 0, false },
    { "refused", refused_server, refused_client, 0, 0, false },
    { "shut", shut_server, shut_client, 0, 0, false },
};

VSOCK_MAIN(cases)
