/*
 * sys_msg.c - the send and receive families on connected sockets
 *
 * Linux: net/socket.c:__sys_sendto, ___sys_sendmsg, ___sys_recvmsg. Ancillary data and urgent bytes
 * are the kernel's: a channel that meets one is made native first (native.h).
 */
#include "sys_msg.h"

#include "guest_iov.h"
#include "sys_rw.h"

#include <errno.h>
#include <limits.h>

#define MSG_COMPAT 0x80000000 /* MSG_CMSG_COMPAT */

/* The socket behind fd. 0 and *ret_description; EMU_NATIVE (ENOTSOCK is the placeholder's). */
static int64_t find_socket(int fd, struct description **ret_description)
{
    struct description *description = fdtab_get(fd);

    if (!description || !description_is_socket(description)) {
        return EMU_NATIVE;
    }
    *ret_description = description;
    return 0;
}

/* The kernel takes the channel over; whether or not that works, it gives the answer. */
static int64_t hand_over(struct emu_task *self, int fd)
{
    int rc = emu_native_one(self, fd);

    return rc < 0 ? rc : EMU_NATIVE;
}

/* move_addr_to_kernel and what the types make of an address on a connected socket. */
static int64_t check_address(const struct description *description, const void *address, int size)
{
    struct sockaddr_storage copy;

    if (!address) {
        return 0;
    }
    if (size < 0 || size > (int)sizeof copy) {
        return -EINVAL;
    }
    if (size > 0 && host_copy(&copy, address, (size_t)size) < 0) {
        return -EFAULT;
    }
    return size > 0 && description->kind == DESCRIPTION_STREAM ? -EISCONN : 0;
}

int64_t emu_sendto(struct emu_task *self, int fd, const void *data, size_t size, int flags,
                   const struct sockaddr *address, socklen_t address_size)
{
    struct iovec iov = { (void *)(uintptr_t)data, size };
    struct description *description;
    struct transfer transfer;
    int64_t rc = find_socket(fd, &description);

    if (rc != 0) {
        return rc;
    }
    if (EMU_UNLIKELY(flags & MSG_OOB)) {
        return hand_over(self, fd);
    }
    size = base_min_u64(size, EMU_RW_MAX);
    if (!guest_range_ok(data, size)) {
        return -EFAULT;
    }
    if (EMU_UNLIKELY(address != NULL)) {
        rc = check_address(description, address, (int)address_size);
        if (rc < 0) {
            return rc;
        }
    }
    transfer_init(&transfer, fd, &iov, 1, size, flags);
    rc = transfer.description ? rw_send(self, &transfer) : EMU_NATIVE;
    if (rc == -EPIPE && (flags & MSG_NOSIGNAL)) {
        self->sigpipe = false;
    }
    return rc;
}

int64_t emu_send(struct emu_task *self, int fd, const void *data, size_t size, int flags)
{
    return emu_sendto(self, fd, data, size, flags, NULL, 0);
}

int64_t msg_send_one(struct emu_task *self, int fd, const struct msghdr *from, int flags,
                     uint64_t *ret_size)
{
    struct guest_message message;
    struct description *description;
    struct transfer transfer;
    char control[16];
    int64_t rc;

    if ((unsigned)flags & MSG_COMPAT) {
        return -EINVAL;
    }
    rc = find_socket(fd, &description);
    if (rc != 0) {
        return rc;
    }
    rc = guest_message_import(&message, from);
    if (rc < 0) {
        return rc;
    }
    if (message.header.msg_controllen > INT_MAX) {
        return -ENOBUFS;
    }
    if (message.header.msg_controllen >= sizeof(struct cmsghdr) || (flags & MSG_OOB)) {
        return hand_over(self, fd);
    }
    if (message.header.msg_controllen > 0 &&
        host_copy(control, message.header.msg_control, message.header.msg_controllen) < 0) {
        return -EFAULT;
    }
    rc = check_address(description, message.header.msg_name, (int)message.header.msg_namelen);
    if (rc < 0) {
        return rc;
    }
    transfer_init(&transfer, fd, message.header.msg_iov, (int)message.header.msg_iovlen,
                  (uint64_t)message.size, flags);
    rc = transfer.description ? rw_send(self, &transfer) : EMU_NATIVE;
    if (rc == -EPIPE && (flags & MSG_NOSIGNAL)) {
        self->sigpipe = false;
    }
    *ret_size = (uint64_t)message.size;
    return rc;
}

