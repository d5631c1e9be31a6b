/*
 * Proves (in the emulator only): the order of recv's answers on an AF_VSOCK stream; SO_RCVLOWAT and
 * MSG_WAITALL wait for all, unless that is as much as the buffer holds (ENOMEM); MSG_PEEK; a bad
 * buffer loses nothing; no address and no ancillary data come; what ends a blocked reader.
 *
 * Rows: 7.5 "Receive order", 7.5 "unconnected / listening: ENOTCONN", 7.5 "own SHUT_RD makes",
 * 7.5 "wanted = min(SO_RCVLOWAT, n)", 7.5 "non-blocking with less than SO_RCVLOWAT queued",
 * 7.5 "MSG_PEEK supported", 7.5 "MSG_TRUNC no effect", 7.5 "bad buffer: EFAULT, data stays",
 * 7.5 "recvfrom address: length 0", 7.7 "SO_RCVLOWAT > BUFFER_SIZE"
 */
#include "../message.h"
#include "vsock.h"

static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
static _Thread_local char big[VSOCK_CREDIT + 4096];

/* Fresh, bound, listening: no end-of-file, and no EINVAL. */
static void unconnected(struct vsock_side *side)
{
    char byte;
    for (int i = 0; i < 6; i++) {
        int fd = vsock_socket(types[i % 2]);
        if (i >= 2) {
            CHECK_OK(vsock_bind(fd, VMADDR_CID_ANY, VMADDR_PORT_ANY));
        }
        if (i >= 4) {
            CHECK_OK(listen(fd, 1));
        }
        CHECK_ERR(ENOTCONN, recv(fd, &byte, 1, 0));
        CHECK_ERR(ENOTCONN, recv(fd, &byte, 0, 0));
        CHECK_ERR(ENOTCONN, read(fd, &byte, 1));
        CHECK_ERR(ENOTCONN, recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT));
        CHECK_ERR(ENOTCONN, recv(fd, &byte, 1, MSG_OOB));
        CHECK_ERR(EAGAIN, recv(fd, &byte, 1, MSG_ERRQUEUE));
        CHECK_OK(close(fd));
    }
    (void)side;
}

static void order_server(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        int fd = vsock_answer(side, types[i]);
        CHECK_EQ(5, write(fd, "hello", 5));
        vsock_meet(side);
        vsock_meet(side);
        CHECK_ERR(EPIPE, send(fd, "more", 4, MSG_NOSIGNAL)); /* its SHUT_RD */
        CHECK_OK(close(fd));
    }
}

static void order_client(struct vsock_side *side)
{
    char bytes[8];
    int queued = -1;
    for (int i = 0; i < 2; i++) {
        int fd = vsock_dial(side, types[i]);
        vsock_meet(side);
        CHECK_ERR(EAGAIN, recv(fd, bytes, 8, MSG_ERRQUEUE));
        CHECK_ERR(EOPNOTSUPP, recv(fd, bytes, 8, MSG_OOB));
        CHECK_ERR(EOPNOTSUPP, recv(fd, bytes, 0, MSG_OOB));
        CHECK_EQ(0, recv(fd, bytes, 0, 0)); /* takes no record either */
        CHECK_EQ(0, read(fd, bytes, 0));
        CHECK_EQ(5, recv(fd, bytes, 8, MSG_PEEK));
        CHECK_OK(shutdown(fd, SHUT_RD));
        CHECK_EQ(0, recv(fd, bytes, 8, 0)); /* what is there can't be had any more */
        CHECK_EQ(0, recv(fd, bytes, 8, MSG_PEEK));
        CHECK_EQ(0, read(fd, bytes, 8));
        CHECK_ERR(EOPNOTSUPP, recv(fd, bytes, 8, MSG_OOB)); /* comes before it */
        CHECK_OK(ioctl(fd, FIONREAD, &queued));
        CHECK_EQ(5, queued);
        vsock_meet(side);
        CHECK_OK(close(fd));
    }
}

/* A peer that says when to write, and how much. */
static void writes_server(struct vsock_side *side)
{
    int fd = vsock_answer(side, SOCK_STREAM);
    uint64_t position = 0;
    for (uint32_t size; (size = vsock_hear(side)) > 0;) {
        vsock_send_pattern(fd, size, &position);
        vsock_say(side, size);
    }
    CHECK_OK(close(fd));
    vsock_meet(side);
}

static void ask(struct vsock_side *side, uint32_t size)
{
    vsock_say(side, size);
    CHECK_EQ(size, vsock_hear(side));
}

