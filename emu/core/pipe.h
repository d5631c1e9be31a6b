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

/*
 * ---- What splice and its kin do to a pipe: pipe_slots.c ----
 *
 * A slot that they put in is never merged with later, but for one that comes whole from another
 * pipe. It may be longer than a page when it comes from a socket: a piece of an skb is one slot.
 */

/* Tries of vmsplice: a slot for each page of the guest's that holds bytes; out of the pipe. */
int64_t pipe_map_try(struct emu_task *self, void *transfer, struct wait_set *set, bool last);
int64_t pipe_unmap_try(struct emu_task *self, void *transfer, struct wait_set *set, bool last);

/*
 * Makes the ring hold `slots` slots, and `longer` bytes of slots to come that are longer than a
 * page: 0, -ENOMEM. Requires: the lock; `state` is what is published, or will be as it is.
 */
int pipe_reserve_locked(struct socket_buf *buf, struct buf_state *state, uint32_t slots,
                        uint32_t longer);

/* Tells the pipe's readers (its writers) as splice does. Requires: the lock. */
void pipe_tell_readers_locked(struct socket_buf *buf, struct wake_list *list);
void pipe_tell_writers_locked(struct socket_buf *buf, struct wake_list *list);

/*
 * Nothing to read; no room: what becomes of a call of splice. Returns WAIT_BLOCK, -EAGAIN, 0 (the
 * end), or PIPE_AGAIN: look again. `flags`: of the state that was seen. Requires: no lock.
 */
#define PIPE_AGAIN (INT64_MIN + 2)
int64_t pipe_await_data(struct emu_task *self, const struct transfer *transfer, uint32_t flags,
                        struct wait_set *set, bool last);
int64_t pipe_await_room(struct emu_task *self, const struct transfer *transfer,
                        struct wait_set *set, bool last);

/*
 * A pipe that is smaller than Linux allows: one slot of `bytes`. A write of PIPE_BUF bytes and less
 * is cut there, too. Requires: nobody else can reach it yet; it has one slot.
 */
void pipe_make_tiny(struct emu_task *self, uint32_t buf, uint32_t bytes);

/* Bytes that FIONREAD reports, at either end. */
uint32_t pipe_unread(const struct description *description);

#endif
