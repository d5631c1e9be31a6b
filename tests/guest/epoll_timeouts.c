/*
 * Proves: time-outs of epoll_wait (milliseconds), epoll_pwait and epoll_pwait2 (nanoseconds): 0
 * never blocks, negative and NULL wait for ever, no wait ends early, a wake-up that brings nothing
 * doesn't start the time anew, huge values don't overflow; with an empty set, with pipes, with
 * pairs.
 *
 * Rows: 6.4 "epoll_wait timeout rounding"
 */
#include <sys/epoll.h>

#include "guest.h"

enum way { BY_WAIT, BY_PWAIT, BY_PWAIT2, WAYS };
enum { NS_PER_MS = 1000000 };

static int set_of(int fd, uint32_t events)
{
    int epoll = (int)CHECK_OK(epoll_create1(0));
    struct epoll_event event = { .events = events, .data.fd = fd };
    if (fd >= 0) {
        CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
    }
    return epoll;
}

/* timeout_ns < 0: for ever. */
static int wait_for(enum way way, int epoll, int64_t timeout_ns)
{
    struct epoll_event event;
    const struct timespec time = { timeout_ns / 1000000000, timeout_ns % 1000000000 };
    const int ms = timeout_ns < 0 ? -1 : (int)(timeout_ns / NS_PER_MS);
    switch (way) {
    case BY_WAIT: return epoll_wait(epoll, &event, 1, ms);
    case BY_PWAIT: return epoll_pwait(epoll, &event, 1, ms, NULL);
    default: return epoll_pwait2(epoll, &event, 1, timeout_ns < 0 ? NULL : &time, NULL);
    }
}

static int64_t now_ns(void)
{
    struct timespec now;
    CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &now));
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Returns how long the wait, which times out, took. */
static int64_t time_out(enum way way, int epoll, int64_t timeout_ns)
{
    int64_t start = now_ns();
    CHECK_EQ(0, wait_for(way, epoll, timeout_ns));
    return now_ns() - start;
}

static void never_early(int fd)
{
    int epoll = set_of(fd, EPOLLIN);
    for (int way = 0; way < WAYS; way++) {
        for (int ms = 1; ms <= 30; ms += 7) {
            CHECK(time_out((enum way)way, epoll, (int64_t)ms * NS_PER_MS) >= ms * NS_PER_MS);
        }
        for (int i = 0; i < 100; i++) {
            CHECK_EQ(0, wait_for((enum way)way, epoll, 0));
        }
    }
    CHECK_OK(close(epoll));
}

/* Fractions of a millisecond are neither dropped nor rounded up to a whole one. */
static void nanoseconds(int fd)
{
    const int64_t times_ns[] = { 1, 999, 100000, 300001, 1500000 };
    int epoll = set_of(fd, EPOLLIN);
    for (size_t i = 0; i < sizeof times_ns / sizeof *times_ns; i++) {
        int64_t shortest_ns = INT64_MAX;
        for (int round = 0; round < 50; round++) {
            int64_t took_ns = time_out(BY_PWAIT2, epoll, times_ns[i]);
            CHECK(took_ns >= times_ns[i]);
            shortest_ns = took_ns < shortest_ns ? took_ns : shortest_ns;
        }
        CHECK(shortest_ns < times_ns[i] + 400000); /* 50 us are the thread's timer slack */
    }
    CHECK_OK(close(epoll));
}

/* A ready set doesn't wait, whatever the time. */
static void ready_at_once(const int fds[2])
{
    char byte;
    int epoll = set_of(fds[0], EPOLLIN);
    CHECK_EQ(1, write(fds[1], "x", 1));
    for (int way = 0; way < WAYS; way++) {
        CHECK_EQ(1, wait_for((enum way)way, epoll, -1));
        CHECK_EQ(1, wait_for((enum way)way, epoll, 0));
        CHECK_EQ(1, wait_for((enum way)way, epoll, (int64_t)3600000 * NS_PER_MS));
    }
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_OK(close(epoll));
}

struct sleeper {
    int epoll, form;
};

/* All that means "for ever" or nearly so. */
enum { FORMS = 6 };
static void *sleep_long(void *argument)
{
    const struct sleeper *sleeper = argument;
    const struct timespec years = { INT64_MAX, 999999999 }, age = { INT64_MAX / 1000000000, 0 };
    struct epoll_event event;
    switch (sleeper->form) {
    case 0: CHECK_EQ(1, epoll_wait(sleeper->epoll, &event, 1, -1)); break;
    case 1: CHECK_EQ(1, epoll_wait(sleeper->epoll, &event, 1, INT_MIN)); break;
    case 2: CHECK_EQ(1, epoll_wait(sleeper->epoll, &event, 1, INT_MAX)); break;
    case 3: CHECK_EQ(1, epoll_pwait2(sleeper->epoll, &event, 1, NULL, NULL)); break;
    case 4: CHECK_EQ(1, epoll_pwait2(sleeper->epoll, &event, 1, &years, NULL)); break;
    default: CHECK_EQ(1, epoll_pwait2(sleeper->epoll, &event, 1, &age, NULL));
    }
    return NULL;
}

static void for_ever(const int fds[2])
{
    char byte;
    struct guest_thread thread;
    struct sleeper sleeper = { .epoll = set_of(fds[0], EPOLLIN) };
    for (sleeper.form = 0; sleeper.form < FORMS; sleeper.form++) {
        guest_thread_start(&thread, sleep_long, &sleeper);
        guest_thread_blocked(&thread);
        CHECK_EQ(1, write(fds[1], "x", 1));
        guest_thread_join(&thread);
        CHECK_EQ(1, read(fds[0], &byte, 1));
    }
    CHECK_OK(close(sleeper.epoll));
}

static void *time_out_in_thread(void *argument)
{
    const struct sleeper *sleeper = argument;
    CHECK(time_out((enum way)sleeper->form, sleeper->epoll, 60 * NS_PER_MS) >= 60 * NS_PER_MS);
    return NULL;
}

/* Wake-ups without a key that bring nothing, on and on: the time ends all the same. */
static void disturbed(const int fds[2])
{
    struct guest_thread thread;
    struct sleeper sleeper = { .epoll = set_of(fds[0], EPOLLPRI | EPOLLET) };
    for (sleeper.form = 0; sleeper.form < WAYS; sleeper.form++) {
        guest_thread_start(&thread, time_out_in_thread, &sleeper);
        while (!atomic_load(&thread.done)) { /* bounded by the deadline */
            CHECK_OK(shutdown(fds[0], SHUT_WR));
            sched_yield();
        }
        guest_thread_join(&thread);
    }
    CHECK_OK(close(sleeper.epoll));
}

int main(void)
{
    guest_start();
    const int types[] = { 0, SOCK_STREAM, SOCK_SEQPACKET };
    never_early(-1);
    for (int i = 0; i < 3; i++) {
        int fds[2];
        if (types[i] == 0) {
            guest_pipe(fds);
        } else {
            guest_pair(types[i], fds);
        }
        never_early(fds[0]);
        nanoseconds(fds[0]);
        ready_at_once(fds);
        for_ever(fds);
        if (types[i] != 0) {
            disturbed(fds);
        }
        guest_close_both(fds);
    }
    return guest_end();
}
