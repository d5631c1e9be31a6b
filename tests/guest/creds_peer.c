/*
 * Proves: SO_PEERCRED says who made the pair, called connect() or listen(), with the effective user
 * and group of that moment; it doesn't change when that process becomes another user, execs or
 * dies, when the socket is inherited or passed to others, or when the peer is closed; a buffer that
 * is too small gets a part; it can't be set. The option SO_PASSCRED has nothing to do with it.
 *
 * Rows: 3.8 "SO_PEERCRED", 3.2 "SO_PEERCRED: client sees the credentials the listener had at
 * listen()", 3.8 "SO_TYPE, SO_DOMAIN, SO_PROTOCOL, SO_ACCEPTCONN, SO_ERROR, SO_PEERCRED"
 */
#include "creds.h"
#include "unix_names.h"

static void check_peer(const char *file, int line, int fd, pid_t pid, uid_t uid, gid_t gid)
{
    struct ucred credentials = { 0 };
    socklen_t size = sizeof credentials;
    guest_check_ok(file, line, "getsockopt",
                   getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size));
    guest_check_eq(file, line, "size", sizeof credentials, size);
    creds_check(file, line, &credentials, pid, uid, gid);
}

#define CHECK_PEER(fd, pid, uid, gid) check_peer(__FILE__, __LINE__, (fd), (pid), (uid), (gid))
#define CHECK_PEER_PROCESS(fd, pid)   CHECK_PEER(fd, pid, geteuid(), getegid())

static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };

/* ---- pairs ---- */

/* Made by a child that is gone, passed to us. */
static void pair_of_the_dead(int type)
{
    int channel[2];
    struct message_received received;
    guest_pair(type, channel);
    pid_t pid = guest_fork();
    if (pid == 0) {
        int fds[2];
        guest_pair(type, fds);
        CHECK_PEER_PROCESS(fds[0], getpid());
        CHECK_EQ(1, message_send(channel[0], "m", 1, fds, 2));
        CHECK_PEER_PROCESS(channel[0], getppid());
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    rights_expect(__FILE__, __LINE__, channel[1], 8, 0, "m", 2, &received);
    CHECK_PEER_PROCESS(received.fds[0], pid);
    CHECK_PEER_PROCESS(received.fds[1], pid);
    unix_talk(received.fds);
    CHECK_OK(close(received.fds[0]));
    CHECK_PEER_PROCESS(received.fds[1], pid);
    CHECK_OK(close(received.fds[1]));
    guest_close_both(channel);
}

static void pair_of_users(int type)
{
    int fds[2], channel[2];
    guest_pair(type, channel);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(setresgid(31, 32, 33));
        CHECK_OK(setresuid(21, 22, 0));
        guest_pair(type, fds);
        CHECK_PEER(fds[0], getpid(), 22, 32);
        CHECK_OK(setresuid(0, 0, 0));
        CHECK_PEER(fds[1], getpid(), 22, 32);
        CHECK_EQ(1, message_send(channel[0], "m", 1, fds, 1));
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    struct message_received received;
    rights_expect(__FILE__, __LINE__, channel[1], 8, 0, "m", 1, &received);
    CHECK_PEER(received.fds[0], pid, 22, 32);
    rights_close(&received);
    guest_close_both(channel);
}

/* ---- connections ---- */

static void connection_of_users(int type)
{
    struct unix_name name = unix_abstract("peer");
    int turn[2];
    guest_pair(SOCK_STREAM, turn);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(turn[0]));
        CHECK_OK(setresgid(31, 32, 33));
        CHECK_OK(setresuid(21, 22, 0));
        int listener = unix_listener(type, &name, 4);
        CHECK_PEER(listener, getpid(), 22, 32);
        CHECK_OK(setresuid(0, 0, 0)); /* after listen(): nobody sees this */
        CHECK_EQ(1, write(turn[1], "l", 1));
        int accepted = unix_accept(listener);
        CHECK_PEER(accepted, getppid(), 0, 0);
        creds_ask(accepted, 1);
        CHECK_PEER(accepted, getppid(), 0, 0);
        CHECK_EQ(1, read(turn[1], (char[1]){ 0 }, 1));
        _exit(0);
    }
    CHECK_OK(close(turn[1]));
    CHECK_EQ(1, read(turn[0], (char[1]){ 0 }, 1));
    int client = unix_client(type, &name);
    CHECK_PEER(client, pid, 22, 32);
    CHECK_EQ(1, write(turn[0], "c", 1));
    guest_wait_exit(pid, 0);
    CHECK_PEER(client, pid, 22, 32);
    CHECK_OK(close(client));
    CHECK_OK(close(turn[0]));
}

