/*
 * sys_device.c - /dev/vsock: whose it is, and how a number becomes a descriptor of it
 *
 * The path is the shim's matter. It opens a stand-in with the guest's flags, so that every error of
 * open(2) and the number are the kernel's, and hands the number over.
 */
#include "device.h"
#include "fdtab.h"

#include <errno.h>

enum emu_device emu_device_policy(const struct emu_task *self)
{
    const struct emu_options *options = &self->process->options;
    enum emu_action action = EMU_ACTION_DEFAULT;

    for (uint32_t i = 0; i < options->policy_count; i++) {
        if (options->policy[i].family == AF_VSOCK && options->policy[i].type == -1) {
            action = options->policy[i].action;
        }
    }
    switch (action) {
    case EMU_ACTION_ERRNO: return EMU_DEVICE_NONE;
    case EMU_ACTION_NATIVE: return EMU_DEVICE_NATIVE;
    default: return EMU_DEVICE_OURS;
    }
}

/* Puts a placeholder over `fd`. Returns 0 or -errno. */
static int put_placeholder(int fd)
{
    int64_t close_on_exec = host_fcntl(fd, F_GETFD, 0);
    int ends[2];
    int rc = host_pipe2(ends, O_CLOEXEC);

    if (rc < 0) {
        return rc;
    }
    rc = host_dup3(ends[0], fd, close_on_exec & FD_CLOEXEC ? O_CLOEXEC : 0);
    host_close(ends[0]);
    host_close(ends[1]);
    return rc < 0 ? rc : 0;
}

static int enter(struct emu_task *self, int fd, uint32_t status)
{
    uint32_t index;

    if ((unsigned)fd >= EMU_MAX_FDS) {
        return -EMFILE;
    }
    index = description_create_device(self, status);
    if (index == ARENA_NONE) {
        return -ENFILE;
    }
    atomic_store_explicit(&description_at(index)->sample_fd, fd, memory_order_relaxed);
    fdtab_set(self, fd, index);
    return 0;
}

int64_t emu_device_place(struct emu_task *self, int fd)
{
    FDTAB_CHANGE(self);
    int64_t status = host_fcntl(fd, F_GETFL, 0);
    int rc = status < 0 ? (int)status : put_placeholder(fd);

    emu_fd_invalidate(self, fd);
    if (rc == 0) {
        rc = enter(self, fd, (uint32_t)status);
    }
    if (rc < 0) {
        host_close(fd);
        return rc;
    }
    return fd;
}

bool emu_fd_is_device(int fd)
{
    const struct description *description = fdtab_get(fd);

    return description && description_is_device(description);
}
