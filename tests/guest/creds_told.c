/*
 * Proves: SO_PASSCRED: who is told to be the writer, by every call that writes: the process that
 * made the call with its real user and group, whoever made the socket or was its writer before, in
 * threads, children, programs after exec; asked for by the receiver or by the sender's own end;
 * what was sent while nobody asked is nobody's; what the end of a channel says.
 *
 * Rows: 3.9 "SO_PASSCRED: SCM_CREDENTIALS first, then SCM_RIGHTS", 3.4 "writers' boundaries with
 * SO_PASSCRED on", 3.8 "SO_PASSCRED", 3.9 "SO_PASSCRED tells the real user",
 * 3.9 "SO_PASSCRED at end-of-file"
 */
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "creds.h"
#include "unix_names.h"

static int channel[2];

/* ---- every call that writes ---- */

enum how {
    BY_WRITE,
    BY_WRITEV,
    BY_SEND,
    BY_SENDTO,
    BY_SENDMSG,
    BY_SENDMMSG,
    BY_DPRINTF,
    BY_STDIO,
    BY_SENDFILE,
    BY_RIGHTS,
    HOWS
};

static void put(int fd, enum how how)
{
    struct iovec halves[] = { { (void *)(uintptr_t) "te", 2 }, { (void *)(uintptr_t) "xt", 2 } };
    struct mmsghdr message = { .msg_hdr = { .msg_iov = halves, .msg_iovlen = 2 } };
    switch (how) {
    case BY_WRITE: CHECK_EQ(4, write(fd, "text", 4)); break;
    case BY_WRITEV: CHECK_EQ(4, writev(fd, halves, 2)); break;
    case BY_SEND: CHECK_EQ(4, send(fd, "text", 4, 0)); break;
    case BY_SENDTO: CHECK_EQ(4, sendto(fd, "text", 4, MSG_DONTWAIT, NULL, 0)); break;
    case BY_SENDMSG: CHECK_EQ(4, sendmsg(fd, &message.msg_hdr, 0)); break;
    case BY_SENDMMSG: CHECK_EQ(1, sendmmsg(fd, &message, 1, 0)); break;
    case BY_DPRINTF: CHECK_EQ(4, dprintf(fd, "text")); break;
    case BY_STDIO: {
        FILE *file = fdopen((int)CHECK_OK(dup(fd)), "w");
        CHECK(file != NULL && fputs("text", file) >= 0);
        CHECK_EQ(0, fclose(file));
        break;
    }
    case BY_SENDFILE: {
        int file = (int)CHECK_OK(memfd_create("text", 0));
        CHECK_EQ(4, pwrite(file, "text", 4, 0));
        CHECK_EQ(4, sendfile(fd, file, NULL, 4));
        CHECK_OK(close(file));
        break;
    }
    default: CHECK_EQ(4, message_send(fd, "text", 4, channel, 1)); break;
    }
}

static void check_put(enum how how, pid_t pid)
{
    struct message_received received;
    if (how != BY_RIGHTS) {
        EXPECT_FROM_PROCESS(channel[1], "text", pid);
        return;
    }
    message_receive(channel[1], 8, CREDS_CONTROL, 0, &received);
    CHECK_TEXT("text", &received);
    CHECK_EQ(1, received.fd_count);
    creds_check(__FILE__, __LINE__, &received.credentials, pid, getuid(), getgid());
    rights_close(&received);
}

static void *put_all(void *unused)
{
    (void)unused;
    for (int how = 0; how < HOWS; how++) {
        put(channel[0], (enum how)how);
        check_put((enum how)how, getpid());
    }
    return NULL;
}

/* By this thread, by another, by a child, by a child's child whose parent is gone. */
static void every_call(void)
{
    struct guest_thread thread;
    creds_ask(channel[1], 1);
    put_all(NULL);
    guest_thread_start(&thread, put_all, NULL);
    guest_thread_join(&thread);
    for (int how = 0; how < HOWS; how++) {
        pid_t pid = guest_fork();
        if (pid == 0) {
            put(channel[0], (enum how)how);
            _exit(0);
        }
        guest_wait_exit(pid, 0);
        check_put((enum how)how, pid);
    }
    creds_ask(channel[1], 0);
}

/* After exec it is the same process. */
static void after_exec(void)
{
    creds_ask(channel[1], 1);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(1, dup2(channel[0], 1));
        execl("/bin/sh", "sh", "-c", "printf text", (char *)NULL);
        _exit(127);
    }
    guest_wait_exit(pid, 0);
    EXPECT_FROM_PROCESS(channel[1], "text", pid);
    creds_ask(channel[1], 0);
}

/* The real user and group, of the moment of each call. */
static void users(void)
{
    creds_ask(channel[1], 1);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(1, write(channel[0], "0", 1));
        CHECK_OK(setresgid(31, 0, 33));
        CHECK_OK(setresuid(21, 0, 23));
        CHECK_EQ(1, write(channel[0], "1", 1));
        CHECK_OK(setresgid(32, 32, 32));
        CHECK_OK(setresuid(22, 22, 22));
        CHECK_EQ(1, write(channel[0], "2", 1));
        CHECK_EQ(1, write(channel[0], "3", 1));
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    EXPECT_FROM(channel[1], 0, "0", pid, 0, 0);
    EXPECT_FROM(channel[1], 0, "1", pid, 21, 31);
    struct message_received received;
    message_receive(channel[1], 8, CREDS_CONTROL, 0, &received);
    creds_check(__FILE__, __LINE__, &received.credentials, pid, 22, 32);
    if (received.size == 1) { /* records */
        EXPECT_FROM(channel[1], 0, "3", pid, 22, 32);
    }
    creds_ask(channel[1], 0);
}

