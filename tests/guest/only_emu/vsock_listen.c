/*
 * Proves (in the emulator only): listen and accept on AF_VSOCK: their errors, names of both ends,
 * what an accepted socket inherits; a connection is complete before accept, also when its client
 * is gone by then; backlog + 1 connections wait and the next is reset; a listener that closes ends
 * those that wait in order; shutdown doesn't touch it.
 *
 * Rows: 7.3 "listen: not bound", 7.3 "accept: not listening", 7.3 "backlog",
 * 7.3 "connection is complete", 7.3 "client closes before accept",
 * 7.3 "accepted socket inherits", 7.3 "listener closed with pending",
 * 7.3 "shutdown() on a listener", 7.3 "Accepted sockets own no port entry", 7.3 "Accepted socket:
 * local", 7.6 "listening, empty / with connection", 7.4 "backlog full", 7.4 "listening, or invalid
 * address"
 */
#include "vsock.h"

static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };

static void errors_of_listen(int type, struct vsock_side *side)
{
    int fd = vsock_socket(type);
    CHECK_ERR(EINVAL, listen(fd, 1)); /* not bound */
    CHECK_ERR(EINVAL, accept(fd, NULL, NULL));
    CHECK_OK(vsock_bind(fd, side->own_cid, VMADDR_PORT_ANY));
    CHECK_ERR(EINVAL, accept(fd, NULL, NULL));
    CHECK_BITS(VSOCK_OUT, fd);
    int accepts = -1;
    socklen_t size = sizeof accepts;
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &size));
    CHECK_EQ(0, accepts);
    CHECK_OK(listen(fd, 5));
    CHECK_OK(listen(fd, 0)); /* again, and again */
    CHECK_OK(listen(fd, -1));
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &size));
    CHECK_EQ(1, accepts);
    CHECK_BITS(0, fd);
    CHECK_ERR(EINVAL, vsock_connect(fd, side->own_cid, vsock_port(fd)));
    CHECK_ERR(EINVAL, vsock_bind(fd, side->own_cid, VMADDR_PORT_ANY));
    for (int how = SHUT_RD; how <= SHUT_RDWR; how++) {
        CHECK_ERR(ENOTCONN, shutdown(fd, how));
    }
    CHECK_ERR(EINVAL, shutdown(fd, 3));
    CHECK_NO_PEER(fd);
    CHECK_BITS(0, fd);
    guest_set_nonblock(fd, true);
    CHECK_ERR(EAGAIN, accept(fd, NULL, NULL));
    CHECK_ERR(EINVAL, accept4(fd, NULL, NULL, 1));
    CHECK_ERR(EINVAL, accept4(fd, NULL, NULL, O_APPEND));
    guest_set_nonblock(fd, false);
    const struct timeval wait = { 0, 20000 };
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait));
    int64_t before = guest_now_ms();
    CHECK_ERR(EAGAIN, accept(fd, NULL, NULL));
    CHECK(guest_now_ms() - before >= 19);
    CHECK_OK(close(fd));
}

static void errors(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        errors_of_listen(types[i], side);
    }
}

