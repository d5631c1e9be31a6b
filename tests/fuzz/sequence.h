/*
 * sequence.h - a sequence of calls as bytes: what fuzzers mutate, what is kept and shrunk
 *
 * A header of 8 bytes, then records of 16 bytes, one an action. Every string of bytes is a
 * sequence: what is missing is zero, what is too long is cut off. An action takes its choices from
 * its record one after the other, and when the record is used up, from a generator that is seeded
 * with it: removing one record leaves the others' meaning alone.
 */
#ifndef FUZZ_SEQUENCE_H
#define FUZZ_SEQUENCE_H

#include <stddef.h>
#include <stdint.h>

#define SEQUENCE_HEADER  8u
#define SEQUENCE_RECORD  16u
#define SEQUENCE_MAX     192u /* actions */
#define SEQUENCE_MAXSIZE (SEQUENCE_HEADER + SEQUENCE_MAX * SEQUENCE_RECORD)

/* Bytes of the header. */
enum {
    HEADER_PROFILE,  /* which weights the actions have */
    HEADER_ODD,      /* share of odd arguments, of 512 */
    HEADER_BLOCKING, /* share of blocking descriptors, of 256 */
    HEADER_LARGE,    /* share of large sizes, of 512 */
    HEADER_URGENT,   /* one of 16: with MSG_OOB */
};

struct sequence {
    uint32_t size; /* in bytes, header and all */
    uint8_t bytes[SEQUENCE_MAXSIZE];
};

/* The choices of one action. */
struct cursor {
    const uint8_t *record;
    uint32_t at;
    uint64_t state; /* of what follows the record's end */
};

uint32_t sequence_count(const struct sequence *sequence);
void sequence_cursor(const struct sequence *sequence, uint32_t action, struct cursor *ret_cursor);
void sequence_remove(struct sequence *sequence, uint32_t first, uint32_t count);

/* A sequence of `count` random actions; the same one for the same seed. */
void sequence_random(uint64_t seed, uint32_t count, struct sequence *ret_sequence);

/* The next number of a generator (splitmix64). */
uint64_t sequence_next(uint64_t *state);

uint8_t cursor_byte(struct cursor *cursor);

/* A number below `limit`, which is at most 65536. */
uint32_t cursor_below(struct cursor *cursor, uint32_t limit);

#endif
