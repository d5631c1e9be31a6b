/*
 * Proves: which control data a sender may give, one header, two, or many, in either order: the
 * first bad header decides, before the state of the socket is looked at (but for records, where
 * "not connected" comes first); what fails sends nothing and holds nothing; what other sockets and
 * calls do with descriptors.
 *
 * Rows: 3.9 "cmsg_len < 16, or beyond controllen", 3.9 "level SOL_SOCKET, unknown type", 3.9
 * "SCM_RIGHTS: bad/closed fd EBADF", 3.9 "controllen > INT_MAX ENOBUFS; bad pointer EFAULT",
 * 3.9 "SCM_RIGHTS over other families", 3.9 "several headers", 3.9 "send that fails"
 */
#include <linux/netlink.h>
#include <netinet/in.h>

#include "rights.h"

static int channel[2], witness, writer;

/* ---- one message and what it must answer ---- */

typedef void build_function(struct rights_message *message);

static void len_15(struct rights_message *message)
{
    rights_add_fds(message, &writer, 1)->cmsg_len = 15;
}

static void len_0(struct rights_message *message)
{
    rights_add_fds(message, &writer, 1)->cmsg_len = 0;
}

static void len_beyond(struct rights_message *message)
{
    rights_add_fds(message, &writer, 1)->cmsg_len = RIGHTS_ROOM(1) + 1;
}

static void len_huge(struct rights_message *message)
{
    rights_add_fds(message, &writer, 1)->cmsg_len = (size_t)-1;
}

static void good_then_len_15(struct rights_message *message)
{
    rights_add_fds(message, &writer, 1);
    rights_add_fds(message, &writer, 1)->cmsg_len = 15;
}

static void good_then_beyond(struct rights_message *message)
{
    rights_add_fds(message, &writer, 1);
    rights_add_fds(message, &writer, 1)->cmsg_len = RIGHTS_ROOM(1) + 1;
}

static void unknown_type(struct rights_message *message)
{
    rights_add(message, SOL_SOCKET, 77, &writer, sizeof writer);
}

static void type_0(struct rights_message *message)
{
    rights_add(message, SOL_SOCKET, 0, &writer, sizeof writer);
}

static void good_then_unknown(struct rights_message *message)
{
    rights_add_fds(message, &writer, 1);
    unknown_type(message);
}

static void other_level_len_15(struct rights_message *message)
{
    rights_add(message, IPPROTO_IP, SCM_RIGHTS, &writer, sizeof writer)->cmsg_len = 15;
}

static void bad_fd(struct rights_message *message)
{
    rights_add_fds(message, (const int[]){ writer, -1 }, 2);
}

static void closed_fd(struct rights_message *message)
{
    rights_add_fds(message, (const int[]){ writer, 233 }, 2);
}

static void intmax_fd(struct rights_message *message)
{
    rights_add_fds(message, (const int[]){ INT_MAX, writer }, 2);
}

static void good_then_bad_fd(struct rights_message *message)
{
    rights_add_fds(message, &writer, 1);
    bad_fd(message);
}

static void bad_fd_then_unknown(struct rights_message *message)
{
    bad_fd(message);
    unknown_type(message);
}

static void unknown_then_bad_fd(struct rights_message *message)
{
    unknown_type(message);
    bad_fd(message);
}

static void too_many(struct rights_message *message)
{
    int fds[RIGHTS_MAX + 1];
    for (int i = 0; i <= RIGHTS_MAX; i++) {
        fds[i] = writer;
    }
    rights_add_fds(message, fds, RIGHTS_MAX + 1);
}

static void too_many_in_two(struct rights_message *message)
{
    int fds[RIGHTS_MAX];
    for (int i = 0; i < RIGHTS_MAX; i++) {
        fds[i] = writer;
    }
    rights_add_fds(message, fds, RIGHTS_MAX);
    rights_add_fds(message, &writer, 1);
}

/* The count is looked at before the numbers. */
static void too_many_bad(struct rights_message *message)
{
    int fds[RIGHTS_MAX + 1];
    memset(fds, -1, sizeof fds);
    rights_add_fds(message, fds, RIGHTS_MAX + 1);
}

static void short_credentials(struct rights_message *message)
{
    rights_add_fds(message, &writer, 1);
    rights_add(message, SOL_SOCKET, SCM_CREDENTIALS, &writer, sizeof writer);
}

static void bad_user(struct rights_message *message)
{
    rights_add_creds(message, getpid(), (uid_t)-1, getegid());
    bad_fd(message);
}

static void bad_fd_then_bad_user(struct rights_message *message)
{
    bad_fd(message);
    rights_add_creds(message, getpid(), (uid_t)-1, getegid());
}

