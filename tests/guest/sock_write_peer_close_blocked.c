/*
 * Proves: what a blocked stream write returns when the peer goes away: the partial count without
 * SIGPIPE if part was sent (and the pending ECONNRESET is gone with it), ECONNRESET without SIGPIPE
 * if nothing was; the write after it gives EPIPE and SIGPIPE.
 *
 * Rows: 3.3 "blocked in write, peer closes: part already sent", 3.3 "blocked in write, nothing sent
 * yet, peer closes", 3.3 "peer closed", 3.5 "ECONNRESET is consumed by exactly one of"
 */
#include "guest.h"

enum { BIG = 1000000 };

static char big[BIG];

struct job {
    int fd;
    size_t size;
    ssize_t result;
    int error;
};

static void *write_job(void *argument)
{
    struct job *job = argument;
    job->result = write(job->fd, big, job->size);
    job->error = errno;
    return NULL;
}

static ssize_t fits_without_blocking(void)
{
    int fds[2];
    guest_pair(SOCK_STREAM, fds);
    ssize_t count = CHECK_OK(send(fds[0], big, BIG, MSG_DONTWAIT));
    CHECK(count < BIG);
    guest_close_both(fds);
    return count;
}

static void after_the_reset(int fd)
{
    char byte;
    CHECK_EQ(0, atomic_load(&guest_signal_count[SIGPIPE]));
    CHECK_EQ(POLLIN | POLLOUT | POLLHUP | POLLRDHUP,
             guest_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0));
    CHECK_EQ(0, read(fd, &byte, 1)); /* the error was consumed by the blocked write */
    CHECK_ERR(EPIPE, write(fd, "x", 1));
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGPIPE]));
    CHECK_OK(close(fd));
}

static void part_was_sent(bool killed_child)
{
    int fds[2];
    pid_t pid = -1;
    struct guest_thread writer;
    guest_count_signal(SIGPIPE, 0);
    guest_pair(SOCK_STREAM, fds);
    if (killed_child) {
        pid = guest_fork();
        if (pid == 0) {
            CHECK_OK(close(fds[0]));
            for (;;) {
                pause();
            }
        }
        CHECK_OK(close(fds[1]));
    }
    struct job job = { .fd = fds[0], .size = BIG };
    guest_thread_start(&writer, write_job, &job);
    guest_thread_blocked(&writer);
    if (killed_child) {
        CHECK_OK(kill(pid, SIGKILL));
        guest_wait_killed(pid, SIGKILL);
    } else {
        CHECK_OK(close(fds[1]));
    }
    guest_thread_join(&writer);
    CHECK_EQ(fits_without_blocking(), job.result);
    after_the_reset(fds[0]);
}

static void nothing_was_sent(int type)
{
    int fds[2];
    struct guest_thread writer;
    guest_count_signal(SIGPIPE, 0);
    guest_pair(type, fds);
    guest_socket_fill(fds[0], 4096);
    struct job job = { .fd = fds[0], .size = 10 };
    guest_thread_start(&writer, write_job, &job);
    guest_thread_blocked(&writer);
    CHECK_OK(close(fds[1]));
    guest_thread_join(&writer);
    CHECK_EQ(-1, job.result);
    CHECK_EQ(ECONNRESET, job.error);
    if (type == SOCK_STREAM) {
        after_the_reset(fds[0]);
    } else {
        CHECK_ERR(EPIPE, write(fds[0], "x", 1));
        CHECK_EQ(0, atomic_load(&guest_signal_count[SIGPIPE])); /* never for SEQPACKET */
        CHECK_OK(close(fds[0]));
    }
}

/* The peer has read part of it, and the writer has refilled: the count is of both. */
static void peer_read_some_first(void)
{
    int fds[2];
    static char buffer[BIG];
    struct guest_thread writer;
    guest_count_signal(SIGPIPE, 0);
    guest_pair(SOCK_STREAM, fds);
    struct job job = { .fd = fds[0], .size = BIG };
    guest_thread_start(&writer, write_job, &job);
    guest_thread_blocked(&writer);
    ssize_t count = CHECK_OK(read(fds[1], buffer, 200000));
    guest_thread_blocked(&writer);
    CHECK_OK(close(fds[1]));
    guest_thread_join(&writer);
    CHECK(job.result > count);
    CHECK(job.result < BIG);
    after_the_reset(fds[0]);
}

int main(void)
{
    guest_start();
    part_was_sent(false);
    part_was_sent(true);
    nothing_was_sent(SOCK_STREAM);
    nothing_was_sent(SOCK_SEQPACKET);
    peer_read_some_first();
    return guest_end();
}
