/*
 * Proves (in the emulator only): what an AF_VSOCK connection holds: 262144 bytes whatever the size
 * of the writes, less when either side's buffer is smaller; room comes back by whole packets, and
 * the writer hears of it when the reader has all or more than 192 KiB, sends something itself or
 * changes SO_RCVLOWAT or its buffer; POLLOUT means one byte of room.
 *
 * Rows: 7.5 "Capacity towards the peer", 7.5 "Non-blocking write: min(n, capacity)",
 * 7.5 "The receiver's forwarded count", 7.6 "no credit", 7.6 "Wake-ups",
 * 7.5 "Packets of <= 128 B"
 */
#include "vsock.h"

static _Thread_local char big[2 * VSOCK_CREDIT];

/* Fills without blocking, in writes of one size; returns the bytes that went. */
static size_t fill(int fd, size_t size, uint64_t *position)
{
    size_t total = 0;
    for (;;) {
        guest_pattern_fill(big, size, *position);
        ssize_t sent = send(fd, big, size, MSG_DONTWAIT);
        if (sent < 0) {
            CHECK_EQ(EAGAIN, errno);
            return total;
        }
        CHECK(sent > 0);
        total += (size_t)sent;
        *position += (size_t)sent;
    }
}

/* The room there is now: nothing of it is left afterwards. */
static void check_room(int fd, size_t room, uint64_t *position)
{
    CHECK_EQ(room > 0 ? VSOCK_OUT : 0, vsock_bits(fd) & VSOCK_OUT);
    CHECK_EQ(room, fill(fd, 50000, position));
    CHECK_EQ(0, vsock_bits(fd) & VSOCK_OUT);
}

static const size_t write_sizes[] = { 262144, 300000, 100000, 65536, 65537, 4096, 1000, 129, 7 };
enum { WRITE_SIZES = sizeof write_sizes / sizeof *write_sizes };

static void capacity_server(struct vsock_side *side)
{
    for (int i = 0; i < WRITE_SIZES; i++) {
        uint64_t position = 0;
        int fd = vsock_answer(side, SOCK_STREAM);
        CHECK_EQ(VSOCK_CREDIT, fill(fd, write_sizes[i], &position));
        CHECK_BITS(0, fd);
        vsock_meet(side);
        vsock_meet(side); /* all is read */
        check_room(fd, VSOCK_CREDIT, &position);
        vsock_meet(side);
        CHECK_OK(close(fd));
    }
}

static void capacity_client(struct vsock_side *side)
{
    for (int i = 0; i < WRITE_SIZES; i++) {
        uint64_t position = 0;
        int fd = vsock_dial(side, SOCK_STREAM), queued = 0;
        vsock_meet(side);
        CHECK_OK(ioctl(fd, FIONREAD, &queued));
        CHECK_EQ(VSOCK_CREDIT, queued);
        vsock_receive_pattern(fd, VSOCK_CREDIT, &position);
        CHECK_ERR(EAGAIN, recv(fd, big, 1, MSG_DONTWAIT));
        vsock_meet(side);
        vsock_meet(side);                                   /* full again */
        vsock_receive_pattern(fd, VSOCK_CREDIT, &position); /* after the close, too */
        CHECK_EQ(0, read(fd, big, 1));
        CHECK_OK(close(fd));
    }
}

/* Sizes of both buffers, and what then goes each way: the smaller one of the two. */
static const uint32_t sizes[][3] = { { 128, 262144, 128 },        { 262144, 500, 500 },
                                     { 70000, 60000, 60000 },     { 1, 262144, 128 },
                                     { 1 << 20, 262144, 262144 }, { 1 << 20, 1 << 20, 1 << 20 } };
enum { SIZES = sizeof sizes / sizeof *sizes };

static void set_buffer(int fd, uint32_t size)
{
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_MAX_SIZE, size > VSOCK_CREDIT ? size : VSOCK_CREDIT);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_SIZE, size);
}

/* Set on the listener and on the socket that connects. */
static void before_server(struct vsock_side *side)
{
    for (int i = 0; i < SIZES; i++) {
        uint64_t position = 0;
        int listener = vsock_listen(side, SOCK_STREAM, 1);
        set_buffer(listener, sizes[i][0]);
        vsock_meet(side);
        int fd = vsock_accept(listener);
        CHECK_EQ(sizes[i][2], fill(fd, 100000, &position));
        vsock_meet(side);
        vsock_meet(side);
        CHECK_OK(close(fd));
        CHECK_OK(close(listener));
    }
}

static void before_client(struct vsock_side *side)
{
    for (int i = 0; i < SIZES; i++) {
        uint64_t position = 0;
        uint32_t port = vsock_hear(side);
        int fd = vsock_socket(SOCK_STREAM);
        set_buffer(fd, sizes[i][1]);
        vsock_meet(side);
        CHECK_OK(vsock_connect(fd, side->peer_cid, port));
        vsock_meet(side);
        CHECK_EQ(sizes[i][2], fill(fd, 1000, &position));
        vsock_meet(side);
        CHECK_OK(close(fd));
    }
}

