/*
 * Proves: a program that starts with 0, 1 and 2 closed gets these numbers for its first pipes and
 * sockets, and they work: with read and write, across fork, and with stdio on 1.
 *
 * Rows: 2.1 "pipe()/pipe2()" (lowest numbers), 1.3 "Lowest free numbers are used"
 */
#include "guest.h"

enum { REPORT_FD = 200 };

static int bare_image(void)
{
    int fds[2], pair[2];
    char buffer[8];
    guest_report_fd = REPORT_FD;
    CHECK_ERR(EBADF, fcntl(0, F_GETFD));
    CHECK_ERR(EBADF, fcntl(1, F_GETFD));
    CHECK_ERR(EBADF, fcntl(2, F_GETFD));
    CHECK_ERR(EBADF, write(2, "x", 1));
    guest_pipe(fds);
    CHECK_EQ(0, fds[0]);
    CHECK_EQ(1, fds[1]);
    guest_pair(SOCK_STREAM, pair);
    CHECK_EQ(2, pair[0]);
    CHECK_EQ(3, pair[1]);
    CHECK_EQ(4, printf("%s", "text"));
    CHECK_EQ(0, fflush(stdout));
    CHECK_EQ(4, read(0, buffer, sizeof buffer));
    CHECK_MEM("text", buffer, 4);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(3, read(3, buffer, sizeof buffer));
        CHECK_EQ(3, write(1, buffer, 3));
        _exit(0);
    }
    CHECK_EQ(3, write(2, "abc", 3));
    CHECK_EQ(3, read(0, buffer, sizeof buffer));
    guest_wait_exit(pid, 0);
    CHECK_OK(close(1));
    CHECK_EQ(0, read(0, buffer, 1));
    CHECK_OK(close(0));
    CHECK_OK(close(2));
    CHECK_EQ(0, read(3, buffer, 1));
    CHECK_OK(close(3));
    return 0;
}

static void start_bare_image(void)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(REPORT_FD, fcntl(2, F_DUPFD, REPORT_FD));
        for (int fd = 0; fd < REPORT_FD; fd++) {
            close(fd);
        }
        execl("/proc/self/exe", "closed_stdio_start", "bare", (char *)NULL);
        _exit(126);
    }
    guest_wait_exit(pid, 0);
}

/* The same, but a pipe made before the exec is 1, and the image's output goes there. */
static void bare_but_for_a_pipe(void)
{
    int fds[2];
    char buffer[16];
    guest_pipe(fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(dup2(fds[1], 1));
        guest_close_both(fds);
        CHECK_OK(close(0));
        CHECK_OK(close(2));
        execl("/bin/echo", "echo", "said", (char *)NULL);
        _exit(126);
    }
    CHECK_OK(close(fds[1]));
    CHECK_EQ(5, guest_read_all(fds[0], buffer, sizeof buffer));
    CHECK_MEM("said\n", buffer, 5);
    guest_wait_exit(pid, 0);
    CHECK_OK(close(fds[0]));
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) {
        return bare_image();
    }
    guest_start();
    start_bare_image();
    bare_but_for_a_pipe();
    return guest_end();
}
