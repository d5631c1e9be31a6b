/*
 * Proves: SIGKILL at any moment of a connection leaves the others what Linux would: a client that
 * waits to be accepted, one that waits for room in the backlog, a server between accept and its
 * first read or write, one with unread data, an end that others hold, too; sleepers wake at once.
 *
 * Rows: 3.2 "accept: client already closed", 3.2 "Listener closed with unaccepted connections",
 * 3.2 "kill -9 on either side", 3.5 "we close with unread data"
 */
#include "unix_names.h"

static void kill_now(pid_t pid)
{
    CHECK_OK(kill(pid, SIGKILL));
    guest_wait_killed(pid, SIGKILL);
}

static pid_t client_process(int type, const struct unix_name *name, const char *text)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        char byte;
        int client = unix_client(type, name);
        CHECK_EQ(strlen(text), write(client, text, strlen(text)));
        (void)!read(client, &byte, 1);
        _exit(0);
    }
    return pid;
}

/* Killed while its connection waits, in a blocked read. */
static void queued_client(int type)
{
    struct unix_name name = unix_abstract("kill");
    int listener = unix_listener(type, &name, 4);
    char buffer[8];
    pid_t pid = client_process(type, &name, "text");
    guest_process_blocked(pid);
    CHECK_EQ(POLLIN, guest_poll(listener, POLLIN, 0));
    kill_now(pid);
    CHECK_EQ(POLLIN, guest_poll(listener, POLLIN, 0));
    int accepted = unix_accept(listener);
    CHECK_EQ(4, read(accepted, buffer, sizeof buffer));
    CHECK_EQ(0, read(accepted, buffer, sizeof buffer));
    CHECK_ERR(EPIPE, send(accepted, "x", 1, MSG_NOSIGNAL));
    CHECK_OK(close(accepted));
    CHECK_OK(close(listener));
}

/* Killed while it waits for room: it leaves no connection, and its place to others. */
static void waiting_client(int type)
{
    struct unix_name name = unix_abstract("kill");
    int listener = unix_listener(type, &name, 0), first = unix_client(type, &name);
    pid_t pids[2];
    char buffer[8];
    for (int i = 0; i < 2; i++) {
        pids[i] = client_process(type, &name, i == 0 ? "a" : "b");
        guest_process_blocked(pids[i]);
    }
    kill_now(pids[0]);
    unix_finish(first, unix_accept(listener));
    int accepted = unix_accept(listener); /* the other one */
    CHECK_EQ(1, read(accepted, buffer, sizeof buffer));
    CHECK_EQ('b', buffer[0]);
    CHECK_OK(close(accepted));
    guest_wait_exit(pids[1], 0);
    guest_set_nonblock(listener, true);
    CHECK_ERR(EAGAIN, accept(listener, NULL, NULL));
    CHECK_OK(close(listener));
}

/* Killed after it was accepted, while the server sleeps in read(). */
static void *read_end(void *argument)
{
    char byte;
    CHECK_EQ(0, read(*(int *)argument, &byte, 1));
    return NULL;
}

static void accepted_client(int type)
{
    struct unix_name name = unix_abstract("kill");
    int listener = unix_listener(type, &name, 4);
    struct guest_thread reader;
    char byte;
    pid_t pid = client_process(type, &name, "x");
    int accepted = unix_accept(listener);
    CHECK_EQ(1, read(accepted, &byte, 1));
    guest_thread_start(&reader, read_end, &accepted);
    guest_thread_blocked(&reader);
    kill_now(pid);
    guest_thread_join(&reader);
    CHECK_OK(close(accepted));
    CHECK_OK(close(listener));
}

enum server_does { SLEEPS_IN_ACCEPT, HAS_ACCEPTED, HAS_READ, HAS_ANSWERED, SERVER_KINDS };

static pid_t server_process(int listener, enum server_does does)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        char byte;
        int accepted = unix_accept(listener);
        if (does >= HAS_READ) {
            CHECK_EQ(1, read(accepted, &byte, 1));
        }
        if (does == HAS_ANSWERED) {
            CHECK_EQ(2, write(accepted, "ok", 2));
        }
        raise(SIGSTOP); /* the parent waits for that, and kills */
        _exit(1);
    }
    return pid;
}

