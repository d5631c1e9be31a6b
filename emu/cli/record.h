/*
 * record.h - what `sockrig run` itself adds to a recording: who was recorded, and how it ended
 */
#ifndef CLI_RECORD_H
#define CLI_RECORD_H

#include <sys/types.h>

#include "options.h"

/*
 * Writes DIR/meta.json: version, program, options, when and by which clock.
 *
 * Returns 0 or a positive errno.
 */
int record_write_meta(const struct run_options *options, char *const *argv);

/*
 * Adds to DIR/ends how a child of ours ended (wait's status): of who was killed the log can't know.
 * When that can't be written, it stays unknown.
 */
void record_write_end(const struct run_options *options, pid_t pid, int status);

/* Says on stderr that the recording isn't complete, if it isn't; with `full` what it came to. */
void record_say(const struct run_options *options, bool full);

#endif
