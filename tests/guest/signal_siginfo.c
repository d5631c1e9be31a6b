/*
 * Proves: SA_SIGINFO handlers get the right siginfo and context, both when they interrupt a blocked
 * call and when the signal arrives in the middle of one: sender, code and value of kill, tgkill,
 * sigqueue, timers and children; the mask of the interrupted thread in uc_sigmask; real-time
 * signals in the order they were queued, none lost.
 *
 * Rows: 5.5 "pipe read/write, unix read/recv/send", 5.5 "poll, ppoll, select, pselect, epoll_wait"
 */
#include <ucontext.h>

#include "guest.h"

enum { QUEUED = 3000, SMALL = 64, AT_MOST_MS = 300 };

static siginfo_t last_info;
static sigset_t last_mask;
static atomic_int runs;

static void note(int signo, siginfo_t *info, void *context)
{
    int error = errno;
    CHECK_EQ(signo, info->si_signo);
    last_info = *info;
    memcpy(&last_mask, &((ucontext_t *)context)->uc_sigmask, sizeof(uint64_t));
    atomic_fetch_add(&runs, 1);
    errno = error;
}

static void on_info(int signo, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = { .sa_flags = SA_SIGINFO | flags };
    action.sa_sigaction = handler;
    sigemptyset(&action.sa_mask);
    CHECK_OK(sigaction(signo, &action, NULL));
}

/* ---- while a call is blocked ---- */

enum source { BY_KILL, BY_TGKILL, BY_SIGQUEUE, BY_TIMER, BY_CHILD, SOURCES };

struct job {
    int fd;
    bool polls;
    enum source source;
};

static int signo_of(enum source source)
{
    return source == BY_CHILD ? SIGCHLD : source == BY_SIGQUEUE ? SIGRTMIN + 3 : SIGUSR1;
}

/* Only this thread has the signal open, and SIGUSR2 blocked. */
static void *wait_for_signal(void *argument)
{
    const struct job *job = argument;
    char byte;
    sigset_t set;
    struct pollfd entry = { .fd = job->fd, .events = POLLIN };
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    CHECK_ZERO(pthread_sigmask(SIG_SETMASK, &set, NULL));
    if (job->polls) {
        CHECK_ERR(EINTR, poll(&entry, 1, -1));
    } else {
        CHECK_ERR(EINTR, read(job->fd, &byte, 1));
    }
    return NULL;
}

static pid_t send_from(const struct job *job, pid_t tid)
{
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
    const struct itimerspec soon = { .it_value = { 0, 1000000 } };
    timer_t timer;
    pid_t pid = -1;
    event.sigev_value.sival_int = 4711;
    switch (job->source) {
    case BY_KILL: CHECK_OK(kill(getpid(), SIGUSR1)); break;
    case BY_TGKILL: CHECK_OK(syscall(SYS_tgkill, getpid(), tid, SIGUSR1)); break;
    case BY_SIGQUEUE:
        CHECK_OK(sigqueue(getpid(), SIGRTMIN + 3, (union sigval){ .sival_int = 815 }));
        break;
    case BY_TIMER:
        CHECK_OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
        CHECK_OK(timer_settime(timer, 0, &soon, NULL));
        while (atomic_load(&runs) == 0) {
            sched_yield();
        }
        CHECK_OK(timer_delete(timer));
        break;
    default:
        pid = guest_fork();
        if (pid == 0) {
            _exit(7);
        }
        guest_wait_exit(pid, 7);
        break;
    }
    return pid;
}

static void check_info(enum source source, pid_t child)
{
    static const int codes[] = { SI_USER, SI_TKILL, SI_QUEUE, SI_TIMER, CLD_EXITED };
    CHECK_EQ(codes[source], last_info.si_code);
    if (source == BY_TIMER) {
        CHECK_EQ(4711, last_info.si_value.sival_int);
        CHECK_EQ(0, last_info.si_overrun);
        return;
    }
    CHECK_EQ(source == BY_CHILD ? child : getpid(), last_info.si_pid);
    CHECK_EQ(getuid(), last_info.si_uid);
    if (source == BY_SIGQUEUE) {
        CHECK_EQ(815, last_info.si_value.sival_int);
    }
    if (source == BY_CHILD) {
        CHECK_EQ(7, last_info.si_status);
    }
}

