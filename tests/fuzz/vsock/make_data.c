/*
 * make_data.c - calls that move bytes
 *
 * What is sent are the next bytes of the flow, so a call that sends chooses its size alone.
 */
#include <limits.h>
#include <string.h>
#include <sys/uio.h>

#include "vsock/run.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define VECTORS_MAX  3u

/* Around the marks of the model: a packet that is joined (128), credit, packets (65536). */
static const uint32_t small_sizes[] = { 0,   1,    2,    3,    5,    16,   64,   100,  127, 128,
                                        129, 130,  199,  200,  201,  276,  277,  300,  500, 501,
                                        999, 1000, 1001, 1300, 2000, 4095, 4096, 4097, 5000 };
static const uint32_t large_sizes[] = { 8192,  32384, 32768,  65535,  65536,  65537,  70000,
                                        70001, 98304, 131072, 196608, 262143, 262144, 262145 };

static const char *const receive_names[] = { "MSG_DONTWAIT", "MSG_PEEK",     "MSG_TRUNC",
                                             "MSG_WAITALL",  "MSG_DONTWAIT", "MSG_OOB",
                                             "MSG_ERRQUEUE" };
static const uint32_t receive_bits[] = { MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC,   MSG_WAITALL,
                                         MSG_DONTWAIT, MSG_OOB,  MSG_ERRQUEUE };
static const char *const send_names[] = {
    "MSG_DONTWAIT", "MSG_NOSIGNAL", "MSG_EOR", "MSG_MORE",
    "MSG_DONTWAIT", "MSG_EOR",      "MSG_OOB", "MSG_ZEROCOPY"
};
static const uint32_t send_bits[] = { MSG_DONTWAIT, MSG_NOSIGNAL, MSG_EOR, MSG_MORE,
                                      MSG_DONTWAIT, MSG_EOR,      MSG_OOB, MSG_ZEROCOPY };

static uint32_t choose_size(struct builder *b)
{
    uint32_t choice = build_below(b, 512);

    if (choice < b->large / 2)
        return large_sizes[choice % COUNT(large_sizes)];
    if (choice % 8 == 0)
        return build_below(b, 9000);
    return small_sizes[choice % COUNT(small_sizes)];
}

static bool begin(struct run *run, const struct player *player, enum op op)
{
    int number = run->drained >= 0 ? run->drained : make_number(run, player, END_CONNECTED);

    run->move.op = op;
    run->move.number = number;
    run->move.end = ends_at(&run->processes[player->process], number);
    return true;
}

static void flags_argument(struct run *run, bool sent)
{
    struct builder *b = &run->builder;
    const char *const *names = sent ? send_names : receive_names;
    const uint32_t *bits = sent ? send_bits : receive_bits;
    uint32_t count = sent ? COUNT(send_bits) : COUNT(receive_bits);

    if (build_below(b, 8) != 0)
        count -= 2;
    build_flags(b, names, bits, count, 0);
    run->move.flags = (uint32_t)b->made.words[b->made.word_count - 1];
}

/* ---- sending ---- */

/* More than two senders in one direction: what they send mixes, and isn't checked any more. */
static bool may_send(struct run *run)
{
    int end = run->move.end;

    if (end < 0 || run->ends.all[end].kind != END_CONNECTED)
        return true;
    run->move.position = run->ends.all[end].out.sent;
    run->move.alone = !run_sleeps(run, OP_SEND, end);
    if (run->move.alone)
        return true;
    if (build_below(&run->builder, 32) != 0)
        return false;
    run->ends.all[end].out.loose = true;
    return true;
}

/* What the flow may still send: its bytes end somewhere. */
static uint32_t cut_size(const struct run *run, uint32_t size, uint64_t position)
{
    uint64_t left = run->move.end < 0 ? FLOW_BYTES : FLOW_BYTES - position;

    return size > left ? (uint32_t)left : size;
}

/* The next `size` bytes, or a place where only the first half of them can be touched. */
static const void *source(struct run *run, uint32_t size, uint64_t position)
{
    struct builder *b = &run->builder;
    uint32_t base = run->move.end < 0 ? 0 : run->ends.all[run->move.end].out.base;
    uint32_t offset = base + (uint32_t)position;
    uint8_t *place;

    if (run->step || !build_odd(b) || size == 0) {
        build_say(b, "pattern(1, %u, %u)", size, offset);
        return run->pattern + offset;
    }
    run->move.faults = true;
    place = size >= 2 ? world_fault(run->world, size / 2) : NULL;
    if (!place || build_below(b, 4) == 0) {
        build_say(b, "BADPTR");
        return world_bad_page(run->world);
    }
    b->made.faults = true;
    memcpy(place, run->pattern + offset, size / 2);
    build_say(b, "fault(pattern(1, %u, %u))", size / 2, offset);
    return place;
}

