/*
 * Proves: siglongjmp out of a handler around every kind of blocked call: read, readv, recv,
 * recvmsg, recvmmsg, write, sendmsg, sendmmsg, poll, ppoll, select, pselect, and epoll_wait. The
 * mask that ppoll or pselect had put on is not left behind, nobody is woken in the jumper's place,
 * another thread blocked on the same object goes on, and the object works.
 *
 * Rows: 5.5 "pipe read/write, unix read/recv/send", 5.5 "poll, ppoll, select, pselect, epoll_wait"
 */
#include <setjmp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "guest.h"

enum way {
    BY_READ,
    BY_READV,
    BY_RECV,
    BY_RECVMSG,
    BY_RECVMMSG,
    BY_WRITE,
    BY_SENDMSG,
    BY_SENDMMSG,
    BY_POLL,
    BY_PPOLL,
    BY_SELECT,
    BY_PSELECT,
    BY_MIXED_PPOLL,
    BY_EPOLL,
    WAYS
};

enum { ROUNDS = 3 };

static __thread sigjmp_buf jump;
static char big[1000000];

static void jump_out(int signo)
{
    (void)signo;
    siglongjmp(jump, 1);
}

static bool needs_socket(enum way way)
{
    return (way >= BY_RECV && way <= BY_RECVMMSG) || way == BY_SENDMSG || way == BY_SENDMMSG;
}

struct job {
    enum way way;
    int fds[2];
    int epoll;
    int event;   /* a real fd */
    int done[2]; /* the jumper writes here after each jump */
};

/* Blocks for ever; only the jump leads out. */
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
    case BY_RECVMSG: (void)!recvmsg(job->fds[0], &in.msg_hdr, 0); break;
    case BY_RECVMMSG: (void)recvmmsg(job->fds[0], &in, 1, 0, NULL); break;
    case BY_WRITE: (void)!write(job->fds[1], big, sizeof big); break;
    case BY_SENDMSG: (void)!sendmsg(job->fds[1], &out.msg_hdr, 0); break;
    case BY_SENDMMSG: (void)sendmmsg(job->fds[1], &out, 1, 0); break;
    case BY_POLL: (void)poll(&entry, 1, -1); break;
    case BY_PPOLL: (void)ppoll(&entry, 1, &long_time, &none); break;
    case BY_SELECT: (void)select(job->fds[0] + 1, &set, NULL, NULL, NULL); break;
    case BY_PSELECT: (void)pselect(job->fds[0] + 1, &set, NULL, NULL, NULL, &none); break;
    case BY_MIXED_PPOLL: (void)ppoll(mixed, 2, NULL, &none); break;
    default: (void)epoll_wait(job->epoll, &event, 1, -1); break;
    }
    CHECK(!"the blocked call returned");
}

static void check_mask(void)
{
    sigset_t now;
    CHECK_ZERO(pthread_sigmask(SIG_SETMASK, NULL, &now));
    CHECK_EQ(0, sigismember(&now, SIGUSR1)); /* sigsetjmp kept the mask of before */
    CHECK_EQ(1, sigismember(&now, SIGUSR2));
}

static void *jump_again_and_again(void *argument)
{
    struct job *job = argument;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    CHECK_ZERO(pthread_sigmask(SIG_BLOCK, &set, NULL));
    for (volatile int i = 0; i < ROUNDS; i++) {
        if (sigsetjmp(jump, 1) == 0) {
            block_in(job);
        }
        check_mask();
        CHECK_EQ(1, write(job->done[1], "j", 1));
    }
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
    CHECK_EQ(POLLIN, guest_poll(fds[0], POLLIN, -1));
    CHECK_EQ(3, read(fds[0], big, sizeof big));
    CHECK_MEM("abc", big, 3);
}

static bool moves_out(enum way way)
{
    return way == BY_WRITE || way == BY_SENDMSG || way == BY_SENDMMSG;
}

/* A second thread is blocked in a read of the same object all the while. */
static void jumps(int type, enum way way)
{
    struct job job = { .way = way };
    struct guest_thread jumper, reader;
    struct epoll_event event = { .events = EPOLLIN };
    char byte;
    if (type == 0) {
        guest_pipe(job.fds);
    } else {
        guest_pair(type, job.fds);
    }
    guest_pipe(job.done);
    job.epoll = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    job.event = (int)CHECK_OK(eventfd(0, EFD_CLOEXEC));
    if (way == BY_EPOLL) {
        CHECK_OK(epoll_ctl(job.epoll, EPOLL_CTL_ADD, job.fds[0], &event));
    }
    if (!moves_out(way)) {
        guest_thread_start(&reader, read_one, &job.fds[0]);
        guest_thread_blocked(&reader);
    }
    guest_thread_start(&jumper, jump_again_and_again, &job);
    for (int i = 0; i < ROUNDS; i++) {
        guest_thread_blocked(&jumper);
        CHECK_ZERO(pthread_kill(jumper.pthread, SIGUSR1));
        CHECK_EQ(1, read(job.done[0], &byte, 1));
    }
    guest_thread_join(&jumper);
    if (!moves_out(way)) {
        guest_thread_blocked(&reader);
        CHECK_EQ(1, write(job.fds[1], "r", 1));
        guest_thread_join(&reader);
    }
    still_works(job.fds);
    CHECK_OK(close(job.epoll));
    CHECK_OK(close(job.event));
    guest_close_both(job.done);
    guest_close_both(job.fds);
}

int main(void)
{
    guest_start();
    guest_on_signal(SIGUSR1, jump_out, SA_RESTART);
    for (int way = 0; way < WAYS; way++) {
        if (!needs_socket((enum way)way)) {
            jumps(0, (enum way)way);
        }
        jumps(SOCK_STREAM, (enum way)way);
    }
    return guest_end();
}
