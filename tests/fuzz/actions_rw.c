/*
 * actions_rw.c - calls that move bytes
 *
 * How many slots of a pipe a message ends in when it is spliced from a stream is up to the memory
 * that the kernel found for it. So what can be spliced out of a stream, at its end 0, is sent in
 * short messages, and nothing is spliced into end 1. Descriptors whose description isn't known
 * count as both.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "actions.h"

#define SHORT_MESSAGE 3776u /* what fits into the first block of memory of a message */

/* Linux's numbers: glibc of Debian 12 doesn't have all of them. */
#define RWF_FLAGS_NAMES FLAG_NAMES("RWF_NOWAIT", "RWF_SYNC", "RWF_APPEND", "RWF_HIPRI", "RWF_DSYNC")
#define RWF_FLAGS_BITS  FLAG_BITS(8, 4, 16, 1, 2)

static const char *const receive_names[] = { "MSG_DONTWAIT",     "MSG_PEEK",     "MSG_TRUNC",
                                             "MSG_WAITALL",      "MSG_DONTWAIT", "MSG_PEEK",
                                             "MSG_CMSG_CLOEXEC", "MSG_CTRUNC",   "MSG_ERRQUEUE",
                                             "MSG_NOSIGNAL",     "MSG_OOB" };
static const uint32_t receive_bits[] = { MSG_DONTWAIT, MSG_PEEK,     MSG_TRUNC,        MSG_WAITALL,
                                         MSG_DONTWAIT, MSG_PEEK,     MSG_CMSG_CLOEXEC, MSG_CTRUNC,
                                         MSG_ERRQUEUE, MSG_NOSIGNAL, MSG_OOB };
static const char *const send_names[] = { "MSG_DONTWAIT", "MSG_NOSIGNAL", "MSG_EOR",
                                          "MSG_MORE",     "MSG_DONTWAIT", "MSG_DONTROUTE",
                                          "MSG_CONFIRM",  "MSG_OOB" };
static const uint32_t send_bits[] = { MSG_DONTWAIT, MSG_NOSIGNAL,  MSG_EOR,     MSG_MORE,
                                      MSG_DONTWAIT, MSG_DONTROUTE, MSG_CONFIRM, MSG_OOB };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/*
 * MSG_OOB makes a channel native, and the world can't tell when calls on such a channel block:
 * sequences that have it have no blocking sockets.
 */
static void message_flags(struct builder *b, bool sent)
{
    uint32_t count = sent ? COUNT(send_bits) : COUNT(receive_bits);

    if (!b->urgent || build_below(b, 8) != 0)
        count--;
    build_flags(b, sent ? send_names : receive_names, sent ? send_bits : receive_bits, count, 0);
    if (b->made.words[b->made.word_count - 1] & MSG_DONTWAIT)
        b->made.waits = false;
}

static void takes(struct builder *b, const struct description *description)
{
    touch_takes(&b->made.touch, description);
    b->made.waits = description && !description->nonblocking &&
                    (description->kind & (KIND_READER | KIND_CONNECTED | KIND_UNKNOWN));
}

static void puts_into(struct builder *b, const struct description *description)
{
    touch_puts(&b->made.touch, description);
    b->made.waits = description && !description->nonblocking &&
                    (description->kind & (KIND_WRITER | KIND_CONNECTED | KIND_UNKNOWN));
    b->limit = 0;
    if (description && ((description->kind == KIND_STREAM && description->end == 1) ||
                        description->kind == KIND_UNKNOWN))
        b->limit = SHORT_MESSAGE;
    if (b->urgent) /* going native, data are charged anew: a buffer is never full then */
        b->limit = 64;
}

static uint32_t sent_size(struct builder *b)
{
    uint32_t size = build_size(b);

    return b->limit ? size % b->limit : size;
}

static void take_plain(struct builder *b, int64_t fd)
{
    uint32_t size = build_size(b);
    void *place;

    BUILD_BEGIN(b, read);
    build_argument(b, fd);
    build_say(b, ", ");
    place = build_target(b, size);
    build_pointer(b, place);
    build_argument(b, size);
    build_out(b, OUT_RESULT, "data", place, size);
}

static void positioned_flags(struct builder *b)
{
    build_flags(b, RWF_FLAGS_NAMES, RWF_FLAGS_BITS, 5, 0);
    if (b->made.words[4] & 8)
        b->made.waits = false;
}

static void take_vectors(struct builder *b, int64_t fd, bool positioned)
{
    struct iovec *vectors;
    uint32_t count;

    if (positioned)
        BUILD_BEGIN(b, preadv2);
    else
        BUILD_BEGIN(b, readv);
    build_argument(b, fd);
    build_say(b, ", ");
    vectors = build_vectors(b, false, &count);
    build_pointer(b, vectors);
    build_argument(b, build_odd(b) && build_below(b, 4) == 0 ? (build_below(b, 2) ? 1025 : -1)
                                                             : (int64_t)count);
    if (positioned) {
        build_argument(b, build_odd(b) ? 0 : -1);
        positioned_flags(b);
    }
    build_out(b, OUT_DATA, "data", vectors, count);
}

