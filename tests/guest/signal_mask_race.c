/*
 * Proves: the masks of ppoll, pselect and epoll_pwait are put on together with the wait, and taken
 * off with it: the classic loop (signal blocked, look at the flag, wait with the signal open) never
 * misses one of thousands of signals and never sleeps on one, whenever it comes; the handler runs
 * only inside the wait.
 *
 * Rows: 5.5 "poll, ppoll, select, pselect, epoll_wait"
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "guest.h"

enum way { BY_PPOLL, BY_PSELECT, BY_EPOLL_PWAIT, WAYS };
enum { SIGNALS = 2000, AT_MOST_MS = 150 };

static atomic_int handled, waiting, outside;

static void handle(int signo)
{
    (void)signo;
    if (!atomic_load(&waiting)) {
        atomic_fetch_add(&outside, 1);
    }
    atomic_fetch_add(&handled, 1);
}

/* Each signal is sent when the one before was seen by the main loop, at no special time. */
static atomic_int seen, enough;

static void *send_signals(void *argument)
{
    pthread_t target = *(pthread_t *)argument;
    for (int i = 0; i < SIGNALS; i++) {
        while (atomic_load(&seen) < i && !atomic_load(&enough)) {
            sched_yield();
        }
        if (atomic_load(&enough)) {
            break;
        }
        for (volatile int delay = 0; delay < i % 64 * 40; delay++) {
        }
        CHECK_ZERO(pthread_kill(target, SIGUSR1));
    }
    return NULL;
}

struct wait {
    enum way way;
    int fd, event_fd, epoll_fd;
    bool mixed;
};

static int wait_open(const struct wait *wait, const sigset_t *open_mask)
{
    struct pollfd entries[] = { { .fd = wait->fd, .events = POLLIN },
                                { .fd = wait->event_fd, .events = POLLIN } };
    struct epoll_event event;
    fd_set set;
    FD_ZERO(&set);
    FD_SET(wait->fd, &set);
    if (wait->mixed) {
        FD_SET(wait->event_fd, &set);
    }
    switch (wait->way) {
    case BY_PPOLL: return ppoll(entries, 1 + wait->mixed, NULL, open_mask);
    case BY_PSELECT: return pselect(FD_SETSIZE, &set, NULL, NULL, NULL, open_mask);
    default: return epoll_pwait(wait->epoll_fd, &event, 1, -1, open_mask);
    }
}

static void never_misses(int type, enum way way, bool mixed)
{
    int fds[2];
    sigset_t blocked, open_mask;
    struct guest_thread sender;
    struct epoll_event event = { .events = EPOLLIN };
    pthread_t self = pthread_self();
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
    struct wait wait = { .way = way, .fd = fds[0], .mixed = mixed };
    wait.event_fd = (int)CHECK_OK(eventfd(0, EFD_CLOEXEC));
    wait.epoll_fd = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    CHECK_OK(epoll_ctl(wait.epoll_fd, EPOLL_CTL_ADD, fds[0], &event));
    if (mixed) {
        CHECK_OK(epoll_ctl(wait.epoll_fd, EPOLL_CTL_ADD, wait.event_fd, &event));
    }
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    CHECK_ZERO(pthread_sigmask(SIG_BLOCK, &blocked, &open_mask));
    atomic_store(&handled, 0);
    atomic_store(&seen, 0);
    atomic_store(&outside, 0);
    atomic_store(&enough, 0);
    guest_thread_start(&sender, send_signals, &self);
    int64_t end = guest_now_ms() + AT_MOST_MS; /* a busy machine takes a time slice a signal */
    for (int i = 1; i <= SIGNALS && guest_now_ms() < end; i++) {
        while (atomic_load(&handled) < i) {
            atomic_store(&waiting, 1);
            CHECK_ERR(EINTR, wait_open(&wait, &open_mask));
            atomic_store(&waiting, 0);
        }
        CHECK_EQ(i, atomic_load(&handled));
        atomic_store(&seen, i);
    }
    atomic_store(&enough, 1);
    guest_thread_join(&sender);
    CHECK_EQ(0, atomic_load(&outside)); /* one may be pending still */
    CHECK_ZERO(pthread_sigmask(SIG_SETMASK, &open_mask, NULL));
    CHECK_OK(close(wait.epoll_fd));
    CHECK_OK(close(wait.event_fd));
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    guest_on_signal(SIGUSR1, handle, SA_RESTART);
    for (int way = 0; way < WAYS; way++) {
        never_misses(0, (enum way)way, false);
        never_misses(SOCK_STREAM, (enum way)way, false);
        never_misses(0, (enum way)way, true);
    }
    return guest_end();
}
