/*
 * log_report.h - what is printed of a log that was interpreted
 */
#ifndef INTERPRET_LOG_REPORT_H
#define INTERPRET_LOG_REPORT_H

#include "interpret/compare.h"
#include "interpret/log_search.h"

/* One side's results. */
struct log_side {
    enum side side;
    bool ran;
    bool explained;
    struct log_search_result result;
};

/* "bug.log: 3 tasks, 1204 calls: 894 interpreted, 310 skipped (openat 120, ...)" */
void log_report_summary(const char *path, const struct log_plan *plan);

/* The first difference (with -k all of them), and what surrounds it. Returns the exit code. */
int log_report_sides(const char *path, const struct log *log, const struct log_plan *plan,
                     const struct log_side *sides, size_t count,
                     const struct compare_options *options);

#endif
