/*
 * socket_buf.h - one direction of data: a ring of bytes cut into segments
 *
 * A pipe is one socket_buf, a stream socket two. Bytes are unread in the order in which they came;
 * segments are what Linux accounts by: the slots of a pipe, the skbs of AF_UNIX. What a segment
 * costs and when there's room is for pipe.c and stream.c; here they are a length and a charge.
 *
 * How it stays whole when its owner is killed at any instruction: the state that says what is
 * unread is a struct of 48 bytes that exists twice. Under the lock, a change is made in the copy
 * that isn't current, the bytes it speaks of are already in place, and one store to `version` makes
 * it current. Before that store nothing has happened; after it everything has.
 *
 * For the same reason anybody may look at the state without the lock: buf_peek(). What poll wants
 * to know stands in `version` itself, so it is as true as the state, and costs one load (buf_bits).
 *
 * Memory: a chunk of the arena, of which the lower half holds segments and the upper the ring. It
 * grows by moving into a larger chunk when the accounting admits more than it holds.
 */
#ifndef EMU_SOCKET_BUF_H
#define EMU_SOCKET_BUF_H

#include "arena.h"
#include "lock.h"
#include "ring.h"
#include "queue.h"
#include "track.h"

/*
 * A buf belongs to the two descriptions that name it, one as reader, one as writer. While it
 * belongs to neither, being made or being freed, it is in the hands of one process, whose slot
 * stands beside BUF_TRANSIT: the sweep of that process frees it.
 */
enum { BUF_REF_READER = 1, BUF_REF_WRITER = 2 };
enum { BUF_FREE = 0, BUF_OWNED = 1, BUF_TRANSIT = 2 /* | slot << 8 */ };

/* Four of them are where poll's bits for the same thing are: description_look(). */
enum {
    BUF_IN = 1 << 0,          /* POLLIN: something is unread; in `version` only */
    BUF_SHUT = 1 << 1,        /* sockets: SHUT_WR of the sender or SHUT_RD of the receiver */
    BUF_OUT = 1 << 2,         /* POLLOUT: a writer has room, as poll counts; in `version` only */
    BUF_READER_GONE = 1 << 3, /* POLLERR: the reading end was closed */
    BUF_WRITER_GONE = 1 << 4, /* POLLHUP: the writing end was closed; end of file after the data */
    BUF_NATIVE = 1 << 5,      /* handed to the kernel: nothing more happens here */
    BUF_MOVING = 1 << 6,      /* copies of the first bytes may lie in the placeholder already */
    BUF_FRESH = 1 << 7,       /* sockets: not connected yet */
    /* AF_VSOCK tells who shut, and has two more states; these aren't in `version`. */
    BUF_SHUT_READER = 1 << 8, /* the receiver's SHUT_RD, or its close */
    BUF_SHUT_WRITER = 1 << 9, /* the sender's SHUT_WR, or its close */
    BUF_CLOSING = 1 << 10,    /* the receiver's sk_state is TCP_CLOSING, not TCP_ESTABLISHED */
    BUF_DONE = 1 << 11,       /* SOCK_DONE of the receiver: the peer has closed in order */
    /* Of passage.h alone; not in `version` either. */
    BUF_LEAVING = 1 << 12, /* the first bytes go elsewhere: nobody touches what is unread */
    BUF_ARRIVED = 1 << 13, /* changes each time when bytes have come that way */
    BUF_FED = 1 << 14,     /* of channel.h: the kernel brings bytes to the placeholder */
};

/*
 * struct socket_buf's version: a counter above these bits. 24 bits are enough for it: buf_peek()
 * is wrong only if exactly a multiple of 2^24 changes fall into its copying of 48 bytes.
 */
enum { BUF_VERSION_SHIFT = 8, BUF_VERSION_BITS = (1 << BUF_VERSION_SHIFT) - 1 };

