/*
 * run_watch.c - the supervisor: members are watched through pidfds, PROG through its signals
 *
 * Watching. A member rings the bell when others may wait for it (announce.h), and gets a pidfd here
 * (members.h).
 *
 * Of several supervisors one watches, for all (watcher.h). The others have a pidfd of it; when it
 * is gone, one of them goes on, and begins with whoever is a member by then.
 *
 * Signals. PROG stands in our process group, so what the terminal sends (SI_KERNEL) it has got
 * already; what a process sends to us alone was meant for PROG and is passed on. Sent to the whole
 * group by kill(2), it arrives twice: the two can't be told apart.
 *
 * Stopping. PROG may catch the terminal's ^Z and tidy up first, so we don't stop before it did;
 * then we do, by SIGTSTP, for the shell must learn it. That signal does nothing in a process group
 * without such a shell (an orphaned one: kernel/signal.c get_signal()), where nobody would ever
 * continue us and the session would lose its supervisor.
 *
 * Leaves out: what members.h does.
 */
#include "run_watch.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "members.h"
#include "run_end.h"

enum { FD_SIGNALS, FD_BELL, FD_CALLERS, FD_WATCHER, FD_ENDING, FD_MEMBERS };

static_assert(FD_MEMBERS <= MEMBERS_OTHERS, "see members.h");

static const int passed_on[] = { SIGHUP,  SIGINT,  SIGQUIT,  SIGTERM, SIGUSR1,
                                 SIGUSR2, SIGALRM, SIGWINCH, SIGTSTP };

void run_watch_signals(sigset_t *ret_signals)
{
    sigemptyset(ret_signals);
    sigaddset(ret_signals, SIGCHLD);
    sigaddset(ret_signals, SIGCONT);
    for (size_t i = 0; i < sizeof passed_on / sizeof passed_on[0]; i++)
        sigaddset(ret_signals, passed_on[i]);
}

/* ---- Who watches, and their bell ---- */

/* The watcher died: somebody else is it now, or we are. */
static void pass_role(const struct run_watch *watch, struct members *members)
{
    watcher_claim(watch->watcher);
    members->fds[FD_WATCHER].fd = watch->watcher->pidfd;
}

/* Empties the bell's pipe: what was rung before is answered by looking once. */
static void silence(int bell)
{
    char rings[256];

    for (int round = 0; round < 256; round++) { /* 64 KiB: a pipe's capacity */
        if (read(bell, rings, sizeof rings) < (ssize_t)sizeof rings)
            return;
    }
}

/* ---- The child ---- */

static bool is_stopped(pid_t child)
{
    siginfo_t info = { 0 };

    return waitid(P_PID, (id_t)child, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == child;
}

/* True when we are the job that the terminal's shell waits for. */
static bool is_foreground_job(void)
{
    const int terminal = open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    const bool result = terminal >= 0 && tcgetpgrp(terminal) == getpgrp();

    if (terminal >= 0)
        close(terminal);
    return result;
}

/* True when the child has ended. It isn't reaped: its pid stays its own. */
static bool has_ended(pid_t child)
{
    siginfo_t info = { 0 };

    return waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
           info.si_pid == child;
}

static void pass_on(const struct run_watch *watch, const struct signalfd_siginfo *info)
{
    const int number = (int)info->ssi_signo;

    if (number == SIGCONT) {
        if (is_stopped(watch->child)) /* else it was for the group, and did its work */
            kill(watch->child, SIGCONT);
    } else if (number != SIGCHLD && info->ssi_code != SI_KERNEL) {
        if (!has_ended(watch->child))
            kill(watch->child, number);
        else if (number != SIGWINCH && number != SIGTSTP) /* nobody ends from these */
            watch->hurry(watch->context, number);
    }
}

static void read_signals(const struct run_watch *watch)
{
    struct signalfd_siginfo info[16];
    ssize_t size;

    do { /* ends: a standard signal is pending once at most */
        size = read(watch->signals, info, sizeof info);
        for (ssize_t i = 0; i < size / (ssize_t)sizeof info[0]; i++)
            pass_on(watch, &info[i]);
    } while (size == sizeof info);
}

/* Tells the shell that PROG stopped; goes on when it is continued. */
static void stop_too(void)
{
    sigset_t stop;

    if (!is_foreground_job())
        return;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &stop, NULL);
    raise(SIGTSTP);
    sigprocmask(SIG_BLOCK, &stop, NULL);
}

/* Stops when it stopped. */
static void follow_stops(pid_t child)
{
    for (;;) { /* ends: each round takes one stop */
        siginfo_t info = { 0 };

        if (waitid(P_PID, (id_t)child, &info, WSTOPPED | WNOHANG) != 0 || info.si_pid != child)
            return;
        stop_too();
    }
}

/* True when the child has ended, and what comes after it as well. */
static bool is_over(const struct run_watch *watch, struct members *members)
{
    struct pollfd *ending = &members->fds[FD_ENDING];

    if (ending->fd >= 0)
        return ending->revents != 0;
    follow_stops(watch->child);
    if (!has_ended(watch->child) || watch->left(watch->context))
        return false;
    ending->fd = watch->ended(watch->context);
    return ending->fd < 0;
}

/* Returns its status, or -errno. */
static int reap(pid_t child)
{
    int status = 0;

    return waitpid(child, &status, WNOHANG) == child ? status : -ECHILD;
}

