/*
 * Proves (in the emulator only): what close does to the other side of an AF_VSOCK connection: an
 * orderly end, whatever was unread; data that was sent before is read first; EPIPE, with SIGPIPE on
 * streams; poll shows no hang-up while the own side is open. It is the same when a process exits or
 * is killed. The last of several references counts. SO_LINGER waits for nothing that was sent.
 *
 * Rows: 7.5 "close(), nothing or something unread on our side",
 * 7.5 "peer has unread data when we close", 7.5 "reset packet on an established connection",
 * 7.6 "peer closed (queue empty or not), own side open", 7.6 "peer closed and own SHUT_WR",
 * 7.5 "close() with SO_LINGER", 7.5 "EPIPE raises SIGPIPE", 7.3 "listener closed with pending"
 */
#include "vsock.h"

#include <linux/sockios.h>

static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };

/* Four ways to go, each with data in neither, one, the other or both directions. */
enum ending { CLOSES, SHUTS_AND_CLOSES, EXITS, IS_KILLED, ENDINGS };
enum { TO_LEAVER = 1, TO_STAYER = 2, STATES = 4 };

static void leave(int fd, enum ending ending)
{
    if (ending == SHUTS_AND_CLOSES) {
        CHECK_OK(shutdown(fd, SHUT_RDWR));
    }
    if (ending <= SHUTS_AND_CLOSES) {
        CHECK_OK(close(fd));
        return;
    }
    pid_t pid = guest_fork(); /* the child has the last reference */
    if (pid == 0) {
        if (ending == IS_KILLED) {
            raise(SIGSTOP);
        }
        _exit(0);
    }
    CHECK_OK(close(fd));
    int status;
    if (ending == IS_KILLED) {
        CHECK_EQ(pid, waitpid(pid, &status, WUNTRACED));
        CHECK_OK(kill(pid, SIGKILL));
        guest_wait_killed(pid, SIGKILL);
    } else {
        guest_wait_exit(pid, 0);
    }
}

static void stay(int fd, int type, bool data)
{
    char bytes[8];
    CHECK_BITS(VSOCK_IN | VSOCK_OUT | POLLRDHUP, fd); /* no HUP */
    CHECK_OK(vsock_name_of(fd, true).svm_port);
    vsock_sigpipes = 0;
    CHECK_ERR(EPIPE, write(fd, "x", 1)); /* at once, data or not */
    CHECK_EQ(type == SOCK_STREAM, vsock_sigpipes);
    CHECK_ERR(EPIPE, send(fd, "x", 1, MSG_NOSIGNAL));
    CHECK_EQ(type == SOCK_STREAM, vsock_sigpipes);
    if (data) {
        CHECK_EQ(4, recv(fd, bytes, sizeof bytes, MSG_PEEK));
        CHECK_EQ(4, recv(fd, bytes, sizeof bytes, 0));
        CHECK_MEM("stay", bytes, 4);
    }
    CHECK_EQ(0, recv(fd, bytes, sizeof bytes, 0)); /* never ECONNRESET */
    CHECK_EQ(0, recv(fd, bytes, sizeof bytes, MSG_DONTWAIT));
    CHECK_EQ(0, vsock_error(fd));
    CHECK_BITS(VSOCK_IN | VSOCK_OUT | POLLRDHUP, fd);
    CHECK_ERR(EISCONN, vsock_connect(fd, VMADDR_CID_LOCAL, 1)); /* it doesn't know better */
    CHECK_OK(shutdown(fd, SHUT_WR));
    CHECK_BITS(VSOCK_IN | POLLRDHUP | POLLHUP, fd);
}

/* Who leaves is the server first, then the client. */
static void matrix(struct vsock_side *side, bool server)
{
    for (int state = 0; state < 4 * STATES * ENDINGS; state++) {
        int type = types[state % 2], data = state / 4 % STATES;
        bool leaves = (state / 2 % 2 == 0) == server;
        int fd = server ? vsock_answer(side, type) : vsock_dial(side, type);
        if (leaves && data & TO_STAYER) {
            CHECK_EQ(4, write(fd, "stay", 4));
        } else if (!leaves && data & TO_LEAVER) {
            CHECK_EQ(5, write(fd, "leave", 5));
        }
        vsock_meet(side);
        if (leaves) {
            leave(fd, (enum ending)(state / (4 * STATES)));
            vsock_meet(side);
        } else {
            vsock_meet(side);
            vsock_wait_bit(fd, POLLRDHUP);
            stay(fd, type, data & TO_STAYER);
            CHECK_OK(close(fd));
        }
        vsock_meet(side);
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

/* Both full of unread data, and both go. */
static void full(struct vsock_side *side, int fd)
{
    char *bytes = calloc(1, VSOCK_CREDIT);
    CHECK(bytes != NULL);
    CHECK_EQ(VSOCK_CREDIT, send(fd, bytes, VSOCK_CREDIT, MSG_DONTWAIT));
    vsock_meet(side);
    CHECK_BITS(VSOCK_IN, fd);
    vsock_meet(side);
    CHECK_OK(close(fd));
    free(bytes);
}

static void full_server(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        full(side, vsock_answer(side, types[i]));
        vsock_meet(side);
    }
}

static void full_client(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        full(side, vsock_dial(side, types[i]));
        vsock_meet(side);
    }
}

