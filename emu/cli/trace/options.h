/*
 * options.h - the options of `sockrig trace`
 */
#ifndef TRACE_OPTIONS_H
#define TRACE_OPTIONS_H

#include "trace/text.h"

enum trace_format { FORMAT_TEXT, FORMAT_JSON, FORMAT_HTML };

struct trace_options {
    bool help;
    enum trace_format format;
    struct text_options text;
    const char *output; /* -o; NULL: stdout */
    const char *path;   /* DIR */
};

#define TRACE_OPTIONS_MESSAGE 256

/*
 * Parses trace's own argv ("trace", OPTIONS, DIR). Changes the strings of argv, and keeps pointers
 * into them.
 *
 * Returns false and a message of at most TRACE_OPTIONS_MESSAGE bytes. trace_options_fini() is due
 * in any case.
 */
bool trace_options_parse(int argc, char **argv, struct trace_options *ret_options,
                         char *ret_message);

void trace_options_fini(struct trace_options *options);

/* What `sockrig trace --help` prints. */
extern const char trace_options_help[];

#endif
