/*
 * story.h - a recording as the diagram needs it: all at once, with rows and arrows
 *
 * A row is a line that strace would print: a call has one where it is entered, and another one
 * where it is left if something else happened in between.
 */
#ifndef TRACE_STORY_H
#define TRACE_STORY_H

#include "trace/flow.h"
#include "trace/objects.h"
#include "trace/text.h"

#define STORY_CALLS   200000 /* what a browser draws without a pause; some 100 MB of page */
#define STORY_OBJECTS 8      /* of one call that are kept */

enum story_type { STORY_CALL, STORY_SIGNAL, STORY_FORK, STORY_OTHER };

enum { STORY_FAILED = 1, STORY_SLEPT = 2, STORY_NEVER = 4, STORY_NATIVE = 8 };

struct story_call {
    uint32_t task; /* in the story's list */
    enum story_type type;
    int32_t row, end_row; /* end_row -1: it never came back */
    uint64_t enter_ns, spent_ns;
    unsigned flags;
    int error;
    char *name; /* these three are owned */
    char *text; /* one line */
    char *full; /* ... with descriptors as -yy, and more of the strings */
    uint32_t objects[STORY_OBJECTS];
    size_t object_count;
};

/* A column: a thread, with all images that it has executed. */
struct story_task {
    const struct trace_task *task; /* the last image */
    int32_t begin, end;            /* rows; begin -1: nothing is known of it; end -1: of its end */
    int64_t maker;                 /* the call that forked it, -1: none that is known */
    bool killed;
    int status; /* of its end: exit status or signal */
};

struct story {
    struct trace *trace;
    struct objects *objects;
    struct flow *flow;
    struct story_call *calls;
    size_t call_count, call_room;
    struct story_task *tasks;
    size_t task_count;
    uint32_t *columns; /* by place of a task: which of `tasks` it is */
    size_t left_out;   /* calls beyond STORY_CALLS */
    int32_t rows;
    uint64_t start_ns, end_ns; /* first and last event */
};

/* Returns false without memory; story_fini() is due all the same. */
bool story_load(struct story *story, struct trace *trace, const struct text_options *options);
void story_fini(struct story *story);

#endif
