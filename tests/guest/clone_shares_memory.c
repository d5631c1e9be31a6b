/*
 * Proves: a child that shares its parent's memory but not its descriptors leaves the parent's
 * alone: what it closes, copies and opens there is the parent's as before; what it stores the
 * parent sees. It execs, with CLONE_VFORK and without, a program of the session and a static one,
 * with an environment of its own; it fails to exec; it reads and writes by itself; it forks. Other
 * threads of the parent go on with their channels meanwhile.
 *
 * Rows: 5.1 "exec", 2.3 "read, empty, no writers"
 */
#include <linux/sched.h>

#include "talk.h"

enum { CODE = 9, STACK = 256 * 1024 };

static char path[PATH_MAX], static_path[PATH_MAX];
static char stack[STACK] __attribute__((aligned(64)));

struct child {
    struct talk *talk;
    const char *program; /* NULL: it doesn't exec */
    char **environment;
    bool forks;
    int failed; /* errno of its exec, for the parent */
};

static int child_runs(void *argument)
{
    struct child *child = argument;
    char *arguments[] = { (char *)child->program, "image", NULL };
    if (child->program == static_path) {
        arguments[1] = NULL;
    }
    if (!talk_take(child->talk)) {
        return 90;
    }
    for (int fd = 3; fd < 60; fd++) { /* whatever is there, it isn't the parent's number */
        close(fd);
    }
    if (child->program != NULL) {
        execve(child->program, arguments, child->environment);
        child->failed = errno;
        return 91;
    }
    if (child->forks) {
        pid_t pid = fork();
        if (pid == 0) {
            execve(path, (char *[]){ path, "image", NULL }, child->environment);
            _exit(92);
        }
        int status = 0;
        close(0);
        close(1);
        return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 93;
    }
    return talk_copy() ? CODE : 94;
}

static pid_t start(struct child *child, int flags)
{
    child->failed = 0;
    return (pid_t)CHECK_OK(clone(child_runs, stack + STACK, CLONE_VM | SIGCHLD | flags, child));
}

static void execs(int kind, int flags, const char *program, char **environment, int code)
{
    struct talk talk;
    struct child child = { &talk, program, environment, false, 0 };
    talk_open(&talk, kind);
    talk_end(&talk, start(&child, flags), code);
    CHECK_EQ(0, child.failed);
}

/* The caller sleeps until the child has ended, so that must not wait for it. */
static void fails_to_exec(int kind, int flags)
{
    struct talk talk;
    struct child child = { &talk, "/nonexistent/program", environ, false, 0 };
    char buffer[8];
    talk_open(&talk, kind);
    guest_wait_exit(start(&child, flags), 91);
    CHECK_EQ(ENOENT, child.failed);
    CHECK_EQ(5, read(talk.to_child[0], buffer, sizeof buffer));
    CHECK_MEM("early", buffer, 5);
    talk_close(&talk);
}

/* It runs beside us for as long as it likes. */
static void talks_by_itself(int kind, bool forks)
{
    struct talk talk;
    struct child child = { &talk, NULL, environ, forks, 0 };
    talk_open(&talk, kind);
    talk_end(&talk, start(&child, 0), CODE);
}

/* After such a child channels are made, used and closed as ever. */
static void parent_goes_on(void)
{
    int fds[2];
    char buffer[8];
    guest_pipe(fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(3, write(fds[1], "abc", 3));
        _exit(0);
    }
    CHECK_OK(close(fds[1]));
    CHECK_EQ(3, guest_read_all(fds[0], buffer, sizeof buffer));
    CHECK_OK(close(fds[0]));
    guest_wait_exit(pid, 0);
}

/* Another thread of the parent; it says each byte back until the end. */
static void *echo_bytes(void *argument)
{
    int *fds = argument;
    char byte;
    while (CHECK_OK(read(fds[0], &byte, 1)) == 1) {
        CHECK_EQ(1, write(fds[1], &byte, 1));
    }
    CHECK_OK(close(fds[1]));
    return NULL;
}

static void beside_a_thread(void)
{
    int to_thread[2], from_thread[2];
    struct guest_thread thread;
    char byte;
    guest_pipe(to_thread);
    guest_pair(SOCK_STREAM, from_thread);
    int ends[2] = { to_thread[0], from_thread[1] };
    guest_thread_start(&thread, echo_bytes, ends);
    for (int round = 0; round < 10; round++) {
        execs(round % TALK_KINDS, CLONE_VFORK, round % 2 ? path : static_path, environ,
              round % 2 ? CODE : 0);
        CHECK_EQ(1, write(to_thread[1], "x", 1));
        CHECK_EQ(1, read(from_thread[0], &byte, 1));
        fails_to_exec(round % TALK_KINDS, CLONE_VFORK);
    }
    CHECK_OK(close(to_thread[1]));
    CHECK_EQ(0, read(from_thread[0], &byte, 1));
    guest_thread_join(&thread);
    CHECK_OK(close(to_thread[0]));
    CHECK_OK(close(from_thread[0]));
}

int main(int argc, char **argv)
{
    char *empty[] = { NULL };
    (void)argv;
    if (argc > 1) {
        return talk_image(CODE);
    }
    guest_start();
    talk_path(path, NULL);
    talk_path(static_path, "helper_cat_static");
    for (int kind = 0; kind < TALK_KINDS; kind++) {
        execs(kind, CLONE_VFORK, path, environ, CODE);
        execs(kind, CLONE_VFORK, path, empty, CODE);
        execs(kind, CLONE_VFORK, static_path, environ, 0);
        fails_to_exec(kind, CLONE_VFORK);
        parent_goes_on();
    }
    beside_a_thread();
    for (int kind = 0; kind < TALK_KINDS; kind++) {
        execs(kind, 0, path, empty, CODE);
        execs(kind, 0, static_path, environ, 0);
        fails_to_exec(kind, 0);
        talks_by_itself(kind, false);
        talks_by_itself(kind, true);
        parent_goes_on();
    }
    return guest_end();
}
