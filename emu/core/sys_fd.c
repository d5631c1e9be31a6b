/*
 * sys_fd.c - closing, copying and asking about descriptors
 *
 * Numbers, limits and close-on-exec are the kernel's: each call is made on the placeholder, and the
 * table follows (fdtab.h). Linux: fs/file.c, fs/fcntl.c:do_fcntl, fs/ioctl.c:do_vfs_ioctl.
 */
#include "async.h"
#include "device.h"
#include "fdtab.h"
#include "pipe.h"
#include "stream.h"
#include "track.h"
#include "vsock_data.h"

#include <errno.h>
#include <sys/ioctl.h>

#define IOCTL_ATMARK   0x8905 /* SIOCATMARK */
#define IOCTL_UNIXFILE 0x89e0 /* SIOCUNIXFILE */

int64_t emu_close(struct emu_task *self, int fd)
{
    return fdtab_close(self, fd);
}

int64_t emu_dup(struct emu_task *self, int fd)
{
    struct description *description = fdtab_get_any(fd);
    int copy;

    if (!description) {
        return EMU_NATIVE;
    }
    FDTAB_CHANGE(self);
    copy = host_dup(fd);
    if (copy >= 0) {
        fdtab_set(self, copy, description_index(description));
    }
    return copy;
}

/* dup2 and dup3 on valid, different numbers of which at least one is emulated. */
static int64_t copy_onto(struct emu_task *self, int fd, int target, int flags, bool dup3)
{
    FDTAB_CHANGE(self);
    struct description *description = fdtab_get_any(fd);
    uint32_t old = fdtab_take(target);
    int rc;

    if (old != ARENA_NONE) {
        fdtab_keep_for_pins(target, old);
    }
    rc = dup3 ? host_dup3(fd, target, flags) : host_dup2(fd, target);
    if (rc < 0) {
        if (old != ARENA_NONE) {
            fdtab_restore(self, target, old);
            fdtab_unref(self, old);
        }
        return rc;
    }
    if (description && (unsigned)target < EMU_MAX_FDS) {
        fdtab_set(self, target, description_index(description));
    } else if (track_is_on()) {
        track_forget(target);
    }
    if (old != ARENA_NONE) {
        fdtab_unref(self, old);
    }
    return rc;
}

int64_t emu_dup2(struct emu_task *self, int fd, int target)
{
    if (fd == target || (!fdtab_present(fd) && !fdtab_present(target))) {
        return EMU_NATIVE;
    }
    return copy_onto(self, fd, target, 0, false);
}

int64_t emu_dup3(struct emu_task *self, int fd, int target, int flags)
{
    if (fd == target || (!fdtab_present(fd) && !fdtab_present(target))) {
        return EMU_NATIVE;
    }
    return copy_onto(self, fd, target, flags, true);
}

static int64_t close_each(struct emu_task *self, unsigned first, unsigned last)
{
    int top = fdtab_top();

    for (int fd = (int)base_min_u32(first, (uint32_t)top); fd < top && (unsigned)fd <= last; fd++) {
        if (fdtab_present(fd)) {
            emu_close(self, fd);
        }
    }
    return 0;
}

int64_t emu_close_range(struct emu_task *self, unsigned int first, unsigned int last, int flags)
{
    if (first > last || (flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) ||
        (flags & CLOSE_RANGE_CLOEXEC)) {
        return EMU_NATIVE;
    }
    close_each(self, first, last);
    return host_close_range(first, last, flags);
}

int64_t emu_closefrom(struct emu_task *self, int first)
{
    unsigned from = first < 0 ? 0 : (unsigned)first;

    close_each(self, from, UINT32_MAX);
    return host_close_range(from, UINT32_MAX, 0);
}

/* Follows the placeholder's status flags. Returns `rc`, or -ENOMEM: O_ASYNC couldn't be set. */
static int64_t refresh_status(struct emu_task *self, int fd, struct description *description,
                              int64_t rc)
{
    int64_t flags = host_fcntl(fd, F_GETFL, 0);

    if (flags < 0) {
        return rc;
    }
    atomic_store(&description->status, (uint32_t)flags & (O_NONBLOCK | O_DIRECT));
    if (EMU_UNLIKELY(async_set(self, description, fd, flags & O_ASYNC) < 0)) {
        host_fcntl(fd, F_SETFL, (unsigned long)flags & ~(unsigned long)O_ASYNC);
        return -ENOMEM;
    }
    return rc;
}

