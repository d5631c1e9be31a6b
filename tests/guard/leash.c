/*
 * leash - run a command with a time limit, and see that its whole tree is gone afterwards
 *
 *     leash SECONDS COMMAND [ARG...]
 *
 * The command gets a process group of its own. Leash is the reaper of every orphan below it, so a
 * process that left the group, or the session, is still found: after the time limit, or when the
 * command is done, whatever is left of the tree is named on stderr and killed by its pid.
 *
 * Invariant: when leash exits nothing of the tree runs any more, bounded rounds of a fork bomb
 * aside. Leaves out: limits of memory and output.
 *
 * Exit: the command's own; 128+N when signal N killed it, or stopped leash (INT, TERM, HUP); 124
 * after the time limit; 123 when the command was done and a process of its tree still ran GRACE_MS
 * later; 125 wrong usage, 127 not found.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    EXIT_LEFT_BEHIND = 123,
    EXIT_TIME_LIMIT = 124,
    EXIT_OWN_FAILURE = 125,
    EXIT_NOT_FOUND = 127,
    GRACE_MS = 3000,   /* for what legitimately ends just after the command: supervisors, reapers */
    KILL_ROUNDS = 200, /* each kills all children; their children become ours */
    TREE_MAX = 64,     /* processes shown in a report */
};

static long long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* The first line of /proc/PID/NAME; empty when it can't be read (no such process any more). */
static void proc_line(pid_t pid, const char *name, char *ret_line, size_t size)
{
    char path[64];

    ret_line[0] = '\0';
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    if (fgets(ret_line, (int)size, file) == NULL)
        ret_line[0] = '\0';
    ret_line[strcspn(ret_line, "\n")] = '\0';
    fclose(file);
}

/* State and parent from /proc/PID/stat: "pid (comm) state ppid ..."; comm may hold anything. */
static bool proc_stat(pid_t pid, char *ret_state, pid_t *ret_parent)
{
    char line[512];
    int parent;

    proc_line(pid, "stat", line, sizeof line);
    const char *end = strrchr(line, ')');
    if (end == NULL || sscanf(end + 1, " %c %d", ret_state, &parent) != 2)
        return false;
    *ret_parent = parent;
    return true;
}

/* The children of `parent` into an array of `max`. Returns how many there are. */
static size_t children_of(pid_t parent, pid_t *ret_pids, size_t max)
{
    size_t count = 0;
    DIR *proc = opendir("/proc");

    if (proc == NULL)
        return 0;
    for (struct dirent *entry; count < max && (entry = readdir(proc)) != NULL;) {
        const pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        char state;
        pid_t its_parent;

        if (pid > 0 && proc_stat(pid, &state, &its_parent) && its_parent == parent)
            ret_pids[count++] = pid;
    }
    closedir(proc);
    return count;
}

static void show(pid_t pid)
{
    char comm[64], wait_channel[64], call[160];
    char state = '?';
    pid_t parent = 0;

    proc_line(pid, "comm", comm, sizeof comm);
    proc_line(pid, "wchan", wait_channel, sizeof wait_channel);
    proc_line(pid, "syscall", call, sizeof call);
    proc_stat(pid, &state, &parent);
    fprintf(stderr, "leash:   %d %s (child of %d) state %c, in %s, system call %s\n", (int)pid,
            comm, (int)parent, state, wait_channel, call);
}

/* The tree below this process, breadth first. */
static void show_tree(const char *title)
{
    pid_t tree[TREE_MAX];
    size_t count = children_of(getpid(), tree, TREE_MAX);

    fprintf(stderr, "leash: %s:\n", title);
    for (size_t i = 0; i < count; i++) {
        show(tree[i]);
        count += children_of(tree[i], tree + count, TREE_MAX - count);
    }
}

