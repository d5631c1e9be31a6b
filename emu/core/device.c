/*
 * device.c - see device.h
 */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/vm_sockets.h>
#include <sys/ioctl.h>

#define SETTABLE ((uint32_t)(O_APPEND | O_NONBLOCK | O_ASYNC | O_NOATIME)) /* fs/fcntl.c:setfl */

static uint32_t status_of(const struct description *description)
{
    return atomic_load_explicit(&description->status, memory_order_relaxed);
}

int64_t device_no_data(const struct description *description, bool writes)
{
    uint32_t status = status_of(description);
    uint32_t access = status & O_ACCMODE;

    if (!description_is_device(description) || status & O_PATH) {
        return -EBADF;
    }
    return access == O_RDWR || access == (writes ? O_WRONLY : O_RDONLY) ? -EINVAL : -EBADF;
}

/* Without poll a file is ready: include/linux/poll.h:DEFAULT_POLLMASK. */
uint32_t device_readiness(const struct description *description)
{
    return status_of(description) & O_PATH ? POLLNVAL : POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
}

static void set_status(struct description *description, uint32_t bits, uint32_t values)
{
    atomic_fetch_and(&description->status, ~bits | values);
    atomic_fetch_or(&description->status, bits & values);
}

/* What may be done to a number that was opened with O_PATH: fs/fcntl.c:check_fcntl_cmd. */
static bool concerns_number(int command)
{
    return command == F_GETFD || command == F_SETFD || command == F_GETFL;
}

int64_t device_fcntl(struct description *description, int command, unsigned long argument)
{
    if (status_of(description) & O_PATH && !concerns_number(command)) {
        return -EBADF;
    }
    switch (command) {
    case F_GETFL: return status_of(description);
    case F_SETFL:
        if (argument & O_DIRECT) {
            return -EINVAL;
        }
        set_status(description, SETTABLE, (uint32_t)argument);
        return 0;
    case F_GETPIPE_SZ:
    case F_SETPIPE_SZ: return -EBADF;
    default: return EMU_NATIVE;
    }
}

/* FIONBIO sets a flag that every file has; FIOASYNC needs fasync: fs/ioctl.c:ioctl_fioasync. */
static int64_t set_by_ioctl(struct description *description, unsigned long request,
                            const void *argument)
{
    int on;

    if (host_copy(&on, argument, sizeof on) < 0) {
        return -EFAULT;
    }
    if ((uint32_t)request == FIOASYNC) {
        return (on != 0) == ((status_of(description) & O_ASYNC) != 0) ? 0 : -ENOTTY;
    }
    set_status(description, O_NONBLOCK, on ? O_NONBLOCK : 0);
    return 0;
}

int64_t device_ioctl(struct emu_task *self, struct description *description, unsigned long request,
                     void *argument)
{
    uint32_t cid;

    if (status_of(description) & O_PATH) {
        return -EBADF;
    }
    switch ((uint32_t)request) {
    case IOCTL_VM_SOCKETS_GET_LOCAL_CID:
        cid = emu_process_cid(self);
        return host_copy(argument, &cid, sizeof cid);
    case FIONBIO:
    case FIOASYNC: return set_by_ioctl(description, request, argument);
    case FIOCLEX:
    case FIONCLEX:
    case FIGETBSZ: return EMU_NATIVE;
    default: return -ENOTTY;
    }
}
