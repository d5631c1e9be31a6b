/*
 * man2_msg.c - send(2), recv(2) and their kin
 *
 * Descriptors that travel in ancillary data of an emulated socket are the core's matter. Those that
 * travel by a real one leave the emulator: they go native first. Descriptors that arrive are new
 * ones.
 */
#include "wrap.h"

#include "bounds.h"
#include "host.h"

#include <string.h>

/* The rest of a blocked send in the kernel; streams alone can be cut. */
static ssize_t rest(struct emu_task *self, int fd, const void *data, size_t size, int flags)
{
    size_t done = self->progress < size ? self->progress : size;
    long result = 0;

    route_exit(self);
    if (done < size || done == 0) {
        result = RAW6(SYS_sendto, fd, (const char *)data + done, size - done, flags, NULL, 0);
    }
    return route_result(emu_native_result(self, result));
}

ssize_t wrap_send(int fd, const void *data, size_t size, int flags)
{
    ROUTE_TRANSFER(fd, route_enter(), EMULATE(send, fd, data, size, flags),
                   rest(self, fd, data, size, flags),
                   NATIVE6(SYS_sendto, fd, data, size, flags, NULL, 0));
}

ssize_t wrap_sendto(int fd, const void *data, size_t size, int flags,
                    const struct sockaddr *address, socklen_t address_size)
{
    ROUTE_TRANSFER(fd, route_enter(), EMULATE(sendto, fd, data, size, flags, address, address_size),
                   rest(self, fd, data, size, flags),
                   NATIVE6(SYS_sendto, fd, data, size, flags, address, address_size));
}

/* Makes the descriptors of one SCM_RIGHTS message native. */
static int give_fds(struct emu_task *self, const struct cmsghdr *header)
{
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

    for (size_t i = 0; i < count; i++) {
        int fd;

        memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
        if (emu_fd_is_known(fd) && emu_native_one(self, fd) < 0) {
            return -EOPNOTSUPP;
        }
    }
    return 0;
}

/* Ancillary data as the kernel takes it: at most this much (net.core.optmem_max is more). */
#define CONTROL_MAX 4096

__attribute__((noinline)) int message_give_fds(struct emu_task *self, const struct msghdr *message)
{
    _Alignas(struct cmsghdr) char control[CONTROL_MAX];
    struct msghdr copy;
    int rc = 0;

    if (host_copy(&copy, message, sizeof copy) < 0 || copy.msg_controllen > sizeof control ||
        copy.msg_controllen < sizeof(struct cmsghdr) ||
        host_copy(control, copy.msg_control, copy.msg_controllen) < 0) {
        return 0; /* the kernel says what is wrong */
    }
    copy.msg_control = control;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&copy); header && rc == 0;
         header = CMSG_NXTHDR(&copy, header)) {
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
            header->cmsg_len >= CMSG_LEN(0) &&
            header->cmsg_len <= (size_t)(control + copy.msg_controllen - (char *)header)) {
            rc = give_fds(self, header);
        }
    }
    return rc;
}

/* For a message on any socket. Returns 0, or -errno: it can't be sent. */
static int give(int fd, const struct msghdr *messages, size_t stride, unsigned int count)
{
    struct emu_task *self;
    int rc = 0;

    if (!shim.emulates || emu_fd_takes_control(fd)) {
        return 0;
    }
    self = route_enter();
    if (!self) {
        return 0;
    }
    for (unsigned int i = 0; i < count && rc == 0; i++) {
        rc = message_give_fds(self, (const void *)((const char *)messages + i * stride));
    }
    route_exit(self);
    return rc;
}

/* The rest of a blocked sendmsg: its first `done` bytes are through. */
static ssize_t rest_of_message(struct emu_task *self, int fd, const struct msghdr *message,
                               int flags)
{
    struct iovec *iov = message->msg_iov;
    size_t count = message->msg_iovlen;
    size_t done = self->progress;
    struct msghdr left = { 0 };
    long result = 0;

    route_exit(self);
    while (count > 0 && done >= iov->iov_len) {
        done -= iov->iov_len;
        iov++;
        count--;
    }
    if (count > 0 && done > 0) {
        size_t size = iov->iov_len - done;

        result = RAW6(SYS_sendto, fd, (char *)iov->iov_base + done, size, flags, NULL, 0);
        iov++;
        count = result == (long)size ? count - 1 : 0;
    }
    if (count > 0) {
        long more;

        left.msg_iov = iov;
        left.msg_iovlen = count;
        more = RAW3(SYS_sendmsg, fd, &left, flags);
        result = more < 0 && result > 0 ? result : result + more;
    }
    return route_result(emu_native_result(self, result));
}

static ssize_t native_sendmsg(int fd, const struct msghdr *message, int flags)
{
    int rc = give(fd, message, 0, 1);

    return rc < 0 ? route_error(rc) : NATIVE3(SYS_sendmsg, fd, message, flags);
}

ssize_t wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    ROUTE_TRANSFER(fd, route_enter_from(__builtin_return_address(0)),
                   EMULATE(sendmsg, fd, message, flags), rest_of_message(self, fd, message, flags),
                   native_sendmsg(fd, message, flags));
}

