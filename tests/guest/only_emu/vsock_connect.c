/*
 * Proves (in the emulator only): a blocking connect of AF_VSOCK: every refusal is ECONNRESET and
 * stays in SO_ERROR, the socket can be used again and keeps its port; EISCONN, EINVAL after any
 * shutdown; dialling oneself is EPROTO; the signal that ends a wait is in vsock_timeout.c.
 *
 * Rows: 7.4 "CONNECTED", 7.4 "DISCONNECTING", 7.4 "listening, or invalid address",
 * 7.4 "nobody bound to the port", 7.4 "bound but not listening", 7.4 "listening, other socket
 * type", 7.4 "unexpected packet", 7.4 "accepted by the kernel", 7.4 "After a blocking failure", 7.4
 * "otherwise blocking: wait at most the connect timeout", 7.3 "after connect, getsockname"
 */
#include "vsock.h"

static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };

/* A refusal, all that can be seen of it, and a second one. */
static void refused(int type, uint32_t cid, uint32_t port)
{
    char byte;
    int fd = vsock_socket(type);
    CHECK_BITS(VSOCK_OUT, fd);
    CHECK_ERR(ECONNRESET, vsock_connect(fd, cid, port));
    uint32_t own = vsock_port(fd);
    CHECK_NAME(VMADDR_CID_ANY, own, fd);
    CHECK(own != VMADDR_PORT_ANY);
    CHECK_NO_PEER(fd);
    CHECK_BITS(POLLERR | VSOCK_OUT, fd);
    CHECK_ERR(ENOTCONN, recv(fd, &byte, 1, MSG_DONTWAIT)); /* neither takes the error */
    CHECK_ERR(ENOTCONN, send(fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL));
    CHECK_ERR(ENOTCONN, shutdown(fd, SHUT_RDWR));
    CHECK_BITS(POLLERR | VSOCK_OUT, fd);
    CHECK_EQ(ECONNRESET, vsock_error(fd));
    CHECK_EQ(0, vsock_error(fd));
    CHECK_BITS(VSOCK_OUT, fd);
    CHECK_ERR(ECONNRESET, vsock_connect(fd, cid, port));
    CHECK_ERR(ECONNRESET, vsock_connect(fd, cid, port)); /* SO_ERROR unread */
    CHECK_NAME(VMADDR_CID_ANY, own, fd);
    CHECK_EQ(ECONNRESET, vsock_error(fd));
    CHECK_EQ(0, vsock_sigpipes);
    CHECK_OK(close(fd));
}

static void refused_server(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        int fd = vsock_socket(types[i]);
        CHECK_OK(vsock_bind(fd, VMADDR_CID_ANY, VMADDR_PORT_ANY));
        uint32_t port = vsock_port(fd);
        vsock_say(side, port);
        vsock_meet(side); /* bound, not listening */
        CHECK_OK(listen(fd, 5));
        vsock_meet(side);
        vsock_meet(side); /* dialled with the other type */
        CHECK_BITS(0, fd);
        CHECK_OK(close(fd));
        vsock_meet(side);
        vsock_meet(side); /* nobody */
    }
}

static void refused_client(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        uint32_t port = vsock_hear(side);
        refused(types[i], side->peer_cid, port);
        refused(types[1 - i], VMADDR_CID_LOCAL, port);
        vsock_meet(side);
        vsock_meet(side);
        refused(types[1 - i], side->peer_cid, port);
        vsock_meet(side);
        vsock_meet(side);
        refused(types[i], side->peer_cid, port);
        vsock_meet(side);
    }
}

/* Refused, then somebody listens: the same socket gets through, from the same port. */
static void retry_server(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        int fd = vsock_socket(types[i]);
        CHECK_OK(vsock_bind(fd, VMADDR_CID_ANY, VMADDR_PORT_ANY));
        vsock_say(side, vsock_port(fd));
        vsock_meet(side);
        CHECK_OK(listen(fd, 1));
        vsock_meet(side);
        int accepted = vsock_accept(fd);
        CHECK_PEER(VMADDR_CID_LOCAL, vsock_hear(side), accepted);
        CHECK_EQ(5, write(accepted, "again", 5));
        vsock_meet(side);
        CHECK_OK(close(accepted));
        CHECK_OK(close(fd));
    }
}

static void retry_client(struct vsock_side *side)
{
    char bytes[8];
    for (int i = 0; i < 2; i++) {
        uint32_t port = vsock_hear(side);
        int fd = vsock_socket(types[i]);
        CHECK_ERR(ECONNRESET, vsock_connect(fd, side->peer_cid, port));
        uint32_t own = vsock_port(fd);
        vsock_meet(side);
        vsock_meet(side);
        CHECK_OK(vsock_connect(fd, side->peer_cid, port));
        CHECK_EQ(0, vsock_error(fd)); /* the new attempt has cleared it */
        CHECK_BITS(VSOCK_OUT, fd);
        CHECK_NAME(VMADDR_CID_ANY, own, fd);
        CHECK_PEER(side->peer_cid, port, fd);
        vsock_say(side, own);
        CHECK_EQ(5, read(fd, bytes, sizeof bytes));
        CHECK_MEM("again", bytes, 5);
        vsock_meet(side);
        CHECK_OK(close(fd));
    }
}

