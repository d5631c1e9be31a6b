/*
 * numbering.c - small numbers for large keys: a hash table
 */
#include "trace/numbering.h"

#include <stdlib.h>

#define FIRST_SLOTS 256 /* a power of two, as all that follow */

static struct numbering_slot *slot_of(const struct numbering *numbering, uint64_t key)
{
    /* Fibonacci hashing: the upper half of the product is spread well. */
    size_t at = (key * 0x9e3779b97f4a7c15U >> 32) & (numbering->slot_count - 1);

    while (numbering->slots[at].number != 0 && numbering->slots[at].key != key)
        at = (at + 1) & (numbering->slot_count - 1);
    return &numbering->slots[at];
}

bool numbering_init(struct numbering *numbering)
{
    *numbering = (struct numbering){ .slot_count = FIRST_SLOTS };
    numbering->slots = calloc(FIRST_SLOTS, sizeof *numbering->slots);
    return numbering->slots != NULL;
}

void numbering_fini(struct numbering *numbering)
{
    free(numbering->slots);
    numbering->slots = NULL;
}

uint32_t numbering_find(const struct numbering *numbering, uint64_t key)
{
    return slot_of(numbering, key)->number;
}

static bool grow(struct numbering *numbering)
{
    struct numbering larger = { .slot_count = numbering->slot_count * 2, .used = numbering->used };

    larger.slots = calloc(larger.slot_count, sizeof *larger.slots);
    if (larger.slots == NULL)
        return false;
    for (size_t i = 0; i < numbering->slot_count; i++) {
        if (numbering->slots[i].number != 0)
            *slot_of(&larger, numbering->slots[i].key) = numbering->slots[i];
    }
    free(numbering->slots);
    *numbering = larger;
    return true;
}

bool numbering_set(struct numbering *numbering, uint64_t key, uint32_t number)
{
    struct numbering_slot *slot;

    if ((numbering->used + 1) * 2 > numbering->slot_count && !grow(numbering))
        return false;
    slot = slot_of(numbering, key);
    numbering->used += slot->number == 0;
    *slot = (struct numbering_slot){ .key = key, .number = number };
    return true;
}