static void take_message(struct builder *b, int64_t fd, bool address)
{
    uint32_t size = build_size(b);
    void *place;

    if (address)
        BUILD_BEGIN(b, recvfrom);
    else
        BUILD_BEGIN(b, recv);
    build_argument(b, fd);
    build_say(b, ", ");
    place = build_target(b, size);
    build_pointer(b, place);
    build_argument(b, size);
    message_flags(b, false);
    build_out(b, OUT_RESULT, "data", place, size);
    if (address) {
        uint8_t *name = build_struct(b, 128);
        int32_t *length = build_struct(b, sizeof(*length));

        *length = build_odd(b) ? (int32_t)build_number(b) : 110;
        build_say(b, ", _, [%d => _]", *length);
        build_pointer(b, name);
        build_pointer(b, length);
        build_out(b, OUT_FIXED, "length", length, sizeof(*length));
        build_out(b, OUT_ADDRESS, "address", name, 128);
    }
}

void action_take(struct builder *b)
{
    int64_t fd = build_fd(b, KIND_READER | KIND_CONNECTED | KIND_UNKNOWN);
    const struct description *description = build_description(b, fd);
    bool socket = description && (description->kind & (KIND_SOCKETS | KIND_UNKNOWN));
    uint32_t how = build_below(b, 16);

    takes(b, description);
    b->limit = 0;
    if (build_odd(b))
        socket = !socket;
    if (how < 6 || (!socket && how < 9))
        take_plain(b, fd);
    else if (how < 8 || (!socket && how < 14))
        take_vectors(b, fd, false);
    else if (!socket || how == 8)
        take_vectors(b, fd, true);
    else
        take_message(b, fd, how == 15);
}

static void put_plain(struct builder *b, int64_t fd)
{
    uint32_t size = sent_size(b);

    BUILD_BEGIN(b, write);
    build_argument(b, fd);
    build_say(b, ", ");
    build_pointer(b, build_source(b, size));
    build_argument(b, size);
}

static void put_vectors(struct builder *b, int64_t fd, bool positioned)
{
    uint32_t count;

    if (positioned)
        BUILD_BEGIN(b, pwritev2);
    else
        BUILD_BEGIN(b, writev);
    build_argument(b, fd);
    build_say(b, ", ");
    build_pointer(b, build_vectors(b, true, &count));
    build_argument(b, build_odd(b) && build_below(b, 4) == 0 ? (build_below(b, 2) ? 1025 : -1)
                                                             : (int64_t)count);
    if (positioned) {
        build_argument(b, build_odd(b) ? 0 : -1);
        positioned_flags(b);
    }
}

static void put_message(struct builder *b, int64_t fd, bool address)
{
    uint32_t size = sent_size(b);

    if (address)
        BUILD_BEGIN(b, sendto);
    else
        BUILD_BEGIN(b, send);
    build_argument(b, fd);
    build_say(b, ", ");
    build_pointer(b, build_source(b, size));
    build_argument(b, size);
    message_flags(b, true);
    if (address) {
        static const int32_t lengths[] = { 0, 0, 2, 110, 128, 129, -1 };
        uint16_t *name = build_struct(b, 128);

        *name = AF_UNIX;
        build_say(b, ", {sa_family=AF_UNIX}");
        build_pointer(b, name);
        build_argument(b, lengths[build_below(b, COUNT(lengths))]);
    }
}

void action_put(struct builder *b)
{
    int64_t fd = build_fd(b, KIND_WRITER | KIND_CONNECTED | KIND_UNKNOWN);
    const struct description *description = build_description(b, fd);
    bool socket = description && (description->kind & (KIND_SOCKETS | KIND_UNKNOWN));
    uint32_t how = build_below(b, 16);

    puts_into(b, description);
    if (build_odd(b))
        socket = !socket;
    if (how < 6 || (!socket && how < 9))
        put_plain(b, fd);
    else if (how < 8 || (!socket && how < 14))
        put_vectors(b, fd, false);
    else if (!socket || how == 8)
        put_vectors(b, fd, true);
    else
        put_message(b, fd, how == 15);
}

/* ---- splice and its kin ---- */

static const char *const splice_names[] = { "SPLICE_F_NONBLOCK", "SPLICE_F_MOVE", "SPLICE_F_MORE",
                                            "SPLICE_F_GIFT" };
static const uint32_t splice_bits[] = { SPLICE_F_NONBLOCK, SPLICE_F_MOVE, SPLICE_F_MORE,
                                        SPLICE_F_GIFT };

/* See the top. Chooses once; what doesn't fit is replaced by a number that is closed. */
static int64_t splice_end(struct builder *b, unsigned kinds)
{
    int64_t fd = build_fd(b, kinds);
    const struct description *description = build_description(b, fd);
    struct touch bits = { 0 };

    b->model->spliced = true;
    touch_takes(&bits, description);
    if (description && ((description->kind == KIND_STREAM && description->end == 1) ||
                        description->kind == KIND_UNKNOWN))
        return CLOSED_NUMBER;
    /* Messages with descriptors end in other slots than here: docs/FUZZING.md. */
    if (description && description->kind == KIND_STREAM && (bits.takes & b->model->carried))
        return CLOSED_NUMBER;
    /* What a channel that went native gives, nobody says how many slots that is. */
    if (description && b->urgent && (kinds & KIND_READER) && (description->kind & KIND_CONNECTED))
        return CLOSED_NUMBER;
    return fd;
}

