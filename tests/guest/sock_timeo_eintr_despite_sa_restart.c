/*
 * Proves: a blocked socket call restarts under SA_RESTART only if the socket has no time-out for
 * that direction; with SO_RCVTIMEO or SO_SNDTIMEO set it fails with EINTR. Without SA_RESTART it is
 * always EINTR.
 *
 * Rows: 3.8 "any call with such a timeout interrupted by a signal", 5.5 "pipe read/write, unix
 * read/recv/send", 5.5 "same with SO_RCVTIMEO/SNDTIMEO set"
 */
#include "guest.h"

enum how { BY_READ, BY_RECV, BY_RECVMSG, BY_WRITE, BY_SEND, BY_SENDMSG, HOW_COUNT };

struct job {
    int fd;
    enum how how;
    ssize_t result;
    int error;
};

static void *call_once(void *argument)
{
    struct job *job = argument;
    char byte = 'x';
    struct iovec vector = { .iov_base = &byte, .iov_len = 1 };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
    switch (job->how) {
    case BY_READ: job->result = read(job->fd, &byte, 1); break;
    case BY_RECV: job->result = recv(job->fd, &byte, 1, 0); break;
    case BY_RECVMSG: job->result = recvmsg(job->fd, &message, 0); break;
    case BY_WRITE: job->result = write(job->fd, &byte, 1); break;
    case BY_SEND: job->result = send(job->fd, &byte, 1, 0); break;
    default: job->result = sendmsg(job->fd, &message, 0); break;
    }
    job->error = errno;
    return NULL;
}

static bool is_write(enum how how)
{
    return how >= BY_WRITE;
}

static void let_go(const int fds[2], enum how how)
{
    char buffer[4096];
    if (is_write(how)) {
        while (recv(fds[1], buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
        }
    } else {
        CHECK_EQ(1, write(fds[1], "x", 1));
    }
}

static void interrupted(int type, enum how how, int flags, bool timeout)
{
    int fds[2];
    struct guest_thread thread;
    const struct timeval value = { 20, 0 };
    guest_pair(type, fds);
    if (is_write(how)) {
        guest_socket_fill(fds[0], 4096);
    }
    if (timeout) {
        CHECK_OK(setsockopt(fds[0], SOL_SOCKET, is_write(how) ? SO_SNDTIMEO : SO_RCVTIMEO, &value,
                            sizeof value));
    }
    guest_count_signal(SIGUSR1, flags);
    struct job job = { .fd = fds[0], .how = how };
    guest_thread_start(&thread, call_once, &job);
    guest_thread_blocked(&thread);
    CHECK_ZERO(pthread_kill(thread.pthread, SIGUSR1));
    while (atomic_load(&guest_signal_count[SIGUSR1]) == 0) {
        sched_yield();
    }
    if (flags == SA_RESTART && !timeout) {
        guest_thread_blocked(&thread);
        let_go(fds, how);
        guest_thread_join(&thread);
        CHECK_EQ(1, job.result);
    } else {
        guest_thread_join(&thread);
        CHECK_EQ(-1, job.result);
        CHECK_EQ(EINTR, job.error);
    }
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGUSR1]));
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    for (int how = 0; how < HOW_COUNT; how++) {
        interrupted(SOCK_STREAM, (enum how)how, SA_RESTART, true);
        interrupted(SOCK_STREAM, (enum how)how, SA_RESTART, false);
        interrupted(SOCK_STREAM, (enum how)how, 0, false);
        interrupted(SOCK_SEQPACKET, (enum how)how, SA_RESTART, true);
        interrupted(SOCK_SEQPACKET, (enum how)how, SA_RESTART, false);
    }
    return guest_end();
}
