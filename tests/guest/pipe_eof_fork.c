/*
 * Proves: a reader sees end-of-file when, and only when, the last write end in any process is gone;
 * a child that exits without closing counts as closed, and a leaked copy keeps the pipe open.
 *
 * Rows: 2.3 "read, empty, no writers", 2.3 "read, empty, writers exist", 2.6 "all writers closed"
 */
#include "guest.h"

static void child_writes_and_exits(void)
{
    int fds[2];
    char buffer[16];
    guest_pipe(fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(fds[0]));
        CHECK_EQ(5, write(fds[1], "hello", 5));
        _exit(0);
    }
    CHECK_OK(close(fds[1]));
    CHECK_EQ(5, guest_read_all(fds[0], buffer, sizeof buffer));
    CHECK_MEM("hello", buffer, 5);
    CHECK_EQ(0, read(fds[0], buffer, sizeof buffer));
    CHECK_EQ(0, read(fds[0], buffer, sizeof buffer));
    guest_wait_exit(pid, 0);
    CHECK_EQ(0, read(fds[0], buffer, sizeof buffer));
    CHECK_OK(close(fds[0]));
}

static void blocked_parent_wakes_at_exit(void)
{
    int fds[2];
    char byte;
    guest_pipe(fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_process_blocked(getppid());
        _exit(0);
    }
    CHECK_OK(close(fds[1]));
    CHECK_EQ(0, read(fds[0], &byte, 1));
    guest_wait_exit(pid, 0);
    CHECK_OK(close(fds[0]));
}

static void blocked_child_wakes_at_close(void)
{
    int fds[2];
    char byte;
    guest_pipe(fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(fds[1]));
        CHECK_EQ(0, read(fds[0], &byte, 1));
        _exit(0);
    }
    guest_process_blocked(pid);
    CHECK_OK(close(fds[1]));
    guest_wait_exit(pid, 0);
    CHECK_OK(close(fds[0]));
}

static void own_write_end_keeps_it_open(void)
{
    int fds[2];
    char byte;
    CHECK_OK(pipe2(fds, O_NONBLOCK));
    pid_t pid = guest_fork();
    if (pid == 0) {
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    CHECK_ERR(EAGAIN, read(fds[0], &byte, 1));
    CHECK_OK(close(fds[1]));
    CHECK_EQ(0, read(fds[0], &byte, 1));
    CHECK_OK(close(fds[0]));
}

static void grandchild_keeps_it_open(void)
{
    int fds[2], gate[2];
    char byte;
    CHECK_OK(pipe2(fds, O_NONBLOCK));
    guest_pipe(gate);
    pid_t pid = guest_fork();
    if (pid == 0) {
        if (guest_fork() == 0) {
            CHECK_OK(close(gate[1]));
            CHECK_EQ(0, read(gate[0], &byte, 1)); /* lives until the test lets go */
            _exit(0);
        }
        _exit(0);
    }
    CHECK_OK(close(fds[1]));
    CHECK_OK(close(gate[0]));
    guest_wait_exit(pid, 0);
    CHECK_ERR(EAGAIN, read(fds[0], &byte, 1));
    CHECK_OK(close(gate[1]));
    CHECK_EQ(POLLHUP, guest_poll(fds[0], POLLIN, 10000));
    CHECK_EQ(0, read(fds[0], &byte, 1));
    CHECK_OK(close(fds[0]));
}

int main(void)
{
    guest_start();
    child_writes_and_exits();
    blocked_parent_wakes_at_exit();
    blocked_child_wakes_at_close();
    own_write_end_keeps_it_open();
    grandchild_keeps_it_open();
    return guest_end();
}
