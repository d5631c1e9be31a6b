/*
 * Proves: syscall(SYS_...) and the libc functions work on the same fds, mixed: making, reading,
 * writing, duplicating, closing, flags, poll, messages, shutdown; errors come in errno.
 *
 * Rows: 2.1 "pipe()/pipe2()", 2.3 "read, empty, no writers", 5.2 "dup3(old,old)", 5.1 "F_GETFL",
 * 3.5 "we SHUT_WR"
 */
#include "guest.h"

static void pipe_calls(void)
{
    int fds[2];
    char buffer[8];
    CHECK_EQ(0, syscall(SYS_pipe2, fds, O_NONBLOCK | O_CLOEXEC));
    CHECK_EQ(FD_CLOEXEC, fcntl(fds[0], F_GETFD));
    CHECK_EQ(O_NONBLOCK, syscall(SYS_fcntl, fds[0], F_GETFL));
    CHECK_ERR(EAGAIN, syscall(SYS_read, fds[0], buffer, 8));
    CHECK_EQ(3, syscall(SYS_write, fds[1], "abc", 3));
    CHECK_EQ(1, read(fds[0], buffer, 1));
    CHECK_EQ(3, write(fds[1], "def", 3));
    CHECK_EQ(5, syscall(SYS_read, fds[0], buffer, 8));
    CHECK_MEM("bcdef", buffer, 5);
    struct iovec vectors[2] = { { .iov_base = "xy", .iov_len = 2 },
                                { .iov_base = "z", .iov_len = 1 } };
    CHECK_EQ(3, syscall(SYS_writev, fds[1], vectors, 2));
    struct iovec target = { .iov_base = buffer, .iov_len = 8 };
    CHECK_EQ(3, syscall(SYS_readv, fds[0], &target, 1));
    CHECK_MEM("xyz", buffer, 3);
    int copy = (int)syscall(SYS_dup, fds[1]);
    CHECK_OK(copy);
    CHECK_EQ(120, syscall(SYS_dup3, fds[1], 120, O_CLOEXEC));
    CHECK_EQ(121, syscall(SYS_dup2, fds[1], 121));
    CHECK_ERR(EINVAL, syscall(SYS_dup3, fds[1], fds[1], 0));
    CHECK_EQ(0, syscall(SYS_close, fds[1]));
    CHECK_OK(close(120));
    CHECK_EQ(0, syscall(SYS_close, 121));
    CHECK_EQ(1, write(copy, "q", 1));
    CHECK_EQ(0, syscall(SYS_close_range, copy, copy, 0));
    CHECK_EQ(1, syscall(SYS_read, fds[0], buffer, 8));
    CHECK_EQ(0, syscall(SYS_read, fds[0], buffer, 8));
    CHECK_OK(close(fds[0]));
    CHECK_ERR(EBADF, syscall(SYS_read, fds[0], buffer, 8));
    CHECK_EQ(0, syscall(SYS_pipe, fds));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(1, syscall(SYS_read, fds[0], buffer, 1));
    guest_close_both(fds);
}

static void socket_calls(void)
{
    int fds[2], available = 0;
    char buffer[8];
    struct iovec vector = { .iov_base = buffer, .iov_len = 8 };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
    CHECK_EQ(0, syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, fds));
    CHECK_EQ(3, syscall(SYS_sendto, fds[0], "abc", 3, 0, NULL, 0));
    CHECK_EQ(0, syscall(SYS_ioctl, fds[1], FIONREAD, &available));
    CHECK_EQ(3, available);
    CHECK_EQ(2, recv(fds[1], buffer, 2, 0));
    CHECK_EQ(1, syscall(SYS_recvfrom, fds[1], buffer, 8, 0, NULL, NULL));
    CHECK_EQ('c', buffer[0]);
    CHECK_EQ(8, syscall(SYS_sendmsg, fds[1], &message, 0));
    CHECK_EQ(8, syscall(SYS_recvmsg, fds[0], &message, 0));
    struct pollfd entry = { .fd = fds[0], .events = POLLIN | POLLOUT };
    CHECK_EQ(1, syscall(SYS_poll, &entry, 1, 0));
    CHECK_EQ(POLLOUT, entry.revents);
    CHECK_EQ(0, syscall(SYS_shutdown, fds[1], SHUT_WR));
    CHECK_EQ(1, syscall(SYS_poll, &entry, 1, -1));
    CHECK_EQ(POLLIN | POLLOUT, entry.revents);
    CHECK_EQ(0, syscall(SYS_read, fds[0], buffer, 8));
    CHECK_ERR(EPIPE, syscall(SYS_sendto, fds[1], "x", 1, MSG_NOSIGNAL, NULL, 0));
    guest_close_both(fds);
}

static void *blocked_in_syscall(void *argument)
{
    char buffer[8];
    CHECK_EQ(4, syscall(SYS_read, *(int *)argument, buffer, 8));
    CHECK_MEM("wake", buffer, 4);
    return NULL;
}

static void blocks_and_wakes(void)
{
    int fds[2];
    struct guest_thread thread;
    guest_pipe(fds);
    guest_thread_start(&thread, blocked_in_syscall, &fds[0]);
    guest_thread_blocked(&thread);
    CHECK_EQ(4, write(fds[1], "wake", 4));
    guest_thread_join(&thread);
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    pipe_calls();
    socket_calls();
    blocks_and_wakes();
    return guest_end();
}
