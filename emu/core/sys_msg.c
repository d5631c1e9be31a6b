/*
 * sys_msg.c - the send and receive families on connected sockets
 *
 * Linux: net/socket.c:__sys_sendto, __sys_recvfrom, __sys_sendmsg, __sys_recvmsg.
 */
#include "guest_iov.h"
#include "message.h"
#include "transfer.h"

#include <errno.h>

int64_t emu_sendto(struct emu_task *self, int fd, const void *data, size_t size, int flags,
                   const struct sockaddr *address, socklen_t address_size)
{
    struct iovec iov = { (void *)(uintptr_t)data, size };
    struct description *description;
    struct transfer transfer;
    int64_t rc = message_socket(fd, &description);

    if (rc != 0) {
        return rc;
    }
    if (EMU_UNLIKELY(flags & MSG_OOB) && message_is_kernels(description, flags, 0)) {
        return message_hand_over(self, fd);
    }
    size = base_min_u64(size, EMU_RW_MAX);
    if (!guest_range_ok(data, size)) {
        return -EFAULT;
    }
    if (EMU_UNLIKELY(address != NULL)) {
        rc = message_check_address(description, address, (int)address_size, flags);
        if (rc < 0) {
            return rc;
        }
    }
    transfer_init(&transfer, description, fd, &iov, 1, size, flags);
    rc = transfer_send(self, &transfer);
    if (rc == -EPIPE && (flags & MSG_NOSIGNAL)) {
        self->sigpipe = false;
    }
    return rc;
}

int64_t emu_send(struct emu_task *self, int fd, const void *data, size_t size, int flags)
{
    return emu_sendto(self, fd, data, size, flags, NULL, 0);
}

int64_t emu_sendmsg(struct emu_task *self, int fd, const struct msghdr *message, int flags)
{
    uint64_t size;

    return message_send(self, fd, NULL, message, flags, 0, &size);
}

/* The sender's name is asked for when the data are there: the socket is kept until then. */
__attribute__((noinline)) static int64_t receive_named(struct emu_task *self,
                                                       struct transfer *transfer,
                                                       struct sockaddr *ret_address,
                                                       socklen_t *ret_address_size)
{
    CHANNEL_KEEP(keep, self, transfer->index);
    int64_t rc;
    int stored;

    if (fdtab_get_call(transfer->fd) != transfer->description) {
        return EMU_NATIVE; /* another thread was quicker */
    }
    rc = transfer_receive(self, transfer);
    if (rc < 0) {
        return rc;
    }
    stored = message_store_sender(transfer->description, transfer->fd, transfer->ended, ret_address,
                                  ret_address_size);
    return stored < 0 ? stored : rc;
}

int64_t emu_recvfrom(struct emu_task *self, int fd, void *data, size_t size, int flags,
                     struct sockaddr *ret_address, socklen_t *ret_address_size)
{
    struct iovec iov = { data, size };
    struct description *description;
    struct transfer transfer;
    int64_t rc = message_socket(fd, &description);

    if (rc != 0) {
        return rc;
    }
    if (EMU_UNLIKELY(flags & MSG_OOB) && message_is_kernels(description, flags, 0)) {
        return message_hand_over(self, fd);
    }
    size = base_min_u64(size, EMU_RW_MAX);
    if (!guest_range_ok(data, size)) {
        return -EFAULT;
    }
    transfer_init(&transfer, description, fd, &iov, 1, size, flags);
    return EMU_UNLIKELY(ret_address != NULL)
               ? receive_named(self, &transfer, ret_address, ret_address_size)
               : transfer_receive(self, &transfer);
}

int64_t emu_recv(struct emu_task *self, int fd, void *data, size_t size, int flags)
{
    return emu_recvfrom(self, fd, data, size, flags, NULL, NULL);
}

int64_t emu_recvmsg(struct emu_task *self, int fd, struct msghdr *message, int flags)
{
    int ret_flags;

    return message_receive(self, fd, NULL, message, flags, &ret_flags);
}
