/*
 * kill_rights_steps - a process killed at every instruction of passing a descriptor leaves it whole
 *
 * Proves: wherever SIGKILL meets a process that sends, receives, peeks at or drops descriptors, or
 * closes or hands over the socket that they wait in: a message that a sender published has its
 * descriptors, what is in flight is held, and what nobody can receive any more is closed (the other
 * end of it sees the end). A message whose receiver was killed may have lost its descriptors to
 * him, never its bytes. How: kill_steps.h.
 *
 *     kill_rights_steps [--stride N] [--only SCENARIO]
 *
 * Without --stride every STRIDE-th instruction is tried.
 *
 * Exit: as kill_every_step.
 */
#include "kill_steps.h"

enum { STRIDE = 11 }; /* at each instruction it takes minutes */
enum { ROOM = CMSG_SPACE(2 * sizeof(int)) };

static int passed[2]; /* a pipe: [1] is what is passed */
static unsigned char byte;

/* One byte with the descriptor, or with two. */
struct parcel {
    _Alignas(struct cmsghdr) char control[ROOM];
    struct iovec iov;
    struct msghdr header;
};

static struct parcel parcel; /* made before the fork, so as not to be traced */

static void pack(int count, int first, int second)
{
    const int fds[2] = { first, second };
    struct cmsghdr *header;

    byte = byte_at(0);
    parcel.iov = (struct iovec){ &byte, 1 };
    parcel.header = (struct msghdr){ .msg_iov = &parcel.iov, .msg_iovlen = 1 };
    parcel.header.msg_control = parcel.control;
    parcel.header.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
    header = CMSG_FIRSTHDR(&parcel.header);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, (size_t)count * sizeof(int));
}

static int64_t receive_any(int fd, struct msghdr *header, int flags)
{
    const int64_t result = emu_recvmsg(&self, fd, header, flags);

    return result == EMU_NATIVE ? recvmsg(fd, header, flags) : result;
}

static void unpack(struct parcel *to)
{
    to->iov = (struct iovec){ &byte, 1 };
    to->header = (struct msghdr){ .msg_iov = &to->iov, .msg_iovlen = 1 };
    to->header.msg_control = to->control;
    to->header.msg_controllen = sizeof to->control;
}

/* What is to be sent by the call. */
static void packed(struct objects *objects)
{
    (void)objects;
    CHECK_EQUAL(emu_pipe2(&self, passed, 0), 0);
    pack(1, passed[1], 0);
}

/* It is in flight already, and nowhere else. */
static void in_flight(struct objects *objects)
{
    packed(objects);
    CHECK_EQUAL(emu_sendmsg(&self, objects->fds[1], &parcel.header, 0), 1);
    CHECK_EQUAL(close_any(passed[1]), 0);
    passed[1] = -1;
    unpack(&parcel);
}

/* The receiving socket lies in its own queue, together with it. */
static void in_its_own_queue(struct objects *objects)
{
    CHECK_EQUAL(emu_pipe2(&self, passed, 0), 0);
    pack(2, passed[1], objects->fds[0]);
    CHECK_EQUAL(emu_sendmsg(&self, objects->fds[1], &parcel.header, 0), 1);
    CHECK_EQUAL(close_any(passed[1]), 0);
    passed[1] = -1;
}

static int64_t call_send(const struct objects *objects)
{
    return emu_sendmsg(&self, objects->fds[1], &parcel.header, 0);
}

static int64_t call_receive(const struct objects *objects)
{
    return emu_recvmsg(&self, objects->fds[0], &parcel.header, 0);
}

static int64_t call_peek(const struct objects *objects)
{
    return emu_recvmsg(&self, objects->fds[0], &parcel.header, MSG_PEEK);
}

static int64_t call_drop(const struct objects *objects)
{
    return emu_read(&self, objects->fds[0], &byte, 1);
}

static int64_t call_close(const struct objects *objects)
{
    return emu_close(&self, objects->fds[0]);
}

/* The last that a process has of the circle. */
static int64_t call_close_both(const struct objects *objects)
{
    const int64_t first = emu_close(&self, objects->fds[0]);

    return first == 0 ? emu_close(&self, objects->fds[1]) : first;
}

static int64_t call_native(const struct objects *objects)
{
    return emu_native_one(&self, objects->fds[0]);
}

/* Nobody has the writing end any more, and nothing came. */
static void check_gone(void)
{
    unsigned char data[4];

    if (passed[1] >= 0)
        CHECK_EQUAL(close_any(passed[1]), 0);
    CHECK_EQUAL(read_any(passed[0], data, sizeof data), 0);
    CHECK_EQUAL(close_any(passed[0]), 0);
}

