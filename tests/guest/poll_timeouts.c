/*
 * Proves: time-outs of poll, ppoll, select, pselect and epoll_wait over emulated fds, alone and
 * mixed with real ones: never early by the nanosecond, late by no more than a timer is; 0 doesn't
 * wait, negative waits for ever, a huge one is no error; select stores the time that is left,
 * ppoll and pselect of libc leave their argument alone.
 *
 * Rows: 6.2 "timeout<0 infinite", 6.2 "timeval updated with the remaining time on return"
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "guest.h"

enum way { BY_POLL, BY_PPOLL, BY_SELECT, BY_PSELECT, BY_EPOLL_WAIT, WAYS };
enum { TRIES = 8, LATE_NS = 3000000 };

static int pipe_fds[2], pair_fds[2], event_fd, epoll_fd;

static int64_t now_ns(void)
{
    struct timespec now;
    CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &now));
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int wait_for(enum way way, int64_t ns, bool mixed)
{
    struct pollfd entries[] = { { .fd = pipe_fds[0], .events = POLLIN },
                                { .fd = pair_fds[0], .events = POLLIN },
                                { .fd = event_fd, .events = POLLIN } };
    struct timespec spec = { ns / 1000000000, ns % 1000000000 };
    struct timeval value = { ns / 1000000000, ns % 1000000000 / 1000 };
    struct epoll_event event;
    fd_set set;
    FD_ZERO(&set);
    for (int i = 0; i < 2 + mixed; i++) {
        FD_SET(entries[i].fd, &set);
    }
    switch (way) {
    case BY_POLL: return poll(entries, 2 + mixed, (int)(ns / 1000000));
    case BY_PPOLL: return ppoll(entries, 2 + mixed, &spec, NULL);
    case BY_SELECT: return select(FD_SETSIZE, &set, NULL, NULL, &value);
    case BY_PSELECT: return pselect(FD_SETSIZE, &set, NULL, NULL, &spec, NULL);
    default: return epoll_wait(epoll_fd, &event, 1, (int)(ns / 1000000));
    }
}

static int64_t granularity_ns(enum way way)
{
    return way == BY_POLL || way == BY_EPOLL_WAIT ? 1000000 : way == BY_SELECT ? 1000 : 1;
}

/* The best of some tries: what else the machine does makes single ones late, never early. */
static void exact(enum way way, int64_t ns, bool mixed)
{
    int64_t best = INT64_MAX;
    ns -= ns % granularity_ns(way);
    for (int i = 0; i < TRIES; i++) {
        int64_t start = now_ns();
        CHECK_EQ(0, wait_for(way, ns, mixed));
        int64_t late = now_ns() - start - ns;
        if (late < 0) {
            guest_fail(__FILE__, __LINE__, "time-out", "way %d: %lld ns early", way,
                       (long long)-late);
        }
        best = late < best ? late : best;
    }
    if (best > LATE_NS) {
        guest_fail(__FILE__, __LINE__, "time-out", "way %d, %lld ns: late by %lld ns at best", way,
                   (long long)ns, (long long)best);
    }
}

static void *write_when_blocked(void *argument)
{
    const pid_t tid = *(pid_t *)argument;
    guest_wait_blocked(getpid(), tid);
    CHECK_EQ(1, write(pipe_fds[1], "x", 1));
    return NULL;
}

/* Waits for ever, or nearly, until another thread writes. */
static void woken(int way, int milliseconds, struct timespec *spec, struct timeval *value)
{
    struct guest_thread thread;
    struct pollfd entry = { .fd = pipe_fds[0], .events = POLLIN };
    struct epoll_event event;
    pid_t tid = guest_gettid();
    char byte;
    fd_set set;
    FD_ZERO(&set);
    FD_SET(pipe_fds[0], &set);
    guest_thread_start(&thread, write_when_blocked, &tid);
    switch (way) {
    case BY_POLL: CHECK_EQ(1, poll(&entry, 1, milliseconds)); break;
    case BY_PPOLL: CHECK_EQ(1, ppoll(&entry, 1, spec, NULL)); break;
    case BY_SELECT: CHECK_EQ(1, select(pipe_fds[0] + 1, &set, NULL, NULL, value)); break;
    case BY_PSELECT: CHECK_EQ(1, pselect(pipe_fds[0] + 1, &set, NULL, NULL, spec, NULL)); break;
    default: CHECK_EQ(1, epoll_wait(epoll_fd, &event, 1, milliseconds)); break;
    }
    guest_thread_join(&thread);
    CHECK_EQ(1, read(pipe_fds[0], &byte, 1));
}

