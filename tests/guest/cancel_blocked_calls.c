/*
 * Proves: pthread_cancel of a thread blocked in any emulated call, deferred and asynchronous: its
 * clean-up handlers run, in order, and may themselves use and close emulated fds; nothing stays
 * locked: another thread blocked on the same object goes on, and other threads and a child use it
 * afterwards.
 *
 * Rows: 5.5 "pipe read/write, unix read/recv/send", 5.5 "poll, ppoll, select, pselect, epoll_wait"
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "guest.h"

enum way {
    BY_READ,
    BY_READV,
    BY_RECV,
    BY_RECVFROM,
    BY_RECVMSG,
    BY_RECVMMSG,
    BY_WRITE,
    BY_WRITEV,
    BY_SEND,
    BY_SENDMSG,
    BY_SENDMMSG,
    BY_POLL,
    BY_PPOLL,
    BY_SELECT,
    BY_PSELECT,
    BY_MIXED_POLL,
    BY_MIXED_SELECT,
    BY_EPOLL,
    WAYS
};

static char big[1000000];

static bool works_on_pipes(enum way way)
{
    return way <= BY_READV || way == BY_WRITE || way == BY_WRITEV || way >= BY_POLL;
}

static bool moves_out(enum way way)
{
    return way >= BY_WRITE && way <= BY_SENDMMSG;
}

struct job {
    enum way way;
    int type; /* PTHREAD_CANCEL_ */
    int fds[2];
    int epoll;
    int event;   /* a real fd */
    int note[2]; /* clean-up handlers write here */
    int last;    /* and close this: the last writing end of `ended` */
    int ended;
};

static void say_bye(void *argument)
{
    const struct job *job = argument;
    char byte;
    int pair[2];
    CHECK_EQ(1, write(job->note[1], "1", 1));
    guest_pair(SOCK_STREAM, pair); /* makes, uses and closes fds of its own */
    CHECK_EQ(1, write(pair[0], "p", 1));
    CHECK_EQ(POLLIN, guest_poll(pair[1], POLLIN, -1));
    CHECK_EQ(1, read(pair[1], &byte, 1));
    guest_close_both(pair);
}

static void close_last(void *argument)
{
    const struct job *job = argument;
    CHECK_EQ(1, write(job->note[1], "2", 1));
    CHECK_OK(close(job->last));
}

static void block_in(const struct job *job)
{
    static const struct timespec long_time = { 25, 0 };
    char byte;
    struct iovec small = { &byte, 1 }, large = { big, sizeof big };
    struct mmsghdr in = { .msg_hdr = { .msg_iov = &small, .msg_iovlen = 1 } };
    struct mmsghdr out = { .msg_hdr = { .msg_iov = &large, .msg_iovlen = 1 } };
    struct pollfd entry = { .fd = job->fds[0], .events = POLLIN };
    struct pollfd mixed[] = { entry, { .fd = job->event, .events = POLLIN } };
    struct epoll_event event;
    sigset_t none;
    fd_set set;
    sigemptyset(&none);
    FD_ZERO(&set);
    FD_SET(job->fds[0], &set);
    switch (job->way) {
    case BY_READ: (void)!read(job->fds[0], &byte, 1); break;
    case BY_READV: (void)!readv(job->fds[0], &small, 1); break;
    case BY_RECV: (void)!recv(job->fds[0], &byte, 1, MSG_PEEK); break;
    case BY_RECVFROM: (void)!recvfrom(job->fds[0], &byte, 1, 0, NULL, NULL); break;
    case BY_RECVMSG: (void)!recvmsg(job->fds[0], &in.msg_hdr, 0); break;
    case BY_RECVMMSG: (void)recvmmsg(job->fds[0], &in, 1, 0, NULL); break;
    case BY_WRITE: (void)!write(job->fds[1], big, sizeof big); break;
    case BY_WRITEV: (void)!writev(job->fds[1], &large, 1); break;
    case BY_SEND: (void)!send(job->fds[1], big, sizeof big, 0); break;
    case BY_SENDMSG: (void)!sendmsg(job->fds[1], &out.msg_hdr, 0); break;
    case BY_SENDMMSG: (void)sendmmsg(job->fds[1], &out, 1, 0); break;
    case BY_POLL: (void)poll(&entry, 1, -1); break;
    case BY_PPOLL: (void)ppoll(&entry, 1, &long_time, &none); break;
    case BY_SELECT: (void)select(job->fds[0] + 1, &set, NULL, NULL, NULL); break;
    case BY_PSELECT: (void)pselect(job->fds[0] + 1, &set, NULL, NULL, &long_time, &none); break;
    case BY_MIXED_POLL: (void)poll(mixed, 2, -1); break;
    case BY_MIXED_SELECT:
        FD_SET(job->event, &set);
        (void)select(FD_SETSIZE, &set, NULL, NULL, NULL);
        break;
    default: (void)epoll_wait(job->epoll, &event, 1, -1); break;
    }
}

