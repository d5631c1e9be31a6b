/*
 * Proves (in the emulator only): AF_VSOCK sockets in other hands: listeners, fresh, bound and
 * connected sockets over fork and exec; several processes that accept from one listener; who is
 * killed while it accepts or holds a connection leaves the rest working, and its peer an orderly
 * end.
 *
 * Rows: 7.3 "connection is complete", 7.3 "client closes before accept",
 * 7.5 "close(), nothing or something unread on our side", 7.3 "listener closed with pending"
 */
#include "vsock.h"

static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };

/* Each step of a socket's life in a process of its own, which all have it from the start. */
static void steps_server(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        int fd = vsock_socket(types[i]);
        pid_t binds = guest_fork();
        if (binds == 0) {
            CHECK_OK(vsock_bind(fd, VMADDR_CID_ANY, VMADDR_PORT_ANY));
            _exit(0);
        }
        guest_wait_exit(binds, 0);
        CHECK(vsock_port(fd) != VMADDR_PORT_ANY);
        pid_t listens = guest_fork();
        if (listens == 0) {
            CHECK_OK(listen(fd, 2));
            _exit(0);
        }
        guest_wait_exit(listens, 0);
        vsock_say(side, vsock_port(fd));
        pid_t accepts = guest_fork();
        if (accepts == 0) {
            int accepted = vsock_accept(fd);
            CHECK_EQ(7, read(accepted, (char[16]){ 0 }, 16));
            CHECK_EQ(6, write(accepted, "answer", 6));
            CHECK_EQ(0, read(accepted, (char[16]){ 0 }, 16));
            _exit(0);
        }
        guest_wait_exit(accepts, 0);
        CHECK_OK(close(fd));
    }
}

static void steps_client(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        int fd = vsock_socket(types[i]);
        uint32_t port = vsock_hear(side);
        pid_t connects = guest_fork();
        if (connects == 0) {
            CHECK_OK(vsock_connect(fd, side->peer_cid, port));
            _exit(0);
        }
        guest_wait_exit(connects, 0);
        CHECK_PEER(side->peer_cid, port, fd);
        CHECK_BITS(VSOCK_OUT, fd);
        CHECK_EQ(7, write(fd, "request", 7));
        pid_t reads = guest_fork();
        if (reads == 0) {
            CHECK_EQ(6, read(fd, (char[16]){ 0 }, 16));
            _exit(0);
        }
        guest_wait_exit(reads, 0);
        CHECK_OK(close(fd));
    }
}

/* Prefork: four processes accept from one listener; each connection is served once. */
enum { WORKERS = 4, CALLS = 60 };

static void prefork_server(struct vsock_side *side)
{
    pid_t workers[WORKERS];
    int listener = vsock_listen(side, SOCK_STREAM, CALLS);
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = guest_fork();
        if (workers[i] == 0) {
            for (char byte = 0; byte != 'q';) {
                int fd = vsock_accept(listener);
                CHECK_EQ(1, read(fd, &byte, 1));
                CHECK_EQ(1, write(fd, &byte, 1));
                CHECK_OK(close(fd));
            }
            _exit(0);
        }
    }
    CHECK_OK(close(listener));
    for (int i = 0; i < WORKERS; i++) {
        guest_wait_exit(workers[i], 0);
    }
}

static void call(struct vsock_side *side, uint32_t port, char byte)
{
    char answer = 0;
    int fd = vsock_socket(SOCK_STREAM);
    CHECK_OK(vsock_connect(fd, side->peer_cid, port));
    CHECK_EQ(1, write(fd, &byte, 1));
    CHECK_EQ(1, read(fd, &answer, 1));
    CHECK_EQ(byte, answer);
    CHECK_EQ(0, read(fd, &answer, 1));
    CHECK_OK(close(fd));
}

static void prefork_client(struct vsock_side *side)
{
    uint32_t port = vsock_hear(side);
    for (int i = 0; i < CALLS; i++) {
        call(side, port, (char)('A' + i % 10));
    }
    for (int i = 0; i < WORKERS; i++) {
        call(side, port, 'q');
    }
}

