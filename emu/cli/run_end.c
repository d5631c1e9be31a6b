/*
 * run_end.c - see run_end.h
 *
 * Nobody slips away: from the start we are the one to whom orphans are given (a child subreaper),
 * so every process of the run stays below us, or is a member of the session. Before SIGKILL all are
 * stopped, until no new ones are found: a process that is stopped can't fork, and one in the middle
 * of a fork starts it over (kernel/fork.c copy_process() looks at pending signals).
 *
 * Signals go through pidfds: a pid may be used again at any time. Between finding a pid and opening
 * it this can happen too; so it is looked for once more when it is open.
 */
#include "run_end.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bounds.h"
#include "waits/proc.h"

#define TIDY_UP_MS    1000 /* between SIGTERM and SIGKILL */
#define KILL_MS       5000 /* how long SIGKILL may take */
#define FREEZE_ROUNDS 64   /* of stopping; each finds what was forked since the last */

/* Who is to end. */
struct tree {
    int32_t pids[RUN_TREE_MAX];
    struct pollfd fds[RUN_TREE_MAX]; /* pidfds */
    size_t count;
};

size_t run_tree_find(pid_t child, int32_t *ret_pids)
{
    uint32_t changes;
    size_t count = emu_session_members(ret_pids, EMU_MAX_PROCESSES, &changes);
    bool has_child = false;
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (ret_pids[i] <= 0 || ret_pids[i] == getpid()) /* one that isn't born yet */
            continue;
        has_child |= ret_pids[i] == child;
        ret_pids[kept++] = ret_pids[i];
    }
    if (!has_child)
        ret_pids[kept++] = child;
    return proc_add_descendants(ret_pids, kept, RUN_TREE_MAX);
}

static bool is_known(const struct tree *tree, int32_t pid)
{
    for (size_t i = 0; i < tree->count; i++) {
        if (tree->pids[i] == pid)
            return true;
    }
    return false;
}

/* Adds what isn't known yet. Returns how many. */
static size_t find_new(struct tree *tree, pid_t child)
{
    static int32_t pids[RUN_TREE_MAX];
    static int32_t again[RUN_TREE_MAX];
    const size_t count = run_tree_find(child, pids);
    const size_t before = tree->count;
    int pidfds[RUN_TREE_MAX];

    for (size_t i = 0; i < count; i++)
        pidfds[i] = is_known(tree, pids[i]) ? -1 : (int)syscall(SYS_pidfd_open, pids[i], 0);
    const size_t count_again = run_tree_find(child, again);
    for (size_t i = 0; i < count; i++) {
        bool still = false;

        for (size_t at = 0; at < count_again; at++)
            still |= again[at] == pids[i];
        if (pidfds[i] >= 0 && still && tree->count < RUN_TREE_MAX) {
            tree->pids[tree->count] = pids[i];
            tree->fds[tree->count++] = (struct pollfd){ .fd = pidfds[i], .events = POLLIN };
        } else if (pidfds[i] >= 0) {
            close(pidfds[i]);
        }
    }
    return tree->count - before;
}

static void send_all(const struct tree *tree, size_t from, int number)
{
    for (size_t i = from; i < tree->count; i++)
        syscall(SYS_pidfd_send_signal, tree->fds[i].fd, number, NULL, 0);
}

/* Reaps whoever is ours. Notes the child's status. */
static void reap(pid_t child, int *ret_status)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) { /* ends: each has died for good */
        if (pid == child)
            *ret_status = status;
    }
}

/* Forgets those that are gone; the session learns of it, which wakes who waits for them. */
static void forget_dead(struct emu_task *self, struct tree *tree)
{
    for (size_t i = tree->count; i-- > 0;) {
        if (tree->fds[i].revents == 0)
            continue;
        emu_process_sweep(self, tree->pids[i]);
        close(tree->fds[i].fd);
        tree->count--;
        tree->fds[i] = tree->fds[tree->count];
        tree->pids[i] = tree->pids[tree->count];
    }
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until all are gone, at most so long. */
static void wait_for_all(struct emu_task *self, struct tree *tree, pid_t child, int64_t limit_ms,
                         int *ret_status)
{
    const int64_t end = now_ms() + limit_ms;

    while (tree->count > 0) {
        const int64_t rest = end - now_ms();

        if (rest <= 0 || (poll(tree->fds, tree->count, (int)rest) < 0 && errno != EINTR))
            return;
        forget_dead(self, tree);
        reap(child, ret_status);
    }
}

/* Stops all, until a look finds nobody new. */
static void freeze(struct tree *tree, pid_t child)
{
    size_t stopped = 0;

    for (int round = 0; round < FREEZE_ROUNDS; round++) {
        const size_t fresh = find_new(tree, child);

        if (fresh == 0 && stopped == tree->count)
            return;
        send_all(tree, stopped, SIGSTOP);
        stopped = tree->count;
    }
}

int run_tree_end(struct emu_task *self, pid_t child)
{
    static struct tree tree; /* large */
    int status = -1;

    prctl(PR_SET_CHILD_SUBREAPER, 1);
    find_new(&tree, child);
    send_all(&tree, 0, SIGTERM);
    send_all(&tree, 0, SIGCONT); /* a stopped one would never see it */
    wait_for_all(self, &tree, child, TIDY_UP_MS, &status);
    freeze(&tree, child);
    send_all(&tree, 0, SIGKILL);
    wait_for_all(self, &tree, child, KILL_MS, &status);
    reap(child, &status);
    return status;
}
