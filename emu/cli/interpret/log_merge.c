/*
 * log_merge.c - logs that were merged from one file per process (strace -ff, strace-log-merge)
 *
 * There every line stands at its call's start, in the order of time stamps, and no line is split:
 * that a call's result is on the same line doesn't say that nothing happened in between.
 */
#include "interpret/log_merge.h"

#include <stdlib.h>
#include <string.h>

bool log_is_merged(const struct log *log, bool has_split_lines, size_t timed_lines)
{
    size_t tasks = 0;

    for (size_t i = 0; i < log->task_count; i++)
        tasks += log->tasks[i].first != LOG_NO_EVENT;
    return !has_split_lines && tasks > 1 && timed_lines > 1 &&
           timed_lines + log->task_count >= log->event_count / 2;
}

/* The calls that have begun and not ended, one at most for each task: a list without order. */
struct open_calls {
    uint32_t *calls;
    size_t count;
};

static uint64_t end_time(const struct log_call *call)
{
    return call->duration_ns ? call->time_ns + call->duration_ns : UINT64_MAX;
}

static void put(struct log *log, struct log_event *events, size_t *count, struct log_event event)
{
    if (event.kind == LOG_START)
        log->calls[event.index].start = (uint32_t)*count;
    if (event.kind == LOG_END)
        log->calls[event.index].end = (uint32_t)*count;
    if (event.kind == LOG_EXIT)
        log->tasks[event.task].exit = (uint32_t)*count;
    if (log->tasks[event.task].first == LOG_NO_EVENT)
        log->tasks[event.task].first = (uint32_t)*count;
    events[(*count)++] = event;
}

static void end_open(struct log *log, struct open_calls *open, size_t which,
                     struct log_event *events, size_t *count)
{
    uint32_t index = open->calls[which];
    struct log_call *call = &log->calls[index];
    const struct log_event event = { LOG_END, index, call->task, call->place.line, 0 };

    call->split = *count > (size_t)call->start + 1;
    open->calls[which] = open->calls[--open->count];
    put(log, events, count, event);
}

/* Ends what must have ended before `event`: the same task's call, and those whose time was up. */
static void end_before(struct log *log, struct open_calls *open, const struct log_event *event,
                       struct log_event *events, size_t *count)
{
    uint64_t now = event && event->kind == LOG_START ? log->calls[event->index].time_ns : 0;

    for (;;) {
        size_t best = open->count;

        for (size_t i = 0; i < open->count; i++) {
            const struct log_call *call = &log->calls[open->calls[i]];
            bool due = !event || call->task == event->task || end_time(call) <= now;

            if (due &&
                (best == open->count || end_time(call) < end_time(&log->calls[open->calls[best]]) ||
                 (end_time(call) == end_time(&log->calls[open->calls[best]]) &&
                  open->calls[i] < open->calls[best])))
                best = i;
        }
        if (best == open->count)
            return;
        end_open(log, open, best, events, count);
    }
}

int log_merge_events(struct log_builder *builder)
{
    struct log *log = builder->log;
    struct log_event *events = malloc((log->event_count + 1) * sizeof(events[0]));
    struct open_calls open = { malloc((log->task_count + 1) * sizeof(uint32_t)), 0 };
    size_t count = 0;

    if (!events || !open.calls) {
        static const char message[] = "this log needs too much memory";

        free(events);
        free(open.calls);
        memcpy(builder->error->message, message, sizeof(message));
        builder->error->place = (struct place){ 1, 1 };
        return -1;
    }
    for (size_t i = 0; i < log->task_count; i++)
        log->tasks[i].first = LOG_NO_EVENT;
    for (size_t i = 0; i < log->event_count; i++) {
        const struct log_event event = log->events[i];

        if (event.kind == LOG_END)
            continue;
        end_before(log, &open, &event, events, &count);
        put(log, events, &count, event);
        if (event.kind == LOG_START && log->calls[event.index].end != LOG_NO_EVENT)
            open.calls[open.count++] = event.index;
    }
    end_before(log, &open, NULL, events, &count);
    free(open.calls);
    free(log->events);
    log->events = events;
    log->event_count = count;
    return 0;
}
