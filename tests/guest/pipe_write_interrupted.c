/*
 * Proves: a signal handler that interrupts a blocked write to a pipe makes it return what was
 * written so far, with and without SA_RESTART; EINTR or a restart only if nothing was written.
 *
 * Rows: 2.2 "unless interrupted by a signal (partial count; EINTR only if nothing was written)",
 * 5.5 "pipe read/write"
 */
#include "guest.h"

enum { BIG = 100000 };

struct job {
    int fd;
    size_t size;
    ssize_t result;
    int error;
};

static char big[BIG];

static void *write_job(void *argument)
{
    struct job *job = argument;
    job->result = write(job->fd, big, job->size);
    job->error = errno;
    return NULL;
}

static void partial_count(int flags)
{
    int fds[2];
    static char buffer[GUEST_PIPE_SIZE];
    struct guest_thread writer;
    guest_count_signal(SIGUSR1, flags);
    guest_pipe(fds);
    struct job job = { .fd = fds[1], .size = BIG };
    guest_thread_start(&writer, write_job, &job);
    guest_thread_blocked(&writer);
    CHECK_ZERO(pthread_kill(writer.pthread, SIGUSR1));
    guest_thread_join(&writer);
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGUSR1]));
    CHECK_EQ(65536, job.result);
    CHECK_EQ(65536, guest_read_all(fds[0], buffer, 65536));
    guest_set_nonblock(fds[0], true);
    CHECK_ERR(EAGAIN, read(fds[0], buffer, 1));
    guest_close_both(fds);
}

static void nothing_written_eintr(void)
{
    int fds[2];
    struct guest_thread writer;
    guest_count_signal(SIGUSR1, 0);
    guest_pipe(fds);
    guest_pipe_fill(fds[1]);
    struct job job = { .fd = fds[1], .size = 10 };
    guest_thread_start(&writer, write_job, &job);
    guest_thread_blocked(&writer);
    CHECK_ZERO(pthread_kill(writer.pthread, SIGUSR1));
    guest_thread_join(&writer);
    CHECK_EQ(-1, job.result);
    CHECK_EQ(EINTR, job.error);
    guest_close_both(fds);
}

static void nothing_written_restart(void)
{
    int fds[2], available;
    static char buffer[GUEST_PIPE_SIZE];
    struct guest_thread writer;
    guest_count_signal(SIGUSR1, SA_RESTART);
    guest_pipe(fds);
    guest_pipe_fill(fds[1]);
    struct job job = { .fd = fds[1], .size = 10 };
    guest_thread_start(&writer, write_job, &job);
    for (int i = 1; i <= 3; i++) {
        guest_thread_blocked(&writer);
        CHECK_ZERO(pthread_kill(writer.pthread, SIGUSR1));
        while (atomic_load(&guest_signal_count[SIGUSR1]) < i) {
            sched_yield();
        }
    }
    guest_thread_blocked(&writer);
    CHECK_EQ(4096, read(fds[0], buffer, 4096));
    guest_thread_join(&writer);
    CHECK_EQ(10, job.result);
    CHECK_OK(ioctl(fds[0], FIONREAD, &available));
    CHECK_EQ(65536 - 4096 + 10, available);
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    partial_count(0);
    partial_count(SA_RESTART);
    nothing_written_eintr();
    nothing_written_restart();
    return guest_end();
}
