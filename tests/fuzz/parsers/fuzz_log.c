/*
 * fuzz_log.c - any bytes as an strace log: a tree whose parts fit, or an error with a place
 *
 * Run by tests/fuzz/parsers/run. The text lies directly before the end of its memory, so that a
 * look behind it is seen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interpret/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned seen;

static void check_line(bool holds, int line)
{
    if (holds)
        return;
    fprintf(stderr, "%s:%d doesn't hold\n", __FILE__, line);
    abort();
}
#define check(what) check_line(what, __LINE__)

static void check_expr(const struct log *log, const struct log_expr *expr, int depth)
{
    int64_t number;

    check(expr && depth <= LOG_MAX_DEPTH * (LOG_MAX_JOINED + 2));
    check(expr->place.line >= 1 && expr->place.line <= log->line_count && expr->place.column >= 1);
    (void)log_number(expr, &number);
    (void)log_field(expr, "fd");
    for (size_t i = 0; i < expr->size; i++)
        seen += expr->bytes[i]; /* each can be read */
    for (size_t i = 0; i < expr->count; i++)
        check_expr(log, expr->items[i], depth + 1);
}

static void check_call(const struct log *log, const struct log_call *call)
{
    check(call->task < log->task_count);
    check(call->name && call->place.line >= 1 && call->place.line <= log->line_count);
    check(call->start < log->event_count);
    check(call->end == LOG_NO_EVENT || (call->end < log->event_count && call->end > call->start));
    check(call->argument_count <= LOG_MAX_ARGUMENTS);
    for (size_t i = 0; i < call->argument_count; i++)
        check_expr(log, call->arguments[i], 0);
    for (size_t i = 0; i < call->came_count; i++)
        check_expr(log, call->came[i], 0);
}

static void check_log(const struct log *log)
{
    size_t size;

    for (size_t i = 0; i < log->call_count; i++)
        check_call(log, &log->calls[i]);
    for (size_t i = 0; i < log->event_count; i++) {
        const struct log_event *event = &log->events[i];

        check(event->task < log->task_count && event->line >= 1);
        check(event->line <= log->line_count);
        if (event->kind == LOG_START || event->kind == LOG_END)
            check(event->index < log->call_count);
    }
    for (size_t i = 0; i < log->task_count; i++) {
        const struct log_task *task = &log->tasks[i];

        check(task->parent_call == LOG_NO_CALL || task->parent_call < log->call_count);
        check(task->first == LOG_NO_EVENT || task->first < log->event_count);
        check(task->exit == LOG_NO_EVENT || task->exit < log->event_count);
    }
    for (size_t i = 1; i <= log->line_count; i++)
        check(log_line_text(log, (uint32_t)i, &size) >= log->text && size <= log->size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct log_error error;
    struct log log;
    char *text = malloc(size + (size == 0));

    check(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    memset(&error, 0, sizeof(error));
    (void)log_detect(text, size);
    if (log_parse(text, size, &log, &error) == 0) {
        check_log(&log);
        log_destroy(&log);
    } else {
        check(error.place.line >= 1 && error.place.column >= 1);
        check(error.message[0] != '\0' && memchr(error.message, 0, sizeof(error.message)));
    }
    free(text);
    return 0;
}