static void for_ever_and_huge(void)
{
    struct timespec huge = { INT64_MAX, 999999999 };
    struct timeval huge_value = { INT64_MAX / 2, 999999 };
    woken(BY_POLL, -1, NULL, NULL);
    woken(BY_POLL, INT_MIN, NULL, NULL);
    woken(BY_POLL, INT_MAX, NULL, NULL);
    woken(BY_PPOLL, 0, NULL, NULL);
    woken(BY_PPOLL, 0, &huge, NULL);
    CHECK_EQ(INT64_MAX, huge.tv_sec);
    woken(BY_SELECT, 0, NULL, NULL);
    woken(BY_SELECT, 0, NULL, &huge_value);
    woken(BY_PSELECT, 0, NULL, NULL);
    woken(BY_PSELECT, 0, &huge, NULL);
    woken(BY_EPOLL_WAIT, -1, NULL, NULL);
    woken(BY_EPOLL_WAIT, INT_MAX, NULL, NULL);
}

/* What select leaves is never more than what the caller sees has passed. */
static void select_stores_the_rest(void)
{
    const int64_t given = 20000000000;
    struct timeval value = { 20, 0 };
    int64_t start = now_ns();
    woken(BY_SELECT, 0, NULL, &value);
    int64_t passed = now_ns() - start;
    int64_t left = (int64_t)value.tv_sec * 1000000000 + (int64_t)value.tv_usec * 1000;
    CHECK(left < given);
    CHECK(left >= given - passed - 1000);
    value = (struct timeval){ 0, 5000 };
    fd_set set;
    FD_ZERO(&set);
    FD_SET(pipe_fds[0], &set);
    CHECK_EQ(0, select(pipe_fds[0] + 1, &set, NULL, NULL, &value));
    CHECK_EQ(0, value.tv_sec);
    CHECK_EQ(0, value.tv_usec);
    CHECK(!FD_ISSET(pipe_fds[0], &set));
}

/* libc hides the time that the system call stores. */
static void others_leave_it(void)
{
    struct pollfd entry = { .fd = pipe_fds[0], .events = POLLIN };
    struct timespec spec = { 20, 5 };
    woken(BY_PPOLL, 0, &spec, NULL);
    CHECK(spec.tv_sec == 20 && spec.tv_nsec == 5);
    woken(BY_PSELECT, 0, &spec, NULL);
    CHECK(spec.tv_sec == 20 && spec.tv_nsec == 5);
    spec = (struct timespec){ 0, 2000000 };
    CHECK_EQ(0, ppoll(&entry, 1, &spec, NULL));
    CHECK(spec.tv_sec == 0 && spec.tv_nsec == 2000000);
}

int main(void)
{
    struct epoll_event event = { .events = EPOLLIN };
    guest_start();
    guest_pipe(pipe_fds);
    guest_pair(SOCK_STREAM, pair_fds);
    event_fd = (int)CHECK_OK(eventfd(0, EFD_CLOEXEC));
    epoll_fd = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    CHECK_OK(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pipe_fds[0], &event));
    for (int way = 0; way < WAYS; way++) {
        for (int mixed = 0; mixed < 2; mixed++) {
            exact((enum way)way, 0, mixed);
            exact((enum way)way, 150000, mixed);
            exact((enum way)way, 1000000, mixed);
            exact((enum way)way, 13000123, mixed);
        }
    }
    for_ever_and_huge();
    select_stores_the_rest();
    others_leave_it();
    CHECK_OK(close(epoll_fd));
    CHECK_OK(close(event_fd));
    guest_close_both(pair_fds);
    guest_close_both(pipe_fds);
    return guest_end();
}
