/*
 * Proves (in the emulator only): the order of send's errors on AF_VSOCK; SIGPIPE for streams alone;
 * an address, urgent data and ancillary data with a message; writes of nothing; partial counts of a
 * write that fills the connection, times out or is interrupted.
 *
 * Rows: 7.5 "unconnected/listening socket: ENOTCONN", 7.5 "Send order",
 * 7.5 "EPIPE raises SIGPIPE", 7.5 "write of 0 bytes", 7.5 "partial count on EAGAIN/EINTR/error",
 * 7.5 "control messages", 7.5 "MSG_EOR/MSG_MORE", 7.8 "No SIGPIPE"
 */
#include "../message.h"
#include "vsock.h"

static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };

static long send_to(int fd, const void *bytes, size_t size, int flags)
{
    const struct sockaddr_vm address = vsock_address(VMADDR_CID_LOCAL, 1);
    return sendto(fd, bytes, size, flags, (const struct sockaddr *)&address, sizeof address);
}

/* Fresh, bound, listening. */
static void unconnected(struct vsock_side *side)
{
    for (int i = 0; i < 6; i++) {
        int fd = vsock_socket(types[i % 2]);
        if (i >= 2) {
            CHECK_OK(vsock_bind(fd, VMADDR_CID_ANY, VMADDR_PORT_ANY));
        }
        if (i >= 4) {
            CHECK_OK(listen(fd, 1));
        }
        CHECK_ERR(ENOTCONN, send(fd, "x", 1, 0));
        CHECK_ERR(ENOTCONN, send(fd, "", 0, 0));
        CHECK_ERR(ENOTCONN, write(fd, "x", 1));
        CHECK_ERR(ENOTCONN, send(fd, guest_bad_pointer(), 1, 0));
        CHECK_ERR(EOPNOTSUPP, send(fd, "x", 1, MSG_OOB));
        CHECK_ERR(EOPNOTSUPP, send_to(fd, "x", 1, 0));
        CHECK_ERR(EOPNOTSUPP, send_to(fd, "x", 1, MSG_OOB));
        CHECK_EQ(0, vsock_sigpipes);
        CHECK_OK(close(fd));
    }
    (void)side;
}

static void order_of_errors(int fd, int type)
{
    int signals = type == SOCK_STREAM;
    CHECK_ERR(EOPNOTSUPP, send(fd, "x", 1, MSG_OOB));
    CHECK_ERR(EOPNOTSUPP, send_to(fd, "x", 1, MSG_OOB));
    CHECK_ERR(EISCONN, send_to(fd, "x", 1, 0));
    CHECK_ERR(EINVAL, sendto(fd, "x", 1, 0, (const struct sockaddr *)"", 129));
    CHECK_EQ(0, send(fd, "", 0, 0));
    /* No packet could be made (virtio_transport_send_pkt_info()); nothing is sent. */
    CHECK_ERR(ENOMEM, send(fd, guest_bad_pointer(), 10, 0));
    CHECK_EQ(0, vsock_sigpipes);
    CHECK_OK(shutdown(fd, SHUT_WR));
    CHECK_ERR(EOPNOTSUPP, send(fd, "x", 1, MSG_OOB));
    CHECK_ERR(EISCONN, send_to(fd, "x", 1, 0)); /* before EPIPE */
    CHECK_EQ(0, vsock_sigpipes);
    CHECK_ERR(EPIPE, send(fd, "x", 1, 0));
    CHECK_EQ(signals, vsock_sigpipes);
    CHECK_ERR(EPIPE, send(fd, "x", 1, MSG_NOSIGNAL));
    CHECK_EQ(signals, vsock_sigpipes);
    CHECK_ERR(EPIPE, send(fd, "", 0, 0)); /* nothing to send is no excuse */
    CHECK_EQ(2 * signals, vsock_sigpipes);
    CHECK_ERR(EPIPE, send(fd, guest_bad_pointer(), 1, MSG_NOSIGNAL));
    CHECK_ERR(EPIPE, write(fd, "x", 1));
    CHECK_EQ(3 * signals, vsock_sigpipes);
}

static void order_server(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        int fd = vsock_answer(side, types[i]);
        vsock_sigpipes = 0;
        order_of_errors(fd, types[i]);
        vsock_meet(side);
        CHECK_OK(close(fd));
    }
}

static void order_client(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        int fd = vsock_dial(side, types[i]);
        vsock_sigpipes = 0;
        order_of_errors(fd, types[i]);
        vsock_meet(side);
        CHECK_EQ(0, read(fd, &(char){ 0 }, 1)); /* nothing of it was sent */
        CHECK_OK(close(fd));
    }
}

