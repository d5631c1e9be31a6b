/*
 * message.c - see message.h
 */
#include "message.h"

#include "guest_iov.h"
#include "meeting.h"
#include "transfer.h"
#include "vsock_data.h"

#include <errno.h>
#include <limits.h>

#define CONTROL_MAX 131072u /* net.core.optmem_max: sock_kmalloc */

int64_t message_socket(int fd, struct description **ret_description)
{
    struct description *description = fdtab_get_call(fd);

    if (!description || !description_is_socket(description) ||
        description_is_unix_fresh(description)) {
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

bool message_is_kernels(const struct description *description, int flags, size_t control_size)
{
    return (flags & MSG_OOB || control_size > RIGHTS_CONTROL) && !description_is_vsock(description);
}

bool emu_fd_takes_control(int fd)
{
    const struct description *description = fdtab_get_call(fd);

    return description && description_is_socket(description) &&
           !description_is_unix_fresh(description);
}

/* Ancillary data that nobody looks at must be readable all the same: ____sys_sendmsg(). */
static int check_control(const struct msghdr *header)
{
    const char *from = header->msg_control;
    size_t left = header->msg_controllen;
    char piece[256];

    if (left > CONTROL_MAX) {
        return -ENOBUFS;
    }
    while (left > 0) {
        size_t here = base_min_u64(left, sizeof piece);

        if (host_copy(piece, from, here) < 0) {
            return -EFAULT;
        }
        from += here;
        left -= here;
    }
    return 0;
}

int64_t message_check_address(const struct description *description, const void *address, int size,
                              int flags)
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
    if (size > 0 && description_is_vsock(description) && !(flags & MSG_OOB)) {
        return vsock_address_error(description);
    }
    return size > 0 && description->kind == DESCRIPTION_STREAM ? -EISCONN : 0;
}

/* Sends what was imported. `rights`: what comes with it, or NULL. */
static int64_t send_imported(struct emu_task *self, int fd, const struct guest_message *message,
                             struct description *description, int flags,
                             struct rights_message *rights)
{
    struct transfer transfer;
    int64_t rc = message_check_address(description, message->header.msg_name,
                                       (int)message->header.msg_namelen, flags);

    if (rc < 0) {
        return rc;
    }
    transfer_init(&transfer, description, fd, message->header.msg_iov,
                  (int)message->header.msg_iovlen, (uint64_t)message->size, flags);
    transfer.rights = rights;
    rc = transfer_send(self, &transfer);
    if (rc == -EPIPE && (flags & MSG_NOSIGNAL)) {
        self->sigpipe = false;
    }
    return rc;
}

/* The same for one with ancillary data. A frame of its own, for it is large. */
__attribute__((noinline)) static int64_t send_rights(struct emu_task *self, int fd,
                                                     const struct guest_message *message,
                                                     struct description *description, int flags)
{
    struct rights_message rights = { .size = message->header.msg_controllen };
    int64_t rc;

    if (host_copy(rights.control, message->header.msg_control, rights.size) < 0) {
        return -EFAULT;
    }
    rc = rights_prepare(self, fd, description, &rights);
    if (rc == EMU_NATIVE) {
        return message_hand_over(self, fd);
    }
    if (rc == 0) {
        rc = send_imported(self, fd, message, description, flags, &rights);
        rights_finish(self, &rights);
    }
    return rc;
}

int64_t message_send(struct emu_task *self, int fd, struct description *kept,
                     const struct msghdr *from, int flags, int allowed, uint64_t *ret_size)
{
    struct guest_message message;
    struct description *description = kept;
    int64_t rc;

    if ((unsigned)flags & MESSAGE_COMPAT) {
        return -EINVAL;
    }
    rc = kept ? 0 : message_socket(fd, &description);
    if (rc != 0) {
        return rc;
    }
    rc = guest_message_import(&message, from);
    if (rc < 0) {
        return rc;
    }
    rc = 0;
    if (message.header.msg_controllen > INT_MAX) {
        return -ENOBUFS;
    }
    if (message_is_kernels(description, flags, message.header.msg_controllen)) {
        return message_hand_over(self, fd);
    }
    if (message.header.msg_controllen > 0 && description->kind == DESCRIPTION_SEQPACKET) {
        rc = -description_take_error(description); /* unix_seqpacket_sendmsg: before scm_send */
    }
    if (rc == 0 && message.header.msg_controllen > 0) {
        rc = check_control(&message.header);
    }
    if (rc < 0) {
        return rc;
    }
    flags |= message.header.msg_flags & allowed;
    *ret_size = (uint64_t)message.size;
    return message.header.msg_controllen >= sizeof(struct cmsghdr) &&
                   !description_is_vsock(description)
               ? send_rights(self, fd, &message, description, flags)
               : send_imported(self, fd, &message, description, flags, NULL);
}

/* msg_controllen and msg_flags stand side by side; both are written after every receive. */
struct message_outcome {
    size_t controllen;
    int flags;
};
static_assert(offsetof(struct msghdr, msg_flags) - offsetof(struct msghdr, msg_controllen) ==
                  offsetof(struct message_outcome, flags),
              "one copy serves both");

/*
 * Placeholders have the names that their descriptions have; an unnamed sender has a length of 0. So
 * has the end of a stream: nobody has sent it.
 */
int message_store_sender(const struct description *description, int fd, bool ended,
                         void *ret_address, socklen_t *ret_size)
{
    struct meeting_address sender = { .size = sizeof sender.at };
    uint32_t index;
    uint32_t generation;

    if (ended || description_is_vsock(description) ||
        host_getpeername(fdtab_placeholder(fd, description_index(description)), &sender.at,
                         &sender.size) < 0 ||
        sender.size <= offsetof(struct sockaddr_un, sun_path) ||
        meeting_is_hidden(&sender, &index, &generation)) {
        sender.size = 0;
    }
    return meeting_store(&sender, ret_address, ret_size);
}

/* Writes what recvmsg gives back beside the data. `used`: bytes of ancillary data. */
static int store_message(const struct description *description, int fd, struct msghdr *to,
                         const struct msghdr *header, int flags, size_t used)
{
    const struct message_outcome outcome = { used, flags & ~MESSAGE_ENDED };

    if (header->msg_name && message_store_sender(description, fd, flags & MESSAGE_ENDED,
                                                 header->msg_name, &to->msg_namelen) < 0) {
        return -EFAULT;
    }
    return host_copy(&to->msg_controllen, &outcome,
                     offsetof(struct message_outcome, flags) + sizeof outcome.flags);
}

/* Receives what was imported. `rights`: for descriptors; its flags and size are set. */
static int64_t receive_imported(struct emu_task *self, int fd, struct guest_message *message,
                                struct description *description, int flags,
                                struct rights_message *rights, int *ret_flags)
{
    struct transfer transfer;
    int64_t rc;

    transfer_init(&transfer, description, fd, message->header.msg_iov,
                  (int)message->header.msg_iovlen, (uint64_t)message->size, flags);
    transfer.rights = rights;
    rc = transfer_receive(self, &transfer);
    *ret_flags = transfer.ret_flags | (flags & MSG_CMSG_CLOEXEC) |
                 (transfer.ended ? MESSAGE_ENDED : 0);
    return rc;
}

/* With room for ancillary data. A frame of its own, for it is large. */
__attribute__((noinline)) static int64_t receive_rights(struct emu_task *self, int fd,
                                                        struct guest_message *message,
                                                        struct description *description,
                                                        struct msghdr *to, int flags,
                                                        int *ret_flags)
{
    struct rights_message rights;
    void *control = message->header.msg_control;
    size_t used = 0;
    int64_t rc;

    rights.size = base_min_u64(message->header.msg_controllen,
                               CMSG_SPACE(RIGHTS_MAX * sizeof(int)));
    rights.flags = flags & MSG_CMSG_CLOEXEC;
    rights.record = 0;
    rights.came = false;
    rc = receive_imported(self, fd, message, description, flags, &rights, ret_flags);
    if (rc < 0) {
        if (rights.came) {
            rights_close(self, &rights); /* a record whose bytes nobody could take is gone */
        }
        return rc;
    }
    if (rights.came) {
        *ret_flags |= rights.flags & MSG_CTRUNC;
        used = rights.size;
    }
    if (used > 0 &&
        host_copy(control, rights.control, ((struct cmsghdr *)rights.control)->cmsg_len) < 0) {
        rights_close(self, &rights); /* scm_detach_fds() */
        *ret_flags |= MSG_CTRUNC;
        used = 0;
    }
    return store_message(description, fd, to, &message->header, *ret_flags, used) < 0 ? -EFAULT
                                                                                      : rc;
}

/* The sender's name is asked for when the data are there: the socket is kept until then. */
__attribute__((noinline)) static int64_t receive_kept(struct emu_task *self, int fd,
                                                      struct description *description,
                                                      struct msghdr *to, int flags, int *ret_flags)
{
    CHANNEL_KEEP(keep, self, description_index(description));

    if (fdtab_get_call(fd) != description) {
        return EMU_NATIVE; /* another thread was quicker */
    }
    return message_receive(self, fd, description, to, flags, ret_flags);
}

int64_t message_receive(struct emu_task *self, int fd, struct description *kept, struct msghdr *to,
                        int flags, int *ret_flags)
{
    struct guest_message message;
    struct description *description = kept;
    int64_t rc;

    if ((unsigned)flags & MESSAGE_COMPAT) {
        return -EINVAL;
    }
    rc = kept ? 0 : message_socket(fd, &description);
    if (rc != 0) {
        return rc;
    }
    rc = guest_message_import(&message, to);
    if (rc < 0) {
        return rc;
    }
    if (EMU_UNLIKELY(message.header.msg_name != NULL) && !kept) {
        return receive_kept(self, fd, description, to, flags, ret_flags);
    }
    if (message_is_kernels(description, flags, 0)) {
        return message_hand_over(self, fd);
    }
    if (message.header.msg_control && message.header.msg_controllen > 0 &&
        !description_is_vsock(description)) {
        return receive_rights(self, fd, &message, description, to, flags, ret_flags);
    }
    rc = receive_imported(self, fd, &message, description, flags, NULL, ret_flags);
    return rc >= 0 && store_message(description, fd, to, &message.header, *ret_flags, 0) < 0
               ? -EFAULT
               : rc;
}
