/*
 * helper.c - see helper.h
 *
 * The line on the ready pipe is "+TEXT\n" or "-REASON\n". A helper that dies before it says either
 * is found by the pipe's end, one that hangs by a time limit.
 *
 * The lifeline is a pipe whose only writer is the supervisor: killed, it hangs up, whatever the
 * helper does about the parent-death signal, which reaches one that hangs in a call.
 *
 * Leaves out: a second try. What a helper needs (a path, a port) is there or it isn't.
 */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READY_MS 10000 /* to become ready: it binds a few sockets */
#define END_MS   4000  /* to end in order: more than a gateway's own limit for what is in flight */
#define TERM_MS  1000  /* ... to tidy up after SIGTERM */
#define KILL_MS  5000  /* ... to be gone after SIGKILL */
#define FD_SAFE  16    /* above the numbers that a helper's descriptors get */

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- The child, between fork and exec ---- */

/* `fd`, or /dev/null, under a number that none of the helper's has. */
static int safe_copy(int fd)
{
    const int source = fd >= 0 ? fd : open("/dev/null", O_RDWR | O_CLOEXEC);

    return fcntl(source, F_DUPFD_CLOEXEC, FD_SAFE);
}

/* 0 and 1 are as asked for, 2 stays, 3 and 4 are ours; the session's cross the exec as well. */
static void arrange_descriptors(const struct helper_command *command, int ready, int lifeline)
{
    const struct emu_hidden hidden = emu_session_hidden();
    const int session[] = { hidden.arena, hidden.bell, hidden.log };
    int flags[3];
    const int input = safe_copy(command->input);
    const int output = safe_copy(command->output);
    const int safe_ready = safe_copy(ready);
    const int safe_lifeline = safe_copy(lifeline);

    for (int i = 0; i < 3; i++)
        flags[i] = fcntl(session[i], F_GETFD);
    dup2(input, 0);
    dup2(output, 1);
    dup2(safe_ready, HELPER_READY_FD);
    dup2(safe_lifeline, HELPER_LIFELINE_FD);
    close_range(HELPER_LIFELINE_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC);
    for (int i = 0; i < 3; i++) {
        if (flags[i] >= 0)
            fcntl(session[i], F_SETFD, flags[i]);
    }
}

/* Never returns. */
static void become(const char *self, const struct helper_command *command,
                   const struct run_inherited *inherited, const int *pipes, pid_t parent)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) /* it died before the line above */
        _exit(EXIT_OWN_FAILURE);
    for (const char *const *entry = command->environment; *entry != NULL; entry++)
        putenv((char *)*entry);
    arrange_descriptors(command, pipes[0], pipes[1]);
    sigaction(SIGCHLD, &inherited->child_action, NULL);
    sigprocmask(SIG_SETMASK, &inherited->mask, NULL);
    execv(self, (char *const *)command->arguments);
    _exit(helper_refuse("%s: %s", self, strerror(errno)));
}

/* ---- The supervisor ---- */

