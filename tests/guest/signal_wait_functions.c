/*
 * Proves: sigsuspend, sigwait, sigwaitinfo, sigtimedwait and signalfd are not touched by emulated
 * traffic in the same or another thread: they take exactly the signals that were sent, with their
 * siginfo, time out when they should, and a signal that comes while the thread is inside a call
 * stays pending for them.
 *
 * Rows: 5.5 "pipe read/write, unix read/recv/send"
 */
#include <sys/signalfd.h>

#include "guest.h"

enum { ROUNDS = 400, SMALL = 64, SHORT_MS = 20, AT_MOST_MS = 150 };

static int data[2];

static void set_of(sigset_t *set, int signo)
{
    sigemptyset(set);
    sigaddset(set, signo);
}

static void block(int signo, int how)
{
    sigset_t set;
    set_of(&set, signo);
    CHECK_ZERO(pthread_sigmask(how, &set, NULL));
}

static void traffic(uint64_t position)
{
    unsigned char out[SMALL], in[SMALL];
    guest_pattern_fill(out, SMALL, position);
    CHECK_EQ(SMALL, write(data[1], out, SMALL));
    CHECK_EQ(SMALL, read(data[0], in, SMALL));
    guest_pattern_check(in, SMALL, position);
}

/* ---- one thread waits for numbered signals, the other sends them; both make calls ---- */

enum way { BY_SIGWAITINFO, BY_SIGTIMEDWAIT, BY_SIGNALFD, BY_SIGWAIT, BY_SIGSUSPEND, WAYS };

static atomic_int taken, last_one; /* between sender and taker */
static volatile int handled = -1;

static void handle(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    handled = info->si_value.sival_int;
}

static int take(enum way way, int signal_fd, int number)
{
    siginfo_t info = { 0 };
    struct signalfd_siginfo record;
    const struct timespec long_time = { 20, 0 };
    sigset_t set;
    int signo;
    set_of(&set, SIGRTMIN);
    switch (way) {
    case BY_SIGWAITINFO: CHECK_EQ(SIGRTMIN, sigwaitinfo(&set, &info)); break;
    case BY_SIGTIMEDWAIT: CHECK_EQ(SIGRTMIN, sigtimedwait(&set, &info, &long_time)); break;
    case BY_SIGNALFD:
        CHECK_EQ(sizeof record, read(signal_fd, &record, sizeof record));
        CHECK_EQ(SI_QUEUE, record.ssi_code);
        CHECK_EQ(getpid(), record.ssi_pid);
        return record.ssi_int;
    case BY_SIGWAIT:
        CHECK_ZERO(sigwait(&set, &signo));
        CHECK_EQ(SIGRTMIN, signo);
        return number;
    default:
        sigfillset(&set);
        sigdelset(&set, SIGRTMIN);
        sigdelset(&set, SIGALRM);
        CHECK_ERR(EINTR, sigsuspend(&set));
        return handled;
    }
    CHECK_EQ(SI_QUEUE, info.si_code);
    CHECK_EQ(getpid(), info.si_pid);
    return info.si_value.sival_int;
}

static void *take_all(void *argument)
{
    enum way way = *(enum way *)argument;
    sigset_t set;
    set_of(&set, SIGRTMIN);
    int signal_fd = (int)CHECK_OK(signalfd(-1, &set, SFD_CLOEXEC));
    bool last = false;
    for (int i = 0; !last; i++) {
        traffic((uint64_t)i * SMALL); /* the signal often comes in here */
        CHECK_EQ(i, take(way, signal_fd, i));
        last = atomic_load(&last_one);
        atomic_store(&taken, i + 1);
    }
    CHECK_OK(close(signal_fd));
    return NULL;
}

static void numbered(enum way way)
{
    struct guest_thread thread;
    struct sigaction action = { .sa_flags = SA_SIGINFO };
    action.sa_sigaction = handle;
    sigemptyset(&action.sa_mask);
    CHECK_OK(sigaction(SIGRTMIN, &action, NULL));
    int64_t end = guest_now_ms() + AT_MOST_MS; /* a busy machine takes a time slice a round */
    int rounds = 0;
    atomic_store(&taken, 0);
    atomic_store(&last_one, 0);
    block(SIGRTMIN, SIG_BLOCK);
    guest_thread_start(&thread, take_all, &way);
    while (!atomic_load(&last_one)) {
        atomic_store(&last_one, rounds == ROUNDS - 1 || guest_now_ms() >= end);
        CHECK_ZERO(
            pthread_sigqueue(thread.pthread, SIGRTMIN, (union sigval){ .sival_int = rounds }));
        while (atomic_load(&taken) <= rounds) {
            sched_yield();
        }
        rounds++;
    }
    guest_thread_join(&thread);
    CHECK_EQ(way == BY_SIGSUSPEND ? rounds - 1 : -1, handled);
    block(SIGRTMIN, SIG_UNBLOCK);
}

