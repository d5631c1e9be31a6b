/*
 * log_frame.h - one call of a log in memory: its arguments as words for the world
 *
 * Each task has a part of the world's memory, that its call uses until the next one.
 */
#ifndef INTERPRET_LOG_FRAME_H
#define INTERPRET_LOG_FRAME_H

#include "interpret/log_plan.h"
#include "interpret/world.h"

#define LOG_FRAME_SIZE (8u << 20) /* of one task; touched where used */
#define LOG_BUFFER_MAX (4u << 20) /* what a buffer is given, however large the log says it is */

/* What stands in for bytes that strace left out. It equals everything when bytes are compared. */
#define LOG_FILLER 0xa7

struct log_frame {
    uint8_t *memory;
    size_t used;
    bool full; /* it didn't fit */
    int call;  /* of calls.h's table */
    uint64_t words[SCRIPT_MAX_ARGUMENTS];
};

/* What calls are written and compared with. */
struct log_context {
    const struct log *log;
    struct log_plan *plan;
    struct world *world;
    const char *directory; /* paths of the log are moved below it */
    const char *tag;       /* abstract names begin with it */
};

/*
 * Writes the call's arguments. `most` cuts a buffer that is filled (SIZE_MAX: it isn't cut).
 *
 * Returns false when they don't fit.
 */
bool log_encode(const struct log_context *context, uint32_t call, size_t most,
                struct log_frame *frame);

/* An address in the world for {sa_family=..., ...}; its size in *ret_size. */
void *log_encode_address(const struct log_context *context, struct log_frame *frame,
                         const struct log_expr *address, uint32_t name, uint32_t *ret_size);

/* The part of an expression that goes in, and the one that comes out. */
const struct log_expr *log_in(const struct log_expr *expr);
const struct log_expr *log_out(const struct log_expr *expr);

/* {events=, data=} of epoll, in all of strace's ways to write it. */
bool log_epoll_event(const struct log_expr *event, int64_t *ret_events, uint64_t *ret_data);

#endif