/* The client's socket in every state in which it can't listen. */
static void no_listener_server(struct vsock_side *side)
{
    int fd = vsock_answer(side, SOCK_STREAM);
    CHECK_ERR(EINVAL, listen(fd, 1));
    CHECK_ERR(EINVAL, accept(fd, NULL, NULL));
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static void no_listener_client(struct vsock_side *side)
{
    int fd = vsock_dial(side, SOCK_STREAM);
    CHECK_ERR(EINVAL, listen(fd, 1));
    CHECK_ERR(EINVAL, accept(fd, NULL, NULL));
    CHECK_ERR(EISCONN, vsock_connect(fd, side->peer_cid, 1));
    CHECK_OK(shutdown(fd, SHUT_WR));
    CHECK_ERR(EINVAL, listen(fd, 1));
    CHECK_ERR(EINVAL, vsock_connect(fd, side->peer_cid, 1));
    vsock_meet(side);
    CHECK_OK(close(fd));
}

/* Bound to one CID: it is found by this one alone, and the names are those that were dialled. */
static void names_server(struct vsock_side *side)
{
    static const uint32_t cids[] = { VMADDR_CID_ANY, VMADDR_CID_LOCAL, VMADDR_CID_HOST };
    for (int i = 0; i < 3; i++) {
        int listener = vsock_socket(SOCK_STREAM);
        CHECK_OK(vsock_bind(listener, cids[i], VMADDR_PORT_ANY));
        CHECK_OK(listen(listener, 4));
        uint32_t port = vsock_port(listener);
        vsock_say(side, port);
        for (uint32_t cid = VMADDR_CID_LOCAL; cid <= VMADDR_CID_HOST; cid++) {
            if (cids[i] == VMADDR_CID_ANY || cids[i] == cid) {
                int fd = vsock_accept(listener);
                CHECK_NAME(cid, port, fd);
                CHECK_PEER(VMADDR_CID_LOCAL, vsock_hear(side), fd);
                vsock_meet(side);
                CHECK_OK(close(fd));
            }
        }
        vsock_meet(side);
        CHECK_BITS(0, listener);
        CHECK_OK(close(listener));
    }
}

static void names_client(struct vsock_side *side)
{
    static const uint32_t cids[] = { VMADDR_CID_ANY, VMADDR_CID_LOCAL, VMADDR_CID_HOST };
    for (int i = 0; i < 3; i++) {
        uint32_t port = vsock_hear(side);
        for (uint32_t cid = VMADDR_CID_LOCAL; cid <= VMADDR_CID_HOST; cid++) {
            int fd = vsock_socket(SOCK_STREAM);
            if (cids[i] == VMADDR_CID_ANY || cids[i] == cid) {
                CHECK_OK(vsock_connect(fd, cid, port));
                uint32_t own = vsock_port(fd);
                CHECK_NAME(VMADDR_CID_ANY, own, fd);
                CHECK_PEER(cid, port, fd);
                vsock_say(side, own);
                vsock_meet(side);
            } else {
                CHECK_ERR(ECONNRESET, vsock_connect(fd, cid, port));
            }
            CHECK_OK(close(fd));
        }
        vsock_meet(side);
    }
}

/* The client connects, sends and, in the second round, closes before anybody accepts. */
static void early_server(struct vsock_side *side)
{
    char bytes[8];
    for (int i = 0; i < 4; i++) {
        bool closed = i % 2;
        int listener = vsock_listen(side, types[i / 2], 0);
        vsock_meet(side); /* the client has done all it will */
        CHECK_BITS(VSOCK_IN, listener);
        int fd = vsock_accept(listener);
        CHECK_BITS(0, listener);
        CHECK_OK(vsock_name_of(fd, true).svm_port);
        CHECK_EQ(5, read(fd, bytes, sizeof bytes));
        CHECK_MEM("early", bytes, 5);
        if (closed) {
            CHECK_EQ(0, read(fd, bytes, sizeof bytes));
            CHECK_ERR(EPIPE, send(fd, "x", 1, MSG_NOSIGNAL));
            CHECK_EQ(0, vsock_sigpipes);
        } else {
            CHECK_ERR(EAGAIN, recv(fd, bytes, sizeof bytes, MSG_DONTWAIT));
            CHECK_EQ(2, write(fd, "ok", 2));
        }
        vsock_meet(side);
        CHECK_OK(close(fd));
        CHECK_OK(close(listener));
    }
}

static void early_client(struct vsock_side *side)
{
    char bytes[8];
    for (int i = 0; i < 4; i++) {
        int fd = vsock_socket(types[i / 2]);
        CHECK_OK(vsock_connect(fd, side->peer_cid, vsock_hear(side)));
        CHECK_BITS(VSOCK_OUT, fd);
        CHECK_EQ(5, write(fd, "early", 5));
        if (i % 2) {
            CHECK_OK(close(fd));
            vsock_meet(side);
            vsock_meet(side);
        } else {
            vsock_meet(side);
            CHECK_EQ(2, read(fd, bytes, sizeof bytes));
            vsock_meet(side);
            CHECK_OK(close(fd));
        }
    }
}

enum { BACKLOG_MOST = 5 };

/* backlog + 1 get in; one accepted, one more gets in. */
static void backlog_server(struct vsock_side *side)
{
    for (int backlog = 0; backlog < BACKLOG_MOST; backlog++) {
        int listener = vsock_listen(side, types[backlog % 2], backlog);
        vsock_meet(side);
        int fd = vsock_accept(listener);
        vsock_meet(side);
        vsock_meet(side); /* one more got in, the next didn't */
        CHECK_OK(listen(listener, backlog + 1));
        vsock_meet(side);
        vsock_meet(side);
        CHECK_OK(close(fd));
        CHECK_OK(close(listener));
        vsock_meet(side);
    }
}

static int dial(struct vsock_side *side, int type, uint32_t port)
{
    int fd = vsock_socket(type);
    CHECK_OK(vsock_connect(fd, side->peer_cid, port));
    return fd;
}

static void dial_in_vain(struct vsock_side *side, int type, uint32_t port)
{
    int fd = vsock_socket(type);
    CHECK_ERR(ECONNRESET, vsock_connect(fd, side->peer_cid, port));
    CHECK_BITS(POLLERR | VSOCK_OUT, fd);
    CHECK_EQ(ECONNRESET, vsock_error(fd));
    CHECK_BITS(VSOCK_OUT, fd);
    guest_set_nonblock(fd, true); /* and neither EAGAIN nor waiting for room */
    CHECK_ERR(EINPROGRESS, vsock_connect(fd, side->peer_cid, port));
    vsock_wait_bit(fd, POLLERR);
    CHECK_EQ(ECONNRESET, vsock_error(fd));
    CHECK_OK(close(fd));
}

static void backlog_client(struct vsock_side *side)
{
    for (int backlog = 0; backlog < BACKLOG_MOST; backlog++) {
        int fds[BACKLOG_MOST + 3], count = 0, type = types[backlog % 2];
        uint32_t port = vsock_hear(side);
        for (int i = 0; i < backlog + 1; i++) {
            fds[count++] = dial(side, type, port);
        }
        dial_in_vain(side, type, port);
        vsock_meet(side);
        vsock_meet(side); /* one was accepted */
        fds[count++] = dial(side, type, port);
        dial_in_vain(side, type, port);
        vsock_meet(side);
        vsock_meet(side); /* room for one more */
        fds[count++] = dial(side, type, port);
        dial_in_vain(side, type, port);
        vsock_meet(side);
        vsock_meet(side); /* the listener is closed: an orderly end for all */
        for (int i = 0; i < count; i++) {
            CHECK_BITS(VSOCK_IN | VSOCK_OUT | POLLRDHUP, fds[i]);
            CHECK_EQ(0, read(fds[i], &(char){ 0 }, 1));
            CHECK_ERR(EPIPE, send(fds[i], "x", 1, MSG_NOSIGNAL));
            CHECK_EQ(0, vsock_error(fds[i]));
            CHECK_OK(close(fds[i]));
        }
    }
}

static void check_inherited(int fd)
{
    struct timeval timeout;
    socklen_t size = sizeof timeout;
    uint64_t value;
    CHECK_OK(getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &timeout, &size));
    CHECK_EQ(1, timeout.tv_sec);
    CHECK_EQ(500000, timeout.tv_usec);
    size = sizeof value;
    CHECK_OK(getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &value, &size));
    CHECK_EQ(20000, value);
    CHECK_OK(getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &value, &size));
    CHECK_EQ(30000, value);
    CHECK_OK(getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MIN_SIZE, &value, &size));
    CHECK_EQ(1000, value);
    size = sizeof timeout;
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, &size));
    CHECK_EQ(0, timeout.tv_sec);
    int lowat = 0, accepts = -1;
    size = sizeof lowat;
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &lowat, &size));
    CHECK_EQ(1, lowat);
    struct linger linger = { 1, 1 };
    size = sizeof linger;
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size));
    CHECK_EQ(0, linger.l_onoff);
    size = sizeof accepts;
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &size));
    CHECK_EQ(0, accepts);
}

