/*
 * Proves: how every blocking call that moves bytes ends when a handler interrupts it: EINTR without
 * SA_RESTART, a restart with it, EINTR with both once the socket has a time-out for that direction;
 * pipes, stream and SEQPACKET sockets. What was moved before the signal is returned as a count,
 * whatever the flags.
 *
 * Rows: 5.5 "pipe read/write, unix read/recv/send/accept/connect without SO_*TIMEO", 5.5 "same with
 * SO_RCVTIMEO/SNDTIMEO set", 2.2 "unless interrupted by a signal"
 */
#include "guest.h"

enum how {
    BY_READ,
    BY_READV,
    BY_PREADV2,
    BY_RECV,
    BY_RECVFROM,
    BY_RECVMSG,
    BY_RECVMMSG,
    BY_WRITE,
    BY_WRITEV,
    BY_PWRITEV2,
    BY_SEND,
    BY_SENDTO,
    BY_SENDMSG,
    BY_SENDMMSG,
    HOW_COUNT
};

enum { BIG = 1000000, PIPE = 0 };

static char big[BIG];

struct job {
    int fd;
    enum how how;
    int flags; /* MSG_ */
    size_t size;
    long result;
    int error;
};

static bool writes(enum how how)
{
    return how >= BY_WRITE;
}

static bool works_on_pipes(enum how how)
{
    return how <= BY_PREADV2 || (how >= BY_WRITE && how <= BY_PWRITEV2);
}

static long call(const struct job *job)
{
    struct iovec vector = { .iov_base = big, .iov_len = job->size };
    struct mmsghdr one = { .msg_hdr = { .msg_iov = &vector, .msg_iovlen = 1 } };
    switch (job->how) {
    case BY_READ: return read(job->fd, big, job->size);
    case BY_READV: return readv(job->fd, &vector, 1);
    case BY_PREADV2: return preadv2(job->fd, &vector, 1, -1, 0);
    case BY_RECV: return recv(job->fd, big, job->size, job->flags);
    case BY_RECVFROM: return recvfrom(job->fd, big, job->size, job->flags, NULL, NULL);
    case BY_RECVMSG: return recvmsg(job->fd, &one.msg_hdr, job->flags);
    case BY_RECVMMSG: return recvmmsg(job->fd, &one, 1, job->flags, NULL);
    case BY_WRITE: return write(job->fd, big, job->size);
    case BY_WRITEV: return writev(job->fd, &vector, 1);
    case BY_PWRITEV2: return pwritev2(job->fd, &vector, 1, -1, 0);
    case BY_SEND: return send(job->fd, big, job->size, job->flags);
    case BY_SENDTO: return sendto(job->fd, big, job->size, job->flags, NULL, 0);
    case BY_SENDMSG: return sendmsg(job->fd, &one.msg_hdr, job->flags);
    default: return sendmmsg(job->fd, &one, 1, job->flags);
    }
}

static void *call_once(void *argument)
{
    struct job *job = argument;
    job->result = call(job);
    job->error = errno;
    return NULL;
}

static void open_channel(int type, int fds[2])
{
    if (type == PIPE) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
}

static void set_timeout(int fd, bool sending)
{
    const struct timeval value = { 20, 0 };
    CHECK_OK(setsockopt(fd, SOL_SOCKET, sending ? SO_SNDTIMEO : SO_RCVTIMEO, &value, sizeof value));
}

static void signal_and_see(struct guest_thread *thread, int count)
{
    CHECK_ZERO(pthread_kill(thread->pthread, SIGUSR1));
    while (atomic_load(&guest_signal_count[SIGUSR1]) < count) { /* bounded by the deadline */
        sched_yield();
    }
}

static void fill(int type, int fd)
{
    if (type == PIPE) {
        guest_pipe_fill(fd);
    } else {
        guest_socket_fill(fd, 4096);
    }
}

static void drain(int fd)
{
    guest_set_nonblock(fd, true);
    while (read(fd, big, sizeof big) > 0) {
    }
    CHECK_EQ(EAGAIN, errno);
    guest_set_nonblock(fd, false);
}

enum { NO_TIMEOUT, SAME_WAY, OTHER_WAY };

