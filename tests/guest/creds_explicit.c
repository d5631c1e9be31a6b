/*
 * Proves: SCM_CREDENTIALS: which a sender may claim (its own pid, and its real, effective or saved
 * users and groups; with privilege any), the order of errors, that what fails sends
 * nothing; the last header counts; what was claimed is delivered also when nobody asked before the
 * message was sent, and is a border between bytes like a real writer.
 *
 * Rows: 3.9 "SCM_CREDENTIALS", 3.9 "SCM_CREDENTIALS before anybody asks", 3.4 "writers' boundaries
 * with SO_PASSCRED on", 3.9 "SO_PASSCRED: SCM_CREDENTIALS first, then SCM_RIGHTS"
 */
#include "creds.h"

static int channel[2];

static void check_nothing_sent(void)
{
    CHECK_ERR(EAGAIN, recv(channel[1], &(char){ 0 }, 1, MSG_DONTWAIT));
}

/* ---- wrong for everybody ---- */

static void wrong_sizes(void)
{
    const struct ucred own[2] = { { getpid(), getuid(), getgid() } };
    static const size_t sizes[] = { 0, 4, 11, 13, 16, 24 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct rights_message message = { .size = 0 };
        rights_add(&message, SOL_SOCKET, SCM_CREDENTIALS, own, sizes[i]);
        CHECK_ERR(EINVAL, rights_send(channel[0], "m", 1, &message, 0));
    }
    check_nothing_sent();
}

static void wrong_values(void)
{
    CHECK_ERR(EINVAL, creds_send(channel[0], "m", getpid(), (uid_t)-1, getgid()));
    CHECK_ERR(EINVAL, creds_send(channel[0], "m", getpid(), getuid(), (gid_t)-1));
    CHECK_ERR(EINVAL, creds_send(channel[0], "m", INT_MAX, (uid_t)-1, getgid())); /* users first */
    check_nothing_sent();
}

/* ---- by who may not lie ---- */

static void unprivileged(void)
{
    CHECK_ERR(EPERM, creds_send(channel[0], "m", getppid(), getuid(), getgid()));
    CHECK_ERR(EPERM, creds_send(channel[0], "m", 0, getuid(), getgid()));
    CHECK_ERR(EPERM, creds_send(channel[0], "m", -1, getuid(), getgid()));
    CHECK_ERR(EPERM, creds_send(channel[0], "m", INT_MAX, getuid(), getgid()));
    CHECK_ERR(EPERM, creds_send(channel[0], "m", getpid(), CREDS_OTHER, getgid()));
    CHECK_ERR(EPERM, creds_send(channel[0], "m", getpid(), getuid(), CREDS_OTHER));
    CHECK_ERR(EPERM, creds_send(channel[0], "m", getpid(), 0, getgid()));
    CHECK_ERR(EPERM, creds_send(channel[0], "m", guest_gettid() + 1, getuid(), getgid()));
    check_nothing_sent();
    CHECK_EQ(1, creds_send(channel[0], "u", getpid(), getuid(), getgid()));
}

static void by_an_ordinary_user(void)
{
    creds_ask(channel[1], 1);
    uid_t uid = creds_root() ? CREDS_USER : getuid();
    gid_t gid = creds_root() ? CREDS_GROUP : getgid();
    pid_t pid = guest_fork();
    if (pid == 0) {
        if (creds_root()) {
            CHECK_OK(setresgid(gid, gid, gid));
            CHECK_OK(setresuid(uid, uid, uid));
        }
        unprivileged();
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    EXPECT_FROM(channel[1], 0, "u", pid, uid, gid);
    creds_ask(channel[1], 0);
}

/* Each of the three users and groups may be claimed; a fourth may not. */
static void one_of_three(void)
{
    creds_ask(channel[1], 1);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(setresgid(21, 22, 23));
        CHECK_OK(setresuid(11, 12, 13));
        for (unsigned i = 0; i < 3; i++) {
            CHECK_EQ(1, creds_send(channel[0], "u", getpid(), 11 + i, 23 - i));
        }
        CHECK_ERR(EPERM, creds_send(channel[0], "u", getpid(), 14, 21));
        CHECK_ERR(EPERM, creds_send(channel[0], "u", getpid(), 11, 24));
        CHECK_EQ(1, write(channel[0], "w", 1)); /* who claims nothing: the real ones */
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_FROM(channel[1], 0, "u", pid, 11 + i, 23 - i);
    }
    EXPECT_FROM(channel[1], 0, "w", pid, 11, 21);
    creds_ask(channel[1], 0);
}

/* ---- by root ---- */

static void privileged(void)
{
    creds_ask(channel[1], 1);
    CHECK_ERR(ESRCH, creds_send(channel[0], "m", INT_MAX, 0, 0));
    CHECK_ERR(ESRCH, creds_send(channel[0], "m", 0, 0, 0));
    CHECK_ERR(ESRCH, creds_send(channel[0], "m", -1, 0, 0));
    check_nothing_sent();
    CHECK_EQ(1, creds_send(channel[0], "o", getppid(), CREDS_USER, CREDS_GROUP));
    EXPECT_FROM(channel[1], 0, "o", getppid(), CREDS_USER, CREDS_GROUP);
    pid_t pid = guest_fork();
    if (pid == 0) {
        _exit(0);
    }
    siginfo_t info; /* dead, but not yet gone */
    CHECK_OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    CHECK_EQ(1, creds_send(channel[0], "z", pid, 1, 2));
    guest_wait_exit(pid, 0);
    EXPECT_FROM(channel[1], 0, "z", pid, 1, 2); /* who was claimed is gone */
    creds_ask(channel[1], 0);
}

