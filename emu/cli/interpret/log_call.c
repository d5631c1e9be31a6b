/*
 * log_call.c - one call of a log: its arguments and its result
 *
 * Only the arguments of calls that can be interpreted, that make tasks or change names are read. Of
 * all others the brackets must match. strace has many ways to write the arguments of calls on
 * things that aren't modeled (netlink messages, terminals): what can't be read is noted in the call
 * (`unread`), and is an error only if the call turns out to be one that is to be interpreted.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interpret/constants.h"
#include "interpret/log_blocks.h"
#include "interpret/log_build.h"
#include "interpret/log_expr.h"

/* In the order of calls.h's table, so that a name's place here is its number there. */
static const char *const names[] = {
#define CALL(name, group, signature, parameters, level, note) #name,
#include "calls.def"
#undef CALL
};

static int find(const char *name)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], name) == 0)
            return (int)i;
    }
    return -1;
}

int log_call_number(const char *name)
{
    static const struct {
        const char *system;
        const char *ours;
    } others[] = { { "pselect6", "pselect" }, { "sendfile64", "sendfile" },
                   { "pread64", NULL },       { "fstat", NULL },
                   { "flock", NULL },         { "ftruncate", NULL },
                   { "fsync", NULL },         { "preadv", NULL },
                   { "pwritev", NULL },       { "preadv2", NULL },
                   { "pwritev2", NULL },      { "lseek", NULL } };

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (strcmp(others[i].system, name) == 0)
            return others[i].ours ? find(others[i].ours) : -1;
    }
    return find(name);
}

/* Is it one whose arguments are looked at? */
static bool wanted(const struct log_call *call)
{
    static const char *const others[] = { "open",   "openat",   "unlink",    "unlinkat",
                                          "rename", "renameat", "renameat2", "pidfd_getfd" };

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (strcmp(call->name, others[i]) == 0)
            return true;
    }
    return call->number >= 0 || log_call_clones(call);
}

/* Keeps the arguments up to the one that can't be read. */
static int note_unread(struct log_cursor *cursor, struct log_call *call)
{
    struct log_error *error = log_allocate(cursor->log, sizeof(*error));

    if (!error)
        return log_no_memory(cursor);
    *error = *cursor->error;
    call->unread = error;
    return 0;
}

static int read_arguments(struct log_cursor *cursor, struct log_call *call)
{
    size_t start = cursor->at;
    struct log_expr **items = NULL;
    size_t count = 0;

    if (!wanted(call))
        return log_skip_brackets(cursor);
    cursor->at++;
    if (log_read_items(cursor, ')', &items, &count) == 0 && count <= LOG_MAX_ARGUMENTS) {
        for (size_t i = 0; i < count; i++)
            call->arguments[i] = items[i];
        call->argument_count = count;
        return 0;
    }
    if (count > LOG_MAX_ARGUMENTS)
        log_fail(cursor, start, "too many arguments");
    if (cursor->log->used == LOG_MAX_MEMORY || note_unread(cursor, call) != 0)
        return -1;
    cursor->at = start + 1;
    cursor->depth = 0;
    call->arguments[0] = log_read_expr(cursor);
    call->argument_count = call->arguments[0] != NULL;
    cursor->at = start;
    cursor->depth = 0;
    return log_skip_brackets(cursor);
}

/* ---- Results ---- */

/* "= 2 <comment: 12345 in strace's PID NS>": the pid that the log knows the child by. */
static void read_pid_note(struct log_cursor *cursor, struct log_call *call)
{
    char text[24];
    size_t left = cursor->end - cursor->at;
    unsigned pid;
    int size = 0;

    if (left > sizeof(text) - 1)
        left = sizeof(text) - 1;
    memcpy(text, cursor->text->text + cursor->at, left);
    text[left] = '\0';
    if (sscanf(text, " /* %9u in%n", &pid, &size) == 1 && size > 0)
        call->value = pid;
}

static const char *copy_word(struct log_cursor *cursor)
{
    size_t size = log_word(cursor);
    const char *name = log_copy_text(cursor->log, cursor->text->text + cursor->at, size);

    cursor->at += size;
    return size > 0 ? name : NULL;
}

