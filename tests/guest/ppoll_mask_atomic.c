/*
 * Proves: ppoll and pselect put their mask on together with the wait: a signal that was pending
 * while blocked is delivered then and gives EINTR; one the mask blocks stays pending; afterwards
 * the thread's own mask is back, also inside the next call.
 *
 * Rows: 5.5 "poll, ppoll, select, pselect, epoll_wait", 6.2 "ppoll/pselect bad timespec EINVAL"
 */
#include "guest.h"

enum way { BY_PPOLL, BY_PSELECT };

static int wait_with_mask(enum way way, int fd, const struct timespec *timeout,
                          const sigset_t *mask)
{
    struct pollfd entry = { .fd = fd, .events = POLLIN };
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    return way == BY_PPOLL ? ppoll(&entry, 1, timeout, mask)
                           : pselect(fd + 1, &set, NULL, NULL, timeout, mask);
}

static void block(int signo, int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signo);
    CHECK_ZERO(pthread_sigmask(how, &set, NULL));
}

static bool is_blocked(int signo)
{
    sigset_t set;
    CHECK_ZERO(pthread_sigmask(SIG_SETMASK, NULL, &set));
    return sigismember(&set, signo) == 1;
}

static void pending_signal_is_delivered(enum way way, int flags)
{
    int fds[2];
    sigset_t empty;
    sigemptyset(&empty);
    guest_pipe(fds);
    guest_count_signal(SIGUSR1, flags);
    block(SIGUSR1, SIG_BLOCK);
    raise(SIGUSR1);
    CHECK_EQ(0, atomic_load(&guest_signal_count[SIGUSR1]));
    CHECK_ERR(EINTR, wait_with_mask(way, fds[0], NULL, &empty));
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGUSR1]));
    CHECK(is_blocked(SIGUSR1));
    block(SIGUSR1, SIG_UNBLOCK);
    guest_close_both(fds);
}

/* Ready fds win over the signal: the kernel looks at the fds first; the handler runs later. */
static void ready_fd_wins(enum way way)
{
    int fds[2];
    sigset_t empty;
    sigemptyset(&empty);
    guest_pipe(fds);
    guest_count_signal(SIGUSR1, 0);
    block(SIGUSR1, SIG_BLOCK);
    CHECK_EQ(1, write(fds[1], "x", 1));
    raise(SIGUSR1);
    CHECK_EQ(1, wait_with_mask(way, fds[0], NULL, &empty));
    CHECK_EQ(0, atomic_load(&guest_signal_count[SIGUSR1]));
    block(SIGUSR1, SIG_UNBLOCK);
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGUSR1]));
    guest_close_both(fds);
}

static void masked_signal_stays_pending(enum way way)
{
    int fds[2];
    sigset_t mask;
    const struct timespec short_time = { 0, 30000000 };
    guest_pipe(fds);
    guest_count_signal(SIGUSR1, 0);
    block(SIGUSR1, SIG_BLOCK);
    raise(SIGUSR1);
    block(SIGUSR1, SIG_BLOCK);
    sigfillset(&mask);
    CHECK_EQ(0, wait_with_mask(way, fds[0], &short_time, &mask));
    CHECK_EQ(0, wait_with_mask(way, fds[0], &short_time, NULL)); /* no mask: the thread's own */
    CHECK_EQ(0, atomic_load(&guest_signal_count[SIGUSR1]));
    block(SIGUSR1, SIG_UNBLOCK);
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGUSR1]));
    guest_close_both(fds);
}

struct sleeper {
    enum way way;
    int fd;
};

static void *sleep_with_empty_mask(void *argument)
{
    const struct sleeper *sleeper = argument;
    sigset_t empty;
    sigemptyset(&empty);
    block(SIGUSR1, SIG_BLOCK);
    CHECK_ERR(EINTR, wait_with_mask(sleeper->way, sleeper->fd, NULL, &empty));
    CHECK(is_blocked(SIGUSR1));
    return NULL;
}

static void arrives_while_asleep(enum way way)
{
    int fds[2];
    struct guest_thread thread;
    guest_pipe(fds);
    guest_count_signal(SIGUSR1, SA_RESTART);
    struct sleeper sleeper = { .way = way, .fd = fds[0] };
    guest_thread_start(&thread, sleep_with_empty_mask, &sleeper);
    guest_thread_blocked(&thread);
    CHECK_ZERO(pthread_kill(thread.pthread, SIGUSR1));
    guest_thread_join(&thread);
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGUSR1]));
    guest_close_both(fds);
}

static sigset_t mask_in_handler;

static void look_at_mask(int signo)
{
    (void)signo;
    pthread_sigmask(SIG_SETMASK, NULL, &mask_in_handler);
}

/* The handler runs under the call's mask plus its own signal, as if the call had set it. */
static void handler_sees_the_calls_mask(enum way way)
{
    int fds[2];
    sigset_t mask;
    guest_pipe(fds);
    guest_on_signal(SIGUSR1, look_at_mask, 0);
    block(SIGUSR1, SIG_BLOCK);
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    raise(SIGUSR1);
    CHECK_ERR(EINTR, wait_with_mask(way, fds[0], NULL, &mask));
    CHECK_EQ(1, sigismember(&mask_in_handler, SIGUSR1));
    CHECK_EQ(1, sigismember(&mask_in_handler, SIGUSR2));
    CHECK(!is_blocked(SIGUSR2));
    block(SIGUSR1, SIG_UNBLOCK);
    guest_close_both(fds);
}

static void bad_timespec(enum way way)
{
    int fds[2];
    const struct timespec bad[] = { { -1, 0 }, { 0, -1 }, { 0, 1000000000 } };
    guest_pipe(fds);
    for (int i = 0; i < 3; i++) {
        CHECK_ERR(EINVAL, wait_with_mask(way, fds[0], &bad[i], NULL));
    }
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    for (int way = 0; way < 2; way++) {
        pending_signal_is_delivered((enum way)way, 0);
        pending_signal_is_delivered((enum way)way, SA_RESTART);
        ready_fd_wins((enum way)way);
        masked_signal_stays_pending((enum way)way);
        arrives_while_asleep((enum way)way);
        handler_sees_the_calls_mask((enum way)way);
        bad_timespec((enum way)way);
    }
    return guest_end();
}
