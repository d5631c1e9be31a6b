/*
 * harness.c - a library as test harnesses are: it opens pipes, sockets and epoll instances for
 * itself, and uses descriptors of the program under test
 *
 * Built as a shared library by exclude_caller.sh, once under a name that is left alone and once
 * under another.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Each is a call of its own, not the last act of its function. */
#define DO(call)          \
    do {                  \
        int rc_ = (call); \
        if (rc_ < 0) {    \
            return -1;    \
        }                 \
        return rc_;       \
    } while (0)

int harness_make(const char *what, int fds[2]);
int harness_make(const char *what, int fds[2])
{
    fds[0] = fds[1] = -1;
    if (strcmp(what, "pipe") == 0) {
        DO(pipe(fds));
    }
    if (strcmp(what, "pipe2") == 0) {
        DO(pipe2(fds, 0));
    }
    if (strcmp(what, "pair") == 0) {
        DO(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    }
    if (strcmp(what, "datagrams") == 0) {
        DO(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
    }
    if (strcmp(what, "socket") == 0) {
        DO(fds[0] = socket(AF_UNIX, SOCK_STREAM, 0));
    }
    if (strcmp(what, "epoll") == 0) {
        DO(fds[0] = epoll_create1(0));
    }
    if (strcmp(what, "syscall") == 0) {
        DO((int)syscall(SYS_pipe2, fds, 0));
    }
    errno = EINVAL;
    return -1;
}

FILE *harness_popen(const char *command, const char *mode);
FILE *harness_popen(const char *command, const char *mode)
{
    FILE *stream = popen(command, mode);

    if (!stream) {
        perror("popen");
    }
    return stream;
}

/* One byte there, through a native epoll instance of the harness and back. */
int harness_use(int in, int out);
int harness_use(int in, int out)
{
    struct epoll_event event = { .events = EPOLLIN };
    int set = epoll_create1(0);
    char byte = 0;
    int copy = dup(out);
    int ok;

    ok = set >= 0 && epoll_ctl(set, EPOLL_CTL_ADD, in, &event) == 0 &&
         epoll_wait(set, &event, 1, 0) == 0 && write(copy, "x", 1) == 1 &&
         epoll_wait(set, &event, 1, -1) == 1 && read(in, &byte, 1) == 1 && byte == 'x' &&
         epoll_wait(set, &event, 1, 0) == 0;
    close(copy);
    close(set);
    return ok ? 0 : -1;
}
