/*
 * filter.h - which calls of a recording are shown
 */
#ifndef TRACE_FILTER_H
#define TRACE_FILTER_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/reader.h"

#define FILTER_NAMES   128 /* of one -e trace= */
#define FILTER_NUMBERS 64  /* of one --fd, --object, --task */

struct objects;

struct filter_numbers {
    bool all_but;
    size_t count; /* 0: no such filter, all match */
    int64_t values[FILTER_NUMBERS];
};

struct filter {
    bool no_calls; /* -e trace=none */
    bool all_but;  /* -e trace=!... */
    size_t name_count;
    const char *names[FILTER_NAMES]; /* "write", "%desc"; none: all match */
    size_t pattern_count;
    regex_t patterns[8];
    bool no_signals; /* -e signal=none */
    bool successful; /* -z */
    bool failed;     /* -Z */
    struct filter_numbers fds, objects, tasks;
    uint64_t from_ns, to_ns; /* since the recording began; to_ns UINT64_MAX: no end */
};

/*
 * Parses what strace's -e is given: "trace=read,write", "signal=none", "trace-fds=3", or a set of
 * calls alone. Changes `text`, and keeps pointers into it.
 *
 * Returns NULL, or what is wrong with it.
 */
const char *filter_parse(struct filter *filter, char *text);

/* Parses "3,4" or "!3". Returns NULL, or what is wrong. */
const char *filter_parse_numbers(struct filter_numbers *numbers, char *text);

void filter_fini(struct filter *filter);

/* Is what a task did from `enter_ns` to `leave_ns` shown, whatever it was? */
bool filter_in_view(const struct filter *filter, const struct trace_task *task, uint64_t enter_ns,
                    uint64_t leave_ns, uint64_t start_ns);

/* Is this event shown? `start_ns`: when the recording began. */
bool filter_matches(const struct filter *filter, const struct trace_call *call,
                    const struct objects *objects, uint64_t start_ns);

#endif
