/*
 * Proves (in the emulator only): shutdown on AF_VSOCK: its errors, what it does to names, connect
 * and listen, which half the peer loses, what each side polls in every combination of both sides'
 * shutdowns, with and without data, and what epoll reports of it.
 *
 * Rows: 7.5 "how invalid", 7.5 "UNCONNECTED or listening", 7.5 "else", 7.5 "afterwards",
 * 7.5 "DONE flag is cleared", 7.5 "SHUT_WR", 7.5 "SHUT_RD", 7.6 "connected idle",
 * 7.6 "peer SHUT_WR", 7.6 "peer SHUT_RD", 7.6 "own SHUT_WR", 7.6 "own SHUT_RD",
 * 7.6 "own SHUT_RDWR, or both sides SHUT_WR", 7.5 "After both halves are shut by the peer"
 */
#include "vsock.h"

static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };

static void unconnected(struct vsock_side *side)
{
    static const int wrong[] = { -2, -1, 3, 4, 0x7fffffff };
    for (int i = 0; i < 6; i++) {
        int fd = vsock_socket(types[i % 2]);
        if (i >= 2) {
            CHECK_OK(vsock_bind(fd, VMADDR_CID_ANY, VMADDR_PORT_ANY));
        }
        if (i >= 4) {
            CHECK_OK(listen(fd, 1));
        }
        int bits = i >= 4 ? 0 : VSOCK_OUT;
        for (int how = SHUT_RD; how <= SHUT_RDWR; how++) {
            CHECK_ERR(ENOTCONN, shutdown(fd, how));
        }
        for (size_t j = 0; j < sizeof wrong / sizeof *wrong; j++) {
            CHECK_ERR(EINVAL, shutdown(fd, wrong[j]));
        }
        CHECK_BITS(bits, fd); /* nothing was shut */
        CHECK_OK(close(fd));
    }
    (void)side;
}

/* As shutdown's bits: 1 for reading, 2 for writing. */
enum { HALF_RECEIVE = 1, HALF_SEND = 2, BOTH_HALVES = 3, STATES = 4 };

static void shut(int fd, int halves)
{
    if (halves != 0) {
        CHECK_OK(shutdown(fd, halves - 1));
    }
}

/* vsock_poll() of a socket whose own end is open and which has room. */
static int expected_bits(int own, int peer, bool data)
{
    int bits = 0;
    if (own == BOTH_HALVES || (own & HALF_SEND && peer & HALF_SEND)) {
        bits |= POLLHUP;
    }
    if (own & HALF_RECEIVE || peer & HALF_SEND) {
        bits |= POLLRDHUP | VSOCK_IN;
    }
    if (data && !(own & HALF_RECEIVE)) {
        bits |= VSOCK_IN;
    }
    if (!(own & HALF_SEND)) {
        bits |= VSOCK_OUT;
    }
    return bits;
}

/*
 * over: the peer had shut both halves and this side had nothing unread, before its own shutdown.
 */
static void check_end(int fd, int type, int own, int peer, bool data, bool over)
{
    char bytes[8];
    CHECK_BITS(expected_bits(own, peer, data), fd);
    if (own == 0) {
        CHECK_OK(vsock_name_of(fd, true).svm_port);
    } else {
        CHECK_NO_PEER(fd);
        CHECK_ERR(EINVAL, vsock_connect(fd, VMADDR_CID_LOCAL, 1));
        CHECK_ERR(EINVAL, listen(fd, 1));
    }
    CHECK_OK(vsock_port(fd));
    vsock_sigpipes = 0;
    if (own & HALF_SEND || peer & HALF_RECEIVE) {
        CHECK_ERR(EPIPE, send(fd, "x", 1, 0));
        CHECK_EQ(type == SOCK_STREAM, vsock_sigpipes);
    }
    if (over) {
        CHECK_ERR(ENOTCONN, recv(fd, bytes, sizeof bytes, 0));
        CHECK_BITS(expected_bits(own, peer, false), fd);
        return;
    }
    if (!(own & HALF_RECEIVE) && data) {
        CHECK_EQ(4, recv(fd, bytes, sizeof bytes, 0));
        CHECK_MEM("data", bytes, 4);
    }
    if (own & HALF_RECEIVE || peer & HALF_SEND) {
        CHECK_EQ(0, recv(fd, bytes, sizeof bytes, 0));
        CHECK_EQ(0, recv(fd, bytes, sizeof bytes, 0));
    } else {
        CHECK_ERR(EAGAIN, recv(fd, bytes, sizeof bytes, MSG_DONTWAIT));
    }
    CHECK_EQ(0, vsock_error(fd));
    CHECK_BITS(expected_bits(own, peer, false), fd);
}

