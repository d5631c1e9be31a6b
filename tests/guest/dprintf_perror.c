/*
 * Proves: calls that write from inside libc reach the pipe in order with plain writes: dprintf,
 * perror, psignal, fputs to stderr, err's message, a failed assert's message.
 *
 * Rows: 2.2 "Write of n>0 bytes"
 */
#undef NDEBUG /* the release build must abort, too */
#include <assert.h>
#include <err.h>

#include "guest.h"

static void expect_line(int fd, const char *expected)
{
    char buffer[512];
    size_t size = strlen(expected);
    CHECK_EQ(size, guest_read_all(fd, buffer, size));
    CHECK_MEM(expected, buffer, size);
}

static void dprintf_keeps_order(void)
{
    int fds[2];
    guest_pipe(fds);
    CHECK_EQ(4, write(fds[1], "one ", 4));
    CHECK_EQ(6, dprintf(fds[1], "%s-%d", "two", 22));
    CHECK_EQ(6, write(fds[1], " three", 6));
    expect_line(fds[0], "one two-22 three");
    CHECK_OK(close(fds[0]));
    CHECK_ERR(EPIPE, dprintf(fds[1], "x"));
    CHECK_OK(close(fds[1]));
}

static void stderr_is_a_pipe(void)
{
    int fds[2];
    guest_pipe(fds);
    CHECK_OK(dup2(fds[1], 2));
    CHECK_OK(close(fds[1]));
    CHECK_EQ(2, write(2, "a ", 2));
    errno = ENOENT;
    perror("open");
    CHECK_EQ(2, write(2, "b ", 2));
    psignal(SIGINT, "got");
    CHECK(fputs("c ", stderr) >= 0);
    CHECK_EQ(2, fprintf(stderr, "%s", "d\n"));
    expect_line(fds[0], "a open: No such file or directory\nb got: Interrupt\nc d\n");
    warnx("number %d", 5);
    expect_line(fds[0], program_invocation_short_name);
    expect_line(fds[0], ": number 5\n");
    CHECK_OK(dup2(guest_report_fd, 2));
    CHECK_OK(close(fds[0]));
}

/* The message of assert is written by libc's own abort path; it must not be lost. */
static void assert_message_arrives(void)
{
    int fds[2];
    char text[512] = "";
    guest_pipe(fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(dup2(fds[1], 2));
        CHECK_EQ(7, write(2, "before\n", 7));
        assert(!"said by assert");
        _exit(0);
    }
    CHECK_OK(close(fds[1]));
    size_t size = guest_read_all(fds[0], text, sizeof text - 1);
    text[size] = '\0';
    guest_wait_killed(pid, SIGABRT);
    CHECK_MEM("before\n", text, 7);
    CHECK(strstr(text, "said by assert") != NULL);
    CHECK_OK(close(fds[0]));
}

int main(void)
{
    guest_start();
    guest_on_signal(SIGPIPE, SIG_IGN, 0);
    guest_report_fd = (int)CHECK_OK(fcntl(2, F_DUPFD_CLOEXEC, 200));
    dprintf_keeps_order();
    stderr_is_a_pipe();
    assert_message_arrives();
    CHECK_OK(close(guest_report_fd));
    guest_report_fd = 2;
    return guest_end();
}
