/*
 * sys_rw.c - read, write and their vector forms
 *
 * Linux: fs/read_write.c:vfs_read, vfs_write, do_iter_readv_writev; net/socket.c:sock_read_iter.
 */
#include "sys_rw.h"

#include "guest_iov.h"
#include "pipe.h"
#include "stream.h"

#include <errno.h>

/* How each kind of description moves bytes; NULL: it doesn't in that direction. */
static const struct {
    wait_try receive;
    wait_try send;
} transfers[] = {
    [DESCRIPTION_PIPE_READER] = { pipe_read_try, NULL },
    [DESCRIPTION_PIPE_WRITER] = { NULL, pipe_write_try },
    [DESCRIPTION_STREAM] = { stream_receive_try, stream_send_try },
    [DESCRIPTION_SEQPACKET] = { seqpacket_receive_try, seqpacket_send_try },
};

int64_t rw_receive(struct emu_task *self, struct transfer *transfer)
{
    struct description *description = transfer->description;
    wait_try try = transfers[description->kind].receive;
    int64_t timeout = atomic_load_explicit(&description->receive_timeout_ns, memory_order_relaxed);
    uint32_t low = atomic_load_explicit(&description->receive_low, memory_order_relaxed);

    if (EMU_UNLIKELY(!try)) {
        return -EBADF;
    }
    if (EMU_UNLIKELY(low > 1 || transfer->flags & MSG_WAITALL)) {
        transfer->target = transfer->flags & MSG_WAITALL ? transfer->size
                                                         : base_min_u64(low, transfer->size);
        if (transfer->target == 0) {
            transfer->target = 1;
        }
    }
    return channel_run(self, transfer, try, timeout);
}

int64_t rw_send(struct emu_task *self, struct transfer *transfer)
{
    struct description *description = transfer->description;
    wait_try try = transfers[description->kind].send;

    if (EMU_UNLIKELY(!try)) {
        return -EBADF;
    }
    return channel_run(self, transfer, try,
                       atomic_load_explicit(&description->send_timeout_ns, memory_order_relaxed));
}

int64_t emu_read(struct emu_task *self, int fd, void *data, size_t size)
{
    struct iovec iov = { data, size };
    struct transfer transfer;

    transfer_init(&transfer, fd, &iov, 1, size, 0);
    if (!transfer.description) {
        return EMU_NATIVE;
    }
    if (EMU_UNLIKELY(transfer.description->kind == DESCRIPTION_PIPE_WRITER)) {
        return -EBADF;
    }
    if (EMU_UNLIKELY(!guest_range_ok(data, size))) {
        return -EFAULT;
    }
    if (EMU_UNLIKELY(size == 0)) {
        return 0; /* pipe_read and sock_read_iter look at nothing else */
    }
    return rw_receive(self, &transfer);
}

int64_t emu_write(struct emu_task *self, int fd, const void *data, size_t size)
{
    struct iovec iov = { (void *)(uintptr_t)data, size };
    struct transfer transfer;

    transfer_init(&transfer, fd, &iov, 1, size, 0);
    if (!transfer.description) {
        return EMU_NATIVE;
    }
    if (EMU_UNLIKELY(transfer.description->kind == DESCRIPTION_PIPE_READER)) {
        return -EBADF;
    }
    if (EMU_UNLIKELY(!guest_range_ok(data, size))) {
        return -EFAULT;
    }
    return rw_send(self, &transfer);
}

/* The vector forms: `send` says which. */
static int64_t transfer_vector(struct emu_task *self, int fd, const struct iovec *iov, int count,
                               bool send, int flags)
{
    struct description *description = fdtab_get(fd);
    struct guest_iov vector;
    struct transfer transfer;
    int64_t size;

    if (!description) {
        return EMU_NATIVE;
    }
    if (description->kind == (send ? DESCRIPTION_PIPE_READER : DESCRIPTION_PIPE_WRITER)) {
        return -EBADF;
    }
    if (count < 0 || count > (int)EMU_IOV_MAX) {
        return -EINVAL;
    }
    size = guest_iov_import(&vector, iov, (size_t)count);
    if (size < 0) {
        return size;
    }
    transfer_init(&transfer, fd, vector.array, count, (uint64_t)size, flags);
    if (!transfer.description) {
        return EMU_NATIVE;
    }
    if (size == 0 && (!send || !description_is_socket(description))) {
        return 0;
    }
    return send ? rw_send(self, &transfer) : rw_receive(self, &transfer);
}

int64_t emu_readv(struct emu_task *self, int fd, const struct iovec *iov, int count)
{
    return transfer_vector(self, fd, iov, count, false, 0);
}

int64_t emu_writev(struct emu_task *self, int fd, const struct iovec *iov, int count)
{
    return transfer_vector(self, fd, iov, count, true, 0);
}

/* Offset -1 means "no offset"; any other is the placeholder's to refuse (ESPIPE). */
int64_t emu_preadv2(struct emu_task *self, int fd, const struct iovec *iov, int count, off_t offset,
                    int flags)
{
    if (offset != -1 || (flags & ~RWF_NOWAIT)) {
        return EMU_NATIVE;
    }
    return transfer_vector(self, fd, iov, count, false, flags & RWF_NOWAIT ? MSG_DONTWAIT : 0);
}

int64_t emu_pwritev2(struct emu_task *self, int fd, const struct iovec *iov, int count,
                     off_t offset, int flags)
{
    if (offset != -1 || (flags & ~RWF_NOWAIT)) {
        return EMU_NATIVE;
    }
    return transfer_vector(self, fd, iov, count, true, flags & RWF_NOWAIT ? MSG_DONTWAIT : 0);
}
