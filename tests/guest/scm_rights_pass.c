/*
 * Proves: descriptors passed over a socketpair, to oneself and to a child: pipe ends, a regular
 * file, ends of a socketpair (also of the one they travel on); they are the same open file
 * description, keep their object alive while in flight, and count as open ends.
 *
 * Rows: 3.9 "received fd", 3.9 "unread descriptors at close", 3.9 "read()/recv() or msg_control
 * NULL", 5.1 "sharing"
 */
#include <sys/mman.h>

#include "message.h"

#define ROOM CMSG_SPACE(sizeof(int) * 4)

static void pass_one(const int channel[2], int fd, int *ret_fd)
{
    struct message_received received;
    CHECK_EQ(1, message_send(channel[0], "m", 1, &fd, 1));
    message_receive(channel[1], 1, ROOM, 0, &received);
    CHECK_EQ(1, received.size);
    CHECK_EQ(1, received.fd_count);
    CHECK_EQ(0, received.flags);
    CHECK_EQ(0, fcntl(received.fds[0], F_GETFD));
    *ret_fd = received.fds[0];
}

static void pipe_ends_to_oneself(const int channel[2])
{
    int fds[2], passed;
    char buffer[8];
    guest_pipe(fds);
    CHECK_EQ(5, write(fds[1], "early", 5));
    pass_one(channel, fds[0], &passed);
    CHECK_EQ(2, read(passed, buffer, 2));
    guest_set_nonblock(passed, true);
    CHECK_EQ(O_NONBLOCK, fcntl(fds[0], F_GETFL)); /* one description */
    CHECK_OK(close(fds[0]));
    CHECK_EQ(3, read(passed, buffer, sizeof buffer));
    CHECK_OK(close(passed));
    CHECK_ERR(EPIPE, write(fds[1], "x", 1));
    CHECK_OK(close(fds[1]));
}

static void keeps_it_open_in_flight(const int channel[2])
{
    int fds[2];
    char byte;
    struct message_received received;
    guest_pipe(fds);
    guest_set_nonblock(fds[0], true);
    CHECK_EQ(1, message_send(channel[0], "m", 1, &fds[1], 1));
    CHECK_OK(close(fds[1]));
    CHECK_ERR(EAGAIN, read(fds[0], &byte, 1)); /* the message is a writer */
    CHECK_EQ(0, guest_poll(fds[0], POLLIN, 0));
    message_receive(channel[1], 1, ROOM, 0, &received);
    CHECK_EQ(1, write(received.fds[0], "x", 1));
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_OK(close(received.fds[0]));
    CHECK_EQ(0, read(fds[0], &byte, 1));
    CHECK_OK(close(fds[0]));
}

static void dropped_descriptors_are_closed(int type)
{
    int fds[2], channel[2];
    char byte;
    guest_pipe(fds);
    guest_pair(type, channel);
    CHECK_EQ(1, message_send(channel[0], "m", 1, &fds[1], 1));
    CHECK_OK(close(fds[1]));
    CHECK_EQ(1, read(channel[1], &byte, 1)); /* a plain read drops it */
    CHECK_EQ(0, read(fds[0], &byte, 1));
    CHECK_OK(close(fds[0]));
    guest_pipe(fds);
    CHECK_EQ(1, message_send(channel[0], "m", 1, &fds[1], 1));
    CHECK_OK(close(fds[1]));
    guest_close_both(channel); /* closed unread: so is what travelled in it */
    CHECK_EQ(0, read(fds[0], &byte, 1));
    CHECK_OK(close(fds[0]));
}

