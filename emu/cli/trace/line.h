/*
 * line.h - a call as one line of text, whatever ran while it did
 */
#ifndef TRACE_LINE_H
#define TRACE_LINE_H

#include "trace/show.h"

/* "write(4, "x", 1) = 1"; "--- SIGPIPE {...} ---". Nothing for what is no call and no signal. */
void line_print(struct show *show);

/* Its arguments, parted by `between`. */
void line_arguments(struct show *show, const char *between);

#endif
