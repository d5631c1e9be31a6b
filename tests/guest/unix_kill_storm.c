/*
 * Proves: SIGKILL at any instruction of connect, write, close or accept leaves every other process
 * with what Linux allows: each connection that is accepted has all of a write or nothing of it and
 * then ends; each that waits at a killed server is reset; nobody waits for ever, the listener goes
 * on.
 *
 * The moment is chance, what may follow isn't: 60 kills of clients, 60 of servers.
 *
 * Rows: 3.2 "kill -9 on either side", 3.2 "accept: client already closed"
 */
#include "unix_names.h"

enum { KILLS = 60, TEXT = 8 };

/* Lets the child run for a while that is different each time. */
static void spin(int round)
{
    for (volatile int i = 0; i < round * 1500; i++) {
    }
}

static void clients_for_ever(int type, const struct unix_name *name, int ready)
{
    CHECK_EQ(1, write(ready, "r", 1));
    for (;;) {
        int fd = unix_socket(type | SOCK_NONBLOCK);
        if (unix_connect(fd, name) == 0) {
            CHECK_EQ(TEXT, write(fd, "12345678", TEXT));
        } else {
            CHECK_EQ(EAGAIN, errno);
        }
        CHECK_OK(close(fd));
    }
}

/* Serves all that waits; every one of them is complete, or says nothing, and ends. */
static int serve_waiting(int listener)
{
    int count = 0, fd;
    char buffer[TEXT + 1];
    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        size_t size = guest_read_all(fd, buffer, sizeof buffer);
        CHECK(size == 0 || size == TEXT);
        CHECK_MEM("12345678", buffer, size);
        CHECK_OK(close(fd));
        count++;
    }
    CHECK_EQ(EAGAIN, errno);
    return count;
}

static void killed_clients(int type)
{
    struct unix_name name = unix_abstract("storm");
    int listener = unix_listener(type | SOCK_NONBLOCK, &name, 3), ready[2];
    char byte;
    guest_pipe(ready);
    for (int round = 0; round < KILLS; round++) {
        pid_t pid = guest_fork();
        if (pid == 0) {
            clients_for_ever(type, &name, ready[1]);
        }
        CHECK_EQ(1, read(ready[0], &byte, 1));
        for (int i = 0; i < round % 4; i++) {
            CHECK_EQ(POLLIN, guest_poll(listener, POLLIN, -1));
            serve_waiting(listener);
        }
        spin(round);
        CHECK_OK(kill(pid, SIGKILL));
        guest_wait_killed(pid, SIGKILL);
        serve_waiting(listener);
        int client = unix_client(type, &name); /* it goes on */
        unix_finish(client, unix_accept(listener));
    }
    guest_close_both(ready);
    CHECK_OK(close(listener));
}

static void serve_for_ever(int type, const struct unix_name *name, int ready)
{
    char buffer[TEXT];
    int listener = unix_listener(type, name, 3);
    CHECK_EQ(1, write(ready, "r", 1));
    for (;;) {
        int fd = unix_accept(listener);
        if (read(fd, buffer, sizeof buffer) == TEXT) {
            (void)!send(fd, buffer, sizeof buffer, MSG_NOSIGNAL);
        }
        CHECK_OK(close(fd));
    }
}

/* Asks once. False: the server is gone, at whatever step. */
static bool ask(int type, const struct unix_name *name)
{
    char buffer[TEXT];
    int fd = unix_socket(type);
    bool answered = false;
    if (unix_connect(fd, name) < 0) {
        CHECK_EQ(ECONNREFUSED, errno);
    } else if (send(fd, "12345678", TEXT, MSG_NOSIGNAL) != TEXT) {
        CHECK(errno == EPIPE || errno == ECONNRESET);
    } else {
        ssize_t size = recv(fd, buffer, TEXT, MSG_WAITALL);
        answered = size == TEXT;
        CHECK(answered || size == 0 || (size == -1 && errno == ECONNRESET));
    }
    CHECK_OK(close(fd));
    return answered;
}

static pid_t killer_start(pid_t victim, int round)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        spin(round);
        CHECK_OK(kill(victim, SIGKILL));
        _exit(0);
    }
    return pid;
}

static void killed_servers(int type)
{
    struct unix_name name = unix_abstract("storm");
    int ready[2];
    char byte;
    guest_pipe(ready);
    for (int round = 0; round < KILLS; round++) {
        pid_t server = guest_fork();
        if (server == 0) {
            serve_for_ever(type, &name, ready[1]);
        }
        CHECK_EQ(1, read(ready[0], &byte, 1));
        CHECK(ask(type, &name));
        pid_t killer = killer_start(server, round);
        while (ask(type, &name)) { /* until the server is dead */
        }
        guest_wait_exit(killer, 0);
        guest_wait_killed(server, SIGKILL);
        CHECK(!ask(type, &name));
    }
    guest_close_both(ready);
}

int main(void)
{
    unix_start();
    for (int i = 0; i < 2; i++) {
        killed_clients(unix_types[i]);
        killed_servers(unix_types[i]);
    }
    return unix_end();
}