/* ---- what was claimed ---- */

/* Several headers: the last one counts, but each is looked at. */
static void several_headers(void)
{
    struct rights_message message = { .size = 0 };
    creds_ask(channel[1], 1);
    gid_t other = creds_root() ? CREDS_GROUP : getgid();
    rights_add_creds(&message, getpid(), getuid(), getgid());
    rights_add_creds(&message, getpid(), getuid(), other);
    CHECK_EQ(1, rights_send(channel[0], "m", 1, &message, 0));
    EXPECT_FROM(channel[1], 0, "m", getpid(), getuid(), other);
    message.size = 0;
    rights_add_creds(&message, getpid(), (uid_t)-1, getgid());
    rights_add_creds(&message, getpid(), getuid(), getgid());
    CHECK_ERR(EINVAL, rights_send(channel[0], "m", 1, &message, 0));
    check_nothing_sent();
    creds_ask(channel[1], 0);
}

/* Nobody has asked when it is sent; who asks later is told. Of what claims nothing, nobody. */
static void asked_later(void)
{
    CHECK_EQ(1, creds_send(channel[0], "e", getpid(), getuid(), getgid()));
    CHECK_EQ(1, write(channel[0], "p", 1));
    CHECK_EQ(1, write(channel[0], "q", 1));
    CHECK_EQ(1, creds_send(channel[0], "f", getpid(), getuid(), getgid()));
    creds_ask(channel[1], 1);
    EXPECT_FROM_PROCESS(channel[1], "e", getpid());
    struct message_received received; /* a stream joins the two that claimed nothing */
    message_receive(channel[1], 8, CREDS_CONTROL, 0, &received);
    creds_check(__FILE__, __LINE__, &received.credentials, 0, CREDS_NOBODY, CREDS_NOBODY);
    if (received.size == 1) {
        EXPECT_FROM_NOBODY(channel[1], "q");
    } else {
        CHECK_TEXT("pq", &received);
    }
    EXPECT_FROM_PROCESS(channel[1], "f", getpid());
    creds_ask(channel[1], 0);
    CHECK_EQ(1, creds_send(channel[0], "e", getpid(), getuid(), getgid()));
    EXPECT(channel[1], 8, 0, "e", 0); /* who doesn't ask isn't told */
}

/* In a stream: claims that differ aren't joined, equal ones are, and who doesn't ask sees none. */
static void borders(void)
{
    const gid_t groups[] = { CREDS_GROUP, CREDS_GROUP, CREDS_OTHER, CREDS_GROUP };
    for (int asks = 0; asks < 2; asks++) {
        creds_ask(channel[1], asks);
        for (int i = 0; i < 4; i++) {
            CHECK_EQ(2, creds_send(channel[0], "ab", getpid(), 0, groups[i]));
        }
        if (asks) {
            EXPECT_FROM(channel[1], MSG_PEEK, "abab", getpid(), 0, CREDS_GROUP);
            EXPECT_FROM(channel[1], MSG_WAITALL, "abab", getpid(), 0, CREDS_GROUP);
            EXPECT_FROM(channel[1], MSG_PEEK, "ab", getpid(), 0, CREDS_OTHER);
            EXPECT_FROM(channel[1], 0, "ab", getpid(), 0, CREDS_OTHER);
            EXPECT_FROM(channel[1], 0, "ab", getpid(), 0, CREDS_GROUP);
        } else {
            EXPECT(channel[1], 60, 0, "abababab", 0);
        }
    }
    for (int i = 0; i < 4; i++) { /* read() stops there, too, and tells nothing */
        CHECK_EQ(2, creds_send(channel[0], "ab", getpid(), 0, groups[i]));
    }
    CHECK_EQ(4, read(channel[1], (char[16]){ 0 }, 16));
    CHECK_EQ(2, recv(channel[1], (char[16]){ 0 }, 16, 0));
    CHECK_EQ(2, read(channel[1], (char[16]){ 0 }, 16));
    creds_ask(channel[1], 0);
}

/* A long send in pieces: all of them say so. */
static void long_message(void)
{
    static char big[100000];
    struct rights_message message = { .size = 0 };
    creds_ask(channel[1], 1);
    rights_add_creds(&message, getpid(), 0, CREDS_GROUP);
    CHECK_EQ(sizeof big, rights_send(channel[0], big, sizeof big, &message, 0));
    for (size_t have = 0; have < sizeof big;) {
        union message_control control;
        struct ucred credentials;
        struct iovec vector = { .iov_base = big, .iov_len = 7000 };
        struct msghdr header = { .msg_iov = &vector,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof control };
        have += (size_t)CHECK_OK(recvmsg(channel[1], &header, 0));
        CHECK_EQ(CREDS_ROOM, header.msg_controllen);
        memcpy(&credentials, CMSG_DATA(&control.header), sizeof credentials);
        creds_check(__FILE__, __LINE__, &credentials, getpid(), 0, CREDS_GROUP);
    }
    creds_ask(channel[1], 0);
}

int main(void)
{
    guest_start();
    for (int i = 0; i < 2; i++) {
        guest_pair(rights_types[i], channel);
        wrong_sizes();
        wrong_values();
        by_an_ordinary_user();
        several_headers();
        asked_later();
        if (creds_root()) {
            one_of_three();
            if (creds_capable(CAP_SYS_ADMIN)) {
                privileged();
            }
            if (rights_types[i] == SOCK_STREAM) {
                borders();
                long_message();
            }
        }
        guest_close_both(channel);
    }
    return guest_end();
}
