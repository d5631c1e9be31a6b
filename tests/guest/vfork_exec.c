/*
 * Proves: vfork, then dup2 and exec in the child: the child's program reads and writes emulated
 * pipes as its 0 and 1, the parent's fds are untouched, a failed exec is seen, CLOEXEC is the last
 * close.
 *
 * Rows: 5.1 "exec", 5.2 "dup2", 2.3 "read, empty, no writers"
 */
#include "guest.h"

static void cat_by_vfork(int type)
{
    int to_child[2], from_child[2];
    char buffer[32];
    if (type == 0) {
        CHECK_OK(pipe2(to_child, O_CLOEXEC));
        CHECK_OK(pipe2(from_child, O_CLOEXEC));
    } else {
        CHECK_OK(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, to_child));
        CHECK_OK(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, from_child));
    }
    CHECK_EQ(6, write(to_child[1], "early ", 6));
    pid_t pid = vfork();
    if (pid == 0) {
        dup2(to_child[0], 0);
        dup2(from_child[1], 1);
        execl("/bin/cat", "cat", (char *)NULL);
        _exit(127);
    }
    CHECK_OK(pid);
    CHECK_OK(close(to_child[0]));
    CHECK_OK(close(from_child[1]));
    CHECK_EQ(4, write(to_child[1], "late", 4));
    CHECK_EQ(10, guest_read_all(from_child[0], buffer, 10));
    CHECK_MEM("early late", buffer, 10);
    if (type == 0) {
        CHECK_OK(close(to_child[1]));
    } else {
        CHECK_OK(shutdown(to_child[1], SHUT_WR));
    }
    CHECK_EQ(0, read(from_child[0], buffer, 1));
    guest_wait_exit(pid, 0);
    CHECK_OK(close(from_child[0]));
    if (type != 0) {
        CHECK_OK(close(to_child[1]));
    }
}

/* The usual way to learn that exec failed: a CLOEXEC pipe that carries the errno. */
static void exec_error_pipe(const char *path, bool fails)
{
    int fds[2], error = 0;
    CHECK_OK(pipe2(fds, O_CLOEXEC));
    pid_t pid = vfork();
    if (pid == 0) {
        execl(path, path, (char *)NULL);
        int reason = errno;
        (void)!write(fds[1], &reason, sizeof reason);
        _exit(127);
    }
    CHECK_OK(pid);
    CHECK_OK(close(fds[1]));
    ssize_t count = CHECK_OK(read(fds[0], &error, sizeof error));
    if (fails) {
        CHECK_EQ(sizeof error, count);
        CHECK_EQ(ENOENT, error);
        guest_wait_exit(pid, 127);
    } else {
        CHECK_EQ(0, count);
        guest_wait_exit(pid, 0);
    }
    CHECK_OK(close(fds[0]));
}

int main(void)
{
    guest_start();
    for (int i = 0; i < 5; i++) {
        cat_by_vfork(0);
        cat_by_vfork(SOCK_STREAM);
        exec_error_pipe("/nonexistent/program", true);
        exec_error_pipe("/bin/true", false);
    }
    return guest_end();
}