static const struct {
    build_function *build;
    int error;
} bad[] = {
    { len_15, EINVAL },
    { len_0, EINVAL },
    { len_beyond, EINVAL },
    { len_huge, EINVAL },
    { good_then_len_15, EINVAL },
    { good_then_beyond, EINVAL },
    { unknown_type, EINVAL },
    { type_0, EINVAL },
    { good_then_unknown, EINVAL },
    { other_level_len_15, EINVAL },
    { bad_fd, EBADF },
    { closed_fd, EBADF },
    { intmax_fd, EBADF },
    { good_then_bad_fd, EBADF },
    { bad_fd_then_unknown, EBADF },
    { unknown_then_bad_fd, EINVAL },
    { too_many, EINVAL },
    { too_many_in_two, EINVAL },
    { too_many_bad, EINVAL },
    { short_credentials, EINVAL },
    { bad_user, EINVAL },
    { bad_fd_then_bad_user, EBADF },
};

static void bad_messages(void)
{
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct rights_message message = { .size = 0 };
        witness = rights_witness(&writer);
        bad[i].build(&message);
        CHECK_ERR(bad[i].error, rights_send(channel[0], "m", 1, &message, 0));
        CHECK_ERR(bad[i].error, rights_send(channel[0], "", 0, &message, 0));
        CHECK_OK(close(writer));
        CHECK_GONE(witness); /* nothing is in flight */
        CHECK_ERR(EAGAIN, recv(channel[1], &(char){ 0 }, 1, MSG_DONTWAIT));
    }
}

/* ---- what is allowed ---- */

/* count descriptors must come, all of them the writer. */
static void check_good(const struct rights_message *message, int count)
{
    struct message_received received;
    CHECK_EQ(1, rights_send(channel[0], "m", 1, message, 0));
    message_receive(channel[1], 1, RIGHTS_ROOM(RIGHTS_MAX), 0, &received);
    CHECK_EQ(0, received.flags);
    CHECK_EQ(count, received.fd_count);
    for (int i = 0; i < count; i++) {
        CHECK(rights_same(writer, received.fds[i]));
    }
    rights_close(&received);
}

static void good_messages(void)
{
    struct rights_message message = { .size = 0 };
    int fds[RIGHTS_MAX];
    witness = rights_witness(&writer);
    for (int i = 0; i < RIGHTS_MAX; i++) {
        fds[i] = writer;
    }
    rights_add_fds(&message, fds, RIGHTS_MAX);
    check_good(&message, RIGHTS_MAX);
    message.size = 0;
    rights_add_fds(&message, fds, 0);
    check_good(&message, 0);
    for (int i = 1; i <= 4; i++) { /* 1 + 2 + 3 + 4 of them arrive in one header */
        rights_add_fds(&message, fds, i);
    }
    check_good(&message, 10);
    rights_add(&message, IPPROTO_IP, 77, fds, 8); /* a foreign level, and behind it less than a */
    message.size += 15;                           /* header: nobody looks at either */
    check_good(&message, 10);
    message.size = 0;
    rights_add_fds(&message, fds, 2)->cmsg_len = RIGHTS_LEN(1) + 3; /* whole numbers only */
    check_good(&message, 1);
    message.size = 0;
    rights_add_fds(&message, fds, 2);
    message.size = 15; /* less than a header: none */
    check_good(&message, 0);
    message.size = RIGHTS_LEN(2); /* no padding at the end */
    check_good(&message, 2);
    CHECK_OK(close(writer));
    CHECK_GONE(witness);
}

