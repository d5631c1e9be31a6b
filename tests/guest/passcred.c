/*
 * Proves: SO_PASSCRED delivers the sender's pid, uid and gid, of a thread, a child and a message
 * sent before the option was set; bytes of different processes aren't joined; SO_PEERCRED names the
 * process that made the pair; SCM_CREDENTIALS can't lie.
 *
 * Rows: 3.9 "SO_PASSCRED", 3.9 "SCM_CREDENTIALS", 3.4 "writers' boundaries with SO_PASSCRED on",
 * 3.8 "SO_PEERCRED", 3.8 "SO_PASSCRED"
 */
#include "message.h"

#define ROOM (CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * 2))

static void set_passcred(int fd, int on)
{
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
}

static void check_sender(const struct message_received *received, pid_t pid)
{
    CHECK(received->has_credentials);
    CHECK_EQ(pid, received->credentials.pid);
    CHECK_EQ(geteuid(), received->credentials.uid);
    CHECK_EQ(getegid(), received->credentials.gid);
}

static void *send_from_thread(void *argument)
{
    CHECK_EQ(1, write(*(int *)argument, "t", 1));
    return NULL;
}

static void of_thread_and_child(int type)
{
    int fds[2];
    struct message_received received;
    struct guest_thread thread;
    guest_pair(type, fds);
    set_passcred(fds[0], 1);
    guest_thread_start(&thread, send_from_thread, &fds[1]);
    guest_thread_join(&thread);
    message_receive(fds[0], 8, ROOM, 0, &received);
    CHECK_EQ(0, received.flags);
    check_sender(&received, getpid()); /* the process, not the thread */
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(1, message_send(fds[1], "c", 1, fds, 1));
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    message_receive(fds[0], 8, ROOM, 0, &received);
    check_sender(&received, pid);
    CHECK_EQ(1, received.fd_count);
    CHECK_OK(close(received.fds[0]));
    guest_close_both(fds);
}

static void different_senders_are_not_joined(void)
{
    int fds[2];
    struct message_received received;
    guest_pair(SOCK_STREAM, fds);
    set_passcred(fds[0], 1);
    CHECK_EQ(3, write(fds[1], "own", 3));
    CHECK_EQ(4, write(fds[1], "-too", 4));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(5, write(fds[1], "child", 5));
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    CHECK_EQ(4, write(fds[1], "last", 4));
    message_receive(fds[0], 64, ROOM, 0, &received);
    CHECK_EQ(7, received.size);
    check_sender(&received, getpid());
    message_receive(fds[0], 64, ROOM, MSG_WAITALL, &received);
    CHECK_EQ(5, received.size); /* MSG_WAITALL ends at the border, too */
    check_sender(&received, pid);
    message_receive(fds[0], 64, ROOM, 0, &received);
    CHECK_EQ(4, received.size);
    guest_close_both(fds);
}

static void sent_before_the_option(void)
{
    int fds[2];
    struct message_received received;
    guest_pair(SOCK_STREAM, fds);
    CHECK_EQ(1, write(fds[1], "x", 1));
    set_passcred(fds[0], 1);
    message_receive(fds[0], 8, ROOM, 0, &received);
    CHECK(received.has_credentials);
    CHECK_EQ(0, received.credentials.pid);
    CHECK_EQ(65534, received.credentials.uid);
    CHECK_EQ(65534, received.credentials.gid);
    set_passcred(fds[0], 0);
    CHECK_EQ(1, write(fds[1], "x", 1));
    message_receive(fds[0], 8, ROOM, 0, &received);
    CHECK(!received.has_credentials);
    guest_close_both(fds);
}

static void truncated_credentials(void)
{
    int fds[2];
    struct message_received received;
    guest_pair(SOCK_STREAM, fds);
    set_passcred(fds[0], 1);
    CHECK_EQ(1, write(fds[1], "x", 1));
    message_receive(fds[0], 8, CMSG_LEN(sizeof(pid_t)), 0, &received);
    CHECK_EQ(MSG_CTRUNC, received.flags);
    CHECK_EQ(getpid(), received.credentials.pid);
    CHECK_EQ(CMSG_LEN(sizeof(pid_t)), received.control_size);
    guest_close_both(fds);
}

static ssize_t send_credentials(int fd, pid_t pid, uid_t uid)
{
    union message_control control = { .space = { 0 } };
    struct iovec vector = { .iov_base = "m", .iov_len = 1 };
    struct msghdr message = { .msg_iov = &vector,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = CMSG_SPACE(sizeof(struct ucred)) };
    const struct ucred credentials = { .pid = pid, .uid = uid, .gid = getegid() };
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_CREDENTIALS;
    control.header.cmsg_len = CMSG_LEN(sizeof credentials);
    memcpy(CMSG_DATA(&control.header), &credentials, sizeof credentials);
    return sendmsg(fd, &message, 0);
}

static void explicit_credentials(void)
{
    int fds[2];
    struct message_received received;
    guest_pair(SOCK_STREAM, fds);
    set_passcred(fds[0], 1);
    CHECK_EQ(1, send_credentials(fds[1], getpid(), geteuid()));
    message_receive(fds[0], 8, ROOM, 0, &received);
    check_sender(&received, getpid());
    CHECK_ERR(EINVAL, send_credentials(fds[1], getpid(), (uid_t)-1));
    pid_t pid = guest_fork();
    if (pid == 0) {
        if (getuid() == 0) {
            CHECK_OK(setresuid(65534, 65534, 65534));
        }
        CHECK_ERR(EPERM, send_credentials(fds[1], getppid(), geteuid()));
        CHECK_ERR(EPERM, send_credentials(fds[1], getpid(), 4242));
        CHECK_EQ(1, send_credentials(fds[1], getpid(), geteuid()));
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    message_receive(fds[0], 8, ROOM, 0, &received);
    CHECK_EQ(pid, received.credentials.pid);
    guest_close_both(fds);
}

static void peer_credentials(void)
{
    int fds[2];
    struct ucred credentials = { 0 };
    socklen_t size = sizeof credentials;
    guest_pair(SOCK_SEQPACKET, fds);
    pid_t parent = getpid();
    pid_t pid = guest_fork();
    if (pid == 0) { /* the maker's, whoever asks */
        CHECK_OK(getsockopt(fds[0], SOL_SOCKET, SO_PEERCRED, &credentials, &size));
        CHECK_EQ(parent, credentials.pid);
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    CHECK_OK(getsockopt(fds[0], SOL_SOCKET, SO_PEERCRED, &credentials, &size));
    CHECK_EQ(parent, credentials.pid);
    CHECK_EQ(geteuid(), credentials.uid);
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    of_thread_and_child(SOCK_STREAM);
    of_thread_and_child(SOCK_SEQPACKET);
    different_senders_are_not_joined();
    sent_before_the_option();
    truncated_credentials();
    explicit_credentials();
    peer_credentials();
    return guest_end();
}
