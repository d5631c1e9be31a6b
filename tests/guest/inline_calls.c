/*
 * Proves: a program whose system calls are all written by hand works: pipes, socket pairs, named
 * sockets, epoll, dup2, close, errors, a blocked read that a signal ends, threads of libc's beside
 * them, fork and wait, a child that another image is run in.
 *
 * Rows: 2.2 "Write of n>0 bytes", 2.3 "read, empty, no writers", 3.4 "data queued", 5.1 "exec"
 */
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/un.h>

#include "inline.h"

static void put(int fd, const char *text)
{
    CHECK_EQ((long)strlen(text), INLINE3(SYS_write, fd, text, strlen(text)));
}

static void take(int fd, const char *expected)
{
    char buffer[64];
    CHECK_EQ((long)strlen(expected), INLINE3(SYS_read, fd, buffer, sizeof buffer));
    CHECK_MEM(expected, buffer, strlen(expected));
}

static void drop(int fd)
{
    CHECK_ZERO(INLINE1(SYS_close, fd));
}

static void a_pipe(void)
{
    int fds[2], copy;
    struct iovec halves[2] = { { (void *)(uintptr_t) "one ", 4 },
                               { (void *)(uintptr_t) "two", 3 } };
    CHECK_ZERO(INLINE2(SYS_pipe2, fds, O_CLOEXEC));
    put(fds[1], "hello");
    take(fds[0], "hello");
    CHECK_EQ(7, INLINE3(SYS_writev, fds[1], halves, 2));
    take(fds[0], "one two");
    copy = (int)INLINE1(SYS_dup, fds[1]);
    CHECK(copy > fds[1]);
    CHECK_EQ(copy, INLINE2(SYS_dup2, fds[1], copy));
    drop(fds[1]);
    put(copy, "by the copy");
    take(fds[0], "by the copy");
    CHECK_ZERO(INLINE3(SYS_fcntl, fds[0], F_SETFL, O_NONBLOCK));
    CHECK_EQ(-EAGAIN, INLINE3(SYS_read, fds[0], fds, 1));
    CHECK_EQ(-EBADF, INLINE3(SYS_write, fds[0], "x", 1));
    CHECK_EQ(-EFAULT, INLINE3(SYS_write, copy, guest_bad_pointer(), 1));
    drop(copy);
    CHECK_EQ(0, INLINE3(SYS_read, fds[0], &copy, 1));
    drop(fds[0]);
    CHECK_EQ(-EBADF, INLINE1(SYS_close, fds[0]));
}

static void broken_pipe(void)
{
    int fds[2];
    guest_count_signal(SIGPIPE, 0);
    CHECK_ZERO(INLINE2(SYS_pipe2, fds, 0));
    drop(fds[0]);
    CHECK_EQ(-EPIPE, INLINE3(SYS_write, fds[1], "x", 1));
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGPIPE]));
    drop(fds[1]);
}

