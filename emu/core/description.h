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

/* While it is made or freed, the slot of the process that does it stands above (<< 8). */
enum {
    DESCRIPTION_FREE,
    DESCRIPTION_LIVE,
    DESCRIPTION_MAKING,
    DESCRIPTION_DYING,
    DESCRIPTION_WAITING, /* the server's side of a connection that isn't made: belongs to the
                            client's `pending`, see meeting.h; its generation stands above */
};

/* Who serves reads, writes and all that isn't told by the name of another layer. */
enum description_native {
    DESCRIPTION_OURS,
    DESCRIPTION_HANDED_OVER, /* the kernel, from now on */
    DESCRIPTION_SET,         /* an epoll instance: the kernel but for epoll_*, poll and select */
    DESCRIPTION_LISTENER,    /* a listening socket: the kernel but for accept and names */
};

/* How far a socket has come. Pipes and pairs are connected from the start. */
enum description_phase {
    PHASE_CONNECTED,
    PHASE_FRESH,      /* no peer yet; both bufs exist, and are its own */
    PHASE_CONNECTING, /* AF_VSOCK: connect() goes on */
    PHASE_LISTENING,
};

#define HOLDER_WORDS (EMU_MAX_PROCESSES / 64)

/* Who is told by a signal: async.h. */
struct description_owner {
    _Atomic uint64_t who;    /* F_SETOWN: kind, pid and start as async.c packs them; 0: nobody */
    _Atomic int32_t group;   /* of a thread: the process that it belongs to */
    _Atomic int32_t number;  /* F_SETSIG */
    _Atomic int32_t fd;      /* the number under which O_ASYNC was set */
    _Atomic uint32_t full;   /* a sender met no room: SOCKWQ_ASYNC_NOSPACE */
    _Atomic uint32_t waiter; /* index + 1, while O_ASYNC is set, in the queue of rx's readers ... */
    _Atomic uint32_t waiter_out; /* ... of tx's writers */
};

/* What a name is compared by; unix_names.h and vsock_names.h make it. */
struct name_key {
    uint64_t high;
    uint64_t low;
};

/* Linux: struct vsock_sock. Constant unless said otherwise. */
struct vsock_end {
    uint32_t machine;       /* CID of the machine that it belongs to */
    _Atomic uint32_t flags; /* VSOCK_* */
    _Atomic uint32_t local_cid;
    _Atomic uint32_t local_port; /* VMADDR_PORT_ANY: not bound */
    _Atomic uint32_t remote_cid;
    _Atomic uint32_t remote_port;
    _Atomic uint32_t sock;        /* enum vsock_sock: socket->state */
    _Atomic uint32_t state;       /* enum vsock_state: sk->sk_state */
    _Atomic uint64_t deadline_ns; /* of a connect() that nobody answers, CLOCK_MONOTONIC; or 0 */
    _Atomic uint64_t buffer_size; /* SO_VM_SOCKETS_BUFFER_*, in bytes */
    _Atomic uint64_t buffer_min;
    _Atomic uint64_t buffer_max;
    _Atomic uint64_t connect_timeout_ns;
    /* What connect() was given beside CID and port, which getpeername shows: flags, padding. */
    uint16_t remote_reserved;
    uint8_t remote_flags;
    unsigned char remote_zero[3];
    uint16_t pad;
    uint64_t rest[12]; /* 9 cache lines, an odd number: neighbours share no set of the cache */
};

enum {
    VSOCK_GATEWAY = 1 << 1,  /* gets what nobody on the host listens for: vsock.h */
    VSOCK_DOUBT = 1 << 2,    /* accepted by a gateway that hasn't admitted it */
    VSOCK_USED = 1 << 3,     /* its placeholder has been connected once */
    VSOCK_RENEWED = 1 << 5,  /* it was: an earlier connection may wait at a listener still */
    VSOCK_ZEROCOPY = 1 << 4, /* SO_ZEROCOPY: connect() fails, for no transport can */
};