/* ---- time-outs, and what isn't in the set ---- */

static void times_out(void)
{
    sigset_t set;
    const struct timespec short_time = { 0, SHORT_MS * 1000000 }, no_time = { 0, 0 };
    set_of(&set, SIGUSR1);
    block(SIGUSR1, SIG_BLOCK);
    int64_t start = guest_now_ms();
    CHECK_ERR(EAGAIN, sigtimedwait(&set, NULL, &short_time));
    CHECK(guest_now_ms() - start >= SHORT_MS - 1);
    CHECK_ERR(EAGAIN, sigtimedwait(&set, NULL, &no_time));
    CHECK_ZERO(raise(SIGUSR1));
    traffic(0);
    CHECK_EQ(SIGUSR1, sigtimedwait(&set, NULL, &no_time));
    CHECK_ERR(EAGAIN, sigtimedwait(&set, NULL, &no_time));
    block(SIGUSR1, SIG_UNBLOCK);
}

static void *wait_for_usr1(void *argument)
{
    sigset_t set;
    (void)argument;
    set_of(&set, SIGUSR1);
    CHECK_ERR(EINTR, sigwaitinfo(&set, NULL)); /* a handler of another signal ends it */
    CHECK_EQ(SIGUSR1, sigwaitinfo(&set, NULL));
    return NULL;
}

static void other_handler_interrupts(void)
{
    struct guest_thread thread;
    guest_count_signal(SIGUSR2, SA_RESTART);
    block(SIGUSR1, SIG_BLOCK);
    guest_thread_start(&thread, wait_for_usr1, NULL);
    guest_thread_blocked(&thread);
    CHECK_ZERO(pthread_kill(thread.pthread, SIGUSR2));
    while (atomic_load(&guest_signal_count[SIGUSR2]) == 0) {
        sched_yield();
    }
    guest_thread_blocked(&thread);
    CHECK_ZERO(pthread_kill(thread.pthread, SIGUSR1));
    guest_thread_join(&thread);
    block(SIGUSR1, SIG_UNBLOCK);
}

/* ---- the classic: a child writes, its end comes as SIGCHLD in sigsuspend ---- */

static atomic_int children;

static void on_child(int signo)
{
    int error = errno;
    (void)signo;
    CHECK_EQ(1, write(data[1], "c", 1));
    atomic_fetch_add(&children, 1);
    errno = error;
}

static void child_ends_in_sigsuspend(void)
{
    sigset_t none;
    char byte;
    sigfillset(&none);
    sigdelset(&none, SIGCHLD);
    sigdelset(&none, SIGALRM);
    guest_on_signal(SIGCHLD, on_child, SA_RESTART);
    block(SIGCHLD, SIG_BLOCK);
    for (int i = 1; i <= 10; i++) {
        pid_t pid = guest_fork();
        if (pid == 0) {
            CHECK_EQ(1, write(data[1], "b", 1));
            _exit(0);
        }
        CHECK_EQ(1, read(data[0], &byte, 1)); /* SIGCHLD is blocked here */
        CHECK_EQ('b', byte);
        while (atomic_load(&children) < i) {
            CHECK_ERR(EINTR, sigsuspend(&none));
        }
        CHECK_EQ(1, read(data[0], &byte, 1));
        CHECK_EQ('c', byte);
        guest_wait_exit(pid, 0);
    }
    guest_on_signal(SIGCHLD, SIG_DFL, 0);
    block(SIGCHLD, SIG_UNBLOCK);
}

int main(void)
{
    guest_start();
    guest_pipe(data);
    for (int way = 0; way < WAYS; way++) {
        numbered((enum way)way);
    }
    times_out();
    other_handler_interrupts();
    child_ends_in_sigsuspend();
    guest_close_both(data);
    return guest_end();
}
