/*
 * Proves: SCM_RIGHTS with sockets of every state: a listener that another process accepts at, a
 * client whose connection isn't accepted yet, an accepted one that a worker serves, a fresh one
 * that the receiver connects, the sender's copy with it; a listener in flight, passed through a
 * connection that waits in its own queue.
 *
 * Rows: 3.9 "received fd: same open file description", 3.2 "passed by SCM_RIGHTS", 3.9 "unread
 * descriptors at close"
 */
#include "message.h"
#include "unix_names.h"

static void pass(int channel, int fd)
{
    CHECK_EQ(1, message_send(channel, "f", 1, &fd, 1));
}

static int take(int channel)
{
    struct message_received received;
    message_receive(channel, 1, CMSG_SPACE(sizeof(int)), 0, &received);
    CHECK_EQ(1, received.size);
    CHECK_EQ(1, received.fd_count);
    return received.fds[0];
}

/* The child is made before any of the sockets: it has nothing but the channel. */
static pid_t helper_start(int channel[2], void (*run)(int))
{
    guest_pair(SOCK_SEQPACKET, channel);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(channel[0]));
        run(channel[1]);
        _exit(0);
    }
    CHECK_OK(close(channel[1]));
    return pid;
}

static void helper_end(int channel, pid_t pid)
{
    guest_wait_exit(pid, 0);
    CHECK_OK(close(channel));
}

static void echo_once(int fd)
{
    char buffer[16];
    ssize_t count = CHECK_OK(read(fd, buffer, sizeof buffer));
    CHECK_EQ(count, write(fd, buffer, (size_t)count));
    CHECK_OK(close(fd));
}

static void check_echo(int fd)
{
    char buffer[16];
    CHECK_EQ(4, write(fd, "echo", 4));
    CHECK_EQ(4, read(fd, buffer, sizeof buffer));
    CHECK_MEM("echo", buffer, 4);
    CHECK_EQ(0, read(fd, buffer, sizeof buffer));
    CHECK_OK(close(fd));
}

static void run_listener(int channel)
{
    int listener = take(channel);
    CHECK_EQ(1, unix_option(listener, SO_ACCEPTCONN));
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(POLLIN, guest_poll(listener, POLLIN, -1));
        echo_once(unix_accept(listener));
    }
}

static void of_a_listener(int type, enum unix_form form)
{
    struct unix_name name = unix_named(form, "passed");
    int channel[2];
    pid_t pid = helper_start(channel, run_listener);
    int listener = unix_listener(type, &name, 4), early = unix_client(type, &name);
    pass(channel[0], listener);
    CHECK_OK(close(listener));
    check_echo(early);
    check_echo(unix_client(type, &name));
    helper_end(channel[0], pid);
    int fd = unix_socket(type);
    CHECK_ERR(ECONNREFUSED, unix_connect(fd, &name));
    CHECK_OK(close(fd));
    unix_forget(&name);
}

static void run_echo(int channel)
{
    echo_once(take(channel));
}

static void of_a_waiting_client(int type)
{
    struct unix_name name = unix_abstract("passed");
    int channel[2];
    pid_t pid = helper_start(channel, run_echo);
    int listener = unix_listener(type, &name, 4), client = unix_client(type, &name);
    pass(channel[0], client);
    CHECK_OK(close(client));
    check_echo(unix_accept(listener));
    helper_end(channel[0], pid);
    CHECK_OK(close(listener));
}

/* The server keeps nothing but the listener; the worker got the rest. */
static void of_an_accepted(int type)
{
    struct unix_name name = unix_abstract("passed");
    int channel[2];
    pid_t pid = helper_start(channel, run_echo);
    int listener = unix_listener(type, &name, 4), client = unix_client(type, &name);
    int accepted = unix_accept(listener);
    pass(channel[0], accepted);
    CHECK_OK(close(accepted));
    check_echo(client);
    helper_end(channel[0], pid);
    CHECK_OK(close(listener));
}

static struct unix_name run_name;

static void run_connect(int channel)
{
    int fd = take(channel);
    CHECK_OK(unix_connect(fd, &run_name));
    CHECK_EQ(1, write(channel, "c", 1));
    CHECK_OK(close(fd));
}

static void of_a_fresh_one(int type)
{
    char byte;
    int channel[2];
    run_name = unix_abstract("passed");
    pid_t pid = helper_start(channel, run_connect);
    int listener = unix_listener(type, &run_name, 4), fresh = unix_socket(type);
    pass(channel[0], fresh);
    CHECK_EQ(1, read(channel[0], &byte, 1));
    helper_end(channel[0], pid);
    CHECK_PEER_NAME(run_name, fresh);
    int accepted = unix_accept(listener);
    CHECK_EQ(POLLOUT, guest_poll(accepted, POLLIN | POLLOUT | POLLRDHUP, 0));
    unix_finish(fresh, accepted);
    CHECK_OK(close(listener));
}

/* In flight a socket is open: it serves as soon as somebody takes it out. */
static void in_flight(int type)
{
    struct unix_name name = unix_abstract("passed");
    int channel[2];
    char byte;
    guest_pair(SOCK_STREAM, channel);
    int listener = unix_listener(type, &name, 4);
    pass(channel[0], listener);
    CHECK_OK(close(listener));
    int client = unix_client(type, &name);
    listener = take(channel[1]);
    unix_finish(client, unix_accept(listener));
    client = unix_client(type, &name);
    pass(channel[0], listener);
    CHECK_OK(close(listener));
    CHECK_EQ(POLLOUT, guest_poll(client, POLLIN | POLLOUT, 0));
    guest_close_both(channel); /* nobody takes it: that was its end, and the client's */
    CHECK_ERR(ECONNRESET, read(client, &byte, 1));
    CHECK_OK(close(client));
    client = unix_socket(type);
    CHECK_ERR(ECONNREFUSED, unix_connect(client, &name));
    CHECK_OK(close(client));
}

/* Through the connection that waits at it, and taken out after accept. */
static void through_itself(int type)
{
    struct unix_name name = unix_abstract("passed");
    int listener = unix_listener(type, &name, 4), client = unix_client(type, &name);
    pass(client, listener);
    int accepted = unix_accept(listener), copy = take(accepted);
    CHECK_OK(close(listener));
    int second = unix_client(type, &name);
    unix_finish(second, unix_accept(copy));
    unix_finish(client, accepted);
    CHECK_OK(close(copy));
}

int main(void)
{
    unix_start();
    for (int i = 0; i < 2; i++) {
        of_a_listener(unix_types[i], UNIX_PATH);
        of_a_listener(unix_types[i], UNIX_ABSTRACT);
        of_a_waiting_client(unix_types[i]);
        of_an_accepted(unix_types[i]);
        of_a_fresh_one(unix_types[i]);
        in_flight(unix_types[i]);
        through_itself(unix_types[i]);
    }
    return unix_end();
}
