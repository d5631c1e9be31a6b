/*
 * Proves: whoever waits for its children sees those that it made and nobody else. When the last is
 * reaped every form of wait says ECHILD, also with __WALL and __WCLONE; there was one SIGCHLD for
 * each child; a new image of the same process finds it so too; a child that is a subreaper gets its
 * orphans alone.
 *
 * Rows: -
 */
#include "guest.h"

#include <sys/prctl.h>

static void nobody_is_left(void)
{
    siginfo_t info = { 0 };

    CHECK_ERR(ECHILD, wait(NULL));
    CHECK_ERR(ECHILD, waitpid(-1, NULL, WNOHANG));
    CHECK_ERR(ECHILD, waitpid(0, NULL, WNOHANG | WUNTRACED | WCONTINUED));
    CHECK_ERR(ECHILD, wait4(-1, NULL, __WALL, NULL));
    CHECK_ERR(ECHILD, wait4(-1, NULL, __WCLONE, NULL));
    CHECK_ERR(ECHILD, waitid(P_ALL, 0, &info, WEXITED));
    CHECK_ERR(ECHILD, waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT));
    CHECK_ERR(ECHILD, waitid(P_ALL, 0, &info, WEXITED | __WALL));
    CHECK_ERR(ECHILD, waitid(P_ALL, 0, &info, WEXITED | __WCLONE));
    CHECK_ERR(ECHILD, syscall(SYS_wait4, -1, NULL, __WALL, NULL));
}

/* A child that talks through a pipe, reaped by `reap`. */
static void one_child(pid_t (*reap)(void))
{
    int fds[2];
    char byte;

    guest_pipe(fds);
    pid_t child = guest_fork();
    if (child == 0) {
        CHECK_EQ(1, write(fds[1], "c", 1));
        _exit(3);
    }
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_EQ(child, reap());
    guest_close_both(fds);
}

static pid_t reap_any(void)
{
    int status = 0;
    pid_t pid = wait(&status);

    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    return pid;
}

static pid_t reap_all_kinds(void)
{
    return wait4(-1, NULL, __WALL, NULL);
}

static pid_t reap_by_id(void)
{
    siginfo_t info = { 0 };

    CHECK_ZERO(waitid(P_ALL, 0, &info, WEXITED | __WALL));
    return info.si_pid;
}

/* SIGCHLD is blocked in between, so that no two of them merge unseen. */
static void one_signal_each(void)
{
    pid_t (*const ways[])(void) = { reap_any, reap_all_kinds, reap_by_id };
    sigset_t mask, before;

    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    for (unsigned i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        CHECK_ZERO(sigprocmask(SIG_BLOCK, &mask, &before));
        one_child(ways[i]);
        CHECK_ZERO(sigprocmask(SIG_SETMASK, &before, NULL));
        CHECK_EQ(i + 1, atomic_load(&guest_signal_count[SIGCHLD]));
        nobody_is_left();
    }
}

/* The first process of the tree has gone over to another image, and makes children again. */
static void after_exec(void)
{
    guest_count_signal(SIGCHLD, SA_RESTART);
    nobody_is_left();
    one_signal_each();
}

/* In a child: its grandchild becomes its own, and nobody else does. */
static void subreaper_below(void)
{
    int fds[2];
    char byte;

    guest_pipe(fds);
    pid_t below = guest_fork();
    if (below == 0) {
        CHECK_ZERO(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
        CHECK_OK(close(fds[0]));
        pid_t between = guest_fork();
        if (between == 0) {
            pid_t orphan = guest_fork();
            if (orphan == 0) {
                CHECK_EQ(1, write(fds[1], "o", 1));
                _exit(0);
            }
            kill(getpid(), SIGKILL);
        }
        CHECK_OK(wait(NULL));
        CHECK_OK(wait(NULL));
        nobody_is_left();
        _exit(0);
    }
    CHECK_OK(close(fds[1]));
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_EQ(0, read(fds[0], &byte, 1));
    CHECK_OK(close(fds[0]));
    guest_wait_exit(below, 0);
    nobody_is_left();
}

int main(int argc, char **argv)
{
    guest_start();
    if (argc > 1) {
        after_exec();
        return guest_end();
    }
    nobody_is_left();
    guest_count_signal(SIGCHLD, SA_RESTART);
    one_signal_each();
    signal(SIGCHLD, SIG_DFL);
    subreaper_below();
    execl("/proc/self/exe", argv[0], "again", NULL);
    CHECK(!"exec");
}
