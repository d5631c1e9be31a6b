/*
 * trace_object.h - what a recorded number stands for
 *
 * A call's record names the description behind each number by index and generation. What that is,
 * which directions of data it has and who is at the other end, says a record of its own: once, and
 * again when the description has been connected or named.
 */
#ifndef EMU_TRACE_OBJECT_H
#define EMU_TRACE_OBJECT_H

#include "fdtab.h"
#include "trace.h"

/* Enters `fd` as it is now. Requires: no memory stands in this part of the record yet. */
void trace_fd(struct trace_writer *writer, int fd, unsigned argument);

/* Says what stands behind `fd`, if that isn't recorded yet, or `again`. Requires: no open record
 * is being written. */
void trace_object(struct emu_task *self, int fd, bool again);

#endif
