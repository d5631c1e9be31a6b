/*
 * message.c - see message.h
 */
#include "message.h"

#include "guest_iov.h"
#include "transfer.h"

#include <errno.h>
#include <limits.h>

int64_t message_socket(int fd, struct description **ret_description)
{
    struct description *description = fdtab_get(fd);

    if (!description || !description_is_socket(description)) {
        return EMU_NATIVE;
    }
    *ret_description = description;
    return 0;
}

int64_t message_hand_over(struct emu_task *self, int fd)
{
    int rc = emu_native_one(self, fd);

    return rc < 0 ? rc : EMU_NATIVE;
}

int64_t message_check_address(const struct description *description, const void *address, int size)
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

int64_t message_send(struct emu_task *self, int fd, const struct msghdr *from, int flags,
                     uint64_t *ret_size)
{
    struct guest_message message;
    struct description *description;
    struct transfer transfer;
    char control[16];
    int64_t rc;

    if ((unsigned)flags & MESSAGE_COMPAT) {
        return -EINVAL;
    }
    rc = message_socket(fd, &description);
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
        return message_hand_over(self, fd);
    }
    if (message.header.msg_controllen > 0 &&
        host_copy(control, message.header.msg_control, message.header.msg_controllen) < 0) {
        return -EFAULT;
    }
    rc = message_check_address(description, message.header.msg_name,
                               (int)message.header.msg_namelen);
    if (rc < 0) {
        return rc;
    }
    transfer_init(&transfer, description, fd, message.header.msg_iov,
                  (int)message.header.msg_iovlen, (uint64_t)message.size, flags);
    rc = transfer_send(self, &transfer);
    if (rc == -EPIPE && (flags & MSG_NOSIGNAL)) {
        self->sigpipe = false;
    }
    *ret_size = (uint64_t)message.size;
    return rc;
}

/* msg_controllen and msg_flags stand side by side; both are written after every receive. */
struct message_outcome {
    size_t controllen;
    int flags;
};
static_assert(offsetof(struct msghdr, msg_flags) - offsetof(struct msghdr, msg_controllen) ==
                  offsetof(struct message_outcome, flags),
              "one copy serves both");

/* Writes what recvmsg gives back beside the data. */
static int store_message(struct msghdr *to, const struct msghdr *header, int flags)
{
    const struct message_outcome outcome = { 0, flags };
    const socklen_t no_address = 0;

    if (header->msg_name && host_copy(&to->msg_namelen, &no_address, sizeof no_address) < 0) {
        return -EFAULT;
    }
    return host_copy(&to->msg_controllen, &outcome,
                     offsetof(struct message_outcome, flags) + sizeof outcome.flags);
}

int64_t message_receive(struct emu_task *self, int fd, struct msghdr *to, int flags, int *ret_flags)
{
    struct guest_message message;
    struct description *description;
    struct transfer transfer;
    int64_t rc;

    if ((unsigned)flags & MESSAGE_COMPAT) {
        return -EINVAL;
    }
    rc = message_socket(fd, &description);
    if (rc != 0) {
        return rc;
    }
    rc = guest_message_import(&message, to);
    if (rc < 0) {
        return rc;
    }
    if (flags & MSG_OOB) {
        return message_hand_over(self, fd);
    }
    transfer_init(&transfer, description, fd, message.header.msg_iov,
                  (int)message.header.msg_iovlen, (uint64_t)message.size, flags);
    rc = transfer_receive(self, &transfer);
    if (rc >= 0) {
        *ret_flags = transfer.ret_flags | (flags & MSG_CMSG_CLOEXEC);
        if (store_message(to, &message.header, *ret_flags) < 0) {
            return -EFAULT;
        }
    }
    return rc;
}
