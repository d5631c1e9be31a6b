/*
 * Proves (in the emulator only): poll, select and epoll of AF_VSOCK sockets, asked and asleep:
 * fresh and bound sockets are writable and not hung up; input shows from SO_RCVLOWAT on and wakes
 * not before; a listener, data, room, SHUT_WR and close wake sleepers; edge-triggered sets tell of
 * each packet.
 *
 * Rows: 7.6 "fresh, or bound", 7.6 "listening, empty / with connection",
 * 7.6 "connected, queued >= SO_RCVLOWAT", 7.6 "Wake-ups", 7.6 "connected idle"
 */
#include <sys/eventfd.h>

#include "vsock.h"

static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };

static void states(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        int fd = vsock_socket(types[i]);
        CHECK_BITS(VSOCK_OUT, fd);
        CHECK_EQ(GUEST_WRITABLE, guest_select(fd));
        CHECK_EQ(0, guest_poll(fd, POLLIN | POLLPRI | POLLRDHUP | POLLWRBAND, 0));
        CHECK_OK(vsock_bind(fd, VMADDR_CID_ANY, VMADDR_PORT_ANY));
        CHECK_BITS(VSOCK_OUT, fd);
        CHECK_OK(listen(fd, 1));
        CHECK_BITS(0, fd);
        CHECK_EQ(0, guest_select(fd));
        int client = vsock_socket(types[i]);
        CHECK_OK(vsock_connect(client, side->own_cid, vsock_port(fd)));
        CHECK_BITS(VSOCK_IN, fd);
        CHECK_EQ(GUEST_READABLE, guest_select(fd));
        CHECK_BITS(VSOCK_OUT, client);
        CHECK_EQ(GUEST_WRITABLE, guest_select(client));
        int accepted = vsock_accept(fd);
        CHECK_BITS(0, fd);
        CHECK_BITS(VSOCK_OUT, accepted);
        CHECK_EQ(1, write(client, "x", 1));
        CHECK_BITS(VSOCK_IN | VSOCK_OUT, accepted);
        CHECK_EQ(GUEST_READABLE | GUEST_WRITABLE, guest_select(accepted));
        CHECK_OK(close(client));
        CHECK_EQ(GUEST_READABLE | GUEST_WRITABLE, guest_select(accepted));
        CHECK_OK(close(accepted));
        CHECK_OK(close(fd));
    }
}

/* How a side sleeps until its fd is readable. */
enum way { BY_POLL, BY_SELECT, BY_EPOLL, BY_MIXED_POLL, BY_MIXED_EPOLL, WAYS };

static void wait_readable(int fd, enum way way)
{
    int other = (int)CHECK_OK(eventfd(0, EFD_CLOEXEC)); /* real, and never ready */
    struct pollfd entries[] = { { .fd = fd, .events = POLLIN }, { .fd = other, .events = POLLIN } };
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    int epoll = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
    switch (way) {
    case BY_SELECT: CHECK_EQ(1, select(fd + 1, &set, NULL, NULL, NULL)); break;
    case BY_MIXED_EPOLL:
        CHECK_OK(
            epoll_ctl(epoll, EPOLL_CTL_ADD, other, &(struct epoll_event){ .events = EPOLLIN }));
        CHECK_EQ(1, epoll_wait(epoll, &event, 1, -1));
        CHECK_EQ(fd, event.data.fd);
        break;
    case BY_EPOLL:
        CHECK_EQ(1, epoll_wait(epoll, &event, 1, -1));
        CHECK_EQ(fd, event.data.fd);
        break;
    default: CHECK_EQ(1, poll(entries, way == BY_MIXED_POLL ? 2 : 1, -1)); break;
    }
    CHECK_OK(close(epoll));
    CHECK_OK(close(other));
}