/* Nothing moved: one cell of the table. A time-out for the other direction doesn't matter. */
static void interrupted(int type, enum how how, int flags, int timeout)
{
    int fds[2];
    struct guest_thread thread;
    open_channel(type, fds);
    struct job job = { .fd = fds[writes(how)], .how = how, .size = 1 };
    if (writes(how)) {
        fill(type, fds[1]);
    }
    if (timeout != NO_TIMEOUT) {
        set_timeout(job.fd, (timeout == SAME_WAY) == writes(how));
    }
    guest_count_signal(SIGUSR1, flags);
    guest_thread_start(&thread, call_once, &job);
    guest_thread_blocked(&thread);
    signal_and_see(&thread, 1);
    if (flags == SA_RESTART && timeout != SAME_WAY) {
        guest_thread_blocked(&thread);
        signal_and_see(&thread, 2);
        guest_thread_blocked(&thread);
        if (writes(how)) {
            drain(fds[0]);
        } else {
            CHECK_EQ(1, write(fds[1], "x", 1));
        }
        guest_thread_join(&thread);
        CHECK_EQ(1, job.result);
    } else {
        guest_thread_join(&thread);
        CHECK_EQ(-1, job.result);
        CHECK_EQ(EINTR, job.error);
    }
    guest_close_both(fds);
}

/* Part of a large write went: its size is what the other end can read. */
static void partial_write(int type, enum how how, int flags, bool timeout)
{
    int fds[2], available;
    struct guest_thread thread;
    open_channel(type, fds);
    struct job job = { .fd = fds[1], .how = how, .size = BIG };
    if (timeout) {
        set_timeout(fds[1], true);
    }
    guest_count_signal(SIGUSR1, flags);
    guest_thread_start(&thread, call_once, &job);
    guest_thread_blocked(&thread);
    CHECK_OK(ioctl(fds[0], FIONREAD, &available));
    signal_and_see(&thread, 1);
    guest_thread_join(&thread);
    CHECK_EQ(how == BY_SENDMMSG ? 1 : available, job.result);
    CHECK(available > 0 && available < BIG);
    CHECK_EQ(available, read(fds[0], big, sizeof big));
    guest_close_both(fds);
}

/* MSG_WAITALL got a part. */
static void partial_receive(enum how how, int flags, bool timeout)
{
    int fds[2];
    struct guest_thread thread;
    guest_pair(SOCK_STREAM, fds);
    struct job job = { .fd = fds[0], .how = how, .flags = MSG_WAITALL, .size = 10 };
    if (timeout) {
        set_timeout(fds[0], false);
    }
    CHECK_EQ(3, write(fds[1], "abc", 3));
    guest_count_signal(SIGUSR1, flags);
    guest_thread_start(&thread, call_once, &job);
    guest_thread_blocked(&thread);
    signal_and_see(&thread, 1);
    guest_thread_join(&thread);
    CHECK_EQ(how == BY_RECVMMSG ? 1 : 3, job.result);
    CHECK_MEM("abc", big, 3);
    guest_close_both(fds);
}

int main(void)
{
    static const int all_flags[] = { 0, SA_RESTART };
    guest_start();
    for (int i = 0; i < 2; i++) {
        int flags = all_flags[i];
        for (int how = 0; how < HOW_COUNT; how++) {
            if (works_on_pipes((enum how)how)) {
                interrupted(PIPE, (enum how)how, flags, NO_TIMEOUT);
            }
            for (int timeout = NO_TIMEOUT; timeout <= OTHER_WAY; timeout++) {
                interrupted(SOCK_STREAM, (enum how)how, flags, timeout);
                interrupted(SOCK_SEQPACKET, (enum how)how, flags, timeout);
            }
            if (writes((enum how)how)) {
                if (works_on_pipes((enum how)how)) {
                    partial_write(PIPE, (enum how)how, flags, false);
                }
                partial_write(SOCK_STREAM, (enum how)how, flags, false);
                partial_write(SOCK_STREAM, (enum how)how, flags, true);
            } else if (how >= BY_RECV) {
                partial_receive((enum how)how, flags, false);
                partial_receive((enum how)how, flags, true);
            }
        }
    }
    return guest_end();
}