static void inherited_server(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        int listener = vsock_listen(side, types[i], 1);
        vsock_set_size(listener, SO_VM_SOCKETS_BUFFER_MAX_SIZE, 30000);
        vsock_set_size(listener, SO_VM_SOCKETS_BUFFER_MIN_SIZE, 1000);
        vsock_set_size(listener, SO_VM_SOCKETS_BUFFER_SIZE, 20000);
        vsock_set_connect_timeout(listener, 1500);
        vsock_set_int(listener, SO_RCVLOWAT, 100);
        const struct linger linger = { 1, 3 };
        const struct timeval wait = { 25, 0 };
        CHECK_OK(setsockopt(listener, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
        CHECK_OK(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait));
        guest_set_nonblock(listener, true);
        vsock_meet(side); /* set before the connection is made: then the socket is */
        vsock_wait_bit(listener, POLLIN);
        int fd = (int)CHECK_OK(accept(listener, NULL, NULL));
        CHECK_EQ(O_RDWR, fcntl(fd, F_GETFL));
        CHECK_EQ(0, fcntl(fd, F_GETFD));
        check_inherited(fd);
        vsock_wait_bit(listener, POLLIN);
        int second = (int)CHECK_OK(accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
        CHECK_EQ(O_RDWR | O_NONBLOCK, fcntl(second, F_GETFL));
        CHECK_EQ(FD_CLOEXEC, fcntl(second, F_GETFD));
        vsock_meet(side);
        CHECK_OK(close(fd));
        CHECK_OK(close(second));
        CHECK_OK(close(listener));
    }
}

static void inherited_client(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        uint32_t port = vsock_hear(side);
        vsock_meet(side);
        int fd = dial(side, types[i], port), second = dial(side, types[i], port);
        vsock_meet(side);
        CHECK_OK(close(fd));
        CHECK_OK(close(second));
    }
}

