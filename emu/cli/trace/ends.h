/*
 * ends.h - how processes ended, as the recording's supervisor saw it: DIR/ends
 *
 * A process that is killed says nothing of it in the log, nor does anybody else when no process of
 * the run waits for it. A line for each: "PID STATUS NANOSECONDS", wait's status and
 * CLOCK_REALTIME.
 */
#ifndef TRACE_ENDS_H
#define TRACE_ENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trace_end {
    int32_t pid;
    int status;
    uint64_t ns;
};

struct trace_ends {
    struct trace_end *all; /* in the order of the file */
    size_t count;
};

/*
 * Reads the file of the recording `path`, a folder; there may be none.
 *
 * Returns false and a message in `ret_why` when it is no such file; ends_fini() is due all the
 * same.
 */
bool ends_read(const char *path, struct trace_ends *ret_ends, char *ret_why, size_t why_size);
void ends_fini(struct trace_ends *ends);

#endif