/* Flags that a stream ignores, and descriptors that go nowhere. */
static void ignored_server(struct vsock_side *side)
{
    int fd = vsock_answer(side, SOCK_STREAM), closed = dup(fd);
    CHECK_OK(close(closed));
    CHECK_EQ(2, send(fd, "ab", 2, MSG_EOR));
    CHECK_EQ(2, send(fd, "cd", 2, MSG_MORE));
    CHECK_EQ(2, send(fd, "ef", 2, MSG_DONTROUTE | MSG_CONFIRM));
    CHECK_EQ(2, message_send(fd, "gh", 2, &fd, 1));
    CHECK_EQ(2, message_send(fd, "ij", 2, &closed, 1)); /* not even looked at */
    vsock_say(side, 10);
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static void ignored_client(struct vsock_side *side)
{
    struct message_received received;
    int fd = vsock_dial(side, SOCK_STREAM);
    CHECK_EQ(10, vsock_hear(side));
    message_receive(fd, 64, sizeof(union message_control), 0, &received);
    CHECK_EQ(10, received.size);
    CHECK_MEM("abcdefghij", received.data, 10);
    CHECK_EQ(0, received.flags);
    CHECK_EQ(0, received.control_size);
    CHECK_EQ(0, received.fd_count);
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static _Thread_local char big[2 * VSOCK_CREDIT];

/* More than fits: what fits at once, at the end of the time limit, and at a signal. */
static void partial_server(struct vsock_side *side)
{
    const struct timeval wait = { 0, 30000 };
    int fd = vsock_answer(side, SOCK_STREAM);
    CHECK_EQ(VSOCK_CREDIT, send(fd, big, sizeof big, MSG_DONTWAIT));
    CHECK_ERR(EAGAIN, send(fd, big, sizeof big, MSG_DONTWAIT));
    CHECK_ERR(EAGAIN, send(fd, big, 1, MSG_DONTWAIT));
    CHECK_EQ(0, send(fd, big, 0, 0)); /* room for nothing there is */
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait));
    int64_t before = guest_now_ms();
    CHECK_ERR(EAGAIN, send(fd, big, 1, 0));
    CHECK(guest_now_ms() - before >= 29);
    vsock_meet(side); /* the client reads all */
    vsock_meet(side);
    CHECK_EQ(VSOCK_CREDIT, send(fd, big, sizeof big, 0)); /* after the time limit */
    vsock_meet(side);
    vsock_meet(side);
    const struct timeval for_ever = { 0, 0 };
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &for_ever, sizeof for_ever));
    guest_count_signal(SIGUSR1, SA_RESTART);
    vsock_say(side, 1);
    CHECK_EQ(VSOCK_CREDIT, send(fd, big, sizeof big, 0)); /* interrupted */
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGUSR1]));
    guest_count_signal(SIGUSR1, 0);
    vsock_say(side, 2);
    CHECK_ERR(EINTR, send(fd, big, 1, 0));
    guest_count_signal(SIGUSR1, SA_RESTART);
    vsock_say(side, 3);
    CHECK_EQ(1, send(fd, big, 1, 0)); /* nothing sent yet: starts again */
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGUSR1]));
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static void drain(int fd, size_t size)
{
    char *buffer = malloc(size);
    CHECK(buffer != NULL);
    CHECK_EQ(size, guest_read_all(fd, buffer, size));
    free(buffer);
}

static void partial_client(struct vsock_side *side)
{
    int fd = vsock_dial(side, SOCK_STREAM);
    for (int i = 0; i < 2; i++) {
        vsock_meet(side);
        drain(fd, VSOCK_CREDIT);
        vsock_meet(side);
    }
    for (uint32_t step = 1; step <= 3; step++) {
        CHECK_EQ(step, vsock_hear(side));
        vsock_peer_blocked(side);
        vsock_signal_peer(side, SIGUSR1);
    }
    vsock_peer_blocked(side);
    drain(fd, VSOCK_CREDIT + 1);
    vsock_meet(side);
    CHECK_OK(close(fd));
}

/* A blocked writer ends with what went, or EPIPE, when the other side goes or reads no more. */
static void cut_server(struct vsock_side *side)
{
    for (int i = 0; i < 4; i++) {
        int fd = vsock_answer(side, SOCK_STREAM);
        bool none = i % 2;
        if (none) {
            CHECK_EQ(VSOCK_CREDIT, send(fd, big, VSOCK_CREDIT, 0));
        }
        vsock_sigpipes = 0;
        vsock_say(side, 1);
        if (none) {
            CHECK_ERR(EPIPE, send(fd, big, sizeof big, 0));
            CHECK_EQ(1, vsock_sigpipes);
        } else {
            CHECK_EQ(VSOCK_CREDIT, send(fd, big, sizeof big, 0));
            CHECK_EQ(0, vsock_sigpipes); /* what was sent counts for more */
            CHECK_ERR(EPIPE, send(fd, big, 1, 0));
            CHECK_EQ(1, vsock_sigpipes);
        }
        vsock_meet(side);
        CHECK_OK(close(fd));
    }
}

static void cut_client(struct vsock_side *side)
{
    for (int i = 0; i < 4; i++) {
        int fd = vsock_dial(side, SOCK_STREAM);
        CHECK_EQ(1, vsock_hear(side));
        vsock_peer_blocked(side);
        if (i < 2) {
            CHECK_OK(close(fd));
        } else {
            CHECK_OK(shutdown(fd, SHUT_RD));
        }
        vsock_meet(side);
        if (i >= 2) {
            CHECK_OK(close(fd));
        }
    }
}

static const struct vsock_case cases[] = {
    { "unconnected", unconnected, unconnected, 0, 0, false },
    { "order", order_server, order_client, 0, 0, false },
    { "ignored", ignored_server, ignored_client, 0, 0, false },
    { "partial", partial_server, partial_client, 0, 0, false },
    { "cut", cut_server, cut_client, 0, 0, false },
};

VSOCK_MAIN(cases)