/* Every combination, on both sides, of halves; with data that was sent before, or none. */
static void matrix(struct vsock_side *side, bool server)
{
    for (int state = 0; state < 4 * STATES * STATES; state++) {
        int type = types[state / (2 * STATES * STATES)];
        bool data = state / (STATES * STATES) % 2;
        int of_server = state / STATES % STATES, of_client = state % STATES;
        int own = server ? of_server : of_client, peer = server ? of_client : of_server;
        int fd = server ? vsock_answer(side, type) : vsock_dial(side, type);
        if (data) {
            CHECK_EQ(4, write(fd, "data", 4));
        }
        vsock_meet(side);
        if (server) {
            shut(fd, own);
            vsock_meet(side); /* now the client shuts its halves */
            vsock_meet(side);
            check_end(fd, type, own, peer, data, false);
            vsock_meet(side);
        } else {
            vsock_meet(side);
            shut(fd, own);
            vsock_meet(side);
            vsock_meet(side);
            check_end(fd, type, own, peer, data, peer == BOTH_HALVES && !data && own != 0);
        }
        vsock_meet(side);
        CHECK_OK(close(fd));
    }
}

static void matrix_server(struct vsock_side *side)
{
    matrix(side, true);
}

static void matrix_client(struct vsock_side *side)
{
    matrix(side, false);
}

/* A half goes on working when the other one is shut. */
static void half_server(struct vsock_side *side)
{
    char bytes[16];
    for (int i = 0; i < 2; i++) {
        int fd = vsock_answer(side, types[i]);
        CHECK_EQ(7, read(fd, bytes, sizeof bytes));
        CHECK_MEM("request", bytes, 7);
        CHECK_EQ(0, read(fd, bytes, sizeof bytes));
        CHECK_BITS(VSOCK_IN | POLLRDHUP | VSOCK_OUT, fd);
        CHECK_EQ(6, write(fd, "answer", 6));
        CHECK_EQ(4, write(fd, "more", 4));
        CHECK_OK(vsock_name_of(fd, true).svm_port); /* the peer's shutdown takes no name */
        CHECK_OK(close(fd));
    }
}

static void half_client(struct vsock_side *side)
{
    char bytes[16];
    for (int i = 0; i < 2; i++) {
        int fd = vsock_dial(side, types[i]);
        CHECK_EQ(7, write(fd, "request", 7));
        CHECK_OK(shutdown(fd, SHUT_WR));
        CHECK_OK(shutdown(fd, SHUT_WR)); /* again */
        CHECK_EQ(6, recv(fd, bytes, 6, MSG_WAITALL));
        CHECK_EQ(4, recv(fd, bytes, 6, 0));
        CHECK_EQ(0, read(fd, bytes, sizeof bytes));
        CHECK_BITS(VSOCK_IN | POLLRDHUP | POLLHUP, fd);
        CHECK_OK(close(fd));
    }
}

/* The end was orderly and seen; shutdown forgets that it was. */
static void forgets_server(struct vsock_side *side)
{
    for (int i = 0; i < 6; i++) {
        int fd = vsock_answer(side, types[i % 2]);
        CHECK_OK(close(fd));
        vsock_meet(side);
    }
}

static void forgets_client(struct vsock_side *side)
{
    char byte;
    for (int i = 0; i < 6; i++) {
        int fd = vsock_dial(side, types[i % 2]);
        vsock_meet(side);
        CHECK_EQ(0, read(fd, &byte, 1));
        CHECK_OK(vsock_name_of(fd, true).svm_port);
        CHECK_OK(shutdown(fd, i / 2));
        CHECK_ERR(ENOTCONN, read(fd, &byte, 1));
        CHECK_NO_PEER(fd);
        CHECK_ERR(EPIPE, send(fd, "x", 1, MSG_NOSIGNAL));
        CHECK_OK(close(fd));
    }
}