static struct iovec *sent_vectors(struct run *run, uint64_t position, struct part *ret_part)
{
    struct builder *b = &run->builder;
    uint32_t count = build_below(b, VECTORS_MAX + 1);
    struct iovec *vectors = build_struct(b, VECTORS_MAX * sizeof(*vectors));

    *ret_part = (struct part){ vectors, count, 0 };
    build_say(b, "[");
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = cut_size(run, choose_size(b), position);

        build_say(b, "%s{iov_base=", i ? ", " : "");
        vectors[i].iov_base = (void *)(uintptr_t)source(run, size, position);
        vectors[i].iov_len = size;
        build_say(b, ", iov_len=%u}", size);
        position += size;
        ret_part->size += size;
    }
    build_say(b, "]");
    return vectors;
}

static void put_plain(struct run *run, uint32_t how)
{
    struct builder *b = &run->builder;
    uint32_t size = cut_size(run, choose_size(b), run->move.position);

    if (how == 0)
        BUILD_BEGIN(b, write);
    else if (how == 1)
        BUILD_BEGIN(b, send);
    else
        BUILD_BEGIN(b, sendto);
    build_argument(b, run->move.number);
    build_say(b, ", ");
    build_pointer(b, source(run, size, run->move.position));
    build_argument(b, size);
    run->move.parts[0].size = size;
    if (how == 0)
        return;
    flags_argument(run, true);
    if (how == 2) {
        uint64_t *name = build_struct(b, 16);

        name[0] = 40; /* AF_VSOCK */
        run->move.odd = build_below(b, 2);
        build_say(b, ", {sa_family=40}");
        build_pointer(b, name);
        build_argument(b, run->move.odd ? 16 : 0);
    }
}

static void put_vectors(struct run *run)
{
    struct builder *b = &run->builder;

    BUILD_BEGIN(b, writev);
    build_argument(b, run->move.number);
    build_say(b, ", ");
    build_pointer(b, sent_vectors(run, run->move.position, &run->move.parts[0]));
    if (build_odd(b)) {
        run->move.odd = true;
        build_argument(b, build_below(b, 2) ? 1025 : -1);
    } else {
        build_argument(b, run->move.parts[0].count);
    }
}

bool make_put(struct run *run, struct player *player)
{
    uint32_t how = build_below(&run->builder, 8);

    if (!begin(run, player, OP_SEND) || !may_send(run))
        return false;
    run->move.part_count = 1;
    if (how < 3)
        put_plain(run, 0);
    else if (how < 6)
        put_plain(run, 1);
    else if (how == 6)
        put_plain(run, 2);
    else
        put_vectors(run);
    return true;
}

static void sent_header(struct run *run, struct msghdr *header, uint64_t position,
                        struct part *ret_part)
{
    build_say(&run->builder, "{msg_iov=");
    header->msg_iov = sent_vectors(run, position, ret_part);
    header->msg_iovlen = ret_part->count;
    build_say(&run->builder, "}");
}

bool make_put_message(struct run *run, struct player *player)
{
    struct builder *b = &run->builder;
    uint64_t position;

    if (!begin(run, player, OP_SEND) || !may_send(run))
        return false;
    position = run->move.position;
    run->move.part_count = 1;
    if (build_below(b, 2)) {
        BUILD_BEGIN(b, sendmsg);
        run->move.one = build_struct(b, sizeof(*run->move.one));
        build_argument(b, run->move.number);
        build_say(b, ", ");
        sent_header(run, run->move.one, position, &run->move.parts[0]);
        build_pointer(b, run->move.one);
    } else {
        BUILD_BEGIN(b, sendmmsg);
        run->move.part_count = 1 + build_below(b, RUN_PARTS);
        run->move.many = build_struct(b, RUN_PARTS * sizeof(*run->move.many));
        build_argument(b, run->move.number);
        build_say(b, ", [");
        for (uint32_t i = 0; i < run->move.part_count; i++) {
            build_say(b, "%s{msg_hdr=", i ? ", " : "");
            sent_header(run, &run->move.many[i].msg_hdr, position, &run->move.parts[i]);
            build_say(b, ", msg_len=_}");
            position += run->move.parts[i].size;
        }
        build_say(b, "]");
        build_pointer(b, run->move.many);
        build_argument(b, run->move.part_count);
    }
    flags_argument(run, true);
    return true;
}

/* ---- receiving ---- */

/* Two that wait for one flow's bytes: who gets which is open where one of them keeps what it has.
 */
static bool may_take(struct run *run)
{
    int end = run->move.end;

    return end < 0 || run->drained >= 0 || !run_sleeps(run, OP_TAKE, end);
}

