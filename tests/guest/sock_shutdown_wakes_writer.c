/*
 * Proves: a blocked write is woken by the peer's SHUT_RD or its own SHUT_WR, with EPIPE and without
 * SIGPIPE (partial count if part was sent); the next write gives EPIPE with SIGPIPE on a stream.
 *
 * Rows: 3.3 "blocked in write, peer SHUT_RD or own SHUT_WR", 3.5 "we SHUT_RD", 3.5 "we SHUT_WR"
 */
#include "guest.h"

static char big[1000000];

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

static void nothing_sent(int type, int end, int how)
{
    int fds[2];
    struct guest_thread writer;
    guest_count_signal(SIGPIPE, 0);
    guest_pair(type, fds);
    guest_socket_fill(fds[0], 4096);
    struct job job = { .fd = fds[0], .size = 10 };
    guest_thread_start(&writer, write_job, &job);
    guest_thread_blocked(&writer);
    CHECK_OK(shutdown(fds[end], how));
    guest_thread_join(&writer);
    CHECK_EQ(-1, job.result);
    CHECK_EQ(EPIPE, job.error);
    CHECK_EQ(0, atomic_load(&guest_signal_count[SIGPIPE]));
    CHECK_ERR(EPIPE, write(fds[0], big, 10));
    CHECK_EQ(type == SOCK_STREAM ? 1 : 0, atomic_load(&guest_signal_count[SIGPIPE]));
    guest_close_both(fds);
}

static void part_sent(int end, int how)
{
    int fds[2];
    static char buffer[sizeof big];
    struct guest_thread writer;
    guest_count_signal(SIGPIPE, 0);
    guest_pair(SOCK_STREAM, fds);
    struct job job = { .fd = fds[0], .size = sizeof big };
    guest_thread_start(&writer, write_job, &job);
    guest_thread_blocked(&writer);
    CHECK_OK(shutdown(fds[end], how));
    guest_thread_join(&writer);
    CHECK(job.result > 0 && job.result < (ssize_t)sizeof big);
    CHECK_EQ(0, atomic_load(&guest_signal_count[SIGPIPE]));
    CHECK_EQ(job.result, guest_read_all(fds[1], buffer, (size_t)job.result));
    guest_close_both(fds);
}

static void child_shuts_down(void)
{
    int fds[2];
    guest_count_signal(SIGPIPE, 0);
    guest_pair(SOCK_STREAM, fds);
    guest_socket_fill(fds[0], 4096);
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_process_blocked(getppid());
        CHECK_OK(shutdown(fds[1], SHUT_RD));
        _exit(0);
    }
    CHECK_ERR(EPIPE, write(fds[0], big, 10));
    CHECK_EQ(0, atomic_load(&guest_signal_count[SIGPIPE]));
    guest_wait_exit(pid, 0);
    guest_close_both(fds);
}

int main(void)
{
    static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
    guest_start();
    for (int i = 0; i < 2; i++) {
        nothing_sent(types[i], 0, SHUT_WR);
        nothing_sent(types[i], 0, SHUT_RDWR);
        nothing_sent(types[i], 1, SHUT_RD);
        nothing_sent(types[i], 1, SHUT_RDWR);
    }
    part_sent(0, SHUT_WR);
    part_sent(1, SHUT_RD);
    child_shuts_down();
    return guest_end();
}
