/*
 * Proves: where descriptors travel in a stream and how they are cut: joined with earlier plain
 * bytes, never with later messages; truncated control buffers (MSG_CTRUNC), MSG_CMSG_CLOEXEC,
 * MSG_PEEK's duplicates, EMFILE while installing, and the errors of sending.
 *
 * Rows: 3.9 (all "Receiving" rows but SO_PASSCRED; of "Sending": "SCM_RIGHTS: bad/closed fd",
 * ">253", "cmsg_len < 16", "unknown type", "stream send of 0 bytes with descriptors", "long stream
 * send split in chunks")
 */
#include <sys/resource.h>

#include "message.h"

#define ROOM CMSG_SPACE(sizeof(int) * 4)

static int channel[2], pipe_fds[2];

static void close_received(const struct message_received *received)
{
    for (int i = 0; i < received->fd_count; i++) {
        CHECK_OK(close(received->fds[i]));
    }
}

static void order_in_the_stream(void)
{
    struct message_received received;
    CHECK_EQ(5, write(channel[0], "plain", 5));
    CHECK_EQ(4, message_send(channel[0], "with", 4, pipe_fds, 1));
    CHECK_EQ(5, write(channel[0], "after", 5));
    message_receive(channel[1], 64, ROOM, 0, &received);
    CHECK_EQ(9, received.size); /* joined with what came before, stops after it */
    CHECK_EQ(1, received.fd_count);
    close_received(&received);
    message_receive(channel[1], 64, ROOM, 0, &received);
    CHECK_EQ(5, received.size);
    CHECK_EQ(0, received.fd_count);
    CHECK_EQ(6, message_send(channel[0], "abcdef", 6, pipe_fds, 2));
    message_receive(channel[1], 2, ROOM, 0, &received);
    CHECK_EQ(2, received.fd_count); /* all of them with the first byte */
    close_received(&received);
    message_receive(channel[1], 64, ROOM, 0, &received);
    CHECK_EQ(4, received.size);
    CHECK_EQ(0, received.fd_count);
}

static void small_control_buffers(void)
{
    static const struct {
        size_t room;
        int count;
        size_t used;
    } cases[] = { { CMSG_LEN(4) - 1, 0, 0 },
                  { CMSG_LEN(4), 1, CMSG_LEN(4) },
                  { CMSG_SPACE(4), 2, CMSG_SPACE(4) },
                  { CMSG_LEN(12), 3, CMSG_LEN(12) },
                  { CMSG_SPACE(16), 3, CMSG_SPACE(12) } };
    const int fds[] = { pipe_fds[0], pipe_fds[1], channel[0] };
    struct message_received received;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_EQ(1, message_send(channel[0], "m", 1, fds, 3));
        message_receive(channel[1], 1, cases[i].room, 0, &received);
        CHECK_EQ(cases[i].count, received.fd_count);
        CHECK_EQ(cases[i].used, received.control_size);
        CHECK_EQ(cases[i].count < 3 ? MSG_CTRUNC : 0, received.flags);
        close_received(&received);
    }
    CHECK_EQ(1, message_send(channel[0], "m", 1, fds, 1));
    message_receive(channel[1], 1, 0, 0, &received);
    CHECK_EQ(MSG_CTRUNC, received.flags);
}

static void flags_of_the_receiver(void)
{
    struct message_received received;
    CHECK_EQ(1, message_send(channel[0], "m", 1, pipe_fds, 1));
    message_receive(channel[1], 1, ROOM, MSG_CMSG_CLOEXEC, &received);
    CHECK_EQ(MSG_CMSG_CLOEXEC, received.flags);
    CHECK_EQ(FD_CLOEXEC, fcntl(received.fds[0], F_GETFD));
    close_received(&received);
    CHECK_EQ(1, message_send(channel[0], "m", 1, &pipe_fds[1], 1));
    for (int i = 0; i < 3; i++) { /* a new duplicate each time; the last one takes the message */
        message_receive(channel[1], 1, ROOM, i < 2 ? MSG_PEEK : 0, &received);
        CHECK_EQ(1, received.fd_count);
        CHECK_EQ(1, write(received.fds[0], "x", 1));
        CHECK_EQ(1, read(pipe_fds[0], &(char){ 0 }, 1));
        close_received(&received);
    }
}

