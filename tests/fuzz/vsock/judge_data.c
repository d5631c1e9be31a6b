/*
 * judge_data.c - bytes and records: none is lost, repeated, or out of its place
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "vsock/judge.h"

static bool may_be_again(const struct end *end, const struct move *move)
{
    return end->nonblocking || end->timed || end->sick || (move->flags & MSG_DONTWAIT);
}

/* Nobody reads what this end sends, or it has said that it sends no more. */
static bool is_deaf(const struct run *run, const struct end *end)
{
    const struct end *peer = end->peer < 0 ? NULL : &run->ends.all[end->peer];

    return end->shut_write || (peer && (peer->shut_read || peer->closed));
}

/* ---- sending ---- */

/*
 * A record failed, perhaps half-way (vsock_data.h): what of it is in the flow, the receiver says.
 */
static void learn_torn(struct run *run, const struct end *end, struct flow *flow, uint64_t most)
{
    int64_t unread = look_unread(run, end->peer);
    int64_t entered = unread - (int64_t)(flow->sent - flow->received);

    if (flow->loose)
        return;
    if (unread < 0 || run_sleeps(run, OP_TAKE, end->peer)) { /* it has some of them, perhaps */
        flow->loose = true;
        return;
    }
    if (entered < 0 || (uint64_t)entered > most) {
        run_wrong(run, "unread", "%lld bytes more after a record of %llu failed",
                  (long long)entered, (unsigned long long)most);
        return;
    }
    flow->sent += (uint64_t)entered;
    flow->torn += (uint32_t)entered;
}

static void sent_part(struct run *run, const struct player *player, const struct end *end,
                      struct flow *flow, uint32_t size, int64_t value)
{
    const struct move *move = &player->move;
    bool eor = (move->flags & MSG_EOR) || strncmp(player->made.name, "write", 5) == 0;

    if (value > size || (end->records && value != size)) {
        run_wrong(run, "sent", "%lld of %u bytes", (long long)value, size);
        return;
    }
    run->bytes += (uint64_t)value;
    flow->sent += (uint64_t)value;
    if (value > 0)
        ends_tell(&run->ends, end->peer);
    if (!end->records || value == 0)
        return;
    run->records++;
    flow_add_record(flow, flow->torn + (uint32_t)value, eor); /* sock_write_iter() sets MSG_EOR */
    flow->torn = 0;
}

static void send_failed(struct run *run, const struct player *player, const struct end *end,
                        int error)
{
    const struct move *move = &player->move;
    bool connected = end->kind == END_CONNECTED;

    if (error == EAGAIN && !may_be_again(end, move))
        run_wrong(run, "again", "EAGAIN of a send that blocks");
    if (error == EPIPE && connected && !is_deaf(run, end))
        run_wrong(run, "broken pipe", "both ends are open");
    if (error == ENOTCONN && connected)
        run_wrong(run, "not connected", "a send on a connection");
    if (error == ENOMEM && !move->faults && !end->sick)
        run_wrong(run, "memory", "ENOMEM of a send without a bad pointer");
}

void judge_send(struct run *run, const struct player *player, int64_t value)
{
    const struct move *move = &player->move;
    struct end *end = &run->ends.all[move->end];
    struct flow *flow = &end->out;
    uint64_t most = 0;

    if (value < 0)
        send_failed(run, player, end, (int)-value);
    if (end->kind != END_CONNECTED) {
        if (value > 0 || (value == 0 && strcmp(player->made.name, "writev") != 0))
            run_wrong(run, "not connected", "a send works"); /* writev of nothing: vfs_writev() */
        return;
    }
    if (value > 0 && !player->slept && is_deaf(run, end))
        run_wrong(run, "broken pipe", "%lld bytes are sent, to nobody", (long long)value);
    if (move->many && value > (int64_t)move->part_count) {
        run_wrong(run, "sent", "%lld of %u messages", (long long)value, move->part_count);
        return;
    }
    if (!move->many) {
        if (value >= 0)
            sent_part(run, player, end, flow, move->parts[0].size, value);
        most = value >= 0 ? 0 : move->parts[0].size;
    } else {
        for (int64_t i = 0; i < value; i++)
            sent_part(run, player, end, flow, move->parts[i].size, move->many[i].msg_len);
        if (value < (int64_t)move->part_count)
            most = move->parts[value < 0 ? 0 : value].size;
    }
    if (end->records && most > 0)
        learn_torn(run, end, flow, most);
}

