/*
 * device.h - /dev/vsock: what can be done with an open descriptor of it
 *
 * One ioctl, and no data in any direction. Linux: net/vmw_vsock/af_vsock.c:vsock_device_ops has an
 * ioctl and nonseekable_open() and nothing else; the rest is what fs/ answers for such a file.
 *
 * The placeholder is a pipe of its own, because a pipe can be known again after exec (process.h).
 * It also refuses what the device refuses: seeking, offsets, mmap, calls on sockets. The status
 * flags stand in the description alone, and are what F_GETFL answers.
 */
#ifndef EMU_DEVICE_H
#define EMU_DEVICE_H

#include "description.h"

static inline bool description_is_device(const struct description *description)
{
    return description->kind == DESCRIPTION_DEVICE;
}

/*
 * Why a description without that direction can't be read, or written: -EBADF when it isn't open for
 * that, as a pipe's other end, else -EINVAL.
 */
int64_t device_no_data(const struct description *description, bool writes);

/* fcntl and ioctl on it. EMU_NATIVE: the placeholder's answer is right. */
int64_t device_fcntl(struct description *description, int command, unsigned long argument);
int64_t device_ioctl(struct emu_task *self, struct description *description, unsigned long request,
                     void *argument);

#endif
