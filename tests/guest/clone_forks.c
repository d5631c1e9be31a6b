/*
 * Proves: children with a memory of their own, made by the program itself, have the channels that
 * they inherit, and the session after exec: clone() and clone3, fork through syscall(2); on
 * a copied and on a new stack, with and without an exit signal, with a pidfd, with CLONE_VFORK, as
 * a sibling (CLONE_PARENT). Their end is end-of-file, also by SIGKILL, also for who is blocked.
 *
 * Rows: 2.3 "read, empty, no writers", 5.1 "exec"
 */
#include <linux/sched.h>

#include "talk.h"

enum { CODE = 9, STACK = 256 * 1024, FORMS = 11 };

static char path[PATH_MAX];
static char stack[STACK] __attribute__((aligned(64)));

/* What the child does: a talk by itself, or as another image. */
struct child {
    struct talk *talk;
    bool exec;
    int only_kill; /* it says one byte and waits for SIGKILL */
};

static int child_runs(void *argument)
{
    struct child *child = argument;
    alarm(GUEST_DEADLINE_S);
    if (!talk_take(child->talk)) {
        _exit(90);
    }
    talk_close(child->talk);
    if (child->only_kill) {
        (void)!write(1, "!", 1);
        for (;;) {
            pause();
        }
    }
    if (child->exec) {
        execl(path, path, "image", (char *)NULL);
        _exit(91);
    }
    CHECK(talk_copy());
    return CODE;
}

static pid_t by_clone3(struct clone_args *arguments)
{
    return (pid_t)syscall(SYS_clone3, arguments, sizeof *arguments);
}

/* Returns the child's pid; the child itself never comes back. */
static pid_t start(int form, struct child *child)
{
    struct clone_args arguments = { .exit_signal = SIGCHLD };
    int pidfd = -1;
    pid_t tid = 0, pid = -1;
    switch (form) {
    case 0: return clone(child_runs, stack + STACK, SIGCHLD, child);
    case 1: return clone(child_runs, stack + STACK, 0, child);
    case 2: return clone(child_runs, stack + STACK, SIGCHLD | CLONE_VFORK, child);
    case 3:
        pid = clone(child_runs, stack + STACK,
                    SIGCHLD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID,
                    child, &tid, NULL, &tid);
        CHECK_EQ(pid, tid);
        return pid;
    case 4:
        pid = clone(child_runs, stack + STACK, SIGCHLD | CLONE_PIDFD, child, &pidfd);
        CHECK_OK(close(pidfd));
        return pid;
    case 5: pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0); break;
    case 6:
        pid = (pid_t)syscall(SYS_clone, SIGCHLD | CLONE_CHILD_SETTID, NULL, NULL, &tid, 0);
        break;
    case 7: pid = (pid_t)syscall(SYS_fork); break;
    case 8: pid = by_clone3(&arguments); break;
    case 9:
        arguments.flags = CLONE_PIDFD | CLONE_PARENT_SETTID;
        arguments.pidfd = (uint64_t)(uintptr_t)&pidfd;
        arguments.parent_tid = (uint64_t)(uintptr_t)&tid;
        pid = by_clone3(&arguments);
        if (pid > 0) {
            CHECK_EQ(pid, tid);
            CHECK_OK(close(pidfd));
        }
        break;
    default:
        arguments.exit_signal = 0;
        arguments.flags = CLONE_CLEAR_SIGHAND | CLONE_FS;
        pid = by_clone3(&arguments);
        break;
    }
    if (pid == 0) {
        _exit(child_runs(child));
    }
    return pid;
}

/* __WALL: some have no exit signal. */
static int wait_for(pid_t pid)
{
    int status = 0;
    CHECK_EQ(pid, waitpid(pid, &status, __WALL));
    return status;
}

