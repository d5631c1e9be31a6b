/*
 * log_report.c - what is printed of a log that was interpreted
 *
 * Nothing printed depends on the machine or the moment: the same log gives the same bytes.
 */
#include "interpret/log_report.h"

#include <stdio.h>
#include <string.h>

#include "interpret/verdict.h"

#define CONTEXT_LINES 4
#define CONTEXT_WIDTH 100

static const char *side_name(enum side side)
{
    return side == SIDE_KERNEL ? "kernel" : "emulator";
}

void log_report_summary(const char *path, const struct log_plan *plan)
{
    char skipped[256];

    log_plan_skipped(plan, skipped, sizeof(skipped));
    printf("%s: %zu task%s, %zu calls: %zu interpreted, %zu skipped", path, plan->tasks,
           plan->tasks == 1 ? "" : "s", plan->log->call_count, plan->interpreted, plan->skipped);
    printf(plan->skipped > 0 ? " (%s)\n" : "\n", skipped);
    if (plan->cut > 0)
        printf("%zu string%s cut by strace -s: compared by length\n", plan->cut,
               plan->cut == 1 ? "" : "s");
}

/* ---- One difference ---- */

static void print_task(const struct log *log, uint32_t task)
{
    if (log->tasks[task].pid != 0)
        printf("pid %u: ", log->tasks[task].pid);
}

static const struct log_difference *first_of(const struct log_side *side)
{
    return side->result.outcome.count > 0 ? &side->result.outcome.differences[0] : NULL;
}

static uint32_t line_of(const struct log *log, const struct log_difference *difference)
{
    return log->calls[difference->call].end_line;
}

static void print_call(const char *path, const struct log *log,
                       const struct log_difference *difference)
{
    const struct log_call *call = &log->calls[difference->call];
    char text[200];
    char result[80];

    log_render_call(call, text, sizeof(text));
    log_render_result(call, result, sizeof(result));
    printf("%s:%u: ", path, line_of(log, difference));
    print_task(log, call->task);
    printf("%s = %s", text, result);
    if (difference->kind == LOG_OTHER_RESULT || difference->kind == LOG_BLOCKS)
        printf(" in the log");
    else
        printf(": %s is %s in the log", difference->condition, difference->in_log);
}

static void tell_verdict(const struct log *log, const struct log_difference *difference,
                         const char *result)
{
    const struct log_call *call = &log->calls[difference->call];
    char condition[200];

    snprintf(condition, sizeof(condition), "%s, wanted %s", difference->condition,
             difference->in_log);
    verdict_give(VERDICT_DIFFERS, line_of(log, difference), call->name, condition, result);
}

/* A few lines of the log before the one that differs. */
static void print_context(const struct log *log, const struct log_difference *difference)
{
    uint32_t line = line_of(log, difference);
    uint32_t first = line > CONTEXT_LINES ? line - CONTEXT_LINES : 1;

    for (uint32_t i = first; i <= line; i++) {
        size_t size;
        const char *text = log_line_text(log, i, &size);
        bool cut = size > CONTEXT_WIDTH;

        printf("  %c %u: %.*s%s\n", i == line ? '>' : ' ', i, (int)(cut ? CONTEXT_WIDTH - 3 : size),
               text, cut ? "..." : "");
    }
}

static void print_blocked(const struct log *log, const struct log_side *side)
{
    const struct log_outcome *outcome = &side->result.outcome;

    for (size_t i = 0; i < outcome->blocked_count; i++) {
        const struct log_call *call = &log->calls[outcome->blocked[i]];
        char text[200];

        log_render_call(call, text, sizeof(text));
        printf("    blocked then: ");
        print_task(log, call->task);
        printf("%s, since line %u\n", text, call->place.line);
    }
}

/* ---- All of them ---- */