/* Reads the line, without its newline. Returns its length; 0: none came (it ended, or the time). */
static size_t read_line(int ready, char *ret_line, size_t size)
{
    const int64_t end = now_ms() + READY_MS;
    size_t used = 0;

    while (used < size - 1) {
        struct pollfd wait = { .fd = ready, .events = POLLIN };
        const int64_t rest = end - now_ms();

        if (rest <= 0 || poll(&wait, 1, (int)rest) == 0)
            return 0;
        const ssize_t got = read(ready, ret_line + used, size - 1 - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return 0;
        used += (size_t)got;
        char *newline = memchr(ret_line, '\n', used);
        if (newline != NULL) {
            *newline = '\0';
            return (size_t)(newline - ret_line);
        }
    }
    return 0;
}

/* What the line says, or that there was none. Returns 0 when the helper is ready. */
static int judge(const char *name, const char *line, size_t length, char *ret_message)
{
    if (length == 0)
        snprintf(ret_message, HELPER_MESSAGE, "%s: it ended before it was ready", name);
    else
        snprintf(ret_message, HELPER_MESSAGE, "%s", line + 1);
    return length > 0 && line[0] == '+' ? 0 : EXIT_OWN_FAILURE;
}

static int start(const char *self, const struct helper_command *command,
                 const struct run_inherited *inherited, const int *ready, const int *lifeline,
                 struct helper *ret_helper, char *ret_message)
{
    const int pipes[2] = { ready[1], lifeline[0] };
    const pid_t parent = getpid();
    char line[HELPER_MESSAGE];

    fflush(NULL);
    const pid_t child = fork();
    if (child < 0) {
        snprintf(ret_message, HELPER_MESSAGE, "fork: %s", strerror(errno));
        return EXIT_OWN_FAILURE;
    }
    if (child == 0)
        become(self, command, inherited, pipes, parent);
    close(ready[1]); /* so that its end is seen here; the caller closes the others */
    const size_t length = read_line(ready[0], line, sizeof line);
    const int result = judge(command->arguments[1], line, length, ret_message);
    if (result == 0) {
        *ret_helper = (struct helper){ child, lifeline[1], command->arguments[1] };
        return 0;
    }
    kill(child, SIGKILL); /* not reaped yet: the pid is its own */
    waitpid(child, NULL, 0);
    return result;
}

int helper_start(const struct helper_command *command, const struct run_inherited *inherited,
                 struct helper *ret_helper, char *ret_message)
{
    char self[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    int ready[2], lifeline[2];

    self[length > 0 ? length : 0] = '\0';
    if (pipe2(ready, O_CLOEXEC) != 0) {
        snprintf(ret_message, HELPER_MESSAGE, "pipe: %s", strerror(errno));
        return EXIT_OWN_FAILURE;
    }
    if (pipe2(lifeline, O_CLOEXEC) != 0) {
        snprintf(ret_message, HELPER_MESSAGE, "pipe: %s", strerror(errno));
        close(ready[0]);
        close(ready[1]);
        return EXIT_OWN_FAILURE;
    }
    const int result = start(self, command, inherited, ready, lifeline, ret_helper, ret_message);
    close(ready[0]);
    close(lifeline[0]);
    if (result != 0)
        close(lifeline[1]);
    return result;
}

/* Waits until the process is gone. Returns false when the time is over first. */
static bool is_gone_within(int pidfd, int limit_ms)
{
    const int64_t end = now_ms() + limit_ms;
    struct pollfd wait = { .fd = pidfd, .events = POLLIN };

    for (;;) { /* ends by the clock */
        const int64_t rest = end - now_ms();
        const int count = poll(&wait, 1, rest > 0 ? (int)rest : 0);

        if (count > 0)
            return true;
        if (rest <= 0 || (count < 0 && errno != EINTR))
            return false;
    }
}

/* Ends one that isn't reaped: so its pid is its own. Returns its wait status, -1: unknown. */
static int end_and_reap(const struct helper *helper)
{
    const int pidfd = (int)syscall(SYS_pidfd_open, helper->pid, 0);
    int status = -1;

    if (pidfd < 0 || (write(helper->lifeline, "e", 1) < 0 && errno != EPIPE))
        kill(helper->pid, SIGKILL);
    close(helper->lifeline);
    if (pidfd >= 0 && !is_gone_within(pidfd, END_MS)) {
        kill(helper->pid, SIGTERM);
        if (!is_gone_within(pidfd, TERM_MS))
            kill(helper->pid, SIGKILL);
    }
    if (pidfd < 0 || is_gone_within(pidfd, KILL_MS))
        waitpid(helper->pid, &status, pidfd < 0 ? 0 : WNOHANG);
    if (pidfd >= 0)
        close(pidfd);
    return status;
}

int helper_end(struct helper *helper, struct emu_task *self)
{
    int status = -1;

    if (waitpid(helper->pid, &status, WNOHANG) == 0)
        status = end_and_reap(helper);
    else
        close(helper->lifeline);
    if (self != NULL)
        emu_process_sweep(self, helper->pid);
    *helper = (struct helper){ .lifeline = -1 };
    return status;
}

/* ---- The helper ---- */

bool helper_was_started(void)
{
    struct stat ready, lifeline;

    return fstat(HELPER_READY_FD, &ready) == 0 && S_ISFIFO(ready.st_mode) &&
           fstat(HELPER_LIFELINE_FD, &lifeline) == 0 && S_ISFIFO(lifeline.st_mode);
}

static void say(char word, const char *text)
{
    char line[HELPER_MESSAGE];
    int length = snprintf(line, sizeof line - 1, "%c%s", word, text);

    if (length > (int)sizeof line - 2)
        length = (int)sizeof line - 2;
    for (int i = 0; i < length; i++) {
        if (line[i] == '\n')
            line[i] = ' ';
    }
    line[length++] = '\n';
    if (write(HELPER_READY_FD, line, (size_t)length) != length)
        _exit(EXIT_OWN_FAILURE); /* the supervisor is gone */
}

void helper_ready(const char *text)
{
    say('+', text);
    close(HELPER_READY_FD);
}

int helper_refuse(const char *format, ...)
{
    char text[HELPER_MESSAGE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    say('-', text);
    return EXIT_OWN_FAILURE;
}

bool helper_told(void)
{
    char word;

    return read(HELPER_LIFELINE_FD, &word, 1) == 1;
}
