/*
 * message.h: sendmsg and recvmsg with one iovec and one kind of ancillary data, for the guests that
 * pass descriptors and credentials. Leaves out: several headers in one message.
 */
#ifndef GUEST_MESSAGE_H
#define GUEST_MESSAGE_H

#include "guest.h"

enum { MESSAGE_FDS_MAX = 256 };

struct message_received {
    ssize_t size;
    char data[64];
    int flags;           /* msg_flags */
    size_t control_size; /* msg_controllen */
    int fd_count;
    int fds[MESSAGE_FDS_MAX];
    bool has_credentials;
    struct ucred credentials;
};

union message_control {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int) * MESSAGE_FDS_MAX) + CMSG_SPACE(sizeof(struct ucred))];
};

/* Sends data with count descriptors, or none; returns sendmsg's result. */
static inline ssize_t message_send(int fd, const void *data, size_t size, const int *fds, int count)
{
    static _Thread_local union message_control control;
    struct iovec vector = { .iov_base = (void *)(uintptr_t)data, .iov_len = size };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
    if (fds != NULL) {
        size_t bytes = sizeof(int) * (size_t)count;
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(bytes);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(bytes);
        memcpy(CMSG_DATA(&control.header), fds, bytes);
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

/* Receives with room for data_size bytes and control_size bytes of ancillary data. */
static inline void message_receive(int fd, size_t data_size, size_t control_size, int flags,
                                   struct message_received *ret_received)
{
    static _Thread_local union message_control control;
    memset(ret_received, 0, sizeof *ret_received);
    struct iovec vector = { .iov_base = ret_received->data, .iov_len = data_size };
    struct msghdr message = { .msg_iov = &vector,
                              .msg_iovlen = 1,
                              .msg_control = control_size == 0 ? NULL : &control,
                              .msg_controllen = control_size };
    CHECK(data_size <= sizeof ret_received->data && control_size <= sizeof control);
    memset(&control, 0, sizeof control);
    ret_received->size = CHECK_OK(recvmsg(fd, &message, flags));
    ret_received->flags = message.msg_flags;
    ret_received->control_size = message.msg_controllen;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL;
         header = CMSG_NXTHDR(&message, header)) {
        size_t bytes = header->cmsg_len - CMSG_LEN(0);
        CHECK_EQ(SOL_SOCKET, header->cmsg_level);
        if (header->cmsg_type == SCM_RIGHTS) {
            memcpy(ret_received->fds, CMSG_DATA(header), bytes);
            ret_received->fd_count = (int)(bytes / sizeof(int));
        } else {
            CHECK_EQ(SCM_CREDENTIALS, header->cmsg_type);
            memcpy(&ret_received->credentials, CMSG_DATA(header), bytes);
            ret_received->has_credentials = true;
        }
    }
}

#endif