/* A listener, a connection not yet accepted and an accepted one that were passed. */
static void passed_connection(int type)
{
    struct unix_name name;
    int channel[2];
    guest_pair(type, channel);
    pid_t pid = guest_fork();
    if (pid == 0) {
        int fds[2];
        fds[0] = unix_any_listener(type, 4, &name);
        fds[1] = unix_client(type, &name);
        CHECK_EQ(1, message_send(channel[0], "m", 1, fds, 2));
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    struct message_received received;
    rights_expect(__FILE__, __LINE__, channel[1], 8, 0, "m", 2, &received);
    int listener = received.fds[0], client = received.fds[1], accepted = unix_accept(listener);
    CHECK_PEER_PROCESS(listener, pid);
    CHECK_PEER_PROCESS(client, pid);
    CHECK_PEER_PROCESS(accepted, pid);
    CHECK_OK(listen(listener, 4));
    CHECK_PEER_PROCESS(listener, getpid());
    CHECK_PEER_PROCESS(client, pid);
    unix_finish(client, accepted);
    CHECK_OK(close(listener));
    guest_close_both(channel);
}

/* ---- the option ---- */

static void lengths(int type)
{
    int fds[2], fresh = unix_socket(type);
    struct ucred all = { 0 }, part;
    socklen_t size = sizeof all;
    guest_pair(type, fds);
    CHECK_OK(getsockopt(fds[0], SOL_SOCKET, SO_PEERCRED, &all, &size));
    for (socklen_t length = 0; length <= sizeof all; length++) {
        memset(&part, 0x5a, sizeof part);
        size = length;
        CHECK_OK(getsockopt(fds[0], SOL_SOCKET, SO_PEERCRED, &part, &size));
        CHECK_EQ(length, size);
        CHECK_MEM(&all, &part, length);
        for (size_t i = length; i < sizeof part; i++) {
            CHECK_EQ(0x5a, ((unsigned char *)&part)[i]);
        }
    }
    size = 100;
    char room[100];
    CHECK_OK(getsockopt(fds[0], SOL_SOCKET, SO_PEERCRED, room, &size));
    CHECK_EQ(sizeof all, size);
    size = (socklen_t)-1;
    CHECK_ERR(EINVAL, getsockopt(fds[0], SOL_SOCKET, SO_PEERCRED, &part, &size));
    size = sizeof part;
    CHECK_ERR(EFAULT, getsockopt(fds[0], SOL_SOCKET, SO_PEERCRED, guest_bad_pointer(), &size));
    CHECK_ERR(EFAULT, getsockopt(fds[0], SOL_SOCKET, SO_PEERCRED, &part, guest_bad_pointer()));
    CHECK_ERR(ENOPROTOOPT, setsockopt(fds[0], SOL_SOCKET, SO_PEERCRED, &all, sizeof all));
    CHECK_PEER(fresh, 0, (uid_t)-1, (gid_t)-1);
    guest_close_both(fds);
    CHECK_OK(close(fresh));
}

int main(void)
{
    guest_start();
    unix_run = getpid();
    for (int i = 0; i < 2; i++) {
        pair_of_the_dead(types[i]);
        passed_connection(types[i]);
        lengths(types[i]);
        if (creds_root()) {
            pair_of_users(types[i]);
            connection_of_users(types[i]);
        }
    }
    return guest_end();
}