/* Killed in accept: what comes next goes to the other one, who has the listener, too. */
static void killed_server(struct vsock_side *side)
{
    int listener = vsock_listen(side, SOCK_STREAM, 4);
    pid_t pid = guest_fork();
    if (pid == 0) {
        vsock_accept(listener);
        _exit(1);
    }
    guest_process_blocked(pid);
    CHECK_OK(kill(pid, SIGKILL));
    guest_wait_killed(pid, SIGKILL);
    vsock_say(side, 1);
    int fd = vsock_accept(listener);
    CHECK_EQ(2, read(fd, (char[4]){ 0 }, 4));
    CHECK_OK(close(fd));
    pid = guest_fork(); /* a reader, killed as well; data goes on to the one who is left */
    fd = -1;
    if (pid == 0) {
        fd = vsock_accept(listener);
        CHECK_EQ(1, read(fd, (char[4]){ 0 }, 1));
        vsock_say(side, 2);
        CHECK_EQ(1, read(fd, (char[4]){ 0 }, 1));
        _exit(1);
    }
    CHECK_EQ(3, vsock_hear(side)); /* the client has heard the child */
    guest_process_blocked(pid);
    CHECK_OK(kill(pid, SIGKILL));
    guest_wait_killed(pid, SIGKILL);
    CHECK_OK(close(listener));
    vsock_meet(side);
}

static void killed_client(struct vsock_side *side)
{
    uint32_t port = vsock_hear(side);
    CHECK_EQ(1, vsock_hear(side));
    int fd = vsock_socket(SOCK_STREAM);
    CHECK_OK(vsock_connect(fd, side->peer_cid, port));
    CHECK_EQ(2, write(fd, "ok", 2));
    CHECK_EQ(0, read(fd, (char[4]){ 0 }, 4));
    CHECK_OK(close(fd));
    fd = vsock_socket(SOCK_STREAM);
    CHECK_OK(vsock_connect(fd, side->peer_cid, port));
    CHECK_EQ(1, write(fd, "x", 1));
    CHECK_EQ(2, vsock_hear(side));
    vsock_say(side, 3);
    CHECK_EQ(0, read(fd, (char[4]){ 0 }, 4)); /* asleep until the kill, most likely */
    CHECK_ERR(EPIPE, send(fd, "x", 1, MSG_NOSIGNAL));
    vsock_meet(side);
    CHECK_OK(close(fd));
}

/* Clients that die with connections nobody has accepted; the listener gives them out all the same.
 */
static void orphans_server(struct vsock_side *side)
{
    int listener = vsock_listen(side, SOCK_STREAM, 8);
    vsock_meet(side);
    for (int i = 0; i < 8; i++) {
        char bytes[8];
        int fd = vsock_accept(listener);
        CHECK_EQ(4, read(fd, bytes, sizeof bytes));
        CHECK_MEM("last", bytes, 4);
        CHECK_EQ(0, read(fd, bytes, sizeof bytes));
        CHECK_OK(close(fd));
    }
    CHECK_BITS(0, listener);
    CHECK_OK(close(listener));
}

static void orphans_client(struct vsock_side *side)
{
    uint32_t port = vsock_hear(side);
    for (int i = 0; i < 8; i++) {
        int status;
        pid_t pid = guest_fork();
        if (pid == 0) {
            int fd = vsock_socket(SOCK_STREAM);
            CHECK_OK(vsock_connect(fd, side->peer_cid, port));
            CHECK_EQ(4, write(fd, "last", 4));
            raise(SIGSTOP);
            _exit(0);
        }
        CHECK_EQ(pid, waitpid(pid, &status, WUNTRACED));
        CHECK(WIFSTOPPED(status));
        CHECK_OK(kill(pid, SIGKILL));
        guest_wait_killed(pid, SIGKILL);
    }
    vsock_meet(side);
}

/* Over exec: cat serves as inetd's child would, with the connection as its input and output. */
static void exec_server(struct vsock_side *side)
{
    int listener = vsock_listen(side, SOCK_STREAM, 2);
    for (int i = 0; i < 3; i++) {
        int fd = vsock_accept(listener);
        pid_t pid = guest_fork();
        if (pid == 0) {
            CHECK_OK(dup2(fd, 0));
            CHECK_OK(dup2(fd, 1));
            execl("/bin/cat", "cat", (char *)NULL);
            _exit(127);
        }
        CHECK_OK(close(fd));
        guest_wait_exit(pid, 0);
    }
    CHECK_OK(close(listener));
}

static void exec_client(struct vsock_side *side)
{
    uint32_t port = vsock_hear(side);
    for (int i = 0; i < 3; i++) {
        uint64_t sent = 0, received = 0;
        int fd = vsock_socket(SOCK_STREAM);
        CHECK_OK(vsock_connect(fd, side->peer_cid, port));
        vsock_send_pattern(fd, 150000, &sent);
        CHECK_OK(shutdown(fd, SHUT_WR));
        vsock_receive_pattern(fd, 150000, &received);
        CHECK_EQ(0, read(fd, (char[4]){ 0 }, 4));
        CHECK_OK(close(fd));
    }
}

