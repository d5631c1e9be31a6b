/*
 * Proves: a handler without SA_RESTART makes a blocked read of a pipe fail with EINTR, in a thread,
 * in a child, and for readv; nothing is lost and the next read works.
 *
 * Rows: 5.5 "pipe read/write" column "no SA_RESTART"
 */
#include "guest.h"

struct job {
    int fd;
    bool vector;
};

static void *read_interrupted(void *argument)
{
    struct job *job = argument;
    char buffer[8];
    struct iovec vector = { .iov_base = buffer, .iov_len = sizeof buffer };
    if (job->vector) {
        CHECK_ERR(EINTR, readv(job->fd, &vector, 1));
    } else {
        CHECK_ERR(EINTR, read(job->fd, buffer, sizeof buffer));
    }
    CHECK_EQ(guest_gettid(), atomic_load(&guest_signal_tid[SIGUSR1]));
    CHECK_EQ(3, read(job->fd, buffer, sizeof buffer));
    CHECK_MEM("abc", buffer, 3);
    return NULL;
}

static void thread_interrupted(bool vector)
{
    int fds[2];
    struct guest_thread reader;
    guest_pipe(fds);
    struct job job = { .fd = fds[0], .vector = vector };
    guest_count_signal(SIGUSR1, 0);
    guest_thread_start(&reader, read_interrupted, &job);
    guest_thread_blocked(&reader);
    CHECK_ZERO(pthread_kill(reader.pthread, SIGUSR1));
    while (atomic_load(&guest_signal_count[SIGUSR1]) == 0) {
        sched_yield();
    }
    guest_thread_blocked(&reader);
    CHECK_EQ(3, write(fds[1], "abc", 3));
    guest_thread_join(&reader);
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGUSR1]));
    guest_close_both(fds);
}

static void child_interrupted_by_parent(void)
{
    int fds[2];
    char byte;
    guest_pipe(fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_count_signal(SIGUSR1, 0);
        CHECK_EQ(1, read(fds[0], &byte, 1));
        CHECK_ERR(EINTR, read(fds[0], &byte, 1));
        CHECK_EQ(1, atomic_load(&guest_signal_count[SIGUSR1]));
        _exit(0);
    }
    CHECK_EQ(1, write(fds[1], "x", 1));
    int unread = 1;
    while (unread != 0) { /* the child set its handler before it took this byte */
        CHECK_OK(ioctl(fds[0], FIONREAD, &unread));
        sched_yield();
    }
    guest_process_blocked(pid);
    CHECK_OK(kill(pid, SIGUSR1));
    guest_wait_exit(pid, 0);
    guest_close_both(fds);
}

static void parent_interrupted_by_child(void)
{
    int fds[2];
    char byte;
    guest_pipe(fds);
    guest_count_signal(SIGUSR1, 0);
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_process_blocked(getppid());
        CHECK_OK(kill(getppid(), SIGUSR1));
        _exit(0);
    }
    CHECK_ERR(EINTR, read(fds[0], &byte, 1));
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGUSR1]));
    guest_wait_exit(pid, 0);
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    thread_interrupted(false);
    thread_interrupted(true);
    child_interrupted_by_parent();
    parent_interrupted_by_child();
    return guest_end();
}