/* Set while connected: the peer learns it at once. */
static void after_server(struct vsock_side *side)
{
    for (int i = 0; i < SIZES; i++) {
        uint64_t position = 0;
        int fd = vsock_answer(side, SOCK_STREAM);
        vsock_meet(side);
        set_buffer(fd, sizes[i][0]);
        vsock_meet(side);
        CHECK_EQ(sizes[i][2], fill(fd, 100000, &position));
        vsock_meet(side);
        CHECK_OK(close(fd));
    }
}

static void after_client(struct vsock_side *side)
{
    for (int i = 0; i < SIZES; i++) {
        uint64_t position = 0;
        int fd = vsock_dial(side, SOCK_STREAM);
        set_buffer(fd, sizes[i][1]);
        vsock_meet(side);
        vsock_meet(side);
        CHECK_EQ(sizes[i][2], fill(fd, 1000, &position));
        vsock_meet(side);
        CHECK_OK(close(fd));
    }
}

enum { PIECE = 4096, THRESHOLD = VSOCK_CREDIT - VSOCK_PACKET };

/* Packets of 4096 bytes fill it; the client says how much room there must be then. */
static void room_server(struct vsock_side *side)
{
    uint64_t position = 0;
    int fd = vsock_answer(side, SOCK_STREAM);
    CHECK_EQ(VSOCK_CREDIT, fill(fd, PIECE, &position));
    vsock_meet(side);
    for (uint32_t room; (room = vsock_hear(side)) != UINT32_MAX;) {
        check_room(fd, room, &position);
        vsock_meet(side);
    }
    CHECK_OK(close(fd));
}

static void expect_room(struct vsock_side *side, uint32_t room)
{
    vsock_say(side, room);
    vsock_meet(side);
}

static void threshold_client(struct vsock_side *side)
{
    uint64_t position = 0;
    int fd = vsock_dial(side, SOCK_STREAM);
    vsock_meet(side);
    vsock_receive_pattern(fd, 1, &position);
    expect_room(side, 0);
    vsock_receive_pattern(fd, PIECE - 1, &position);
    expect_room(side, 0);
    vsock_receive_pattern(fd, THRESHOLD - PIECE, &position);
    expect_room(side, 0); /* 192 KiB exactly: not yet */
    vsock_receive_pattern(fd, PIECE - 1, &position);
    expect_room(side, 0); /* the last packet isn't read to its end */
    vsock_receive_pattern(fd, 1, &position);
    expect_room(side, THRESHOLD + PIECE);
    vsock_receive_pattern(fd, PIECE, &position); /* and all over again */
    expect_room(side, 0);
    vsock_receive_pattern(fd, VSOCK_CREDIT - PIECE, &position);
    CHECK_ERR(EAGAIN, recv(fd, big, 1, MSG_DONTWAIT));
    expect_room(side, VSOCK_CREDIT);
    vsock_say(side, UINT32_MAX);
    vsock_receive_pattern(fd, VSOCK_CREDIT, &position);
    CHECK_OK(close(fd));
}

/* What tells the writer earlier. */
static void told_client(struct vsock_side *side)
{
    uint64_t position = 0;
    int fd = vsock_dial(side, SOCK_STREAM);
    vsock_meet(side);
    vsock_receive_pattern(fd, 2 * PIECE, &position);
    expect_room(side, 0);
    CHECK_EQ(1, write(fd, "x", 1)); /* every packet carries the count */
    expect_room(side, 2 * PIECE);
    vsock_receive_pattern(fd, PIECE, &position);
    expect_room(side, 0);
    vsock_set_int(fd, SO_RCVLOWAT, 2); /* more than that is queued: nobody is told */
    expect_room(side, 0);
    vsock_set_int(fd, SO_RCVLOWAT, VSOCK_CREDIT);
    expect_room(side, PIECE);
    vsock_set_int(fd, SO_RCVLOWAT, 1);
    vsock_receive_pattern(fd, PIECE, &position);
    expect_room(side, 0);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_SIZE, VSOCK_CREDIT); /* as it was: no packet */
    expect_room(side, 0);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_SIZE, VSOCK_CREDIT - 96);
    expect_room(side, PIECE - 96);
    vsock_set_int(fd, SO_RCVLOWAT, VSOCK_CREDIT - 96); /* now every read leaves less */
    vsock_receive_pattern(fd, PIECE, &position);
    expect_room(side, PIECE);
    vsock_say(side, UINT32_MAX);
    CHECK_OK(close(fd));
}

/* A blocked writer goes on when it is told, and not before. */
static void woken_server(struct vsock_side *side)
{
    uint64_t position = 0;
    int fd = vsock_answer(side, SOCK_STREAM);
    CHECK_EQ(VSOCK_CREDIT, fill(fd, PIECE, &position));
    for (int i = 0; i < 2; i++) {
        vsock_say(side, 1);
        if (i == 1) {
            vsock_wait_bit(fd, POLLOUT);
        }
        vsock_send_pattern(fd, PIECE, &position);
        vsock_say(side, 2);
        vsock_meet(side);
        fill(fd, PIECE, &position);
    }
    CHECK_OK(shutdown(fd, SHUT_WR));
    CHECK_EQ(0, read(fd, big, 1));
    CHECK_OK(close(fd));
}

