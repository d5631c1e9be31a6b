/*
 * sys_socket.c - socket, socketpair, shutdown: which types are modeled, and what the others answer
 *
 * Linux's own error comes first, so a type that isn't modeled is tried on the kernel before it is
 * refused; but for AF_VSOCK, which is never tried: its errors are those of
 * net/vmw_vsock/af_vsock.c:vsock_create.
 */
#include "capacity.h"
#include "stream.h"
#include "vsock_data.h"

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
    if (family == AF_VSOCK || family == AF_UNIX) {
        return false;
    }
    return !is_inet(family) || type == SOCK_STREAM;
}

static bool is_modeled(int family, int type)
{
    return (family == AF_UNIX || family == AF_VSOCK) &&
           (type == SOCK_STREAM || type == SOCK_SEQPACKET);
}

/* EMU_ACTION_DEFAULT: the emulator's. */
struct verdict {
    enum emu_action action;
    int error;
    bool of_type; /* the policy names this type, not the whole family */
};

/* --policy, then --unmodeled, then the default. */
static struct verdict judge(const struct emu_task *self, int family, int type)
{
    const struct emu_options *options = &self->process->options;
    struct verdict verdict = { EMU_ACTION_DEFAULT, 0, false };

    for (uint32_t i = 0; i < options->policy_count; i++) {
        const struct emu_policy *policy = &options->policy[i];

        if (policy->family == family && (policy->type == -1 || policy->type == type)) {
            verdict = (struct verdict){ policy->action, policy->error, policy->type != -1 };
        }
    }
    if (verdict.action != EMU_ACTION_DEFAULT || is_modeled(family, type)) {
        return verdict;
    }
    if (options->unmodeled != EMU_ACTION_DEFAULT && family != AF_VSOCK) {
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

/* SO_SNDBUF of a new socket: as asked for (--sock-buffer), or the default. */
static uint32_t socket_send_buffer(struct emu_task *self, int fd)
{
    uint32_t chosen = capacity_of_socket(self);
    uint32_t size = chosen / 2; /* the kernel stores the double */
    socklen_t length = sizeof size;

    if (EMU_LIKELY(chosen == 0)) {
        return default_send_buffer(fd);
    }
    host_setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, length);
    if (chosen < EMU_SQUEEZED_SOCKET) { /* the kernel's own is larger */
        return chosen;
    }
    host_getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length);
    return size;
}

static enum description_kind kind_of(int family, int type)
{
    if (family == AF_VSOCK) {
        return (type & TYPE_MASK) == SOCK_STREAM ? DESCRIPTION_VSOCK_STREAM
                                                 : DESCRIPTION_VSOCK_SEQPACKET;
    }
    return (type & TYPE_MASK) == SOCK_STREAM ? DESCRIPTION_STREAM : DESCRIPTION_SEQPACKET;
}

/* A socket that isn't connected yet, over a placeholder of AF_UNIX. */
static int64_t make_socket(struct emu_task *self, int family, int type, int protocol)
{
    FDTAB_CHANGE(self);
    int fd = host_socket(AF_UNIX, type, family == AF_UNIX ? protocol : 0);
    uint32_t index;

    if (fd < 0) {
        return fd;
    }
    emu_fd_invalidate(self, fd);
    if ((unsigned)fd >= EMU_MAX_FDS) {
        host_close(fd);
        return -EMFILE;
    }
    index = description_create_fresh(self, kind_of(family, type), (uint32_t)type & SOCK_NONBLOCK,
                                     socket_send_buffer(self, fd));
    if (index == ARENA_NONE) {
        host_close(fd);
        return -ENFILE;
    }
    if (family == AF_VSOCK) {
        vsock_end_init(&description_at(index)->vsock, self->process->cid);
        vsock_end_limit(&description_at(index)->vsock, capacity_of_credit(self));
    }
    atomic_store_explicit(&description_at(index)->sample_fd, fd, memory_order_relaxed);
    fdtab_set(self, fd, index);
    return fd;
}

/* What isn't modeled: tried on the kernel, but for AF_VSOCK, and refused if that would do it. */
static int64_t refuse_socket(struct emu_task *self, int family, int type, int protocol)
{
    int rc;

    if (family == AF_VSOCK) {
        rc = vsock_error(type, protocol);
        return rc != 0 && rc != ENODEV ? -rc : refuse(self, "socket", family, type, ENOTSUP);
    }
    rc = host_socket(family, type, protocol);
    if (rc >= 0) {
        host_close(rc);
    } else if (rc != -ENODEV && rc != -ENOTSUP) { /* ENOTSUP: --sandbox's filter */
        return rc;
    }
    return refuse(self, "socket", family, type, ENOTSUP);
}

