/*
 * actions_message.c - calls with message headers: vectors, names, descriptors in control data
 *
 * Descriptors are sent over a channel only that is younger than their own: a socket is never in
 * flight inside itself, where Linux's garbage collector would close it at a time of its own.
 */
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "actions.h"

#define MANY_MAX     4u
#define RIGHTS_IN    256u /* bytes of control data that can be received */
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const receive_names[] = { "MSG_DONTWAIT",  "MSG_PEEK",         "MSG_TRUNC",
                                             "MSG_DONTWAIT",  "MSG_CMSG_CLOEXEC", "MSG_WAITALL",
                                             "MSG_WAITFORONE" };
static const uint32_t receive_bits[] = { MSG_DONTWAIT,     MSG_PEEK,    MSG_TRUNC,     MSG_DONTWAIT,
                                         MSG_CMSG_CLOEXEC, MSG_WAITALL, MSG_WAITFORONE };
static const char *const send_names[] = { "MSG_DONTWAIT", "MSG_NOSIGNAL", "MSG_EOR", "MSG_MORE",
                                          "MSG_DONTWAIT" };
static const uint32_t send_bits[] = { MSG_DONTWAIT, MSG_NOSIGNAL, MSG_EOR, MSG_MORE, MSG_DONTWAIT };

static bool may_travel(const struct description *passed, const struct description *over)
{
    if (!passed || (passed->kind & (KIND_UNKNOWN | KIND_EPOLL)) || !over ||
        !(over->kind & KIND_CONNECTED))
        return false;
    return (passed->kind & (KIND_PIPES | KIND_FILE)) || passed->channel < over->channel;
}

/* Fills `numbers`; returns how many. */
static uint32_t choose_passed(struct builder *b, const struct description *over, int32_t *numbers)
{
    uint32_t wanted = 1 + build_below(b, 3);
    uint32_t count = 0;

    for (uint32_t i = 0; i < wanted; i++) {
        int64_t number = build_fd(b, KIND_PIPES | KIND_CONNECTED);
        const struct description *passed = build_description(b, number);

        if (may_travel(passed, over) || (!passed && build_odd(b)))
            numbers[count++] = (int32_t)number;
    }
    return count;
}

static void sent_control(struct builder *b, struct msghdr *message, const struct description *over)
{
    int32_t numbers[3];
    uint32_t count = b->urgent ? 0 : choose_passed(b, over, numbers);
    struct cmsghdr *header;

    if (count == 0)
        return;
    b->model->carried |= b->made.touch.puts;
    message->msg_controllen = CMSG_SPACE(count * sizeof(int32_t));
    header = message->msg_control = build_struct(b, message->msg_controllen);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int32_t));
    memcpy(CMSG_DATA(header), numbers, count * sizeof(int32_t));
    build_say(b, ", msg_control=[{cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[");
    for (uint32_t i = 0; i < count; i++)
        build_say(b, "%s%d", i ? ", " : "", numbers[i]);
    build_say(b, "]}]");
    if (build_odd(b)) {
        message->msg_controllen = build_below(b, 24);
        build_say(b, ", msg_controllen=%zu", message->msg_controllen);
    }
}

static void odd_name(struct builder *b, struct msghdr *message, bool sent)
{
    static const uint32_t lengths[] = { 2, 0, 110, 129, 0xffffffff, 1000 };
    struct sockaddr_un *name = build_struct(b, sizeof(*name) + 32);

    name->sun_family = sent ? AF_UNIX : 0;
    message->msg_name = name;
    message->msg_namelen = lengths[build_below(b, COUNT(lengths))];
    build_say(b, ", msg_name=%s, msg_namelen=%d%s", sent ? "{sa_family=AF_UNIX}" : "{}",
              (int)message->msg_namelen, sent ? "" : " => _");
}

static void say_header_outs(struct builder *b, struct msghdr *message)
{
    build_out(b, OUT_FIXED, "msg_namelen", &message->msg_namelen, sizeof(message->msg_namelen));
    build_out(b, OUT_FIXED, "msg_flags", &message->msg_flags, sizeof(message->msg_flags));
    build_out(b, OUT_FIXED, "msg_controllen", &message->msg_controllen,
              sizeof(message->msg_controllen));
    if (message->msg_control)
        build_out(b, OUT_FIXED, "msg_control", message->msg_control,
                  (uint32_t)message->msg_controllen);
}

static void received_control(struct builder *b, struct msghdr *message)
{
    static const uint32_t sizes[] = { 64, 64, 64, 24, 20, 16, 28, 15, 256, 1 };

    message->msg_controllen = sizes[build_below(b, COUNT(sizes))];
    message->msg_control = build_struct(b, RIGHTS_IN);
    build_say(b, ", msg_control=_, msg_controllen=%zu => _", message->msg_controllen);
    b->made.effect = EFFECT_RIGHTS;
}

