/*
 * Proves: closefrom and close_range close emulated fds as close does (the other side sees it), also
 * in a child; CLOSE_RANGE_CLOEXEC marks them; afterwards new pipes work and take low numbers.
 *
 * Rows: 5.2 "close(bad), close(-1)" (close_range(2), closefrom(3)), 2.3 "read, empty, no writers"
 */
#include <linux/close_range.h>

#include "guest.h"

static void range_is_the_last_close(void)
{
    int first[2], second[2];
    char byte;
    guest_pipe(first);
    guest_pair(SOCK_STREAM, second);
    int kept = (int)CHECK_OK(fcntl(first[0], F_DUPFD, 150));
    int peer = (int)CHECK_OK(fcntl(second[1], F_DUPFD, 150));
    CHECK_EQ(1, write(first[1], "x", 1));
    CHECK_OK(close_range((unsigned int)first[0], 149, 0));
    CHECK_ERR(EBADF, fcntl(first[1], F_GETFD));
    CHECK_EQ(1, read(kept, &byte, 1));
    CHECK_EQ(0, read(kept, &byte, 1));
    CHECK_EQ(0, read(peer, &byte, 1));
    CHECK_OK(close(kept));
    CHECK_OK(close(peer));
}

static void range_marks_cloexec(void)
{
    int fds[2];
    char byte;
    guest_pipe(fds);
    CHECK_OK(close_range((unsigned int)fds[0], (unsigned int)fds[1], CLOSE_RANGE_CLOEXEC));
    CHECK_EQ(FD_CLOEXEC, fcntl(fds[0], F_GETFD));
    CHECK_EQ(FD_CLOEXEC, fcntl(fds[1], F_GETFD));
    pid_t pid = guest_fork();
    if (pid == 0) {
        execl("/bin/sleep", "sleep", "20", (char *)NULL);
        _exit(127);
    }
    CHECK_OK(close(fds[1]));
    CHECK_EQ(0, read(fds[0], &byte, 1)); /* at exec, long before the child ends */
    CHECK_OK(kill(pid, SIGKILL));
    guest_wait_killed(pid, SIGKILL);
    CHECK_OK(close(fds[0]));
}

static void child_closes_all(void)
{
    int fds[2], orders[2];
    char byte;
    guest_pipe(fds);
    guest_pipe(orders);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(dup2(orders[0], 0));
        closefrom(3);
        int own[2];
        guest_pipe(own);
        CHECK_EQ(3, own[0]);
        CHECK_EQ(4, own[1]);
        CHECK_EQ(2, write(own[1], "ok", 2));
        CHECK_EQ(2, read(own[0], &(char[2]){ 0 }, 2));
        CHECK_EQ(0, read(0, &byte, 1));
        _exit(0);
    }
    CHECK_OK(close(orders[0]));
    CHECK_OK(close(fds[1]));
    CHECK_EQ(0, read(fds[0], &byte, 1));
    CHECK_OK(close(orders[1]));
    guest_wait_exit(pid, 0);
    CHECK_OK(close(fds[0]));
}

static void works_after_closefrom(void)
{
    int fds[2], pair[2];
    char buffer[8];
    closefrom(3);
    guest_pipe(fds);
    guest_pair(SOCK_SEQPACKET, pair);
    CHECK_EQ(3, fds[0]);
    CHECK_EQ(4, fds[1]);
    CHECK_EQ(5, pair[0]);
    CHECK_EQ(6, pair[1]);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(4, write(fds[1], "pipe", 4));
        CHECK_EQ(4, write(pair[1], "pair", 4));
        _exit(0);
    }
    CHECK_EQ(4, read(fds[0], buffer, sizeof buffer));
    CHECK_EQ(4, read(pair[0], buffer, sizeof buffer));
    guest_wait_exit(pid, 0);
    CHECK_EQ(0, system("exit 0"));
    closefrom(3);
    CHECK_ERR(EBADF, write(fds[1], "x", 1));
    CHECK_ERR(EBADF, write(pair[1], "x", 1));
    CHECK_ERR(EINVAL, close_range(10, 5, 0));
}

int main(void)
{
    closefrom(3); /* whatever was inherited, so that the numbers below are known */
    guest_start();
    range_is_the_last_close();
    range_marks_cloexec();
    child_closes_all();
    works_after_closefrom();
    return guest_end();
}