/* ---- The time limit ---- */

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* For poll: milliseconds until the deadline (0: none), rounded up; more than fits comes again. */
static int time_left_ms(uint64_t deadline_ns)
{
    const uint64_t now = now_ns();

    if (deadline_ns == 0)
        return -1;
    if (now >= deadline_ns)
        return 0;
    const uint64_t left = (deadline_ns - now + 999999) / 1000000;
    return left < INT_MAX ? (int)left : INT_MAX;
}

/* Somebody removes the session: our part of it is ended. Returns the child's status, or -errno. */
static int end_for(const struct run_watch *watch, int caller)
{
    static int32_t pids[RUN_TREE_MAX];
    const struct run_tree tree = run_tree_of(watch->child, watch->session);
    const size_t count = run_tree_find(&tree, pids);

    registry_serve_ended(&watch->session->serve, caller, pids, count);
    watch->removed(watch->context);
    const int status = run_tree_end(watch->self, &tree);
    return status >= 0 ? status : -EBUSY;
}

/* ---- Deadlocks ---- */

/* True when all are to be ended because of one. */
static bool is_stuck(const struct run_watch *watch, struct lookout *lookout)
{
    static int32_t pids[RUN_TREE_MAX];
    const uint64_t now = now_ns();

    if (!watch->deadlocks)
        return false;
    if (emu_session_news_of_sleeps())
        lookout_rung(lookout, now);
    if (lookout->next_ns == 0 || now < lookout->next_ns)
        return false;
    const struct run_tree tree = run_tree_of(watch->child, watch->session);
    const enum waits_cause found = lookout_look(lookout, now, pids, run_tree_find(&tree, pids));
    return found != WAITS_NONE && watch->stuck(watch->context, lookout, found);
}

static uint64_t earlier(uint64_t a_ns, uint64_t b_ns)
{
    return a_ns == 0 || (b_ns != 0 && b_ns < a_ns) ? b_ns : a_ns;
}

enum watch_end { WATCH_OVER, WATCH_TIME_UP, WATCH_STUCK };

/* Watches until all is over, or until the deadline, or a deadlock. */
static enum watch_end watch_until(const struct run_watch *watch, struct members *members,
                                  struct lookout *lookout, uint64_t deadline_ns, int *ret_status)
{
    for (;;) { /* ends when the child does, or the time */
        const int wait_ms = time_left_ms(earlier(deadline_ns, lookout->next_ns));

        if (poll(members->fds, members->count, wait_ms) < 0 && errno != EINTR) {
            *ret_status = -errno;
            return WATCH_OVER;
        }
        members_sweep(watch->self, members); /* before new ones: a pid may have been used again */
        if (members->fds[FD_BELL].revents != 0)
            silence(watch->bell);
        if (members->fds[FD_WATCHER].revents != 0)
            pass_role(watch, members);
        if (watch->watcher->mine)
            members_find(watch->self, members);
        read_signals(watch);
        if (is_over(watch, members)) {
            *ret_status = reap(watch->child);
            return WATCH_OVER;
        }
        const int caller = members->fds[FD_CALLERS].revents != 0
                               ? registry_serve_step(&watch->session->serve)
                               : -1;
        if (caller >= 0) {
            *ret_status = end_for(watch, caller);
            return WATCH_OVER;
        }
        if (deadline_ns != 0 && now_ns() >= deadline_ns)
            return WATCH_TIME_UP;
        if (is_stuck(watch, lookout))
            return WATCH_STUCK;
    }
}

int run_watch(const struct run_watch *watch)
{
    static struct members members;
    struct lookout lookout = { .hang_ns = watch->hang_ns };
    const uint64_t deadline_ns = watch->limit_ns > 0 ? now_ns() + watch->limit_ns : 0;
    const int callers = watch->session->serve.registry != NULL ? watch->session->serve.set : -1;
    int status = 0;

    members_init(&members, FD_MEMBERS);
    members.fds[FD_SIGNALS] = (struct pollfd){ .fd = watch->signals, .events = POLLIN };
    members.fds[FD_BELL] = (struct pollfd){ .fd = watch->bell, .events = POLLIN };
    members.fds[FD_CALLERS] = (struct pollfd){ .fd = callers, .events = POLLIN };
    members.fds[FD_WATCHER] = (struct pollfd){ .fd = watch->watcher->pidfd, .events = POLLIN };
    members.fds[FD_ENDING] = (struct pollfd){ .fd = -1, .events = POLLIN };
    if (watch->watcher->mine)
        members_find(watch->self, &members); /* it may have joined before the first poll */
    lookout_begin(&lookout, now_ns());
    emu_session_watch_sleeps(watch->deadlocks);
    const enum watch_end end = watch_until(watch, &members, &lookout, deadline_ns, &status);
    emu_session_watch_sleeps(false);
    if (end == WATCH_TIME_UP)
        watch->time_up(watch->context);
    if (end != WATCH_OVER) {
        const struct run_tree tree = run_tree_of(watch->child, watch->session);
        run_tree_end(watch->self, &tree);
        status = end == WATCH_TIME_UP ? RUN_WATCH_TIME_UP : RUN_WATCH_STUCK;
    }
    lookout_fini(&lookout);
    members_fini(&members);
    return status;
}
