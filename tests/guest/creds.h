/*
 * creds.h: who wrote what, for the guests of SO_PASSCRED, SCM_CREDENTIALS and SO_PEERCRED
 *
 * Who isn't root can't lie and can't become another user: creds_root() says which of the two a
 * test can ask for.
 */
#ifndef GUEST_CREDS_H
#define GUEST_CREDS_H

#include <linux/capability.h>

#include "rights.h"

enum {
    CREDS_NOBODY = 65534, /* overflowuid: who is told when nobody was recorded */
    CREDS_USER = 4711,    /* users and groups that needn't exist */
    CREDS_GROUP = 4712,
    CREDS_OTHER = 4713,
};

#define CREDS_CONTROL (CREDS_ROOM + RIGHTS_ROOM(4))

static inline bool creds_root(void)
{
    return geteuid() == 0;
}

/* In effect now; a container's root may lack it. */
static inline bool creds_capable(unsigned capability)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    CHECK_OK(syscall(SYS_capget, &header, data));
    return (data[capability / 32].effective & 1U << capability % 32) != 0;
}

static inline void creds_ask(int fd, int on)
{
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
}

static inline ssize_t creds_send(int fd, const char *text, pid_t pid, uid_t uid, gid_t gid)
{
    struct rights_message message = { .size = 0 };
    rights_add_creds(&message, pid, uid, gid);
    return rights_send(fd, text, strlen(text), &message, 0);
}

static inline void creds_check(const char *file, int line, const struct ucred *actual, pid_t pid,
                               uid_t uid, gid_t gid)
{
    guest_check_eq(file, line, "pid", pid, actual->pid);
    guest_check_eq(file, line, "uid", uid, actual->uid);
    guest_check_eq(file, line, "gid", gid, actual->gid);
}

/* Receives so much text, and nothing but it and who wrote it. */
static inline void creds_expect(const char *file, int line, int fd, int flags, const char *text,
                                pid_t pid, uid_t uid, gid_t gid)
{
    struct message_received received;
    message_receive(fd, sizeof received.data, CREDS_CONTROL, flags, &received);
    rights_check_text(file, line, text, &received);
    guest_check_eq(file, line, "credentials", true, received.has_credentials);
    creds_check(file, line, &received.credentials, pid, uid, gid);
    guest_check_eq(file, line, "flags", 0, received.flags);
    guest_check_eq(file, line, "control", CREDS_ROOM, (long long)received.control_size);
}

#define EXPECT_FROM(fd, flags, text, pid, uid, gid) \
    creds_expect(__FILE__, __LINE__, (fd), (flags), (text), (pid), (uid), (gid))
/* ... by this user. */
#define EXPECT_FROM_PROCESS(fd, text, pid) EXPECT_FROM(fd, 0, text, pid, getuid(), getgid())
#define EXPECT_FROM_NOBODY(fd, text)       EXPECT_FROM(fd, 0, text, 0, CREDS_NOBODY, CREDS_NOBODY)

#endif
