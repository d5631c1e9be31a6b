/*
 * Proves: what Linux says when there is nothing left: EMFILE of all calls that make descriptors, at
 * RLIMIT_NOFILE, and MSG_CTRUNC of descriptors in a message; ENOBUFS of control data beyond
 * net.core.optmem_max; EPERM of a pipe beyond /proc/sys/fs/pipe-max-size, or success for root. What
 * was there before works on, and no byte is lost.
 */
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "guest.h"

/* From now on no descriptor can be made. */
static struct rlimit forbid_more(void)
{
    struct rlimit before, now;
    int next = (int)CHECK_OK(dup(0)); /* the lowest that is free */

    CHECK_OK(close(next));
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &before));
    now = (struct rlimit){ (rlim_t)next, before.rlim_max };
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &now));
    return before;
}

static void no_numbers_left(void)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int size = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "fault-none-%d", getpid());
    socklen_t length = (socklen_t)offsetof(struct sockaddr_un, sun_path) + 1 + (socklen_t)size;
    int listener = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    int client = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    struct rlimit limit;
    int fds[2] = { -1, -1 }, server;
    char byte;

    CHECK_OK(bind(listener, (struct sockaddr *)&name, length));
    CHECK_OK(listen(listener, 5));
    CHECK_OK(connect(client, (struct sockaddr *)&name, length));
    CHECK_EQ(1, write(client, "x", 1));
    limit = forbid_more();
    CHECK_ERR(EMFILE, pipe(fds));
    CHECK_ERR(EMFILE, pipe2(fds, O_CLOEXEC));
    CHECK_ERR(EMFILE, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    CHECK_ERR(EMFILE, socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_ERR(EMFILE, dup(client));
    CHECK_ERR(EMFILE, epoll_create1(0));
    CHECK_ERR(EMFILE, accept(listener, NULL, NULL));
    CHECK(fds[0] == -1 && fds[1] == -1);
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    server = (int)CHECK_OK(accept(listener, NULL, NULL)); /* it waited, and what it sent, too */
    CHECK_EQ(1, read(server, &byte, 1));
    CHECK_OK(close(server));
    CHECK_OK(close(client));
    CHECK_OK(close(listener));
}

/* A descriptor that finds no number is dropped, and the byte it came with arrives. */
static void no_number_for_a_right(void)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = { .align = { .cmsg_len = CMSG_LEN(sizeof(int)),
                             .cmsg_level = SOL_SOCKET,
                             .cmsg_type = SCM_RIGHTS } };
    char byte = 'x';
    struct iovec iov = { &byte, 1 };
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    struct rlimit limit;
    int fds[2];

    guest_pair(SOCK_STREAM, fds);
    memcpy(CMSG_DATA(&control.align), &fds[0], sizeof(int));
    CHECK_EQ(1, sendmsg(fds[0], &message, 0));
    limit = forbid_more();
    CHECK_EQ(1, recvmsg(fds[1], &message, 0));
    CHECK(message.msg_flags & MSG_CTRUNC);
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    guest_close_both(fds);
}

static long number_in(const char *path)
{
    char text[32] = "";
    int fd = (int)CHECK_OK(open(path, O_RDONLY | O_CLOEXEC));

    CHECK_OK(read(fd, text, sizeof text - 1));
    CHECK_OK(close(fd));
    return strtol(text, NULL, 10);
}

static void no_memory_for_control_data(void)
{
    size_t size = (size_t)number_in("/proc/sys/net/core/optmem_max") + GUEST_PAGE;
    char byte = 'x', *control = calloc(1, size);
    struct cmsghdr *header = (struct cmsghdr *)(void *)control;
    struct iovec iov = { &byte, 1 };
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = size
    };
    int fds[2];

    CHECK(control != NULL);
    header->cmsg_len = size;
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    guest_pair(SOCK_STREAM, fds);
    CHECK_ERR(ENOBUFS, sendmsg(fds[0], &message, 0));
    CHECK_ERR(EAGAIN, recv(fds[1], &byte, 1, MSG_DONTWAIT)); /* nothing has gone */
    guest_close_both(fds);
    free(control);
}

static void no_larger_pipe(void)
{
    int fds[2], size = (int)number_in("/proc/sys/fs/pipe-max-size");

    guest_pipe(fds);
    if (fcntl(fds[1], F_SETPIPE_SZ, size * 2) < 0) {
        CHECK_EQ(EPERM, errno);
    }
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_ERR(EINVAL, fcntl(fds[1], F_SETPIPE_SZ, -1));
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    no_numbers_left();
    no_number_for_a_right();
    no_memory_for_control_data();
    no_larger_pipe();
    return guest_end();
}