/* Many clients at once, threads and processes of them, against one accepting thread. */
enum { CALLERS = 6, CALLS_EACH = 40 };

struct caller {
    struct vsock_side *side;
    uint32_t port;
};

static void *call_often(void *argument)
{
    const struct caller *caller = argument;
    for (int i = 0; i < CALLS_EACH; i++) {
        call(caller->side, caller->port, (char)('a' + i % 20));
    }
    return NULL;
}

static void storm_server(struct vsock_side *side)
{
    int listener = vsock_listen(side, SOCK_STREAM, CALLERS);
    for (int i = 0; i < CALLERS * CALLS_EACH; i++) {
        char byte;
        int fd = vsock_accept(listener);
        CHECK_EQ(1, read(fd, &byte, 1));
        CHECK_EQ(1, write(fd, &byte, 1));
        CHECK_OK(close(fd));
    }
    CHECK_BITS(0, listener);
    CHECK_OK(close(listener));
}

static void storm_client(struct vsock_side *side)
{
    struct guest_thread threads[CALLERS / 2];
    pid_t pids[CALLERS / 2];
    struct caller caller = { side, vsock_hear(side) };
    for (int i = 0; i < CALLERS / 2; i++) {
        pids[i] = guest_fork();
        if (pids[i] == 0) {
            call_often(&caller);
            _exit(0);
        }
    }
    for (int i = 0; i < CALLERS / 2; i++) {
        guest_thread_start(&threads[i], call_often, &caller);
    }
    for (int i = 0; i < CALLERS / 2; i++) {
        guest_thread_join(&threads[i]);
        guest_wait_exit(pids[i], 0);
    }
}

/* A server that closes at once: accepted and gone before its client is back from connect. */
static void *ask_the_time(void *argument)
{
    const struct caller *caller = argument;
    for (int i = 0; i < CALLS_EACH; i++) {
        char text[16];
        int fd = vsock_socket(SOCK_STREAM);
        CHECK_OK(vsock_connect(fd, caller->side->peer_cid, caller->port));
        CHECK_EQ(5, guest_read_all(fd, text, sizeof text));
        CHECK_MEM("12:34", text, 5);
        CHECK_ERR(EPIPE, send(fd, "?", 1, MSG_NOSIGNAL));
        CHECK_OK(close(fd));
    }
    return NULL;
}

static void daytime_server(struct vsock_side *side)
{
    int listener = vsock_listen(side, SOCK_STREAM, CALLERS);
    pid_t second = guest_fork();
    for (int i = 0; i < CALLERS * CALLS_EACH / 2; i++) {
        int fd = vsock_accept(listener);
        CHECK_EQ(5, write(fd, "12:34", 5));
        CHECK_OK(close(fd));
    }
    CHECK_OK(close(listener));
    if (second == 0) {
        _exit(0);
    }
    guest_wait_exit(second, 0);
}

static void daytime_client(struct vsock_side *side)
{
    struct guest_thread threads[CALLERS / 2];
    pid_t pids[CALLERS / 2];
    struct caller caller = { side, vsock_hear(side) };
    for (int i = 0; i < CALLERS / 2; i++) {
        pids[i] = guest_fork();
        if (pids[i] == 0) {
            ask_the_time(&caller);
            _exit(0);
        }
    }
    for (int i = 0; i < CALLERS / 2; i++) {
        guest_thread_start(&threads[i], ask_the_time, &caller);
    }
    for (int i = 0; i < CALLERS / 2; i++) {
        guest_thread_join(&threads[i]);
        guest_wait_exit(pids[i], 0);
    }
}

enum { GUEST = 3 };

static const struct vsock_case cases[] = {
    { "steps", steps_server, steps_client, 0, 0, true },
    { "prefork", prefork_server, prefork_client, 0, 0, true },
    { "killed", killed_server, killed_client, 0, 0, true },
    { "orphans", orphans_server, orphans_client, 0, 0, true },
    { "exec", exec_server, exec_client, 0, 0, true },
    { "storm", storm_server, storm_client, 0, 0, true },
    { "daytime", daytime_server, daytime_client, 0, 0, true },
    { "exec, guest", exec_server, exec_client, VSOCK_HOST, GUEST, true },
    { "storm, guest", storm_server, storm_client, GUEST, VSOCK_HOST, true },
};

VSOCK_MAIN(cases)
