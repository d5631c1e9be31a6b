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
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bounds.h"
#include "waits/proc.h"

#define TIDY_UP_MS    1000 /* between SIGTERM and SIGKILL */
#define KILL_MS       5000 /* how long SIGKILL may take */
#define ANCESTORS_MAX 4096
#define FREEZE_ROUNDS 64 /* of stopping; each finds what was forked since the last */

/* Set by run_tree_adopt(): like the subreaper, the whole process's. */
static struct {
    bool (*is_own)(void *context, pid_t pid);
    void *context;
} adoption;

/* Who is to end. */
struct doomed {
    int32_t pids[RUN_TREE_MAX];
    struct pollfd fds[RUN_TREE_MAX]; /* pidfds */
    size_t count;
};

struct run_tree run_tree_of(pid_t child, const struct run_session *session)
{
    struct run_tree tree = { .child = child };

    tree.other_count = run_session_others(session, tree.others, RUN_TREE_OTHER);
    return tree;
}

static bool contains(const int32_t *pids, size_t count, int32_t pid)
{
    for (size_t i = 0; i < count; i++) {
        if (pids[i] == pid)
            return true;
    }
    return false;
}

/*
 * A member is another run's when that run's supervisor is above it; one that has lost its parents
 * still has the supervisor's pid in its environment ("FD,PID").
 */
static bool is_of_others(const struct run_tree *tree, int32_t pid)
{
    char arena[32];
    int descriptor, owner;

    if (tree->other_count == 0)
        return false;
    for (int32_t above = pid, depth = 0; above > 1 && depth < ANCESTORS_MAX; depth++) {
        if (above == getpid())
            return false;
        if (contains(tree->others, tree->other_count, above))
            return true;
        above = proc_parent(above);
    }
    return proc_environment(pid, "SOCKRIG_ARENA", arena, sizeof arena) &&
           sscanf(arena, "%d,%d", &descriptor, &owner) == 2 &&
           contains(tree->others, tree->other_count, owner);
}

void run_tree_adopt(bool (*is_own)(void *context, pid_t pid), void *context)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    adoption.is_own = is_own;
    adoption.context = context;
}

/* Adds our children that we didn't start. */
static size_t add_adopted(int32_t *pids, size_t count)
{
    static int32_t below[RUN_TREE_MAX];

    if (adoption.is_own == NULL)
        return count;
    below[0] = getpid();
    const size_t found = proc_add_descendants(below, 1, RUN_TREE_MAX);
    for (size_t i = 1; i < found && count < RUN_TREE_MAX; i++) {
        if (proc_parent(below[i]) == getpid() && !adoption.is_own(adoption.context, below[i]) &&
            !contains(pids, count, below[i]))
            pids[count++] = below[i];
    }
    return count;
}

size_t run_tree_find(const struct run_tree *tree, int32_t *ret_pids)
{
    uint32_t changes;
    size_t count = emu_session_members(ret_pids, EMU_MAX_PROCESSES, &changes);
    bool has_child = false;
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (ret_pids[i] <= 0 || ret_pids[i] == getpid() || is_of_others(tree, ret_pids[i]))
            continue; /* <= 0: one that isn't born yet */
        has_child |= ret_pids[i] == tree->child;
        ret_pids[kept++] = ret_pids[i];
    }
    if (!has_child)
        ret_pids[kept++] = tree->child;
    kept = add_adopted(ret_pids, kept);
    return proc_add_descendants(ret_pids, kept, RUN_TREE_MAX);
}

/* One look: keeps who is alive, reaps those of ours that aren't. True when there was one. */
static bool look_for_rest(const struct run_tree *tree, int32_t *ret_pids, size_t *ret_count)
{
    const size_t count = run_tree_find(tree, ret_pids);
    bool reaped = false;

    *ret_count = 0;
    for (size_t i = 0; i < count; i++) {
        const int32_t pid = ret_pids[i];

        if (pid == tree->child ||
            (adoption.is_own != NULL && adoption.is_own(adoption.context, pid)))
            continue;
        if (waitpid(pid, NULL, WNOHANG) == pid)
            reaped = true;
        else
            ret_pids[(*ret_count)++] = pid; /* alive, or its parent is */
    }
    return reaped;
}