static void killed_server(int type, enum server_does does)
{
    struct unix_name name = unix_abstract("kill");
    int listener = unix_listener(type, &name, 4), status;
    char buffer[8];
    pid_t pid = server_process(listener, does);
    if (does == SLEEPS_IN_ACCEPT) {
        guest_process_blocked(pid);
        kill_now(pid);
    }
    int client = unix_client(type, &name);
    CHECK_EQ(1, write(client, "q", 1));
    if (does == SLEEPS_IN_ACCEPT) { /* nobody took it */
        int accepted = unix_accept(listener);
        CHECK_EQ(1, read(accepted, buffer, sizeof buffer));
        unix_finish(client, accepted);
        CHECK_OK(close(listener));
        return;
    }
    CHECK_EQ(pid, waitpid(pid, &status, WUNTRACED));
    CHECK(WIFSTOPPED(status));
    kill_now(pid);
    if (does == HAS_ANSWERED) {
        CHECK_EQ(2, read(client, buffer, sizeof buffer));
    } else if (does == HAS_ACCEPTED) {
        CHECK_ERR(ECONNRESET, read(client, buffer, sizeof buffer));
    }
    CHECK_EQ(0, read(client, buffer, sizeof buffer));
    CHECK_ERR(EPIPE, send(client, "x", 1, MSG_NOSIGNAL));
    CHECK_OK(close(client));
    client = unix_client(type, &name); /* the listener is ours, too */
    unix_finish(client, unix_accept(listener));
    CHECK_OK(close(listener));
}

/* The only holder of the listener: those who wait, and who wait for room, and a sleeping reader. */
static void killed_listener(int type)
{
    struct unix_name name = unix_abstract("kill");
    int ready[2];
    char byte;
    guest_pipe(ready);
    pid_t pid = guest_fork();
    if (pid == 0) {
        unix_listener(type, &name, 0);
        CHECK_EQ(1, write(ready[1], "r", 1));
        pause();
        _exit(0);
    }
    CHECK_EQ(1, read(ready[0], &byte, 1));
    int queued = unix_client(type, &name);
    pid_t waiting = guest_fork();
    if (waiting == 0) {
        int client = unix_socket(type);
        CHECK_ERR(ECONNREFUSED, unix_connect(client, &name));
        _exit(7);
    }
    guest_process_blocked(waiting);
    kill_now(pid);
    CHECK_ERR(ECONNRESET, read(queued, &byte, 1));
    CHECK_EQ(0, read(queued, &byte, 1));
    guest_wait_exit(waiting, 7);
    int again = unix_listener(type, &name, 0); /* the name is free */
    int client = unix_client(type, &name);
    unix_finish(client, unix_accept(again));
    CHECK_OK(close(again));
    CHECK_OK(close(queued));
    guest_close_both(ready);
}

/* Connections made and killed in a row: nothing wears out. */
static void again_and_again(int type)
{
    struct unix_name name = unix_abstract("kill");
    int listener = unix_listener(type, &name, 4);
    for (int round = 0; round < 20; round++) {
        char byte;
        pid_t pid = client_process(type, &name, "x");
        if (round % 2 == 0) {
            guest_process_blocked(pid);
            kill_now(pid);
        }
        int accepted = unix_accept(listener);
        CHECK_EQ(1, read(accepted, &byte, 1));
        if (round % 2 != 0) {
            kill_now(pid);
        }
        CHECK_EQ(0, read(accepted, &byte, 1));
        CHECK_OK(close(accepted));
    }
    CHECK_OK(close(listener));
}

int main(void)
{
    unix_start();
    for (int i = 0; i < 2; i++) {
        queued_client(unix_types[i]);
        waiting_client(unix_types[i]);
        accepted_client(unix_types[i]);
        for (enum server_does does = SLEEPS_IN_ACCEPT; does < SERVER_KINDS; does++) {
            killed_server(unix_types[i], does);
        }
        killed_listener(unix_types[i]);
        again_and_again(unix_types[i]);
    }
    return unix_end();
}