static int read_failure(struct log_cursor *cursor, struct log_call *call)
{
    call->result = LOG_RESULT_ERROR;
    if (log_blanks(cursor) != 0)
        return -1;
    call->error_name = copy_word(cursor);
    if (!call->error_name && !log_at(cursor, "(errno")) {
        call->result = LOG_RESULT_VALUE; /* -1 of a call that has no errno */
        call->value = -1;
        return 0;
    }
    if (!call->error_name)
        call->error_name = "?";
    constant_errno(call->error_name, &call->error);
    if (strncmp(call->error_name, "ERESTART", 8) == 0)
        call->result = LOG_RESULT_RESTART;
    return 0;
}

static int read_value(struct log_cursor *cursor, struct log_call *call)
{
    size_t start;
    size_t end;
    bool hex;

    if (log_accept(cursor, "?")) {
        if (log_blanks(cursor) != 0)
            return -1;
        log_accept(cursor, "<unavailable>");
        call->error_name = copy_word(cursor);
        if (call->error_name && strncmp(call->error_name, "ERESTART", 8) == 0)
            call->result = LOG_RESULT_RESTART;
        return 0;
    }
    if (log_accept(cursor, "-1"))
        return read_failure(cursor, call);
    call->result = LOG_RESULT_VALUE;
    hex = log_accept(cursor, "-");
    if (!isdigit((unsigned char)log_peek(cursor)))
        return log_fail(cursor, cursor->at, "expected the call's result");
    if (hex) {
        if (log_read_number(cursor, &call->value, &hex) != 0)
            return -1;
        call->value = (int64_t)(0 - (uint64_t)call->value);
        return 0;
    }
    if (log_read_number(cursor, &call->value, &hex) != 0)
        return -1;
    if (log_at_annotation(cursor) && !log_at(cursor, "<0."))
        return log_annotation(cursor, &start, &end);
    read_pid_note(cursor, call);
    return 0;
}

/* <0.000123> */
static int read_duration(struct log_cursor *cursor, struct log_call *call)
{
    size_t start = cursor->at++;
    uint64_t ns = 0;
    int places = -1;

    for (; log_peek(cursor) != '>'; cursor->at++) {
        char c = log_peek(cursor);

        if (c == '.' && places < 0) {
            places = 0;
            continue;
        }
        if (!isdigit((unsigned char)c) || ns > UINT64_MAX / 1000)
            return log_fail(cursor, start, "expected a duration: <0.000123>");
        if (places < 9) {
            ns = ns * 10 + (uint64_t)(c - '0');
            places += places >= 0;
        }
    }
    for (places = places < 0 ? 0 : places; places < 9 && ns < UINT64_MAX / 10; places++)
        ns *= 10;
    call->duration_ns = ns;
    cursor->at++;
    return 0;
}

/* What stands in brackets behind a result: an explanation, or what came out of poll. */
static int read_behind(struct log_cursor *cursor, struct log_call *call)
{
    if (log_at(cursor, "(Timeout)"))
        call->timed_out = true;
    if (call->number < 0 ||
        !(log_at(cursor, "([") || log_at(cursor, "(in ") || log_at(cursor, "(out ") ||
          log_at(cursor, "(except ") || log_at(cursor, "(left ")))
        return log_skip_brackets(cursor);
    cursor->at++;
    return log_read_items(cursor, ')', &call->came, &call->came_count);
}

static int read_result(struct log_cursor *cursor, struct log_call *call)
{
    if (log_blanks(cursor) != 0)
        return -1;
    if (!log_accept(cursor, "="))
        return log_fail(cursor, cursor->at, "expected '=' and the call's result");
    if (log_blanks(cursor) != 0 || read_value(cursor, call) != 0)
        return -1;
    for (;;) {
        int result;

        if (log_blanks(cursor) != 0)
            return -1;
        if (cursor->at == cursor->end)
            return 0;
        if (log_peek(cursor) == '(')
            result = read_behind(cursor, call);
        else if (log_peek(cursor) == '<')
            result = read_duration(cursor, call);
        else
            result = log_fail(cursor, cursor->at, "this isn't expected behind a result");
        if (result != 0)
            return -1;
    }
}

int log_read_call(struct log_cursor *cursor, struct log_call *call, bool has_end)
{
    if (has_end) {
        if (read_arguments(cursor, call) != 0)
            return -1;
        /* <... read resumed> <unfinished ...>) = ?: it died in the call */
        return read_result(cursor, call);
    }
    if (!wanted(call) || cursor->at + 1 >= cursor->end)
        return 0;
    cursor->at++;
    call->arguments[0] = log_read_expr(cursor);
    call->argument_count = call->arguments[0] != NULL;
    return 0;
}