static void files_and_sockets(const int channel[2])
{
    int pair[2], passed;
    char buffer[8];
    int file = (int)CHECK_OK(memfd_create("file", MFD_CLOEXEC));
    CHECK_EQ(4, write(file, "file", 4));
    pass_one(channel, file, &passed);
    CHECK_EQ(4, lseek(passed, 0, SEEK_CUR));
    CHECK_EQ(1, lseek(passed, 1, SEEK_SET));
    CHECK_EQ(3, read(file, buffer, sizeof buffer));
    CHECK_OK(close(passed));
    CHECK_OK(close(file));
    guest_pair(SOCK_SEQPACKET, pair);
    CHECK_EQ(2, write(pair[1], "in", 2));
    pass_one(channel, pair[0], &passed);
    CHECK_OK(close(pair[0]));
    CHECK_EQ(2, read(passed, buffer, sizeof buffer));
    CHECK_EQ(3, write(passed, "out", 3));
    CHECK_EQ(3, read(pair[1], buffer, sizeof buffer));
    CHECK_OK(close(passed));
    CHECK_EQ(0, read(pair[1], buffer, 1));
    CHECK_OK(close(pair[1]));
}

/* A socket that travels over itself: both numbers then are the same end. */
static void over_itself(void)
{
    int channel[2], passed;
    char buffer[8];
    guest_pair(SOCK_STREAM, channel);
    pass_one(channel, channel[0], &passed);
    CHECK_OK(close(channel[0]));
    CHECK_EQ(1, write(passed, "x", 1));
    CHECK_EQ(1, read(channel[1], buffer, 1));
    CHECK_OK(close(passed));
    CHECK_EQ(0, read(channel[1], buffer, 1));
    CHECK_OK(close(channel[1]));
}

/* The child gets a pipe and a socket it didn't inherit, and a file's shared offset. */
static void to_a_child(void)
{
    int channel[2], result[2], pair[2], fds[3];
    char buffer[16];
    guest_pair(SOCK_STREAM, channel);
    pid_t pid = guest_fork();
    if (pid == 0) {
        struct message_received received;
        CHECK_OK(close(channel[0]));
        message_receive(channel[1], 8, ROOM, MSG_CMSG_CLOEXEC, &received);
        CHECK_EQ(3, received.fd_count);
        CHECK_EQ(FD_CLOEXEC, fcntl(received.fds[0], F_GETFD));
        CHECK_EQ(6, write(received.fds[0], "child ", 6));
        CHECK_EQ(4, read(received.fds[1], buffer, sizeof buffer));
        CHECK_EQ(4, write(received.fds[0], buffer, 4));
        CHECK_EQ(2, read(received.fds[2], buffer, 2));
        CHECK_EQ(0, read(received.fds[1], buffer, 1)); /* blocks until the parent closes */
        _exit(0);
    }
    CHECK_OK(close(channel[1]));
    guest_process_blocked(pid);
    guest_pipe(result);
    guest_pair(SOCK_STREAM, pair);
    fds[0] = result[1];
    fds[1] = pair[1];
    fds[2] = (int)CHECK_OK(memfd_create("file", MFD_CLOEXEC));
    CHECK_EQ(4, write(fds[2], "file", 4));
    CHECK_EQ(0, lseek(fds[2], 0, SEEK_SET));
    CHECK_EQ(4, write(pair[0], "sent", 4));
    CHECK_EQ(1, message_send(channel[0], "m", 1, fds, 3));
    CHECK_OK(close(result[1]));
    CHECK_OK(close(pair[1]));
    CHECK_EQ(10, guest_read_all(result[0], buffer, 10));
    CHECK_MEM("child sent", buffer, 10);
    guest_process_blocked(pid);
    CHECK_EQ(2, lseek(fds[2], 0, SEEK_CUR));
    CHECK_OK(close(pair[0]));
    CHECK_EQ(0, read(result[0], buffer, 1));
    guest_wait_exit(pid, 0);
    CHECK_OK(close(result[0]));
    CHECK_OK(close(fds[2]));
    CHECK_OK(close(channel[0]));
}

int main(void)
{
    static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
    int channel[2];
    guest_start();
    guest_on_signal(SIGPIPE, SIG_IGN, 0);
    for (int i = 0; i < 2; i++) {
        guest_pair(types[i], channel);
        pipe_ends_to_oneself(channel);
        keeps_it_open_in_flight(channel);
        files_and_sockets(channel);
        guest_close_both(channel);
        dropped_descriptors_are_closed(types[i]);
    }
    over_itself();
    to_a_child();
    return guest_end();
}
