/*
 * Proves: what is read after the peer closed with unread data: a stream gives all data, then
 * ECONNRESET once, then end-of-file; SEQPACKET gives ECONNRESET first. It is the same when the peer
 * is another process that exits or is killed; SO_ERROR takes the error instead.
 *
 * Rows: 3.4 "data and pending ECONNRESET", 3.5 "we close with unread data", 3.3 "peer closed with
 * unread data of ours, then we write", 3.3 "SEQPACKET: order is sk_err first", 3.6 "peer closed
 * with unread data", 3.8 "SO_ERROR get"
 */
#include "guest.h"

enum { EXITS, IS_KILLED, CLOSES };

/* fds[0] has "data" to read, then its peer goes away with one unread byte of ours. */
static int reset_socket(int type, int peer)
{
    int fds[2], status;
    guest_pair(type, fds);
    CHECK_EQ(1, write(fds[0], "u", 1));
    if (peer == CLOSES) {
        CHECK_EQ(4, write(fds[1], "data", 4));
        CHECK_OK(close(fds[1]));
        return fds[0];
    }
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(fds[0]));
        CHECK_EQ(4, write(fds[1], "data", 4));
        if (peer == IS_KILLED) {
            raise(SIGSTOP);
        }
        _exit(0);
    }
    CHECK_OK(close(fds[1]));
    if (peer == IS_KILLED) {
        CHECK_EQ(pid, waitpid(pid, &status, WUNTRACED));
        CHECK_OK(kill(pid, SIGKILL));
        guest_wait_killed(pid, SIGKILL);
    } else {
        guest_wait_exit(pid, 0);
    }
    return fds[0];
}

static void read_order(int type, int peer)
{
    char buffer[8];
    int fd = reset_socket(type, peer);
    CHECK_EQ(POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLERR,
             guest_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0));
    if (type == SOCK_SEQPACKET) {
        CHECK_ERR(ECONNRESET, read(fd, buffer, sizeof buffer));
    }
    CHECK_EQ(type == SOCK_STREAM ? 2 : 4, read(fd, buffer, type == SOCK_STREAM ? 2 : 8));
    if (type == SOCK_STREAM) {
        CHECK_EQ(2, read(fd, buffer, sizeof buffer));
        CHECK_MEM("ta", buffer, 2);
        CHECK_ERR(ECONNRESET, read(fd, buffer, sizeof buffer));
    }
    CHECK_EQ(0, read(fd, buffer, sizeof buffer));
    CHECK_EQ(0, read(fd, buffer, sizeof buffer));
    CHECK_EQ(POLLIN | POLLOUT | POLLRDHUP | POLLHUP,
             guest_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0));
    CHECK_OK(close(fd));
}

static void so_error_takes_it(int type)
{
    char buffer[8];
    int error = -1;
    socklen_t size = sizeof error;
    int fd = reset_socket(type, CLOSES);
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size));
    CHECK_EQ(ECONNRESET, error);
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size));
    CHECK_EQ(0, error);
    CHECK_EQ(4, read(fd, buffer, sizeof buffer));
    CHECK_EQ(0, read(fd, buffer, sizeof buffer));
    CHECK_OK(close(fd));
}

static void write_after_the_reset(void)
{
    char buffer[8];
    guest_count_signal(SIGPIPE, 0);
    int fd = reset_socket(SOCK_STREAM, CLOSES);
    CHECK_ERR(EPIPE, write(fd, "x", 1));
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGPIPE]));
    CHECK_EQ(4, read(fd, buffer, sizeof buffer));
    CHECK_ERR(ECONNRESET, read(fd, buffer, sizeof buffer)); /* the write didn't take it */
    CHECK_EQ(0, read(fd, buffer, sizeof buffer));
    CHECK_OK(close(fd));
    fd = reset_socket(SOCK_SEQPACKET, CLOSES);
    CHECK_ERR(ECONNRESET, write(fd, "x", 1));
    CHECK_ERR(EPIPE, write(fd, "x", 1));
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGPIPE]));
    CHECK_EQ(4, read(fd, buffer, sizeof buffer));
    CHECK_OK(close(fd));
}

static void *read_reset(void *argument)
{
    char byte;
    CHECK_ERR(ECONNRESET, read(*(int *)argument, &byte, 1));
    CHECK_EQ(0, read(*(int *)argument, &byte, 1));
    return NULL;
}

static void blocked_reader_gets_it(int type)
{
    int fds[2];
    struct guest_thread reader;
    guest_pair(type, fds);
    CHECK_EQ(1, write(fds[0], "u", 1));
    guest_thread_start(&reader, read_reset, &fds[0]);
    guest_thread_blocked(&reader);
    CHECK_OK(close(fds[1]));
    guest_thread_join(&reader);
    CHECK_OK(close(fds[0]));
}

int main(void)
{
    static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
    guest_start();
    for (int i = 0; i < 2; i++) {
        read_order(types[i], CLOSES);
        read_order(types[i], EXITS);
        read_order(types[i], IS_KILLED);
        so_error_takes_it(types[i]);
        blocked_reader_gets_it(types[i]);
    }
    write_after_the_reset();
    return guest_end();
}
