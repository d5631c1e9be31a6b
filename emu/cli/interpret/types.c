/*
 * types.c - the C structs that scripts spell as {name=value, ...}, as tables
 */
#include "interpret/types.h"

#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>

#define FIELD(type, name, role, sent, received, companion)                                   \
    {                                                                                        \
#        name, offsetof(type, name), sizeof(((type *)0)->name), false, role, sent, received, \
            companion                                                                        \
    }
#define SIGNED(type, name, sent, received)                                                         \
    {                                                                                              \
#        name, offsetof(type, name), sizeof(((type *)0)->name), true, ROLE_NUMBER, sent, received, \
            NULL                                                                                   \
    }
#define NUMBER(type, name, sent, received) FIELD(type, name, ROLE_NUMBER, sent, received, NULL)
#define TYPE(tag, fields)                                                      \
    {                                                                          \
#        tag, sizeof(struct tag), fields, sizeof(fields) / sizeof((fields)[0]) \
    }

static const struct field iovec_fields[] = {
    FIELD(struct iovec, iov_base, ROLE_BUFFER, IN, OUT, "iov_len"),
    NUMBER(struct iovec, iov_len, IN, IN),
};
const struct type type_iovec = TYPE(iovec, iovec_fields);

static const struct field msghdr_fields[] = {
    FIELD(struct msghdr, msg_name, ROLE_ADDRESS, IN, OUT, "msg_namelen"),
    NUMBER(struct msghdr, msg_namelen, IN, INOUT),
    FIELD(struct msghdr, msg_iov, ROLE_VECTOR, IN, OUT, "msg_iovlen"),
    NUMBER(struct msghdr, msg_iovlen, IN, IN),
    FIELD(struct msghdr, msg_control, ROLE_CONTROL, IN, OUT, "msg_controllen"),
    NUMBER(struct msghdr, msg_controllen, IN, INOUT),
    SIGNED(struct msghdr, msg_flags, IN, OUT),
};
const struct type type_msghdr = TYPE(msghdr, msghdr_fields);

static const struct field mmsghdr_fields[] = {
    FIELD(struct mmsghdr, msg_hdr, ROLE_MESSAGE, IN, IN, NULL),
    NUMBER(struct mmsghdr, msg_len, OUT, OUT),
};
const struct type type_mmsghdr = TYPE(mmsghdr, mmsghdr_fields);

static const struct field pollfd_fields[] = {
    SIGNED(struct pollfd, fd, IN, IN),
    SIGNED(struct pollfd, events, IN, IN),
    NUMBER(struct pollfd, revents, OUT, OUT),
};
const struct type type_pollfd = TYPE(pollfd, pollfd_fields);

static const struct field epoll_event_fields[] = {
    NUMBER(struct epoll_event, events, IN, OUT),
    NUMBER(struct epoll_event, data, IN, OUT), /* as one number: u64 */
};
const struct type type_epoll_event = TYPE(epoll_event, epoll_event_fields);

static const struct field timespec_fields[] = {
    SIGNED(struct timespec, tv_sec, IN, ASKED),
    SIGNED(struct timespec, tv_nsec, IN, ASKED),
};
const struct type type_timespec = TYPE(timespec, timespec_fields);

static const struct field timeval_fields[] = {
    SIGNED(struct timeval, tv_sec, IN, ASKED),
    SIGNED(struct timeval, tv_usec, IN, ASKED),
};
const struct type type_timeval = TYPE(timeval, timeval_fields);

static const struct field stat_fields[] = {
    NUMBER(struct stat, st_dev, IN, ASKED),    NUMBER(struct stat, st_ino, IN, ASKED),
    NUMBER(struct stat, st_mode, IN, ASKED),   NUMBER(struct stat, st_nlink, IN, ASKED),
    NUMBER(struct stat, st_uid, IN, ASKED),    NUMBER(struct stat, st_gid, IN, ASKED),
    SIGNED(struct stat, st_size, IN, ASKED),   SIGNED(struct stat, st_blksize, IN, ASKED),
    SIGNED(struct stat, st_blocks, IN, ASKED),
};
const struct type type_stat = TYPE(stat, stat_fields);

static const struct field rlimit_fields[] = {
    NUMBER(struct rlimit, rlim_cur, IN, ASKED),
    NUMBER(struct rlimit, rlim_max, IN, ASKED),
};
const struct type type_rlimit = TYPE(rlimit, rlimit_fields);

/* Of AF_UNIX and of AF_VSOCK, over each other. */
static const struct field sockaddr_fields[] = {
    { "sa_family", offsetof(struct sockaddr_un, sun_family), sizeof(sa_family_t), false,
      ROLE_NUMBER, IN, ASKED, NULL },
    FIELD(struct sockaddr_un, sun_path, ROLE_TEXT, IN, ASKED, NULL),
    NUMBER(struct sockaddr_vm, svm_port, IN, ASKED),
    NUMBER(struct sockaddr_vm, svm_cid, IN, ASKED),
    NUMBER(struct sockaddr_vm, svm_flags, IN, ASKED),
};
const struct type type_sockaddr = TYPE(sockaddr_un, sockaddr_fields);

static const struct field linger_fields[] = {
    SIGNED(struct linger, l_onoff, IN, ASKED),
    SIGNED(struct linger, l_linger, IN, ASKED),
};
static const struct type type_linger = TYPE(linger, linger_fields);

static const struct field ucred_fields[] = {
    SIGNED(struct ucred, pid, IN, ASKED),
    NUMBER(struct ucred, uid, IN, ASKED),
    NUMBER(struct ucred, gid, IN, ASKED),
};
static const struct type type_ucred = TYPE(ucred, ucred_fields);

static const struct field flock_fields[] = {
    SIGNED(struct flock, l_type, IN, ASKED),  SIGNED(struct flock, l_whence, IN, ASKED),
    SIGNED(struct flock, l_start, IN, ASKED), SIGNED(struct flock, l_len, IN, ASKED),
    SIGNED(struct flock, l_pid, IN, ASKED),
};
static const struct type type_flock = TYPE(flock, flock_fields);

static const struct field siginfo_fields[] = {
    SIGNED(siginfo_t, si_signo, IN, ASKED),
    SIGNED(siginfo_t, si_errno, IN, ASKED),
    SIGNED(siginfo_t, si_code, IN, ASKED),
    { "si_fd", offsetof(siginfo_t, si_fd), sizeof(int), true, ROLE_NUMBER, IN, ASKED, NULL },
    { "si_band", offsetof(siginfo_t, si_band), sizeof(long), true, ROLE_NUMBER, IN, ASKED, NULL },
};
const struct type type_siginfo = { "siginfo_t", sizeof(siginfo_t), siginfo_fields,
                                   sizeof(siginfo_fields) / sizeof(siginfo_fields[0]) };

const struct field *type_field(const struct type *type, const char *name)
{
    for (size_t i = 0; i < type->field_count; i++) {
        if (strcmp(type->fields[i].name, name) == 0)
            return &type->fields[i];
    }
    return NULL;
}

const struct type *type_infer(const struct expr *expr)
{
    static const struct type *const types[] = { &type_timeval,  &type_timespec, &type_linger,
                                                &type_ucred,    &type_flock,    &type_pollfd,
                                                &type_sockaddr, &type_siginfo };

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        size_t known = 0;

        while (known < expr->count && type_field(types[i], expr->fields[known]))
            known++;
        if (known == expr->count)
            return types[i];
    }
    return NULL;
}
