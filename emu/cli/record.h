/*
 * record.h - what `sockrig run` itself adds to a recording: who was recorded, and how it ended
 */
#ifndef CLI_RECORD_H
#define CLI_RECORD_H

#include "options.h"

/*
 * Writes DIR/meta.json: version, program, options, when and by which clock.
 *
 * Returns 0 or a positive errno.
 */
int record_write_meta(const struct run_options *options, char *const *argv);

/* Says on stderr that the recording isn't complete, if it isn't; with `full` what it came to. */
void record_say(const struct run_options *options, bool full);

#endif
