/*
 * channel.h - one transfer over a description, from the first try to its end
 *
 * What pipes and sockets share: a transfer's progress through the guest's buffers, blocking with
 * time-outs and signals, and the question to the placeholder. Before a task sleeps or is told
 * EAGAIN, and before end of file is believed of a description that was ever inherited, the
 * placeholder is asked with one poll: HUP or ERR is the truth about the other end, IN means that
 * bytes came past the shim; they are taken in behind what is unread.
 */
#ifndef EMU_CHANNEL_H
#define EMU_CHANNEL_H

#include "fdtab.h"
#include "rights.h"
#include "wait.h"

struct transfer {
    struct description *description;
    uint32_t index; /* of the description, and its generation when the call began */
    uint32_t generation;
    int fd;
    struct cursor cursor; /* the rest of the guest's buffers */
    uint64_t size;        /* asked for */
    uint64_t done;        /* moved so far, over all sleeps */
    uint64_t target;      /* a receive waits until `done` is this much; a record of AF_VSOCK that is
                             sent: so much of it is */
    int flags;            /* MSG_* */
    bool nonblock;
    bool started; /* what happens once a call has happened */
    bool looked;  /* a pipe's call found nothing to move, when the buf's version was ... */
    uint32_t looked_version;
    bool waited;    /* a sender slept: a quarter must be free now, not just some ... */
    uint32_t prods; /* ... unless its end was told of something else since: stream_prods() */
    bool splices;   /* a send of splice's: pages, and a step of passage.h when `passes` */
    bool passes;
    bool ended;                    /* a receive found the end and nothing before it */
    int ret_flags;                 /* MSG_TRUNC, MSG_EOR of a record */
    struct rights_message *rights; /* ancillary data of AF_UNIX, or NULL: rights.h */
    uint32_t rights_left;          /* chain of records that a receive lets go once it is unlocked */
};

/* Fills a transfer for what fdtab_get(fd) gave; the iovec array stays the caller's. */
void transfer_init(struct transfer *transfer, struct description *description, int fd,
                   const struct iovec *iov, int count, uint64_t size, int flags);

/*
 * Runs a try (pipe.h, stream.h) to its end; sleeps when it blocks.
 * `timeout_ns`: 0 none, < 0 at once. Returns bytes, -errno, EMU_NATIVE (self->progress is set).
 * Linux: a signal or time-out after some bytes returns their count.
 */
int64_t channel_run(struct emu_task *self, struct transfer *transfer, wait_try try,
                    int64_t timeout_ns);

/* wait_run() for a call that keeps a description alive while it is blocked, as Linux does. */
int64_t channel_wait_pinned(struct emu_task *self, uint32_t index,
                            const struct wait_request *request);

/*
 * Keeps a description alive until the end of the block, however that is left: CHANNEL_PIN(name,
 * self, index).
 */
struct channel_pin {
    struct emu_task *self;
    uint32_t index;
    uint32_t outer;
};

struct channel_pin channel_pin_begin(struct emu_task *self, uint32_t index);
void channel_pin_end(struct channel_pin *pin);

#define CHANNEL_PIN(name, self, index) \
    struct channel_pin name            \
        __attribute__((unused, cleanup(channel_pin_end))) = channel_pin_begin((self), (index))

/*
 * The same around calls that pin it themselves, or may: noted in the task's list of pins.
 * CHANNEL_KEEP(name, self, index).
 */
struct channel_keep {
    struct emu_task *self;
    uint32_t mark;
};

struct channel_keep channel_keep_begin(struct emu_task *self, uint32_t index);
void channel_keep_end(struct channel_keep *keep);

#define CHANNEL_KEEP(name, self, index) \
    struct channel_keep name            \
        __attribute__((unused, cleanup(channel_keep_end))) = channel_keep_begin((self), (index))

/*
 * Locks the buf of the transfer's description for one try. NULL: the description died meanwhile
 * (another thread closed the number), or the channel is native; nothing is locked and the kernel
 * must be asked.
 */
struct socket_buf *channel_lock(struct emu_task *self, const struct transfer *transfer,
                                uint32_t buf, struct buf_state *ret_state);

/*
 * The kernel brings bytes to a pipe: begin() before the call, under the direction's lock, which it
 * releases; end() after it, when `size` bytes lie in the placeholder, of which the first slot holds
 * `first` at most. `fd`: a reading number of it. Who takes them in meanwhile doesn't report them as
 * having come past the library.
 */
void channel_feed_begin(struct emu_task *self, struct socket_buf *buf, struct buf_state *state);
void channel_feed_end(struct emu_task *self, int fd, struct description *reader, uint32_t first,
                      uint64_t size);

enum channel_news {
    CHANNEL_SAME,    /* nothing new: the other end lives, no bytes came past */
    CHANNEL_CHANGED, /* try again */
    CHANNEL_ORPHAN,  /* we think that the other end is closed; the kernel knows better */
    CHANNEL_STUCK,   /* like SAME, but the placeholder shows what it has shown, for ever */
};

/*
 * Before a write to stderr: where that is a pipe, bytes that came past the library stand before it.
 * libc's last words and the reports of sanitizers go there, with output of the program's around.
 */
void channel_mind_strays(struct emu_task *self, int fd, struct description *writer);

/*
 * Asks the placeholder about the other end. Marks it ended when the kernel says so; takes in bytes
 * that came past. Requires: no lock. `fd` is a number that it had; when this process has none any
 * more, the answer is CHANNEL_SAME.
 */
enum channel_news channel_ask(struct emu_task *self, int fd, struct description *description);

/*
 * Ends a try that blocks: says what it waits for. `reads`: for data, else for room; `news` is what
 * channel_ask() has answered to a last try. Returns WAIT_BLOCK.
 */
int64_t channel_block(const struct transfer *transfer, struct wait_set *set, bool reads,
                      enum channel_news news);

#endif