/* Segment info, beside the charge. */
enum {
    SEG_MERGEABLE = 1u << 31, /* pipe: a later write may fill the rest of the page, of which what
                                 stands in place of a charge was read before splice moved it */
    SEG_EOR = 1u << 31,       /* AF_VSOCK: the record was sent with MSG_EOR */
    SEG_PACKET = 1u << 30,    /* pipe: O_DIRECT; socket: one record, or a record's last piece */
    SEG_PEEKED = 1u << 29,    /* an empty record that was peeked at */
    SEG_RIGHTS = 1u << 28,    /* AF_UNIX: descriptors come with its first byte: rights.h */
    SEG_CHARGE = (1u << 28) - 1,
};

enum description_kind {
    DESCRIPTION_NONE,
    DESCRIPTION_PIPE_READER,
    DESCRIPTION_PIPE_WRITER,
    DESCRIPTION_STREAM,
    DESCRIPTION_SEQPACKET,
    DESCRIPTION_VSOCK_STREAM,
    DESCRIPTION_VSOCK_SEQPACKET,
    DESCRIPTION_EPOLL,  /* has no bufs, like the next */
    DESCRIPTION_DEVICE, /* /dev/vsock */
};

struct buf_state {
    uint32_t chunk;       /* unit of the memory */
    uint16_t flags;       /* BUF_*, without IN and OUT */
    uint8_t shift;        /* its size is 1 << shift; the ring is half of it */
    uint8_t kind;         /* enum description_kind of the reader */
    uint32_t head;        /* position of the first unread byte */
    uint32_t used;        /* unread bytes */
    uint32_t seg_head;    /* number of the first segment */
    uint32_t seg_count;   /* segments with something unread, and empty records */
    uint32_t first_taken; /* bytes of the first segment that are read already */
    uint32_t last_len;    /* bytes ever put into the last segment; meaningful if seg_count > 0 */
    uint32_t last_info;   /* its charge and SEG_* */
    uint32_t charged;     /* AF_UNIX: sum of charges; AF_VSOCK: sent and not reported as read */
    uint32_t limit;       /* pipe: slots; AF_UNIX: SO_SNDBUF of the sender; AF_VSOCK: all credit */
    union {
        uint32_t unreported; /* AF_VSOCK stream: read in whole packets, and not reported yet */
        uint32_t records;    /* AF_VSOCK records: complete ones that are unread */
        uint32_t piece;      /* pipe, AF_UNIX: bytes of a segment at most; 0: Linux's own bound */
    };
};
static_assert(sizeof(struct buf_state) == 48, "three moves");

struct socket_buf {
    _Alignas(64) struct lock lock; /* guards everything below but for what says otherwise */
    _Atomic uint32_t version;      /* counts changes, carries BUF_*; read without the lock */
    struct wait_queue readers;     /* who waits for bytes or the end */
    struct wait_queue writers;     /* who waits for room or the end */
    _Atomic uint32_t generation;   /* grows when the buf is freed; read without the lock */
    _Atomic int16_t reader_cpu;    /* where they last ran: a hint, no guard */
    _Atomic int16_t writer_cpu;
    _Atomic uint32_t refs; /* BUF_REF_*: descriptions that name it; no guard */
    _Atomic uint32_t life; /* BUF_FREE, ...; no guard */
    uint32_t old_chunk;    /* unit + 1 of a chunk that a killed owner left unreferenced */
    uint32_t old_shift;
    struct {
        _Alignas(64) struct buf_state at; /* the two never share a cache line */
    } state[2];
    uint32_t rights;          /* records of descriptors that are in flight, in order; rights.h */
    _Atomic uint32_t changes; /* AF_UNIX: shutdowns that the sender's end was told of; stream.c */
    struct track_end reader_end; /* who has closed the reading end, and where */
    _Atomic uint64_t sent;       /* bytes, while a rule of --inject counts them: inject_run.c */
    _Atomic uint64_t received;
    _Atomic int32_t reader; /* pid that last read, while track.h is on; or 0 */
    _Atomic int32_t writer; /* ... that wrote */
    uint32_t rest[64];
};
static_assert(sizeof(struct socket_buf) == 512, "arena.def gives 512");