/* ---- receiving ---- */

/* Bytes that senders who sleep have put into the flow, at most. */
static uint64_t sleeping_bytes(const struct run *run, int end)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < RUN_TASKS; i++) {
        const struct player *player = &run->players[i];

        for (uint32_t j = 0; j < player->move.part_count; j++) {
            if (player->alive && player->blocked && player->move.op == OP_SEND &&
                player->move.end == end)
                sum += player->move.parts[j].size;
        }
    }
    return sum;
}

static void check_bytes(struct run *run, const struct part *part, const struct flow *flow,
                        uint64_t position, uint64_t count)
{
    uint64_t place = flow_place(flow, position);
    uint64_t done = 0;

    for (uint32_t i = 0; i < part->count && done < count; i++) {
        const uint8_t *bytes = part->vectors[i].iov_base;
        uint64_t here = part->vectors[i].iov_len;

        here = here < count - done ? here : count - done;
        for (uint64_t j = 0; j < here && memcmp(bytes, run->pattern + place + done, here) != 0;
             j++) {
            if (bytes[j] != run->pattern[place + done + j]) {
                run_wrong(run, "bytes", "byte %" PRIu64 " of the flow is another one",
                          position + done + j);
                break;
            }
        }
        done += here;
    }
    run->came = count;
    run->came_place = place;
}

/* The end of the flow may be told, and everything was received by then. */
static void judge_end(struct run *run, const struct end *end, const struct flow *flow)
{
    const struct end *peer = &run->ends.all[end->peer];
    bool open = !end->shut_read && !peer->shut_write && !peer->closed;

    if (end->shut_read || end->sick)
        return;
    if (open)
        run_wrong(run, "end", "the end of what an open end sends");
    else if (!flow->loose && flow->sent != flow->received + flow->torn)
        run_wrong(run, "lost", "the end comes %llu bytes too early",
                  (unsigned long long)(flow->sent - flow->torn - flow->received));
}

static void take_stream(struct run *run, const struct player *player, struct flow *flow,
                        const struct part *part, uint64_t count)
{
    const struct move *move = &player->move;
    int sender = run->ends.all[move->end].peer;
    bool peeks = move->flags & MSG_PEEK;

    if (count > part->size ||
        (!flow->loose && flow->received + count > flow->sent + sleeping_bytes(run, sender))) {
        run_wrong(run, "received", "%llu bytes, %llu were sent", (unsigned long long)count,
                  (unsigned long long)(flow->sent - flow->received));
        return;
    }
    if (!flow->loose && !(peeks && run_held(run, move->end)))
        check_bytes(run, part, flow, flow->received, count);
    if (!peeks)
        flow->received += count;
}

static void take_record(struct run *run, const struct player *player, struct flow *flow,
                        const struct part *part, uint64_t value, int flags)
{
    const struct move *move = &player->move;
    struct record record = flow->records[flow->first % FLOW_RECORDS];
    uint64_t room = part->size;
    uint64_t here = record.length < room ? record.length : room;

    if (flow->loose)
        return;
    if (flow->count == 0) {
        run_wrong(run, "records", "a record of %llu bytes that nobody sent",
                  (unsigned long long)value);
        return;
    }
    if (value != (move->flags & MSG_TRUNC ? record.length : here))
        run_wrong(run, "records", "%llu bytes of a record of %u", (unsigned long long)value,
                  record.length);
    else
        check_bytes(run, part, flow, flow->received, here);
    if (value > room)
        run->came = 0;
    if (flags >= 0 && !(flags & MSG_TRUNC) != (record.length <= room))
        run_wrong(run, "records", "MSG_TRUNC: flags 0x%x, a record of %u", flags, record.length);
    if (flags >= 0 && !(flags & MSG_EOR) != !record.eor)
        run_wrong(run, "records", "MSG_EOR: flags 0x%x", flags);
    if (!(move->flags & MSG_PEEK))
        flow_take_record(flow);
}

