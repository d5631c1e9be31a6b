/*
 * Proves: every call that waits for several descriptors fails with EINTR when a handler ran, with
 * SA_RESTART, too; sets that are emulated alone and sets with a real descriptor among them; with a
 * time-out and without, of which select stores the rest; ignored signals, and stop and continue,
 * don't end it.
 *
 * Rows: 5.5 "poll, ppoll, select, pselect, epoll_wait"
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "guest.h"

enum way {
    BY_POLL,
    BY_PPOLL,
    BY_SELECT,
    BY_PSELECT,
    BY_EPOLL_WAIT,
    BY_EPOLL_PWAIT,
    BY_EPOLL_PWAIT2,
    WAYS
};

struct job {
    enum way way;
    int fd, event_fd, epoll_fd;
    bool mixed, timed;
    int result, error;
    struct timeval left;
};

static void *wait_once(void *argument)
{
    static const struct timespec limit = { 20, 0 };
    struct job *job = argument;
    struct pollfd entries[] = { { .fd = job->fd, .events = POLLIN, .revents = 77 },
                                { .fd = job->event_fd, .events = POLLIN, .revents = 77 } };
    const struct timespec *spec = job->timed ? &limit : NULL;
    struct timeval *value = job->timed ? &job->left : NULL;
    int milliseconds = job->timed ? 20000 : -1;
    nfds_t count = 1 + (nfds_t)job->mixed;
    struct epoll_event event;
    fd_set set;
    job->left = (struct timeval){ 20, 0 };
    FD_ZERO(&set);
    FD_SET(job->fd, &set);
    if (job->mixed) {
        FD_SET(job->event_fd, &set);
    }
    switch (job->way) {
    case BY_POLL: job->result = poll(entries, count, milliseconds); break;
    case BY_PPOLL: job->result = ppoll(entries, count, spec, NULL); break;
    case BY_SELECT: job->result = select(FD_SETSIZE, &set, NULL, NULL, value); break;
    case BY_PSELECT: job->result = pselect(FD_SETSIZE, &set, NULL, NULL, spec, NULL); break;
    case BY_EPOLL_WAIT: job->result = epoll_wait(job->epoll_fd, &event, 1, milliseconds); break;
    case BY_EPOLL_PWAIT:
        job->result = epoll_pwait(job->epoll_fd, &event, 1, milliseconds, NULL);
        break;
    default: job->result = epoll_pwait2(job->epoll_fd, &event, 1, spec, NULL); break;
    }
    job->error = errno;
    if (job->result == -1 && (job->way == BY_SELECT || job->way == BY_PSELECT)) {
        CHECK(FD_ISSET(job->fd, &set)); /* an error leaves the sets alone */
        CHECK_EQ(job->mixed, FD_ISSET(job->event_fd, &set) != 0);
    }
    return NULL;
}

static void open_job(struct job *job, int type, int fds[2])
{
    struct epoll_event event = { .events = EPOLLIN };
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
    job->fd = fds[0];
    job->event_fd = (int)CHECK_OK(eventfd(0, EFD_CLOEXEC));
    job->epoll_fd = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    CHECK_OK(epoll_ctl(job->epoll_fd, EPOLL_CTL_ADD, fds[0], &event));
    if (job->mixed) {
        CHECK_OK(epoll_ctl(job->epoll_fd, EPOLL_CTL_ADD, job->event_fd, &event));
    }
}

static void close_job(const struct job *job, const int fds[2])
{
    CHECK_OK(close(job->epoll_fd));
    CHECK_OK(close(job->event_fd));
    guest_close_both(fds);
}

static void interrupted(int type, enum way way, int flags, bool mixed, bool timed)
{
    int fds[2];
    struct guest_thread thread;
    struct job job = { .way = way, .mixed = mixed, .timed = timed };
    open_job(&job, type, fds);
    guest_count_signal(SIGUSR1, flags);
    guest_on_signal(SIGUSR2, SIG_IGN, 0);
    guest_thread_start(&thread, wait_once, &job);
    guest_thread_blocked(&thread);
    CHECK_ZERO(pthread_kill(thread.pthread, SIGUSR2));
    CHECK_ZERO(pthread_kill(thread.pthread, SIGWINCH));
    guest_thread_blocked(&thread);
    CHECK_ZERO(pthread_kill(thread.pthread, SIGUSR1));
    guest_thread_join(&thread);
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGUSR1]));
    CHECK_EQ(-1, job.result);
    CHECK_EQ(EINTR, job.error);
    if (way == BY_SELECT && timed) {
        CHECK(job.left.tv_sec < 20 && job.left.tv_sec >= 0);
    }
    close_job(&job, fds);
}

/* The kernel ends epoll_wait alone with EINTR at SIGCONT (signal(7)); the others go on. */
static void stopped_and_continued(enum way way, bool mixed)
{
    int fds[2], status;
    struct job job = { .way = way, .mixed = mixed };
    open_job(&job, 0, fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        wait_once(&job);
        CHECK_EQ(1, job.result);
        _exit(0);
    }
    guest_process_blocked(pid);
    CHECK_OK(kill(pid, SIGSTOP));
    CHECK_EQ(pid, waitpid(pid, &status, WUNTRACED));
    CHECK(WIFSTOPPED(status));
    CHECK_OK(kill(pid, SIGCONT));
    CHECK_EQ(pid, waitpid(pid, &status, WCONTINUED));
    guest_process_blocked(pid);
    CHECK_EQ(1, write(fds[1], "x", 1));
    guest_wait_exit(pid, 0);
    close_job(&job, fds);
}

int main(void)
{
    guest_start();
    for (int way = 0; way < WAYS; way++) {
        for (int mixed = 0; mixed < 2; mixed++) {
            for (int timed = 0; timed < 2; timed++) {
                interrupted(0, (enum way)way, 0, mixed, timed);
                interrupted(SOCK_STREAM, (enum way)way, SA_RESTART, mixed, timed);
            }
            interrupted(SOCK_SEQPACKET, (enum way)way, 0, mixed, false);
            if (way < BY_EPOLL_WAIT) {
                stopped_and_continued((enum way)way, mixed);
            }
        }
    }
    return guest_end();
}
