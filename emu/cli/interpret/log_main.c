/*
 * log_main.c - a log interpreted from beginning to end: parsed, planned, run on each side, reported
 */
#include "interpret/log_main.h"

#include <stdio.h>
#include <string.h>

#include "interpret/log_folder.h"
#include "interpret/log_plan.h"
#include "interpret/log_report.h"
#include "interpret/log_search.h"

static int unreadable(const char *path, const struct log_error *error)
{
    fprintf(stderr, "%s:%u:%u: %s\n", path, error->place.line, error->place.column, error->message);
    return 125;
}

static int run_sides(const char *path, const struct log *log, struct log_plan *plan,
                     const struct compare_options *options, const char *directory)
{
    /* The emulator first: it is quicker, and the kernel's search begins with what it found. */
    static const enum side order_of_sides[] = { SIDE_EMU, SIDE_KERNEL };
    static struct log_side sides[2];
    struct log_order order;
    size_t count = 0;

    if (log_order_first(log, plan, &order) != 0) {
        fprintf(stderr, "%s: no memory for this log\n", path);
        return 125;
    }
    for (size_t i = 0; i < 2; i++) {
        struct log_run_options run = { order_of_sides[i], options->keep_going, directory, "" };

        if (!(options->sides & order_of_sides[i]))
            continue;
        sides[count] = (struct log_side){ .side = order_of_sides[i], .ran = true };
        sides[count].explained = log_search(log, plan, &run, &order, &sides[count].result);
        count++;
    }
    log_order_free(&order);
    return log_report_sides(path, log, plan, sides, count, options);
}

struct job {
    const char *path;
    const struct log *log;
    struct log_plan *plan;
    const struct compare_options *options;
};

static int run_job(void *context, const char *directory)
{
    const struct job *job = context;

    return run_sides(job->path, job->log, job->plan, job->options, directory);
}

int log_interpret(const char *path, const char *text, size_t size,
                  const struct compare_options *options)
{
    struct log log;
    struct log_plan plan;
    struct log_error error;
    struct job job = { path, &log, &plan, options };
    int code;

    if (log_parse(text, size, &log, &error) != 0)
        return unreadable(path, &error);
    if (log_plan_make(&log, options->sides == SIDE_EMU, &plan, &error) != 0) {
        log_destroy(&log);
        return unreadable(path, &error);
    }
    log_report_summary(path, &plan);
    code = log_folder_run(run_job, &job);
    if (code < 0) {
        fprintf(stderr, "%s: no folder to work in: %s\n", path, strerror(-code));
        code = 125;
    }
    log_plan_free(&plan);
    log_destroy(&log);
    return code;
}
