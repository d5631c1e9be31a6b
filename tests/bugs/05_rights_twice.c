/*
 * 05 - descriptors are sent once more with the rest of a partial sendmsg
 *
 * The descriptor travels with the first byte. Who sends the rest with the same control data passes
 * it again, and the receiver, which expects one, leaks the others. Fixed: no control data with the
 * rest.
 * Shows as: too many descriptors; with a small socket buffer always.
 */
#include "bug.h"

#define BODY 40000

union control {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

static void send_with_descriptor(int fd, int passed)
{
    static char body[BODY];
    size_t sent = 0;

    while (sent < BODY) {
        struct iovec rest = { body + sent, BODY - sent };
        union control control = { { 0 } };
        struct msghdr message = { .msg_iov = &rest, .msg_iovlen = 1 };
        ssize_t count;

        if (sent == 0 || BUG) {
            message.msg_control = &control;
            message.msg_controllen = sizeof(control);
            CMSG_FIRSTHDR(&message)->cmsg_level = SOL_SOCKET;
            CMSG_FIRSTHDR(&message)->cmsg_type = SCM_RIGHTS;
            CMSG_FIRSTHDR(&message)->cmsg_len = CMSG_LEN(sizeof(int));
            memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &passed, sizeof(int));
        }
        count = sendmsg(fd, &message, MSG_DONTWAIT);
        if (count < 0) {
            struct pollfd room = { fd, POLLOUT, 0 };

            MUST(errno == EAGAIN);
            MUST(poll(&room, 1, -1) == 1);
            continue;
        }
        sent += (size_t)count;
    }
}

static int receive_counting(int fd)
{
    static char body[BODY];
    size_t received = 0;
    int descriptors = 0;

    while (received < BODY) {
        struct iovec rest = { body, BODY - received };
        union control control;
        struct msghdr message = { .msg_iov = &rest,
                                  .msg_iovlen = 1,
                                  .msg_control = &control,
                                  .msg_controllen = sizeof(control) };
        ssize_t count = recvmsg(fd, &message, 0);

        MUST(count > 0);
        received += (size_t)count;
        if (CMSG_FIRSTHDR(&message))
            descriptors++;
    }
    return descriptors;
}

int main(void)
{
    int pair[2];
    pid_t child;
    int descriptors;

    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    child = fork();
    MUST(child >= 0);
    if (child == 0) {
        close(pair[0]);
        send_with_descriptor(pair[1], STDERR_FILENO);
        _exit(0);
    }
    close(pair[1]);
    descriptors = receive_counting(pair[0]);
    if (descriptors != 1)
        bug_seen("%d descriptors came for one", descriptors);
    child_must_succeed(child);
    return 0;
}