static int print_failure(const char *path, const struct log *log, const struct log_side *side)
{
    const struct log_outcome *outcome = &side->result.outcome;

    if (outcome->state == LOG_RUN_CRASHED) {
        const struct log_call *call = outcome->last < log->call_count ? &log->calls[outcome->last]
                                                                      : NULL;
        uint32_t line = call ? call->place.line : 1;
        const char *name = call ? call->name : "its start";

        printf("%s:%u: the %s crashed or hung in %s\n", path, line, side_name(side->side), name);
        verdict_give(VERDICT_DIED, line, name, "crashed or hung", side_name(side->side));
        return 1;
    }
    fprintf(stderr, "%s: it can't be run on the %s: %s\n", path, side_name(side->side),
            outcome->why);
    return 125;
}

static void print_kinds(const struct log_outcome *outcome)
{
    size_t counts[LOG_DIFFERENCE_KINDS] = { 0 };
    size_t shown = outcome->count < LOG_MAX_DIFFERENCES ? outcome->count : LOG_MAX_DIFFERENCES;
    const char *comma = "";

    for (size_t i = 0; i < shown; i++)
        counts[outcome->differences[i].kind]++;
    printf("%zu difference%s%s: ", outcome->count, outcome->count == 1 ? "" : "s",
           outcome->count > shown ? ", of the first of them" : "");
    for (int i = 1; i < LOG_DIFFERENCE_KINDS; i++) {
        if (counts[i] == 0)
            continue;
        printf("%s%s %zu", comma, log_difference_name((enum log_difference_kind)i), counts[i]);
        comma = ", ";
    }
    printf("\n");
}

/* With -k: what follows the first difference on one side. */
static void print_rest(const char *path, const struct log *log, const struct log_side *side)
{
    const struct log_outcome *outcome = &side->result.outcome;

    for (size_t i = 1; i < outcome->count && i < LOG_MAX_DIFFERENCES; i++) {
        print_call(path, log, &outcome->differences[i]);
        printf(", %s here\n", outcome->differences[i].here);
    }
    print_kinds(outcome);
}

/* The side whose first difference comes first. */
static const struct log_side *earliest(const struct log_side *sides, size_t count)
{
    const struct log_side *best = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct log_difference *one = first_of(&sides[i]);

        if (one && (!best || one->event < first_of(best)->event))
            best = &sides[i];
    }
    return best;
}

static void print_first(const char *path, const struct log *log, const struct log_side *sides,
                        size_t count, const struct log_side *side)
{
    const struct log_difference *difference = first_of(side);
    char result[300];
    size_t length = 0;

    print_call(path, log, difference);
    if (count == 1) {
        printf(", %s here\n", difference->here);
        snprintf(result, sizeof(result), "%s = %s", side_name(side->side), difference->here);
    }
    for (size_t i = 0; count > 1 && i < count; i++) {
        const struct log_difference *other = first_of(&sides[i]);
        bool same = other && other->call == difference->call;
        const char *value = same ? other->here : difference->in_log;

        printf(", %s on the %s%s", value, side_name(sides[i].side), i + 1 == count ? "\n" : "");
        length += (size_t)snprintf(result + length, sizeof(result) - length, "%s%s = %s",
                                   i ? ", " : "", side_name(sides[i].side), value);
    }
    tell_verdict(log, difference, result);
    print_context(log, difference);
    print_blocked(log, side);
}

int log_report_sides(const char *path, const struct log *log, const struct log_plan *plan,
                     const struct log_side *sides, size_t count,
                     const struct compare_options *options)
{
    const struct log_side *side = earliest(sides, count);
    int code = side ? 1 : 0;

    (void)plan;
    for (size_t i = 0; i < count; i++) {
        const struct log_search_result *result = &sides[i].result;

        if (result->outcome.state != LOG_RUN_DONE) {
            int failed = print_failure(path, log, &sides[i]);

            code = failed > code ? failed : code;
        }
        if (options->verbose)
            printf("%s: %u run%s, %u calls begin later than their line\n", side_name(sides[i].side),
                   result->runs, result->runs == 1 ? "" : "s", result->moved);
    }
    if (!side)
        return code;
    print_first(path, log, sides, count, side);
    for (size_t i = 0; options->keep_going && i < count; i++) {
        if (first_of(&sides[i]))
            print_rest(path, log, &sides[i]);
    }
    return code;
}