static uint32_t next_event(int epoll, int timeout)
{
    struct epoll_event event = { .events = 0 };
    return CHECK_OK(epoll_wait(epoll, &event, 1, timeout)) == 1 ? event.events : 0;
}

/* Edge-triggered: each state change is an event, whatever the mask, with what is true then. */
static void edges_server(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        int fd = vsock_answer(side, types[i]);
        vsock_meet(side);
        vsock_peer_blocked(side);
        CHECK_OK(shutdown(fd, SHUT_RD));
        vsock_meet(side);
        vsock_peer_blocked(side);
        CHECK_OK(shutdown(fd, SHUT_WR));
        vsock_meet(side);
        CHECK_OK(close(fd));
    }
}

static void edges_client(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        int fd = vsock_dial(side, types[i]), epoll = (int)CHECK_OK(epoll_create1(0));
        struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };
        CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
        CHECK_EQ(EPOLLOUT, next_event(epoll, 0));
        CHECK_EQ(0, next_event(epoll, 0));
        vsock_meet(side);
        CHECK_EQ(EPOLLOUT, next_event(epoll, -1)); /* its SHUT_RD */
        vsock_meet(side);
        uint32_t bits = 0; /* its SHUT_WR, and that all is over: one event, or two */
        while (!(bits & EPOLLRDHUP)) {
            bits = next_event(epoll, -1);
        }
        CHECK_EQ(EPOLLIN | EPOLLOUT | EPOLLRDHUP, bits);
        vsock_meet(side);
        while (next_event(epoll, 0) != 0) { /* of the close, perhaps: bounded by the deadline */
        }
        CHECK_OK(shutdown(fd, SHUT_RDWR)); /* its own is an event, too */
        CHECK_EQ(EPOLLIN | EPOLLRDHUP | EPOLLHUP, next_event(epoll, 0));
        CHECK_OK(close(epoll));
        CHECK_OK(close(fd));
    }
}

/* Its own shutdown ends this side's blocked calls. */
struct blocked {
    int fd;
    bool writes;
};

static void *be_blocked(void *argument)
{
    const struct blocked *blocked = argument;
    char *bytes = calloc(1, 2 * VSOCK_CREDIT);
    CHECK(bytes != NULL);
    if (blocked->writes) {
        CHECK_EQ(VSOCK_CREDIT, send(blocked->fd, bytes, 2 * VSOCK_CREDIT, 0));
    } else {
        CHECK_EQ(0, recv(blocked->fd, bytes, 1, 0));
    }
    free(bytes);
    return NULL;
}

static void own_server(struct vsock_side *side)
{
    int fd = vsock_answer(side, SOCK_STREAM);
    struct blocked jobs[] = { { fd, false }, { fd, true } };
    struct guest_thread threads[2];
    for (int i = 0; i < 2; i++) {
        guest_thread_start(&threads[i], be_blocked, &jobs[i]);
        guest_thread_blocked(&threads[i]);
    }
    CHECK_OK(shutdown(fd, SHUT_RD));
    guest_thread_join(&threads[0]);
    guest_thread_blocked(&threads[1]);
    CHECK_OK(shutdown(fd, SHUT_WR));
    guest_thread_join(&threads[1]);
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static void own_client(struct vsock_side *side)
{
    int fd = vsock_dial(side, SOCK_STREAM);
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static const struct vsock_case cases[] = {
    { "unconnected", unconnected, unconnected, 0, 0, false },
    { "matrix", matrix_server, matrix_client, 0, 0, false },
    { "half", half_server, half_client, 0, 0, false },
    { "forgets", forgets_server, forgets_client, 0, 0, false },
    { "edges", edges_server, edges_client, 0, 0, false },
    { "own", own_server, own_client, 0, 0, false },
};

VSOCK_MAIN(cases)
