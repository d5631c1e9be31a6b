/*
 * Proves (in the emulator only): records of AF_VSOCK: their bounds, MSG_TRUNC, MSG_EOR (which write
 * sets and send doesn't), MSG_PEEK; the largest one, and EMSGSIZE for one byte more; a record of
 * nothing isn't sent; one that is larger than the room goes in pieces; a bad buffer loses a record.
 *
 * Rows: 7.8 "SEQPACKET: since 5.14", 7.8 "Record > min(own, peer buffer)",
 * 7.8 "Zero-length record", 7.8 "Record bigger than the free credit", 7.8 "No SIGPIPE",
 * 7.8 "MSG_TRUNC as on AF_UNIX", 7.8 "MSG_EOR is delivered", 7.5 "bad buffer: EFAULT, data stays"
 */
#include "vsock.h"

static _Thread_local char big[2 * VSOCK_CREDIT];

static ssize_t receive(int fd, size_t size, int flags, int *ret_flags)
{
    struct iovec vector = { big, size };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
    ssize_t result = recvmsg(fd, &message, flags);
    *ret_flags = message.msg_flags;
    CHECK_EQ(0, message.msg_controllen);
    return result;
}

#define CHECK_RECORD(size, msg_flags, fd, room, flags)         \
    do {                                                       \
        int have_flags = -1;                                   \
        CHECK_EQ(size, receive(fd, room, flags, &have_flags)); \
        CHECK_EQ(msg_flags, have_flags & ~MSG_CMSG_CLOEXEC);   \
    } while (0)

static void bounds_server(struct vsock_side *side)
{
    int fd = vsock_answer(side, SOCK_SEQPACKET);
    struct iovec parts[] = { { "ab", 2 }, { "", 0 }, { "cde", 3 } };
    CHECK_EQ(3, send(fd, "one", 3, 0));
    CHECK_EQ(3, send(fd, "two", 3, MSG_EOR));
    CHECK_EQ(5, write(fd, "three", 5)); /* sock_write_iter() sets MSG_EOR */
    CHECK_EQ(5, writev(fd, parts, 3));
    CHECK_EQ(0, send(fd, "", 0, 0)); /* nothing is sent */
    CHECK_EQ(0, send(fd, "", 0, MSG_EOR));
    CHECK_EQ(0, write(fd, "", 0));
    CHECK_EQ(4, send(fd, "last", 4, MSG_MORE));
    vsock_meet(side);
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static void bounds_client(struct vsock_side *side)
{
    int fd = vsock_dial(side, SOCK_SEQPACKET), queued = 0;
    vsock_meet(side);
    CHECK_OK(ioctl(fd, FIONREAD, &queued));
    CHECK_EQ(20, queued);
    CHECK_RECORD(3, 0, fd, 100, 0);
    CHECK_MEM("one", big, 3);
    CHECK_RECORD(3, MSG_EOR, fd, 100, MSG_PEEK);
    CHECK_RECORD(2, MSG_EOR | MSG_TRUNC, fd, 2, MSG_PEEK);
    CHECK_RECORD(3, MSG_EOR | MSG_TRUNC, fd, 2, MSG_PEEK | MSG_TRUNC);
    CHECK_RECORD(3, MSG_EOR, fd, 3, MSG_WAITALL);
    CHECK_MEM("two", big, 3);
    CHECK_RECORD(5, MSG_EOR | MSG_TRUNC, fd, 2, MSG_TRUNC); /* its length; the rest is lost */
    CHECK_MEM("th", big, 2);
    CHECK_RECORD(4, MSG_EOR | MSG_TRUNC, fd, 4, 0);
    CHECK_MEM("abcd", big, 4);
    CHECK_RECORD(4, 0, fd, 4, MSG_TRUNC);
    CHECK_MEM("last", big, 4);
    CHECK_ERR(EAGAIN, recv(fd, big, 4, MSG_DONTWAIT));
    vsock_meet(side);
    CHECK_RECORD(0, 0, fd, 4, 0); /* the end */
    CHECK_OK(close(fd));
}

/* As large as the smaller buffer, and one byte more. */
static void largest_server(struct vsock_side *side)
{
    int fd = vsock_answer(side, SOCK_SEQPACKET);
    CHECK_ERR(EMSGSIZE, send(fd, big, VSOCK_CREDIT + 1, 0));
    CHECK_ERR(EMSGSIZE, send(fd, big, VSOCK_CREDIT + 1, MSG_DONTWAIT));
    guest_pattern_fill(big, VSOCK_CREDIT, 0);
    CHECK_EQ(VSOCK_CREDIT, send(fd, big, VSOCK_CREDIT, 0));
    CHECK_BITS(0, fd);
    CHECK_ERR(EAGAIN, send(fd, big, 1, MSG_DONTWAIT));
    CHECK_ERR(EAGAIN, send(fd, big, VSOCK_CREDIT + 1, MSG_DONTWAIT)); /* room is asked first */
    vsock_meet(side);
    vsock_meet(side); /* read */
    CHECK_BITS(VSOCK_OUT, fd);
    vsock_meet(side);
    vsock_meet(side); /* the client's buffer is smaller now */
    CHECK_ERR(EMSGSIZE, send(fd, big, 1001, 0));
    CHECK_EQ(1000, send(fd, big, 1000, 0));
    vsock_meet(side);
    CHECK_EQ(0, read(fd, big, 1));
    CHECK_OK(close(fd));
}

static void largest_client(struct vsock_side *side)
{
    int fd = vsock_dial(side, SOCK_SEQPACKET);
    vsock_meet(side);
    CHECK_BITS(VSOCK_IN | VSOCK_OUT, fd);
    CHECK_RECORD(VSOCK_CREDIT, 0, fd, sizeof big, 0);
    guest_pattern_check(big, VSOCK_CREDIT, 0);
    vsock_meet(side);
    vsock_meet(side);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_SIZE, 1000);
    vsock_meet(side);
    vsock_meet(side);
    CHECK_ERR(EMSGSIZE, send(fd, big, 1001, 0)); /* its own buffer counts as well */
    CHECK_RECORD(1000, 0, fd, sizeof big, 0);
    CHECK_OK(shutdown(fd, SHUT_WR));
    CHECK_OK(close(fd));
}