/* The message, if there is one. Returns the descriptor that came with it, or -1. */
static int fetch(struct objects *objects, bool *ret_came)
{
    struct parcel got;
    const struct cmsghdr *header;
    int fd;

    *ret_came = is_readable(objects->fds[0]);
    if (!*ret_came)
        return -1;
    unpack(&got);
    CHECK_EQUAL(receive_any(objects->fds[0], &got.header, 0), 1);
    CHECK_EQUAL(byte, byte_at(0));
    header = CMSG_FIRSTHDR(&got.header);
    if (!header)
        return -1;
    CHECK_EQUAL((int64_t)header->cmsg_len, (int64_t)CMSG_LEN(sizeof(int)));
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

/* It works: what is written into it comes out. */
static void use_passed(int fd)
{
    unsigned char data[4];

    CHECK_EQUAL(write_any(fd, "abcd", 4), 4);
    CHECK_EQUAL(read_any(passed[0], data, sizeof data), 4);
    check(memcmp(data, "abcd", 4) == 0, "other bytes come out of what was passed");
    CHECK_EQUAL(close_any(fd), 0);
}

static void check_sent(struct objects *objects)
{
    bool came;
    const int fd = fetch(objects, &came);

    check(!came || fd >= 0, "a message came without its descriptor");
    if (fd >= 0)
        use_passed(fd);
    use_and_close(objects, false);
    check_gone();
}

/* The child may have taken the message, or the descriptor alone. */
static void check_received(struct objects *objects)
{
    bool came;
    const int fd = fetch(objects, &came);

    if (fd >= 0)
        use_passed(fd);
    use_and_close(objects, false);
    check_gone();
}

/* A record whose carrier the child has taken goes over without it. */
static void check_handed_over(struct objects *objects)
{
    CHECK_EQUAL(emu_native_one(&self, objects->fds[0]), 0);
    check_received(objects);
}

static void check_sent_handed_over(struct objects *objects)
{
    CHECK_EQUAL(emu_native_one(&self, objects->fds[0]), 0);
    check_sent(objects);
}

static void check_peeked(struct objects *objects)
{
    bool came;
    const int fd = fetch(objects, &came);

    check(came && fd >= 0, "a peek took something");
    use_passed(fd);
    use_and_close(objects, false);
    check_gone();
}

/* The receiver was the child's alone. */
static void check_closed(struct objects *objects)
{
    check_gone();
    CHECK_EQUAL(close_any(objects->fds[1]), 0);
}

/* A copy of the receiver lies in its queue: the last close of a socket collects it. */
static void check_collected(struct objects *objects)
{
    (void)objects;
    check_gone();
}

static const struct scenario scenarios[] = {
    { "send stream", SOCK_STREAM, 0, 0, .call = call_send, .check = check_sent, .prepare = packed },
    { "send record", SOCK_SEQPACKET, 0, 0, .call = call_send, .check = check_sent,
      .prepare = packed },
    { "receive stream", SOCK_STREAM, 0, 0, .call = call_receive, .check = check_received,
      .prepare = in_flight },
    { "receive record", SOCK_SEQPACKET, 0, 0, .call = call_receive, .check = check_received,
      .prepare = in_flight },
    { "receive stream, hand over", SOCK_STREAM, 0, 0, .call = call_receive,
      .check = check_handed_over, .prepare = in_flight },
    { "receive record, hand over", SOCK_SEQPACKET, 0, 0, .call = call_receive,
      .check = check_handed_over, .prepare = in_flight },
    { "send stream, hand over", SOCK_STREAM, 0, 0, .call = call_send,
      .check = check_sent_handed_over, .prepare = packed },
    { "send record, hand over", SOCK_SEQPACKET, 0, 0, .call = call_send,
      .check = check_sent_handed_over, .prepare = packed },
    { "peek", SOCK_STREAM, 0, 0, .call = call_peek, .check = check_peeked, .prepare = in_flight },
    { "drop", SOCK_STREAM, 0, 0, .call = call_drop, .check = check_received, .prepare = in_flight },
    { "close", SOCK_STREAM, 0, CHILDS_READER, .call = call_close, .check = check_closed,
      .prepare = in_flight },
    { "close a circle", SOCK_STREAM, 0, CHILDS_READER | CHILDS_WRITER, .call = call_close_both,
      .check = check_collected, .prepare = in_its_own_queue },
    { "hand over", SOCK_STREAM, 0, 0, .call = call_native, .check = check_received,
      .prepare = in_flight },
};

int main(int argc, char **argv)
{
    stride *= STRIDE;
    return run_scenarios(argc, argv, scenarios, sizeof scenarios / sizeof scenarios[0]);
}