/* Data below the mark wakes nobody; what reaches it does, and so does the end. */
static void asleep_server(struct vsock_side *side)
{
    for (int way = 0; way < WAYS; way++) {
        int listener = vsock_listen(side, SOCK_STREAM, 1);
        wait_readable(listener, (enum way)way);
        int fd = vsock_accept(listener);
        CHECK_OK(close(listener));
        vsock_set_int(fd, SO_RCVLOWAT, 10);
        vsock_meet(side);
        wait_readable(fd, (enum way)way);
        CHECK_EQ(10, recv(fd, (char[32]){ 0 }, 32, 0));
        vsock_set_int(fd, SO_RCVLOWAT, 1);
        vsock_meet(side);
        wait_readable(fd, (enum way)way);
        CHECK_EQ(1, recv(fd, (char[32]){ 0 }, 32, 0));
        vsock_meet(side);
        wait_readable(fd, (enum way)way);
        CHECK_EQ(0, recv(fd, (char[32]){ 0 }, 32, 0));
        CHECK_OK(close(fd));
    }
}

static void asleep_client(struct vsock_side *side)
{
    for (int way = 0; way < WAYS; way++) {
        uint32_t port = vsock_hear(side);
        int fd = vsock_socket(SOCK_STREAM);
        vsock_peer_blocked(side);
        CHECK_OK(vsock_connect(fd, side->peer_cid, port));
        vsock_meet(side);
        vsock_peer_blocked(side);
        CHECK_EQ(4, write(fd, "four", 4));
        vsock_peer_blocked(side);
        CHECK_EQ(5, write(fd, "fives", 5));
        vsock_peer_blocked(side);
        CHECK_EQ(1, write(fd, "1", 1));
        vsock_meet(side);
        vsock_peer_blocked(side);
        CHECK_EQ(1, write(fd, "1", 1));
        vsock_meet(side);
        vsock_peer_blocked(side);
        if (way % 2 == 0) {
            CHECK_OK(close(fd));
        } else {
            CHECK_OK(shutdown(fd, SHUT_WR));
            CHECK_EQ(0, read(fd, (char[1]){ 0 }, 1));
            CHECK_OK(close(fd));
        }
    }
}

static int next_events(int epoll)
{
    struct epoll_event event = { .events = 0 };
    return epoll_wait(epoll, &event, 1, 0) == 1 ? (int)event.events : 0;
}

/* Edge-triggered input, with a mark: an event for each packet that finds as much queued. */
static void edges_server(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        int fd = vsock_answer(side, types[i]), epoll = (int)CHECK_OK(epoll_create1(0));
        struct epoll_event event = { .events = EPOLLIN | EPOLLET };
        CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
        CHECK_EQ(0, next_events(epoll));
        for (int packet = 0; packet < 3; packet++) {
            vsock_meet(side);
            vsock_meet(side); /* a byte has come */
            CHECK_EQ(EPOLLIN, next_events(epoll));
            CHECK_EQ(0, next_events(epoll));
        }
        vsock_set_int(fd, SO_RCVLOWAT, 5);
        vsock_meet(side);
        vsock_meet(side); /* the fourth */
        CHECK_EQ(0, next_events(epoll));
        vsock_meet(side);
        vsock_meet(side); /* the fifth */
        CHECK_EQ(EPOLLIN, next_events(epoll));
        CHECK_EQ(0, next_events(epoll));
        vsock_set_int(fd, SO_RCVLOWAT, 6);
        CHECK_BITS(VSOCK_OUT, fd);
        vsock_set_int(fd, SO_RCVLOWAT, 1);
        CHECK_BITS(VSOCK_IN | VSOCK_OUT, fd);
        CHECK_OK(close(epoll));
        CHECK_OK(close(fd));
    }
}

static void edges_client(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        int fd = vsock_dial(side, types[i]);
        for (int packet = 0; packet < 5; packet++) {
            vsock_meet(side);
            CHECK_EQ(1, write(fd, "x", 1));
            vsock_meet(side);
        }
        CHECK_EQ(0, read(fd, (char[1]){ 0 }, 1));
        CHECK_OK(close(fd));
    }
}