static void named_sockets(void)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    socklen_t size;
    int listener, client, accepted;
    struct iovec text = { (void *)(uintptr_t) "message", 7 };
    struct msghdr message = { .msg_iov = &text, .msg_iovlen = 1 };
    snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "inline-%d", (int)getpid());
    size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name.sun_path + 1));
    listener = (int)INLINE3(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(listener >= 0);
    CHECK_ZERO(INLINE3(SYS_bind, listener, &name, size));
    CHECK_ZERO(INLINE2(SYS_listen, listener, 4));
    client = (int)INLINE3(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
    CHECK_ZERO(INLINE3(SYS_connect, client, &name, size));
    accepted = (int)INLINE4(SYS_accept4, listener, 0, 0, SOCK_CLOEXEC);
    CHECK(accepted >= 0);
    CHECK_EQ(7, INLINE3(SYS_sendmsg, client, &message, 0));
    take(accepted, "message");
    CHECK_EQ(5, INLINE6(SYS_sendto, accepted, "reply", 5, MSG_NOSIGNAL, 0, 0));
    take(client, "reply");
    CHECK_ZERO(INLINE2(SYS_shutdown, client, SHUT_WR));
    CHECK_EQ(0, INLINE3(SYS_read, accepted, &size, 1));
    drop(client);
    drop(accepted);
    drop(listener);
}

static void readiness(void)
{
    int fds[2];
    struct epoll_event event = { .events = EPOLLIN, .data.u32 = 7 }, got;
    int epoll = (int)INLINE1(SYS_epoll_create1, EPOLL_CLOEXEC);
    CHECK_ZERO(INLINE4(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET, 0, fds));
    struct pollfd entry = { .fd = fds[0], .events = POLLIN };
    CHECK_ZERO(INLINE4(SYS_epoll_ctl, epoll, EPOLL_CTL_ADD, fds[0], &event));
    CHECK_EQ(0, INLINE3(SYS_poll, &entry, 1, 0));
    put(fds[1], "record");
    CHECK_EQ(1, INLINE3(SYS_poll, &entry, 1, -1));
    CHECK_EQ(1, INLINE6(SYS_epoll_pwait, epoll, &got, 1, -1, 0, 8));
    CHECK_EQ(7, got.data.u32);
    take(fds[0], "record");
    drop(epoll);
    drop(fds[0]);
    drop(fds[1]);
}

static int blocked[2];

static void *read_until_a_signal(void *argument)
{
    char byte;
    (void)argument;
    CHECK_EQ(-EINTR, INLINE3(SYS_read, blocked[0], &byte, 1));
    CHECK_EQ(1, INLINE3(SYS_read, blocked[0], &byte, 1));
    return NULL;
}

static void interrupted(void)
{
    struct guest_thread thread;
    guest_count_signal(SIGUSR1, 0);
    CHECK_ZERO(INLINE2(SYS_pipe2, blocked, 0));
    guest_thread_start(&thread, read_until_a_signal, NULL);
    guest_thread_blocked(&thread);
    CHECK_ZERO(pthread_kill(thread.pthread, SIGUSR1));
    while (atomic_load(&guest_signal_count[SIGUSR1]) == 0) {
        sched_yield();
    }
    guest_thread_blocked(&thread);
    put(blocked[1], "x");
    guest_thread_join(&thread);
    drop(blocked[0]);
    drop(blocked[1]);
}

static long forked(int form)
{
    uint64_t arguments[8] = { [4] = SIGCHLD }; /* struct clone_args of linux/sched.h */
    switch (form) {
    case 0: return INLINE1(SYS_fork, 0);
    case 1: return INLINE6(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
    default: return INLINE2(SYS_clone3, arguments, sizeof arguments);
    }
}

static void with_a_child(int form)
{
    int fds[2], status = 0;
    CHECK_ZERO(INLINE2(SYS_pipe2, fds, 0));
    long pid = forked(form);
    CHECK(pid >= 0);
    if (pid == 0) {
        drop(fds[0]);
        put(fds[1], "from the child");
        INLINE1(SYS_exit_group, 3);
    }
    drop(fds[1]);
    take(fds[0], "from the child");
    CHECK_EQ(0, INLINE3(SYS_read, fds[0], &status, 1));
    CHECK_EQ(pid, INLINE4(SYS_wait4, pid, &status, 0, 0));
    CHECK_EQ(3, WEXITSTATUS(status));
    drop(fds[0]);
}

static void with_an_image(void)
{
    static const char *const words[] = { "sh", "-c", "read -r line; echo \"got $line\"", NULL };
    int in[2], out[2], status = 0;
    CHECK_ZERO(INLINE2(SYS_pipe2, in, O_CLOEXEC));
    CHECK_ZERO(INLINE2(SYS_pipe2, out, O_CLOEXEC));
    long pid = INLINE1(SYS_fork, 0);
    CHECK(pid >= 0);
    if (pid == 0) {
        INLINE2(SYS_dup2, in[0], 0);
        INLINE2(SYS_dup2, out[1], 1);
        INLINE3(SYS_execve, "/bin/sh", words, environ);
        INLINE1(SYS_exit_group, 127);
    }
    drop(in[0]);
    drop(out[1]);
    put(in[1], "words\n");
    take(out[0], "got words\n");
    CHECK_EQ(pid, INLINE4(SYS_wait4, pid, &status, 0, 0));
    CHECK_EQ(0, status);
    drop(in[1]);
    drop(out[0]);
}

int main(void)
{
    guest_start();
    a_pipe();
    broken_pipe();
    named_sockets();
    readiness();
    interrupted();
    for (int form = 0; form < 3; form++) {
        with_a_child(form);
    }
    with_an_image();
    return guest_end();
}