static void kill_tree(pid_t group)
{
    pid_t pids[TREE_MAX];
    size_t count;

    kill(-group, SIGKILL);
    for (int round = 0; round < KILL_ROUNDS; round++) {
        count = children_of(getpid(), pids, TREE_MAX);
        if (count == 0)
            return;
        for (size_t i = 0; i < count; i++) {
            kill(pids[i], SIGKILL);
            waitpid(pids[i], NULL, __WALL);
        }
    }
    fprintf(stderr, "leash: the tree grows faster than it can be killed\n");
}

/* Which of INT, TERM and HUP asked leash itself to stop; 0: none did. */
static int stopped_by;

/* Sleeps till a child changes state, or `until`. The signals are blocked, so none is missed. */
static void sleep_till_news(const sigset_t *news, long long until)
{
    const long long left = until - now_ms();
    const struct timespec span = { .tv_sec = left > 0 ? left / 1000 : 0,
                                   .tv_nsec = left > 0 ? left % 1000 * 1000000 : 0 };
    const int signal_number = sigtimedwait(news, NULL, &span);

    if (signal_number > 0 && signal_number != SIGCHLD)
        stopped_by = signal_number;
}

/* Reaps till `pid` is done, or, with 0, till no child is left. False: time over, or stopped. */
static bool reap_till(pid_t pid, const sigset_t *news, long long until, int *ret_status)
{
    for (;;) { /* ends: every round reaps a child or sleeps, and the time is bounded */
        int status;
        const pid_t done = waitpid(-1, &status, WNOHANG | __WALL);

        if (done > 0 && done == pid) {
            *ret_status = status;
            return true;
        }
        if (done < 0 && errno == ECHILD)
            return true;
        if (done > 0)
            continue;
        if (stopped_by != 0 || now_ms() >= until)
            return false;
        sleep_till_news(news, until);
    }
}

static int run(char **argv, long long limit_ms, const sigset_t *news)
{
    int status = 0;
    const pid_t child = fork();

    if (child < 0) {
        perror("leash: fork");
        return EXIT_OWN_FAILURE;
    }
    if (child == 0) {
        setpgid(0, 0);
        sigprocmask(SIG_UNBLOCK, news, NULL);
        execvp(argv[0], argv);
        fprintf(stderr, "leash: %s: %s\n", argv[0], strerror(errno));
        _exit(EXIT_NOT_FOUND);
    }
    setpgid(child, child);
    if (!reap_till(child, news, now_ms() + limit_ms, &status)) {
        if (stopped_by == 0)
            show_tree("time limit; what ran");
        kill_tree(child);
        return stopped_by != 0 ? 128 + stopped_by : EXIT_TIME_LIMIT;
    }
    const bool gone = reap_till(0, news, now_ms() + GRACE_MS, &status);
    if (!gone) {
        show_tree("the command is done and left these behind");
        kill_tree(child);
    }
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "leash: killed by signal %d (%s)\n", WTERMSIG(status),
                strsignal(WTERMSIG(status)));
        return 128 + WTERMSIG(status);
    }
    return WEXITSTATUS(status) == 0 && !gone ? EXIT_LEFT_BEHIND : WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
    char *end = NULL;
    const double seconds = argc > 2 ? strtod(argv[1], &end) : 0;
    sigset_t news;

    if (argc < 3 || end == argv[1] || *end != '\0' || !(seconds > 0 && seconds < 86400)) {
        fprintf(stderr, "usage: leash SECONDS COMMAND [ARG...]\n");
        return EXIT_OWN_FAILURE;
    }
    sigemptyset(&news);
    sigaddset(&news, SIGCHLD);
    sigaddset(&news, SIGINT);
    sigaddset(&news, SIGTERM);
    sigaddset(&news, SIGHUP);
    sigprocmask(SIG_BLOCK, &news, NULL);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
        perror("leash: prctl");
        return EXIT_OWN_FAILURE;
    }
    return run(argv + 2, (long long)(seconds * 1000), &news);
}
