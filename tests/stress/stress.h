/*
 * stress.h - what the stress programs share: chance, and messages that prove themselves
 *
 * A flow is one writer's sequence of messages through one channel. A message carries its length,
 * its place in the flow and a checksum; its bytes follow from (seed, flow, sequence) alone, so
 * whoever reads it can tell a lost, doubled, reordered or damaged byte from a good one.
 */
#ifndef STRESS_H
#define STRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRESS_MESSAGE_MAX 100000u

struct stress_header {
    uint32_t size; /* of the whole message */
    uint32_t flow;
    uint32_t sequence;
    uint32_t checksum; /* of the bytes behind the header */
};

/* splitmix64: small, and good enough to choose sizes. */
static inline uint64_t stress_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline uint32_t stress_below(uint64_t *state, uint32_t limit)
{
    return (uint32_t)(stress_random(state) % limit);
}

/* Sizes that matter more often than others: tiny, around PIPE_BUF, anything. */
static inline uint32_t stress_size(uint64_t *state, uint32_t limit)
{
    const uint32_t least = sizeof(struct stress_header);
    uint32_t size;

    switch (stress_below(state, 4)) {
    case 0: size = least + stress_below(state, 64); break;
    case 1: size = 4096 - 16 + stress_below(state, 33); break;
    case 2: size = least + stress_below(state, 9000); break;
    default: size = least + stress_below(state, STRESS_MESSAGE_MAX - least + 1); break;
    }
    return size < limit ? size : limit;
}

static inline uint32_t stress_checksum(const unsigned char *data, size_t size)
{
    uint64_t sum = size;
    uint64_t word;

    for (; size >= sizeof word; data += sizeof word, size -= sizeof word) {
        memcpy(&word, data, sizeof word);
        sum = (sum ^ word) * 0x100000001b3u;
        sum ^= sum >> 29;
    }
    for (; size > 0; data++, size--)
        sum = (sum ^ *data) * 0x100000001b3u;
    return (uint32_t)(sum ^ (sum >> 32));
}

/* Makes message number `sequence` of `flow`, `size` bytes with its header. */
static inline void stress_make(unsigned char *ret_message, uint32_t size, uint64_t seed,
                               uint32_t flow, uint32_t sequence)
{
    struct stress_header header = { .size = size, .flow = flow, .sequence = sequence };
    uint64_t state = seed ^ ((uint64_t)flow << 32 | sequence);
    unsigned char *data = ret_message + sizeof header;
    const size_t data_size = size - sizeof header;
    size_t done = 0;

    for (; done + sizeof state <= data_size; done += sizeof state) {
        const uint64_t word = stress_random(&state);

        memcpy(data + done, &word, sizeof word);
    }
    for (; done < data_size; done++)
        data[done] = (unsigned char)stress_random(&state);
    header.checksum = stress_checksum(data, data_size);
    memcpy(ret_message, &header, sizeof header);
}

/* Returns NULL, or what is wrong with a whole message that should be number `sequence`. */
static inline const char *stress_check(const unsigned char *message, size_t size, uint32_t flow,
                                       uint32_t sequence)
{
    struct stress_header header;

    if (size < sizeof header)
        return "shorter than its header";
    memcpy(&header, message, sizeof header);
    if (header.size != size)
        return "length differs";
    if (header.flow != flow)
        return "of another flow";
    if (header.sequence != sequence)
        return "out of sequence";
    if (header.checksum != stress_checksum(message + sizeof header, size - sizeof header))
        return "checksum differs";
    return NULL;
}

/* --seed N --rounds N --seconds N, and the name of what is tested for the messages. */
struct stress_options {
    uint64_t seed;
    uint32_t rounds;
    uint32_t seconds; /* 0: no limit but the rounds */
};

/* Returns false, and has said why, when argv isn't understood. */
static inline bool stress_options_parse(int argc, char **argv, struct stress_options *options)
{
    for (int i = 1; i < argc; i += 2) {
        char *end = NULL;
        const unsigned long long value = i + 1 < argc ? strtoull(argv[i + 1], &end, 0) : 0;

        if (end == NULL || end == argv[i + 1] || *end != '\0') {
            fprintf(stderr, "usage: %s [--seed N] [--rounds N] [--seconds N]\n", argv[0]);
            return false;
        }
        if (strcmp(argv[i], "--seed") == 0) {
            options->seed = value;
        } else if (strcmp(argv[i], "--rounds") == 0) {
            options->rounds = (uint32_t)value;
        } else if (strcmp(argv[i], "--seconds") == 0) {
            options->seconds = (uint32_t)value;
        } else {
            fprintf(stderr, "%s: unknown option %s\n", argv[0], argv[i]);
            return false;
        }
    }
    return true;
}

#endif