/* The placeholder's owner or signal was set: follows it. */
static int64_t refresh_owner(struct emu_task *self, int fd, struct description *description,
                             int64_t rc)
{
    if (rc >= 0) {
        async_learn_owner(self, description, fd);
    }
    return rc;
}

/* The placeholder takes the size first: EPERM and rounding are its word; EBUSY is ours. */
static int64_t set_pipe_size(struct emu_task *self, int fd, struct description *description,
                             unsigned long size)
{
    int64_t before = host_fcntl(fd, F_GETPIPE_SZ, 0);
    int64_t given = host_fcntl(fd, F_SETPIPE_SZ, size);
    int rc;

    if (given < 0) {
        return given;
    }
    rc = pipe_resize(self, description, (uint32_t)(given / EMU_PAGE));
    if (rc < 0) {
        host_fcntl(fd, F_SETPIPE_SZ, (unsigned long)before);
        return rc;
    }
    return given;
}

static int64_t duplicate(struct emu_task *self, int fd, int command, unsigned long argument)
{
    FDTAB_CHANGE(self);
    struct description *description = fdtab_get_any(fd);
    int64_t copy = description ? host_fcntl(fd, command, argument) : EMU_NATIVE;

    if (copy >= 0 && copy < EMU_MAX_FDS) {
        fdtab_set(self, (int)copy, description_index(description));
    }
    return copy;
}

int64_t emu_fcntl(struct emu_task *self, int fd, int command, unsigned long argument)
{
    struct description *description = fdtab_get(fd);
    int64_t rc;

    if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) {
        return duplicate(self, fd, command, argument);
    }
    if (!description) {
        return EMU_NATIVE;
    }
    if (EMU_UNLIKELY(description_is_device(description))) {
        return device_fcntl(description, command, argument);
    }
    switch (command) {
    case F_SETFL:
        rc = host_fcntl(fd, command, argument);
        return refresh_status(self, fd, description, rc);
    case F_SETOWN:
    case F_SETOWN_EX:
    case F_SETSIG:
        rc = host_fcntl(fd, command, argument);
        return refresh_owner(self, fd, description, rc);
    case F_SETPIPE_SZ:
        if (description_is_socket(description)) {
            return EMU_NATIVE;
        }
        return set_pipe_size(self, fd, description, argument);
    default: return EMU_NATIVE;
    }
}

static int64_t store_int(void *to, int value)
{
    return host_copy(to, &value, sizeof value);
}

/* The requests that AF_VSOCK answers itself, or doesn't know where AF_UNIX does. */
static int64_t vsock_ioctl(const struct description *description, uint32_t request, void *argument)
{
    int64_t size;

    switch (request) {
    case FIONREAD:
    case TIOCOUTQ:
        size = request == FIONREAD ? vsock_unread(description) : vsock_unsent(description);
        return size < 0 ? size : store_int(argument, (int)size);
    case IOCTL_ATMARK:
    case IOCTL_UNIXFILE: return -ENOTTY;
    default: return EMU_NATIVE;
    }
}

int64_t emu_ioctl(struct emu_task *self, int fd, unsigned long request, void *argument)
{
    struct description *description = fdtab_get_call(fd);
    int64_t rc;

    if (!description) {
        return EMU_NATIVE;
    }
    if (EMU_UNLIKELY(description_is_device(description))) {
        return device_ioctl(self, description, request, argument);
    }
    if (description_is_unix_fresh(description) && (request == FIONREAD || request == TIOCOUTQ)) {
        return EMU_NATIVE;
    }
    if (description_is_vsock(description)) {
        rc = vsock_ioctl(description, (uint32_t)request, argument);
        if (rc != EMU_NATIVE) {
            return rc;
        }
    }
    switch ((uint32_t)request) {
    case FIONBIO:
    case FIOASYNC:
        rc = host_ioctl(fd, request, argument);
        return refresh_status(self, fd, description, rc);
    case FIOSETOWN:
    case SIOCSPGRP:
        rc = host_ioctl(fd, request, argument);
        return refresh_owner(self, fd, description, rc);
    case FIONREAD:
        return store_int(argument,
                         (int)(description_is_socket(description) ? stream_unread(description)
                                                                  : pipe_unread(description)));
    case TIOCOUTQ:
        if (!description_is_socket(description)) {
            return EMU_NATIVE;
        }
        return store_int(argument, (int)stream_charged(description));
    default: return EMU_NATIVE;
    }
}
