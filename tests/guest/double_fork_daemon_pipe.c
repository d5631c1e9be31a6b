/*
 * Proves: a daemon made by fork, setsid and fork keeps a pipe open after its parent is gone and
 * reports through it; end-of-file comes when the orphan, which nobody here can wait for, exits.
 *
 * Rows: 2.3 "read, empty, no writers", 3.4 "empty, peer closed"
 */
#include "guest.h"

static void daemon_reports(int type, bool killed)
{
    int fds[2], orders[2];
    pid_t daemon_pid = 0;
    char byte;
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
    guest_pipe(orders);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(fds[0]));
        CHECK_OK(close(orders[1]));
        CHECK_OK(setsid());
        if (guest_fork() != 0) {
            _exit(0);
        }
        CHECK_OK(chdir("/"));
        CHECK_EQ(1, read(orders[0], &byte, 1)); /* the middle process is reaped by then */
        daemon_pid = getpid();
        CHECK_EQ(sizeof daemon_pid, write(fds[1], &daemon_pid, sizeof daemon_pid));
        if (killed) {
            for (;;) {
                pause();
            }
        }
        CHECK_EQ(0, read(orders[0], &byte, 1));
        _exit(0);
    }
    CHECK_OK(close(fds[1]));
    CHECK_OK(close(orders[0]));
    guest_wait_exit(pid, 0);
    CHECK_EQ(1, write(orders[1], "g", 1));
    CHECK_EQ(sizeof daemon_pid, read(fds[0], &daemon_pid, sizeof daemon_pid));
    CHECK(daemon_pid != pid && kill(daemon_pid, 0) == 0);
    CHECK_EQ(0, guest_poll(fds[0], POLLIN, 0));
    if (killed) {
        CHECK_OK(kill(daemon_pid, SIGKILL));
    }
    CHECK_OK(close(orders[1]));
    CHECK_EQ(0, read(fds[0], &byte, 1));
    CHECK_OK(close(fds[0]));
}

int main(void)
{
    guest_start();
    daemon_reports(0, false);
    daemon_reports(0, true);
    daemon_reports(SOCK_STREAM, false);
    daemon_reports(SOCK_STREAM, true);
    return guest_end();
}