static inline struct socket_buf *buf_at(uint32_t index)
{
    EMU_DEBUG_ASSERT(index < EMU_MAX_BUFS);
    return (struct socket_buf *)arena->bufs + index;
}

struct seg {
    uint32_t len;
    uint32_t info; /* charge and SEG_* */
};

static inline struct seg *buf_segs(const struct buf_state *state)
{
    return (struct seg *)(void *)arena_chunk_at(state->chunk);
}

static inline uint32_t buf_seg_mask(const struct buf_state *state)
{
    return (1u << (state->shift - 4)) - 1; /* half a chunk of 8 bytes each */
}

static inline char *buf_ring(const struct buf_state *state)
{
    return arena_chunk_at(state->chunk) + (1u << (state->shift - 1));
}

static inline uint32_t buf_ring_mask(const struct buf_state *state)
{
    return (1u << (state->shift - 1)) - 1;
}

/* The first segment. Requires: seg_count > 0. */
static inline struct seg buf_first_seg(const struct buf_state *state)
{
    if (state->seg_count == 1) {
        return (struct seg){ state->last_len, state->last_info };
    }
    return buf_segs(state)[state->seg_head & buf_seg_mask(state)];
}

/* The segment behind `number` others. Requires: number < seg_count. */
static inline struct seg buf_nth_seg(const struct buf_state *state, uint32_t number)
{
    if (number + 1 == state->seg_count) {
        return (struct seg){ state->last_len, state->last_info };
    }
    return buf_segs(state)[(state->seg_head + number) & buf_seg_mask(state)];
}

/* Which of the two copies is current at this version. */
static inline unsigned buf_copy_of(uint32_t version)
{
    return version >> BUF_VERSION_SHIFT & 1;
}

/* Requires: the lock. The state as it stands, to be changed and published. */
static inline struct buf_state buf_state_locked(const struct socket_buf *buf)
{
    return buf->state[buf_copy_of(atomic_load_explicit(&buf->version, memory_order_relaxed))].at;
}

/* The state as the words that it is read and written by while others look: buf_peek(). */
typedef uint32_t __attribute__((may_alias)) buf_word;
#define BUF_STATE_WORDS (sizeof(struct buf_state) / sizeof(buf_word))

/*
 * The bits that go with a state. Linux: pipe_poll: not pipe_empty(), not pipe_full(); unix_poll:
 * the queue isn't empty; unix_writable: four times what is charged, and the socket's own one, fits;
 * virtio_transport_notify_poll_in, _out: some bytes; some credit.
 */
static inline uint32_t buf_bits_of(const struct buf_state *state)
{
    uint32_t bits = state->flags & BUF_VERSION_BITS;

    if (state->kind >= DESCRIPTION_STREAM) {
        if (EMU_UNLIKELY(state->kind >= DESCRIPTION_VSOCK_STREAM)) {
            bits |= state->used > 0 ? BUF_IN : 0;
            return bits | (state->charged < state->limit ? BUF_OUT : 0);
        }
        bits |= state->seg_count > 0 ? BUF_IN : 0;
        return bits | (4 * (state->charged + 1ull) <= state->limit ? BUF_OUT : 0);
    }
    bits |= state->used > 0 ? BUF_IN : 0;
    return bits | (state->seg_count < state->limit ? BUF_OUT : 0);
}

/* Requires: the lock. Makes `next` the state; everything it speaks of is in place. */
static inline void buf_publish_locked(struct socket_buf *buf, const struct buf_state *next)
{
    uint32_t version = atomic_load_explicit(&buf->version, memory_order_relaxed);
    const buf_word *from = (const buf_word *)(const void *)next;
    buf_word *to;

    version = ((version | BUF_VERSION_BITS) + 1) | buf_bits_of(next);
    to = (buf_word *)(void *)&buf->state[buf_copy_of(version)].at;
    /* Who still copies the older state (buf_peek) must see that the version has moved. */
    atomic_thread_fence(memory_order_release);
    for (unsigned i = 0; i < BUF_STATE_WORDS; i++) {
        __atomic_store_n(&to[i], from[i], __ATOMIC_RELAXED);
    }
    atomic_store_explicit(&buf->version, version, memory_order_release);
}