static void *block_with_clean_up(void *argument)
{
    struct job *job = argument;
    pthread_cleanup_push(close_last, job);
    pthread_cleanup_push(say_bye, job);
    CHECK_ZERO(pthread_setcanceltype(job->type, NULL));
    block_in(job);
    CHECK(!"the cancelled call returned");
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
    return NULL;
}

static void *read_one(void *argument)
{
    char byte;
    CHECK_EQ(1, read(*(int *)argument, &byte, 1));
    CHECK_EQ('r', byte);
    return NULL;
}

static void still_works(const int fds[2])
{
    guest_set_nonblock(fds[0], true);
    while (read(fds[0], big, sizeof big) > 0) {
    }
    CHECK_EQ(EAGAIN, errno);
    guest_set_nonblock(fds[0], false);
    CHECK_EQ(3, write(fds[1], "abc", 3));
    CHECK_EQ(3, read(fds[0], big, sizeof big));
    CHECK_MEM("abc", big, 3);
    pid_t pid = guest_fork(); /* a lock that a thread of ours left would stop it */
    if (pid == 0) {
        CHECK_EQ(3, write(fds[1], "def", 3));
        _exit(0);
    }
    CHECK_EQ(3, read(fds[0], big, sizeof big));
    guest_wait_exit(pid, 0);
}

static void cancelled(int type, enum way way, int cancel_type)
{
    struct job job = { .way = way, .type = cancel_type };
    struct guest_thread thread, reader;
    struct epoll_event event = { .events = EPOLLIN };
    char buffer[8];
    int ending[2];
    if (type == 0) {
        guest_pipe(job.fds);
    } else {
        guest_pair(type, job.fds);
    }
    guest_pipe(job.note);
    guest_pipe(ending);
    job.ended = ending[0];
    job.last = ending[1];
    job.epoll = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    job.event = (int)CHECK_OK(eventfd(0, EFD_CLOEXEC));
    if (way == BY_EPOLL) {
        CHECK_OK(epoll_ctl(job.epoll, EPOLL_CTL_ADD, job.fds[0], &event));
    }
    if (!moves_out(way)) {
        guest_thread_start(&reader, read_one, &job.fds[0]);
        guest_thread_blocked(&reader);
    }
    guest_thread_start(&thread, block_with_clean_up, &job);
    guest_thread_blocked(&thread);
    CHECK_ZERO(pthread_cancel(thread.pthread));
    CHECK_EQ(0, read(job.ended, buffer, 1)); /* the clean-up handler ended it */
    CHECK(guest_thread_join(&thread) == PTHREAD_CANCELED);
    CHECK_EQ(2, read(job.note[0], buffer, sizeof buffer));
    CHECK_MEM("12", buffer, 2);
    if (!moves_out(way)) {
        guest_thread_blocked(&reader);
        CHECK_EQ(1, write(job.fds[1], "r", 1));
        guest_thread_join(&reader);
    }
    still_works(job.fds);
    CHECK_OK(close(job.epoll));
    CHECK_OK(close(job.event));
    CHECK_OK(close(job.ended));
    guest_close_both(job.note);
    guest_close_both(job.fds);
}

int main(void)
{
    guest_start();
    for (int way = 0; way < WAYS; way++) {
        for (int i = 0; i < 2; i++) {
            int cancel_type = i == 0 ? PTHREAD_CANCEL_DEFERRED : PTHREAD_CANCEL_ASYNCHRONOUS;
            if (works_on_pipes((enum way)way)) {
                cancelled(0, (enum way)way, cancel_type);
            }
            cancelled(SOCK_STREAM, (enum way)way, cancel_type);
        }
    }
    return guest_end();
}