/*
 * A record whose buffer can't be touched is lost, and so is the one that a stored error is told in
 * place of (__vsock_seqpacket_recvmsg): were there any?
 */
static void learn_taken(struct run *run, const struct player *player, struct flow *flow)
{
    const struct move *move = &player->move;
    int sender = run->ends.all[move->end].peer;
    int64_t unread = look_unread(run, move->end);

    if (flow->loose)
        return;
    if (unread < 0 || run_sleeps(run, OP_SEND, sender) || run_held(run, move->end)) {
        flow->loose = true;
        return;
    }
    while (flow->count > 0 && (int64_t)(flow->sent - flow->received) > unread)
        flow_take_record(flow);
    if ((int64_t)(flow->sent - flow->received) != unread)
        run_wrong(run, "unread", "%lld bytes after a bad pointer, %llu expected", (long long)unread,
                  (unsigned long long)(flow->sent - flow->received));
}

/* How much a receive waits for: as much as the buffer has is ENOMEM (vsock_stream_receive_try). */
static uint64_t wanted(const struct end *end, const struct move *move)
{
    uint32_t size = move->parts[0].size;

    return move->flags & MSG_WAITALL || end->low > size ? size : end->low;
}

static void take_failed(struct run *run, const struct player *player, const struct end *end,
                        const struct flow *flow, int error)
{
    const struct move *move = &player->move;
    bool empty = end->records ? flow->count == 0 : flow->sent == flow->received;

    if (error == EAGAIN && !may_be_again(end, move) && !(move->flags & MSG_ERRQUEUE))
        run_wrong(run, "again", "EAGAIN of a receive that blocks");
    if (error == EAGAIN && !(move->flags & MSG_ERRQUEUE) && !empty && !flow->loose && !end->sick &&
        !run_held(run, move->end))
        run_wrong(run, "lost", "EAGAIN, and %llu bytes are unread",
                  (unsigned long long)(flow->sent - flow->received));
    if (error == ENOTCONN && !end->shut_read && !end->shut_write)
        run_wrong(run, "not connected", "a receive on a connection");
    if (error == EFAULT && !move->faults && !end->sick)
        run_wrong(run, "fault", "EFAULT without a bad pointer");
    if (error == ENOMEM && !end->sick &&
        wanted(end, move) < look_size(run, player->process, move->number))
        run_wrong(run, "memory", "ENOMEM of a receive");
}

void judge_take(struct run *run, const struct player *player, int64_t value)
{
    const struct move *move = &player->move;
    struct end *end = &run->ends.all[move->end];
    struct flow *flow = ends_incoming(&run->ends, move->end);
    int64_t count = move->many ? value : 1;

    if (end->kind != END_CONNECTED || !flow) {
        if (value > 0 || (value == 0 && move->parts[0].size > 0))
            run_wrong(run, "not connected", "a receive works");
        return;
    }
    if (value < 0)
        take_failed(run, player, end, flow, (int)-value);
    for (int64_t i = 0; value >= 0 && i < count && !run->rule[0]; i++) {
        const struct part *part = &move->parts[i];
        const struct msghdr *header = move->many ? &move->many[i].msg_hdr : move->one;
        uint64_t here = move->many ? move->many[i].msg_len : (uint64_t)value;

        if (part->size == 0 && here == 0)
            continue;
        if (here == 0)
            judge_end(run, end, flow);
        else if (end->records)
            take_record(run, player, flow, part, here, header ? header->msg_flags : -1);
        else
            take_stream(run, player, flow, part, here);
    }
    if (move->many)
        run->came = 0;
    if (end->records && !(move->flags & MSG_PEEK) &&
        (move->faults || (end->sick && value < 0 && value != -EAGAIN)))
        learn_taken(run, player, flow);
}
