/*
 * Proves: MSG_WAITALL waits for the whole count over several sends, and ends short on end-of-file,
 * a signal (SA_RESTART or not), a reset, and after a message with descriptors; MSG_DONTWAIT and
 * MSG_PEEK cancel it.
 *
 * Rows: 3.4 "MSG_WAITALL", 3.4 "MSG_PEEK", 3.9 "it stops after that message"
 */
#include "guest.h"

struct job {
    int fd;
    size_t size;
    ssize_t result;
    char buffer[300000];
};

static struct job job;

static void *receive_all(void *argument)
{
    (void)argument;
    job.result = recv(job.fd, job.buffer, job.size, MSG_WAITALL);
    return NULL;
}

static void start(struct guest_thread *thread, int fds[2], size_t size)
{
    guest_pair(SOCK_STREAM, fds);
    job.fd = fds[0];
    job.size = size;
    job.result = -2;
    guest_thread_start(thread, receive_all, NULL);
    guest_thread_blocked(thread);
    CHECK_EQ(3, write(fds[1], "abc", 3));
    guest_thread_blocked(thread);
}

static void finish(struct guest_thread *thread, ssize_t expected)
{
    guest_thread_join(thread);
    CHECK_EQ(expected, job.result);
    CHECK_MEM("abc", job.buffer, 3);
}

static void whole_count(void)
{
    int fds[2];
    struct guest_thread thread;
    start(&thread, fds, 6);
    CHECK_EQ(1, write(fds[1], "d", 1));
    guest_thread_blocked(&thread);
    CHECK_EQ(4, write(fds[1], "efgh", 4));
    finish(&thread, 6);
    CHECK_MEM("abcdef", job.buffer, 6);
    CHECK_EQ(2, recv(fds[0], job.buffer, 6, MSG_DONTWAIT));
    CHECK_MEM("gh", job.buffer, 2);
    guest_close_both(fds);
}

static void more_than_the_buffer_holds(void)
{
    int fds[2];
    static char big[300000];
    struct guest_thread thread;
    start(&thread, fds, sizeof big);
    guest_write_all(fds[1], big, sizeof big - 3);
    finish(&thread, sizeof big);
    guest_close_both(fds);
}

static void short_on_end_of_file(void)
{
    int fds[2];
    struct guest_thread thread;
    start(&thread, fds, 6);
    CHECK_OK(shutdown(fds[1], SHUT_WR));
    finish(&thread, 3);
    guest_close_both(fds);
    start(&thread, fds, 6);
    CHECK_OK(close(fds[1]));
    finish(&thread, 3);
    CHECK_OK(close(fds[0]));
}

static void short_on_reset(void)
{
    int fds[2];
    char byte;
    struct guest_thread thread;
    start(&thread, fds, 6);
    CHECK_EQ(1, write(fds[0], "u", 1));
    CHECK_OK(close(fds[1]));
    finish(&thread, 3);
    CHECK_EQ(0, read(fds[0], &byte, 1)); /* the reset went with the short count */
    CHECK_OK(close(fds[0]));
}

static void short_on_signal(int flags)
{
    int fds[2];
    struct guest_thread thread;
    guest_count_signal(SIGUSR1, flags);
    start(&thread, fds, 6);
    CHECK_ZERO(pthread_kill(thread.pthread, SIGUSR1));
    finish(&thread, 3);
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGUSR1]));
    guest_close_both(fds);
}

static void short_after_descriptors(void)
{
    int fds[2];
    struct guest_thread thread;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = { .space = { 0 } };
    struct iovec vector = { .iov_base = "d", .iov_len = 1 };
    struct msghdr message = { .msg_iov = &vector,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof control };
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    start(&thread, fds, 6);
    memcpy(CMSG_DATA(&control.header), &fds[1], sizeof(int));
    CHECK_EQ(1, sendmsg(fds[1], &message, 0)); /* recv drops the descriptor, but stops there */
    finish(&thread, 4);
    guest_close_both(fds);
}

static void cancelled_by_other_flags(void)
{
    int fds[2];
    char buffer[8];
    guest_pair(SOCK_STREAM, fds);
    CHECK_EQ(3, write(fds[1], "abc", 3));
    CHECK_EQ(3, recv(fds[0], buffer, 6, MSG_WAITALL | MSG_PEEK));
    CHECK_EQ(3, recv(fds[0], buffer, 6, MSG_WAITALL | MSG_DONTWAIT));
    CHECK_ERR(EAGAIN, recv(fds[0], buffer, 6, MSG_WAITALL | MSG_DONTWAIT));
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    whole_count();
    more_than_the_buffer_holds();
    short_on_end_of_file();
    short_on_reset();
    short_on_signal(0);
    short_on_signal(SA_RESTART);
    short_after_descriptors();
    cancelled_by_other_flags();
    return guest_end();
}
