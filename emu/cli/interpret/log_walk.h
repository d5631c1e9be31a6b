/*
 * log_walk.h - between log_plan.c (the walk over a log's events) and the rules for calls
 */
#ifndef INTERPRET_LOG_WALK_H
#define INTERPRET_LOG_WALK_H

#include "interpret/log_plan.h"

struct log_walk {
    struct log_plan *plan;
    const struct log *log;
    struct log_numbers numbers;
    struct log_error *error;
    bool failed;       /* *error says why */
    bool changed;      /* something new is opaque: walk again */
    bool follows;      /* the log has children: strace -f */
    uint8_t *born;     /* task -> its table is made */
    uint32_t *threads; /* scratch: objects of a call */
    uint32_t call;     /* the one that is looked at */
    struct log_step *step;
};

/* What is known of a call when it begins, and when it ends. */
void log_rule_start(struct log_walk *walk, const struct log_call *call);
void log_rule_end(struct log_walk *walk, const struct log_call *call);

/* ---- log_rules_wait.c: poll, select, epoll ---- */

bool log_rule_wait_start(struct log_walk *walk, const struct log_call *call);
void log_rule_wait_end(struct log_walk *walk, const struct log_call *call);

/* ---- log_rules_socket.c: names, connections, descriptors in messages ---- */

bool log_rule_socket_start(struct log_walk *walk, const struct log_call *call);
void log_rule_socket_end(struct log_walk *walk, const struct log_call *call);

/* ---- What rules are written with ---- */

/* The object behind a number of the call's task; LOG_NO_OBJECT too for what is opaque. */
uint32_t log_walk_object(struct log_walk *walk, int64_t number);
/* ... of an argument that is a descriptor. */
uint32_t log_walk_argument(struct log_walk *walk, const struct log_call *call, size_t index);

void log_walk_run(struct log_walk *walk);
void log_walk_touch(struct log_walk *walk, uint32_t object);
void log_walk_touch_all(struct log_walk *walk, uint32_t task, bool cloexec);
void log_walk_made(struct log_walk *walk, int64_t number);
void log_walk_flag(struct log_walk *walk, bool opaque);

/* Puts a new object behind a number that the call made; not when the call's are opaque. */
uint32_t log_walk_make(struct log_walk *walk, enum log_object_kind kind, int64_t number,
                       bool cloexec);

/* The object is shared with what isn't in the log: nothing of it is interpreted. */
void log_walk_opaque(struct log_walk *walk, uint32_t object);

bool log_is(const struct log_call *call, const char *name);
bool log_argument_number(const struct log_call *call, size_t index, int64_t *ret_value);
bool log_succeeded(const struct log_call *call);

#endif