static bool may_wait_at(const struct description *description, uint32_t kinds)
{
    return description && !description->nonblocking && (description->kind & kinds);
}

/*
 * What a call takes from and puts into. When it waits for a socket, or for room in one, it keeps
 * its pipe locked meanwhile: splice_to_socket(), splice_file_to_pipe().
 */
static void moves(struct builder *b, const struct description *in, const struct description *out)
{
    struct touch locked = { 0 };

    touch_takes(&b->made.touch, in);
    touch_puts(&b->made.touch, out);
    if (may_wait_at(in, KIND_CONNECTED) && out && (out->kind & KIND_PIPES))
        touch_looks(&locked, out);
    if (may_wait_at(out, KIND_CONNECTED) && in && (in->kind & KIND_PIPES))
        touch_looks(&locked, in);
    b->made.locks = locked.looks;
    b->made.waits = may_wait_at(in, KIND_ALL) || may_wait_at(out, KIND_ALL);
}

static void splice_flags(struct builder *b, const struct description *in,
                         const struct description *out)
{
    build_flags(b, splice_names, splice_bits, COUNT(splice_bits), 0);
    moves(b, in, out);
    if (b->made.words[b->made.word_count - 1] & SPLICE_F_NONBLOCK)
        b->made.waits = b->made.locks != 0; /* the flag is the pipe's alone */
}

static void splice_size(struct builder *b)
{
    build_argument(b, build_odd(b) ? build_number(b) : (int64_t)build_size(b));
}

/* NULL, or now and then an offset. */
static void offset_argument(struct builder *b, const struct description *description)
{
    bool file = description && description->kind == KIND_FILE;
    int64_t *offset = build_struct(b, sizeof(*offset));

    if ((!file && !build_odd(b)) || (file && build_below(b, 2))) {
        build_named(b, 0, "NULL");
        return;
    }
    *offset = build_odd(b) ? build_number(b) : (int64_t)build_below(b, 6000);
    build_say(b, "%s[%lld => _]", b->made.word_count ? ", " : "", (long long)*offset);
    build_pointer(b, offset);
    build_out(b, OUT_FIXED, "offset", offset, sizeof(*offset));
}

void action_splice(struct builder *b)
{
    int64_t in = splice_end(b, KIND_READER | KIND_SOCKETS | KIND_FILE);
    int64_t out = splice_end(b, KIND_WRITER | KIND_SOCKETS | KIND_FILE);
    struct description *source = build_description(b, in);
    struct description *target = build_description(b, out);

    BUILD_BEGIN(b, splice);
    build_argument(b, in);
    offset_argument(b, source);
    build_argument(b, out);
    offset_argument(b, target);
    splice_size(b);
    splice_flags(b, source, target);
}

void action_tee(struct builder *b)
{
    int64_t in = build_fd(b, KIND_READER);
    int64_t out = build_fd(b, KIND_WRITER);

    BUILD_BEGIN(b, tee);
    build_argument(b, in);
    build_argument(b, out);
    splice_size(b);
    splice_flags(b, build_description(b, in), build_description(b, out));
}

void action_vmsplice(struct builder *b)
{
    int64_t fd = build_fd(b, build_below(b, 4) ? KIND_WRITER : KIND_READER);
    struct description *description = build_description(b, fd);
    bool reads = description && description->kind == KIND_READER;
    struct iovec *vectors;
    uint32_t count;

    b->limit = 0;
    b->no_faults = true; /* its pages are used again, and may be in the pipe still */
    BUILD_BEGIN(b, vmsplice);
    build_argument(b, fd);
    build_say(b, ", ");
    vectors = build_vectors(b, !reads, &count);
    build_pointer(b, vectors);
    build_argument(b, build_odd(b) && build_below(b, 4) == 0 ? 1025 : (int64_t)count);
    splice_flags(b, reads ? description : NULL, reads ? NULL : description);
    /* O_NONBLOCK doesn't count here. */
    b->made.waits = !(b->made.words[3] & SPLICE_F_NONBLOCK);
    if (reads)
        build_out(b, OUT_DATA, "data", vectors, count);
}

void action_sendfile(struct builder *b)
{
    int64_t out = splice_end(b, KIND_WRITER | KIND_SOCKETS);
    int64_t in = splice_end(b, build_below(b, 3) ? KIND_FILE : KIND_READER | KIND_SOCKETS);

    BUILD_BEGIN(b, sendfile);
    build_argument(b, out);
    build_argument(b, in);
    offset_argument(b, build_description(b, in));
    splice_size(b);
    moves(b, build_description(b, in), build_description(b, out));
}