static int native_sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags)
{
    int rc = give(fd, &messages->msg_hdr, sizeof *messages, count < 1024 ? count : 1024);

    return rc < 0 ? route_error(rc) : NATIVE4(SYS_sendmmsg, fd, messages, count, flags);
}

/* A vector of 0 is the emulator's on every descriptor: OpenBSD's rules don't look at it. */
int wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags)
{
    if (emu_fd_is_emulated(fd)) {
        route_cancel_point();
    }
    ROUTE(emu_fd_is_emulated(fd) || count == 0, EMULATE(sendmmsg, fd, messages, count, flags),
          native_sendmmsg(fd, messages, count, flags));
}

/* The rest of a blocked MSG_WAITALL in the kernel. */
static ssize_t rest_of_recv(struct emu_task *self, int fd, void *data, size_t size, int flags,
                            struct sockaddr *address, socklen_t *address_size)
{
    size_t done = self->progress < size ? self->progress : size;
    long result;

    route_exit(self);
    result = RAW6(SYS_recvfrom, fd, (char *)data + done, size - done, flags, address, address_size);
    return route_result(emu_native_result(self, result));
}

ssize_t wrap_recvfrom(int fd, void *data, size_t size, int flags, struct sockaddr *address,
                      socklen_t *address_size)
{
    ROUTE_TRANSFER(fd, route_enter(),
                   EMULATE(recvfrom, fd, data, size, flags, address, address_size),
                   rest_of_recv(self, fd, data, size, flags, address, address_size),
                   NATIVE6(SYS_recvfrom, fd, data, size, flags, address, address_size));
}

ssize_t wrap_recv(int fd, void *data, size_t size, int flags)
{
    ROUTE_TRANSFER(fd, route_enter(), EMULATE(recv, fd, data, size, flags),
                   rest_of_recv(self, fd, data, size, flags, NULL, NULL),
                   NATIVE6(SYS_recvfrom, fd, data, size, flags, NULL, NULL));
}

ssize_t wrap_recv_chk(int fd, void *data, size_t size, size_t room, int flags)
{
    if (size > room) {
        __chk_fail();
    }
    return wrap_recv(fd, data, size, flags);
}

ssize_t wrap_recvfrom_chk(int fd, void *data, size_t size, size_t room, int flags,
                          struct sockaddr *address, socklen_t *address_size)
{
    if (size > room) {
        __chk_fail();
    }
    return wrap_recvfrom(fd, data, size, flags, address, address_size);
}

/* Descriptors that came with a message from the kernel are new numbers. */
static void take_fds(struct msghdr *message)
{
    if (!shim.emulates || message->msg_controllen < sizeof(struct cmsghdr)) {
        return;
    }
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
         header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        for (size_t i = 0; i < (header->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
            session_new_fd(fd);
        }
    }
}

static ssize_t native_recvmsg(int fd, struct msghdr *message, int flags)
{
    ssize_t result = NATIVE3(SYS_recvmsg, fd, message, flags);

    if (result >= 0) {
        take_fds(message);
    }
    return result;
}

/* The same for a vector: behind the bytes that are in it already. Not inlined: a large frame. */
__attribute__((noinline)) static ssize_t rest_of_recvmsg(struct emu_task *self, int fd,
                                                         struct msghdr *message, int flags)
{
    size_t count = message->msg_iovlen <= EMU_IOV_MAX ? message->msg_iovlen : EMU_IOV_MAX;
    struct iovec left[EMU_IOV_MAX];
    struct msghdr copy = *message;
    size_t done = self->progress;
    size_t used = 0;
    long result;

    route_exit(self);
    for (size_t i = 0; i < count; i++) {
        struct iovec part = message->msg_iov[i];
        size_t skip = done < part.iov_len ? done : part.iov_len;

        done -= skip;
        part.iov_base = (char *)part.iov_base + skip;
        part.iov_len -= skip;
        left[used] = part;
        used += part.iov_len > 0 ? 1 : 0;
    }
    copy.msg_iov = left;
    copy.msg_iovlen = used;
    result = RAW3(SYS_recvmsg, fd, &copy, flags);
    if (result >= 0) {
        message->msg_namelen = copy.msg_namelen;
        message->msg_controllen = copy.msg_controllen;
        message->msg_flags = copy.msg_flags;
        take_fds(message);
    }
    return route_result(emu_native_result(self, result));
}

ssize_t wrap_recvmsg(int fd, struct msghdr *message, int flags)
{
    ROUTE_TRANSFER(fd, route_enter(), EMULATE(recvmsg, fd, message, flags),
                   rest_of_recvmsg(self, fd, message, flags), native_recvmsg(fd, message, flags));
}

static int native_recvmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags,
                           struct timespec *timeout)
{
    int result = NATIVE5(SYS_recvmmsg, fd, messages, count, flags, timeout);

    for (int i = 0; i < result; i++) {
        take_fds(&messages[i].msg_hdr);
    }
    return result;
}

int wrap_recvmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags,
                  struct timespec *timeout)
{
    if (emu_fd_is_emulated(fd)) {
        route_cancel_point();
    }
    ROUTE(emu_fd_is_emulated(fd) || count == 0,
          EMULATE(recvmmsg, fd, messages, count, flags, timeout),
          native_recvmmsg(fd, messages, count, flags, timeout));
}

#define SYMBOLS_MSG
#include "export.h"
