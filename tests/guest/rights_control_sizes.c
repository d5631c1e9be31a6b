/*
 * Proves: what a receiver gets in a control buffer of every size from nothing to more than enough,
 * for one to three descriptors, with credentials before them and without: as many whole numbers as
 * fit behind the header, the length that says so, MSG_CTRUNC, not a byte behind, and what didn't
 * fit is closed; so with the kind of descriptor and socket that the program has, received by
 * recvmsg, by recvmmsg and twice by a peek.
 *
 * Rows: 3.9 "control buffer too small", 3.9 "msg_controllen out", 3.9 "SO_PASSCRED:
 * SCM_CREDENTIALS first, then SCM_RIGHTS", 3.9 "read()/recv() or msg_control NULL", 3.9
 * "control buffer that can't be written"
 */
#include "rights.h"

enum { FDS = 3, GUARD = 0x5a, BYTES = 128 };

enum how { BY_RECVMSG, BY_RECVMMSG, BY_PEEK, HOWS };

static int channel[2];
static bool with_credentials;

/* ---- what must come, by the rules ---- */

struct expected {
    size_t used;
    int creds_len; /* cmsg_len of the first header; 0: none */
    int fd_count;
    bool truncated;
};

static size_t least(size_t one, size_t other)
{
    return one < other ? one : other;
}

static struct expected expect(size_t room, int sent)
{
    struct expected result = { .used = 0 };
    if (with_credentials) {
        if (room < sizeof(struct cmsghdr)) {
            result.truncated = true;
        } else {
            result.creds_len = (int)least(room, CMSG_LEN(sizeof(struct ucred)));
            result.truncated = room < CMSG_LEN(sizeof(struct ucred));
            result.used = least(room, CREDS_ROOM);
        }
    }
    size_t left = room - result.used;
    size_t fit = left > sizeof(struct cmsghdr) ? (left - sizeof(struct cmsghdr)) / sizeof(int) : 0;
    result.fd_count = (int)least(fit, (size_t)sent);
    if (result.fd_count > 0) {
        result.used += least(left, RIGHTS_ROOM((size_t)result.fd_count));
    }
    result.truncated = result.truncated || result.fd_count < sent;
    return result;
}

/* ---- what came ---- */

static void receive(enum how how, struct msghdr *header)
{
    if (how == BY_RECVMMSG) {
        struct mmsghdr message = { .msg_hdr = *header };
        CHECK_EQ(1, recvmmsg(channel[1], &message, 1, 0, NULL));
        CHECK_EQ(1, message.msg_len);
        *header = message.msg_hdr;
    } else {
        CHECK_EQ(1, recvmsg(channel[1], header, how == BY_PEEK ? MSG_PEEK : 0));
    }
}

/* Returns the descriptors, which stand in the last header; all bytes behind must be untouched. */
static int check_control(const unsigned char *bytes, const struct expected *want, int *ret_fds)
{
    const unsigned char *at = bytes;
    struct cmsghdr header;
    if (want->creds_len != 0) {
        struct ucred credentials = { 0 };
        memcpy(&header, at, sizeof header);
        CHECK_EQ(want->creds_len, header.cmsg_len);
        CHECK_EQ(SCM_CREDENTIALS, header.cmsg_type);
        memcpy(&credentials, at + sizeof header, (size_t)want->creds_len - sizeof header);
        if ((size_t)want->creds_len >= CMSG_LEN(sizeof(pid_t))) {
            CHECK_EQ(getpid(), credentials.pid);
        }
        at += CREDS_ROOM;
    }
    if (want->fd_count > 0) {
        memcpy(&header, at, sizeof header);
        CHECK_EQ(SOL_SOCKET, header.cmsg_level);
        CHECK_EQ(SCM_RIGHTS, header.cmsg_type);
        CHECK_EQ(RIGHTS_LEN((size_t)want->fd_count), header.cmsg_len);
        memcpy(ret_fds, at + sizeof header, sizeof(int) * (size_t)want->fd_count);
    }
    for (size_t i = want->used; i < BYTES; i++) {
        CHECK_EQ(GUARD, bytes[i]);
    }
    return want->fd_count;
}