enum vsock_sock { VSOCK_UNCONNECTED, VSOCK_CONNECTING, VSOCK_CONNECTED, VSOCK_DISCONNECTING };
enum vsock_state {
    VSOCK_CLOSE,
    VSOCK_SYN_SENT,
    VSOCK_ESTABLISHED,
    VSOCK_LISTEN,
};

struct description {
    /* The first cache line: all that poll and the first step of every call look at. */
    _Alignas(64) union {
        _Atomic uint64_t life; /* both, for who must not meet the record's next life */
        struct {
            _Atomic uint32_t state;      /* DESCRIPTION_FREE, ... */
            _Atomic uint32_t generation; /* grows when it is freed */
        };
    };
    _Atomic uint32_t native; /* enum description_native */
    _Atomic uint32_t shared; /* 1: was inherited once; another process may hold either end */
    uint32_t kind;           /* enum description_kind; constant while live, like the next two */
    uint32_t rx;             /* buf that it reads, or ARENA_NONE */
    uint32_t tx;             /* buf that it writes, or ARENA_NONE */
    _Atomic int32_t error;   /* sk_err: a positive errno, reported once */
    _Atomic uint32_t status; /* O_NONBLOCK, O_DIRECT */
    _Atomic uint32_t receive_low; /* SO_RCVLOWAT */
    _Atomic int32_t peek_offset;
    _Atomic uint32_t peer; /* the description at the other end; constant once it is connected */
    _Atomic uint32_t peer_generation;
    uint32_t rx_generation; /* of the bufs, when it was made */
    uint32_t tx_generation;
    uint32_t maker;                     /* slot of the process that made it */
    _Atomic int64_t receive_timeout_ns; /* 0: none; < 0: at once */
    _Atomic int64_t send_timeout_ns;
    struct host_identity identity;
    _Atomic uint32_t identified; /* 1: identity holds */
    _Atomic int32_t sample_fd;   /* a number under which `maker` had it, for taking it over */
    uint32_t epoll; /* of an epoll instance: its index (epoll.h); stays when it is freed */
    _Atomic uint32_t watchers; /* items of epoll sets that watch it: index + 1 of the newest */
    _Atomic uint64_t holders[HOLDER_WORDS];
    struct description_owner owner;
    uint32_t epoll_generation;          /* ... and its generation, when it was made */
    _Atomic uint32_t phase;             /* enum description_phase */
    _Atomic uint32_t pending;           /* of a client: index + 1 of the server's side; meeting.h */
    _Atomic uint32_t queued_generation; /* of the listener that a server's side waits at, ... */
    _Atomic uint64_t queued;      /* ... its index + 1 below; the server's own generation above */
    _Atomic uint32_t named;       /* 1: it is found by its name: names.h */
    _Atomic uint32_t hidden;      /* 1: its placeholder has a hidden name: meeting.h */
    uint32_t queued_order;        /* of those that wait: who came later has more */
    _Atomic uint32_t handed_over; /* a listener of AF_UNIX: its connections are the kernel's */
    struct name_key name;       /* of a server's side that waits: the client's own, if it has one */
    _Atomic uint32_t in_flight; /* messages that carry it: rights.h; guarded by rights_lock */
    _Atomic uint32_t traced;   /* generation + 1 when a recording says what it is: trace_object.h */
    _Atomic uint32_t spliced;  /* 1: a pipe's end that refuses RWF_NOWAIT: sys_splice.c */
    _Atomic uint32_t site;     /* where it was made (finding.h); 0: not known */
    _Atomic int32_t both_ends; /* pid that ends, and has the other end, too; or 0: track.h */
    _Atomic uint32_t receiver; /* slot + 1 of who got it by SCM_RIGHTS last: birth.h */
    uint32_t rest[2];
    struct vsock_end vsock;
};
static_assert(sizeof(struct description) == 576, "arena.def gives 576");
static_assert(offsetof(struct description, generation) == 4, "the upper half of `life`");

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
    return description->kind >= DESCRIPTION_STREAM &&
           description->kind <= DESCRIPTION_VSOCK_SEQPACKET;
}

static inline bool description_is_vsock(const struct description *description)
{
    return description->kind == DESCRIPTION_VSOCK_STREAM ||
           description->kind == DESCRIPTION_VSOCK_SEQPACKET;
}

