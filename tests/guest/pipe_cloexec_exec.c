/*
 * Proves: pipes and socketpairs without FD_CLOEXEC are inherited through exec with their unread
 * data, flags and blocking state; those with it are gone; the new image and the old family talk.
 *
 * Rows: 5.1 "exec", 5.2 "F_SETFD", 5.3 "FIOCLEX / FIONCLEX", 2.1 "F_GETFL"
 */
#include "guest.h"

static int number(const char *text)
{
    return atoi(text);
}

/* argv: "child" read-fd write-fd socket-fd closed-fd... */
static int new_image(int argc, char **argv)
{
    char buffer[32];
    int read_fd = number(argv[2]), write_fd = number(argv[3]), socket_fd = number(argv[4]);
    for (int i = 5; i < argc; i++) {
        CHECK_ERR(EBADF, fcntl(number(argv[i]), F_GETFD));
    }
    CHECK_EQ(O_RDONLY | O_NONBLOCK, fcntl(read_fd, F_GETFL));
    CHECK_EQ(6, read(read_fd, buffer, sizeof buffer));
    CHECK_MEM("before", buffer, 6);
    CHECK_ERR(EAGAIN, read(read_fd, buffer, sizeof buffer));
    CHECK_EQ(5, write(write_fd, "after", 5));
    CHECK_EQ(4, read(socket_fd, buffer, sizeof buffer));
    CHECK_MEM("ping", buffer, 4);
    CHECK_EQ(4, write(socket_fd, "pong", 4));
    CHECK_EQ(0, read(socket_fd, buffer, sizeof buffer)); /* blocks until the parent closes */
    return 0;
}

static void become_new_image(int to_child[2], int from_child[2], int pair[2], int gone[2])
{
    char text[6][12];
    int fds[6] = { to_child[0], from_child[1], pair[1], gone[0], gone[1], pair[0] };
    int on = 1;
    for (int i = 0; i < 6; i++) {
        snprintf(text[i], sizeof text[i], "%d", fds[i]);
    }
    CHECK_EQ(0, ioctl(pair[0], FIOCLEX));
    CHECK_OK(fcntl(to_child[1], F_SETFD, FD_CLOEXEC));
    CHECK_OK(ioctl(to_child[0], FIONBIO, &on));
    char *arguments[] = {
        "pipe_cloexec_exec", "child", text[0], text[1], text[2], text[3], text[4], text[5], NULL
    };
    execv("/proc/self/exe", arguments);
    CHECK(!"execv returned");
}

static void talk_to_new_image(void)
{
    int to_child[2], from_child[2], pair[2], gone[2];
    char buffer[32];
    CHECK_OK(pipe2(to_child, O_CLOEXEC));
    CHECK_OK(ioctl(to_child[0], FIONCLEX)); /* taken back by the other way to say it */
    guest_pipe(from_child);
    guest_pair(SOCK_STREAM, pair);
    CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, gone));
    CHECK_EQ(6, write(to_child[1], "before", 6));
    CHECK_EQ(4, write(pair[0], "ping", 4));
    pid_t pid = guest_fork();
    if (pid == 0) {
        become_new_image(to_child, from_child, pair, gone);
    }
    CHECK_OK(close(from_child[1]));
    CHECK_OK(close(pair[1]));
    CHECK_EQ(5, guest_read_all(from_child[0], buffer, 5));
    CHECK_MEM("after", buffer, 5);
    CHECK_EQ(4, read(pair[0], buffer, sizeof buffer));
    CHECK_MEM("pong", buffer, 4);
    CHECK_OK(close(pair[0]));
    CHECK_EQ(0, read(from_child[0], buffer, 1)); /* end-of-file when the new image exits */
    guest_wait_exit(pid, 0);
    CHECK_OK(close(from_child[0]));
    guest_close_both(to_child);
    guest_close_both(gone);
}

/* The only reader has FD_CLOEXEC: exec itself is the last close. */
static void exec_is_the_last_close(void)
{
    int fds[2], hold[2];
    char byte;
    CHECK_OK(pipe2(fds, O_CLOEXEC));
    guest_pipe(hold);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(dup2(hold[0], 0));
        execl("/bin/cat", "cat", (char *)NULL);
        CHECK(!"execl returned");
    }
    CHECK_OK(close(fds[1]));
    CHECK_EQ(0, read(fds[0], &byte, 1)); /* the child's copy of the write end went with exec */
    CHECK_OK(kill(pid, SIGKILL));        /* it still lives: cat has a copy of hold[1] itself */
    guest_wait_killed(pid, SIGKILL);
    CHECK_OK(close(fds[0]));
    guest_close_both(hold);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        return new_image(argc, argv);
    }
    guest_start();
    talk_to_new_image();
    exec_is_the_last_close();
    return guest_end();
}
