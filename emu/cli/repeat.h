/*
 * repeat.h - the command line that does a run once more, for reports
 */
#ifndef CLI_REPEAT_H
#define CLI_REPEAT_H

#include <stdint.h>
#include <stdio.h>

#include "options.h"

/*
 * The seed of a run with faults: the one that was given, else a new one, small enough to be typed.
 */
uint64_t repeat_choose_seed(const struct emu_options *options);

/*
 * Prints "  repeat: sockrig run --seed 7 ...": `argv` is run's own, from "run" on; the seed is
 * added when it matters and doesn't stand there.
 */
void repeat_print(char *const *argv, const struct run_options *options, FILE *file);

#endif