static inline bool description_keeps_records(const struct description *description)
{
    return description->kind == DESCRIPTION_SEQPACKET ||
           description->kind == DESCRIPTION_VSOCK_SEQPACKET;
}

/* A socket of AF_UNIX that has no peer: its placeholder answers every call that moves bytes. */
static inline bool description_is_unix_fresh(const struct description *description)
{
    return EMU_UNLIKELY(!(atomic_load_explicit(&description->phase, memory_order_acquire) ==
                          PHASE_CONNECTED)) &&
           !description_is_vsock(description);
}

/* Whether the kernel tells when it is ready. */
static inline bool description_is_kernels(const struct description *description)
{
    uint32_t native = atomic_load_explicit(&description->native, memory_order_acquire);

    return native != DESCRIPTION_OURS && native != DESCRIPTION_SET;
}

static inline bool description_is_connected(const struct description *description)
{
    return atomic_load_explicit(&description->phase, memory_order_acquire) == PHASE_CONNECTED;
}

/* A sender met no room, and was told so or waits: sock_alloc_send_pskb, sock_wait_for_wmem. */
static inline void description_met_full(struct description *description, bool told)
{
    if (atomic_load_explicit(&description->owner.waiter_out, memory_order_relaxed) != 0) {
        atomic_store_explicit(&description->owner.full, told, memory_order_relaxed);
    }
}

/*
 * Whether `link`, one of owner's waiters, stands for a registration: not so when the process that
 * made it died before it had said that the waiter outlives it.
 */
bool description_owner_waits(const struct description *description, uint32_t link);

/* O_ASYNC is off from now on. Requires: no lock. */
void description_disown(struct emu_task *self, struct description *description);

/* One of the two ends that a new channel gets. */
struct description_plan {
    enum description_kind kind;
    uint32_t rx; /* bufs in transit with the maker, or ARENA_NONE */
    uint32_t tx;
    uint32_t status;
};

/* Makes one that has no other end, an epoll instance. Returns its index, or ARENA_NONE. */
uint32_t description_create_set(struct emu_task *self, uint32_t epoll, uint32_t generation);

/* The same for /dev/vsock. `status`: all of F_GETFL. */
uint32_t description_create_device(struct emu_task *self, uint32_t status);

/*
 * Makes two descriptions, each other's peer, that this process holds; they own the bufs then.
 * Returns 0, or -ENFILE when the table is full: the bufs are discarded.
 */
int description_create_pair(struct emu_task *self, const struct description_plan plans[2],
                            uint32_t ret_indexes[2]);

/* The description at the other end while it lives, else NULL. */
struct description *description_peer(const struct description *description);

/*
 * Makes a socket that isn't connected, which this process holds, with two bufs that are its own;
 * `limit` is their SO_SNDBUF. Returns its index, or ARENA_NONE.
 */
uint32_t description_create_fresh(struct emu_task *self, enum description_kind kind,
                                  uint32_t status, uint32_t limit);

/*
 * The server's side for a fresh socket, made at its first connect(), kept for later ones; in state
 * DESCRIPTION_WAITING, held by nobody. Returns its index, or ARENA_NONE.
 */
uint32_t description_pending(struct emu_task *self, struct description *client);

/*
 * The connection is made: a server's side and the client it was made for are each other's peer.
 * Both sides say so, whoever comes first. The client with the generation that the server's side had
 * before it called the kernel, since it may come back late; false: that one is gone. The acceptor,
 * while the listener is pinned, so that what waits there lives; false: the client had died.
 * Requires: no lock; the client, or the listener, is pinned.
 */
bool description_connect_client(struct emu_task *self, struct description *client, uint32_t server,
                                uint32_t generation);
bool description_connect_server(struct emu_task *self, uint32_t server, uint32_t generation);

/* The server's side is accepted by this process, which holds it. */
void description_accepted(struct description *server);

/* A client's bufs are as new, and what was to be the other side is no concern of it any more. */
void description_renew(struct emu_task *self, struct description *client);

/*
 * connect() is done: when the listener has died meanwhile nobody will ever accept the server's
 * side; its client is told, and it is freed.
 */
