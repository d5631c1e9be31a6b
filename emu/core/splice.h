/*
 * splice.h - moving what is unread in one emulated channel into another
 *
 * One side is a pipe, the other a pipe or a socket. Slots of a pipe go over as they are; a socket's
 * data becomes slots, and slots become what a socket sends. Each round moves its bytes in one step
 * (passage.h), so a call that blocks, is interrupted or killed has moved whole rounds.
 *
 * Linux: fs/splice.c:splice_pipe_to_pipe, link_pipe, splice_file_to_pipe, splice_to_socket,
 * copy_splice_read; net/unix/af_unix.c:unix_stream_splice_read; net/core/skbuff.c:skb_splice_bits.
 *
 * What differs from Linux: a splice that waits for its socket doesn't hold the pipe's lock.
 */
#ifndef EMU_SPLICE_H
#define EMU_SPLICE_H

#include "transfer.h"

#include <fcntl.h>

/* All flags that there are (include/linux/splice.h: SPLICE_F_ALL). */
#define SPLICE_FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)

struct splice {
    uint32_t call;         /* enum emu_call_id */
    bool keep;             /* tee: nothing leaves the source */
    struct transfer in;    /* what is read; nonblock: don't wait for data */
    struct transfer out;   /* what is written; nonblock: don't wait for room */
    struct transfer probe; /* a look at a socket that is read */
    uint64_t size;         /* asked for */
    uint64_t done;
    struct iovec iov[2]; /* what is sent: a place in the source's ring */
};

struct splice_end {
    struct description *description; /* NULL: the kernel's */
    int fd;
};

static inline bool splice_is_pipe(const struct splice_end *end)
{
    return end->description && end->description->kind <= DESCRIPTION_PIPE_WRITER;
}

/*
 * splice (EMU_CALL_splice, EMU_CALL_sendfile) and tee (EMU_CALL_tee) with both ends emulated, which
 * are of the right kind and direction. Blocks.
 * Returns bytes, -errno, EMU_NATIVE: one of them has gone native, nothing was moved.
 */
int64_t splice_run(struct emu_task *self, uint32_t call, const struct splice_end *in,
                   const struct splice_end *out, uint64_t size, unsigned flags);

/*
 * The same with one end that is the kernel's: splice_feed.c, splice_give.c. `offset` is the
 * guest's, of the kernel's side, or NULL. EMU_NATIVE: nothing was moved; the emulated end has gone
 * native, or the kernel refuses the call, whatever is unread. splice_from_real also where both are
 * emulated, and the kernel is to refuse what is read as soon as there is room.
 */
struct splice_call {
    uint32_t call;
    struct splice_end in;
    struct splice_end out;
    off64_t *offset;
    uint64_t size;
    unsigned flags;
};
int64_t splice_from_real(struct emu_task *self, const struct splice_call *call);
int64_t splice_to_real(struct emu_task *self, const struct splice_call *call);
int64_t splice_file_to_socket(struct emu_task *self, const struct splice_call *call);
int64_t splice_pipe_to_socket(struct emu_task *self, const struct splice_call *call);

/*
 * ---- Between the files of this header ----
 */

/* Both ends stay what they are until the end of the block, however that is left. */
struct splice_pins {
    struct emu_task *self;
    uint32_t mark;
};
struct splice_pins splice_pins_begin(struct emu_task *self);
void splice_pins_end(struct splice_pins *pins);
bool splice_pin(struct emu_task *self, const struct splice_end *end); /* false: no memory */

#define SPLICE_PINS(name, self) \
    struct splice_pins name     \
        __attribute__((unused, cleanup(splice_pins_end))) = splice_pins_begin(self)

/* Takes bytes out of what is read, publishes that and notes whom to tell. Requires: its lock. */
void splice_taken_locked(struct description *description, struct socket_buf *from,
                         struct buf_state *state, uint64_t bytes, struct wake_list *list);

/*
 * Whether a socket has something to read: > 0; else the result of a receive, or WAIT_BLOCK.
 * `probe`: prepared for a look at one byte.
 */
int64_t splice_look(struct emu_task *self, struct transfer *probe, struct wait_set *set, bool last);

/* A record, or what descriptors come with, into a pipe: received as by recv(2), and cut. */
int64_t splice_record_to_pipe(struct emu_task *self, struct splice *splice,
                              const struct splice_end ends[2]);

/* wait_run() with the time-out of whichever end is a socket; restarts as Linux does. */
int64_t splice_wait(struct emu_task *self, wait_try try, void *op, struct wait_set *set,
                    const struct splice_end ends[2], const uint64_t *done,
                    void (*describe)(const void *, const struct wait_set *, struct task_sleep *));

#endif
