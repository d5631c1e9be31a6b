/*
 * ends.h - what a run knows of its AF_VSOCK sockets, from the results of calls alone
 *
 * An end is a description: a socket, a listener or an epoll instance. A flow is what one end sends
 * to its peer. What is sent are the bytes of pattern(1, ...) from `base` on, so each byte says
 * where in the flow it belongs. Of SOCK_SEQPACKET the records that are under way are kept, too;
 * `torn` are bytes of one that failed half-way: they begin the next one.
 *
 * A flow is loose when the order of its bytes is open (two senders sleep in it) or when a call
 * doesn't say how many there are: it isn't checked any more.
 *
 * Numbers of processes refer to ends. A connection that nobody has accepted has an end, too, which
 * no number refers to.
 */
#ifndef FUZZ_VSOCK_ENDS_H
#define FUZZ_VSOCK_ENDS_H

#include <stdbool.h>
#include <stdint.h>

#define ENDS_MAX      96 /* ever made in one run */
#define ENDS_NUMBERS  48 /* numbers from here on are not followed */
#define FLOW_RECORDS  1024u
#define FLOW_BYTES    (3u << 20) /* that a flow sends at most */
#define FLOW_STRIDE   8209u      /* between the bases of two flows */
#define PATTERN_BYTES (FLOW_BYTES + ENDS_MAX * FLOW_STRIDE + (1u << 20))
#define PENDING_MAX   64
#define WATCHES_MAX   16

/* Kinds of ends: bits, so that an action can name several. */
enum {
    END_FRESH = 1,
    END_LISTENING = 2,
    END_CONNECTED = 4,
    END_EPOLL = 8,
    END_SOCKETS = END_FRESH | END_LISTENING | END_CONNECTED,
    END_ALL = 15,
};

struct record {
    uint32_t length;
    bool eor;
};

struct flow {
    uint64_t sent; /* bytes, of a record that failed half-way also */
    uint64_t received;
    uint32_t base;
    uint32_t torn;
    bool loose;
    uint32_t first; /* the oldest record, modulo FLOW_RECORDS */
    uint32_t count;
    struct record records[FLOW_RECORDS];
};

/* An entry of an epoll instance that tells of data once: EPOLLIN with EPOLLET. */
struct watch {
    int end; /* -1: none */
    uint64_t id;
    bool due; /* data came, and wasn't told of */
};

struct end {
    uint8_t kind;
    bool records;
    bool nonblocking;
    bool shut_read;
    bool shut_write;
    bool closed;
    bool tried; /* a connect that didn't block was in vain: connecting for ever */
    bool timed; /* SO_RCVTIMEO or SO_SNDTIMEO was set */
    bool sick;  /* a stored error was seen: POLLERR */
    bool edges; /* an epoll instance with entries that tell once */
    struct watch watches[WATCHES_MAX]; /* of those, some; the others aren't checked */
    uint32_t watch_count;
    bool resized; /* its own buffer's size changed, which wakes none of its senders */
    uint16_t holders;
    uint32_t low; /* SO_RCVLOWAT */
    uint32_t cid; /* that it is bound to; the port is UINT32_MAX: not bound */
    uint32_t port;
    int backlog;
    int peer; /* -1: none */
    int pending[PENDING_MAX];
    uint32_t pending_count;
    struct flow out;
};

struct table {
    bool alive;
    int numbers[ENDS_NUMBERS]; /* ends, or -1 */
};

struct ends {
    struct end all[ENDS_MAX];
    uint32_t count;
};

/* A new end that no number refers to; -1 when there were too many. */
int ends_make(struct ends *ends, uint8_t kind, bool records);

void ends_hold(struct ends *ends, struct table *process, int64_t number, int end);
void ends_drop(struct ends *ends, struct table *process, int64_t number);

/* The end behind a number, or -1. */
int ends_at(const struct table *process, int64_t number);

/* The listener that a connect to this address reaches, or -1. */
int ends_listener(const struct ends *ends, uint32_t cid, uint32_t port);

/* The two are connected; `server` is new. */
void ends_connect(struct ends *ends, int client, int server);

/* What `end` reads: its peer's flow, or NULL. */
struct flow *ends_incoming(struct ends *ends, int end);

/* Data have come to `end`: whoever watches it must be told. */
void ends_tell(struct ends *ends, int end);

/* A record that is complete; the flow is loose when there are too many. */
void flow_add_record(struct flow *flow, uint32_t length, bool eor);
void flow_take_record(struct flow *flow);

/* The first record's bytes begin here, in the pattern. */
static inline uint64_t flow_place(const struct flow *flow, uint64_t position)
{
    return flow->base + position;
}

#endif
