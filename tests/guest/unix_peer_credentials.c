/*
 * Proves: SO_PEERCRED of a client is who called listen(), of the accepted socket who called
 * connect(), whoever made or holds the sockets and whoever accepts; a second listen() renews it;
 * users are those of that time. SO_PASSCRED handed down by the listener tells who wrote, also what
 * was written before accept; sockets that are not connected know nobody.
 *
 * Rows: 3.2 "SO_PEERCRED: client sees the credentials the listener had at listen()", 3.2 "accepted
 * fd: SO_PASSCRED", 3.8 "SO_PEERCRED"
 */
#include "message.h"
#include "unix_names.h"

#define ROOM CMSG_SPACE(sizeof(struct ucred))

static void check_peer(int fd, pid_t pid, uid_t uid, gid_t gid)
{
    struct ucred credentials = { 0 };
    socklen_t size = sizeof credentials;
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size));
    CHECK_EQ(sizeof credentials, size);
    CHECK_EQ(pid, credentials.pid);
    CHECK_EQ(uid, credentials.uid);
    CHECK_EQ(gid, credentials.gid);
}

static void check_peer_process(int fd, pid_t pid)
{
    check_peer(fd, pid, geteuid(), getegid());
}

/* The child's turn, the parent's turn: one byte each way. */
struct turns {
    int to_child[2], to_parent[2];
};

static void turns_open(struct turns *turns)
{
    guest_pipe(turns->to_child);
    guest_pipe(turns->to_parent);
}

static void turns_close(const struct turns *turns)
{
    guest_close_both(turns->to_child);
    guest_close_both(turns->to_parent);
}

static void pass_turn(const int pipe_fds[2])
{
    CHECK_EQ(1, write(pipe_fds[1], "t", 1));
}

static void take_turn(const int pipe_fds[2])
{
    char byte;
    CHECK_EQ(1, read(pipe_fds[0], &byte, 1));
}

/* Made by the parent, listen() by the child, accept by the parent. */
static void who_listened(int type)
{
    struct unix_name name = unix_abstract("credentials");
    int listener = unix_socket(type);
    struct turns turns;
    turns_open(&turns);
    CHECK_OK(unix_bind(listener, &name));
    pid_t parent = getpid(), pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(listen(listener, 4));
        check_peer_process(listener, getpid());
        pass_turn(turns.to_parent);
        take_turn(turns.to_child);
        _exit(0);
    }
    take_turn(turns.to_parent);
    check_peer_process(listener, pid);
    int client = unix_client(type, &name);
    check_peer_process(client, pid);
    int accepted = unix_accept(listener);
    check_peer_process(accepted, parent);
    CHECK_OK(listen(listener, 8)); /* now it is this process */
    check_peer_process(listener, parent);
    check_peer_process(client, pid);
    int second = unix_client(type, &name);
    check_peer_process(second, parent);
    unix_finish(client, accepted);
    unix_finish(second, unix_accept(listener));
    pass_turn(turns.to_child);
    guest_wait_exit(pid, 0);
    turns_close(&turns);
    CHECK_OK(close(listener));
}

/* Made by the parent, connect() by the child, used by the parent, accepted by a grandchild. */
static void who_connected(int type)
{
    struct unix_name name = unix_abstract("credentials");
    int listener = unix_listener(type, &name, 4), client = unix_socket(type);
    check_peer(client, 0, (uid_t)-1, (gid_t)-1);
    pid_t parent = getpid(), pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(unix_connect(client, &name));
        check_peer_process(client, parent);
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    check_peer_process(client, parent);
    pid_t acceptor = guest_fork();
    if (acceptor == 0) {
        int accepted = unix_accept(listener);
        check_peer_process(accepted, pid); /* who is long gone */
        CHECK_EQ(1, write(accepted, "a", 1));
        _exit(0);
    }
    take_turn((int[]){ client, client });
    guest_wait_exit(acceptor, 0);
    CHECK_OK(close(client));
    CHECK_OK(close(listener));
}

/* Another user connects and becomes this one again before it is accepted. */
static void which_user(int type)
{
    struct unix_name name = unix_abstract("credentials");
    int listener = unix_listener(type, &name, 4);
    const bool is_root = geteuid() == 0;
    const uid_t uid = is_root ? 4711 : geteuid();
    const gid_t gid = is_root ? 4712 : getegid();
    struct turns turns;
    turns_open(&turns);
    pid_t pid = guest_fork();
    if (pid == 0) {
        const uid_t server_uid = geteuid();
        const gid_t server_gid = getegid();
        if (is_root) {
            CHECK_OK(setresgid(gid, gid, 0));
            CHECK_OK(setresuid(uid, uid, 0));
        }
        int client = unix_client(type, &name);
        if (is_root) {
            CHECK_OK(setresuid(0, 0, 0));
        }
        check_peer(client, getppid(), server_uid, server_gid);
        pass_turn(turns.to_parent);
        take_turn(turns.to_child);
        _exit(0);
    }
    take_turn(turns.to_parent);
    int accepted = unix_accept(listener);
    check_peer(accepted, pid, uid, gid);
    pass_turn(turns.to_child);
    guest_wait_exit(pid, 0);
    check_peer(accepted, pid, uid, gid);
    CHECK_OK(close(accepted));
    CHECK_OK(close(listener));
    turns_close(&turns);
}

static void check_writer(int fd, const char *text, pid_t pid)
{
    struct message_received received;
    message_receive(fd, 8, ROOM, 0, &received);
    CHECK_EQ(strlen(text), received.size);
    CHECK_MEM(text, received.data, strlen(text));
    CHECK(received.has_credentials);
    CHECK_EQ(pid, received.credentials.pid);
    CHECK_EQ(geteuid(), received.credentials.uid);
    CHECK_EQ(getegid(), received.credentials.gid);
}

/* Who wrote is known by the message, not by who connected. */
static void who_wrote(int type)
{
    struct unix_name name = unix_abstract("credentials");
    int listener = unix_listener(type, &name, 4);
    unix_set_option(listener, SO_PASSCRED, 1);
    int client = unix_client(type, &name);
    CHECK_EQ(3, write(client, "own", 3));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(5, write(client, "child", 5));
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    int accepted = unix_accept(listener);
    CHECK_EQ(1, unix_option(accepted, SO_PASSCRED));
    check_writer(accepted, "own", getpid());
    check_writer(accepted, "child", pid);
    CHECK_EQ(4, write(client, "late", 4));
    check_writer(accepted, "late", getpid());
    unix_finish(client, accepted);
    CHECK_OK(close(listener));
}

int main(void)
{
    unix_start();
    for (int i = 0; i < 2; i++) {
        who_listened(unix_types[i]);
        who_connected(unix_types[i]);
        which_user(unix_types[i]);
        who_wrote(unix_types[i]);
    }
    return unix_end();
}