void description_mind_listener(struct emu_task *self, uint32_t server, uint32_t generation);

/*
 * The kernel shows the client of a server's side that waits a hang-up: who accepted it, or had the
 * listener, is dead. Nobody will take it up.
 */
void description_lose(struct emu_task *self, uint32_t server, uint32_t generation);

/* A server's side is given to its acceptor before its connection is made: AF_VSOCK's gateway. */
bool description_adopt(uint32_t server);

/*
 * The server's side of a connection that is in doubt dies: its client, as it was when that was
 * made, learns that it is refused. Defined by vsock.c, which stands above.
 */
void vsock_refuse(struct emu_task *self, uint32_t server, uint32_t client,
                  uint32_t client_generation, int error);

/* The low half of `queued` when its listener is gone, and nobody has accepted it. */
#define QUEUED_LOST UINT32_MAX

/*
 * What `queued` says of `server`, as it is now, at a place in the low half. Its own generation is
 * in it so that who is late changes nothing of a record that waits for somebody else by then.
 */
static inline uint64_t description_queue_word(const struct description *server, uint32_t place)
{
    return (uint64_t)atomic_load(&server->generation) << 32 | place;
}

static inline uint32_t description_queue_place(const struct description *server)
{
    return (uint32_t)atomic_load(&server->queued);
}

/* Whether it waits at a listener that lives. */
bool description_is_queued(const struct description *server);

/*
 * A socket was closed: what is in flight and can't be received ever is let go. Requires: no lock.
 * Defined by rights.c, which stands above.
 */
void rights_collect(struct emu_task *self);

/* Its name isn't found any more. Requires: no lock. Defined by names.c, which stands above. */
void names_forget(struct emu_task *self, struct description *description);

void description_hold(struct description *description, uint32_t slot);
bool description_held_by(const struct description *description, uint32_t slot);
bool description_held(const struct description *description);

/* Slot 0 is no process's: its bit says that the description is in flight (rights.h). */
#define DESCRIPTION_IN_FLIGHT 0

/* Whether a process holds it. */
bool description_held_by_any(const struct description *description);

/* Clears the slot's bit, and nothing more: description_bury_if_unheld() must follow. */
void description_unhold(struct description *description, uint32_t slot);

/* Clears the slot's bit; the last one closes the end and frees it. Requires: no lock. */
void description_drop(struct emu_task *self, uint32_t index, uint32_t slot);

/*
 * The end is closed: its peer sees end of file, EPIPE or a reset. Says it to both directions and
 * wakes who waits. May be repeated. Requires: no lock.
 * Linux: fs/pipe.c:pipe_release, net/unix/af_unix.c:unix_release_sock.
 */
void description_end(struct emu_task *self, struct description *description);

/*
 * The same for the other end of `description`, which the kernel shows closed: its own record may
 * say so already, or be about to. Requires: the caller's process holds `description`.
 */
void description_end_other(struct emu_task *self, struct description *description);

/*
 * What a description's end means for epoll sets: they forget it, and an instance forgets what it
 * watches. Requires: no lock. Defined by epoll.c, which stands above.
 */
void epoll_description_dies(struct emu_task *self, struct description *description);

/* Poll bits that hold now for an epoll instance, as far as they are the emulator's. */
uint32_t epoll_readiness(uint32_t epoll);

/*
 * A direction is the kernel's, and the description doesn't say so: whoever handed it over died
 * before it was done. emu_native_one() completes it. Stands beside the bits of poll.
 */
#define READINESS_HALF_NATIVE (1u << 16)

/* The same for what isn't a connected socket of AF_UNIX, or a pipe. Defined by vsock_data.c. */
uint32_t vsock_readiness(const struct description *description);

/* Poll bits of /dev/vsock. Defined by device.c. */
uint32_t device_readiness(const struct description *description);

/*
 * Poll bits that hold now, and READINESS_HALF_NATIVE. Takes no lock; two cache lines for a pipe's
 * end, three for a socket. Requires: it isn't native. Linux: pipe_poll, unix_poll.
 */
