/*
 * Proves: epoll_pwait and epoll_pwait2 put their mask on together with the wait: a signal pending
 * meanwhile is delivered then and gives EINTR; ready entries and a time-out of 0 win over it and
 * leave it pending; the thread's mask is back afterwards. epoll_wait answers EINTR despite
 * SA_RESTART, also after a handler that made an entry ready.
 *
 * Rows: 5.5 "poll, ppoll, select, pselect, epoll_wait", 6.3 "epoll_pwait2 bad timespec, epoll_pwait
 * sigsetsize != 8", 6.4 "epoll_pwait: events and a zero timeout win over a pending signal"
 */
#include <sys/epoll.h>

#include "guest.h"

enum way { BY_PWAIT, BY_PWAIT2, WAYS };
enum { NS_PER_MS = 1000000 };

static int fds[2], epoll;

static void open_set(int type)
{
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
    epoll = (int)CHECK_OK(epoll_create1(0));
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fds[0] };
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event));
}

static void close_set(void)
{
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

static int wait_with_mask(enum way way, int timeout_ms, const sigset_t *mask)
{
    struct epoll_event event;
    const struct timespec time = { 0, (long)timeout_ms * NS_PER_MS };
    return way == BY_PWAIT ? epoll_pwait(epoll, &event, 1, timeout_ms, mask)
                           : epoll_pwait2(epoll, &event, 1, timeout_ms < 0 ? NULL : &time, mask);
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

static int handled(void)
{
    return atomic_load(&guest_signal_count[SIGUSR1]);
}

static void pending_signal_is_delivered(enum way way, int flags)
{
    sigset_t empty;
    sigemptyset(&empty);
    guest_count_signal(SIGUSR1, flags);
    block(SIGUSR1, SIG_BLOCK);
    raise(SIGUSR1);
    CHECK_EQ(0, handled());
    CHECK_ERR(EINTR, wait_with_mask(way, -1, &empty));
    CHECK_EQ(1, handled());
    CHECK(is_blocked(SIGUSR1));
    block(SIGUSR1, SIG_UNBLOCK);
}

/* Events, and a time of 0, are looked at before the signal; the handler runs later. */
static void signal_comes_last(enum way way)
{
    sigset_t empty;
    char byte;
    sigemptyset(&empty);
    guest_count_signal(SIGUSR1, 0);
    block(SIGUSR1, SIG_BLOCK);
    raise(SIGUSR1);
    CHECK_EQ(0, wait_with_mask(way, 0, &empty));
    CHECK_EQ(0, handled());
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(1, wait_with_mask(way, -1, &empty));
    CHECK_EQ(0, handled());
    CHECK(is_blocked(SIGUSR1));
    block(SIGUSR1, SIG_UNBLOCK);
    CHECK_EQ(1, handled());
    CHECK_EQ(1, read(fds[0], &byte, 1));
}

static void masked_signal_stays_pending(enum way way)
{
    sigset_t mask;
    guest_count_signal(SIGUSR1, 0);
    block(SIGUSR1, SIG_BLOCK);
    raise(SIGUSR1);
    sigfillset(&mask);
    CHECK_EQ(0, wait_with_mask(way, 30, &mask));
    CHECK_EQ(0, wait_with_mask(way, 30, NULL)); /* no mask: the thread's own */
    CHECK_EQ(0, handled());
    block(SIGUSR1, SIG_UNBLOCK);
    CHECK_EQ(1, handled());
}

static void *sleep_with_empty_mask(void *argument)
{
    sigset_t empty;
    sigemptyset(&empty);
    block(SIGUSR1, SIG_BLOCK);
    CHECK_ERR(EINTR, wait_with_mask(*(enum way *)argument, -1, &empty));
    CHECK(is_blocked(SIGUSR1));
    return NULL;
}

static void arrives_while_asleep(enum way way)
{
    struct guest_thread thread;
    guest_count_signal(SIGUSR1, SA_RESTART);
    guest_thread_start(&thread, sleep_with_empty_mask, &way);
    guest_thread_blocked(&thread);
    CHECK_ZERO(pthread_kill(thread.pthread, SIGUSR1));
    guest_thread_join(&thread);
    CHECK_EQ(1, handled());
}

/* A signal that the mask blocks doesn't even disturb the sleeper. */
static void *sleep_with_full_mask(void *argument)
{
    sigset_t mask;
    sigfillset(&mask);
    CHECK_EQ(1, wait_with_mask(*(enum way *)argument, -1, &mask));
    CHECK_EQ(1, handled()); /* delivered as soon as the own mask was back */
    CHECK(!is_blocked(SIGUSR1));
    return NULL;
}

static void blocked_while_asleep(enum way way)
{
    struct guest_thread thread;
    char byte;
    guest_count_signal(SIGUSR1, 0);
    guest_thread_start(&thread, sleep_with_full_mask, &way);
    guest_thread_blocked(&thread);
    CHECK_ZERO(pthread_kill(thread.pthread, SIGUSR1));
    guest_thread_blocked(&thread);
    CHECK_EQ(0, handled());
    CHECK_EQ(1, write(fds[1], "x", 1));
    guest_thread_join(&thread);
    CHECK_EQ(1, read(fds[0], &byte, 1));
}

static void *plain_wait(void *argument)
{
    struct epoll_event event;
    CHECK_ERR(EINTR, epoll_wait(epoll, &event, 1, *(int *)argument));
    CHECK_EQ(1, handled());
    return NULL;
}

static void interrupted(int flags, int timeout_ms)
{
    struct guest_thread thread;
    guest_count_signal(SIGUSR1, flags);
    guest_thread_start(&thread, plain_wait, &timeout_ms);
    guest_thread_blocked(&thread);
    CHECK_ZERO(pthread_kill(thread.pthread, SIGUSR1));
    guest_thread_join(&thread);
}

/* The self-pipe: what the handler writes is there for the wait after the EINTR. */
static void write_in_handler(int signo)
{
    int error = errno;
    guest_count_handler(signo);
    if (write(fds[1], "s", 1) != 1) {
        _exit(1);
    }
    errno = error;
}

static void *wait_again(void *argument)
{
    struct epoll_event event;
    char byte;
    (void)argument;
    int count = epoll_wait(epoll, &event, 1, -1);
    if (count == -1) { /* woken by the byte and by the signal at once: the kernel may say either */
        CHECK_EQ(EINTR, errno);
        count = epoll_wait(epoll, &event, 1, -1);
    }
    CHECK_EQ(1, count);
    CHECK_EQ(1, read(fds[0], &byte, 1));
    return NULL;
}

static void self_pipe(void)
{
    struct guest_thread thread;
    atomic_store(&guest_signal_count[SIGUSR1], 0);
    guest_on_signal(SIGUSR1, write_in_handler, SA_RESTART);
    for (int i = 1; i <= 20; i++) {
        guest_thread_start(&thread, wait_again, NULL);
        guest_thread_blocked(&thread);
        CHECK_ZERO(pthread_kill(thread.pthread, SIGUSR1));
        guest_thread_join(&thread);
        CHECK_EQ(i, handled());
    }
}

int main(void)
{
    guest_start();
    const int types[] = { 0, SOCK_STREAM, SOCK_SEQPACKET };
    for (int i = 0; i < 3; i++) {
        open_set(types[i]);
        for (int way = 0; way < WAYS; way++) {
            pending_signal_is_delivered((enum way)way, 0);
            pending_signal_is_delivered((enum way)way, SA_RESTART);
            signal_comes_last((enum way)way);
            masked_signal_stays_pending((enum way)way);
            arrives_while_asleep((enum way)way);
            blocked_while_asleep((enum way)way);
        }
        interrupted(0, -1);
        interrupted(SA_RESTART, -1);
        interrupted(SA_RESTART, 20000);
        self_pipe();
        close_set();
    }
    return guest_end();
}