/* ---- who asks ---- */

/* The sender's own end asks: then it says who it is, and who asks later is told. */
static void asked_by_the_sender(void)
{
    creds_ask(channel[0], 1);
    CHECK_EQ(1, write(channel[0], "s", 1));
    creds_ask(channel[0], 0);
    CHECK_EQ(1, write(channel[0], "n", 1));
    creds_ask(channel[1], 1);
    EXPECT_FROM_PROCESS(channel[1], "s", getpid());
    EXPECT_FROM_NOBODY(channel[1], "n");
    creds_ask(channel[1], 0);
    CHECK_EQ(1, write(channel[0], "s", 1));
    EXPECT(channel[1], 8, 0, "s", 0);
}

/* Nobody's bytes and somebody's aren't joined. */
static void asked_between(void)
{
    CHECK_EQ(1, write(channel[0], "1", 1));
    creds_ask(channel[1], 1);
    CHECK_EQ(1, write(channel[0], "2", 1));
    creds_ask(channel[1], 0);
    CHECK_EQ(1, write(channel[0], "3", 1));
    creds_ask(channel[1], 1);
    EXPECT_FROM_NOBODY(channel[1], "1");
    EXPECT_FROM_PROCESS(channel[1], "2", getpid());
    EXPECT_FROM_NOBODY(channel[1], "3");
    creds_ask(channel[1], 0);
}

static void asked_value(void)
{
    static const int values[] = { 1, 5, -1, 0 };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        creds_ask(channel[1], values[i]);
        CHECK_EQ(values[i] != 0, unix_option(channel[1], SO_PASSCRED));
        CHECK_EQ(0, unix_option(channel[0], SO_PASSCRED));
    }
}

/* ---- what has no writer ---- */

/*
 * The end of a stream has the credentials of a cookie that was never filled in (scm_recv_unix() is
 * called without a message): pid, uid and gid 0. The end of records has none.
 */
static void the_end(int type)
{
    int pair[2];
    struct message_received received;
    guest_pair(type, pair);
    creds_ask(pair[1], 1);
    CHECK_EQ(1, write(pair[0], "m", 1));
    CHECK_OK(close(pair[0]));
    EXPECT_FROM_PROCESS(pair[1], "m", getpid());
    for (int i = 0; i < 2; i++) {
        if (type == SOCK_STREAM) {
            EXPECT_FROM(pair[1], 0, "", 0, 0, 0);
        } else {
            EXPECT(pair[1], 8, 0, "", 0);
        }
    }
    message_receive(pair[1], 8, 0, 0, &received);
    CHECK_EQ(0, received.size);
    CHECK_EQ(type == SOCK_STREAM ? MSG_CTRUNC : 0, received.flags);
    CHECK_OK(close(pair[1]));
}

/* A receive of nothing has a writer if there is something; an empty record has one. */
static void nothing_received(int type)
{
    struct message_received received;
    creds_ask(channel[1], 1);
    CHECK_EQ(1, write(channel[0], "m", 1));
    message_receive(channel[1], 0, CREDS_CONTROL, type == SOCK_STREAM ? 0 : MSG_PEEK, &received);
    CHECK_EQ(0, received.size);
    CHECK(received.has_credentials);
    creds_check(__FILE__, __LINE__, &received.credentials, getpid(), getuid(), getgid());
    EXPECT_FROM_PROCESS(channel[1], "m", getpid());
    if (type == SOCK_SEQPACKET) {
        CHECK_EQ(0, send(channel[0], "", 0, 0));
        EXPECT_FROM_PROCESS(channel[1], "", getpid());
    }
    creds_ask(channel[1], 0);
}

/* With descriptors: both, credentials first; each peek tells both. */
static void with_descriptors(void)
{
    creds_ask(channel[1], 1);
    int witness = rights_send_witness(channel[0], "m");
    for (int i = 0; i < 3; i++) {
        struct message_received received;
        message_receive(channel[1], 8, CREDS_CONTROL, i < 2 ? MSG_PEEK : 0, &received);
        CHECK_EQ(0, received.flags);
        CHECK_EQ(CREDS_ROOM + RIGHTS_ROOM(1), received.control_size);
        CHECK_EQ(1, received.fd_count);
        creds_check(__FILE__, __LINE__, &received.credentials, getpid(), getuid(), getgid());
        CHECK_HELD(witness);
        rights_close(&received);
    }
    CHECK_GONE(witness);
    creds_ask(channel[1], 0);
}

int main(void)
{
    guest_start();
    for (int i = 0; i < 2; i++) {
        guest_pair(rights_types[i], channel);
        every_call();
        after_exec();
        if (creds_root()) {
            users();
        }
        asked_by_the_sender();
        asked_between();
        asked_value();
        the_end(rights_types[i]);
        nothing_received(rights_types[i]);
        with_descriptors();
        guest_close_both(channel);
    }
    return guest_end();
}
