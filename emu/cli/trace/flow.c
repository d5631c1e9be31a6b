/*
 * flow.c - which read got the bytes of which write
 */
#include "trace/flow.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "emu.h"
#include "trace/memory.h"
#include "trace/numbering.h"

/* A write, or what of it hasn't been read yet. */
struct parcel {
    struct parcel *next;
    uint32_t call;
    uint64_t left;
};

struct direction {
    struct parcel *first, *last;
};

struct flow {
    struct trace *trace;
    struct numbering numbers; /* of directions, by buf and generation */
    struct direction *directions;
    size_t direction_count, direction_room;
    struct flow_arrow *arrows;
    size_t arrow_count, arrow_room;
};

struct flow *flow_create(struct trace *trace)
{
    struct flow *flow = calloc(1, sizeof *flow);

    if (flow == NULL)
        return NULL;
    flow->trace = trace;
    if (!numbering_init(&flow->numbers)) {
        flow_destroy(flow);
        return NULL;
    }
    return flow;
}

void flow_destroy(struct flow *flow)
{
    if (flow == NULL)
        return;
    for (size_t i = 0; i < flow->direction_count; i++) {
        struct parcel *parcel = flow->directions[i].first;

        while (parcel != NULL) {
            struct parcel *next = parcel->next;

            free(parcel);
            parcel = next;
        }
    }
    free(flow->directions);
    free(flow->arrows);
    numbering_fini(&flow->numbers);
    free(flow);
}

/* ---- What a call moves ---- */

enum role { ROLE_NONE, ROLE_WRITES, ROLE_READS, ROLE_BOTH };

static enum role role_of(const struct trace_call *call)
{
    switch (call->call) {
    case EMU_CALL_write:
    case EMU_CALL_writev:
    case EMU_CALL_pwritev2:
    case EMU_CALL_send:
    case EMU_CALL_sendto:
    case EMU_CALL_sendmsg:
    case EMU_CALL_sendmmsg:
    case EMU_CALL_vmsplice: return ROLE_WRITES;
    case EMU_CALL_read:
    case EMU_CALL_readv:
    case EMU_CALL_preadv2:
    case EMU_CALL_recv:
    case EMU_CALL_recvfrom:
    case EMU_CALL_recvmsg:
    case EMU_CALL_recvmmsg: return ROLE_READS;
    case EMU_CALL_splice:
    case EMU_CALL_tee:
    case EMU_CALL_sendfile: return ROLE_BOTH;
    default: return ROLE_NONE;
    }
}

/* A look doesn't take. tee's neither. */
static bool only_looks(const struct trace_call *call)
{
    switch (call->call) {
    case EMU_CALL_recv:
    case EMU_CALL_recvfrom: return (call->words[3] & MSG_PEEK) != 0;
    case EMU_CALL_recvmsg: return (call->words[2] & MSG_PEEK) != 0;
    case EMU_CALL_recvmmsg: return (call->words[3] & MSG_PEEK) != 0;
    case EMU_CALL_tee: return true;
    default: return false;
    }
}

/* Bytes of the messages that sendmmsg and recvmmsg have dealt with. */
static uint64_t message_bytes(const struct trace_call *call)
{
    uint64_t sum = 0;
    struct mmsghdr entry;
    const uint8_t *bytes;

    for (uint64_t i = 0; i < (uint64_t)call->result; i++) {
        if (memory_find(call, TRACE_AT_LEAVE, call->words[1] + i * sizeof entry, &bytes) <
            sizeof entry)
            break;
        memcpy(&entry, bytes, sizeof entry);
        sum += entry.msg_len;
    }
    return sum;
}

static uint64_t amount_of(const struct trace_call *call, bool records)
{
    const bool many = call->call == EMU_CALL_sendmmsg || call->call == EMU_CALL_recvmmsg;

    if (call->result < 0)
        return 0;
    if (records)
        return many ? (uint64_t)call->result : 1;
    return many ? message_bytes(call) : (uint64_t)call->result;
}

/* Which argument names the descriptor that is written to, or read from. */
static unsigned argument_of(const struct trace_call *call, bool written)
{
    if (call->call == EMU_CALL_splice)
        return written ? 2 : 0;
    if (call->call == EMU_CALL_tee)
        return written ? 1 : 0;
    if (call->call == EMU_CALL_sendfile)
        return written ? 0 : 1;
    return 0;
}

