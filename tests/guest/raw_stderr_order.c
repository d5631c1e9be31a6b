/*
 * Proves: what a program writes to stderr by hand-made system calls, as sanitizers and libc's last
 * words are, keeps its place between what it writes there otherwise, also when nobody reads in
 * between: write, writev, stdio, several processes, an assertion that fails.
 *
 * Rows: 2.2 "Write of n>0 bytes"
 */
#include <assert.h>
#include <sys/resource.h>

#include "inline.h"

static void say(const char *text)
{
    CHECK_EQ((long)strlen(text), write(2, text, strlen(text)));
}

static void say_by_hand(const char *text)
{
    CHECK_EQ((long)strlen(text), INLINE3(SYS_write, 2, text, strlen(text)));
}

static void say_in_parts(const char *text)
{
    struct iovec parts[2] = { { (void *)(uintptr_t)text, 1 },
                              { (void *)(uintptr_t)(text + 1), strlen(text + 1) } };
    CHECK_EQ((long)strlen(text), writev(2, parts, 2));
}

static void talk(void)
{
    say("one ");
    say_by_hand("two ");
    say("three ");
    say_by_hand("four ");
    say_by_hand("five ");
    say_in_parts("six ");
    say_by_hand("seven ");
    fprintf(stderr, "eight ");
    pid_t pid = guest_fork();
    if (pid == 0) {
        say_by_hand("nine ");
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    say("ten ");
}

static void fail(void)
{
    const struct rlimit none = { 0, 0 };
    CHECK_OK(setrlimit(RLIMIT_CORE, &none));
    say("before: ");
    assert(getpid() == 0);
}

/* Runs in a child whose stderr is a pipe; nobody reads until it has ended. */
static void heard(void (*function)(void), int signo, char *ret_text, size_t size)
{
    int fds[2];
    guest_pipe(fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_report_fd = (int)CHECK_OK(dup(2));
        CHECK_OK(dup2(fds[1], 2));
        guest_close_both(fds);
        function();
        _exit(0);
    }
    if (signo != 0) {
        guest_wait_killed(pid, signo);
    } else {
        guest_wait_exit(pid, 0);
    }
    CHECK_OK(close(fds[1]));
    size_t got = guest_read_all(fds[0], ret_text, size - 1);
    ret_text[got] = '\0';
    CHECK_OK(close(fds[0]));
}

int main(void)
{
    char text[512];
    guest_start();
    heard(talk, 0, text, sizeof text);
    CHECK_STR("one two three four five six seven eight nine ten ", text);
    heard(fail, SIGABRT, text, sizeof text);
    CHECK(strncmp(text, "before: ", 8) == 0);
    CHECK(strstr(text, "raw_stderr_order.c:") != NULL);
    CHECK(strstr(text, "Assertion `getpid() == 0' failed.\n") != NULL);
    return guest_end();
}
