/*
 * log_blocks.h - the memory of a log's tree: blocks that are freed together
 */
#ifndef INTERPRET_LOG_BLOCKS_H
#define INTERPRET_LOG_BLOCKS_H

#include "interpret/log.h"

/* Zeroed memory that lives as long as the log; NULL when there is no more, or LOG_MAX_MEMORY. */
void *log_allocate(struct log *log, size_t size);

/* A copy with a NUL behind it, or NULL. */
const char *log_copy_text(struct log *log, const char *text, size_t size);

void log_blocks_free(struct log *log);

#endif
