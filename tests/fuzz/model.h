/*
 * model.h - what a fuzzed run knows of its tasks, processes and descriptors
 *
 * Each side keeps a model of its own, from its own results; both are the same until the first
 * difference. It is there to choose descriptors that fit, and to avoid what Linux leaves open: two
 * tasks that are blocked on the same thing, of which any may be woken first.
 *
 * A channel is a pipe, a connection, a listener or an epoll instance; its two directions are two
 * bits of a mask.
 *
 * Leaves out: which description came with SCM_RIGHTS. Such a number is KIND_UNKNOWN, and blocks
 * only where nothing else is blocked.
 */
#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define MODEL_TASKS        6
#define MODEL_PROCESSES    4
#define MODEL_SLOTS        16
#define MODEL_NUMBERS      64  /* numbers from here on are not followed */
#define MODEL_DESCRIPTIONS 128 /* ever made in one run */
#define MODEL_CHANNELS     32  /* ever made in one run: two bits each of a mask */
#define MODEL_PENDING      16  /* connections that wait for accept */
#define MODEL_NAMES        8

#define SLOT_EMPTY 0xff

/* Kinds of descriptions: bits, so that an action can name several. */
enum {
    KIND_READER = 1,
    KIND_WRITER = 2,
    KIND_STREAM = 4,
    KIND_RECORDS = 8,
    KIND_FRESH = 16, /* a socket that is neither connected nor listens */
    KIND_LISTENER = 32,
    KIND_EPOLL = 64,
    KIND_FILE = 128,
    KIND_UNKNOWN = 256,
    KIND_CONNECTED = KIND_STREAM | KIND_RECORDS,
    KIND_SOCKETS = KIND_CONNECTED | KIND_FRESH | KIND_LISTENER,
    KIND_PIPES = KIND_READER | KIND_WRITER,
    KIND_ALL = 0xffff,
};

struct description {
    uint16_t kind;
    uint8_t channel;
    uint8_t end; /* 0 or 1, of a connection */
    bool nonblocking;
    bool records;
    bool mixed; /* an epoll instance that holds entries of the kernel's and of the emulator's */
    bool tried; /* connect was called */
    uint8_t process;  /* `born` of the one that made it */
    uint8_t name;     /* index + 1 of what it is bound to */
    uint64_t watched; /* of an epoll instance: directions it has ever watched */
    uint8_t pending[MODEL_PENDING];
    uint8_t pending_count;
};

/* Directions that a call takes from, puts into, or only looks at. */
struct touch {
    uint64_t takes;
    uint64_t puts;
    uint64_t looks;
};

struct process {
    bool alive;
    uint8_t born;                   /* how many were made before it */
    uint8_t numbers[MODEL_NUMBERS]; /* index + 1 of the description */
    uint8_t slots[MODEL_SLOTS];     /* numbers, or SLOT_EMPTY */
};

struct model {
    struct process processes[MODEL_PROCESSES];
    struct description descriptions[MODEL_DESCRIPTIONS];
    uint32_t description_count;
    uint32_t channel_count;
    uint8_t born;
    uint8_t listeners[MODEL_NAMES]; /* index + 1 of the description that listens there */
    uint64_t carried;               /* directions into which descriptors were ever sent */
    bool spliced;                   /* the order of events isn't compared any more */
};

void model_init(struct model *model);

/* A new description; NULL when there were too many. `channel` < 0: of a channel of its own. */
struct description *model_describe(struct model *model, uint16_t kind, int channel, uint8_t end);

/* Room for `count` more descriptions, each with a channel of its own? */
bool model_has_room(const struct model *model, uint32_t count);

/* The description behind a number; NULL: none that is known. */
struct description *model_at(struct model *model, uint32_t process, int64_t number);

void model_set(struct model *model, uint32_t process, int64_t number,
               const struct description *description);
void model_slot(struct model *model, uint32_t process, uint32_t slot, int64_t number);
void model_closed(struct model *model, uint32_t process, int64_t number);

/* What a transfer touches, and what a poll for it does. */
void touch_takes(struct touch *touch, const struct description *description);
void touch_puts(struct touch *touch, const struct description *description);
void touch_looks(struct touch *touch, const struct description *description);

/* The other directions of connections. */
uint64_t other_way(uint64_t directions);

/* Could the order in which these two are woken matter? */
bool touch_conflict(const struct touch *a, const struct touch *b);

#endif
