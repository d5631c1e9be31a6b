/*
 * log_render.c - calls and results of a log as short text for messages
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "interpret/constants.h"
#include "interpret/log_compare.h"

__attribute__((format(printf, 3, 4))) static void add(char *text, size_t size, const char *format,
                                                      ...)
{
    size_t length = strlen(text);
    va_list arguments;

    va_start(arguments, format);
    if (length < size)
        vsnprintf(text + length, size - length, format, arguments);
    va_end(arguments);
}

static void render_expr(const struct log_expr *expr, char *text, size_t size)
{
    if (expr->kind == LOG_NUMBER && expr->name)
        add(text, size, "%s", expr->name);
    else if (expr->kind == LOG_NUMBER && !expr->hex)
        add(text, size, "%lld", (long long)expr->number);
    else if (expr->kind == LOG_NAME)
        add(text, size, "%s", expr->name);
    else if (expr->kind == LOG_UNARY && expr->number == '-' && expr->items[0]->kind == LOG_NUMBER)
        add(text, size, "-%lld", (long long)expr->items[0]->number);
    else if (expr->kind == LOG_JOIN && expr->number == '|') {
        render_expr(expr->items[0], text, size);
        add(text, size, "|");
        render_expr(expr->items[1], text, size);
    } else
        add(text, size, "...");
}

void log_render_call(const struct log_call *call, char *ret_text, size_t size)
{
    ret_text[0] = '\0';
    add(ret_text, size, "%s(", call->name);
    for (size_t i = 0; i < call->argument_count; i++) {
        add(ret_text, size, "%s", i ? ", " : "");
        render_expr(call->arguments[i], ret_text, size);
    }
    add(ret_text, size, ")");
}

void log_render_result(const struct log_call *call, char *ret_text, size_t size)
{
    if (call->result == LOG_RESULT_VALUE)
        snprintf(ret_text, size, "%lld", (long long)call->value);
    else if (call->result == LOG_RESULT_NONE)
        snprintf(ret_text, size, "?");
    else
        snprintf(ret_text, size, "%s %s", call->result == LOG_RESULT_ERROR ? "-1" : "?",
                 call->error_name);
}

const char *log_difference_name(enum log_difference_kind kind)
{
    switch (kind) {
    case LOG_OTHER_RESULT: return "result";
    case LOG_BLOCKS: return "blocks";
    case LOG_OTHER_BYTES: return "bytes";
    case LOG_OTHER_READY: return "readiness";
    case LOG_OTHER_MESSAGE: return "message or value";
    default: return "same";
    }
}
