/*
 * sides.h - the kernel and the emulator, each in a process of its own that carries out sequences
 *
 * The kernel's side runs on one CPU, under SCHED_BATCH: a task that is woken doesn't interrupt the
 * call that woke it. So what Linux may do in any order it does in one order nearly always.
 */
#ifndef FUZZ_SIDES_H
#define FUZZ_SIDES_H

#include <stdbool.h>
#include <stdint.h>

#include "interpret/script.h"
#include "log.h"
#include "outcomes.h"
#include "sequence.h"

#define SIDES_TEXT (1u << 20)

enum side_end {
    SIDE_FINE,
    SIDE_DIED, /* a crash, or an assertion */
    SIDE_HUNG,
};

struct sides;

/*
 * Two sides; the folder is where they have their files, and is made. `cpu` < 0: any.
 * `emulator_here`: the emulator's side is this process.
 */
struct sides *sides_create(const char *folder, int cpu, bool emulator_here);
void sides_destroy(struct sides *sides);

/* Runs a sequence on both. A side that died or hung is made anew before the next one. */
void sides_run(struct sides *sides, const struct sequence *sequence, bool text);

/* How long the next ones may take until a side counts as hung, on a machine that is busy, too. */
void sides_be_patient(struct sides *sides, bool patient);

/* Makes both sides anew: nothing of former sequences is left. */
void sides_renew(struct sides *sides);

const struct log *sides_log(const struct sides *sides, enum side side);
const char *sides_text(const struct sides *sides, enum side side);
enum side_end sides_end(const struct sides *sides, enum side side);
struct outcomes *sides_outcomes(struct sides *sides, enum side side);

#endif
