/*
 * numbering.h - small numbers for large keys: a hash table
 */
#ifndef TRACE_NUMBERING_H
#define TRACE_NUMBERING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct numbering_slot {
    uint64_t key;
    uint32_t number; /* 0: free */
};

struct numbering {
    struct numbering_slot *slots; /* open addressing, at most half full */
    size_t slot_count, used;
};

/* Returns false without memory. */
bool numbering_init(struct numbering *numbering);
void numbering_fini(struct numbering *numbering);

/* The number of a key, 0: it has none. */
uint32_t numbering_find(const struct numbering *numbering, uint64_t key);

/* Gives a key a number that isn't 0. Returns false without memory. */
bool numbering_set(struct numbering *numbering, uint64_t key, uint32_t number);

#endif
