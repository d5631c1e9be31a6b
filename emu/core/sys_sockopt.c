/*
 * sys_sockopt.c - socket options: the placeholder is a real socket and answers nearly all of them
 *
 * What is stored and what is refused is the kernel's word, so it is right on every version. Here
 * the few options that the emulator itself obeys are mirrored after the kernel has taken them, and
 * the two whose value lives in the emulator are filled in. Linux: net/core/sock.c:sk_setsockopt.
 */
#include "fdtab.h"
#include "stream.h"
#include "vsock.h"
#include "vsock_option.h"

#include <errno.h>

/* Options of newer kernels that the build's headers may lack. */
#define OPT_PASSPIDFD    76 /* SO_PASSPIDFD, 6.5 */
#define OPT_PASSRIGHTS   83 /* SO_PASSRIGHTS, 6.16 */
#define OPT_INQ          84 /* SO_INQ, 6.17 */
#define OPT_RCVTIMEO_NEW 66
#define OPT_SNDTIMEO_NEW 67

/* What is emulated; of AF_VSOCK also a listener, and what was handed over: see is_handed_over(). */
static struct description *find_socket(int fd)
{
    struct description *description = fdtab_get_any(fd);

    return description && description_is_socket(description) &&
                   (description_is_vsock(description) || fdtab_get(fd))
               ? description
               : NULL;
}

/* Of AF_VSOCK, and the kernel's by now: its placeholder answers what doesn't tell the family. */
static bool is_handed_over(const struct description *description)
{
    return atomic_load_explicit(&description->native, memory_order_relaxed) ==
           DESCRIPTION_HANDED_OVER;
}

int64_t emu_getsockopt(struct emu_task *self, int fd, int level, int name, void *ret_value,
                       socklen_t *ret_size)
{
    struct description *description = find_socket(fd);
    socklen_t size;
    int value;
    int rc;

    if (description && description_is_vsock(description)) {
        int64_t answer = vsock_getsockopt(self, description, level, name, ret_value, ret_size);

        if (answer != EMU_NATIVE) {
            return answer;
        }
    }
    if (!description || level != SOL_SOCKET || (name != SO_ERROR && name != SO_PEEK_OFF) ||
        is_handed_over(description)) {
        return EMU_NATIVE;
    }
    rc = host_getsockopt(fd, level, name, ret_value, ret_size); /* judges the arguments */
    if (host_copy(&size, ret_size, sizeof size) < 0) {
        return -EFAULT;
    }
    if (rc < 0) {
        if (rc == -EFAULT && name == SO_ERROR) {
            description_take_error(description); /* before the value is copied: sk_getsockopt() */
        }
        return rc;
    }
    value = name == SO_ERROR
                ? description_take_error(description)
                : atomic_load_explicit(&description->peek_offset, memory_order_relaxed);
    return host_copy(ret_value, &value, base_min_u32(size, sizeof value));
}

/* An int option as the kernel has stored it. */
static int stored(int fd, int name)
{
    int value = 0;
    socklen_t size = sizeof value;

    host_getsockopt(fd, SOL_SOCKET, name, &value, &size);
    return value;
}

/*
 * A time-out as the emulator keeps it: 0 none, -1 at once. The kernel has accepted `value` and
 * rounded it to its tick; a negative one reads back as 0 and can't be told from none there.
 */
static int64_t timeout_ns(int fd, int name, const void *value)
{
    struct {
        int64_t seconds;
        int64_t microseconds;
    } time = { 0, 0 };
    socklen_t size = sizeof time;

    if (host_copy(&time, value, sizeof time) < 0) {
        return 0;
    }
    if (time.seconds < 0) {
        return -1;
    }
    host_getsockopt(fd, SOL_SOCKET, name, &time, &size);
    if (time.seconds > INT64_MAX / 1000000000 - 1) {
        return 0;
    }
    return time.seconds * 1000000000 + time.microseconds * 1000;
}

/* Options that change what a receive returns besides data: the kernel does those. */
static bool needs_kernel(int name)
{
    switch (name) {
    case SO_PASSCRED:
    case SO_PASSSEC:
    case OPT_PASSPIDFD:
    case OPT_PASSRIGHTS:
    case OPT_INQ:
    case SO_TIMESTAMP:
    case SO_TIMESTAMPNS:
    case SO_TIMESTAMPING: return true;
    default: return false;
    }
}

int64_t emu_setsockopt(struct emu_task *self, int fd, int level, int name, const void *value,
                       socklen_t size)
{
    struct description *description = find_socket(fd);
    const int none = -1;
    int rc;

    if (description && description_is_vsock(description)) {
        int64_t answer = vsock_setsockopt(self, fd, description, level, name, value, size);

        if (answer == -ENOPROTOOPT && level == AF_VSOCK) {
            return vsock_private_option(self, fd, description, name, value, size);
        }
        if (answer != EMU_NATIVE) {
            return answer;
        }
    }
    if (level != SOL_SOCKET) {
        return EMU_NATIVE;
    }
    if (needs_kernel(name)) { /* first what was sent, then the option: it asks how it was sent */
        rc = emu_native_one(self, fd);
        return rc < 0 ? rc : EMU_NATIVE;
    }
    if (!description || is_handed_over(description)) {
        return EMU_NATIVE;
    }
    rc = host_setsockopt(fd, level, name, value, size);
    if (rc < 0) {
        return rc;
    }
    switch (name) {
    case SO_SNDBUF:
    case SO_SNDBUFFORCE:
        stream_set_send_buffer(self, description, (uint32_t)stored(fd, SO_SNDBUF));
        break;
    case SO_RCVLOWAT:
        atomic_store(&description->receive_low, (uint32_t)stored(fd, SO_RCVLOWAT));
        break;
    case SO_PEEK_OFF:
        atomic_store(&description->peek_offset, stored(fd, SO_PEEK_OFF));
        host_setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &none, sizeof none); /* until it is native */
        break;
    case SO_RCVTIMEO:
    case OPT_RCVTIMEO_NEW:
        atomic_store(&description->receive_timeout_ns, timeout_ns(fd, name, value));
        break;
    case SO_SNDTIMEO:
    case OPT_SNDTIMEO_NEW:
        atomic_store(&description->send_timeout_ns, timeout_ns(fd, name, value));
        break;
    default: break;
    }
    return 0;
}