static void one_receive(enum how how, size_t room, const struct expected *want, const int *sent)
{
    unsigned char bytes[BYTES] __attribute__((aligned(8)));
    char data;
    int fds[FDS];
    struct iovec vector = { .iov_base = &data, .iov_len = 1 };
    struct msghdr header = { .msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = bytes,
                             .msg_controllen = room,
                             .msg_flags = 0x7fffffff };
    memset(bytes, GUARD, sizeof bytes);
    receive(how, &header);
    CHECK_EQ(want->truncated ? MSG_CTRUNC : 0, header.msg_flags);
    CHECK_EQ(want->used, header.msg_controllen);
    int count = check_control(bytes, want, fds);
    for (int i = 0; i < count; i++) {
        CHECK(rights_same(sent[i], fds[i]));
        CHECK_OK(close(fds[i]));
    }
}

/* The last descriptor is a witness's: truncated or closed by us, it is gone in the end. */
static void one_size(enum how how, size_t room, const int *fds, int count)
{
    int sent[FDS], writer, witness = rights_witness(&writer);
    const struct expected want = expect(room, count);
    memcpy(sent, fds, sizeof sent);
    sent[count - 1] = writer;
    CHECK_EQ(1, message_send(channel[0], "m", 1, sent, count));
    if (how == BY_PEEK) {
        one_receive(how, room, &want, sent);
        one_receive(how, room, &want, sent);
    }
    one_receive(how == BY_PEEK ? BY_RECVMSG : how, room, &want, sent);
    CHECK_OK(close(writer));
    CHECK_GONE(witness);
}

static void every_size(enum how how, const int *fds)
{
    size_t base = with_credentials ? CREDS_ROOM : 0;
    for (int count = 1; count <= FDS; count++) {
        for (size_t room = 0; room <= base + RIGHTS_ROOM(FDS) + 1; room++) {
            one_size(how, room, fds, count);
        }
    }
}

/* ---- no buffer, a bad buffer ---- */

static void no_buffer(void)
{
    struct message_received received;
    for (int count = 0; count < 3; count++) { /* with credentials alone, too */
        struct iovec vector = { .iov_base = received.data, .iov_len = 1 };
        struct msghdr header = { .msg_iov = &vector, .msg_iovlen = 1, .msg_controllen = 1000 };
        int writer, witness = rights_witness(&writer);
        const int fds[] = { writer, writer };
        CHECK_EQ(1, message_send(channel[0], "m", 1, count > 0 ? fds : NULL, count));
        CHECK_OK(close(writer));
        CHECK_EQ(1, recvmsg(channel[1], &header, 0));
        CHECK_EQ(count > 0 || with_credentials ? MSG_CTRUNC : 0, header.msg_flags);
        CHECK_EQ(0, header.msg_controllen);
        CHECK_GONE(witness);
    }
}

/* The bytes are received; what can't be told is closed. */
static void bad_buffer(void)
{
    char data;
    struct iovec vector = { .iov_base = &data, .iov_len = 1 };
    struct msghdr header = { .msg_iov = &vector, .msg_iovlen = 1, .msg_controllen = BYTES };
    int witness = rights_send_witness(channel[0], "m");
    header.msg_control = guest_bad_pointer();
    CHECK_EQ(1, recvmsg(channel[1], &header, 0));
    CHECK_EQ(MSG_CTRUNC, header.msg_flags);
    CHECK_EQ(0, header.msg_controllen);
    CHECK_GONE(witness);
}

static void each_type(int type)
{
    const int on = 1;
    int pipe_fds[2];
    guest_pair(type, channel);
    guest_pipe(pipe_fds);
    const int fds[FDS] = { pipe_fds[0], channel[0], 0 };
    bad_buffer();
    for (int i = 0; i < 2; i++) {
        with_credentials = i == 1;
        if (with_credentials) {
            CHECK_OK(setsockopt(channel[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
        }
        no_buffer();
        for (int how = 0; how < HOWS; how++) {
            every_size((enum how)how, fds);
        }
    }
    guest_close_both(pipe_fds);
    guest_close_both(channel);
}

int main(void)
{
    guest_start();
    each_type(SOCK_STREAM);
    each_type(SOCK_SEQPACKET);
    return guest_end();
}