/* The direction of data behind it, by number; 0: none, or without memory. */
static uint32_t direction_of(struct flow *flow, const struct trace_call *call, bool written,
                             bool *ret_records)
{
    const struct trace_object *state = NULL;
    uint64_t key;
    uint32_t buf;

    for (size_t i = 0; i < call->fd_count && state == NULL; i++) {
        const struct trace_fd *fd = &call->fds[i];

        if (fd->argument == argument_of(call, written) && fd->description != UINT32_MAX &&
            fd->kind != TRACE_OBJECT_NONE)
            state = trace_object_find(flow->trace, fd->description, fd->generation, call->enter_ns);
    }
    if (state == NULL)
        return 0;
    buf = written ? state->tx : state->rx;
    if (buf == UINT32_MAX)
        return 0;
    *ret_records = state->kind == TRACE_OBJECT_SEQPACKET ||
                   state->kind == TRACE_OBJECT_VSOCK_SEQPACKET;
    key = (uint64_t)(written ? state->tx_generation : state->rx_generation) << 32 | buf;
    if (numbering_find(&flow->numbers, key) != 0)
        return numbering_find(&flow->numbers, key);
    if (flow->direction_count == flow->direction_room) {
        const size_t room = flow->direction_room * 2 + 64;
        struct direction *directions = realloc(flow->directions, room * sizeof *directions);

        if (directions == NULL)
            return 0;
        flow->directions = directions;
        flow->direction_room = room;
    }
    flow->directions[flow->direction_count++] = (struct direction){ .first = NULL };
    numbering_set(&flow->numbers, key, (uint32_t)flow->direction_count);
    return (uint32_t)flow->direction_count;
}

/* ---- Queues ---- */

static bool add_arrow(struct flow *flow, const struct flow_arrow *arrow)
{
    if (flow->arrow_count == flow->arrow_room) {
        const size_t room = flow->arrow_room * 2 + 256;
        struct flow_arrow *arrows = realloc(flow->arrows, room * sizeof *arrows);

        if (arrows == NULL)
            return false;
        flow->arrows = arrows;
        flow->arrow_room = room;
    }
    flow->arrows[flow->arrow_count++] = *arrow;
    return true;
}

static bool put(struct direction *direction, uint32_t call, uint64_t amount)
{
    struct parcel *parcel = malloc(sizeof *parcel);

    if (parcel == NULL)
        return false;
    *parcel = (struct parcel){ .call = call, .left = amount };
    if (direction->last != NULL)
        direction->last->next = parcel;
    else
        direction->first = parcel;
    direction->last = parcel;
    return true;
}

/* Draws an arrow from each write that the read got something of. */
static bool take(struct flow *flow, struct direction *direction, uint32_t call, uint64_t amount,
                 bool records)
{
    while (amount > 0 && direction->first != NULL) {
        struct parcel *parcel = direction->first;
        const uint64_t part = parcel->left < amount ? parcel->left : amount;
        const struct flow_arrow arrow = { parcel->call, call, part, records };

        if (!add_arrow(flow, &arrow))
            return false;
        amount -= part;
        parcel->left -= part;
        if (parcel->left == 0) {
            direction->first = parcel->next;
            if (direction->first == NULL)
                direction->last = NULL;
            free(parcel);
        }
    }
    return true;
}

bool flow_enter(struct flow *flow, const struct trace_call *call, uint32_t number)
{
    const enum role role = call->kind == TRACE_CALL ? role_of(call) : ROLE_NONE;
    bool records = false;
    uint32_t direction;
    uint64_t amount;

    if (role != ROLE_WRITES && role != ROLE_BOTH)
        return true;
    direction = direction_of(flow, call, true, &records);
    amount = amount_of(call, records);
    return direction == 0 || amount == 0 || put(&flow->directions[direction - 1], number, amount);
}

bool flow_leave(struct flow *flow, const struct trace_call *call, uint32_t number)
{
    const enum role role = call->kind == TRACE_CALL ? role_of(call) : ROLE_NONE;
    bool records = false;
    uint32_t direction;

    if ((role != ROLE_READS && role != ROLE_BOTH) || only_looks(call))
        return true;
    direction = direction_of(flow, call, false, &records);
    return direction == 0 ||
           take(flow, &flow->directions[direction - 1], number, amount_of(call, records), records);
}

const struct flow_arrow *flow_arrows(const struct flow *flow, size_t *ret_count)
{
    *ret_count = flow->arrow_count;
    return flow->arrows;
}
