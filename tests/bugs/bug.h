/*
 * bug.h - what the bug programs use
 *
 * Each program of this folder shows one bug pattern of socket code, as small as it can be; compiled
 * with FIXED it is the same program without the bug. Exit 0: everything arrived. Exit 1 and a
 * message: the bug has struck and was seen. Some hang, or die by a signal, instead.
 *
 * work_us() stands for what a real program does between two calls. It decides how seldom a race is
 * lost when nobody disturbs it, and is no synchronisation: the fixed programs need none of it.
 */
#ifndef BUG_H
#define BUG_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef FIXED
#    define BUG 0
#else
#    define BUG 1
#endif

__attribute__((noreturn, format(printf, 1, 2))) static inline void bug_seen(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

/* What has nothing to do with the pattern must work. */
#define MUST(condition)                                                \
    do {                                                               \
        if (!(condition))                                              \
            bug_seen("%s:%d: %s: %m", __FILE__, __LINE__, #condition); \
    } while (0)

static inline void work_us(long us)
{
    struct timespec rest = { us / 1000000, us % 1000000 * 1000 };

    while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
        ;
}

/* Writes all of it, however often that takes. Returns false when the peer is gone. */
static inline bool write_all(int fd, const void *data, size_t size)
{
    const char *at = data;

    while (size > 0) {
        ssize_t count = write(fd, at, size);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0 && errno == EAGAIN) {
            struct pollfd room = { fd, POLLOUT, 0 };

            poll(&room, 1, -1);
            continue;
        }
        if (count < 0)
            return false;
        at += count;
        size -= (size_t)count;
    }
    return true;
}

/* Reads until `size` bytes are there or the end. Returns how many. */
static inline size_t read_all(int fd, void *data, size_t size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t count = read(fd, (char *)data + done, size - done);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            break;
        done += (size_t)count;
    }
    return done;
}

/* Waits for the child and wants exit code 0 of it. */
static inline void child_must_succeed(pid_t child)
{
    int status;

    while (waitpid(child, &status, 0) < 0)
        MUST(errno == EINTR);
    if (WIFSIGNALED(status))
        bug_seen("the child died of signal %d", WTERMSIG(status));
    MUST(WEXITSTATUS(status) == 0);
}

#endif
