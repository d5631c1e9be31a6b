/*
 * Proves (in the emulator only): SIGKILL at any instruction of an AF_VSOCK connect, write, close or
 * accept leaves the other processes with what an orderly end gives: an accepted connection has all
 * of a write or nothing of it and then ends; a caller is answered, reset at connect or sees the
 * end; nobody waits for ever, the listener goes on, and a killed server's port is free at once.
 *
 * The moment is chance, what may follow isn't.
 *
 * Rows: 7.3 "client closes before accept", 7.3 "listener closed with pending",
 * 7.5 "close(), nothing or something unread on our side", 7.4 "nobody bound to the port"
 */
#include "vsock.h"

enum { KILLS = 40, TEXT = 8, DONE = 7, UP = 8, KILLED = 9 };

static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };

/* Lets the victim run for a while that is different each time. */
static void spin(int round)
{
    for (volatile int i = 0; i < round * 2000; i++) {
    }
}

static void kill_at(pid_t pid, int round)
{
    spin(round);
    CHECK_OK(kill(pid, SIGKILL));
    guest_wait_killed(pid, SIGKILL);
}

/* Serves what comes, until the client says that it is done; what came is whole, or nothing. */
static void clients_server(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        int listener = vsock_listen(side, types[i], 3);
        struct pollfd entries[] = { { .fd = listener, .events = POLLIN },
                                    { .fd = side->hear_fd, .events = POLLIN } };
        guest_set_nonblock(listener, true);
        while (poll(entries, 2, -1) >= 0 && !(entries[1].revents & POLLIN)) {
            char buffer[TEXT + 1];
            int fd = accept(listener, NULL, NULL);
            if (fd < 0) {
                CHECK_EQ(EAGAIN, errno);
                continue;
            }
            size_t size = guest_read_all(fd, buffer, sizeof buffer);
            CHECK(size == 0 || size == TEXT);
            CHECK_MEM("12345678", buffer, size);
            CHECK_OK(close(fd));
        }
        CHECK_EQ(DONE, vsock_hear(side));
        CHECK_OK(close(listener));
        vsock_meet(side);
    }
}

static void call_for_ever(struct vsock_side *side, int type, uint32_t port)
{
    for (;;) {
        int fd = vsock_socket(type);
        if (vsock_connect(fd, side->peer_cid, port) == 0) {
            CHECK_EQ(TEXT, write(fd, "12345678", TEXT));
        } else {
            CHECK_EQ(ECONNRESET, errno); /* the backlog is full */
        }
        CHECK_OK(close(fd));
    }
}

static void clients_client(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        uint32_t port = vsock_hear(side);
        for (int round = 0; round < KILLS; round++) {
            pid_t pid = guest_fork();
            if (pid == 0) {
                call_for_ever(side, types[i], port);
            }
            kill_at(pid, round);
        }
        vsock_say(side, DONE);
        vsock_meet(side);
    }
}

static void serve_for_ever(struct vsock_side *side, int type, uint32_t port)
{
    char buffer[TEXT];
    int listener = vsock_socket(type);
    CHECK_OK(vsock_bind(listener, VMADDR_CID_ANY, port));
    CHECK_OK(listen(listener, 3));
    vsock_say(side, UP);
    for (;;) {
        int fd = vsock_accept(listener);
        if (read(fd, buffer, sizeof buffer) == TEXT) {
            (void)!send(fd, buffer, sizeof buffer, MSG_NOSIGNAL);
        }
        CHECK_OK(close(fd));
    }
}

static void servers_server(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        int fd = vsock_listen(side, types[i], 1);
        uint32_t port = vsock_port(fd);
        CHECK_OK(close(fd));
        for (int round = 0; round < KILLS; round++) {
            pid_t pid = guest_fork();
            if (pid == 0) {
                serve_for_ever(side, types[i], port);
            }
            CHECK_EQ(UP, vsock_hear(side)); /* the client has heard it */
            kill_at(pid, round);
            vsock_say(side, KILLED);
            vsock_meet(side);
        }
    }
}

/* Asks once. False: the server is gone, at whatever step. */
static bool ask(struct vsock_side *side, int type, uint32_t port)
{
    char buffer[TEXT];
    int fd = vsock_socket(type);
    bool answered = false;
    if (vsock_connect(fd, side->peer_cid, port) < 0) {
        CHECK_EQ(ECONNRESET, errno);
    } else if (send(fd, "12345678", TEXT, MSG_NOSIGNAL) != TEXT) {
        CHECK_EQ(EPIPE, errno);
    } else {
        ssize_t size = CHECK_OK(recv(fd, buffer, TEXT, MSG_WAITALL));
        CHECK(size == 0 || size == TEXT);
        answered = size == TEXT;
    }
    CHECK_OK(close(fd));
    return answered;
}

static void servers_client(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        uint32_t port = vsock_hear(side);
        for (int round = 0; round < KILLS; round++) {
            CHECK_EQ(UP, vsock_hear(side));
            vsock_say(side, UP);
            while (guest_poll(side->hear_fd, POLLIN, 0) == 0) { /* bounded by the deadline */
                ask(side, types[i], port);
            }
            CHECK_EQ(KILLED, vsock_hear(side));
            CHECK(!ask(side, types[i], port));
            vsock_meet(side);
        }
    }
}

enum { GUEST = 3 };

static const struct vsock_case cases[] = {
    { "clients", clients_server, clients_client, 0, 0, true },
    { "servers", servers_server, servers_client, 0, 0, true },
    { "clients, guest", clients_server, clients_client, VSOCK_HOST, GUEST, true },
    { "servers, guest", servers_server, servers_client, GUEST, VSOCK_HOST, true },
};

VSOCK_MAIN(cases)