static void woken_client(struct vsock_side *side)
{
    uint64_t position = 0;
    int fd = vsock_dial(side, SOCK_STREAM);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(1, vsock_hear(side));
        vsock_peer_blocked(side);
        vsock_receive_pattern(fd, THRESHOLD, &position);
        vsock_peer_blocked(side);
        vsock_receive_pattern(fd, PIECE, &position);
        CHECK_EQ(2, vsock_hear(side));
        vsock_meet(side);
    }
    for (ssize_t size; (size = read(fd, big, sizeof big)) != 0;) {
        CHECK(size > 0);
        guest_pattern_check(big, (size_t)size, position);
        position += (size_t)size;
    }
    CHECK_OK(close(fd));
}

/* Edge-triggered: OUT once the room is back, and with every packet that comes while there is room.
 */
static void edges_server(struct vsock_side *side)
{
    uint64_t position = 0;
    int fd = vsock_answer(side, SOCK_STREAM), epoll = (int)CHECK_OK(epoll_create1(0));
    struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
    CHECK_EQ(1, epoll_wait(epoll, &event, 1, 0));
    CHECK_EQ(0, epoll_wait(epoll, &event, 1, 0));
    vsock_meet(side);
    vsock_meet(side); /* a byte has come */
    CHECK_EQ(1, epoll_wait(epoll, &event, 1, 0));
    CHECK_EQ(EPOLLOUT, event.events);
    CHECK_EQ(0, epoll_wait(epoll, &event, 1, 0));
    CHECK_EQ(VSOCK_CREDIT, fill(fd, PIECE, &position));
    CHECK_EQ(0, epoll_wait(epoll, &event, 1, 0));
    vsock_meet(side);
    vsock_meet(side); /* another one: no room, no event */
    CHECK_EQ(0, epoll_wait(epoll, &event, 1, 0));
    vsock_meet(side);
    CHECK_EQ(1, epoll_wait(epoll, &event, 1, -1)); /* all is read */
    CHECK_EQ(EPOLLOUT, event.events);
    vsock_meet(side);
    CHECK_OK(close(epoll));
    CHECK_OK(close(fd));
}

static void edges_client(struct vsock_side *side)
{
    uint64_t position = 0;
    int fd = vsock_dial(side, SOCK_STREAM);
    vsock_meet(side);
    CHECK_EQ(1, write(fd, "x", 1));
    vsock_meet(side);
    vsock_meet(side);
    CHECK_EQ(1, write(fd, "x", 1));
    vsock_meet(side);
    vsock_meet(side);
    vsock_peer_blocked(side);
    vsock_receive_pattern(fd, VSOCK_CREDIT, &position);
    vsock_meet(side);
    CHECK_OK(close(fd));
}

/* Both ways at once, with blocking writes of odd sizes. */
static void both_ways(struct vsock_side *side, int fd)
{
    enum { TOTAL = 3000000 };
    uint64_t sent = 0, received = 0;
    guest_set_nonblock(fd, true);
    while (sent < TOTAL || received < TOTAL) {
        struct pollfd entry = { .fd = fd,
                                .events = (short)((sent < TOTAL ? POLLOUT : 0) |
                                                  (received < TOTAL ? POLLIN : 0)) };
        CHECK_EQ(1, poll(&entry, 1, -1));
        if (entry.revents & POLLIN) {
            ssize_t size = CHECK_OK(read(fd, big, 30001));
            CHECK(size > 0);
            guest_pattern_check(big, (size_t)size, received);
            received += (uint64_t)size;
        }
        if (entry.revents & POLLOUT && sent < TOTAL) {
            size_t left = TOTAL - sent;
            guest_pattern_fill(big, left < 20011 ? left : 20011, sent);
            sent += (uint64_t)CHECK_OK(write(fd, big, left < 20011 ? left : 20011));
        }
    }
    CHECK_EQ(TOTAL, received);
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static void both_ways_server(struct vsock_side *side)
{
    both_ways(side, vsock_answer(side, SOCK_STREAM));
}

static void both_ways_client(struct vsock_side *side)
{
    both_ways(side, vsock_dial(side, SOCK_STREAM));
}

static const struct vsock_case cases[] = {
    { "capacity", capacity_server, capacity_client, 0, 0, false },
    { "buffers, before", before_server, before_client, 0, 0, false },
    { "buffers, after", after_server, after_client, 0, 0, false },
    { "threshold", room_server, threshold_client, 0, 0, false },
    { "told earlier", room_server, told_client, 0, 0, false },
    { "woken", woken_server, woken_client, 0, 0, false },
    { "edges", edges_server, edges_client, 0, 0, false },
    { "both ways", both_ways_server, both_ways_client, 0, 0, false },
};

VSOCK_MAIN(cases)
