/*
 * outcomes.h - which triples (call, flag or option, errno) a campaign has reached
 *
 * The table is emu/core/outcomes.def.
 */
#ifndef FUZZ_OUTCOMES_H
#define FUZZ_OUTCOMES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define OUTCOMES_BYTES 4096u

struct outcomes {
    uint8_t reached[OUTCOMES_BYTES]; /* by the number of the row and errno */
    uint32_t unlisted;
    struct {
        char call[16];
        int32_t error;
        uint64_t words[6];
    } unlisted_first[32];
};

void outcomes_note(struct outcomes *outcomes, const char *call, const uint64_t *words,
                   int64_t result);

/* The triples listed and, of them, reached. */
void outcomes_count(const struct outcomes *outcomes, uint32_t *ret_listed, uint32_t *ret_reached);

void outcomes_print_missing(const struct outcomes *outcomes, FILE *file);

#endif