static inline uint32_t description_look(const struct description *description)
{
    uint32_t reads = description->rx; /* once: another thread may close it, and a third reuse it */
    uint32_t writes = description->tx;
    uint32_t rx = reads != ARENA_NONE ? buf_bits(buf_at(reads)) : 0;
    uint32_t tx = writes != ARENA_NONE ? buf_bits(buf_at(writes)) : 0;
    uint32_t bits;

    static_assert(BUF_IN == POLLIN && BUF_OUT == POLLOUT && BUF_READER_GONE == POLLERR &&
                      BUF_WRITER_GONE == POLLHUP && POLLIN << 6 == POLLRDNORM &&
                      POLLOUT << 6 == POLLWRNORM && POLLOUT << 7 == POLLWRBAND,
                  "bits that only move");
    bits = (rx & BUF_IN) | (tx & BUF_OUT);
    bits |= bits << 6;
    if (EMU_UNLIKELY((rx | tx) & BUF_NATIVE)) {
        bits |= READINESS_HALF_NATIVE;
    }
    if (description->kind < DESCRIPTION_STREAM) {
        return bits | (rx & BUF_WRITER_GONE) | (tx & BUF_READER_GONE);
    }
    if (EMU_UNLIKELY(description->kind > DESCRIPTION_SEQPACKET)) {
        return description_is_vsock(description)
                   ? vsock_readiness(description) | (bits & READINESS_HALF_NATIVE)
               : description->kind == DESCRIPTION_DEVICE ? device_readiness(description)
                                                         : 0;
    }
    if (EMU_UNLIKELY(rx & BUF_FRESH)) { /* unix_poll: writable, and TCP_CLOSE */
        return POLLOUT | POLLWRNORM | POLLWRBAND | POLLHUP | (bits & READINESS_HALF_NATIVE);
    }
    bits |= (tx & BUF_OUT) << 7;
    if (EMU_UNLIKELY(rx & BUF_SHUT)) {
        bits |= POLLIN | POLLRDNORM | POLLRDHUP | (tx & BUF_SHUT ? POLLHUP : 0);
    }
    /* After the words: who sees the end that came with an error sees the error. */
    if (EMU_UNLIKELY(atomic_load_explicit(&description->error, memory_order_relaxed) != 0)) {
        bits |= POLLERR;
    }
    return bits;
}

/* Poll bits that hold now. */
static inline uint32_t description_readiness(const struct description *description)
{
    return description_look(description) & ~READINESS_HALF_NATIVE;
}

/* Reads and clears the pending error: positive errno or 0. */
int description_take_error(struct description *description);

/* Ends what a dead process was making or freeing when it died. May be repeated. */
void description_sweep(struct emu_task *self, uint32_t slot);

/* Wakes everybody who waits on either of its directions. Requires: no lock. */
void description_wake(struct emu_task *self, struct description *description, uint32_t events);

/*
 * ---- Between the files of this header; nobody else calls these ----
 *
 * description.c makes and frees, description_meet.c connects sockets, description_end.c says what
 * an end means, description_sweep.c cleans up behind the dead.
 */

/* Fills one end in; it isn't live yet. Returns its index or ARENA_NONE. */
uint32_t description_make(const struct description_plan *plan, uint32_t slot);

/* Gives a description back to the table; nothing names it any more. */
void description_free(uint32_t index);

/* Frees the bufs of a plan that came to nothing. */
void description_discard_bufs(struct emu_task *self, const struct description_plan *plan);

/* The last steps of a description's life; each may be repeated. Requires: state is DYING. */
void description_bury(struct emu_task *self, uint32_t index);

/* Buries a description that nobody holds, unless somebody else does so already. */
void description_bury_if_unheld(struct emu_task *self, uint32_t index);

/* What else ends with a socket: a connection that was being made, those that wait at it. */
void description_end_meetings(struct emu_task *self, struct description *description);

/* Whether it is the server's side that was made for this client, which lives. */
bool description_belongs_to(const struct description *server, const struct description *client);

/* DESCRIPTION_WAITING of a record with this generation. */
uint32_t description_waiting_state(uint32_t generation);

#endif
