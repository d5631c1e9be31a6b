/*
 * log_merge.h - logs that were merged from one file per process
 */
#ifndef INTERPRET_LOG_MERGE_H
#define INTERPRET_LOG_MERGE_H

#include "interpret/log_build.h"

/* True when each line has a time stamp, there are several tasks, and none of their lines is split.
 */
bool log_is_merged(const struct log *log, bool has_split_lines, size_t timed_lines);

/*
 * Moves each call's end to where it may have been: its duration (-T) after its start, and at the
 * latest directly before the next line of its task. Returns 0, -1 after a message.
 */
int log_merge_events(struct log_builder *builder);

#endif
