/*
 * vsock_option.c - see vsock_option.h
 */
#include "vsock_option.h"

#include "vsock_data.h"

#include <errno.h>
#include <limits.h>
#include <linux/vm_sockets.h>

/* Options of newer kernels that the build's headers may lack. */
#define OPT_PEERPIDFD  77 /* SO_PEERPIDFD, 6.5 */
#define OPT_PASSPIDFD  76 /* SO_PASSPIDFD, 6.5 */
#define OPT_PASSRIGHTS 83 /* SO_PASSRIGHTS, 6.16 */
#define OPT_INQ        84 /* SO_INQ, 6.17 */

/* A tick of the kernel's clock, which the connect time-out is rounded up to: CONFIG_HZ=250. */
#define TICK_US 4000ull
#define HZ      (1000000 / TICK_US)

/* struct __kernel_sock_timeval, and __kernel_old_timeval on x86-64. */
struct time_value {
    int64_t seconds;
    int64_t microseconds;
};

/* COPY_IN: 0, -EINVAL, -EFAULT. */
static int import(void *to, size_t needed, const void *value, socklen_t size)
{
    if (size < needed) {
        return -EINVAL;
    }
    return host_copy(to, value, needed) < 0 ? -EFAULT : 0;
}

/* ---- Level AF_VSOCK ---- */

/* Both ends' credit follows, and the new size is told, which also reports (notify_buffer_size). */
static void tell_size(struct emu_task *self, struct description *description)
{
    struct description *peer = description_peer(description);

    if (!description_is_connected(description)) {
        return; /* said when it is connected */
    }
    if (peer) {
        vsock_set_credit(self, description, peer);
    }
    vsock_report(self, description, UINT32_MAX);
}

/* vsock_update_buffer_size(); where min > max, max wins. */
static void update_size(struct emu_task *self, struct description *description, uint64_t size)
{
    struct vsock_end *end = &description->vsock;
    uint64_t before = atomic_load(&end->buffer_size);
    uint64_t min = atomic_load(&end->buffer_min);
    uint64_t max = atomic_load(&end->buffer_max);

    size = size < min ? min : size;
    size = size > max ? max : size;
    if (size == before) {
        return;
    }
    if (vsock_has_transport(description)) {
        size = base_min_u64(size, UINT32_MAX); /* VIRTIO_VSOCK_MAX_BUF_SIZE */
    }
    atomic_store(&end->buffer_size, size);
    tell_size(self, description);
}

static int64_t set_timeout(struct vsock_end *end, const void *value, socklen_t size)
{
    struct time_value time;
    uint64_t ticks;
    int rc = import(&time, sizeof time, value, size);

    if (rc < 0) {
        return rc;
    }
    if (time.seconds < 0 || time.microseconds >= 1000000 ||
        time.seconds >= LONG_MAX / (int64_t)HZ - 1) {
        return -ERANGE;
    }
    ticks = (uint64_t)time.seconds * HZ + ((uint64_t)time.microseconds + TICK_US - 1) / TICK_US;
    if (ticks == 0) {
        ticks = 2 * HZ; /* VSOCK_DEFAULT_CONNECT_TIMEOUT */
    }
    atomic_store(&end->connect_timeout_ns,
                 base_min_u64(ticks, INT64_MAX / (TICK_US * 1000)) * TICK_US * 1000);
    return 0;
}

static int64_t set_vsock(struct emu_task *self, struct description *description, int name,
                         const void *value, socklen_t size)
{
    struct vsock_end *end = &description->vsock;
    uint64_t number = 0;
    int rc;

    switch (name) {
    case SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD:
    case SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW: return set_timeout(end, value, size);
    case SO_VM_SOCKETS_BUFFER_SIZE:
    case SO_VM_SOCKETS_BUFFER_MIN_SIZE:
    case SO_VM_SOCKETS_BUFFER_MAX_SIZE: break;
    default: return -ENOPROTOOPT;
    }
    rc = import(&number, sizeof number, value, size);
    if (rc < 0) {
        return rc;
    }
    if (name == SO_VM_SOCKETS_BUFFER_SIZE) {
        update_size(self, description, number);
        return 0;
    }
    atomic_store(name == SO_VM_SOCKETS_BUFFER_MIN_SIZE ? &end->buffer_min : &end->buffer_max,
                 number);
    update_size(self, description, atomic_load(&end->buffer_size));
    return 0;
}

