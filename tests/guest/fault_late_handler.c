/*
 * Proves: a handler may run so late that more has happened than what its signal told: children that
 * end meanwhile send one SIGCHLD together. A parent of lower priority (SCHED_IDLE) shows it; under
 * load any may be that one.
 */
#include "guest.h"

enum { CHILDREN = 4, ROUNDS = 100 };

/* All of us share one CPU, so that the scheduler has to choose. */
static void share_a_cpu(void)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET((size_t)CHECK_OK(sched_getcpu()), &one);
    CHECK_OK(sched_setaffinity(0, sizeof one, &one));
}

static pid_t child_start(const int go[2])
{
    pid_t child = guest_fork();
    char byte;

    if (child == 0) {
        CHECK_OK(close(go[1]));
        CHECK_EQ(1, read(go[0], &byte, 1));
        _exit(0);
    }
    return child;
}

/* How many times the handler ran for all of the children. They have the priority that we had. */
static int handled(void)
{
    const struct sched_param parameters = { .sched_priority = 0 };
    pid_t children[CHILDREN];
    int go[2];

    guest_count_signal(SIGCHLD, SA_RESTART);
    guest_pipe(go);
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = child_start(go);
        guest_process_blocked(children[i]);
    }
    CHECK_OK(sched_setscheduler(0, SCHED_IDLE, &parameters));
    CHECK_EQ(0, atomic_load(&guest_signal_count[SIGCHLD]));
    CHECK_EQ(CHILDREN, write(go[1], "gggg", CHILDREN));
    for (int i = 0; i < CHILDREN; i++) {
        guest_wait_exit(children[i], 0);
    }
    guest_close_both(go);
    return atomic_load(&guest_signal_count[SIGCHLD]);
}

/* One of several processes: unprivileged, nobody can go back from SCHED_IDLE. */
static int handled_by_another(void)
{
    int status;
    pid_t pid = guest_fork();

    if (pid == 0) {
        _exit(handled());
    }
    status = guest_wait(pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) >= 1 && WEXITSTATUS(status) <= CHILDREN);
    return WEXITSTATUS(status);
}

int main(void)
{
    int count = CHILDREN;

    guest_start();
    share_a_cpu();
    for (int round = 0; round < ROUNDS && count == CHILDREN; round++) {
        count = handled_by_another();
    }
    CHECK(count < CHILDREN);
    return guest_end();
}
