/*
 * runner.h - one side: carries out sequences, one after the other, and logs what comes out
 */
#ifndef FUZZ_RUNNER_H
#define FUZZ_RUNNER_H

#include <stdio.h>

#include "interpret/world.h"
#include "log.h"
#include "sequence.h"

struct runner;
struct outcomes;

/* Where results are counted; NULL: nowhere. */
extern struct outcomes *runner_outcomes;

/*
 * `scratch`: four letters that abstract names contain; the working directory is this side's own.
 * Returns NULL after a message on stderr.
 */
struct runner *runner_create(enum side side, const char *scratch);

/*
 * Runs a sequence; the world is as new before and afterwards. `text`: where the calls are written
 * as a script, or NULL.
 */
void runner_run(struct runner *runner, const struct sequence *sequence, struct log *ret_log,
                FILE *text);

void runner_destroy(struct runner *runner);

#endif
