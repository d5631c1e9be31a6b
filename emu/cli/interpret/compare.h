/*
 * compare.h - a script run on the kernel, on the emulator or on both, and what differs
 */
#ifndef INTERPRET_COMPARE_H
#define INTERPRET_COMPARE_H

#include "interpret/script.h"

struct compare_options {
    unsigned sides;  /* a set of enum side */
    bool keep_going; /* print every difference, not only the first */
    bool verbose;    /* print every call and its result */
};

/*
 * Runs the script in processes of its own and prints differences.
 *
 * Returns the exit code: 0 same, 1 something differs, 125 the script can't be run.
 */
int compare_script(const struct script *script, const struct compare_options *options);

#endif