/* Stores what there is room for, and its size. 0, -EFAULT, -EINVAL. */
static int64_t give(const void *from, socklen_t size, void *ret_value, socklen_t *ret_size)
{
    socklen_t room;

    if (host_copy(&room, ret_size, sizeof room) < 0) {
        return -EFAULT;
    }
    if ((int)room < 0) {
        return -EINVAL;
    }
    size = base_min_u32(size, room);
    if (host_copy(ret_value, from, size) < 0) {
        return -EFAULT;
    }
    return host_copy(ret_size, &size, sizeof size);
}

static int64_t give_int(int value, void *ret_value, socklen_t *ret_size)
{
    return give(&value, sizeof value, ret_value, ret_size);
}

static int64_t get_vsock(const struct vsock_end *end, int name, void *ret_value,
                         socklen_t *ret_size)
{
    uint64_t us = atomic_load(&end->connect_timeout_ns) / 1000;
    const struct time_value time = { (int64_t)(us / 1000000), (int64_t)(us % 1000000) };
    const void *from = &time;
    socklen_t size = sizeof time;
    uint64_t number = 0;
    int room;

    if (host_copy(&room, ret_size, sizeof room) < 0) {
        return -EFAULT;
    }
    switch (name) {
    case SO_VM_SOCKETS_BUFFER_SIZE: number = atomic_load(&end->buffer_size); break;
    case SO_VM_SOCKETS_BUFFER_MIN_SIZE: number = atomic_load(&end->buffer_min); break;
    case SO_VM_SOCKETS_BUFFER_MAX_SIZE: number = atomic_load(&end->buffer_max); break;
    case SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD:
    case SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW: break;
    default: return -ENOPROTOOPT;
    }
    if (name != SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD && name != SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW) {
        from = &number;
        size = sizeof number;
    }
    return room < (int)size ? -EINVAL : give(from, size, ret_value, ret_size);
}

/* ---- SOL_SOCKET ---- */

static int64_t set_zerocopy(struct description *description, const void *value, socklen_t size)
{
    int on = 0;
    int rc = import(&on, sizeof on, value, size);

    if (rc < 0) {
        return rc;
    }
    if (on < 0 || on > 1) {
        return -EINVAL;
    }
    if (vsock_has_transport(description)) {
        return -EOPNOTSUPP; /* it can't: vsock_msgzerocopy_allow() */
    }
    if (on) {
        atomic_fetch_or(&description->vsock.flags, VSOCK_ZEROCOPY);
    } else {
        atomic_fetch_and(&description->vsock.flags, ~(uint32_t)VSOCK_ZEROCOPY);
    }
    return 0;
}

/* A stream's is bounded by its buffer; a larger one than what is unread reports. */
static int64_t set_receive_low(struct emu_task *self, int fd, struct description *description,
                               int low, const void *value, socklen_t size)
{
    bool stream = description->kind == DESCRIPTION_VSOCK_STREAM;
    int rc;

    low = low < 0 ? INT_MAX : low;
    if (stream && (uint64_t)low > atomic_load(&description->vsock.buffer_size)) {
        return -EINVAL;
    }
    rc = host_setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, value, size);
    if (rc < 0) {
        return rc;
    }
    if (stream && description_is_connected(description)) {
        vsock_report(self, description, (uint32_t)low);
    }
    atomic_store(&description->receive_low, low == 0 ? 1 : (uint32_t)low);
    return 0;
}