int64_t emu_sendmsg(struct emu_task *self, int fd, const struct msghdr *message, int flags)
{
    uint64_t size;

    return msg_send_one(self, fd, message, flags, &size);
}

/* The address of an unnamed sender: nothing is stored but a length of 0 (move_addr_to_user). */
static int store_no_address(void *address, socklen_t *ret_size)
{
    socklen_t size = 0;

    if (!address) {
        return 0;
    }
    if (host_copy(&size, ret_size, sizeof size) < 0) {
        return -EFAULT;
    }
    if ((int)size < 0) {
        return -EINVAL;
    }
    size = 0;
    return host_copy(ret_size, &size, sizeof size);
}

int64_t emu_recvfrom(struct emu_task *self, int fd, void *data, size_t size, int flags,
                     struct sockaddr *ret_address, socklen_t *ret_address_size)
{
    struct iovec iov = { data, size };
    struct description *description;
    struct transfer transfer;
    int64_t rc = find_socket(fd, &description);
    int stored;

    if (rc != 0) {
        return rc;
    }
    if (EMU_UNLIKELY(flags & MSG_OOB)) {
        return hand_over(self, fd);
    }
    size = base_min_u64(size, EMU_RW_MAX);
    if (!guest_range_ok(data, size)) {
        return -EFAULT;
    }
    transfer_init(&transfer, fd, &iov, 1, size, flags);
    rc = transfer.description ? rw_receive(self, &transfer) : EMU_NATIVE;
    if (rc >= 0 && EMU_UNLIKELY(ret_address != NULL)) {
        stored = store_no_address(ret_address, ret_address_size);
        rc = stored < 0 ? stored : rc;
    }
    return rc;
}

int64_t emu_recv(struct emu_task *self, int fd, void *data, size_t size, int flags)
{
    return emu_recvfrom(self, fd, data, size, flags, NULL, NULL);
}

/* Writes what recvmsg gives back beside the data. */
static int store_message(struct msghdr *to, const struct msghdr *header, int flags)
{
    socklen_t no_address = 0;
    size_t no_control = 0;

    if (header->msg_name && host_copy(&to->msg_namelen, &no_address, sizeof no_address) < 0) {
        return -EFAULT;
    }
    if (host_copy(&to->msg_flags, &flags, sizeof flags) < 0) {
        return -EFAULT;
    }
    return host_copy(&to->msg_controllen, &no_control, sizeof no_control);
}

int64_t msg_receive_one(struct emu_task *self, int fd, struct msghdr *to, int flags, int *ret_flags)
{
    struct guest_message message;
    struct description *description;
    struct transfer transfer;
    int64_t rc;

    if ((unsigned)flags & MSG_COMPAT) {
        return -EINVAL;
    }
    rc = find_socket(fd, &description);
    if (rc != 0) {
        return rc;
    }
    rc = guest_message_import(&message, to);
    if (rc < 0) {
        return rc;
    }
    if (flags & MSG_OOB) {
        return hand_over(self, fd);
    }
    transfer_init(&transfer, fd, message.header.msg_iov, (int)message.header.msg_iovlen,
                  (uint64_t)message.size, flags);
    rc = transfer.description ? rw_receive(self, &transfer) : EMU_NATIVE;
    if (rc >= 0) {
        *ret_flags = transfer.ret_flags | (flags & MSG_CMSG_CLOEXEC);
        if (store_message(to, &message.header, *ret_flags) < 0) {
            return -EFAULT;
        }
    }
    return rc;
}

int64_t emu_recvmsg(struct emu_task *self, int fd, struct msghdr *message, int flags)
{
    int ret_flags;

    return msg_receive_one(self, fd, message, flags, &ret_flags);
}
