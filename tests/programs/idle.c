/*
 * idle.c - one waiter of idle.sh: `idle KIND REAL EMULATED REPORT`
 *
 * Waits with the call named by KIND, without end, on two descriptors: REAL (an eventfd or timerfd)
 * and EMULATED (an end of a pipe or socket pair). What has become ready is consumed, and said on
 * REPORT with the time: "e NANOSECONDS" or "r NANOSECONDS". "?" there says that it's about to wait.
 * EINTR (a tracer attached) is taken as nothing. Ends with the last holder of EMULATED's peer.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

static int real, emulated, report;
static bool writes; /* EMULATED is waited on for room */

static void check(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s: errno %d\n", what, errno);
        exit(1);
    }
}

static void say(char which)
{
    struct timespec now;
    char line[40];

    clock_gettime(CLOCK_MONOTONIC, &now);
    int size = snprintf(line, sizeof line, "%c %lld\n", which,
                        (long long)now.tv_sec * 1000000000 + now.tv_nsec);
    check(write(report, line, (size_t)size) == size, "report");
}

static void consume_real(void)
{
    uint64_t count;

    /* Another thread may have been faster. */
    if (read(real, &count, sizeof count) == sizeof count)
        say('r');
}

static void consume_emulated(void)
{
    static const char block[4096];
    char bytes[4096];
    ssize_t size = writes ? write(emulated, block, sizeof block)
                          : read(emulated, bytes, sizeof bytes);

    if (size == 0)
        exit(0);
    if (size > 0)
        say('e');
}

static void wait_poll(int timeout_ms, bool with_mask)
{
    struct pollfd fds[] = {
        { .fd = real, .events = POLLIN },
        { .fd = emulated, .events = writes ? POLLOUT : POLLIN },
    };
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    if ((with_mask ? ppoll(fds, 2, NULL, &mask) : poll(fds, 2, timeout_ms)) <= 0)
        return;
    if (fds[0].revents != 0)
        consume_real();
    if (fds[1].revents != 0)
        consume_emulated();
}

static void wait_select(bool with_mask)
{
    const struct timespec long_time = { .tv_sec = 1000 };
    fd_set readable;
    sigset_t mask;

    FD_ZERO(&readable);
    FD_SET(real, &readable);
    FD_SET(emulated, &readable);
    sigemptyset(&mask);
    int count = (real > emulated ? real : emulated) + 1;
    if ((with_mask ? pselect(count, &readable, NULL, NULL, &long_time, &mask)
                   : select(count, &readable, NULL, NULL, NULL)) <= 0)
        return;
    if (FD_ISSET(real, &readable))
        consume_real();
    if (FD_ISSET(emulated, &readable))
        consume_emulated();
}

static int make_set(uint32_t flags)
{
    int set = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event wanted = { .events = EPOLLIN | flags, .data.fd = real };

    check(set >= 0 && epoll_ctl(set, EPOLL_CTL_ADD, real, &wanted) == 0, "epoll_ctl");
    wanted.data.fd = emulated;
    check(epoll_ctl(set, EPOLL_CTL_ADD, emulated, &wanted) == 0, "epoll_ctl");
    return set;
}

static void wait_epoll(int set, int timeout_ms)
{
    struct epoll_event events[4];
    int count = epoll_wait(set, events, 4, timeout_ms);

    for (int i = 0; i < count; i++) {
        if (events[i].data.fd == real)
            consume_real();
        else
            consume_emulated();
    }
}

/* The set of both is itself waited on by poll. */
static void wait_nested(int set)
{
    struct pollfd outer = { .fd = set, .events = POLLIN };

    if (poll(&outer, 1, -1) > 0)
        wait_epoll(set, 0);
}

static void *wait_in_thread(void *set)
{
    for (;;)
        wait_epoll(*(int *)set, -1);
    return NULL;
}

static void uv_ready(uv_poll_t *poll, int status, int events)
{
    check(status == 0 && events == UV_READABLE, "uv_poll");
    if (poll->data == &real)
        consume_real();
    else
        consume_emulated();
}

static void run_libuv(void)
{
    uv_poll_t polls[2];
    uv_loop_t loop;

    check(uv_loop_init(&loop) == 0, "uv_loop_init");
    check(uv_poll_init(&loop, &polls[0], real) == 0, "uv_poll_init");
    check(uv_poll_init(&loop, &polls[1], emulated) == 0, "uv_poll_init");
    polls[0].data = &real, polls[1].data = &emulated;
    for (int i = 0; i < 2; i++)
        check(uv_poll_start(&polls[i], UV_READABLE, uv_ready) == 0, "uv_poll_start");
    say('?');
    uv_run(&loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    check(argc == 5, "usage: idle KIND REAL EMULATED REPORT");
    const char *kind = argv[1];
    real = atoi(argv[2]), emulated = atoi(argv[3]), report = atoi(argv[4]);
    writes = strcmp(kind, "poll-room") == 0;
    check(fcntl(real, F_SETFL, O_NONBLOCK) == 0 && fcntl(emulated, F_SETFL, O_NONBLOCK) == 0,
          "O_NONBLOCK");
    if (strcmp(kind, "libuv") == 0)
        run_libuv();
    bool epoll = strncmp(kind, "epoll", 5) == 0;
    int set = epoll ? make_set(strcmp(kind, "epoll-edge") == 0 ? EPOLLET : 0) : -1;
    pthread_t thread;
    if (strcmp(kind, "epoll-threads") == 0)
        check(pthread_create(&thread, NULL, wait_in_thread, &set) == 0, "pthread_create");
    say('?');
    for (;;) {
        if (strcmp(kind, "epoll-nested") == 0)
            wait_nested(set);
        else if (epoll)
            wait_epoll(set, -1);
        else if (strncmp(kind, "poll", 4) == 0)
            wait_poll(strcmp(kind, "poll-time") == 0 ? 1000000 : -1, false);
        else if (strcmp(kind, "ppoll") == 0)
            wait_poll(-1, true);
        else
            wait_select(strcmp(kind, "pselect") == 0);
    }
}
