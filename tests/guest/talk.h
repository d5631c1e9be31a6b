/*
 * talk.h: two channels to a child, and a short talk over them that loses nothing
 *
 * talk_open() makes them and writes the first block before the child is there; the child puts its
 * ends over 0 and 1 (talk_take(), or file actions of a spawn) and becomes what says everything
 * back: the image of talk_image(), cat, or another. talk_end() has the rest of the talk, sees the
 * end-of-file and the exit code. Channels are close-on-exec, so only 0 and 1 reach a new image.
 */
#ifndef TALK_H
#define TALK_H

#include "guest.h"

enum { TALK_BIG = 200000, TALK_KINDS = 3 };

struct talk {
    int to_child[2];
    int from_child[2];
};

/* kind: 0 pipes, 1 streams, 2 both, a pipe to the child and a stream back. */
static inline void talk_channel(bool socket, int fds[2])
{
    if (!socket) {
        CHECK_OK(pipe2(fds, O_CLOEXEC));
    } else {
        CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
    }
}

static inline void talk_open(struct talk *talk, int kind)
{
    talk_channel(kind == 1, talk->to_child);
    talk_channel(kind >= 1, talk->from_child);
    CHECK_EQ(5, write(talk->to_child[1], "early", 5));
}

/* In the child: nothing here may be unsafe in a child that shares memory. */
static inline bool talk_take(const struct talk *talk)
{
    return dup2(talk->to_child[0], 0) == 0 && dup2(talk->from_child[1], 1) == 1;
}

static inline void *talk_write_big(void *argument)
{
    static unsigned char big[TALK_BIG];
    int fd = *(int *)argument;
    guest_pattern_fill(big, TALK_BIG, 0);
    guest_write_all(fd, big, TALK_BIG);
    CHECK_OK(close(fd));
    return NULL;
}

/* `early` was written by talk_open(), so it comes first. */
static inline void talk_end(struct talk *talk, pid_t pid, int code)
{
    static unsigned char echo[TALK_BIG];
    struct guest_thread writer;
    CHECK_OK(pid);
    CHECK_OK(close(talk->to_child[0]));
    CHECK_OK(close(talk->from_child[1]));
    CHECK_EQ(5, guest_read_all(talk->from_child[0], echo, 5));
    CHECK_MEM("early", echo, 5);
    CHECK_EQ(4, write(talk->to_child[1], "late", 4));
    CHECK_EQ(4, guest_read_all(talk->from_child[0], echo, 4));
    CHECK_MEM("late", echo, 4);
    guest_thread_start(&writer, talk_write_big, &talk->to_child[1]);
    CHECK_EQ(TALK_BIG, guest_read_all(talk->from_child[0], echo, TALK_BIG));
    guest_pattern_check(echo, TALK_BIG, 0);
    CHECK_EQ(0, read(talk->from_child[0], echo, 1));
    guest_thread_join(&writer);
    guest_wait_exit(pid, code);
    CHECK_OK(close(talk->from_child[0]));
}

/* The talk is off: nobody came. */
static inline void talk_close(struct talk *talk)
{
    guest_close_both(talk->to_child);
    guest_close_both(talk->from_child);
}

/* From 0 to 1 until end-of-file, in pieces of odd sizes; false: something failed. */
static inline bool talk_copy(void)
{
    char buffer[7001];
    ssize_t count;
    while ((count = read(0, buffer, sizeof buffer)) > 0) {
        for (ssize_t sent = 0; sent < count;) {
            ssize_t now = write(1, buffer + sent, (size_t)(count - sent));
            if (now <= 0) {
                return false;
            }
            sent += now;
        }
    }
    return count == 0;
}

/* The new image: says back what it reads; its own pipes to its own children work, too. */
static inline int talk_image(int code)
{
    int fds[2];
    char byte = 0;
    alarm(GUEST_DEADLINE_S);
    guest_pipe(fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        _exit(write(fds[1], "x", 1) == 1 ? 3 : 4);
    }
    CHECK_OK(close(fds[1]));
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_EQ(0, read(fds[0], &byte, 1));
    CHECK_OK(close(fds[0]));
    guest_wait_exit(pid, 3);
    return talk_copy() ? code : 5;
}

/* Where this program's file is, and others beside it. */
static inline void talk_path(char ret_path[PATH_MAX], const char *name)
{
    ssize_t size = CHECK_OK(readlink("/proc/self/exe", ret_path, PATH_MAX - 256));
    ret_path[size] = '\0';
    if (name != NULL) {
        strcpy(strrchr(ret_path, '/') + 1, name);
    }
}

#endif