static void fill_header(struct builder *b, struct msghdr *message, bool sent,
                        const struct description *over)
{
    uint32_t count;

    build_say(b, "{msg_iov=");
    message->msg_iov = build_vectors(b, sent, &count);
    message->msg_iovlen = count;
    if (build_odd(b) && build_below(b, 4) == 0) {
        message->msg_iovlen = build_below(b, 2) ? 1025 : (size_t)-1;
        build_say(b, ", msg_iovlen=%lld", (long long)message->msg_iovlen);
    }
    if (build_odd(b))
        odd_name(b, message, sent);
    if (build_below(b, 4) == 0) {
        if (sent)
            sent_control(b, message, over);
        else
            received_control(b, message);
    }
    build_say(b, "%s}", sent ? "" : ", msg_flags=_");
    if (!sent)
        say_header_outs(b, message);
}

static void flags_argument(struct builder *b, bool sent)
{
    if (sent)
        build_flags(b, send_names, send_bits, COUNT(send_bits), 0);
    else
        build_flags(b, receive_names, receive_bits, COUNT(receive_bits), 0);
    if (b->made.words[b->made.word_count - 1] & MSG_DONTWAIT)
        b->made.waits = false;
}

static const struct description *begin_transfer(struct builder *b, bool sent, int64_t *ret_fd)
{
    const struct description *description;

    *ret_fd = build_fd(b, KIND_CONNECTED | KIND_UNKNOWN);
    description = build_description(b, *ret_fd);
    if (sent)
        touch_puts(&b->made.touch, description);
    else
        touch_takes(&b->made.touch, description);
    b->made.waits = description && !description->nonblocking &&
                    (description->kind & (KIND_CONNECTED | KIND_UNKNOWN));
    b->limit = sent && description &&
                       ((description->kind == KIND_STREAM && description->end == 1) ||
                        description->kind == KIND_UNKNOWN)
                   ? 3776
                   : 0;
    if (sent && b->urgent)
        b->limit = 64;
    return description;
}

static void one(struct builder *b, bool sent)
{
    int64_t fd;
    const struct description *over = begin_transfer(b, sent, &fd);
    struct msghdr *message = build_struct(b, sizeof(*message));

    build_argument(b, fd);
    build_pointer(b, message);
    if (build_odd(b) && build_below(b, 8) == 0) {
        build_say(b, ", NULL");
        b->made.words[1] = 0;
    } else {
        build_say(b, ", ");
        fill_header(b, message, sent, over);
    }
    flags_argument(b, sent);
    if (!sent)
        build_out(b, OUT_DATA, "data", message->msg_iov, (uint32_t)message->msg_iovlen);
    b->made.place = message;
    b->made.count = 0;
}

static void many(struct builder *b, bool sent)
{
    int64_t fd;
    const struct description *over = begin_transfer(b, sent, &fd);
    uint32_t count = 1 + build_below(b, MANY_MAX);
    struct mmsghdr *messages = build_struct(b, MANY_MAX * sizeof(*messages));

    build_argument(b, fd);
    build_pointer(b, messages);
    build_say(b, ", [");
    for (uint32_t i = 0; i < count; i++) {
        build_say(b, "%s{msg_hdr=", i ? ", " : "");
        fill_header(b, &messages[i].msg_hdr, sent, over);
        build_say(b, ", msg_len=_}");
    }
    build_say(b, "]");
    b->made.place = messages;
    b->made.count = count;
    build_argument(b, build_odd(b) ? 0 : (int64_t)count);
    flags_argument(b, sent);
    for (uint32_t i = 0; i < count; i++)
        build_out(b, OUT_FIXED, "msg_len", &messages[i].msg_len, sizeof(messages[i].msg_len));
    if (!sent)
        build_out(b, OUT_MESSAGES, "data", messages, count);
}

void action_take_many(struct builder *b)
{
    if (build_below(b, 2) || b->urgent) { /* going native loses an error that was left behind */
        BUILD_BEGIN(b, recvmsg);
        one(b, false);
        return;
    }
    BUILD_BEGIN(b, recvmmsg);
    many(b, false);
    /* Interrupted behind the first message it leaves an error, for whom else sleeps at the end. */
    if (b->made.waits)
        touch_looks(&b->made.touch, build_description(b, (int64_t)b->made.words[0]));
    if (build_odd(b)) {
        static const int64_t times[][2] = { { 0, 0 }, { -1, 0 }, { 0, -1 }, { 0, 1000000000 } };
        uint32_t chosen = build_below(b, COUNT(times));
        int64_t *time = build_struct(b, sizeof(times[0]));

        memcpy(time, times[chosen], sizeof(times[0]));
        build_say(b, ", {tv_sec=%lld, tv_nsec=%lld}", (long long)time[0], (long long)time[1]);
        build_pointer(b, time);
    } else {
        build_named(b, 0, "NULL");
    }
}

void action_put_many(struct builder *b)
{
    if (build_below(b, 2)) {
        BUILD_BEGIN(b, sendmsg);
        one(b, true);
        return;
    }
    BUILD_BEGIN(b, sendmmsg);
    many(b, true);
}
