/*
 * shrink.h - fewer and simpler actions that still show a difference
 */
#ifndef FUZZ_SHRINK_H
#define FUZZ_SHRINK_H

#include "sides.h"

/* What is wrong with a sequence: where the two sides differ first, and in what. */
struct finding {
    bool found;
    enum side_end kernel;
    enum side_end emulator;
    uint32_t left;     /* objects that the emulator kept */
    int explained;     /* which of explained.def, or -1 */
    bool legal;        /* the kernel itself gave the emulator's answer too, another time */
    bool unsteady;     /* the kernel's answer changed from run to run */
    uint32_t position; /* of the entry, or UINT32_MAX */
    struct entry expected;
    struct entry actual;
};

/* Runs a sequence and looks for a difference. */
void finding_look(struct sides *sides, const struct sequence *sequence,
                  struct finding *ret_finding);

/* The same, with fresh sides, and the kernel asked several times. */
void finding_confirm(struct sides *sides, const struct sequence *sequence,
                     struct finding *ret_finding);

/* Do two findings look like the same fault? */
bool finding_same(const struct finding *a, const struct finding *b);

/*
 * Removes actions, and sets bytes to 0, while a finding of the same kind stays.
 */
void shrink(struct sides *sides, struct sequence *sequence, const struct finding *finding);

#endif
