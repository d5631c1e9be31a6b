/*
 * blocked.h - who waits for what, as somebody else sees it
 *
 * For the supervisor, which maps the arena and is no member: each sleeping task with what it waits
 * for, and who has the other ends open. blocked.c says what can be relied on.
 */
#ifndef EMU_BLOCKED_H
#define EMU_BLOCKED_H

#include "emu.h"

enum emu_channel_kind {
    EMU_CHANNEL_OTHER, /* not a channel, or it was closed meanwhile */
    EMU_CHANNEL_PIPE,
    EMU_CHANNEL_STREAM,
    EMU_CHANNEL_SEQPACKET,
    EMU_CHANNEL_EPOLL, /* an epoll instance: has no directions and no other end */
};

/* One direction of a channel: what is unread in it, and what there is room for. */
struct emu_fill {
    bool there;        /* the descriptor reads (or writes) this direction */
    bool native;       /* the kernel has it: the figures say nothing */
    uint32_t bytes;    /* unread */
    uint32_t pieces;   /* slots of a pipe in use; records or skbs of a socket */
    uint32_t used;     /* what the limit counts: bytes of a pipe, charge of a socket */
    uint32_t capacity; /* bytes of a pipe, SO_SNDBUF of a socket */
    uint32_t slots;    /* of a pipe; 0: sockets have none */
    uint32_t tiny;     /* bytes that it holds, fewer than Linux allows; 0: it isn't that small */
};

/* A descriptor that a blocked call waits for. */
struct emu_blocked_fd {
    int32_t fd;
    uint32_t events; /* POLL* bits it waits for */
    enum emu_channel_kind kind;
    uint32_t number;      /* of the channel: no two that live have the same */
    uint32_t description; /* for emu_session_holders(), like the next three */
    uint32_t generation;
    uint32_t peer;
    uint32_t peer_generation;
    int32_t peer_maker; /* pid of who made the other end, 0: unknown; and a number it had there */
    int32_t peer_sample_fd;
    bool peer_travels;   /* a message carries the other end: who takes it has it */
    struct emu_fill in;  /* what can be read from fd */
    struct emu_fill out; /* what was written to fd */
};

/* A task that sleeps inside the emulator. */
struct emu_blocked {
    int32_t pid;
    uint32_t tid;
    uint32_t call;      /* enum emu_call_id; read and write also stand for their kin */
    uint32_t count;     /* descriptors that the call looks at; `fds` shows the first of them */
    uint64_t size;      /* bytes asked for, */
    uint64_t done;      /* ... and moved so far */
    int64_t timeout_ns; /* of the call; < 0: none */
    uint64_t since_ns;  /* when it slept first, CLOCK_MONOTONIC */
    uint64_t frame;     /* address of a frame in its stack: return address at + 8, then older */
    bool outside;       /* the kernel's own descriptors may end it, too */
    int32_t set_fd;     /* epoll_wait: the instance, and `fds` are entries of it; else -1 */
    uint32_t fd_count;  /* of `fds` */
    struct emu_blocked_fd fds[EMU_BLOCKED_FDS];
};

/*
 * Finds the next task that is blocked, from record *index on; *index moves behind it. Safe while
 * everything changes: what it gives was so at some moment, object by object. Takes no lock.
 *
 * Returns false: there are no more.
 */
bool emu_session_blocked(uint32_t *index, struct emu_blocked *ret_blocked);

/* Pids that have the description open, at most `max`. Returns their number; 0: it was closed. */
uint32_t emu_session_holders(uint32_t description, uint32_t generation, int32_t *ret_pids,
                             uint32_t max);

struct emu_origin emu_session_origin(uint32_t description, uint32_t generation, int32_t pid);

#endif