static void while_blocked(enum source source, bool polls, int type)
{
    int fds[2];
    struct guest_thread thread;
    sigset_t all, old;
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
    struct job job = { .fd = fds[0], .polls = polls, .source = source };
    on_info(signo_of(source), note, 0);
    atomic_store(&runs, 0);
    sigfillset(&all);
    sigdelset(&all, SIGALRM);
    CHECK_ZERO(pthread_sigmask(SIG_BLOCK, &all, &old));
    guest_thread_start(&thread, wait_for_signal, &job);
    guest_thread_blocked(&thread);
    pid_t child = send_from(&job, atomic_load(&thread.tid));
    guest_thread_join(&thread);
    CHECK_EQ(1, atomic_load(&runs));
    check_info(source, child);
    CHECK_EQ(1, sigismember(&last_mask, SIGUSR2));
    CHECK_EQ(0, sigismember(&last_mask, signo_of(source)));
    CHECK_EQ(0, sigismember(&last_mask, SIGUSR1));
    CHECK_ZERO(pthread_sigmask(SIG_SETMASK, &old, NULL));
    guest_on_signal(signo_of(source), SIG_DFL, 0);
    guest_close_both(fds);
}

/* ---- in the middle of a call ---- */

static atomic_int next_value, bad_values;

static void in_order(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    int expected = atomic_fetch_add(&next_value, 1);
    if (info->si_code != SI_QUEUE || info->si_value.sival_int != expected ||
        info->si_pid != getpid()) {
        atomic_fetch_add(&bad_values, 1);
    }
}

struct sender {
    pthread_t target;
    int sent;
};

/* At most 20 are under way: the queue of a user is bounded (RLIMIT_SIGPENDING). */
static void *queue_numbers(void *argument)
{
    struct sender *sender = argument;
    int64_t end = guest_now_ms() + AT_MOST_MS; /* a busy machine needs time slices */
    for (int i = 0; i < QUEUED && guest_now_ms() < end; i++) {
        while (i - atomic_load(&next_value) >= 20) {
            sched_yield();
        }
        CHECK_ZERO(
            pthread_sigqueue(sender->target, SIGRTMIN + 1, (union sigval){ .sival_int = i }));
        sender->sent++;
    }
    return NULL;
}

/* The thread is nearly always inside a call when they come. */
static void queued_signals_in_calls(int type, int flags)
{
    int fds[2];
    struct guest_thread thread;
    unsigned char out[SMALL], in[SMALL];
    struct sender sender = { .target = pthread_self() };
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
    atomic_store(&next_value, 0);
    atomic_store(&bad_values, 0);
    on_info(SIGRTMIN + 1, in_order, flags);
    guest_thread_start(&thread, queue_numbers, &sender);
    for (uint64_t position = 0; !atomic_load(&thread.done); position += SMALL) {
        guest_pattern_fill(out, SMALL, position);
        CHECK_EQ(SMALL, write(fds[1], out, SMALL));
        CHECK_EQ(SMALL, read(fds[0], in, SMALL));
        guest_pattern_check(in, SMALL, position);
    }
    guest_thread_join(&thread);
    CHECK(sender.sent > 0);
    while (atomic_load(&next_value) < sender.sent) {
        sched_yield();
    }
    CHECK_EQ(sender.sent, atomic_load(&next_value));
    CHECK_EQ(0, atomic_load(&bad_values));
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    for (int source = 0; source < SOURCES; source++) {
        while_blocked((enum source)source, false, 0);
        while_blocked((enum source)source, true, 0);
        while_blocked((enum source)source, false, SOCK_STREAM);
    }
    queued_signals_in_calls(0, 0);
    queued_signals_in_calls(0, SA_RESTART);
    queued_signals_in_calls(SOCK_STREAM, 0);
    queued_signals_in_calls(SOCK_SEQPACKET, SA_RESTART);
    return guest_end();
}