static void *target(struct run *run, uint32_t size)
{
    struct builder *b = &run->builder;
    uint8_t *place = b->data;

    if (run->drained < 0 && build_odd(b) && size > 0) {
        run->move.faults = true;
        place = size >= 2 ? world_fault(run->world, size / 2) : NULL;
        if (!place || build_below(b, 4) == 0) {
            build_say(b, "BADPTR");
            return world_bad_page(run->world);
        }
        b->made.faults = true;
        build_say(b, "fault(%u)", size / 2);
        return place;
    }
    b->data += size;
    build_say(b, "_");
    return place;
}

static uint32_t room(const struct builder *b, uint32_t size)
{
    size_t left = (size_t)(b->data_end - b->data);

    return size > left ? (uint32_t)left : size;
}

static struct iovec *taken_vectors(struct run *run, struct part *ret_part)
{
    struct builder *b = &run->builder;
    uint32_t count = 1 + build_below(b, VECTORS_MAX);
    struct iovec *vectors = build_struct(b, VECTORS_MAX * sizeof(*vectors));

    *ret_part = (struct part){ vectors, count, 0 };
    build_say(b, "[");
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = room(b, choose_size(b));

        build_say(b, "%s{iov_base=", i ? ", " : "");
        vectors[i].iov_base = target(run, size);
        vectors[i].iov_len = size;
        build_say(b, ", iov_len=%u}", size);
        ret_part->size += size;
    }
    build_say(b, "]");
    return vectors;
}

static void take_plain(struct run *run, bool flags, uint32_t size)
{
    struct builder *b = &run->builder;
    struct iovec *vector = build_struct(b, sizeof(*vector));

    if (flags)
        BUILD_BEGIN(b, recv);
    else
        BUILD_BEGIN(b, read);
    build_argument(b, run->move.number);
    build_say(b, ", ");
    vector->iov_base = target(run, size);
    vector->iov_len = size;
    build_pointer(b, vector->iov_base);
    build_argument(b, size);
    run->move.parts[0] = (struct part){ vector, 1, size };
    run->move.part_count = 1;
}

bool make_take(struct run *run, struct player *player)
{
    struct builder *b = &run->builder;
    uint32_t how = build_below(b, 8);

    if (!begin(run, player, OP_TAKE) || !may_take(run))
        return false;
    if (how < 3) {
        take_plain(run, false, choose_size(b));
    } else if (how < 7) {
        take_plain(run, true, choose_size(b));
        flags_argument(run, false);
    } else {
        BUILD_BEGIN(b, readv);
        build_argument(b, run->move.number);
        build_say(b, ", ");
        build_pointer(b, taken_vectors(run, &run->move.parts[0]));
        build_argument(b, run->move.parts[0].count);
        run->move.part_count = 1;
    }
    return true;
}

bool make_last_take(struct run *run, struct player *player)
{
    begin(run, player, OP_TAKE);
    take_plain(run, false, BUILD_DATA / 2);
    return true;
}

static void taken_header(struct run *run, struct msghdr *header, struct part *ret_part)
{
    build_say(&run->builder, "{msg_iov=");
    header->msg_iov = taken_vectors(run, ret_part);
    header->msg_iovlen = ret_part->count;
    build_say(&run->builder, ", msg_flags=_}");
}

bool make_take_message(struct run *run, struct player *player)
{
    struct builder *b = &run->builder;

    if (!begin(run, player, OP_TAKE) || !may_take(run))
        return false;
    run->move.part_count = 1;
    if (build_below(b, 3)) {
        BUILD_BEGIN(b, recvmsg);
        run->move.one = build_struct(b, sizeof(*run->move.one));
        build_argument(b, run->move.number);
        build_say(b, ", ");
        taken_header(run, run->move.one, &run->move.parts[0]);
        build_pointer(b, run->move.one);
        flags_argument(run, false);
        return true;
    }
    BUILD_BEGIN(b, recvmmsg);
    run->move.part_count = 1 + build_below(b, RUN_PARTS);
    run->move.many = build_struct(b, RUN_PARTS * sizeof(*run->move.many));
    build_argument(b, run->move.number);
    build_say(b, ", [");
    for (uint32_t i = 0; i < run->move.part_count; i++) {
        build_say(b, "%s{msg_hdr=", i ? ", " : "");
        taken_header(run, &run->move.many[i].msg_hdr, &run->move.parts[i]);
        build_say(b, ", msg_len=_}");
    }
    build_say(b, "]");
    build_pointer(b, run->move.many);
    build_argument(b, run->move.part_count);
    flags_argument(run, false);
    build_named(b, 0, "NULL");
    return true;
}
