/*
 * Proves: urgent bytes on a stream socketpair: recv(MSG_OOB), the mark, a read that stops before
 * it, reading past it, replacement by a newer one, SO_OOBINLINE, SIOCATMARK, FIONREAD, SIGURG to
 * the owner, and no wake-up of a reader by nothing but the mark.
 *
 * Rows: 3.8 "MSG_OOB on STREAM", 3.8 "SIOCATMARK", 3.6 "connected, OOB byte pending", 5.4 "OOB",
 * 3.3 "MSG_OOB with len 0"
 */
#include <linux/sockios.h>

#include "guest.h"

static int at_mark(int fd)
{
    int mark = -1;
    CHECK_OK(ioctl(fd, SIOCATMARK, &mark));
    return mark;
}

static void out_of_line(void)
{
    int fds[2], available;
    char buffer[16];
    guest_pair(SOCK_STREAM, fds);
    CHECK_ERR(EINVAL, recv(fds[0], buffer, 1, MSG_OOB));
    CHECK_ERR(EOPNOTSUPP, send(fds[1], "", 0, MSG_OOB));
    CHECK_EQ(5, send(fds[1], "abcd!", 5, MSG_OOB));
    CHECK_EQ(2, send(fds[1], "ef", 2, 0));
    CHECK_OK(ioctl(fds[0], FIONREAD, &available));
    CHECK_EQ(7, available);
    CHECK_EQ(POLLIN | POLLPRI, guest_poll(fds[0], POLLIN | POLLPRI, 0));
    CHECK_EQ(0, at_mark(fds[0]));
    CHECK_EQ(1, recv(fds[0], buffer, sizeof buffer, MSG_OOB));
    CHECK_EQ('!', buffer[0]);
    CHECK_ERR(EINVAL, recv(fds[0], buffer, 1, MSG_OOB));
    CHECK_EQ(4, read(fds[0], buffer, sizeof buffer)); /* stops at the mark */
    CHECK_MEM("abcd", buffer, 4);
    CHECK_EQ(2, read(fds[0], buffer, sizeof buffer));
    CHECK_MEM("ef", buffer, 2);
    guest_close_both(fds);
}

static void dropped_when_read_past(void)
{
    int fds[2];
    char buffer[16];
    guest_pair(SOCK_STREAM, fds);
    CHECK_EQ(3, send(fds[1], "ab!", 3, MSG_OOB));
    CHECK_EQ(2, send(fds[1], "cd", 2, 0));
    CHECK_EQ(2, read(fds[0], buffer, sizeof buffer));
    CHECK_EQ(1, at_mark(fds[0]));
    CHECK_EQ(2, read(fds[0], buffer, sizeof buffer));
    CHECK_MEM("cd", buffer, 2);
    CHECK_ERR(EINVAL, recv(fds[0], buffer, 1, MSG_OOB));
    guest_close_both(fds);
}

static void replaced_by_a_newer_one(void)
{
    int fds[2];
    char buffer[16];
    guest_pair(SOCK_STREAM, fds);
    CHECK_EQ(2, send(fds[1], "a1", 2, MSG_OOB));
    CHECK_EQ(2, send(fds[1], "b2", 2, MSG_OOB));
    CHECK_EQ(1, recv(fds[0], buffer, 1, MSG_OOB));
    CHECK_EQ('2', buffer[0]);
    CHECK_EQ(3, read(fds[0], buffer, sizeof buffer)); /* the old one became ordinary */
    CHECK_MEM("a1b", buffer, 3);
    guest_close_both(fds);
}

static void in_line(void)
{
    int fds[2], on = 1;
    char buffer[16];
    guest_pair(SOCK_STREAM, fds);
    CHECK_OK(setsockopt(fds[0], SOL_SOCKET, SO_OOBINLINE, &on, sizeof on));
    CHECK_EQ(3, send(fds[1], "ab!", 3, MSG_OOB));
    CHECK_ERR(EINVAL, recv(fds[0], buffer, 1, MSG_OOB));
    CHECK_EQ(2, read(fds[0], buffer, sizeof buffer));
    CHECK_EQ(1, at_mark(fds[0]));
    CHECK_EQ(1, read(fds[0], buffer, sizeof buffer));
    CHECK_EQ('!', buffer[0]);
    guest_close_both(fds);
}

static void seqpacket_has_none(void)
{
    int fds[2], mark;
    guest_pair(SOCK_SEQPACKET, fds);
    CHECK_ERR(EOPNOTSUPP, send(fds[1], "x", 1, MSG_OOB));
    CHECK_ERR(EOPNOTSUPP, recv(fds[0], &mark, 1, MSG_OOB));
    CHECK_ERR(EOPNOTSUPP, ioctl(fds[0], SIOCATMARK, &mark));
    guest_close_both(fds);
}

static void signals_the_owner(void)
{
    int fds[2];
    guest_count_signal(SIGURG, 0);
    guest_pair(SOCK_STREAM, fds);
    CHECK_EQ(1, send(fds[1], "1", 1, MSG_OOB));
    CHECK_EQ(0, atomic_load(&guest_signal_count[SIGURG]));
    CHECK_OK(fcntl(fds[0], F_SETOWN, getpid()));
    CHECK_EQ(1, send(fds[1], "2", 1, MSG_OOB));
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGURG]));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(1, send(fds[1], "3", 1, MSG_OOB));
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    CHECK_EQ(2, atomic_load(&guest_signal_count[SIGURG]));
    CHECK_EQ(1, recv(fds[0], &(char){ 0 }, 1, MSG_OOB));
    guest_close_both(fds);
}

static void *poll_for_urgent(void *argument)
{
    CHECK_EQ(POLLPRI, guest_poll(*(int *)argument, POLLPRI, -1));
    return NULL;
}

static void wakes_poll(void)
{
    int fds[2];
    struct guest_thread thread;
    guest_pair(SOCK_STREAM, fds);
    guest_thread_start(&thread, poll_for_urgent, &fds[0]);
    guest_thread_blocked(&thread);
    CHECK_EQ(1, write(fds[1], "x", 1));
    guest_thread_blocked(&thread);
    CHECK_EQ(1, send(fds[1], "!", 1, MSG_OOB));
    guest_thread_join(&thread);
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    out_of_line();
    dropped_when_read_past();
    replaced_by_a_newer_one();
    in_line();
    seqpacket_has_none();
    signals_the_owner();
    wakes_poll();
    return guest_end();
}
