/*
 * build.h - from choices to a call: words, memory, and the same as text for a script
 *
 * An action function begins a call, appends its arguments in order, and says what the call touches
 * and what it writes. Arguments choose a number, a size, a pointer; now and then an odd one.
 */
#ifndef FUZZ_BUILD_H
#define FUZZ_BUILD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "model.h"
#include "sequence.h"

struct world;

#define CLOSED_NUMBER   60 /* nothing is ever put there */
#define BUILD_MAX_OUTS  40
#define BUILD_MAX_WORDS 8
#define BUILD_STRUCTS   (64u << 10)  /* of a task's memory: structs and small values */
#define BUILD_DATA      (704u << 10) /* ... data that is received */
#define BUILD_MEMORY    (BUILD_STRUCTS + BUILD_DATA)
#define BUILD_PATTERN   (1u << 20) /* bytes of pattern(1, ...), which all that is sent comes from */

/* What a call writes, and how it is compared. */
enum out_kind {
    OUT_FIXED,    /* `size` bytes at `place`, whatever the result */
    OUT_DATA,     /* the first RESULT bytes of the vectors at `place` */
    OUT_MESSAGES, /* msg_len and that many bytes of each mmsghdr at `place`, for RESULT of them */
    OUT_EVENTS,   /* RESULT epoll_events */
    OUT_ADDRESS,  /* a name, in which the side's letter is wiped out */
    OUT_RESULT,   /* RESULT bytes at `place` */
    OUT_SUCCESS,  /* as FIXED, when the call succeeds */
};

struct out {
    enum out_kind kind;
    uint32_t size; /* bytes; of DATA and MESSAGES: elements */
    const char *name;
    const void *place;
};

/* What the model does with the result. */
enum effect {
    EFFECT_NONE,
    EFFECT_PIPE,
    EFFECT_PAIR,
    EFFECT_SOCKET,
    EFFECT_EPOLL,
    EFFECT_OPEN,
    EFFECT_CLOSE,
    EFFECT_CLOSE_RANGE,
    EFFECT_COPY,    /* the result is a copy of fd */
    EFFECT_REPLACE, /* dup2, dup3 */
    EFFECT_NONBLOCKING,
    EFFECT_BIND,
    EFFECT_LISTEN,
    EFFECT_CONNECT,
    EFFECT_ACCEPT,
    EFFECT_WATCH,
    EFFECT_RIGHTS, /* numbers stand in the control data of messages */
};

struct made {
    int call; /* of calls.h, or -1: the action could make none here */
    const char *name;
    uint64_t words[BUILD_MAX_WORDS];
    uint32_t word_count;
    struct out outs[BUILD_MAX_OUTS];
    uint32_t out_count;
    struct touch touch;
    uint64_t locks; /* directions of a pipe that it keeps locked while it waits for a socket */
    bool waits;     /* it may block */
    bool faults;    /* it uses a place of world_fault() */
    enum effect effect;
    int64_t fd;  /* descriptors that the effect is about */
    int64_t fd2; /* ... and its target, or last number */
    uint32_t slot;
    uint32_t slot2;
    uint16_t kind; /* of the description that it makes */
    bool nonblocking;
    bool unordered; /* OUT_EVENTS: in any order */
    uint8_t name_index;
    void *place; /* pipe, socketpair: the numbers; RIGHTS: the messages */
    uint32_t count;
};

struct builder {
    struct cursor cursor;
    struct model *model;
    struct world *world;
    uint32_t process;
    uint32_t odd;      /* of 512 */
    uint32_t blocking; /* of 256 */
    uint32_t large;    /* of 512 */
    uint32_t action;   /* its number in the sequence: what is sent begins elsewhere each time */
    char side;         /* 'K' or 'E': stands in abstract names */
    bool no_faults;
    bool urgent;         /* MSG_OOB may come; nothing blocks */
    const char *scratch; /* what abstract names begin with after the side's letter */
    const uint8_t *pattern;
    uint8_t *structs;
    uint8_t *structs_end;
    uint8_t *data;
    uint8_t *data_end;
    uint32_t limit; /* of sizes sent in one message, 0: none */
    FILE *text;     /* NULL: nobody wants it */
    struct made made;
};

/* The same bytes as pattern(1, ...) of the script language. */
void build_fill_pattern(uint8_t *bytes, size_t size);

/* ---- choices ---- */
bool build_odd(struct builder *b);
uint32_t build_below(struct builder *b, uint32_t limit);
uint32_t build_size(struct builder *b);
int64_t build_number(struct builder *b); /* an odd number */

/* A descriptor of one of these kinds, if there is one; else any, else one that is closed. */
int64_t build_fd(struct builder *b, unsigned kinds);
struct description *build_description(struct builder *b, int64_t number);

/* ---- text ---- */
void build_say(struct builder *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- words ---- */
void build_begin(struct builder *b, const char *name, int *cache);
void build_word(struct builder *b, uint64_t word);
void build_argument(struct builder *b, int64_t value);                /* as a number */
void build_named(struct builder *b, int64_t value, const char *text); /* as text */
void build_flags(struct builder *b, const char *const *names, const uint32_t *bits, uint32_t count,
                 uint32_t always);
void build_pointer(struct builder *b, const void *pointer);

/* ---- memory ---- */
void *build_struct(struct builder *b, size_t size); /* zeroed; never NULL */
void build_out(struct builder *b, enum out_kind kind, const char *name, const void *place,
               uint32_t size);

/* Bytes to be sent and room for bytes, as an argument: the place; the size is another argument. */
const void *build_source(struct builder *b, uint32_t size);
void *build_target(struct builder *b, uint32_t size);

/* Vectors of about `size` bytes; *ret_count of them. Says their text. */
struct iovec *build_vectors(struct builder *b, bool sent, uint32_t *ret_count);

#define BUILD_BEGIN(b, call)           \
    do {                               \
        static int cache = -1;         \
        build_begin(b, #call, &cache); \
    } while (0)

/* One flag of a list. */
#define FLAG_NAMES(...) ((const char *const[]){ __VA_ARGS__ })
#define FLAG_BITS(...)  ((const uint32_t[]){ __VA_ARGS__ })

#endif
