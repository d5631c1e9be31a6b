/*
 * description.h - open file descriptions: one end of a pipe or of a socket pair
 *
 * A description lives in the arena and is shared like the kernel's: by dup, by fork, by exec. It
 * names the directions of data that it reads (rx) and writes (tx), and keeps what the kernel keeps
 * per description: O_NONBLOCK, O_DIRECT, the pending error, time-outs.
 *
 * Who holds it: a bit for each process of the session that has at least one descriptor for it (or a
 * blocked call on it). How many, each process counts for itself (fdtab.h). The end is closed when
 * the last bit goes; a process that died without clearing its bits is swept (process.h). What an
 * observer believes of the other end it asks of its own placeholder first (channel.h).
 */
#ifndef EMU_DESCRIPTION_H
#define EMU_DESCRIPTION_H

#include "host.h"
#include "socket_buf.h"

enum description_kind {
    DESCRIPTION_NONE,
    DESCRIPTION_PIPE_READER,
    DESCRIPTION_PIPE_WRITER,
    DESCRIPTION_STREAM,
    DESCRIPTION_SEQPACKET,
};

/* While it is made or freed, the slot of the process that does it stands above (<< 8). */
enum { DESCRIPTION_FREE, DESCRIPTION_LIVE, DESCRIPTION_MAKING, DESCRIPTION_DYING };

#define HOLDER_WORDS (EMU_MAX_PROCESSES / 64)

struct description {
    _Atomic uint32_t state;      /* DESCRIPTION_FREE, ... */
    _Atomic uint32_t generation; /* grows when it is freed */
    uint32_t kind;               /* constant while live, like the next three */
    uint32_t rx;                 /* buf that it reads, or ARENA_NONE */
    uint32_t tx;                 /* buf that it writes, or ARENA_NONE */
    uint32_t peer;               /* the description at the other end, as it was made */
    uint32_t peer_generation;
    uint32_t rx_generation; /* of the bufs, when it was made */
    uint32_t tx_generation;
    uint32_t maker;          /* slot of the process that made it */
    _Atomic uint32_t status; /* O_NONBLOCK, O_DIRECT */
    _Atomic uint32_t shared; /* 1: was inherited once; another process may hold either end */
    _Atomic int32_t error;   /* sk_err: a positive errno, reported once */
    _Atomic int32_t peek_offset;
    _Atomic uint32_t receive_low;       /* SO_RCVLOWAT */
    _Atomic uint32_t identified;        /* 1: identity holds */
    _Atomic int64_t receive_timeout_ns; /* 0: none; < 0: at once */
    _Atomic int64_t send_timeout_ns;
    struct host_identity identity;
    _Atomic int32_t sample_fd; /* a number under which `maker` had it, for taking it over */
    _Atomic uint32_t native;   /* 1: the kernel serves it from now on */
    _Atomic uint64_t holders[HOLDER_WORDS];
    uint64_t rest[18];
};
static_assert(sizeof(struct description) == 384, "arena.def gives 384");

static inline struct description *description_at(uint32_t index)
{
    EMU_DEBUG_ASSERT(index < EMU_MAX_DESCRIPTIONS);
    return (struct description *)arena->descriptions + index;
}

static inline uint32_t description_index(const struct description *description)
{
    return (uint32_t)(description - (struct description *)arena->descriptions);
}

static inline bool description_is_socket(const struct description *description)
{
    return description->kind >= DESCRIPTION_STREAM;
}

/* One of the two ends that a new channel gets. */
struct description_plan {
    enum description_kind kind;
    uint32_t rx; /* bufs in transit with the maker, or ARENA_NONE */
    uint32_t tx;
    uint32_t status;
};

/*
 * Makes two descriptions, each other's peer, that this process holds; they own the bufs then.
 * Returns 0, or -ENFILE when the table is full: the bufs are discarded.
 */
int description_create_pair(struct emu_task *self, const struct description_plan plans[2],
                            uint32_t ret_indexes[2]);

/* The description at the other end while it lives, else NULL. */
struct description *description_peer(const struct description *description);

void description_hold(struct description *description, uint32_t slot);
bool description_held_by(const struct description *description, uint32_t slot);
bool description_held(const struct description *description);

/* Clears the slot's bit; the last one closes the end and frees it. Requires: no lock. */
void description_drop(struct emu_task *self, uint32_t index, uint32_t slot);

/*
 * The end is closed: its peer sees end of file, EPIPE or a reset. Says it to both directions and
 * wakes who waits. May be repeated. Requires: no lock.
 * Linux: fs/pipe.c:pipe_release, net/unix/af_unix.c:unix_release_sock.
 */
void description_end(struct emu_task *self, struct description *description);

/* Poll bits that hold now. Takes no lock. Linux: pipe_poll, unix_poll. */
uint32_t description_readiness(const struct description *description);

/*
 * A direction is the kernel's, and the description doesn't say so: whoever handed it over died
 * before it was done. emu_native_one() completes it.
 */
bool description_half_native(const struct description *description);

/* Reads and clears the pending error: positive errno or 0. */
int description_take_error(struct description *description);

/* Ends what a dead process was making or freeing when it died. May be repeated. */
void description_sweep(struct emu_task *self, uint32_t slot);

/* Wakes everybody who waits on either of its directions. Requires: no lock. */
void description_wake(struct emu_task *self, struct description *description, uint32_t events);

#endif