static void lowat_client(struct vsock_side *side)
{
    int fd = vsock_dial(side, SOCK_STREAM);
    uint64_t position = 0;
    CHECK_ERR(EAGAIN, recv(fd, big, 10, MSG_DONTWAIT));
    vsock_set_int(fd, SO_RCVLOWAT, 100);
    ask(side, 7); /* less than that is still given to who doesn't wait */
    CHECK_BITS(VSOCK_OUT, fd);
    CHECK_EQ(7, recv(fd, big, sizeof big, MSG_DONTWAIT));
    guest_pattern_check(big, 7, position);
    position += 7;
    ask(side, 100);
    CHECK_BITS(VSOCK_IN | VSOCK_OUT, fd);
    CHECK_EQ(100, recv(fd, big, sizeof big, 0));
    position += 100;
    ask(side, 50);
    CHECK_EQ(20, recv(fd, big, 20, 0)); /* no more than is asked for */
    CHECK_EQ(10, recv(fd, big, 10, MSG_WAITALL));
    position += 30;
    CHECK_BITS(VSOCK_OUT, fd);
    const struct timeval wait = { 0, 30000 };
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait));
    int64_t before = guest_now_ms();
    CHECK_EQ(20, recv(fd, big, 80, 0)); /* what there is, after the time limit */
    CHECK(guest_now_ms() - before >= 29);
    guest_pattern_check(big, 20, position);
    position += 20;
    CHECK_ERR(EAGAIN, recv(fd, big, 80, 0));
    vsock_set_int(fd, SO_RCVLOWAT, 0); /* counts as 1 */
    int lowat = -1;
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &lowat, &(socklen_t){ sizeof lowat }));
    CHECK_EQ(1, lowat);
    vsock_say(side, 0);
    vsock_meet(side);
    CHECK_EQ(0, recv(fd, big, 1, 0));
    CHECK_OK(close(fd));
}

/* As much as the buffer holds can't be waited for. */
static void too_much_client(struct vsock_side *side)
{
    int fd = vsock_dial(side, SOCK_STREAM);
    CHECK_ERR(ENOMEM, recv(fd, big, VSOCK_CREDIT, MSG_WAITALL));
    CHECK_ERR(ENOMEM, recv(fd, big, sizeof big, MSG_WAITALL | MSG_DONTWAIT));
    ask(side, 10);
    CHECK_ERR(ENOMEM, recv(fd, big, VSOCK_CREDIT, MSG_WAITALL)); /* data or not */
    CHECK_ERR(ENOMEM, recv(fd, big, VSOCK_CREDIT, MSG_WAITALL | MSG_PEEK));
    CHECK_EQ(10, recv(fd, big, VSOCK_CREDIT - 1, MSG_WAITALL | MSG_DONTWAIT));
    int lowat = VSOCK_CREDIT + 1;
    CHECK_ERR(EINVAL, setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof lowat));
    lowat = -1; /* INT_MAX */
    CHECK_ERR(EINVAL, setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof lowat));
    vsock_set_int(fd, SO_RCVLOWAT, VSOCK_CREDIT);
    CHECK_ERR(ENOMEM, recv(fd, big, VSOCK_CREDIT, 0));
    CHECK_ERR(EAGAIN, recv(fd, big, VSOCK_CREDIT - 1, MSG_DONTWAIT));
    ask(side, 10);
    CHECK_ERR(ENOMEM, recv(fd, big, sizeof big, MSG_DONTWAIT));
    CHECK_EQ(10, recv(fd, big, 10, 0));
    vsock_set_int(fd, SO_RCVLOWAT, 1);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_SIZE, 1000); /* it's this socket's size that counts */
    CHECK_ERR(ENOMEM, recv(fd, big, 1000, MSG_WAITALL));
    CHECK_ERR(EAGAIN, recv(fd, big, 999, MSG_WAITALL | MSG_DONTWAIT));
    vsock_say(side, 0);
    vsock_meet(side);
    CHECK_EQ(0, recv(fd, big, VSOCK_CREDIT, MSG_WAITALL)); /* nothing more can come */
    CHECK_OK(close(fd));
}

static void peek_client(struct vsock_side *side)
{
    int fd = vsock_dial(side, SOCK_STREAM), queued = -1;
    uint64_t position = 0;
    CHECK_ERR(EAGAIN, recv(fd, big, 10, MSG_PEEK | MSG_DONTWAIT));
    ask(side, 64);
    CHECK_EQ(32, recv(fd, big, 32, MSG_PEEK));
    CHECK_EQ(64, recv(fd, big, sizeof big, MSG_PEEK));
    guest_pattern_check(big, 64, position);
    CHECK_EQ(64, recv(fd, big, 1000, MSG_PEEK | MSG_WAITALL)); /* doesn't wait */
    CHECK_EQ(10, recv(fd, big, 10, MSG_TRUNC));
    guest_pattern_check(big, 10, position);
    position += 10;
    CHECK_EQ(54, recv(fd, big, 1000, MSG_PEEK)); /* of a partly read packet */
    guest_pattern_check(big, 54, position);
    CHECK_OK(ioctl(fd, FIONREAD, &queued));
    CHECK_EQ(54, queued);
    ask(side, 8000);
    CHECK_EQ(8054, recv(fd, big, sizeof big, MSG_PEEK));
    guest_pattern_check(big, 8054, position);
    CHECK_EQ(8054, recv(fd, big, sizeof big, 0));
    guest_pattern_check(big, 8054, position);
    vsock_say(side, 0);
    vsock_meet(side);
    CHECK_EQ(0, recv(fd, big, 1, MSG_PEEK));
    CHECK_OK(close(fd));
}

