/*
 * Proves: SO_RCVLOWAT makes a blocking stream read wait for that many bytes (or the count asked
 * for, if less), but neither poll nor a non-blocking read; end-of-file, a signal and a time-out end
 * it short.
 *
 * Rows: 3.8 "SO_RCVLOWAT v", 3.6 "POLLIN ignores SO_RCVLOWAT"
 */
#include "guest.h"

struct job {
    int fd;
    size_t size;
    ssize_t result;
};

static void *read_job(void *argument)
{
    struct job *job = argument;
    char buffer[64];
    job->result = read(job->fd, buffer, job->size);
    return NULL;
}

static void make(int fds[2], int low_water)
{
    guest_pair(SOCK_STREAM, fds);
    CHECK_OK(setsockopt(fds[0], SOL_SOCKET, SO_RCVLOWAT, &low_water, sizeof low_water));
}

static void waits_for_the_mark(size_t size, int expected)
{
    int fds[2];
    struct guest_thread thread;
    make(fds, 10);
    struct job job = { .fd = fds[0], .size = size };
    guest_thread_start(&thread, read_job, &job);
    guest_thread_blocked(&thread);
    CHECK_EQ(4, write(fds[1], "abcd", 4));
    guest_thread_blocked(&thread);
    CHECK_EQ(9, write(fds[1], "efghijklm", 9));
    guest_thread_join(&thread);
    CHECK_EQ(expected, job.result);
    guest_close_both(fds);
}

static void nonblocking_and_poll_ignore_it(void)
{
    int fds[2];
    char buffer[64];
    make(fds, 10);
    CHECK_EQ(4, write(fds[1], "abcd", 4));
    CHECK_EQ(POLLIN, guest_poll(fds[0], POLLIN, 0));
    CHECK_EQ(4, recv(fds[0], buffer, sizeof buffer, MSG_DONTWAIT));
    CHECK_EQ(1, write(fds[1], "x", 1));
    guest_set_nonblock(fds[0], true);
    CHECK_EQ(1, read(fds[0], buffer, sizeof buffer));
    guest_close_both(fds);
}

static void ended_short(bool by_signal)
{
    int fds[2];
    struct guest_thread thread;
    guest_count_signal(SIGUSR1, SA_RESTART);
    make(fds, 10);
    struct job job = { .fd = fds[0], .size = 20 };
    guest_thread_start(&thread, read_job, &job);
    guest_thread_blocked(&thread);
    CHECK_EQ(4, write(fds[1], "abcd", 4));
    guest_thread_blocked(&thread);
    if (by_signal) {
        CHECK_ZERO(pthread_kill(thread.pthread, SIGUSR1));
    } else {
        CHECK_OK(shutdown(fds[1], SHUT_WR));
    }
    guest_thread_join(&thread);
    CHECK_EQ(4, job.result);
    guest_close_both(fds);
}

static void ended_short_by_timeout(void)
{
    int fds[2];
    char buffer[64];
    const struct timeval timeout = { 0, 50000 };
    make(fds, 10);
    CHECK_OK(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout));
    CHECK_EQ(4, write(fds[1], "abcd", 4));
    int64_t start = guest_now_ms();
    CHECK_EQ(4, read(fds[0], buffer, 20));
    CHECK(guest_now_ms() - start >= 49);
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    waits_for_the_mark(20, 13);
    waits_for_the_mark(10, 10);
    waits_for_the_mark(6, 6); /* the count asked for is less than the mark */
    nonblocking_and_poll_ignore_it();
    ended_short(true);
    ended_short(false);
    ended_short_by_timeout();
    return guest_end();
}
