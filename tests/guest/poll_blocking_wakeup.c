/*
 * Proves: a task that sleeps in poll, select, ppoll or pselect is woken by data, by space, by
 * shutdown and by the last close (also of a killed child), from a thread and from another process;
 * an event nobody asked for doesn't end the call; time-outs are kept.
 *
 * Rows: 2.6 "Wake-up rules", 2.6 (states), 3.6 (states), 6.2 "timeout<0 infinite",
 * 6.2 "timeval updated"
 */
#include "guest.h"

enum way { BY_POLL, BY_SELECT, BY_PPOLL, BY_PSELECT, WAYS };

struct sleeper {
    int fd;
    enum way way;
    bool for_write;
    int result;
};

static void *wait_for_it(void *argument)
{
    struct sleeper *sleeper = argument;
    struct pollfd entry = { .fd = sleeper->fd, .events = sleeper->for_write ? POLLOUT : POLLIN };
    fd_set set;
    FD_ZERO(&set);
    FD_SET(sleeper->fd, &set);
    fd_set *reads = sleeper->for_write ? NULL : &set, *writes = sleeper->for_write ? &set : NULL;
    struct timeval long_time = { 20, 0 };
    const struct timespec long_spec = { 20, 0 };
    switch (sleeper->way) {
    case BY_POLL: sleeper->result = poll(&entry, 1, -1); break;
    case BY_SELECT:
        sleeper->result = select(sleeper->fd + 1, reads, writes, NULL, &long_time);
        CHECK(long_time.tv_sec < 20); /* Linux leaves the rest of the time there */
        break;
    case BY_PPOLL: sleeper->result = ppoll(&entry, 1, &long_spec, NULL); break;
    default: sleeper->result = pselect(sleeper->fd + 1, reads, writes, NULL, NULL, NULL); break;
    }
    return NULL;
}

static void start(struct guest_thread *thread, struct sleeper *sleeper)
{
    guest_thread_start(thread, wait_for_it, sleeper);
    guest_thread_blocked(thread);
}

static void finish(struct guest_thread *thread, const struct sleeper *sleeper)
{
    guest_thread_join(thread);
    CHECK_EQ(1, sleeper->result);
}

static void make(int kind, int fds[2])
{
    if (kind == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(kind, fds);
    }
}

static void woken_by_data(int kind, enum way way, bool from_child)
{
    int fds[2];
    struct guest_thread thread;
    make(kind, fds);
    struct sleeper sleeper = { .fd = fds[0], .way = way };
    start(&thread, &sleeper);
    if (from_child) {
        pid_t pid = guest_fork();
        if (pid == 0) {
            CHECK_EQ(1, write(fds[1], "x", 1));
            _exit(0);
        }
        guest_wait_exit(pid, 0);
    } else {
        CHECK_EQ(1, write(fds[1], "x", 1));
    }
    finish(&thread, &sleeper);
    guest_close_both(fds);
}

static void woken_by_space(int kind, enum way way)
{
    int fds[2];
    char buffer[4096];
    struct guest_thread thread;
    make(kind, fds);
    if (kind == 0) {
        guest_pipe_fill(fds[1]);
    } else {
        guest_socket_fill(fds[1], 4096);
    }
    struct sleeper sleeper = { .fd = fds[1], .way = way, .for_write = true };
    start(&thread, &sleeper);
    CHECK_EQ(1000, read(fds[0], buffer, 1000));
    guest_thread_blocked(&thread); /* part of a slot or of the queue: no space yet */
    if (kind == 0) {
        CHECK_EQ(3096, read(fds[0], buffer, 3096));
    } else {
        while (recv(fds[0], buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
        }
    }
    finish(&thread, &sleeper);
    guest_close_both(fds);
}

static void woken_by_last_close(int kind, enum way way, int killed)
{
    int fds[2];
    struct guest_thread thread;
    make(kind, fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(fds[0]));
        for (;;) {
            pause();
        }
    }
    struct sleeper sleeper = { .fd = fds[0], .way = way };
    start(&thread, &sleeper);
    CHECK_OK(close(fds[1]));
    guest_thread_blocked(&thread);
    CHECK_OK(kill(pid, killed));
    finish(&thread, &sleeper);
    guest_wait_killed(pid, killed);
    CHECK_EQ(0, read(fds[0], &(char){ 0 }, 1));
    CHECK_OK(close(fds[0]));
}

