/*
 * log_search.h - looks for an order of a log's split calls that explains the log
 */
#ifndef INTERPRET_LOG_SEARCH_H
#define INTERPRET_LOG_SEARCH_H

#include "interpret/log_moves.h"

/* Bounds: in runs and in calls, so that they are the same everywhere. */
#define LOG_SEARCH_RUNS  4000u
#define LOG_SEARCH_STALL 800u /* runs that all came no further than one before */
#define LOG_SEARCH_CALLS 40000000ull

struct log_search_result {
    struct log_outcome outcome; /* of the run that came furthest */
    uint32_t runs;
    uint32_t moved; /* calls that begin elsewhere than in the first order */
};

/*
 * Runs the log on one side, in processes of their own. *order is where the search begins, and
 * afterwards what it found. `scratch` is a private directory.
 *
 * Returns true when an order explains the log.
 */
bool log_search(const struct log *log, struct log_plan *plan, const struct log_run_options *options,
                struct log_order *order, struct log_search_result *ret_result);

#endif