int64_t emu_socket(struct emu_task *self, int family, int type, int protocol)
{
    struct verdict verdict = judge(self, family, type & TYPE_MASK);
    int rc;

    if (family == AF_VSOCK && verdict.action == EMU_ACTION_ERRNO && verdict.of_type) {
        rc = vsock_error(type, protocol); /* a transport is asked after these were judged */
        if (rc == EINVAL || rc == EPROTONOSUPPORT) {
            return -rc;
        }
    }
    switch (verdict.action) {
    case EMU_ACTION_ERRNO: return refuse(self, "socket", family, type, verdict.error);
    case EMU_ACTION_REFUSE: return refuse_socket(self, family, type, protocol);
    case EMU_ACTION_DEFAULT:
        rc = family == AF_VSOCK ? vsock_error(type, protocol) : 0;
        return rc != 0 ? -rc : make_socket(self, family, type, protocol);
    default: break;
    }
    rc = host_socket(family, type, protocol);
    if (rc < 0) {
        return rc;
    }
    emu_fd_invalidate(self, rc);
    emu_report_add(self, EMU_REPORT_NATIVE, "socket", family, type & TYPE_MASK, 0);
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

/*
 * No pair of AF_VSOCK is ever made; but __sys_socketpair() takes two numbers and stores them before
 * it asks the family, and so does a pair of AF_UNIX, made and closed again.
 */
static int64_t vsock_pair(struct emu_task *self, int type, int protocol, int *ret_fds)
{
    int error = vsock_error(type, protocol);
    int fds[2];
    int rc;

    if ((type & ~TYPE_MASK) & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) {
        return -EINVAL;
    }
    rc = host_socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_fds);
    if (rc < 0 || host_copy(fds, ret_fds, sizeof fds) < 0) {
        return rc;
    }
    host_close(fds[0]);
    host_close(fds[1]);
    if (error == ENODEV) {
        return refuse(self, "socketpair", AF_VSOCK, type, ENOTSUP);
    }
    return error != 0 ? -error : -EOPNOTSUPP;
}

int64_t emu_socketpair(struct emu_task *self, int family, int type, int protocol, int *ret_fds)
{
    int kind = type & TYPE_MASK;
    struct verdict verdict = judge(self, family, kind);
    int fds[2];
    int rc;

    if (verdict.action == EMU_ACTION_ERRNO) {
        return refuse(self, "socketpair", family, type, verdict.error);
    }
    if (family == AF_VSOCK && verdict.action != EMU_ACTION_NATIVE) {
        return vsock_pair(self, type, protocol, ret_fds);
    }
    FDTAB_CHANGE(self);
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
    if (verdict.action == EMU_ACTION_DEFAULT) {
        socket_send_buffer(self, fds[1]);
        rc = make_pair(self, fds, kind_of(family, type), (uint32_t)type & SOCK_NONBLOCK,
                       socket_send_buffer(self, fds[0]));
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

/* Whoever handed the channel over meanwhile may have looked before we shut it. */
static int64_t shut_native(int fd, const struct description *description, int how, int64_t result)
{
    if (result == 0 && EMU_UNLIKELY(atomic_load(&description->native) == DESCRIPTION_HANDED_OVER) &&
        fdtab_get_any(fd) == description) {
        host_shutdown(fd, how);
    }
    return result;
}

int64_t emu_shutdown(struct emu_task *self, int fd, int how)
{
    struct description *description = fdtab_get_call(fd);

    if (!description || !description_is_socket(description) || how < SHUT_RD || how > SHUT_RDWR) {
        return EMU_NATIVE; /* ENOTSOCK and EINVAL are the placeholder's to say */
    }
    if (description_is_vsock(description)) {
        return shut_native(fd, description, how, vsock_shutdown(self, description, how));
    }
    if (description_is_unix_fresh(description)) { /* what it means for a later connect() */
        int rc = emu_native_one(self, fd);

        return rc < 0 ? rc : EMU_NATIVE;
    }
    stream_shutdown(self, description, how);
    return shut_native(fd, description, how, 0);
}
