/*
 * Proves: a child in a PID namespace of its own talks over the channels that it inherits, execs and
 * has children there that talk among themselves: after unshare(CLONE_NEWPID), by fork, posix_spawn
 * and system; by clone(CLONE_NEWPID). Its end is end-of-file outside. Where the kernel grants no
 * such namespace (not root), there is nothing to prove.
 *
 * Rows: 5.1 "exec", 2.3 "read, empty, no writers"
 */
#include <spawn.h>

#include "talk.h"

enum { CODE = 9, STACK = 256 * 1024 };

static char path[PATH_MAX];
static char stack[STACK] __attribute__((aligned(64)));

enum form { FORK, FORK_EXEC, SPAWN, SYSTEM, CLONE, CLONE_EXEC, FORMS };

static int first_process(void *argument)
{
    const struct talk *talk = argument;
    CHECK_EQ(1, getpid());
    CHECK(talk_take(talk));
    talk_close((struct talk *)talk);
    return talk_image(CODE); /* makes a pipe and a child of its own */
}

static int first_image(void *argument)
{
    CHECK_EQ(1, getpid());
    CHECK(talk_take(argument));
    execl(path, path, "image", (char *)NULL);
    return 100;
}

/* In a process whose next child is the first of a namespace. Returns that child's pid. */
static pid_t spawn_first(const struct talk *talk)
{
    posix_spawn_file_actions_t actions;
    char *arguments[] = { path, "image", NULL };
    pid_t pid = -1;
    CHECK_ZERO(posix_spawn_file_actions_init(&actions));
    CHECK_ZERO(posix_spawn_file_actions_adddup2(&actions, talk->to_child[0], 0));
    CHECK_ZERO(posix_spawn_file_actions_adddup2(&actions, talk->from_child[1], 1));
    CHECK_ZERO(posix_spawn(&pid, path, &actions, NULL, arguments, environ));
    CHECK_ZERO(posix_spawn_file_actions_destroy(&actions));
    return pid;
}

static int run_system(const struct talk *talk)
{
    char command[PATH_MAX + 64];
    int in = (int)CHECK_OK(dup(talk->to_child[0])), out = (int)CHECK_OK(dup(talk->from_child[1]));
    snprintf(command, sizeof command, "%s image <&%d >&%d", path, in, out);
    talk_close((struct talk *)talk);
    return system(command) >> 8;
}

/* The parent of the first process: it has a namespace of its own only for its children. */
static void lead(enum form form, struct talk *talk)
{
    pid_t pid = -1;
    if (form != CLONE && form != CLONE_EXEC) {
        CHECK_OK(unshare(CLONE_NEWPID));
    }
    switch (form) {
    case CLONE:
    case CLONE_EXEC:
        pid = (pid_t)CHECK_OK(clone(form == CLONE ? first_process : first_image, stack + STACK,
                                    CLONE_NEWPID | SIGCHLD, talk));
        break;
    case SPAWN: pid = spawn_first(talk); break;
    case SYSTEM: _exit(run_system(talk));
    default:
        pid = guest_fork();
        if (pid == 0) {
            _exit(form == FORK ? first_process(talk) : first_image(talk));
        }
        break;
    }
    talk_close(talk);
    int status = guest_wait(pid);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
}

static void talks(enum form form, int kind)
{
    struct talk talk;
    talk_open(&talk, kind);
    pid_t pid = guest_fork();
    if (pid == 0) {
        lead(form, &talk);
    }
    talk_end(&talk, pid, CODE);
}

static bool is_granted(void)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        _exit(unshare(CLONE_NEWPID) == 0 ? 0 : 1);
    }
    return guest_wait(pid) == 0;
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) {
        return talk_image(CODE);
    }
    guest_start();
    talk_path(path, NULL);
    for (int form = 0; form < FORMS && is_granted(); form++) {
        for (int kind = 0; kind < TALK_KINDS; kind++) {
            talks((enum form)form, kind);
        }
    }
    return guest_end();
}