/* A connection outlives its listener, whose port is free at once. */
static void port_server(struct vsock_side *side)
{
    int listener = vsock_listen(side, SOCK_STREAM, 1);
    uint32_t port = vsock_port(listener);
    int fd = vsock_accept(listener), again = vsock_socket(SOCK_STREAM);
    CHECK_ERR(EADDRINUSE, vsock_bind(again, VMADDR_CID_ANY, port));
    CHECK_OK(close(listener));
    CHECK_OK(vsock_bind(again, VMADDR_CID_ANY, port));
    CHECK_OK(listen(again, 1));
    CHECK_NAME(side->own_cid, port, fd);
    vsock_say(side, port);
    int second = vsock_accept(again);
    CHECK_EQ(1, write(fd, "1", 1));
    CHECK_EQ(1, write(second, "2", 1));
    vsock_meet(side);
    CHECK_OK(close(fd));
    CHECK_OK(close(second));
    CHECK_OK(close(again));
}

static void port_client(struct vsock_side *side)
{
    char byte;
    int fd = dial(side, SOCK_STREAM, vsock_hear(side));
    int second = dial(side, SOCK_STREAM, vsock_hear(side));
    CHECK_EQ(1, read(fd, &byte, 1));
    CHECK_EQ('1', byte);
    CHECK_EQ(1, read(second, &byte, 1));
    CHECK_EQ('2', byte);
    vsock_meet(side);
    CHECK_OK(close(fd));
    CHECK_OK(close(second));
}

/* Blocked in accept and in poll until a connection comes; a signal ends accept or restarts it. */
static void blocked_server(struct vsock_side *side)
{
    int listener = vsock_listen(side, SOCK_STREAM, 1);
    guest_count_signal(SIGUSR1, 0);
    vsock_meet(side);
    CHECK_ERR(EINTR, accept(listener, NULL, NULL));
    guest_count_signal(SIGUSR1, SA_RESTART);
    vsock_meet(side);
    int fd = vsock_accept(listener);
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGUSR1]));
    const struct timeval wait = { 20, 0 };
    CHECK_OK(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait));
    vsock_meet(side); /* a time limit: no restart (sock_intr_errno()) */
    CHECK_ERR(EINTR, accept(listener, NULL, NULL));
    vsock_meet(side);
    vsock_wait_bit(listener, POLLIN);
    int second = vsock_accept(listener);
    vsock_meet(side);
    CHECK_OK(close(fd));
    CHECK_OK(close(second));
    CHECK_OK(close(listener));
}

static void blocked_client(struct vsock_side *side)
{
    uint32_t port = vsock_hear(side);
    vsock_meet(side);
    vsock_peer_blocked(side);
    vsock_signal_peer(side, SIGUSR1);
    vsock_meet(side);
    vsock_peer_blocked(side);
    vsock_signal_peer(side, SIGUSR1);
    vsock_peer_blocked(side);
    int fd = dial(side, SOCK_STREAM, port);
    vsock_meet(side);
    vsock_peer_blocked(side);
    vsock_signal_peer(side, SIGUSR1);
    vsock_meet(side);
    vsock_peer_blocked(side);
    int second = dial(side, SOCK_STREAM, port);
    vsock_meet(side);
    CHECK_OK(close(fd));
    CHECK_OK(close(second));
}

static const struct vsock_case cases[] = {
    { "errors", errors, errors, 0, 0, false },
    { "no listener", no_listener_server, no_listener_client, 0, 0, false },
    { "names", names_server, names_client, 0, 0, false },
    { "before accept", early_server, early_client, 0, 0, false },
    { "backlog", backlog_server, backlog_client, 0, 0, false },
    { "inherited", inherited_server, inherited_client, 0, 0, false },
    { "port", port_server, port_client, 0, 0, false },
    { "blocked", blocked_server, blocked_client, 0, 0, false },
};

VSOCK_MAIN(cases)
