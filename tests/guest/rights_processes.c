/*
 * Proves: descriptors that travel between processes of every relation: a fork while they are in
 * flight (one of the two receives them, the other finds nothing), a receiver that execs before it
 * receives and after, one that is asleep in recvmsg, a sender that has exited before anybody
 * looks, programs that know each other by a name only, both ways; a server that hands connections
 * to workers; what was received is inherited by children.
 *
 * Rows: 3.9 "received fd: same open file description", 3.9 "unread descriptors at close"
 */
#include "rights.h"
#include "unix_names.h"

enum { WORKERS = 3, CONNECTIONS = 24, ROLE_OK = 7 };

static char own_path[PATH_MAX];

static int take(int fd, const char *text)
{
    struct message_received received;
    rights_expect(__FILE__, __LINE__, fd, 8, 0, text, 1, &received);
    return received.fds[0];
}

/* This program again, in a role, with two numbers to know. */
static void exec_role(const char *role, int one, int other)
{
    char first[16], second[16];
    snprintf(first, sizeof first, "%d", one);
    snprintf(second, sizeof second, "%d", other);
    execl(own_path, own_path, role, first, second, (char *)NULL);
    _exit(126);
}

/* ---- roles, after exec ---- */

/* Receives a writer that was sent before or after the exec, and another while it sleeps. */
static int role_receive(int channel)
{
    for (int i = 0; i < 2; i++) {
        int fd = take(channel, "m");
        CHECK_EQ(4, write(fd, "exec", 4));
        CHECK_OK(close(fd));
    }
    return ROLE_OK;
}

/* Has inherited a received descriptor under this number. */
static int role_write(int fd)
{
    CHECK_EQ(4, write(fd, "exec", 4));
    return ROLE_OK;
}

/* Another program: connects to a name, gets a reader, answers with a socket of its own. */
static int role_client(const struct unix_name *name, int type)
{
    int fd = unix_client(type, name), pair[2];
    char bytes[8];
    int reader = take(fd, "r");
    CHECK_EQ(5, guest_read_all(reader, bytes, sizeof bytes));
    CHECK_MEM("early", bytes, 5);
    CHECK_OK(close(reader));
    guest_pair(type, pair);
    CHECK_EQ(1, message_send(fd, "s", 1, &pair[0], 1));
    CHECK_OK(close(pair[0]));
    CHECK_EQ(4, read(pair[1], bytes, sizeof bytes));
    CHECK_EQ(4, write(pair[1], "pong", 4));
    CHECK_EQ(0, read(pair[1], bytes, sizeof bytes));
    return ROLE_OK;
}

/* ---- fork while they are in flight ---- */