static void reader_closes_on_polling_writer(void)
{
    int fds[2];
    struct guest_thread thread;
    guest_pipe(fds);
    guest_pipe_fill(fds[1]);
    struct sleeper sleeper = { .fd = fds[1], .way = BY_POLL, .for_write = true };
    start(&thread, &sleeper);
    CHECK_OK(close(fds[0]));
    finish(&thread, &sleeper);
    CHECK_OK(close(fds[1]));
}

static void shutdown_wakes(enum way way)
{
    int fds[2];
    struct guest_thread thread;
    for (int end = 0; end < 2; end++) {
        guest_pair(SOCK_STREAM, fds);
        struct sleeper sleeper = { .fd = fds[0], .way = way };
        start(&thread, &sleeper);
        CHECK_OK(shutdown(fds[end], end == 0 ? SHUT_RD : SHUT_WR));
        finish(&thread, &sleeper);
        guest_close_both(fds);
    }
}

static void unasked_event_does_not_wake(void)
{
    int fds[2];
    struct guest_thread thread;
    guest_pair(SOCK_STREAM, fds);
    guest_socket_fill(fds[0], 4096);
    struct sleeper sleeper = { .fd = fds[0], .way = BY_POLL, .for_write = true };
    start(&thread, &sleeper);
    CHECK_EQ(1, write(fds[1], "x", 1));
    guest_thread_blocked(&thread);
    CHECK_OK(close(fds[1]));
    finish(&thread, &sleeper);
    CHECK_OK(close(fds[0]));
}

static void timeouts_are_kept(void)
{
    int fds[2];
    struct pollfd entry = { .events = POLLIN, .revents = 7 };
    const struct timespec spec = { 0, 40000000 };
    struct timeval value = { 0, 40000 };
    fd_set set;
    guest_pipe(fds);
    entry.fd = fds[0];
    int64_t start = guest_now_ms();
    CHECK_EQ(0, poll(&entry, 1, 40));
    CHECK_EQ(0, entry.revents);
    CHECK_EQ(0, ppoll(&entry, 1, &spec, NULL));
    FD_ZERO(&set);
    FD_SET(fds[0], &set);
    CHECK_EQ(0, select(fds[0] + 1, &set, NULL, NULL, &value));
    CHECK_EQ(0, FD_ISSET(fds[0], &set));
    CHECK_EQ(0, value.tv_sec);
    CHECK_EQ(0, value.tv_usec);
    FD_SET(fds[0], &set);
    CHECK_EQ(0, pselect(fds[0] + 1, &set, NULL, NULL, &spec, NULL));
    CHECK(guest_now_ms() - start >= 4 * 40 - 1);
    CHECK(guest_now_ms() - start < 10000);
    guest_close_both(fds);
}

int main(void)
{
    static const int kinds[] = { 0, SOCK_STREAM, SOCK_SEQPACKET };
    guest_start();
    for (int way = 0; way < WAYS; way++) {
        for (int i = 0; i < 3; i++) {
            woken_by_data(kinds[i], (enum way)way, false);
            woken_by_data(kinds[i], (enum way)way, true);
            woken_by_space(kinds[i], (enum way)way);
            woken_by_last_close(kinds[i], (enum way)way, way == 0 ? SIGKILL : SIGTERM);
        }
        shutdown_wakes((enum way)way);
    }
    reader_closes_on_polling_writer();
    unasked_event_does_not_wake();
    timeouts_are_kept();
    return guest_end();
}
