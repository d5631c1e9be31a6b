/*
 * Proves: the self-pipe trick: a handler writes into a pipe (or socketpair) that the main loop
 * polls, reads or itself writes; under a storm of signals the handler's writes are neither lost nor
 * torn, a full pipe gives EAGAIN in the handler, errno survives.
 *
 * Rows: 5.5 "pipe read/write", 5.5 "poll, ppoll, select, pselect, epoll_wait", 2.2 "full pipe"
 */
#include "guest.h"

enum { ROUNDS = 50, STORM = 2000, AT_MOST_MS = 1000 };

static int handler_fd;
static atomic_int handler_writes, handler_refused;

static void write_from_handler(int signo)
{
    int error = errno;
    (void)signo;
    ssize_t count = write(handler_fd, "h", 1);
    if (count == 1) {
        atomic_fetch_add(&handler_writes, 1);
    } else if (count == -1 && errno == EAGAIN) {
        atomic_fetch_add(&handler_refused, 1);
    } else {
        guest_fail(__FILE__, __LINE__, "write in handler", "got %zd, errno %d", count, errno);
    }
    errno = error;
}

static void open_channel(int type, int fds[2])
{
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
    handler_fd = fds[1];
    atomic_store(&handler_writes, 0);
    atomic_store(&handler_refused, 0);
}

struct killer {
    pthread_t target;
    pid_t tid;
    int rounds;
};

static void *signal_when_blocked(void *argument)
{
    const struct killer *killer = argument;
    for (int i = 0; i < killer->rounds; i++) {
        guest_wait_blocked(getpid(), killer->tid);
        int before = atomic_load(&handler_writes);
        CHECK_ZERO(pthread_kill(killer->target, SIGUSR1));
        while (atomic_load(&handler_writes) == before) {
            sched_yield();
        }
    }
    return NULL;
}

/* The handler's own byte is what the interrupted read (SA_RESTART) or the poll was waiting for. */
static void woken_by_own_handler(int type, bool with_poll)
{
    int fds[2];
    char byte;
    struct guest_thread thread;
    open_channel(type, fds);
    guest_on_signal(SIGUSR1, write_from_handler, SA_RESTART);
    struct killer killer = { pthread_self(), guest_gettid(), ROUNDS / 5 };
    guest_thread_start(&thread, signal_when_blocked, &killer);
    for (int i = 0; i < killer.rounds; i++) {
        if (with_poll) {
            struct pollfd entry = { .fd = fds[0], .events = POLLIN };
            while (poll(&entry, 1, 20000) != 1) {
                CHECK_EQ(EINTR, errno);
            }
            CHECK_EQ(POLLIN, entry.revents);
        }
        CHECK_EQ(1, read(fds[0], &byte, 1));
        CHECK_EQ('h', byte);
    }
    guest_thread_join(&thread);
    guest_close_both(fds);
}

static void *signal_storm(void *argument)
{
    const struct killer *killer = argument;
    int64_t end = guest_now_ms() + AT_MOST_MS; /* a busy machine takes a time slice a round */
    for (int i = 0; i < killer->rounds && guest_now_ms() < end; i++) {
        CHECK_ZERO(pthread_kill(killer->target, SIGUSR1));
        sched_yield();
    }
    return NULL;
}

/* Main writes and reads on the very pipe the handler writes to. */
static void storm_on_the_same_pipe(int type)
{
    int fds[2];
    char buffer[64];
    long own = 0, from_handler = 0;
    struct guest_thread thread;
    open_channel(type, fds);
    guest_set_nonblock(fds[1], true);
    guest_on_signal(SIGUSR1, write_from_handler, SA_RESTART);
    struct killer killer = { pthread_self(), 0, STORM };
    guest_thread_start(&thread, signal_storm, &killer);
    long written = 0;
    while (!atomic_load(&thread.done)) {
        if (write(fds[1], "mm", 2) == 2) {
            written += 2;
        } else {
            CHECK_EQ(EAGAIN, errno); /* the handler ran often enough to fill it */
        }
        ssize_t count = CHECK_OK(read(fds[0], buffer, sizeof buffer));
        for (ssize_t i = 0; i < count; i++) {
            own += buffer[i] == 'm';
            from_handler += buffer[i] == 'h';
        }
    }
    guest_thread_join(&thread);
    CHECK_OK(close(fds[1]));
    ssize_t count;
    while ((count = CHECK_OK(read(fds[0], buffer, sizeof buffer))) > 0) {
        for (ssize_t i = 0; i < count; i++) {
            own += buffer[i] == 'm';
            from_handler += buffer[i] == 'h';
        }
    }
    CHECK_EQ(written, own);
    CHECK_EQ(atomic_load(&handler_writes), from_handler);
    CHECK_OK(close(fds[0]));
}

static void full_pipe_refuses(void)
{
    int fds[2];
    static char buffer[GUEST_PIPE_SIZE];
    open_channel(0, fds);
    guest_set_nonblock(fds[1], true);
    guest_pipe_fill(fds[1]);
    guest_on_signal(SIGUSR1, write_from_handler, 0);
    errno = 77;
    raise(SIGUSR1);
    CHECK_EQ(77, errno);
    CHECK_EQ(1, atomic_load(&handler_refused));
    CHECK_EQ(GUEST_PIPE_SIZE, read(fds[0], buffer, sizeof buffer));
    raise(SIGUSR1);
    CHECK_EQ(1, atomic_load(&handler_writes));
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    for (int with_poll = 0; with_poll < 2; with_poll++) {
        woken_by_own_handler(0, with_poll);
        woken_by_own_handler(SOCK_STREAM, with_poll);
    }
    storm_on_the_same_pipe(0);
    storm_on_the_same_pipe(SOCK_STREAM);
    full_pipe_refuses();
    return guest_end();
}
