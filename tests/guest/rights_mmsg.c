/*
 * Proves: descriptors in sendmmsg and recvmmsg: each message has its own; one that fails ends the
 * call, with the descriptors of those before it in flight and its own not; MSG_WAITFORONE,
 * MSG_PEEK, MSG_CMSG_CLOEXEC, too small buffers and a lack of numbers hold for each message; on a
 * stream each receive ends behind a message with descriptors.
 *
 * Rows: 4.2 "error on entry k>0", 4.3 "MSG_WAITFORONE", 3.9 "EMFILE while installing", 3.9 "next
 * message: never joined"
 */
#include <sys/resource.h>

#include "rights.h"

enum { MESSAGES = 6 };

static int channel[2];

struct out {
    struct rights_message control[MESSAGES];
    struct iovec vectors[MESSAGES];
    struct mmsghdr messages[MESSAGES];
    char texts[MESSAGES][4];
};

/* Message i is "m<i>" with i descriptors: the last of each, if any, is a witness's. */
static void prepare(struct out *out, int witnesses[MESSAGES], int writers[MESSAGES])
{
    memset(out, 0, sizeof *out);
    for (int i = 0; i < MESSAGES; i++) {
        int fds[MESSAGES];
        witnesses[i] = rights_witness(&writers[i]);
        for (int j = 0; j < i; j++) {
            fds[j] = j == i - 1 ? writers[i] : channel[j % 2];
        }
        snprintf(out->texts[i], sizeof out->texts[i], "m%d", i);
        out->vectors[i] = (struct iovec){ out->texts[i], 2 };
        out->messages[i].msg_hdr.msg_iov = &out->vectors[i];
        out->messages[i].msg_hdr.msg_iovlen = 1;
        if (i > 0) {
            rights_add_fds(&out->control[i], fds, i);
            out->messages[i].msg_hdr.msg_control = out->control[i].bytes;
            out->messages[i].msg_hdr.msg_controllen = out->control[i].size;
        }
    }
}

static void close_all(const int fds[MESSAGES])
{
    for (int i = 0; i < MESSAGES; i++) {
        CHECK_OK(close(fds[i]));
    }
}

struct in {
    union message_control control[MESSAGES];
    struct iovec vectors[MESSAGES];
    struct mmsghdr messages[MESSAGES];
    char texts[MESSAGES][64];
};

static int receive(struct in *in, int count, size_t room, int flags)
{
    memset(in, 0, sizeof *in);
    for (int i = 0; i < count; i++) {
        in->vectors[i] = (struct iovec){ in->texts[i], sizeof in->texts[i] };
        in->messages[i].msg_hdr.msg_iov = &in->vectors[i];
        in->messages[i].msg_hdr.msg_iovlen = 1;
        in->messages[i].msg_hdr.msg_control = &in->control[i];
        in->messages[i].msg_hdr.msg_controllen = room;
    }
    return (int)CHECK_OK(recvmmsg(channel[1], in->messages, (unsigned)count, flags, NULL));
}

/* Message i of what came: so much text and so many descriptors, which are closed. */
static void check_message(struct in *in, int i, const char *text, int fd_count, int flags)
{
    const struct msghdr *header = &in->messages[i].msg_hdr;
    CHECK_EQ(strlen(text), in->messages[i].msg_len);
    CHECK_MEM(text, in->texts[i], strlen(text));
    CHECK_EQ(flags, header->msg_flags);
    CHECK_EQ(fd_count > 0 ? (long long)RIGHTS_ROOM((size_t)fd_count) : 0, header->msg_controllen);
    for (int j = 0; j < fd_count; j++) {
        int fd;
        memcpy(&fd, CMSG_DATA(&in->control[i].header) + sizeof fd * (size_t)j, sizeof fd);
        CHECK_EQ(flags & MSG_CMSG_CLOEXEC ? FD_CLOEXEC : 0, fcntl(fd, F_GETFD));
        CHECK_OK(close(fd));
    }
}

static const char *const joined[] = { "m0m1", "m2", "m3", "m4", "m5" };

/* The first message has none: a stream joins it with the next. */
static void check_all(struct in *in, int type, int flags)
{
    if (type == SOCK_STREAM) {
        for (int i = 0; i < MESSAGES - 1; i++) {
            check_message(in, i, joined[i], i + 1, flags);
        }
    } else {
        for (int i = 0; i < MESSAGES; i++) {
            check_message(in, i, (const char[]){ 'm', (char)('0' + i), 0 }, i, flags);
        }
    }
}

static void all_at_once(int type, int flags)
{
    static struct out out;
    static struct in in;
    int witnesses[MESSAGES], writers[MESSAGES];
    int count = type == SOCK_STREAM ? MESSAGES - 1 : MESSAGES;
    prepare(&out, witnesses, writers);
    CHECK_EQ(MESSAGES, sendmmsg(channel[0], out.messages, MESSAGES, 0));
    close_all(writers);
    CHECK_EQ(count, receive(&in, count, RIGHTS_ROOM(MESSAGES), flags));
    check_all(&in, type, flags & MSG_CMSG_CLOEXEC);
    for (int i = 0; i < MESSAGES; i++) {
        CHECK_GONE(witnesses[i]);
    }
    CHECK_ERR(EAGAIN, recv(channel[1], (char[1]){ 0 }, 1, MSG_DONTWAIT));
}

