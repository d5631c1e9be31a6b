/*
 * flow.h - which read got the bytes of which write
 *
 * Each direction of data is a queue: what is written into it comes out in its order. A write enters
 * its bytes when it is entered (some may be read before it returns), a read takes them when it is
 * left. Of streams bytes are counted, of records records.
 *
 * What it leaves out: bytes that a channel had before the recording, or moved natively; the order
 * of two writes into one direction that overlap is that of their beginnings.
 */
#ifndef TRACE_FLOW_H
#define TRACE_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/reader.h"

struct flow_arrow {
    uint32_t from, to; /* numbers of calls, as given to flow_enter() and flow_leave() */
    uint64_t amount;   /* bytes, or records */
    bool records;
};

struct flow;

/* Returns NULL without memory. */
struct flow *flow_create(struct trace *trace);
void flow_destroy(struct flow *flow);

/* A call is entered, or left. Requires: in the recording's order. Returns false without memory. */
bool flow_enter(struct flow *flow, const struct trace_call *call, uint32_t number);
bool flow_leave(struct flow *flow, const struct trace_call *call, uint32_t number);

const struct flow_arrow *flow_arrows(const struct flow *flow, size_t *ret_count);

#endif
