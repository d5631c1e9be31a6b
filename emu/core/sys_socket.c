/*
 * sys_socket.c - socket, socketpair, shutdown: which types are modeled, and what the others answer
 *
 * Linux's own error comes first, so a type that isn't modeled is tried on the kernel before it is
 * refused; but for AF_VSOCK, which is never tried: its errors are those of
 * net/vmw_vsock/af_vsock.c:vsock_create.
 */
#include "stream.h"

#include <errno.h>

#define TYPE_MASK      0xf /* SOCK_TYPE_MASK */
#define VSOCK_PROTOCOL 40

static bool is_inet(int family)
{
    return family == AF_INET || family == AF_INET6;
}

/* Whether socket() makes a type that stays with the kernel by default. */
static bool native_by_default(int family, int type)
{
    if (family == AF_VSOCK) {
        return false;
    }
    if (family == AF_UNIX) {
        return type == SOCK_STREAM || type == SOCK_SEQPACKET;
    }
    return !is_inet(family) || type == SOCK_STREAM;
}

struct verdict {
    enum emu_action action;
    int error;
};

/* --policy, then --unmodeled, then the default. */
static struct verdict judge(const struct emu_task *self, int family, int type)
{
    const struct emu_options *options = &self->process->options;
    struct verdict verdict = { EMU_ACTION_DEFAULT, 0 };

    for (uint32_t i = 0; i < options->policy_count; i++) {
        const struct emu_policy *policy = &options->policy[i];

        if (policy->family == family && (policy->type == -1 || policy->type == type)) {
            verdict = (struct verdict){ policy->action, policy->error };
        }
    }
    if (verdict.action != EMU_ACTION_DEFAULT) {
        return verdict;
    }
    if (options->unmodeled != EMU_ACTION_DEFAULT && family != AF_VSOCK &&
        !(family == AF_UNIX && (type == SOCK_STREAM || type == SOCK_SEQPACKET))) {
        verdict.action = options->unmodeled;
    } else {
        verdict.action = native_by_default(family, type) ? EMU_ACTION_NATIVE : EMU_ACTION_REFUSE;
    }
    return verdict;
}

/* What Linux says of socket(AF_VSOCK, ...), as an errno; 0 or ENODEV: it might have gone on. */
static int vsock_error(int type, int protocol)
{
    if ((type & ~TYPE_MASK) & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) {
        return EINVAL;
    }
    if ((type & TYPE_MASK) > 10) {
        return EINVAL;
    }
    if (protocol != 0 && protocol != VSOCK_PROTOCOL) {
        return EPROTONOSUPPORT;
    }
    switch (type & TYPE_MASK) {
    case SOCK_STREAM:
    case SOCK_SEQPACKET: return 0;
    case SOCK_DGRAM: return ENODEV;
    default: return ESOCKTNOSUPPORT;
    }
}

static int64_t refuse(struct emu_task *self, const char *call, int family, int type, int error)
{
    emu_report_add(self, EMU_REPORT_REFUSED, call, family, type & TYPE_MASK, error);
    return -error;
}

int64_t emu_socket(struct emu_task *self, int family, int type, int protocol)
{
    struct verdict verdict = judge(self, family, type & TYPE_MASK);
    int rc;

    if (verdict.action == EMU_ACTION_ERRNO) {
        return refuse(self, "socket", family, type, verdict.error);
    }
    if (family == AF_VSOCK && verdict.action == EMU_ACTION_REFUSE) {
        rc = vsock_error(type, protocol);
        return rc != 0 && rc != ENODEV ? -rc : refuse(self, "socket", family, type, ENOTSUP);
    }
    rc = host_socket(family, type, protocol);
    if (rc < 0 && (rc != -ENODEV || verdict.action != EMU_ACTION_REFUSE)) {
        return rc;
    }
    if (verdict.action == EMU_ACTION_REFUSE) {
        if (rc >= 0) {
            host_close(rc);
        }
        return refuse(self, "socket", family, type, ENOTSUP);
    }
    emu_fd_invalidate(self, rc);
    if (family != AF_UNIX) { /* AF_UNIX counts when it is bound or connected */
        emu_report_add(self, EMU_REPORT_NATIVE, "socket", family, type & TYPE_MASK, 0);
    }
    return rc;
}

