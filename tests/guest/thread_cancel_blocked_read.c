/*
 * Proves: blocked calls on pipes and sockets are cancellation points: pthread_cancel ends a thread
 * in read, write, recv, poll or select, its clean-up handlers run, and the fds are usable
 * afterwards; with cancellation disabled the call goes on; pthread_exit in a handler works, too.
 *
 * Rows: 5.5 "pipe read/write, unix read/recv/send" (cancellation: pthreads(7))
 */
#include "guest.h"

enum way { BY_READ, BY_WRITE, BY_READV, BY_POLL, BY_SELECT, BY_RECV, BY_SENDMSG, WAYS };

struct job {
    enum way way;
    int fds[2];
    atomic_int cleaned;
};

static void clean_up(void *argument)
{
    struct job *job = argument;
    atomic_fetch_add(&job->cleaned, 1);
}

static void block(struct job *job)
{
    static char big[1000000];
    char byte;
    struct iovec vector = { .iov_base = &byte, .iov_len = 1 };
    struct iovec big_vector = { .iov_base = big, .iov_len = sizeof big };
    struct msghdr message = { .msg_iov = &big_vector, .msg_iovlen = 1 };
    struct pollfd entry = { .fd = job->fds[0], .events = POLLIN };
    fd_set set;
    FD_ZERO(&set);
    FD_SET(job->fds[0], &set);
    switch (job->way) {
    case BY_READ: (void)!read(job->fds[0], &byte, 1); break;
    case BY_WRITE: (void)!write(job->fds[1], big, sizeof big); break;
    case BY_READV: (void)!readv(job->fds[0], &vector, 1); break;
    case BY_POLL: (void)poll(&entry, 1, -1); break;
    case BY_SELECT: (void)select(job->fds[0] + 1, &set, NULL, NULL, NULL); break;
    case BY_RECV: (void)!recv(job->fds[0], &byte, 1, 0); break;
    default: (void)!sendmsg(job->fds[1], &message, 0); break;
    }
}

static void *block_with_cleanup(void *argument)
{
    struct job *job = argument;
    pthread_cleanup_push(clean_up, job);
    block(job);
    CHECK(!"the cancelled call returned");
    pthread_cleanup_pop(0);
    return NULL;
}

static void still_works(const int fds[2])
{
    static char buffer[1000000];
    guest_set_nonblock(fds[0], true);
    while (read(fds[0], buffer, sizeof buffer) > 0) {
    }
    CHECK_EQ(EAGAIN, errno);
    guest_set_nonblock(fds[0], false);
    CHECK_EQ(3, write(fds[1], "abc", 3));
    CHECK_EQ(3, read(fds[0], buffer, sizeof buffer));
    CHECK_MEM("abc", buffer, 3);
}

static void cancelled(enum way way, int type)
{
    struct guest_thread thread;
    struct job job = { .way = way };
    if (type == 0) {
        guest_pipe(job.fds);
    } else {
        guest_pair(type, job.fds);
    }
    for (int i = 1; i <= 3; i++) {
        guest_thread_start(&thread, block_with_cleanup, &job);
        guest_thread_blocked(&thread);
        CHECK_ZERO(pthread_cancel(thread.pthread));
        CHECK(guest_thread_join(&thread) == PTHREAD_CANCELED);
        CHECK_EQ(i, atomic_load(&job.cleaned));
        still_works(job.fds);
    }
    guest_close_both(job.fds);
}

static void *read_uncancelled(void *argument)
{
    struct job *job = argument;
    char byte;
    CHECK_ZERO(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL));
    CHECK_EQ(1, read(job->fds[0], &byte, 1));
    atomic_fetch_add(&job->cleaned, 1);
    CHECK_ZERO(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL));
    (void)!read(job->fds[0], &byte, 1); /* pending since: acts on entry, before any byte is taken */
    CHECK(!"the cancelled call returned");
    return NULL;
}

static void disabled_waits(void)
{
    struct guest_thread thread;
    struct job job = { .way = BY_READ };
    char buffer[8];
    guest_pipe(job.fds);
    guest_thread_start(&thread, read_uncancelled, &job);
    guest_thread_blocked(&thread);
    CHECK_ZERO(pthread_cancel(thread.pthread));
    guest_thread_blocked(&thread);
    CHECK_EQ(2, write(job.fds[1], "xy", 2));
    CHECK(guest_thread_join(&thread) == PTHREAD_CANCELED);
    CHECK_EQ(1, atomic_load(&job.cleaned));
    CHECK_EQ(1, read(job.fds[0], buffer, sizeof buffer));
    CHECK_EQ('y', buffer[0]);
    guest_close_both(job.fds);
}

static void exit_thread(int signo)
{
    (void)signo;
    pthread_exit((void *)5);
}

static void pthread_exit_from_handler(void)
{
    struct guest_thread thread;
    struct job job = { .way = BY_READ };
    guest_on_signal(SIGUSR1, exit_thread, 0);
    guest_pipe(job.fds);
    guest_thread_start(&thread, block_with_cleanup, &job);
    guest_thread_blocked(&thread);
    CHECK_ZERO(pthread_kill(thread.pthread, SIGUSR1));
    CHECK(guest_thread_join(&thread) == (void *)5);
    CHECK_EQ(1, atomic_load(&job.cleaned));
    still_works(job.fds);
    guest_close_both(job.fds);
}

int main(void)
{
    guest_start();
    for (int way = 0; way < WAYS; way++) {
        if (way < BY_RECV) {
            cancelled((enum way)way, 0);
        }
        cancelled((enum way)way, SOCK_STREAM);
    }
    disabled_waits();
    pthread_exit_from_handler();
    return guest_end();
}