/* A connected socket, before and after shutdown; its binding is for life. */
static void states_server(struct vsock_side *side)
{
    for (int i = 0; i < 6; i++) {
        int fd = vsock_answer(side, types[i % 2]);
        CHECK_ERR(EISCONN, vsock_connect(fd, side->peer_cid, 1)); /* an accepted one, too */
        vsock_meet(side);
        CHECK_OK(close(fd));
    }
}

static void states_client(struct vsock_side *side)
{
    const struct sockaddr_vm wrong = { .svm_family = AF_UNSPEC };
    for (int i = 0; i < 6; i++) {
        int fd = vsock_dial(side, types[i % 2]);
        uint32_t own = vsock_port(fd);
        CHECK_ERR(EISCONN, vsock_connect(fd, side->peer_cid, 1));
        CHECK_ERR(EISCONN, connect(fd, (const struct sockaddr *)&wrong, 2)); /* before EINVAL */
        CHECK_ERR(EINVAL, vsock_bind(fd, VMADDR_CID_ANY, VMADDR_PORT_ANY));
        CHECK_OK(shutdown(fd, i / 2));
        CHECK_ERR(EINVAL, vsock_connect(fd, side->peer_cid, 1));
        CHECK_ERR(EINVAL, vsock_connect(fd, side->peer_cid, 1));
        CHECK_NO_PEER(fd);
        CHECK_NAME(VMADDR_CID_ANY, own, fd);
        vsock_meet(side);
        CHECK_OK(close(fd));
    }
}

/* Bound first: the name keeps the CID that was given; the peer sees where it comes from. */
static void bound_server(struct vsock_side *side)
{
    int listener = vsock_listen(side, SOCK_STREAM, 5);
    for (int i = 0; i < 3; i++) {
        int fd = vsock_accept(listener);
        CHECK_PEER(VMADDR_CID_LOCAL, vsock_hear(side), fd);
        vsock_meet(side);
        CHECK_OK(close(fd));
    }
    CHECK_OK(close(listener));
}

static void bound_client(struct vsock_side *side)
{
    static const uint32_t cids[] = { VMADDR_CID_ANY, VMADDR_CID_LOCAL, VMADDR_CID_HOST };
    uint32_t port = vsock_hear(side);
    for (int i = 0; i < 3; i++) {
        int fd = vsock_socket(SOCK_STREAM);
        CHECK_OK(vsock_bind(fd, cids[i], VMADDR_PORT_ANY));
        uint32_t own = vsock_port(fd);
        CHECK_OK(vsock_connect(fd, side->peer_cid, port));
        CHECK_NAME(cids[i], own, fd);
        vsock_say(side, own);
        vsock_meet(side);
        CHECK_OK(close(fd));
    }
}

/*
 * A socket that dials its own name gets its own request while it waits for a response: a packet
 * that virtio_transport_recv_connecting() doesn't expect.
 */
static void oneself(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        int fd = vsock_socket(types[i]);
        CHECK_OK(vsock_bind(fd, side->own_cid, VMADDR_PORT_ANY));
        CHECK_ERR(EPROTO, vsock_connect(fd, side->own_cid, vsock_port(fd)));
        CHECK_EQ(EPROTO, vsock_error(fd));
        CHECK_BITS(VSOCK_OUT, fd);
        CHECK_OK(close(fd));
    }
}

/* Two ends in one task: connect doesn't wait for accept. */
static void alone(struct vsock_side *side)
{
    char bytes[4];
    for (int i = 0; i < 2; i++) {
        int listener = vsock_socket(types[i]), client = vsock_socket(types[i]);
        CHECK_OK(vsock_bind(listener, VMADDR_CID_ANY, VMADDR_PORT_ANY));
        CHECK_OK(listen(listener, 0));
        CHECK_OK(vsock_connect(client, side->own_cid, vsock_port(listener)));
        int fd = vsock_accept(listener);
        CHECK_EQ(2, write(client, "to", 2));
        CHECK_EQ(2, read(fd, bytes, 4));
        CHECK_EQ(3, write(fd, "fro", 3));
        CHECK_EQ(3, read(client, bytes, 4));
        CHECK_OK(close(fd));
        CHECK_OK(close(client));
        CHECK_OK(close(listener));
    }
}

static const struct vsock_case cases[] = {
    { "refused", refused_server, refused_client, 0, 0, false },
    { "retry", retry_server, retry_client, 0, 0, false },
    { "states", states_server, states_client, 0, 0, false },
    { "bound", bound_server, bound_client, 0, 0, false },
    { "oneself", oneself, oneself, 0, 0, false },
    { "alone", alone, alone, 0, 0, false },
};

VSOCK_MAIN(cases)
