/*
 * Proves: SO_RCVTIMEO and SO_SNDTIMEO bound each blocking call: EAGAIN not before the time-out, at
 * once for a negative one, data in time is returned, what was moved before the time-out counts.
 *
 * Rows: 3.8 "SO_RCVTIMEO/SNDTIMEO", 3.4 "empty, O_NONBLOCK/MSG_DONTWAIT/SO_RCVTIMEO expired",
 * 3.4 "MSG_WAITALL", 3.7 "Chunking of one stream write"
 */
#include "guest.h"

enum { SHORT_MS = 60, UPPER_MS = 10000 };

static void set_timeout(int fd, int option, long seconds, long microseconds)
{
    const struct timeval value = { seconds, microseconds };
    CHECK_OK(setsockopt(fd, SOL_SOCKET, option, &value, sizeof value));
}

static void check_elapsed(int64_t start)
{
    int64_t elapsed = guest_now_ms() - start;
    CHECK(elapsed >= SHORT_MS - 1); /* the clock is cut to milliseconds */
    CHECK(elapsed < UPPER_MS);
}

static void receive_expires(int type)
{
    int fds[2];
    char buffer[8];
    struct iovec vector = { .iov_base = buffer, .iov_len = sizeof buffer };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
    guest_pair(type, fds);
    set_timeout(fds[0], SO_RCVTIMEO, 0, SHORT_MS * 1000);
    int64_t start = guest_now_ms();
    CHECK_ERR(EAGAIN, read(fds[0], buffer, sizeof buffer));
    check_elapsed(start);
    start = guest_now_ms();
    CHECK_ERR(EAGAIN, recvmsg(fds[0], &message, 0));
    check_elapsed(start);
    start = guest_now_ms();
    CHECK_ERR(EAGAIN, readv(fds[0], &vector, 1));
    check_elapsed(start);
    start = guest_now_ms();
    CHECK_ERR(EAGAIN, recv(fds[0], buffer, sizeof buffer, MSG_PEEK));
    check_elapsed(start);
    CHECK_EQ(3, write(fds[1], "abc", 3));
    CHECK_EQ(3, read(fds[0], buffer, sizeof buffer));
    guest_close_both(fds);
}

static void *write_when_asked(void *argument)
{
    const int *fds = argument;
    guest_process_blocked(getpid());
    CHECK_EQ(2, write(fds[1], "in", 2));
    return NULL;
}

static void data_in_time(int type)
{
    int fds[2];
    char buffer[8];
    struct guest_thread writer;
    guest_pair(type, fds);
    set_timeout(fds[0], SO_RCVTIMEO, 20, 0);
    guest_thread_start(&writer, write_when_asked, fds);
    int64_t start = guest_now_ms();
    CHECK_EQ(2, read(fds[0], buffer, sizeof buffer));
    CHECK(guest_now_ms() - start < UPPER_MS);
    guest_thread_join(&writer);
    guest_close_both(fds);
}

static void waitall_gives_what_came(void)
{
    int fds[2];
    char buffer[8];
    guest_pair(SOCK_STREAM, fds);
    set_timeout(fds[0], SO_RCVTIMEO, 0, SHORT_MS * 1000);
    CHECK_EQ(3, write(fds[1], "abc", 3));
    int64_t start = guest_now_ms();
    CHECK_EQ(3, recv(fds[0], buffer, sizeof buffer, MSG_WAITALL));
    check_elapsed(start);
    guest_close_both(fds);
}

static void send_expires(int type)
{
    int fds[2];
    static char big[1000000];
    guest_pair(type, fds);
    guest_socket_fill(fds[0], 4096);
    set_timeout(fds[0], SO_SNDTIMEO, 0, SHORT_MS * 1000);
    int64_t start = guest_now_ms();
    CHECK_ERR(EAGAIN, write(fds[0], big, 10));
    check_elapsed(start);
    start = guest_now_ms();
    CHECK_ERR(EAGAIN, send(fds[0], big, 10, 0));
    check_elapsed(start);
    CHECK_EQ(4096, read(fds[1], big, 4096));
    CHECK_EQ(10, write(fds[0], big, 10)); /* there is room: no time-out matters */
    guest_close_both(fds);
    if (type == SOCK_STREAM) {
        guest_pair(type, fds);
        set_timeout(fds[0], SO_SNDTIMEO, 0, SHORT_MS * 1000);
        start = guest_now_ms();
        ssize_t count = CHECK_OK(write(fds[0], big, sizeof big));
        check_elapsed(start);
        CHECK(count > 0 && count < (ssize_t)sizeof big);
        CHECK_EQ(count, read(fds[1], big, sizeof big));
        guest_close_both(fds);
    }
}

static void negative_is_at_once(void)
{
    int fds[2];
    char byte;
    guest_pair(SOCK_STREAM, fds);
    set_timeout(fds[0], SO_RCVTIMEO, -1, 0);
    int64_t start = guest_now_ms();
    CHECK_ERR(EAGAIN, read(fds[0], &byte, 1));
    CHECK(guest_now_ms() - start < UPPER_MS);
    CHECK_EQ(O_RDWR, fcntl(fds[0], F_GETFL));
    guest_close_both(fds);
}

/* The option belongs to the socket, not to the descriptor or the process. */
static void shared_by_dup_and_fork(void)
{
    int fds[2];
    char byte;
    guest_pair(SOCK_STREAM, fds);
    int copy = (int)CHECK_OK(dup(fds[0]));
    pid_t pid = guest_fork();
    if (pid == 0) {
        set_timeout(copy, SO_RCVTIMEO, 0, SHORT_MS * 1000);
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    int64_t start = guest_now_ms();
    CHECK_ERR(EAGAIN, read(fds[0], &byte, 1));
    check_elapsed(start);
    CHECK_OK(close(copy));
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    receive_expires(SOCK_STREAM);
    receive_expires(SOCK_SEQPACKET);
    data_in_time(SOCK_STREAM);
    data_in_time(SOCK_SEQPACKET);
    waitall_gives_what_came();
    send_expires(SOCK_STREAM);
    send_expires(SOCK_SEQPACKET);
    negative_is_at_once();
    shared_by_dup_and_fork();
    return guest_end();
}
