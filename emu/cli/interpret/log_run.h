/*
 * log_run.h - a log carried out in a world, in one order of its calls
 *
 * A call whose line isn't split is started and ended at its place. One that is split is started at
 * the event that the order names, between its start and its end; until its end it may be blocked.
 */
#ifndef INTERPRET_LOG_RUN_H
#define INTERPRET_LOG_RUN_H

#include "interpret/log_compare.h"

#define LOG_MAX_DIFFERENCES 64 /* that one run notes */
#define LOG_MAX_BLOCKED     16 /* tasks that a report names */

/* When split calls begin, and which reads are cut: what the search tries. */
struct log_order {
    uint32_t *starts; /* call -> event, at or behind its start */
    uint8_t *cut;     /* call -> it gets no more than the log says: its writer wasn't done yet */
    uint32_t *exits;  /* task -> event at which it dies, when it was killed */
    int32_t *halves; /* exit -> it closes descriptors from this one on, the lower when it is gone */
};

enum log_run_state {
    LOG_RUN_CRASHED, /* the process that ran it died */
    LOG_RUN_DONE,
    LOG_RUN_STUCK, /* it couldn't be run: see `why` */
};

/* What came of a run; in memory that both processes see. */
struct log_outcome {
    enum log_run_state state;
    char why[160];
    uint64_t calls; /* that were made */
    uint32_t last;  /* the one that was made last, for a run that crashes or hangs */
    size_t count;   /* of differences, also of those that have no room below */
    struct log_difference differences[LOG_MAX_DIFFERENCES];
    size_t blocked_count;
    uint32_t blocked[LOG_MAX_BLOCKED]; /* calls that were blocked at the first difference */
};

struct log_run_options {
    enum side side;
    bool keep_going; /* go on behind a difference */
    const char *directory;
    const char *tag;
};

/* Runs the log in this process, which is its own. Fills *outcome and ends the process. */
_Noreturn void log_run(const struct log *log, struct log_plan *plan, const struct log_order *order,
                       const struct log_run_options *options, struct log_outcome *outcome);

/* An order to begin with: each call at its start, those that found nothing at their end. */
int log_order_first(const struct log *log, const struct log_plan *plan,
                    struct log_order *ret_order);
void log_order_free(struct log_order *order);

#endif
