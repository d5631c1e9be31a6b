/*
 * Proves: what clients see whose connection nobody accepted, when the listener is closed, its
 * process exits or is killed: ECONNRESET, whether they wrote or not, then end-of-file; a blocked
 * reader, writer and poll() of theirs wake; a listener that others still hold goes on.
 *
 * Rows: 3.2 "Listener closed with unaccepted connections", 3.5 "we close with unread data"
 */
#include "unix_names.h"

enum ending { CLOSES, EXITS, IS_KILLED, ENDINGS };

struct server {
    pid_t pid; /* 0: this process */
    int listener;
    int go; /* the child waits at this pipe */
};

static struct server serve(int type, const struct unix_name *name, enum ending ending)
{
    struct server server = { .pid = 0, .listener = unix_listener(type, name, 8), .go = -1 };
    int fds[2];
    char byte;
    if (ending == CLOSES) {
        return server;
    }
    guest_pipe(fds);
    server.pid = guest_fork();
    if (server.pid == 0) {
        CHECK_OK(close(fds[1]));
        CHECK_EQ(0, read(fds[0], &byte, 1));
        _exit(0);
    }
    CHECK_OK(close(server.listener));
    CHECK_OK(close(fds[0]));
    server.go = fds[1];
    return server;
}

static void server_end(struct server *server, enum ending ending)
{
    if (ending == CLOSES) {
        CHECK_OK(close(server->listener));
        return;
    }
    if (ending == IS_KILLED) {
        CHECK_OK(kill(server->pid, SIGKILL));
        guest_wait_killed(server->pid, SIGKILL);
    }
    CHECK_OK(close(server->go));
    if (ending == EXITS) {
        guest_wait_exit(server->pid, 0);
    }
}

static void check_reset(int fd)
{
    char byte;
    struct sockaddr_un address;
    socklen_t length = sizeof address;
    CHECK_EQ(POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLERR,
             guest_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0));
    CHECK_ERR(ECONNRESET, read(fd, &byte, 1));
    CHECK_EQ(0, read(fd, &byte, 1));
    CHECK_EQ(POLLIN | POLLOUT | POLLRDHUP | POLLHUP,
             guest_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0));
    CHECK_ERR(EPIPE, send(fd, "x", 1, MSG_NOSIGNAL));
    CHECK_OK(getpeername(fd, (struct sockaddr *)&address, &length));
    CHECK_OK(close(fd));
}

static void what_clients_see(int type, enum unix_form form, enum ending ending)
{
    struct unix_name name = unix_named(form, "ends");
    struct server server = serve(type, &name, ending);
    int silent = unix_client(type, &name), wrote = unix_client(type, &name);
    int shut = unix_client(type, &name), asked = unix_client(type, &name);
    CHECK_EQ(4, write(wrote, "data", 4));
    CHECK_OK(shutdown(shut, SHUT_WR));
    server_end(&server, ending);
    CHECK_EQ(ECONNRESET, unix_option(asked, SO_ERROR));
    CHECK_EQ(0, unix_option(asked, SO_ERROR));
    CHECK_OK(close(asked));
    check_reset(silent);
    check_reset(wrote);
    check_reset(shut);
    int fd = unix_socket(type);
    CHECK_ERR(ECONNREFUSED, unix_connect(fd, &name));
    CHECK_OK(close(fd));
    unix_forget(&name);
}

static void *read_reset(void *argument)
{
    char byte;
    CHECK_ERR(ECONNRESET, read(*(int *)argument, &byte, 1));
    CHECK_EQ(0, read(*(int *)argument, &byte, 1));
    return NULL;
}

static void *write_reset(void *argument)
{
    static const char bytes[4096];
    ssize_t count;
    while ((count = send(*(int *)argument, bytes, sizeof bytes, MSG_NOSIGNAL)) > 0) {
    }
    CHECK_EQ(-1, count);
    CHECK(errno == ECONNRESET || errno == EPIPE);
    return NULL;
}

static void *poll_reset(void *argument)
{
    CHECK_EQ(POLLIN | POLLHUP | POLLERR, guest_poll(*(int *)argument, POLLIN, -1));
    return NULL;
}

static void sleepers_wake(int type, enum ending ending)
{
    static void *(*const runs[])(void *) = { read_reset, write_reset, poll_reset };
    struct unix_name name = unix_abstract("ends");
    struct server server = serve(type, &name, ending);
    struct guest_thread threads[3];
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = unix_client(type, &name);
        guest_thread_start(&threads[i], runs[i], &fds[i]);
        guest_thread_blocked(&threads[i]);
    }
    server_end(&server, ending);
    for (int i = 0; i < 3; i++) {
        guest_thread_join(&threads[i]);
        CHECK_OK(close(fds[i]));
    }
}

/* One of two holders goes: nothing happens to those who wait. */
static void held_by_another(int type, enum ending ending)
{
    struct unix_name name = unix_abstract("ends");
    int listener = unix_listener(type, &name, 8), fds[2];
    char byte;
    guest_pipe(fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(fds[1]));
        CHECK_EQ(0, read(fds[0], &byte, 1));
        _exit(0);
    }
    CHECK_OK(close(fds[0]));
    int client = unix_client(type, &name);
    CHECK_EQ(1, write(client, "c", 1));
    if (ending == IS_KILLED) {
        CHECK_OK(kill(pid, SIGKILL));
        guest_wait_killed(pid, SIGKILL);
    }
    CHECK_OK(close(fds[1]));
    if (ending == EXITS) {
        guest_wait_exit(pid, 0);
    }
    CHECK_EQ(POLLOUT, guest_poll(client, POLLIN | POLLOUT | POLLRDHUP, 0));
    int accepted = unix_accept(listener);
    CHECK_EQ(1, read(accepted, &byte, 1));
    unix_finish(client, accepted);
    CHECK_OK(close(listener));
}

/* Accepted connections don't depend on their listener. */
static void accepted_goes_on(int type)
{
    struct unix_name name = unix_abstract("ends");
    int listener = unix_listener(type, &name, 8);
    int client = unix_client(type, &name), waiting = unix_client(type, &name);
    int accepted = unix_accept(listener);
    CHECK_OK(close(listener));
    unix_talk_between(client, accepted);
    check_reset(waiting);
    unix_finish(client, accepted);
}

int main(void)
{
    unix_start();
    for (int i = 0; i < 2; i++) {
        for (enum ending ending = CLOSES; ending < ENDINGS; ending++) {
            what_clients_see(unix_types[i], UNIX_PATH, ending);
            what_clients_see(unix_types[i], UNIX_ABSTRACT, ending);
            sleepers_wake(unix_types[i], ending);
        }
        held_by_another(unix_types[i], EXITS);
        held_by_another(unix_types[i], IS_KILLED);
        accepted_goes_on(unix_types[i]);
    }
    return unix_end();
}
