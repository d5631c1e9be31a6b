/*
 * arena.h - the shared memory that holds all of a session's state
 *
 * One file mapping, at any address: what refers to something in it does so by an index or an
 * offset. It begins with a header (magic, a signature made from the layouts, so that two builds
 * that differ refuse each other), then the tables of arena.def, then ring memory. The file is
 * sparse; reserved space costs nothing until it is touched.
 *
 * Elements of a table come from a pool, a lock-free stack of free indices, last in, first out. A
 * process that is killed between taking an element and making it reachable leaves it to the sweep
 * (process.h), which finds it by its owner.
 */
#ifndef EMU_ARENA_H
#define EMU_ARENA_H

#include "base.h"
#include "emu.h"
#include "bounds.h"
#include "lock.h"

#define ARENA_NONE UINT32_MAX

#define ARENA_CHUNK_CLASSES (EMU_CHUNK_MAX_SHIFT - EMU_CHUNK_MIN_SHIFT + 1)
#define ARENA_CHUNK_UNITS   (EMU_ARENA_SIZE >> EMU_CHUNK_MIN_SHIFT)

/* Free indices of one table; the links stand in an array beside it. */
struct pool {
    _Alignas(64) _Atomic uint64_t top; /* tag << 32 | index + 1; the tag defeats ABA */
    _Atomic uint32_t fresh;            /* indices from here on were never taken */
    _Atomic uint32_t used;
};

/* Bytes on their way from one buf into another: passage.h. Guarded by passage_lock. */
struct passage_journal {
    _Atomic uint32_t state; /* PASSAGE_* of passage.c; 0: not in use */
    uint32_t from;          /* bufs, and their generations */
    uint32_t from_generation;
    uint32_t to;
    uint32_t to_generation;
    uint32_t arrived; /* BUF_ARRIVED of `to` once they have come */
    uint32_t bytes;   /* that leave `from` then */
};

enum { SLEEPS_UNWATCHED, SLEEPS_WATCHED, SLEEPS_NEW };

/* Recording: trace.h. All but atomics is written before anybody else joins. */
#define TRACE_FREE_WINDOWS 64
struct trace_control {
    uint32_t on;              /* 1: this session is recorded */
    uint32_t clock;           /* enum trace_clock */
    uint32_t window[2];       /* bytes of a task's first one, and of the next */
    uint32_t side;            /* bytes that one half of a record may take: its begin, its end */
    uint32_t data;            /* bytes that a call's buffers are recorded up to */
    _Atomic uint32_t stopped; /* enum trace_stopped */
    _Atomic int32_t error;
    _Atomic uint32_t tasks; /* that have recorded */
    uint64_t start_ticks;   /* one moment by two clocks */
    uint64_t start_monotonic_ns;
    uint64_t session;      /* what each piece of the file repeats */
    uint64_t file;         /* the log's inode: its number may be somebody else's by now */
    uint64_t limit;        /* bytes of the file */
    _Atomic uint64_t end;  /* of the file, as far as it is taken */
    _Atomic uint64_t lost; /* records that weren't written */
    _Atomic uint64_t free[2][TRACE_FREE_WINDOWS]; /* offsets of windows that nobody has; or 0 */
};

struct arena_header {
    char magic[8];
    uint64_t signature;
    uint64_t size;
    struct emu_options options; /* the session's; written before anybody else joins */
    struct emu_hidden hidden;   /* numbers of the session's descriptors */
    uint64_t bell_object;       /* the bell's inode: its number may be the guest's by now */
    _Atomic uint32_t bell_mute; /* 1: somebody can't ring by name: bell.h */
    _Atomic int32_t watcher;    /* pid of who watches members, or 0 */
    _Atomic int32_t watcher_bell;
    _Atomic uint64_t watcher_object; /* the inode of its bell: its pid may be somebody else's */
    _Atomic uint32_t sleeps;         /* SLEEPS_*: does the watcher want to know of long sleeps? */
    _Atomic int32_t reaper;        /* its pid; < 0: of who starts one, or can't; 0: there is none */
    _Atomic int32_t reaper_parent; /* who started it */
    _Atomic uint32_t reaper_leave; /* 1: its parent ends, and waits for it */
    _Atomic uint32_t joined;       /* processes that ever joined */
    _Atomic uint32_t changes;      /* grows when a process joins */
    _Atomic uint32_t unborn;       /* children ever expected: names for their records */
    _Atomic int32_t chunks_kept;   /* free chunks in the pools */
    _Atomic uint32_t units;        /* chunk units handed out so far, from the start of the data */
    struct lock processes_lock;    /* finding or making a process's record */
    struct lock names_lock;        /* entering a name: names.h */
    uint64_t id;                   /* of the session: what its hidden names begin with */
    _Atomic uint32_t next_port;    /* of AF_VSOCK, for sockets that don't care: vsock.c */
    _Atomic uint64_t gateway;      /* generation << 32 | description + 1 of AF_VSOCK's: vsock.h */
    _Atomic uint32_t injected[EMU_MAX_INJECTIONS]; /* how often each rule did something: budget= */
    _Atomic uint32_t queued_count;                 /* connects so far: their order at a listener */
    _Atomic uint32_t unanswered; /* connects of AF_VSOCK that wait for their time-out */
    struct pool processes;
    struct pool tasks;
    struct pool bufs;
    struct pool descriptions;
    struct pool waiters;
    struct pool epolls;
    struct pool items;
    struct outer_lock epoll_lock;   /* the structure of all epoll sets: epoll.h */
    _Atomic uint32_t epoll_changed; /* 1: it is being changed */
    struct pool rights;
    struct outer_lock rights_lock;  /* which descriptions are in flight: rights.h */
    struct outer_lock passage_lock; /* the journal, and starting to use it: passage.h */
    struct passage_journal passage;
    struct trace_control trace;
    _Atomic uint32_t findings_lost; /* there was no room for them: finding.h */
    struct pool chunks[ARENA_CHUNK_CLASSES];
};

/* Offsets of everything; never instantiated, the mapping is cast to it. */
struct arena {
    _Alignas(4096) struct arena_header header;
#define SECTION(name, size, count)                       \
    _Alignas(4096) _Atomic uint32_t name##_links[count]; \
    _Alignas(4096) char name[(uint64_t)(size) * (count)];
#include "arena.def"
#undef SECTION
    _Atomic uint32_t chunk_links[ARENA_CHUNK_UNITS];
    _Alignas(4096) char data[];
};

/* This process's mapping, or NULL. Set once before threads exist, read by all. */
extern struct arena *arena;

/* Makes a memfd of the arena's size, initialised; its fd, or -errno. Maps it. */
int arena_create(void);

/* Maps an existing one: 0, -EINVAL, -ESTALE, -errno. */
int arena_attach(int fd);

/* An index of the table, or ARENA_NONE when `max` are in use. */
uint32_t pool_take(struct pool *pool, _Atomic uint32_t *links, uint32_t max);
void pool_give(struct pool *pool, _Atomic uint32_t *links, uint32_t index);

/*
 * Memory of 1 << shift bytes; shift in EMU_CHUNK_MIN_SHIFT..EMU_CHUNK_MAX_SHIFT.
 * Returns its unit number (arena_chunk_at), or ARENA_NONE when the arena is full.
 * The bytes are whatever was there before.
 */
uint32_t arena_chunk_take(unsigned shift);
void arena_chunk_give(uint32_t unit, unsigned shift);

static inline char *arena_chunk_at(uint32_t unit)
{
    return arena->data + ((uint64_t)unit << EMU_CHUNK_MIN_SHIFT);
}

#endif
