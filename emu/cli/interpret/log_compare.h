/*
 * log_compare.h - what came of a call in the world against what the log says
 */
#ifndef INTERPRET_LOG_COMPARE_H
#define INTERPRET_LOG_COMPARE_H

#include "interpret/log_frame.h"

enum log_difference_kind {
    LOG_SAME,
    LOG_OTHER_RESULT,  /* another number, another errno */
    LOG_BLOCKS,        /* it doesn't come back here */
    LOG_OTHER_BYTES,   /* other data */
    LOG_OTHER_READY,   /* poll, select, epoll: other descriptors or events */
    LOG_OTHER_MESSAGE, /* msg_flags, descriptors in a message, addresses, values */
    LOG_DIFFERENCE_KINDS,
};

struct log_difference {
    enum log_difference_kind kind;
    uint32_t call;
    uint32_t event;     /* at which it was found */
    char in_log[80];    /* "4096", "-1 EAGAIN", "revents of 5 is POLLIN" */
    char here[80];      /* "512" */
    char condition[80]; /* what is compared: "result", "byte 17 on" */
};

/* Compares. Returns true when all that the log shows came out. */
bool log_compare(const struct log_context *context, uint32_t call, const struct log_frame *frame,
                 const struct world_result *result, struct log_difference *ret_difference);

/* The call as it is in the log, shortened: `read(5, ..., 4096)`. */
void log_render_call(const struct log_call *call, char *ret_text, size_t size);

/* Its result: "4096", "-1 EAGAIN", "-1 ERESTARTSYS". */
void log_render_result(const struct log_call *call, char *ret_text, size_t size);

/* "revents of a descriptor", ...: for the list of differences by kind */
const char *log_difference_name(enum log_difference_kind kind);

#endif