/* Credentials of ours before, between and behind. */
static void both_headers(void)
{
    for (int order = 0; order < 3; order++) {
        struct rights_message message = { .size = 0 };
        struct message_received received;
        const int on = 1, off = 0;
        witness = rights_witness(&writer);
        for (int i = 0; i < 3; i++) {
            if (i == order) {
                rights_add_creds(&message, getpid(), getuid(), getgid());
            } else {
                rights_add_fds(&message, &writer, 1);
            }
        }
        check_good(&message, 2); /* who doesn't ask sees no credentials */
        CHECK_OK(setsockopt(channel[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
        CHECK_EQ(1, rights_send(channel[0], "m", 1, &message, 0));
        message_receive(channel[1], 1, CREDS_ROOM + RIGHTS_ROOM(4), 0, &received);
        CHECK_OK(setsockopt(channel[1], SOL_SOCKET, SO_PASSCRED, &off, sizeof off));
        CHECK_EQ(CREDS_ROOM + RIGHTS_ROOM(2), received.control_size);
        CHECK_EQ(2, received.fd_count);
        CHECK(received.has_credentials);
        CHECK_EQ(getpid(), received.credentials.pid);
        rights_close(&received);
        CHECK_OK(close(writer));
        CHECK_GONE(witness);
    }
}

/* ---- before and after the headers ---- */

static void control_buffers(void)
{
    struct iovec vector = { .iov_base = "m", .iov_len = 1 };
    struct msghdr header = { .msg_iov = &vector, .msg_iovlen = 1 };
    header.msg_control = guest_bad_pointer();
    header.msg_controllen = RIGHTS_ROOM(1);
    CHECK_ERR(EFAULT, sendmsg(channel[0], &header, 0));
    header.msg_controllen = 0;
    CHECK_EQ(1, sendmsg(channel[0], &header, 0)); /* not looked at */
    header.msg_controllen = (size_t)INT_MAX + 1;
    CHECK_ERR(ENOBUFS, sendmsg(channel[0], &header, 0));
    header.msg_controllen = INT_MAX; /* more than net.core.optmem_max */
    CHECK_ERR(ENOBUFS, sendmsg(channel[0], &header, 0));
    header.msg_control = NULL;
    header.msg_controllen = RIGHTS_ROOM(1);
    CHECK_ERR(EFAULT, sendmsg(channel[0], &header, 0));
    EXPECT(channel[1], 8, 0, "m", 0);
}

static void state_of_the_socket(int type)
{
    struct rights_message wrong = { .size = 0 }, right = { .size = 0 };
    int pair[2], fresh = (int)CHECK_OK(socket(AF_UNIX, type, 0));
    const bool records = type == SOCK_SEQPACKET;
    witness = rights_witness(&writer);
    bad_fd(&wrong);
    rights_add_fds(&right, &writer, 1);
    CHECK_ERR(records ? ENOTCONN : EBADF, rights_send(fresh, "m", 1, &wrong, 0));
    CHECK_ERR(ENOTCONN, rights_send(fresh, "m", 1, &right, 0));
    CHECK_OK(close(fresh));
    guest_pair(type, pair);
    CHECK_OK(shutdown(pair[0], SHUT_WR));
    CHECK_ERR(EBADF, rights_send(pair[0], "m", 1, &wrong, 0));
    CHECK_ERR(EPIPE, rights_send(pair[0], "m", 1, &right, 0));
    CHECK_ERR(ENOTSOCK, rights_send(writer, "m", 1, &wrong, 0));
    guest_close_both(pair);
    guest_pair(type, pair);
    CHECK_OK(close(pair[1]));
    CHECK_ERR(EBADF, rights_send(pair[0], "m", 1, &wrong, 0));
    CHECK_ERR(EPIPE, rights_send(pair[0], "m", 1, &right, 0));
    CHECK_OK(close(pair[0]));
    CHECK_OK(close(writer));
    CHECK_GONE(witness);
}

/* A fault in the data: nothing was sent, nothing is held. */
static void bad_data(void)
{
    struct rights_message message = { .size = 0 };
    witness = rights_witness(&writer);
    rights_add_fds(&message, &writer, 1);
    CHECK_ERR(EFAULT, rights_send(channel[0], guest_bad_pointer(), 1, &message, 0));
    CHECK_ERR(EFAULT, rights_send(channel[0], guest_bad_pointer(), 100000, &message, 0));
    CHECK_OK(close(writer));
    CHECK_GONE(witness);
    CHECK_ERR(EAGAIN, recv(channel[1], &(char){ 0 }, 1, MSG_DONTWAIT));
}

/* ---- sockets that aren't AF_UNIX ---- */

static void over_inet(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t size = sizeof address;
    struct rights_message message = { .size = 0 };
    int pair[2], listener = (int)CHECK_OK(socket(AF_INET, SOCK_STREAM, 0));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_OK(bind(listener, (struct sockaddr *)&address, sizeof address));
    CHECK_OK(listen(listener, 1));
    CHECK_OK(getsockname(listener, (struct sockaddr *)&address, &size));
    pair[0] = (int)CHECK_OK(socket(AF_INET, SOCK_STREAM, 0));
    CHECK_OK(connect(pair[0], (struct sockaddr *)&address, sizeof address));
    pair[1] = (int)CHECK_OK(accept(listener, NULL, NULL));
    witness = rights_witness(&writer);
    rights_add_fds(&message, &writer, 1); /* not its business: ignored */
    CHECK_EQ(1, rights_send(pair[0], "m", 1, &message, 0));
    CHECK_OK(close(writer));
    CHECK_GONE(witness);
    EXPECT(pair[1], 8, 0, "m", 0);
    guest_close_both(pair);
    CHECK_OK(close(listener));
}

static void over_netlink(void)
{
    struct rights_message message = { .size = 0 };
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    if (fd < 0) { /* a sandbox may have none */
        return;
    }
    witness = rights_witness(&writer);
    rights_add_fds(&message, &writer, 1);
    CHECK_ERR(EINVAL, rights_send(fd, "m", 1, &message, 0));
    CHECK_OK(close(writer));
    CHECK_GONE(witness);
    CHECK_OK(close(fd));
}

int main(void)
{
    guest_start();
    for (int i = 0; i < 2; i++) {
        guest_pair(rights_types[i], channel);
        bad_messages();
        good_messages();
        both_headers();
        control_buffers();
        bad_data();
        state_of_the_socket(rights_types[i]);
        guest_close_both(channel);
    }
    over_inet();
    over_netlink();
    return guest_end();
}