/* Who ended while we looked may have made another one that we have missed. */
size_t run_tree_rest(const struct run_tree *tree, int32_t *ret_pids)
{
    size_t count;

    while (look_for_rest(tree, ret_pids, &count) && count == 0) /* ends: each round reaps one */
        ;
    return count;
}

/* Adds what isn't known yet. Returns how many. */
static size_t find_new(struct doomed *doomed, const struct run_tree *tree)
{
    static int32_t pids[RUN_TREE_MAX];
    static int32_t again[RUN_TREE_MAX];
    const size_t count = run_tree_find(tree, pids);
    const size_t before = doomed->count;
    int pidfds[RUN_TREE_MAX];

    for (size_t i = 0; i < count; i++)
        pidfds[i] = contains(doomed->pids, doomed->count, pids[i])
                        ? -1
                        : (int)syscall(SYS_pidfd_open, pids[i], 0);
    const size_t count_again = run_tree_find(tree, again);
    for (size_t i = 0; i < count; i++) {
        bool still = false;

        for (size_t at = 0; at < count_again; at++)
            still |= again[at] == pids[i];
        if (pidfds[i] >= 0 && still && doomed->count < RUN_TREE_MAX) {
            doomed->pids[doomed->count] = pids[i];
            doomed->fds[doomed->count++] = (struct pollfd){ .fd = pidfds[i], .events = POLLIN };
        } else if (pidfds[i] >= 0) {
            close(pidfds[i]);
        }
    }
    return doomed->count - before;
}

static void send_all(const struct doomed *doomed, size_t from, int number)
{
    for (size_t i = from; i < doomed->count; i++)
        syscall(SYS_pidfd_send_signal, doomed->fds[i].fd, number, NULL, 0);
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
static void forget_dead(struct emu_task *self, struct doomed *doomed)
{
    for (size_t i = doomed->count; i-- > 0;) {
        if (doomed->fds[i].revents == 0)
            continue;
        emu_process_sweep(self, doomed->pids[i]);
        close(doomed->fds[i].fd);
        doomed->count--;
        doomed->fds[i] = doomed->fds[doomed->count];
        doomed->pids[i] = doomed->pids[doomed->count];
    }
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until all are gone, at most so long. */
static void wait_for_all(struct emu_task *self, struct doomed *doomed, pid_t child,
                         int64_t limit_ms, int *ret_status)
{
    const int64_t end = now_ms() + limit_ms;

    while (doomed->count > 0) {
        const int64_t rest = end - now_ms();

        if (rest <= 0 || (poll(doomed->fds, doomed->count, (int)rest) < 0 && errno != EINTR))
            return;
        forget_dead(self, doomed);
        reap(child, ret_status);
    }
}

/* Stops all, until a look finds nobody new. */
static void freeze(struct doomed *doomed, const struct run_tree *tree)
{
    size_t stopped = 0;

    for (int round = 0; round < FREEZE_ROUNDS; round++) {
        const size_t fresh = find_new(doomed, tree);

        if (fresh == 0 && stopped == doomed->count)
            return;
        send_all(doomed, stopped, SIGSTOP);
        stopped = doomed->count;
    }
}

int run_tree_end(struct emu_task *self, const struct run_tree *tree)
{
    static struct doomed doomed; /* large */
    int status = -1;

    prctl(PR_SET_CHILD_SUBREAPER, 1);
    emu_process_sweep_dead(self); /* their pids may be other processes' by now */
    find_new(&doomed, tree);
    send_all(&doomed, 0, SIGTERM);
    send_all(&doomed, 0, SIGCONT); /* a stopped one would never see it */
    wait_for_all(self, &doomed, tree->child, TIDY_UP_MS, &status);
    freeze(&doomed, tree);
    send_all(&doomed, 0, SIGKILL);
    wait_for_all(self, &doomed, tree->child, KILL_MS, &status);
    reap(tree->child, &status);
    return status;
}