/* The peer closed while this side had filled it: as long as that isn't known to be over, no OUT. */
static void no_room_server(struct vsock_side *side)
{
    char *bytes = calloc(1, VSOCK_CREDIT);
    int fd = vsock_answer(side, SOCK_STREAM);
    CHECK(bytes != NULL);
    CHECK_EQ(VSOCK_CREDIT, send(fd, bytes, VSOCK_CREDIT, MSG_DONTWAIT));
    vsock_meet(side);
    vsock_meet(side); /* the client has sent a byte and closed */
    CHECK_BITS(VSOCK_IN | POLLRDHUP, fd);
    CHECK_EQ(1, read(fd, bytes, 1));
    CHECK_EQ(0, read(fd, bytes, 1));
    CHECK_BITS(VSOCK_IN | POLLRDHUP, fd);
    CHECK_ERR(EPIPE, send(fd, "x", 1, MSG_NOSIGNAL));
    CHECK_OK(close(fd));
    free(bytes);
}

static void no_room_client(struct vsock_side *side)
{
    int fd = vsock_dial(side, SOCK_STREAM);
    vsock_meet(side);
    CHECK_EQ(1, write(fd, "x", 1));
    CHECK_OK(close(fd));
    vsock_meet(side);
}

/* A dup and a child keep the connection; the last one that closes ends it. */
static void references_server(struct vsock_side *side)
{
    int ends[2], fd = vsock_answer(side, SOCK_STREAM), other = (int)CHECK_OK(dup(fd));
    guest_pipe(ends);
    CHECK_OK(close(fd));
    vsock_meet(side);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(ends[1]));
        CHECK_EQ(1, write(other, "c", 1));
        CHECK_EQ(0, read(ends[0], &(char){ 0 }, 1));
        _exit(0);
    }
    CHECK_OK(close(other));
    vsock_meet(side);
    vsock_meet(side); /* the client sees it open */
    guest_close_both(ends);
    guest_wait_exit(pid, 0);
    vsock_meet(side);
}

static void references_client(struct vsock_side *side)
{
    char byte;
    int fd = vsock_dial(side, SOCK_STREAM);
    vsock_meet(side);
    CHECK_EQ(1, read(fd, &byte, 1));
    vsock_meet(side);
    CHECK_BITS(VSOCK_OUT, fd);
    CHECK_ERR(EAGAIN, recv(fd, &byte, 1, MSG_DONTWAIT));
    CHECK_EQ(1, write(fd, "x", 1));
    vsock_meet(side);
    vsock_meet(side);
    CHECK_EQ(0, read(fd, &byte, 1));
    CHECK_OK(close(fd));
}

/* What was sent is with the peer already, read or not: there is nothing to linger for. */
static void linger_server(struct vsock_side *side)
{
    for (int i = 0; i < 4; i++) {
        int fd = vsock_answer(side, types[i % 2]);
        vsock_meet(side);
        if (i >= 2) {
            CHECK_EQ(6, recv(fd, (char[8]){ 0 }, 8, 0));
        }
        CHECK_EQ(i >= 2 ? 0 : 6, recv(fd, (char[8]){ 0 }, 8, 0));
        CHECK_EQ(0, recv(fd, (char[8]){ 0 }, 8, 0));
        CHECK_OK(close(fd));
        vsock_meet(side);
    }
}

static void linger_client(struct vsock_side *side)
{
    for (int i = 0; i < 4; i++) {
        int fd = vsock_dial(side, types[i % 2]), unsent = -1;
        const struct linger linger = { 1, i < 2 ? 10 : 0 };
        CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
        CHECK_EQ(6, write(fd, "unread", 6));
        CHECK_OK(ioctl(fd, SIOCOUTQ, &unsent));
        CHECK_EQ(0, unsent);
        int64_t before = guest_now_ms();
        CHECK_OK(close(fd));
        CHECK(guest_now_ms() - before < 5000);
        vsock_meet(side); /* and linger 0 is no reset either */
        vsock_meet(side);
    }
}

static const struct vsock_case cases[] = {
    { "matrix", matrix_server, matrix_client, 0, 0, false },
    { "full", full_server, full_client, 0, 0, false },
    { "no room", no_room_server, no_room_client, 0, 0, false },
    { "references", references_server, references_client, 0, 0, false },
    { "linger", linger_server, linger_client, 0, 0, false },
};

VSOCK_MAIN(cases)
