/*
 * Proves: a descriptor taken out of another process by pidfd_getfd is the same open file
 * description: unread bytes, status flags and ends are shared; of a pipe, a socket pair and a file,
 * made before the fork and after it, in the child and in the parent; it counts as a reader or
 * writer until it is closed, also when the process it came from is killed.
 *
 * Rows: 5.2 "dup"
 */
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "guest.h"

static int taken_from(pid_t pid, int fd)
{
    int pidfd = (int)CHECK_OK(syscall(SYS_pidfd_open, pid, 0));
    int taken = (int)CHECK_OK(syscall(SYS_pidfd_getfd, pidfd, fd, 0));
    CHECK_EQ(FD_CLOEXEC, fcntl(taken, F_GETFD));
    CHECK_OK(close(pidfd));
    return taken;
}

static void same_description(int one, int other)
{
    CHECK_EQ(0, fcntl(one, F_GETFL) & O_NONBLOCK);
    guest_set_nonblock(other, true);
    CHECK_EQ(O_NONBLOCK, fcntl(one, F_GETFL) & O_NONBLOCK);
    guest_set_nonblock(one, false);
    CHECK_EQ(0, fcntl(other, F_GETFL) & O_NONBLOCK);
}

/* From our own process: a plain copy. */
static void of_its_own(void)
{
    int fds[2];
    char data[10];
    guest_pipe(fds);
    CHECK_EQ(4, write(fds[1], "here", 4));
    int reader = taken_from(getpid(), fds[0]);
    same_description(fds[0], reader);
    CHECK_EQ(2, read(reader, data, 2));
    CHECK_EQ(2, read(fds[0], data + 2, 8));
    CHECK_MEM("here", data, 4);
    int writer = taken_from(getpid(), fds[1]);
    CHECK_OK(close(fds[1]));
    CHECK_EQ(1, write(writer, "x", 1));
    CHECK_EQ(1, read(fds[0], data, 10));
    CHECK_OK(close(writer));
    CHECK_EQ(0, read(reader, data, 10));
    CHECK_OK(close(fds[0]));
    CHECK_OK(close(reader));
}

/*
 * A child makes a channel, tells its numbers through `told`, waits for a byte, and ends or is
 * killed. type 0: a pipe.
 */
static void of_a_child(int type, bool killed)
{
    int told[2], go[2], numbers[2];
    char data[20];
    guest_pipe(told);
    guest_pipe(go);
    pid_t pid = guest_fork();
    if (pid == 0) {
        int fds[2];
        CHECK_OK(close(go[1]));
        if (type == 0) {
            guest_pipe(fds);
        } else {
            guest_pair(type, fds);
        }
        CHECK_EQ(6, write(fds[1], "before", 6));
        CHECK_EQ(sizeof fds, write(told[1], fds, sizeof fds));
        CHECK_EQ(1, read(go[0], data, 1));
        if (data[0] == 'r') {
            CHECK_EQ(9, guest_read_all(fds[0], data, 9));
            CHECK_MEM("before, x", data, 9);
        }
        _exit(0);
    }
    CHECK_OK(close(go[0]));
    CHECK_EQ(sizeof numbers, guest_read_all(told[0], numbers, sizeof numbers));
    int writer = taken_from(pid, numbers[1]);
    if (!killed) {
        CHECK_EQ(3, write(writer, ", x", 3));
        CHECK_EQ(1, write(go[1], "r", 1));
        guest_wait_exit(pid, 0);
        guest_on_signal(SIGPIPE, SIG_IGN, 0);
        CHECK_ERR(EPIPE, write(writer, "y", 1));
    } else {
        int reader = taken_from(pid, numbers[0]);
        same_description(reader, reader);
        size_t first = type == SOCK_SEQPACKET ? 6 : 3;
        CHECK_EQ(first, read(reader, data, first));
        CHECK_OK(kill(pid, SIGKILL));
        guest_wait_killed(pid, SIGKILL);
        CHECK_EQ(3, write(writer, ", x", 3));
        CHECK_EQ(9 - first, guest_read_all(reader, data + first, 9 - first));
        CHECK_MEM("before, x", data, 9);
        guest_set_nonblock(reader, true);
        CHECK_ERR(EAGAIN, read(reader, data, 1));
        CHECK_OK(close(writer));
        CHECK_EQ(0, read(reader, data, 1));
        CHECK_OK(close(reader));
        writer = -1;
    }
    if (writer >= 0) {
        CHECK_OK(close(writer));
    }
    guest_close_both(told);
    CHECK_OK(close(go[1]));
}

/* A child takes what its parent has had since before the fork, and what it made after it. */
static void of_the_parent(void)
{
    int before[2], after[2], go[2];
    char data[10];
    guest_pipe(before);
    guest_pipe(go);
    pid_t parent = getpid();
    pid_t pid = guest_fork();
    if (pid == 0) {
        int number;
        CHECK_OK(close(go[1]));
        CHECK_EQ(sizeof number, guest_read_all(go[0], &number, sizeof number));
        int first = taken_from(parent, before[1]);
        guest_close_both(before);
        CHECK_EQ(5, write(first, "first", 5));
        int second = taken_from(parent, number);
        CHECK_EQ(6, write(second, "second", 6));
        _exit(0);
    }
    guest_pair(SOCK_STREAM, after);
    CHECK_EQ(sizeof after[0], write(go[1], &after[0], sizeof after[0]));
    CHECK_EQ(5, guest_read_all(before[0], data, 5));
    CHECK_MEM("first", data, 5);
    CHECK_EQ(6, guest_read_all(after[1], data, 6));
    CHECK_MEM("second", data, 6);
    guest_wait_exit(pid, 0);
    guest_close_both(before);
    guest_close_both(after);
    guest_close_both(go);
}

int main(void)
{
    guest_start();
    of_its_own();
    for (int killed = 0; killed < 2; killed++) {
        of_a_child(0, killed);
        of_a_child(SOCK_STREAM, killed);
        of_a_child(SOCK_SEQPACKET, killed);
    }
    of_the_parent();
    CHECK_ERR(EBADF, syscall(SYS_pidfd_getfd, -1, 0, 0));
    return guest_end();
}
