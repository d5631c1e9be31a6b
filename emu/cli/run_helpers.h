/*
 * run_helpers.h - the helpers that a run's options ask for: bridges and the hybrid
 */
#ifndef CLI_RUN_HELPERS_H
#define CLI_RUN_HELPERS_H

#include "helper.h"
#include "options.h"

/* Zero it, then run_helpers_start(). */
struct run_helpers {
    struct helper helpers[HELPER_MAX];
    size_t count;     /* that run */
    uint32_t started; /* ... and that ran */
};

/*
 * Starts them, and returns when all are ready: 0; or the exit code of a failure that was said, and
 * none is left. Requires: as helper_start().
 */
int run_helpers_start(struct run_helpers *helpers, const struct run_options *options,
                      const struct run_inherited *inherited);

/* Ends them, when PROG has ended; says so when one didn't last so long. */
void run_helpers_end(struct run_helpers *helpers, struct emu_task *self);

/* True when the pid is one of theirs. */
bool run_helpers_has(const struct run_helpers *helpers, pid_t pid);

#endif