/* A blocking send waits for room and is still one record. */
static void pieces_server(struct vsock_side *side)
{
    int fd = vsock_answer(side, SOCK_SEQPACKET);
    guest_pattern_fill(big, 200000, 0);
    CHECK_EQ(200000, send(fd, big, 200000, 0));
    vsock_say(side, 1);
    CHECK_EQ(200000, send(fd, big, 200000, MSG_EOR));
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static void pieces_client(struct vsock_side *side)
{
    int fd = vsock_dial(side, SOCK_SEQPACKET);
    CHECK_EQ(1, vsock_hear(side));
    vsock_peer_blocked(side);
    CHECK_RECORD(200000, 0, fd, sizeof big, 0);
    guest_pattern_check(big, 200000, 0);
    CHECK_RECORD(200000, MSG_EOR, fd, sizeof big, 0);
    guest_pattern_check(big, 200000, 0);
    vsock_meet(side);
    CHECK_OK(close(fd));
}

/*
 * Half of it has gone when EAGAIN comes, and stays there: what is sent next is the rest of the same
 * record for the reader (virtio_transport_seqpacket_enqueue() counts from the start).
 */
static void half_server(struct vsock_side *side)
{
    int fd = vsock_answer(side, SOCK_SEQPACKET);
    guest_pattern_fill(big, 200000, 0);
    CHECK_EQ(200000, send(fd, big, 200000, 0));
    CHECK_ERR(EAGAIN, send(fd, big, 100000, MSG_DONTWAIT));
    CHECK_BITS(0, fd);
    CHECK_ERR(EAGAIN, send(fd, big, 1, MSG_DONTWAIT));
    vsock_meet(side);
    vsock_meet(side); /* the first record is read */
    CHECK_EQ(10, send(fd, big, 10, 0));
    vsock_meet(side);
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static void half_client(struct vsock_side *side)
{
    enum { PIECE = VSOCK_CREDIT - 200000 };
    int fd = vsock_dial(side, SOCK_SEQPACKET);
    vsock_meet(side);
    CHECK_RECORD(200000, 0, fd, sizeof big, 0);
    CHECK_BITS(VSOCK_IN | VSOCK_OUT, fd);                /* which counts bytes */
    CHECK_ERR(EAGAIN, recv(fd, big, 100, MSG_DONTWAIT)); /* no whole record */
    vsock_meet(side);
    vsock_meet(side);
    CHECK_RECORD(PIECE + 10, 0, fd, sizeof big, 0);
    guest_pattern_check(big, PIECE, 0);
    guest_pattern_check(big + PIECE, 10, 0);
    vsock_meet(side);
    CHECK_OK(close(fd));
}

/* A record that can't be copied is gone all the same. */
static void fault_server(struct vsock_side *side)
{
    int fd = vsock_answer(side, SOCK_SEQPACKET);
    CHECK_EQ(9, send(fd, "forgotten", 9, 0));
    CHECK_EQ(4, send(fd, "kept", 4, 0));
    CHECK_EQ(1, send(fd, "x", 1, 0));
    vsock_meet(side);
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static void fault_client(struct vsock_side *side)
{
    int fd = vsock_dial(side, SOCK_SEQPACKET);
    vsock_meet(side);
    CHECK_ERR(EFAULT, recv(fd, guest_bad_pointer(), 100, MSG_PEEK)); /* this one loses nothing */
    CHECK_ERR(EFAULT, recv(fd, guest_bad_pointer(), 100, 0));
    CHECK_EQ(4, recv(fd, big, 100, 0));
    CHECK_MEM("kept", big, 4);
    CHECK_EQ(0, recv(fd, guest_bad_pointer(), 0, 0)); /* asks for nothing, takes nothing */
    CHECK_EQ(1, recv(fd, big, 100, 0));
    CHECK_ERR(EAGAIN, recv(fd, big, 100, MSG_DONTWAIT));
    vsock_meet(side);
    CHECK_OK(close(fd));
}

/* Small records fill the buffer by their bytes alone; room is back with the first that is read. */
static void many_server(struct vsock_side *side)
{
    int fd = vsock_answer(side, SOCK_SEQPACKET);
    int count = guest_socket_fill(fd, 1024);
    CHECK_EQ(VSOCK_CREDIT / 1024, count);
    CHECK_BITS(0, fd);
    vsock_meet(side);
    vsock_meet(side); /* one is read: each read reports */
    CHECK_BITS(VSOCK_OUT, fd);
    CHECK_EQ(1024, send(fd, big, 1024, MSG_DONTWAIT));
    CHECK_ERR(EAGAIN, send(fd, big, 1, MSG_DONTWAIT));
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static void many_client(struct vsock_side *side)
{
    int fd = vsock_dial(side, SOCK_SEQPACKET);
    vsock_meet(side);
    CHECK_EQ(7, recv(fd, big, 7, 0)); /* the whole record counts, not what was taken */
    vsock_meet(side);
    vsock_meet(side);
    for (int i = 0; i < VSOCK_CREDIT / 1024; i++) {
        CHECK_EQ(1024, recv(fd, big, 5000, 0));
    }
    CHECK_EQ(0, recv(fd, big, 5000, 0));
    CHECK_OK(close(fd));
}

static const struct vsock_case cases[] = {
    { "bounds", bounds_server, bounds_client, 0, 0, false },
    { "largest", largest_server, largest_client, 0, 0, false },
    { "pieces", pieces_server, pieces_client, 0, 0, false },
    { "half", half_server, half_client, 0, 0, false },
    { "fault", fault_server, fault_client, 0, 0, false },
    { "many", many_server, many_client, 0, 0, false },
};

VSOCK_MAIN(cases)