/* BUF_* at some moment, without the lock. */
static inline uint32_t buf_bits(const struct socket_buf *buf)
{
    return atomic_load_explicit(&buf->version, memory_order_acquire) & BUF_VERSION_BITS;
}

/* The state at some moment, without the lock. */
struct buf_state buf_peek(const struct socket_buf *buf);

/*
 * Socket buffers that are smaller than Linux allows hold one segment of so many bytes (`piece`).
 * This limit says so to all that count charges: there is room exactly when nothing is charged.
 */
#define BUF_TINY_LIMIT 4u

/*
 * A new, empty buf with room for `bytes`, in transit with `slot`; both references are taken.
 * `limit`: a pipe's slots; SO_SNDBUF, or of AF_UNIX a smaller number of bytes.
 * Returns its index, ARENA_NONE when there is no more.
 */
uint32_t buf_create(uint32_t slot, uint32_t bytes, uint32_t limit, uint8_t kind);

/* Both descriptions that name it are there. */
void buf_own(uint32_t index);

/* Frees one that is in transit. Requires: no lock; nobody else can reach it. */
void buf_discard(struct emu_task *self, uint32_t index);

/*
 * A description gives up its reference `ref`; the last one frees it. May be repeated, also after
 * the buf was freed: `generation` tells. Requires: no lock.
 */
void buf_release(struct emu_task *self, uint32_t index, uint32_t generation, uint32_t ref);

/*
 * Makes `state` hold `bytes` and `segs` more: 0, or -ENOMEM. May move it into a larger chunk.
 * Requires: the lock; `state` is a copy of the current one, perhaps changed, not yet published.
 */
int buf_reserve_locked(struct socket_buf *buf, struct buf_state *state, uint32_t bytes,
                       uint32_t segs);

/* Ends a change that may have moved: frees the chunk that is no longer current. */
void buf_settle_locked(struct socket_buf *buf);

/* Adds a segment of bytes that stand in the ring already. Requires: room reserved. */
static inline void buf_append(struct buf_state *state, uint32_t len, uint32_t info)
{
    if (state->seg_count > 0) {
        uint32_t last = (state->seg_head + state->seg_count - 1) & buf_seg_mask(state);

        buf_segs(state)[last] = (struct seg){ state->last_len, state->last_info };
    }
    state->seg_count++;
    state->last_len = len;
    state->last_info = info;
    state->used += len;
    state->charged += info & SEG_CHARGE;
}

/* Drops the first segment, which is read in full (or thrown away). Requires: seg_count > 0. */
static inline void buf_drop_first(struct buf_state *state)
{
    struct seg seg = buf_first_seg(state);
    uint32_t rest = seg.len - state->first_taken;

    state->head += rest;
    state->used -= rest;
    state->charged -= seg.info & SEG_CHARGE;
    state->first_taken = 0;
    state->seg_head++;
    state->seg_count--;
    if (state->seg_count == 0) {
        state->head = 0; /* the next bytes come into warm memory */
    }
}

/*
 * Takes the records of descriptors in flight out of the buf, as a chain, and lets a chain go: what
 * was in flight there is closed. rights_let_go() requires: no lock. Defined by rights.c, which
 * stands above.
 */
uint32_t rights_detach_locked(struct emu_task *self, struct socket_buf *buf);
void rights_let_go(struct emu_task *self, uint32_t chain);

/* Notes where this thread runs, for the other side's spin. */
static inline void buf_note_cpu(_Atomic int16_t *place, int cpu)
{
    if (atomic_load_explicit(place, memory_order_relaxed) != cpu) {
        atomic_store_explicit(place, (int16_t)cpu, memory_order_relaxed);
    }
}

#endif
