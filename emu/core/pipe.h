/*
 * pipe.h - what Linux's pipes are: slots of a page, merging, packets, PIPE_BUF, EPIPE
 *
 * A slot is a segment of at most 4096 bytes. A pipe is full when its slots are used, whatever the
 * bytes; a slot is free again when its last byte is read; the front of a slot that is partly read
 * is not used again. Linux: fs/pipe.c:anon_pipe_write, anon_pipe_read.
 *
 * The tries are for channel_run().
 */
#ifndef EMU_PIPE_H
#define EMU_PIPE_H

#include "channel.h"

int64_t pipe_read_try(struct emu_task *self, void *transfer, struct wait_set *set, bool last);
int64_t pipe_write_try(struct emu_task *self, void *transfer, struct wait_set *set, bool last);

/*
 * F_SETPIPE_SZ: `slots` is what the kernel gave the placeholder already.
 * Returns 0; -EBUSY: more are in use; -ENOMEM.
 */
int pipe_resize(struct emu_task *self, struct description *description, uint32_t slots);

/* Bytes that FIONREAD reports, at either end. */
uint32_t pipe_unread(const struct description *description);

#endif
