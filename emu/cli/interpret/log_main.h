/*
 * log_main.h - a log interpreted from beginning to end
 */
#ifndef INTERPRET_LOG_MAIN_H
#define INTERPRET_LOG_MAIN_H

#include "interpret/compare.h"
#include "interpret/log.h"

/*
 * Interprets a log of `size` bytes and prints what differs.
 *
 * Returns the exit code: 0 same, 1 something differs, 125 the log can't be read or run.
 */
int log_interpret(const char *path, const char *text, size_t size,
                  const struct compare_options *options);

#endif