/* The first receive sleeps, the others take what is there. */
static void *send_all(void *argument)
{
    guest_wait_blocked(getpid(), getpid());
    CHECK_EQ(MESSAGES, sendmmsg(channel[0], argument, MESSAGES, 0));
    return NULL;
}

static void wait_for_one(void)
{
    static struct out out;
    static struct in in;
    int witnesses[MESSAGES], writers[MESSAGES];
    struct guest_thread thread;
    prepare(&out, witnesses, writers);
    guest_thread_start(&thread, send_all, out.messages);
    int count = receive(&in, MESSAGES, RIGHTS_ROOM(MESSAGES), MSG_WAITFORONE);
    guest_thread_join(&thread);
    CHECK(count >= 1);
    for (int i = 0; i < count; i++) {
        const struct msghdr *header = &in.messages[i].msg_hdr;
        int fds = header->msg_controllen == 0
                      ? 0
                      : (int)((in.control[i].header.cmsg_len - CMSG_LEN(0)) / sizeof(int));
        check_message(&in, i, in.texts[i], fds, header->msg_flags);
    }
    while (recv(channel[1], in.texts, sizeof in.texts[0], MSG_DONTWAIT) > 0) {
    } /* the rest is dropped */
    CHECK_EQ(EAGAIN, errno);
    close_all(writers);
    for (int i = 0; i < MESSAGES; i++) {
        CHECK_GONE(witnesses[i]);
    }
}

static void peeked(void)
{
    static struct in in;
    int witness = rights_send_witness(channel[0], "m");
    CHECK_EQ(3, receive(&in, 3, RIGHTS_ROOM(2), MSG_PEEK)); /* the same message three times */
    for (int i = 0; i < 3; i++) {
        check_message(&in, i, "m", 1, 0);
    }
    CHECK_HELD(witness);
    CHECK_EQ(1, receive(&in, 1, RIGHTS_ROOM(2), 0));
    check_message(&in, 0, "m", 1, 0);
    CHECK_GONE(witness);
}

/* ---- what fails half-way ---- */

static void bad_entry(int bad)
{
    static struct out out;
    int witnesses[MESSAGES], writers[MESSAGES];
    prepare(&out, witnesses, writers);
    const int closed = 240;
    out.control[bad].size = 0;
    rights_add_fds(&out.control[bad], &writers[bad], 1);
    rights_add_fds(&out.control[bad], &closed, 1);
    out.messages[bad].msg_hdr.msg_control = out.control[bad].bytes;
    out.messages[bad].msg_hdr.msg_controllen = out.control[bad].size;
    if (bad == 0) {
        CHECK_ERR(EBADF, sendmmsg(channel[0], out.messages, MESSAGES, 0));
    } else {
        CHECK_EQ(bad, sendmmsg(channel[0], out.messages, MESSAGES, 0));
        CHECK_EQ(0, guest_poll(channel[0], POLLIN, 0)); /* the error is lost */
    }
    close_all(writers);
    for (int i = 0; i < MESSAGES; i++) {
        if (i > 0 && i < bad) {
            CHECK_HELD(witnesses[i]);
            while (recv(channel[1], (char[2]){ 0 }, 2, MSG_DONTWAIT) > 0 &&
                   guest_poll(witnesses[i], POLLIN, 0) == 0) {
            }
        }
        CHECK_GONE(witnesses[i]);
    }
    while (recv(channel[1], (char[2]){ 0 }, 2, MSG_DONTWAIT) > 0) {
    }
    CHECK_EQ(EAGAIN, errno);
}

/* Room for one each; then numbers for three in all. */
static void not_enough_room(void)
{
    static struct in in;
    struct rlimit limit;
    int first = rights_send_witness(channel[0], "one");
    CHECK_EQ(3, message_send(channel[0], "two", 3, channel, 2));
    CHECK_EQ(2, receive(&in, 2, RIGHTS_LEN(1), 0));
    for (int i = 0; i < 2; i++) {
        int fd;
        CHECK_EQ(RIGHTS_LEN(1), in.messages[i].msg_hdr.msg_controllen);
        CHECK_EQ(i == 0 ? 0 : MSG_CTRUNC, in.messages[i].msg_hdr.msg_flags);
        memcpy(&fd, CMSG_DATA(&in.control[i].header), sizeof fd);
        CHECK_OK(close(fd));
    }
    CHECK_GONE(first);
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    int next = (int)CHECK_OK(dup(0));
    CHECK_OK(close(next));
    const struct rlimit small = { (rlim_t)next + 3, limit.rlim_max };
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(1, message_send(channel[0], "m", 1, channel, 2));
    }
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &small));
    CHECK_EQ(3, receive(&in, 3, RIGHTS_ROOM(2), 0));
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    check_message(&in, 0, "m", 2, 0);
    check_message(&in, 1, "m", 1, MSG_CTRUNC);
    check_message(&in, 2, "m", 0, MSG_CTRUNC);
}

int main(void)
{
    guest_start();
    for (int i = 0; i < 2; i++) {
        guest_pair(rights_types[i], channel);
        all_at_once(rights_types[i], 0);
        all_at_once(rights_types[i], MSG_CMSG_CLOEXEC);
        wait_for_one();
        peeked();
        for (int bad = 0; bad < MESSAGES; bad++) {
            bad_entry(bad);
        }
        not_enough_room();
        guest_close_both(channel);
    }
    return guest_end();
}
