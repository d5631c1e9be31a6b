/*
 * ends.c - see ends.h
 */
#include "ends.h"

#include <linux/vm_sockets.h>
#include <string.h>

int ends_make(struct ends *ends, uint8_t kind, bool records)
{
    struct end *end;

    if (ends->count == ENDS_MAX)
        return -1;
    end = &ends->all[ends->count];
    memset(end, 0, sizeof(*end));
    end->kind = kind;
    end->records = records;
    end->low = 1;
    end->port = VMADDR_PORT_ANY;
    end->peer = -1;
    end->out.base = ends->count * FLOW_STRIDE;
    return (int)ends->count++;
}

/* Nobody can reach it any more; nor what waits at it to be accepted. */
static void close_end(struct ends *ends, int index)
{
    struct end *end = &ends->all[index];

    end->closed = true;
    for (uint32_t i = 0; i < end->pending_count; i++)
        ends->all[end->pending[i]].closed = true;
    end->pending_count = 0;
}

void ends_hold(struct ends *ends, struct table *process, int64_t number, int end)
{
    if (number < 0 || number >= ENDS_NUMBERS || end < 0)
        return;
    ends_drop(ends, process, number);
    process->numbers[number] = end;
    ends->all[end].holders++;
}

void ends_drop(struct ends *ends, struct table *process, int64_t number)
{
    int end = ends_at(process, number);

    if (end < 0)
        return;
    process->numbers[number] = -1;
    if (--ends->all[end].holders == 0)
        close_end(ends, end);
}

int ends_at(const struct table *process, int64_t number)
{
    return number >= 0 && number < ENDS_NUMBERS ? process->numbers[number] : -1;
}

int ends_listener(const struct ends *ends, uint32_t cid, uint32_t port)
{
    for (uint32_t i = 0; i < ends->count; i++) {
        const struct end *end = &ends->all[i];

        if (end->kind == END_LISTENING && !end->closed && end->port == port &&
            (end->cid == VMADDR_CID_ANY || end->cid == cid))
            return (int)i;
    }
    return -1;
}

void ends_connect(struct ends *ends, int client, int server)
{
    ends->all[client].kind = END_CONNECTED;
    ends->all[client].peer = server;
    ends->all[server].peer = client;
}

struct flow *ends_incoming(struct ends *ends, int end)
{
    int peer = end < 0 ? -1 : ends->all[end].peer;

    return peer < 0 ? NULL : &ends->all[peer].out;
}

void ends_tell(struct ends *ends, int end)
{
    if (end < 0 || ends->all[end].low != 1) /* vsock_data_ready() minds SO_RCVLOWAT */
        return;
    for (uint32_t i = 0; i < ends->count; i++) {
        struct end *set = &ends->all[i];

        for (uint32_t j = 0; j < set->watch_count; j++)
            set->watches[j].due = set->watches[j].due || set->watches[j].end == end;
    }
}

void flow_add_record(struct flow *flow, uint32_t length, bool eor)
{
    if (flow->count == FLOW_RECORDS) {
        flow->loose = true;
        return;
    }
    flow->records[(flow->first + flow->count++) % FLOW_RECORDS] = (struct record){ length, eor };
}

void flow_take_record(struct flow *flow)
{
    flow->received += flow->records[flow->first % FLOW_RECORDS].length;
    flow->first++;
    flow->count--;
}