/* O_ASYNC: a signal for a connection at a listener, and for data. */
static void signals_server(struct vsock_side *side)
{
    int listener = vsock_socket(SOCK_STREAM);
    CHECK_OK(vsock_bind(listener, VMADDR_CID_ANY, VMADDR_PORT_ANY));
    CHECK_OK(listen(listener, 2));
    guest_count_signal(SIGIO, SA_RESTART);
    CHECK_OK(fcntl(listener, F_SETOWN, getpid()));
    CHECK_OK(fcntl(listener, F_SETFL, O_ASYNC));
    vsock_say(side, vsock_port(listener));
    vsock_meet(side); /* connected */
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGIO]));
    int fd = vsock_accept(listener);
    CHECK_EQ(O_RDWR, fcntl(fd, F_GETFL));
    CHECK_OK(fcntl(fd, F_SETOWN, getpid()));
    CHECK_OK(fcntl(fd, F_SETFL, O_ASYNC));
    atomic_store(&guest_signal_count[SIGIO], 0);
    vsock_meet(side);
    vsock_meet(side); /* a byte was sent */
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGIO]));
    CHECK_EQ(1, read(fd, (char[1]){ 0 }, 1));
    CHECK_OK(close(fd));
    CHECK_OK(close(listener));
}

static void signals_client(struct vsock_side *side)
{
    int fd = vsock_socket(SOCK_STREAM);
    CHECK_OK(vsock_connect(fd, side->peer_cid, vsock_hear(side)));
    vsock_meet(side);
    vsock_meet(side);
    CHECK_EQ(1, write(fd, "x", 1));
    vsock_meet(side);
    CHECK_EQ(0, read(fd, (char[1]){ 0 }, 1));
    CHECK_OK(close(fd));
}

/* A crowd on one set: 100 connections, each with something of its own (T "multiple connections").
 */
enum { CROWD = 100 };

static void crowd_server(struct vsock_side *side)
{
    int fds[CROWD], epoll = (int)CHECK_OK(epoll_create1(0));
    bool seen[CROWD] = { false };
    int listener = vsock_listen(side, SOCK_STREAM, CROWD);
    for (int i = 0; i < CROWD; i++) {
        fds[i] = vsock_accept(listener);
        struct epoll_event event = { .events = EPOLLIN, .data.u32 = (uint32_t)i };
        CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event));
    }
    for (int count = 0; count < CROWD; count++) {
        struct epoll_event event;
        unsigned char byte;
        CHECK_EQ(1, epoll_wait(epoll, &event, 1, -1));
        int i = (int)event.data.u32;
        CHECK(i < CROWD && !seen[i]);
        seen[i] = true;
        CHECK_EQ(1, read(fds[i], &byte, 1));
        CHECK_EQ(i, byte);
        byte = (unsigned char)~byte;
        CHECK_EQ(1, write(fds[i], &byte, 1));
    }
    vsock_meet(side);
    for (int i = 0; i < CROWD; i++) {
        CHECK_OK(close(fds[i]));
    }
    CHECK_OK(close(epoll));
    CHECK_OK(close(listener));
}

static void crowd_client(struct vsock_side *side)
{
    int fds[CROWD];
    uint32_t port = vsock_hear(side);
    for (int i = 0; i < CROWD; i++) {
        fds[i] = vsock_socket(SOCK_STREAM);
        CHECK_OK(vsock_connect(fds[i], side->peer_cid, port));
    }
    for (int i = CROWD - 1; i >= 0; i--) {
        unsigned char byte = (unsigned char)i;
        CHECK_EQ(1, write(fds[i], &byte, 1));
    }
    for (int i = 0; i < CROWD; i++) {
        unsigned char byte;
        CHECK_EQ(1, read(fds[i], &byte, 1));
        CHECK_EQ((unsigned char)~i, byte);
    }
    vsock_meet(side);
    for (int i = 0; i < CROWD; i++) {
        CHECK_OK(close(fds[i]));
    }
}

static const struct vsock_case cases[] = {
    { "states", states, states, 0, 0, false },
    { "asleep", asleep_server, asleep_client, 0, 0, false },
    { "edges", edges_server, edges_client, 0, 0, false },
    { "signals", signals_server, signals_client, 0, 0, false },
    { "crowd", crowd_server, crowd_client, 0, 0, false },
};

VSOCK_MAIN(cases)