static void no_number_is_free(void)
{
    struct message_received received;
    struct rlimit limit;
    const int fds[] = { pipe_fds[0], pipe_fds[1], channel[0] };
    int next = (int)CHECK_OK(dup(0));
    CHECK_OK(close(next));
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    const struct rlimit small = { (rlim_t)next + 1, limit.rlim_max };
    CHECK_EQ(1, message_send(channel[0], "m", 1, fds, 3));
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &small));
    message_receive(channel[1], 1, ROOM, 0, &received);
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    CHECK_EQ(1, received.fd_count);
    CHECK_EQ(next, received.fds[0]);
    CHECK_EQ(MSG_CTRUNC, received.flags);
    close_received(&received);
}

static void errors_of_sending(void)
{
    union message_control control = { .space = { 0 } };
    struct iovec vector = { .iov_base = "m", .iov_len = 1 };
    struct msghdr message = { .msg_iov = &vector,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = CMSG_SPACE(sizeof(int)) };
    int closed = 240;
    int many[254];
    CHECK_ERR(EBADF, message_send(channel[0], "m", 1, &closed, 1));
    for (int i = 0; i < 254; i++) {
        many[i] = pipe_fds[0];
    }
    CHECK_ERR(EINVAL, message_send(channel[0], "m", 1, many, 254));
    control.header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
    control.header.cmsg_len = 15;
    CHECK_ERR(EINVAL, sendmsg(channel[0], &message, 0));
    control.header.cmsg_len = CMSG_LEN(100);
    CHECK_ERR(EINVAL, sendmsg(channel[0], &message, 0));
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    control.header.cmsg_type = 77;
    CHECK_ERR(EINVAL, sendmsg(channel[0], &message, 0));
    control.header.cmsg_level = SOL_SOCKET + 1;
    CHECK_EQ(1, sendmsg(channel[0], &message, 0)); /* foreign levels are ignored */
    CHECK_EQ(1, read(channel[1], &(char){ 0 }, 1));
    CHECK_ERR(EAGAIN, recv(channel[1], &(char){ 0 }, 1, MSG_DONTWAIT));
}

static void empty_and_long_messages(void)
{
    static char big[100000];
    struct message_received received;
    int records[2];
    CHECK_EQ(0, message_send(channel[0], "", 0, pipe_fds, 1)); /* they vanish */
    CHECK_ERR(EAGAIN, recv(channel[1], big, 1, MSG_DONTWAIT));
    CHECK_EQ(sizeof big, message_send(channel[0], big, sizeof big, pipe_fds, 1));
    message_receive(channel[1], 1, ROOM, 0, &received); /* on the first chunk */
    CHECK_EQ(1, received.fd_count);
    close_received(&received);
    CHECK_EQ(sizeof big - 1, guest_read_all(channel[1], big, sizeof big - 1));
    guest_pair(SOCK_SEQPACKET, records);
    CHECK_EQ(0, message_send(records[0], "", 0, pipe_fds, 1));
    message_receive(records[1], 1, ROOM, 0, &received);
    CHECK_EQ(0, received.size);
    CHECK_EQ(1, received.fd_count);
    close_received(&received);
    guest_close_both(records);
}

int main(void)
{
    guest_start();
    guest_pair(SOCK_STREAM, channel);
    guest_pipe(pipe_fds);
    order_in_the_stream();
    small_control_buffers();
    flags_of_the_receiver();
    no_number_is_free();
    errors_of_sending();
    empty_and_long_messages();
    guest_close_both(channel);
    guest_close_both(pipe_fds);
    return guest_end();
}
