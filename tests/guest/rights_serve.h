/*
 * rights_serve.h: a server that is sent descriptors and uses them; rights_elsewhere.c runs it as a
 * child of its own, helper_rights_static.c as a program that no preload reaches
 *
 * A request is a byte that says what, and at most one descriptor:
 *
 *   r  reads 5 bytes and answers with them          w  writes "far", closes, answers
 *   b  sends it back                                 d  closes it, answers
 *   m  makes a pipe: "made" in it, sends both ends   s  the same with a socket pair, one end
 *   a  accepts at it; sends back what comes first    n  connects it to the name behind the byte
 *   e  waits for the epoll instance, answers with the event's data
 *
 * Answers begin with the request's byte. Libc alone: no guest.h, which forks and checks.
 */
#ifndef GUEST_RIGHTS_SERVE_H
#define GUEST_RIGHTS_SERVE_H

#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { SERVE_TEXT = 128, SERVE_PIECE = 5, SERVE_WAIT_MS = 20000 };

union serve_control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * 2)];
};

static inline ssize_t serve_send(int fd, const void *data, size_t size, const int *fds, int count)
{
    union serve_control control;
    struct iovec vector = { (void *)data, size };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
    if (count > 0) {
        const size_t bytes = sizeof(int) * (size_t)count;
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

/* ret_fds: two, -1 where none came. */
static inline ssize_t serve_receive(int fd, void *data, size_t size, int *ret_fds)
{
    union serve_control control;
    struct iovec vector = { data, size };
    struct msghdr message = { .msg_iov = &vector,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof control };
    ret_fds[0] = ret_fds[1] = -1;
    const ssize_t count = recvmsg(fd, &message, 0);
    if (count > 0 && message.msg_controllen >= CMSG_LEN(sizeof(int))) {
        memcpy(ret_fds, CMSG_DATA(&control.header), control.header.cmsg_len - CMSG_LEN(0));
    }
    return count;
}

/* Reads until size bytes have come or nothing more will; returns what it has. */
static inline size_t serve_read(int fd, char *ret_text, size_t size)
{
    size_t have = 0;
    while (have < size) {
        const ssize_t count = read(fd, ret_text + have, size - have);
        if (count <= 0) {
            break;
        }
        have += (size_t)count;
    }
    return have;
}

/* What is done with the descriptor; the answer's text behind its first byte. Returns its size. */
static inline size_t serve_use(const char *request, size_t size, int fd, char *ret_text)
{
    struct epoll_event event = { .events = 0 };
    int accepted;
    switch (request[0]) {
    case 'r': return serve_read(fd, ret_text, SERVE_PIECE);
    case 'w': return write(fd, "far", 3) == 3 ? 0 : 1;
    case 'a':
        accepted = accept(fd, NULL, NULL);
        size = serve_read(accepted, ret_text, SERVE_PIECE);
        close(accepted);
        return size;
    case 'n': {
        struct sockaddr_un name;
        memcpy(&name, request + 1, size - 1);
        return connect(fd, (struct sockaddr *)&name, (socklen_t)(size - 1)) == 0 &&
                       write(fd, "far", 3) == 3
                   ? 0
                   : 1;
    }
    case 'e':
        if (epoll_wait(fd, &event, 1, SERVE_WAIT_MS) == 1) {
            memcpy(ret_text, &event.data.u64, sizeof event.data.u64);
            return sizeof event.data.u64;
        }
        return 0;
    default: return 0;
    }
}

static inline int serve_answer(int channel, const char *request, size_t size, int fd)
{
    char answer[SERVE_TEXT];
    int fds[2], count = 0;
    answer[0] = request[0];
    if (request[0] == 'b') {
        fds[count++] = fd;
    } else if (request[0] == 'm') {
        if (pipe(fds) != 0 || write(fds[1], "made", 4) != 4) {
            return 3;
        }
        count = 2;
    } else if (request[0] == 's') {
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0 || write(fds[1], "made", 4) != 4) {
            return 3;
        }
        close(fds[1]);
        count = 1;
    }
    const size_t text = serve_use(request, size, fd, answer + 1);
    if (fd >= 0 && request[0] != 'b') {
        close(fd);
    }
    const ssize_t sent = serve_send(channel, answer, text + 1, fds, count);
    for (int i = 0; i < count; i++) {
        close(fds[i]);
    }
    return sent == (ssize_t)text + 1 ? 0 : 4;
}

/* Until end-of-file, or an empty datagram. Returns 0: all went well. */
static inline int serve(int channel)
{
    char request[SERVE_TEXT];
    int fds[2];
    ssize_t size;
    while ((size = serve_receive(channel, request, sizeof request, fds)) > 0) {
        size_t at = 0; /* a stream joins plain requests with what comes behind them */
        int result = 0;
        while (result == 0 && at + 1 < (size_t)size && request[at] == 'd') {
            result = serve_answer(channel, request + at++, 1, -1);
        }
        if (result == 0) {
            result = serve_answer(channel, request + at, (size_t)size - at, fds[0]);
        }
        if (result != 0) {
            return result;
        }
    }
    return size == 0 ? 0 : 5;
}

#endif