static int64_t set_general(struct emu_task *self, int fd, struct description *description, int name,
                           const void *value, socklen_t size)
{
    int number;
    int rc;

    switch (name) {
    case SO_ZEROCOPY: return set_zerocopy(description, value, size);
    case SO_RCVLOWAT:
    case SO_PASSCRED:
    case SO_PASSSEC:
    case SO_PEEK_OFF:
    case OPT_PASSPIDFD:
    case OPT_PASSRIGHTS:
    case OPT_INQ: break;
    /* The flow doesn't ask for it, and time stamps don't come with the data. */
    case SO_SNDBUF:
    case SO_SNDBUFFORCE:
    case SO_TIMESTAMP:
    case SO_TIMESTAMPNS:
    case SO_TIMESTAMPING: return host_setsockopt(fd, SOL_SOCKET, name, value, size);
    default: return EMU_NATIVE;
    }
    rc = import(&number, sizeof number, value, size);
    if (rc < 0) {
        return rc;
    }
    if (name == SO_RCVLOWAT) {
        return set_receive_low(self, fd, description, number, value, size);
    }
    return name == OPT_INQ ? -ENOPROTOOPT : -EOPNOTSUPP;
}

/* SO_PEERNAME: never with less room than it fills. */
static int64_t get_peer_name(const struct description *description, void *ret_value,
                             socklen_t *ret_size)
{
    struct sockaddr_vm name = { .svm_family = AF_VSOCK };
    int room;

    if (host_copy(&room, ret_size, sizeof room) < 0) {
        return -EFAULT;
    }
    if (atomic_load(&description->vsock.sock) != VSOCK_CONNECTED) {
        return -ENOTCONN;
    }
    if (room > (int)sizeof name) {
        return -EINVAL;
    }
    name.svm_cid = atomic_load(&description->vsock.remote_cid);
    name.svm_port = atomic_load(&description->vsock.remote_port);
    return give(&name, sizeof name, ret_value, ret_size);
}

static int64_t get_general(struct emu_task *self, const struct description *description, int name,
                           void *ret_value, socklen_t *ret_size)
{
    const struct ucred nobody = { 0, (uid_t)-1, (gid_t)-1 };

    switch (name) {
    case SO_DOMAIN: return give_int(AF_VSOCK, ret_value, ret_size);
    case SO_PROTOCOL: return give_int(0, ret_value, ret_size);
    case SO_PEERCRED: return give(&nobody, sizeof nobody, ret_value, ret_size);
    case SO_PEERNAME: return get_peer_name(description, ret_value, ret_size);
    case SO_ZEROCOPY:
        return give_int((atomic_load(&description->vsock.flags) & VSOCK_ZEROCOPY) != 0, ret_value,
                        ret_size);
    case SO_PEERGROUPS:
    case OPT_PEERPIDFD: return -ENODATA;
    case SO_PASSCRED:
    case SO_PASSSEC:
    case SO_PEEK_OFF:
    case OPT_PASSPIDFD:
    case OPT_PASSRIGHTS: return -EOPNOTSUPP;
    case OPT_INQ: return -ENOPROTOOPT;
    case SO_ERROR: vsock_mind_clock(self); return EMU_NATIVE;
    default: return EMU_NATIVE;
    }
}

int64_t vsock_setsockopt(struct emu_task *self, int fd, struct description *description, int level,
                         int name, const void *value, socklen_t size)
{
    if ((int)size < 0) {
        return -EINVAL;
    }
    if (level == SOL_SOCKET) {
        return set_general(self, fd, description, name, value, size);
    }
    return level == AF_VSOCK ? set_vsock(self, description, name, value, size) : -ENOPROTOOPT;
}

int64_t vsock_getsockopt(struct emu_task *self, const struct description *description, int level,
                         int name, void *ret_value, socklen_t *ret_size)
{
    if (level == SOL_SOCKET) {
        return get_general(self, description, name, ret_value, ret_size);
    }
    return level == AF_VSOCK ? get_vsock(&description->vsock, name, ret_value, ret_size)
                             : -ENOPROTOOPT;
}
