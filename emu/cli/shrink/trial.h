/*
 * trial.h - `sockrig interpret` on a text, in a process of its own
 */
#ifndef SHRINK_TRIAL_H
#define SHRINK_TRIAL_H

#include <stdint.h>

#include "interpret/verdict.h"

enum trial_end {
    TRIAL_SAME,       /* nothing differs */
    TRIAL_DIFFERS,    /* see the verdict; also when interpret itself died */
    TRIAL_UNREADABLE, /* exit code 125 */
    TRIAL_TIMED_OUT,
};

struct trial {
    const char *on; /* emu, kernel, both */
    int file;       /* holds what is tried */
    uint64_t limit_ns;
    uint64_t took_ns; /* the last one */
    struct verdict *verdict;
};

/* Returns 0, -errno. */
int trial_init(struct trial *trial, const char *on);
void trial_fini(struct trial *trial);

/*
 * Interprets `path`, or the trial's own file when it is NULL. `loud`: its messages are shown.
 * After: the verdict; nothing of the trial runs any more.
 */
enum trial_end trial_run(struct trial *trial, const char *path, bool loud);

#endif