static void talks(int form, int kind, bool exec)
{
    static unsigned char echo[TALK_BIG];
    struct talk talk;
    struct child child = { &talk, exec, 0 };
    struct guest_thread writer;
    bool waits = form == 2;
    talk_open(&talk, kind);
    if (waits) { /* CLONE_VFORK: it returns when the child has ended or exec'd */
        talk_close(&talk);
        CHECK_OK(pipe2(talk.to_child, O_CLOEXEC));
        CHECK_OK(pipe2(talk.from_child, O_CLOEXEC));
        CHECK_EQ(5, write(talk.to_child[1], "early", 5));
    }
    int keep = waits && !exec ? -1 : talk.to_child[1];
    if (keep < 0) {
        CHECK_OK(close(talk.to_child[1]));
        talk.to_child[1] = (int)CHECK_OK(open("/dev/null", O_WRONLY | O_CLOEXEC));
    }
    pid_t pid = (pid_t)CHECK_OK(start(form, &child));
    CHECK_OK(close(talk.to_child[0]));
    CHECK_OK(close(talk.from_child[1]));
    CHECK_EQ(5, guest_read_all(talk.from_child[0], echo, 5));
    CHECK_MEM("early", echo, 5);
    if (keep >= 0) {
        guest_thread_start(&writer, talk_write_big, &talk.to_child[1]);
        CHECK_EQ(TALK_BIG, guest_read_all(talk.from_child[0], echo, TALK_BIG));
        guest_pattern_check(echo, TALK_BIG, 0);
        guest_thread_join(&writer);
    } else {
        CHECK_OK(close(talk.to_child[1]));
    }
    CHECK_EQ(0, read(talk.from_child[0], echo, 1));
    int status = wait_for(pid);
    CHECK(WIFEXITED(status));
    CHECK_EQ(CODE, WEXITSTATUS(status));
    CHECK_OK(close(talk.from_child[0]));
}

/* Its end is seen by who reads already. */
static void is_killed(int form, int kind)
{
    struct talk talk;
    struct child child = { &talk, false, 1 };
    char byte;
    talk_open(&talk, kind);
    pid_t pid = (pid_t)CHECK_OK(start(form, &child));
    CHECK_OK(close(talk.to_child[0]));
    CHECK_OK(close(talk.from_child[1]));
    CHECK_EQ(1, read(talk.from_child[0], &byte, 1));
    pid_t killer = guest_fork();
    if (killer == 0) {
        guest_process_blocked(getppid());
        CHECK_OK(kill(pid, SIGKILL));
        _exit(0);
    }
    CHECK_EQ(0, read(talk.from_child[0], &byte, 1));
    CHECK(WIFSIGNALED(wait_for(pid)));
    guest_wait_exit(killer, 0);
    CHECK_OK(close(talk.to_child[1]));
    CHECK_OK(close(talk.from_child[0]));
}

/* A grandchild of ours by blood, our child by CLONE_PARENT. */
static void sibling(int kind)
{
    struct talk talk;
    struct child child = { &talk, true, 0 };
    int pids[2];
    pid_t pid = -1;
    guest_pipe(pids);
    talk_open(&talk, kind);
    pid_t maker = guest_fork();
    if (maker == 0) {
        pid = (pid_t)CHECK_OK(clone(child_runs, stack + STACK, SIGCHLD | CLONE_PARENT, &child));
        CHECK_EQ(sizeof pid, write(pids[1], &pid, sizeof pid));
        _exit(0);
    }
    guest_wait_exit(maker, 0);
    CHECK_EQ(sizeof pid, read(pids[0], &pid, sizeof pid));
    guest_close_both(pids);
    talk_end(&talk, pid, CODE);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) {
        return talk_image(CODE);
    }
    guest_start();
    talk_path(path, NULL);
    for (int form = 0; form < FORMS; form++) {
        talks(form, form % TALK_KINDS, true);
        talks(form, (form + 1) % TALK_KINDS, false);
        if (form != 2) { /* the parent of that one waits itself */
            is_killed(form, form % TALK_KINDS);
        }
    }
    for (int kind = 0; kind < TALK_KINDS; kind++) {
        sibling(kind);
    }
    return guest_end();
}
