/*
 * Proves: a subreaper gets the orphans below it and nobody else, also when it has no pipe or socket
 * of its own and a child of it, which made the first ones and had children, is killed. It reaps as
 * many as there were, with as many signals, then there is ECHILD.
 *
 * Rows: -
 */
#include "guest.h"

#include <sys/mman.h>
#include <sys/prctl.h>

/* Not a pipe of ours: this process is to have none. */
struct shared {
    _Atomic int ready; /* processes that wait to be killed */
    _Atomic int child, grandchild;
};

static void wait_in(struct shared *shared, _Atomic int *ret_pid)
{
    if (ret_pid != NULL) {
        atomic_store(ret_pid, getpid());
    }
    atomic_fetch_add(&shared->ready, 1);
    for (;;) {
        pause();
    }
}

/* The child with the first pipe; a child and a grandchild of it hold the pipe as well. */
static void first_of_a_session(struct shared *shared)
{
    int fds[2];
    char byte;

    guest_pipe(fds);
    if (guest_fork() == 0) {
        if (guest_fork() == 0) {
            CHECK_EQ(1, write(fds[1], "g", 1));
            wait_in(shared, &shared->grandchild);
        }
        CHECK_EQ(1, write(fds[1], "c", 1));
        wait_in(shared, &shared->child);
    }
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_EQ(1, read(fds[0], &byte, 1));
    wait_in(shared, NULL);
}

static void kill_and_reap(pid_t pid)
{
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_EQ(pid, waitpid(-1, NULL, 0));
}

static void one_tree(struct shared *shared)
{
    sigset_t mask;
    siginfo_t info = { 0 };

    atomic_store(&shared->ready, 0);
    pid_t first = guest_fork();
    if (first == 0) {
        first_of_a_session(shared);
    }
    while (atomic_load(&shared->ready) < 3) {
        sched_yield();
    }
    kill_and_reap(first); /* the others are ours now, one after the other */
    kill_and_reap(atomic_load(&shared->child));
    kill_and_reap(atomic_load(&shared->grandchild));
    CHECK_ERR(ECHILD, waitpid(-1, NULL, 0));
    CHECK_ERR(ECHILD, wait4(-1, NULL, __WALL, NULL));
    /* Each death was told before it could be reaped; a late one would be told now. */
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    struct timespec none = { 0 };
    while (sigtimedwait(&mask, &info, &none) == SIGCHLD) {
    }
    struct timespec a_while = { .tv_nsec = 50000000 };
    CHECK_ERR(EAGAIN, sigtimedwait(&mask, &info, &a_while));
    CHECK_ERR(ECHILD, waitpid(-1, NULL, WNOHANG));
}

int main(void)
{
    sigset_t mask;

    guest_start();
    struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    CHECK_ZERO(sigprocmask(SIG_BLOCK, &mask, NULL));
    CHECK_ZERO(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    for (int i = 0; i < 10; i++) {
        one_tree(shared);
    }
    return guest_end();
}
