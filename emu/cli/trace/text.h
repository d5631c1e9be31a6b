/*
 * text.h - a recording as strace's text
 */
#ifndef TRACE_TEXT_H
#define TRACE_TEXT_H

#include <stdio.h>

#include "trace/ends.h"
#include "trace/filter.h"
#include "trace/show.h"

enum text_time { TIME_NONE, TIME_SECONDS, TIME_MICROSECONDS, TIME_UNIX }; /* -t, -tt, -ttt */

struct text_options {
    bool follow;          /* -f: all tasks, not the first alone */
    bool pid_first;       /* as with -o: "412  write(...)", always; else "[pid   412] " if needed */
    bool script;          /* a log that can be interpreted: no timing, all bytes, threads too */
    enum text_time time;  /* -t */
    bool relative;        /* -r */
    bool spent;           /* -T */
    unsigned quiet;       /* -q */
    unsigned column;      /* -a */
    size_t string_limit;  /* -s */
    enum quoting quoting; /* -x */
    unsigned paths;       /* -y */
    struct filter filter;
    struct trace_ends ends;
};

/*
 * Prints all of `trace`.
 *
 * Returns 0, or -1 without memory. *ret_hidden: tasks that would have been shown with -f.
 */
int text_print(struct trace *trace, const struct text_options *options, FILE *out,
               size_t *ret_hidden);

#endif