static void no_address_client(struct vsock_side *side)
{
    struct message_received received;
    struct sockaddr_vm address;
    unsigned char untouched[sizeof address];
    socklen_t size = sizeof address;
    int fd = vsock_dial(side, SOCK_STREAM);
    ask(side, 40);
    memset(&address, 0x5a, sizeof address);
    memset(untouched, 0x5a, sizeof untouched);
    CHECK_EQ(10, recvfrom(fd, big, 10, 0, (struct sockaddr *)&address, &size));
    CHECK_EQ(0, size);
    CHECK_MEM(untouched, &address, sizeof address);
    message_receive(fd, 10, 64, 0, &received);
    CHECK_EQ(10, received.size);
    CHECK_EQ(0, received.control_size);
    CHECK_EQ(0, received.flags);
    struct iovec vector = { big, 10 };
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_name = &address, .msg_namelen = sizeof address
    };
    CHECK_EQ(10, recvmsg(fd, &message, 0));
    CHECK_EQ(0, message.msg_namelen);
    CHECK_MEM(untouched, &address, sizeof address);
    CHECK_ERR(EFAULT, recv(fd, guest_bad_pointer(), 10, 0));
    CHECK_ERR(EFAULT, recv(fd, guest_bad_pointer(), 10, MSG_PEEK));
    CHECK_EQ(10, recv(fd, big, 20, MSG_DONTWAIT)); /* nothing is lost */
    guest_pattern_check(big, 10, 30);
    vsock_say(side, 0);
    vsock_meet(side);
    CHECK_OK(close(fd));
}

/* MSG_WAITALL over several writes, and cut short by the end of the stream. */
static void whole_server(struct vsock_side *side)
{
    uint64_t position = 0;
    int fd = vsock_answer(side, SOCK_STREAM);
    for (int i = 0; i < 4; i++) {
        vsock_peer_blocked(side);
        vsock_send_pattern(fd, 25000, &position);
    }
    vsock_meet(side);
    vsock_peer_blocked(side);
    CHECK_EQ(5, write(fd, "extra", 5));
    vsock_peer_blocked(side);
    CHECK_OK(shutdown(fd, SHUT_WR));
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static void whole_client(struct vsock_side *side)
{
    int fd = vsock_dial(side, SOCK_STREAM);
    CHECK_EQ(100000, recv(fd, big, 100000, MSG_WAITALL));
    guest_pattern_check(big, 100000, 0);
    vsock_meet(side);
    CHECK_EQ(5, recv(fd, big, 100, MSG_WAITALL));
    CHECK_EQ(0, recv(fd, big, 100, MSG_WAITALL));
    vsock_meet(side);
    CHECK_OK(close(fd));
}

/* What ends a blocked reader: a byte, a signal, SHUT_WR, close, its own side's SHUT_RD. */
static void blocked_server(struct vsock_side *side)
{
    for (int i = 0; i < 4; i++) {
        int fd = vsock_answer(side, types[i % 2]);
        vsock_peer_blocked(side);
        vsock_signal_peer(side, SIGUSR1); /* SA_RESTART: goes on */
        vsock_peer_blocked(side);
        CHECK_EQ(1, write(fd, "x", 1));
        vsock_meet(side);
        vsock_peer_blocked(side);
        vsock_signal_peer(side, SIGUSR2);
        vsock_meet(side);
        vsock_peer_blocked(side);
        if (i < 2) {
            CHECK_OK(shutdown(fd, SHUT_WR));
            vsock_meet(side);
            CHECK_OK(close(fd));
        } else {
            CHECK_OK(close(fd));
            vsock_meet(side);
        }
    }
}

static void blocked_client(struct vsock_side *side)
{
    char byte;
    for (int i = 0; i < 4; i++) {
        guest_count_signal(SIGUSR1, SA_RESTART);
        guest_count_signal(SIGUSR2, 0);
        int fd = vsock_dial(side, types[i % 2]);
        CHECK_EQ(1, read(fd, &byte, 1));
        CHECK_EQ('x', byte);
        CHECK_EQ(1, atomic_load(&guest_signal_count[SIGUSR1]));
        vsock_meet(side);
        CHECK_ERR(EINTR, read(fd, &byte, 1));
        vsock_meet(side);
        CHECK_EQ(0, read(fd, &byte, 1));
        vsock_meet(side);
        CHECK_OK(close(fd));
    }
}

static const struct vsock_case cases[] = {
    { "unconnected", unconnected, unconnected, 0, 0, false },
    { "order", order_server, order_client, 0, 0, false },
    { "SO_RCVLOWAT", writes_server, lowat_client, 0, 0, false },
    { "too much", writes_server, too_much_client, 0, 0, false },
    { "MSG_PEEK", writes_server, peek_client, 0, 0, false },
    { "no address", writes_server, no_address_client, 0, 0, false },
    { "MSG_WAITALL", whole_server, whole_client, 0, 0, false },
    { "blocked", blocked_server, blocked_client, 0, 0, false },
};

VSOCK_MAIN(cases)
