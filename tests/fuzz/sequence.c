/*
 * sequence.c - a sequence of calls as bytes
 */
#include "sequence.h"

#include <string.h>

uint64_t sequence_next(uint64_t *state)
{
    uint64_t word = *state += 0x9e3779b97f4a7c15u;

    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9u;
    word = (word ^ (word >> 27)) * 0x94d049bb133111ebu;
    return word ^ (word >> 31);
}

uint32_t sequence_count(const struct sequence *sequence)
{
    if (sequence->size <= SEQUENCE_HEADER)
        return 0;
    return (sequence->size - SEQUENCE_HEADER + SEQUENCE_RECORD - 1) / SEQUENCE_RECORD;
}

void sequence_cursor(const struct sequence *sequence, uint32_t action, struct cursor *ret_cursor)
{
    const uint8_t *record = sequence->bytes + SEQUENCE_HEADER + action * SEQUENCE_RECORD;
    uint64_t words[2];

    memcpy(words, record, sizeof(words));
    *ret_cursor = (struct cursor){ record, 0, words[0] ^ (words[1] * 0x9e3779b97f4a7c15u) };
}

void sequence_remove(struct sequence *sequence, uint32_t first, uint32_t count)
{
    uint8_t *start = sequence->bytes + SEQUENCE_HEADER + first * SEQUENCE_RECORD;
    uint32_t all = sequence_count(sequence);

    memmove(start, start + count * SEQUENCE_RECORD, (all - first - count) * SEQUENCE_RECORD);
    sequence->size = SEQUENCE_HEADER + (all - count) * SEQUENCE_RECORD;
    memset(sequence->bytes + sequence->size, 0, SEQUENCE_MAXSIZE - sequence->size);
}

void sequence_random(uint64_t seed, uint32_t count, struct sequence *ret_sequence)
{
    uint64_t state = seed * 0xd1342543de82ef95u + 1;

    memset(ret_sequence, 0, sizeof(*ret_sequence));
    ret_sequence->size = SEQUENCE_HEADER + count * SEQUENCE_RECORD;
    for (uint32_t i = 0; i < ret_sequence->size; i += sizeof(uint64_t)) {
        uint64_t word = sequence_next(&state);

        memcpy(ret_sequence->bytes + i, &word, sizeof(word));
    }
}

uint8_t cursor_byte(struct cursor *cursor)
{
    if (cursor->at < SEQUENCE_RECORD)
        return cursor->record[cursor->at++];
    return (uint8_t)(sequence_next(&cursor->state) >> 56);
}

uint32_t cursor_below(struct cursor *cursor, uint32_t limit)
{
    uint32_t value = cursor_byte(cursor);

    if (limit > 256)
        value |= (uint32_t)cursor_byte(cursor) << 8;
    return value % limit;
}