static void forked_in_flight(int type, bool child_takes)
{
    int channel[2];
    guest_pair(type, channel);
    int witness = rights_send_witness(channel[0], "m");
    pid_t pid = guest_fork();
    if (pid == 0) {
        if (child_takes) {
            int fd = take(channel[1], "m");
            CHECK_EQ(1, write(fd, "c", 1));
        }
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    if (child_takes) {
        CHECK_EQ(1, read(witness, (char[1]){ 0 }, 1));
        CHECK_GONE(witness); /* the child took it with it */
        CHECK_ERR(EAGAIN, recv(channel[1], (char[1]){ 0 }, 1, MSG_DONTWAIT));
    } else {
        CHECK_HELD(witness); /* the child's end dropped nothing */
        CHECK_OK(close(take(channel[1], "m")));
        CHECK_GONE(witness);
    }
    guest_close_both(channel);
}

/* Sent by a child that has gone; its own pipe, which nobody else ever had. */
static void sender_has_gone(int type)
{
    int channel[2];
    char bytes[8];
    guest_pair(type, channel);
    pid_t pid = guest_fork();
    if (pid == 0) {
        int fds[2];
        guest_pipe(fds);
        CHECK_EQ(4, write(fds[1], "left", 4));
        CHECK_EQ(1, message_send(channel[0], "m", 1, fds, 2));
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    struct message_received received;
    rights_expect(__FILE__, __LINE__, channel[1], 8, 0, "m", 2, &received);
    CHECK_EQ(4, read(received.fds[0], bytes, sizeof bytes));
    CHECK_MEM("left", bytes, 4);
    CHECK_EQ(0, guest_poll(received.fds[0], POLLIN, 0));
    CHECK_OK(close(received.fds[1]));
    CHECK_GONE(received.fds[0]);
    guest_close_both(channel);
}

/* ---- exec ---- */

static void receiver_execs(int type)
{
    int channel[2];
    char bytes[8];
    guest_pair(type, channel);
    int before = rights_send_witness(channel[0], "m");
    pid_t pid = guest_fork();
    if (pid == 0) {
        exec_role("receive", channel[1], -1);
    }
    CHECK_EQ(4, read(before, bytes, sizeof bytes));
    CHECK_EQ(0, read(before, bytes, sizeof bytes));
    CHECK_OK(close(before));
    guest_process_blocked(pid); /* asleep in recvmsg */
    int after = rights_send_witness(channel[0], "m");
    CHECK_EQ(4, read(after, bytes, sizeof bytes));
    guest_wait_exit(pid, ROLE_OK);
    CHECK_GONE(after);
    guest_close_both(channel);
}

/* Received, then inherited by a program; with MSG_CMSG_CLOEXEC it is not. */
static void received_and_inherited(int type, int flags)
{
    int channel[2];
    guest_pair(type, channel);
    int witness = rights_send_witness(channel[0], "m");
    pid_t pid = guest_fork();
    if (pid == 0) {
        struct message_received received;
        rights_expect(__FILE__, __LINE__, channel[1], 8, flags, "m", 1, &received);
        pid_t program = guest_fork();
        if (program == 0) {
            exec_role(flags == 0 ? "write" : "closed", received.fds[0], -1);
        }
        CHECK_OK(close(received.fds[0]));
        guest_wait_exit(program, ROLE_OK);
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    if (flags == 0) {
        CHECK_EQ(4, read(witness, (char[8]){ 0 }, 8));
    }
    CHECK_GONE(witness);
    guest_close_both(channel);
}

/* ---- programs that share a name only ---- */

static void by_name(int type)
{
    char bytes[8];
    struct unix_name name = unix_abstract("rights");
    int fds[2], listener = unix_listener(type, &name, 4);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(listener));
        exec_role("client", (int)unix_run, type);
    }
    int accepted = unix_accept(listener);
    guest_pipe(fds);
    CHECK_EQ(5, write(fds[1], "early", 5));
    CHECK_EQ(1, message_send(accepted, "r", 1, &fds[0], 1));
    guest_close_both(fds);
    int socket = take(accepted, "s");
    CHECK_EQ(4, write(socket, "ping", 4));
    CHECK_EQ(4, read(socket, bytes, sizeof bytes));
    CHECK_MEM("pong", bytes, 4);
    CHECK_OK(close(socket));
    guest_wait_exit(pid, ROLE_OK);
    CHECK_EQ(0, read(accepted, bytes, sizeof bytes));
    CHECK_OK(close(accepted));
    CHECK_OK(close(listener));
}

/* ---- a server that accepts, and workers that serve ---- */

static void worker(int channel)
{
    struct message_received received;
    for (;;) {
        message_receive(channel, 8, RIGHTS_ROOM(1), 0, &received);
        if (received.size == 0) {
            _exit(0);
        }
        CHECK_EQ(1, received.fd_count);
        char bytes[8];
        ssize_t count = CHECK_OK(read(received.fds[0], bytes, sizeof bytes));
        CHECK_EQ(count, write(received.fds[0], bytes, (size_t)count));
        CHECK_OK(close(received.fds[0]));
    }
}

static void handed_to_workers(int type)
{
    struct unix_name name = unix_abstract("server");
    int channel[2], clients[CONNECTIONS], listener = unix_listener(type, &name, CONNECTIONS);
    pid_t workers[WORKERS];
    guest_pair(SOCK_SEQPACKET, channel);
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = guest_fork();
        if (workers[i] == 0) {
            CHECK_OK(close(channel[0]));
            worker(channel[1]);
        }
    }
    CHECK_OK(close(channel[1]));
    for (int i = 0; i < CONNECTIONS; i++) {
        clients[i] = unix_client(type, &name);
        int accepted = unix_accept(listener);
        CHECK_EQ(1, message_send(channel[0], "c", 1, &accepted, 1));
        CHECK_OK(close(accepted));
    }
    for (int i = CONNECTIONS - 1; i >= 0; i--) { /* in no order that a queue would like */
        CHECK_EQ(sizeof i, write(clients[i], &i, sizeof i));
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        int number = -1;
        CHECK_EQ(sizeof number, read(clients[i], &number, sizeof number));
        CHECK_EQ(i, number);
        CHECK_EQ(0, read(clients[i], &number, sizeof number));
        CHECK_OK(close(clients[i]));
    }
    CHECK_OK(close(channel[0]));
    for (int i = 0; i < WORKERS; i++) {
        guest_wait_exit(workers[i], 0);
    }
    CHECK_OK(close(listener));
}

static int be(int argc, char **argv)
{
    CHECK(argc == 4);
    int one = atoi(argv[2]), other = atoi(argv[3]);
    alarm(GUEST_DEADLINE_S);
    if (strcmp(argv[1], "receive") == 0) {
        return role_receive(one);
    }
    if (strcmp(argv[1], "write") == 0) {
        return role_write(one);
    }
    if (strcmp(argv[1], "closed") == 0) {
        CHECK_ERR(EBADF, fcntl(one, F_GETFD));
        return ROLE_OK;
    }
    unix_run = one; /* whose name it is */
    struct unix_name name = unix_abstract("rights");
    return role_client(&name, other);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        return be(argc, argv);
    }
    unix_start();
    ssize_t size = CHECK_OK(readlink("/proc/self/exe", own_path, sizeof own_path - 1));
    own_path[size] = '\0';
    for (int i = 0; i < 2; i++) {
        int type = rights_types[i];
        forked_in_flight(type, true);
        forked_in_flight(type, false);
        sender_has_gone(type);
        receiver_execs(type);
        received_and_inherited(type, 0);
        received_and_inherited(type, MSG_CMSG_CLOEXEC);
        by_name(type);
        handed_to_workers(type);
    }
    return unix_end();
}
