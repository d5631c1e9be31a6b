/*
 * Proves: a handler that itself brings what the interrupted call waited for (a byte, a descriptor's
 * readiness, room) doesn't change how the call ends: Linux has decided before the handler runs.
 * Without SA_RESTART, and in poll, select and epoll_wait always, it is EINTR, and the next call
 * finds what the handler did; with SA_RESTART a read starts again and finds it itself.
 *
 * Rows: 5.5 "pipe read/write, unix read/recv/send", 5.5 "poll, ppoll, select, pselect, epoll_wait"
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "guest.h"

enum way {
    BY_READ,
    BY_RECV,
    BY_RECVMSG,
    BY_WRITE, /* the handler makes room */
    BY_POLL,
    BY_PPOLL,
    BY_SELECT,
    BY_PSELECT,
    BY_EPOLL_WAIT,
    BY_EPOLL_PWAIT2,
    WAYS
};

struct job {
    enum way way;
    int fds[2], event_fd, epoll_fd;
    bool mixed;
    int result, error;
};

static char page[GUEST_PAGE];
static struct job *current; /* the handler's */

static void satisfy(int signo)
{
    int error = errno;
    static char drained[GUEST_PIPE_SIZE * 4];
    if (current->way == BY_WRITE) {
        CHECK(read(current->fds[0], drained, sizeof drained) > 0);
    } else {
        CHECK_EQ(1, write(current->fds[1], "h", 1));
    }
    guest_count_handler(signo);
    errno = error;
}

static int call_once(const struct job *job)
{
    struct pollfd entries[] = { { .fd = job->fds[0], .events = POLLIN },
                                { .fd = job->event_fd, .events = POLLIN } };
    struct iovec vector = { page, sizeof page };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
    nfds_t count = 1 + (nfds_t)job->mixed;
    struct epoll_event event;
    fd_set set;
    FD_ZERO(&set);
    FD_SET(job->fds[0], &set);
    if (job->mixed) {
        FD_SET(job->event_fd, &set);
    }
    switch (job->way) {
    case BY_READ: return (int)read(job->fds[0], page, 1);
    case BY_RECV: return (int)recv(job->fds[0], page, 1, 0);
    case BY_RECVMSG: return (int)recvmsg(job->fds[0], &message, 0);
    case BY_WRITE: return (int)write(job->fds[1], page, 1);
    case BY_POLL: return poll(entries, count, -1);
    case BY_PPOLL: return ppoll(entries, count, NULL, NULL);
    case BY_SELECT: return select(FD_SETSIZE, &set, NULL, NULL, NULL);
    case BY_PSELECT: return pselect(FD_SETSIZE, &set, NULL, NULL, NULL, NULL);
    case BY_EPOLL_WAIT: return epoll_wait(job->epoll_fd, &event, 1, -1);
    default: return epoll_pwait2(job->epoll_fd, &event, 1, NULL, NULL);
    }
}

static void *call_in_thread(void *argument)
{
    struct job *job = argument;
    job->result = call_once(job);
    job->error = errno;
    if (job->result == -1) {
        CHECK_EQ(1, call_once(job)); /* now it is there */
    }
    return NULL;
}

static void satisfied(int type, enum way way, int flags, bool mixed)
{
    struct guest_thread thread;
    struct job job = { .way = way, .mixed = mixed };
    struct epoll_event event = { .events = EPOLLIN };
    bool restarts = flags == SA_RESTART && way < BY_POLL;
    if (type == 0) {
        guest_pipe(job.fds);
    } else {
        guest_pair(type, job.fds);
    }
    job.event_fd = (int)CHECK_OK(eventfd(0, EFD_CLOEXEC));
    job.epoll_fd = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    if (way >= BY_EPOLL_WAIT) {
        CHECK_OK(epoll_ctl(job.epoll_fd, EPOLL_CTL_ADD, job.fds[0], &event));
        CHECK_OK(epoll_ctl(job.epoll_fd, EPOLL_CTL_ADD, job.event_fd, &event));
    }
    if (way == BY_WRITE) {
        guest_pipe_fill(job.fds[1]);
    }
    current = &job;
    atomic_store(&guest_signal_count[SIGUSR1], 0);
    guest_on_signal(SIGUSR1, satisfy, flags);
    guest_thread_start(&thread, call_in_thread, &job);
    guest_thread_blocked(&thread);
    CHECK_ZERO(pthread_kill(thread.pthread, SIGUSR1));
    guest_thread_join(&thread);
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGUSR1]));
    CHECK_EQ(restarts ? 1 : -1, job.result);
    if (!restarts) {
        CHECK_EQ(EINTR, job.error);
    }
    CHECK_OK(close(job.epoll_fd));
    CHECK_OK(close(job.event_fd));
    guest_close_both(job.fds);
}

int main(void)
{
    static const int all_flags[] = { 0, SA_RESTART };
    guest_start();
    for (int i = 0; i < 2; i++) {
        satisfied(0, BY_READ, all_flags[i], false);
        satisfied(0, BY_WRITE, all_flags[i], false);
        for (int way = BY_READ; way < WAYS; way++) {
            if (way != BY_WRITE) {
                satisfied(SOCK_STREAM, (enum way)way, all_flags[i], false);
                satisfied(SOCK_SEQPACKET, (enum way)way, all_flags[i], way >= BY_POLL);
            }
        }
        for (int way = BY_POLL; way < WAYS; way++) {
            satisfied(0, (enum way)way, all_flags[i], false);
            satisfied(0, (enum way)way, all_flags[i], true);
        }
    }
    return guest_end();
}
