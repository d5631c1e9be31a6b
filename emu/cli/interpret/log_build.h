/*
 * log_build.h - a log while it is being read: between log_parse.c, log_tasks.c and log_call.c
 */
#ifndef INTERPRET_LOG_BUILD_H
#define INTERPRET_LOG_BUILD_H

#include "interpret/log_line.h"

/* What is known of a task only while the log is read. */
struct log_pending {
    uint32_t call;    /* that was begun and hasn't ended, or LOG_NO_CALL */
    const char *text; /* of that call, up to <unfinished ...> */
    size_t size;
};

struct log_builder {
    struct log *log;
    struct log_error *error;
    struct log_pending *pending; /* one for each task */
    uint32_t *pids;              /* pid -> index + 1 of its newest task */
    uint32_t bare;               /* whose the lines without a pid are, or LOG_NO_TASK */
    size_t call_room;
    size_t event_room;
    size_t task_room;
    bool split; /* a line was <unfinished ...> */
    size_t timed_lines;
    size_t lines;
};

/* ---- log_tasks.c ---- */

/* Whose line is this? Makes the task when it is new. Returns 0, -1 after a message. */
int log_task_of_line(struct log_builder *builder, const struct log_line *line, uint32_t *ret_task);

/* A call of the clone family has ended with a pid. Returns 0, -1 after a message. */
int log_task_born(struct log_builder *builder, uint32_t call);

/* The thread `task` has executed a program and goes on under its leader's pid. */
void log_task_replaces(struct log_builder *builder, uint32_t task, uint32_t pid);

/* Finds parents for tasks whose pid is another one inside a container. */
void log_tasks_adopt(struct log *log);

bool log_call_clones(const struct log_call *call);

/* ---- log_call.c ---- */

/*
 * Reads "(arguments) = result". `line_ends` is false for a call whose end isn't in the log.
 * Returns 0, -1 after a message.
 */
int log_read_call(struct log_cursor *cursor, struct log_call *call, bool has_end);

/* The number in calls.h's table of one of strace's calls, or -1: pread64 is pread there. */
int log_call_number(const char *name);

/* ---- log_parse.c ---- */

/* Adds an event. Returns 0, -1 after a message. */
int log_add_event(struct log_builder *builder, struct log_event event);

/* A vector with room for one more, or NULL. */
void *log_grow(void *vector, size_t count, size_t *room, size_t item_size);

#endif