/* Two ends over two bufs. Returns 0, or -ENFILE and nothing is left. */
static int make_pair(struct emu_task *self, const int fds[2], enum description_kind kind,
                     uint32_t status, uint32_t limit)
{
    uint32_t slot = self->process->slot;
    uint32_t one = buf_create(slot, EMU_PAGE * EMU_PIPE_SLOTS, limit, (uint8_t)kind);
    uint32_t two = one == ARENA_NONE
                       ? ARENA_NONE
                       : buf_create(slot, EMU_PAGE * EMU_PIPE_SLOTS, limit, (uint8_t)kind);
    const struct description_plan plans[2] = { { kind, one, two, status },
                                               { kind, two, one, status } };
    uint32_t ends[2];

    if (two == ARENA_NONE) {
        if (one != ARENA_NONE) {
            buf_discard(self, one);
        }
        return -ENFILE;
    }
    if (description_create_pair(self, plans, ends) < 0) {
        return -ENFILE;
    }
    for (int i = 0; i < 2; i++) {
        atomic_store_explicit(&description_at(ends[i])->sample_fd, fds[i], memory_order_relaxed);
        fdtab_set(self, fds[i], ends[i]);
    }
    return 0;
}

/* net.core.wmem_default as this socket got it; asked once, it hardly ever changes. */
static uint32_t default_send_buffer(int fd)
{
    static _Atomic uint32_t known;
    uint32_t size = atomic_load_explicit(&known, memory_order_relaxed);
    socklen_t length = sizeof size;

    if (size == 0) {
        if (host_getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length) < 0) {
            size = 212992;
        }
        atomic_store_explicit(&known, size, memory_order_relaxed);
    }
    return size;
}

/* SO_SNDBUF of both ends of a new pair: as asked for (--sock-buffer), or the default. */
static uint32_t send_buffer(const struct emu_task *self, const int fds[2])
{
    uint32_t size = self->process->options.sock_buffer / 2; /* the kernel stores the double */
    socklen_t length = sizeof size;

    if (EMU_LIKELY(size == 0)) {
        return default_send_buffer(fds[0]);
    }
    host_setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, length);
    host_setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, length);
    host_getsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, &length);
    return size;
}

static int64_t vsock_pair(struct emu_task *self, int type, int protocol)
{
    int error = vsock_error(type, protocol);

    if (error == ENODEV) {
        return refuse(self, "socketpair", AF_VSOCK, type, ENOTSUP);
    }
    return error != 0 ? -error : -EOPNOTSUPP;
}

int64_t emu_socketpair(struct emu_task *self, int family, int type, int protocol, int *ret_fds)
{
    int kind = type & TYPE_MASK;
    bool modeled = family == AF_UNIX && (kind == SOCK_STREAM || kind == SOCK_SEQPACKET);
    struct verdict verdict = judge(self, family, kind);
    bool by_policy = false;
    int fds[2];
    int rc;

    for (uint32_t i = 0; i < self->process->options.policy_count; i++) {
        const struct emu_policy *policy = &self->process->options.policy[i];

        by_policy |= policy->family == family && (policy->type == -1 || policy->type == kind);
    }
    if (verdict.action == EMU_ACTION_ERRNO) {
        return refuse(self, "socketpair", family, type, verdict.error);
    }
    if (family == AF_VSOCK && verdict.action == EMU_ACTION_REFUSE) {
        return vsock_pair(self, type, protocol);
    }
    rc = host_socketpair(family, type, protocol, ret_fds); /* the guest's array, as the kernel */
    if (rc < 0) {
        return rc;
    }
    rc = host_copy(fds, ret_fds, sizeof fds);
    if (rc < 0) {
        return rc; /* another thread took the array away: the numbers are lost, as in Linux */
    }
    emu_fd_invalidate(self, fds[0]);
    emu_fd_invalidate(self, fds[1]);
    if (modeled && !by_policy) {
        rc = make_pair(self, fds, kind == SOCK_STREAM ? DESCRIPTION_STREAM : DESCRIPTION_SEQPACKET,
                       (uint32_t)type & SOCK_NONBLOCK, send_buffer(self, fds));
    } else if (verdict.action == EMU_ACTION_REFUSE) {
        rc = (int)refuse(self, "socketpair", family, type, ENOTSUP);
    } else {
        emu_report_add(self, EMU_REPORT_NATIVE, "socketpair", family, kind, 0);
    }
    if (rc < 0) {
        host_close(fds[0]);
        host_close(fds[1]);
    }
    return rc;
}

int64_t emu_shutdown(struct emu_task *self, int fd, int how)
{
    struct description *description = fdtab_get(fd);

    if (!description || !description_is_socket(description) || how < SHUT_RD || how > SHUT_RDWR) {
        return EMU_NATIVE; /* ENOTSOCK and EINVAL are the placeholder's to say */
    }
    stream_shutdown(self, description, how);
    return 0;
}
