/*
 * Proves: poll's and select's bits of a socket on its way from fresh to bound to listening, with
 * and without a connection that waits, and after each shutdown; a blocked poll or select wakes at a
 * connection, of this process and of another one, and not at what a client writes.
 *
 * Rows: 3.6 "fresh unconnected (bound or not)", 3.6 "listening, queue empty", 3.6 "listening,
 * connection queued", 3.6 "listening after SHUT_RD", 3.6 "POLLOUT is suppressed by LISTEN"
 */
#include "unix_names.h"

enum { ALL = POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM | POLLWRNORM | POLLWRBAND };

enum {
    FRESH = POLLOUT | POLLWRNORM | POLLWRBAND | POLLHUP,
    QUEUED = POLLIN | POLLRDNORM,
    SHUT_IN = POLLIN | POLLRDNORM | POLLRDHUP,
};

static void states(int type)
{
    struct unix_name name = unix_abstract("poll");
    int listener = unix_socket(type);
    CHECK_EQ(FRESH, guest_poll(listener, ALL, 0));
    CHECK_EQ(GUEST_READABLE | GUEST_WRITABLE, guest_select(listener));
    CHECK_OK(unix_bind(listener, &name));
    CHECK_EQ(FRESH, guest_poll(listener, ALL, 0));
    CHECK_EQ(POLLHUP, guest_poll(listener, 0, 0));
    CHECK_OK(listen(listener, 4));
    CHECK_EQ(0, guest_poll(listener, ALL, 0));
    CHECK_EQ(0, guest_select(listener));
    int client = unix_client(type, &name), second = unix_client(type, &name);
    CHECK_EQ(QUEUED, guest_poll(listener, ALL, 0));
    CHECK_EQ(GUEST_READABLE, guest_select(listener));
    CHECK_EQ(0, guest_poll(listener, POLLOUT, 0));
    int accepted = unix_accept(listener);
    CHECK_EQ(QUEUED, guest_poll(listener, ALL, 0));
    CHECK_OK(close(second)); /* it waits all the same */
    CHECK_EQ(QUEUED, guest_poll(listener, ALL, 0));
    CHECK_OK(close(unix_accept(listener)));
    CHECK_EQ(0, guest_poll(listener, ALL, 0));
    unix_finish(client, accepted);
    CHECK_EQ(0, guest_poll(listener, ALL, 0));
    CHECK_OK(close(listener));
}

static void shut_states(int type)
{
    static const struct {
        int how, bits;
    } cases[] = { { SHUT_RD, SHUT_IN }, { SHUT_WR, 0 }, { SHUT_RDWR, SHUT_IN | POLLHUP } };
    for (int i = 0; i < 3; i++) {
        struct unix_name name = unix_abstract("poll");
        int listener = unix_listener(type, &name, 4), client = unix_client(type, &name);
        CHECK_OK(shutdown(listener, cases[i].how));
        CHECK_EQ(cases[i].bits | QUEUED, guest_poll(listener, ALL, 0));
        int accepted = unix_accept(listener);
        CHECK_EQ(cases[i].bits, guest_poll(listener, ALL, 0));
        CHECK_EQ(cases[i].bits == 0 ? 0 : GUEST_READABLE, guest_select(listener));
        unix_finish(client, accepted);
        CHECK_OK(close(listener));
    }
}

static void *poll_listener(void *argument)
{
    CHECK_EQ(POLLIN, guest_poll(*(int *)argument, POLLIN | POLLOUT, -1));
    return NULL;
}

static void *select_listener(void *argument)
{
    fd_set set;
    int fd = *(int *)argument;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    CHECK_EQ(1, select(fd + 1, &set, NULL, NULL, NULL));
    CHECK(FD_ISSET(fd, &set));
    return NULL;
}

static void connect_by(int type, const struct unix_name *name, bool is_child)
{
    pid_t pid = is_child ? guest_fork() : 0;
    if (pid == 0) {
        int client = unix_client(type, name);
        CHECK_EQ(1, write(client, "c", 1));
        CHECK_OK(close(client));
        if (is_child) {
            _exit(0);
        }
        return;
    }
    guest_wait_exit(pid, 0);
}

static void sleepers_wake(int type, bool is_child)
{
    static void *(*const runs[])(void *) = { poll_listener, select_listener };
    struct unix_name name = unix_abstract("poll");
    int listener = unix_listener(type, &name, 4);
    char byte;
    for (int i = 0; i < 2; i++) {
        struct guest_thread threads[2];
        guest_thread_start(&threads[0], runs[i], &listener);
        guest_thread_start(&threads[1], runs[i], &listener);
        guest_thread_blocked(&threads[0]);
        guest_thread_blocked(&threads[1]);
        connect_by(type, &name, is_child);
        guest_thread_join(&threads[0]); /* both: nobody has accepted yet */
        guest_thread_join(&threads[1]);
        int accepted = unix_accept(listener);
        CHECK_EQ(1, read(accepted, &byte, 1));
        CHECK_EQ(0, read(accepted, &byte, 1));
        CHECK_OK(close(accepted));
    }
    CHECK_OK(close(listener));
}

struct mixed {
    int listener, pipe_end, pair_end, ready; /* ready: the index of the one that was */
};

static void *poll_mixed(void *argument)
{
    struct mixed *mixed = argument;
    struct pollfd entries[] = { { .fd = mixed->pipe_end, .events = POLLIN },
                                { .fd = mixed->listener, .events = POLLIN },
                                { .fd = mixed->pair_end, .events = POLLIN } };
    CHECK_EQ(1, poll(entries, 3, -1));
    for (int i = 0; i < 3; i++) {
        if (entries[i].revents != 0) {
            CHECK_EQ(POLLIN, entries[i].revents);
            mixed->ready = i;
        }
    }
    return NULL;
}

/* A server's loop: a pipe, its listener, a connection. Any of them wakes it. */
static void among_others(int type)
{
    struct unix_name name = unix_abstract("poll");
    struct mixed mixed = { .listener = unix_listener(type, &name, 4) };
    int pipe_fds[2], pair[2];
    char byte;
    guest_pipe(pipe_fds);
    unix_connection(type, pair);
    mixed.pipe_end = pipe_fds[0];
    mixed.pair_end = pair[1];
    for (int round = 0; round < 6; round++) {
        struct guest_thread thread;
        int client = -1;
        mixed.ready = -1;
        guest_thread_start(&thread, poll_mixed, &mixed);
        guest_thread_blocked(&thread);
        if (round % 3 == 0) {
            CHECK_EQ(1, write(pipe_fds[1], "p", 1));
        } else if (round % 3 == 1) {
            client = unix_client(type, &name);
        } else {
            CHECK_EQ(1, write(pair[0], "s", 1));
        }
        guest_thread_join(&thread);
        CHECK_EQ(round % 3, mixed.ready);
        if (round % 3 == 1) {
            unix_finish(client, unix_accept(mixed.listener));
        } else {
            CHECK_EQ(1, read(round % 3 == 0 ? pipe_fds[0] : pair[1], &byte, 1));
        }
    }
    guest_close_both(pipe_fds);
    guest_close_both(pair);
    CHECK_OK(close(mixed.listener));
}

int main(void)
{
    unix_start();
    for (int i = 0; i < 2; i++) {
        states(unix_types[i]);
        shut_states(unix_types[i]);
        sleepers_wake(unix_types[i], false);
        sleepers_wake(unix_types[i], true);
        among_others(unix_types[i]);
    }
    return unix_end();
}
