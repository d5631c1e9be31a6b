/*
 * sys_rw.c - read, write and their vector forms
 *
 * Linux: fs/read_write.c:vfs_read, vfs_write, do_iter_readv_writev; net/socket.c:sock_read_iter.
 */
#include "channel.h"
#include "device.h"
#include "guest_iov.h"
#include "transfer.h"

#include <errno.h>
#include <unistd.h>

/* A write ends a record of AF_VSOCK, a send doesn't: net/socket.c:sock_write_iter. */
static int write_flags(const struct description *description)
{
    return EMU_UNLIKELY(description->kind == DESCRIPTION_VSOCK_SEQPACKET) ? MSG_EOR : 0;
}

int64_t emu_read(struct emu_task *self, int fd, void *data, size_t size)
{
    struct iovec iov = { data, size };
    struct transfer transfer;
    struct description *description = fdtab_get_call(fd);

    if (!description) {
        return EMU_NATIVE;
    }
    if (EMU_UNLIKELY(description->rx == ARENA_NONE)) {
        return device_no_data(description, false);
    }
    if (EMU_UNLIKELY(!guest_range_ok(data, size))) {
        return -EFAULT;
    }
    if (EMU_UNLIKELY(size == 0)) {
        return 0; /* pipe_read and sock_read_iter look at nothing else */
    }
    transfer_init(&transfer, description, fd, &iov, 1, size, 0);
    return transfer_receive(self, &transfer);
}

int64_t emu_write(struct emu_task *self, int fd, const void *data, size_t size)
{
    struct iovec iov = { (void *)(uintptr_t)data, size };
    struct transfer transfer;
    struct description *description = fdtab_get_call(fd);

    if (!description) {
        return EMU_NATIVE;
    }
    if (EMU_UNLIKELY(description->tx == ARENA_NONE)) {
        return device_no_data(description, true);
    }
    if (EMU_UNLIKELY(!guest_range_ok(data, size))) {
        return -EFAULT;
    }
    if (EMU_UNLIKELY(fd == STDERR_FILENO)) {
        channel_mind_strays(self, fd, description);
    }
    transfer_init(&transfer, description, fd, &iov, 1, size, write_flags(description));
    return transfer_send(self, &transfer);
}

/* The vector forms: `send` says which. */
static int64_t transfer_vector(struct emu_task *self, int fd, const struct iovec *iov, int count,
                               bool send, int flags)
{
    struct description *description = fdtab_get_call(fd);
    struct guest_iov vector;
    struct transfer transfer;
    int64_t size;

    if (!description) {
        return EMU_NATIVE;
    }
    if ((send ? description->tx : description->rx) == ARENA_NONE) {
        return device_no_data(description, send);
    }
    if (count < 0 || count > (int)EMU_IOV_MAX) {
        return -EINVAL;
    }
    size = guest_iov_import(&vector, iov, (size_t)count);
    if (size < 0) {
        return size;
    }
    if (send) {
        flags |= write_flags(description);
        if (fd == STDERR_FILENO) {
            channel_mind_strays(self, fd, description);
        }
    }
    transfer_init(&transfer, description, fd, vector.array, count, (uint64_t)size, flags);
    if (size == 0) {
        return 0; /* vfs_writev looks at nothing else: no EPIPE, no empty record */
    }
    if (EMU_UNLIKELY(flags & MSG_DONTWAIT) && /* RWF_NOWAIT: kiocb_set_rw_flags */
        atomic_load_explicit(&description->spliced, memory_order_relaxed)) {
        return -EOPNOTSUPP;
    }
    return send ? transfer_send(self, &transfer) : transfer_receive(self, &transfer);
}

int64_t emu_readv(struct emu_task *self, int fd, const struct iovec *iov, int count)
{
    return transfer_vector(self, fd, iov, count, false, 0);
}

int64_t emu_writev(struct emu_task *self, int fd, const struct iovec *iov, int count)
{
    return transfer_vector(self, fd, iov, count, true, 0);
}

/* include/uapi/linux/fs.h of 6.18; glibc 2.36 doesn't have them. */
#define RWF_OLD_POSITION 0x00000020 /* RWF_NOAPPEND */
#define RWF_QUIETLY      0x00000100 /* RWF_NOSIGNAL: a read ignores it */

/* Accepted on pipes and sockets, where they change nothing (kiocb_set_rw_flags). */
#define FLAGS_WITHOUT_EFFECT (RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_APPEND | RWF_OLD_POSITION)

/* The placeholder says what is wrong with these. */
static bool flags_are_refused(int flags)
{
    return flags & ~(FLAGS_WITHOUT_EFFECT | RWF_NOWAIT | RWF_QUIETLY) ||
           (flags & RWF_APPEND && flags & RWF_OLD_POSITION);
}

/* Offset -1 means "no offset"; any other is the placeholder's to refuse (ESPIPE). */
int64_t emu_preadv2(struct emu_task *self, int fd, const struct iovec *iov, int count, off_t offset,
                    int flags)
{
    if (offset != -1 || flags_are_refused(flags)) {
        return EMU_NATIVE;
    }
    return transfer_vector(self, fd, iov, count, false, flags & RWF_NOWAIT ? MSG_DONTWAIT : 0);
}

int64_t emu_pwritev2(struct emu_task *self, int fd, const struct iovec *iov, int count,
                     off_t offset, int flags)
{
    int64_t rc;

    if (offset != -1 || flags_are_refused(flags)) {
        return EMU_NATIVE;
    }
    rc = transfer_vector(self, fd, iov, count, true, flags & RWF_NOWAIT ? MSG_DONTWAIT : 0);
    if (flags & RWF_QUIETLY) {
        self->sigpipe = false;
    }
    return rc;
}
