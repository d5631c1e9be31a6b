/*
 * trace_event.h - what else a recording says: processes, signals, channels that go native
 *
 * Each does nothing where self->records doesn't hold.
 */
#ifndef EMU_TRACE_EVENT_H
#define EMU_TRACE_EVENT_H

#include "trace.h"

/*
 * Brackets a fork or spawn: its record stands before the child's first, and before those of
 * handlers that run meanwhile. forked: it has made `child`, or failed (< 0).
 */
void trace_fork_begins(struct emu_task *self, enum trace_fork how);
void trace_forked(struct emu_task *self, int32_t child);

/* The descriptors that this process has, in an image that didn't come by fork. */
void trace_inherited(struct emu_task *self);

/* The number is the kernel's now. */
void trace_number(struct emu_task *self, int fd);

/* What `fd` stands for went native. */
void trace_switch(struct emu_task *self, int fd);

#endif
