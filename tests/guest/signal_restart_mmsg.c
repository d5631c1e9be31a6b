/*
 * Proves: a handler that interrupts sendmmsg or recvmmsg behind the first entry ends the call with
 * the count of whole entries, with SA_RESTART, too; only in the first entry is it EINTR or a
 * restart. recvmmsg leaves its inner error in the socket.
 *
 * Rows: 5.5 "pipe read/write, unix read/recv/send/accept/connect without SO_*TIMEO", 4.2 "error on
 * entry k>0", 4.3 "other error after k>0"
 */
#include "guest.h"

enum { SIZE = 4096, COUNT = 3 };

struct job {
    int fd;
    bool sends;
    int result;
    int error;
};

static void *call_once(void *argument)
{
    struct job *job = argument;
    static char data[COUNT][SIZE];
    struct iovec vectors[COUNT];
    struct mmsghdr many[COUNT] = { 0 };
    for (int i = 0; i < COUNT; i++) {
        vectors[i] = (struct iovec){ .iov_base = data[i], .iov_len = SIZE };
        many[i].msg_hdr = (struct msghdr){ .msg_iov = &vectors[i], .msg_iovlen = 1 };
    }
    job->result = job->sends ? sendmmsg(job->fd, many, COUNT, 0)
                             : recvmmsg(job->fd, many, COUNT, 0, NULL);
    job->error = errno;
    return NULL;
}

/* Brings the sender to where exactly one entry goes without sleeping. */
static void leave_room_for_one(const int fds[2])
{
    char data[SIZE];
    int count = 0;
    guest_socket_fill(fds[0], SIZE);
    do {
        CHECK_EQ(SIZE, read(fds[1], data, SIZE));
    } while (guest_poll(fds[0], POLLOUT, 0) == 0);
    while (send(fds[0], data, SIZE, MSG_DONTWAIT) > 0) {
        count++;
    }
    CHECK(count > 1);
    CHECK_EQ(SIZE, read(fds[1], data, SIZE));
}

static void behind_the_first_entry(int type, bool sends, int flags)
{
    int fds[2], error = 0;
    struct guest_thread thread;
    guest_pair(type, fds);
    struct job job = { .fd = fds[0], .sends = sends };
    if (sends) {
        leave_room_for_one(fds);
    } else {
        CHECK_EQ(4, write(fds[1], "mess", 4));
    }
    guest_count_signal(SIGUSR1, flags);
    guest_thread_start(&thread, call_once, &job);
    guest_thread_blocked(&thread);
    CHECK_ZERO(pthread_kill(thread.pthread, SIGUSR1));
    guest_thread_join(&thread);
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGUSR1]));
    CHECK_EQ(1, job.result);
    socklen_t size = sizeof error;
    CHECK_OK(getsockopt(fds[0], SOL_SOCKET, SO_ERROR, &error, &size));
    CHECK_EQ(sends ? 0 : 512, error); /* ERESTARTSYS, which no program should ever see */
    guest_close_both(fds);
}

int main(void)
{
    static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
    guest_start();
    for (int i = 0; i < 2; i++) {
        for (int sends = 0; sends < 2; sends++) {
            behind_the_first_entry(types[i], sends, 0);
            behind_the_first_entry(types[i], sends, SA_RESTART);
        }
    }
    return guest_end();
}
