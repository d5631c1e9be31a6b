/*
 * log_lex.c - the words of strace's text
 *
 * Leaves out: constants (log_expr.c), time stamps and pids before a call (log_line.c).
 */
#include "interpret/log_lex.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "interpret/log_blocks.h"

struct place log_place(const struct log_cursor *cursor, size_t at)
{
    const struct log_text *text = cursor->text;
    struct place place = text->first;

    if (at >= text->second_at && text->second_at < text->size) {
        place = text->second;
        at -= text->second_at;
    }
    place.column += (uint32_t)at;
    return place;
}

int log_fail(struct log_cursor *cursor, size_t at, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(cursor->error->message, sizeof(cursor->error->message), format, arguments);
    va_end(arguments);
    cursor->error->place = log_place(cursor, at);
    return -1;
}

int log_no_memory(struct log_cursor *cursor)
{
    cursor->log->used = LOG_MAX_MEMORY; /* whoever goes on in spite of an error sees it here */
    return log_fail(cursor, cursor->at, "this log needs too much memory");
}

char log_peek(const struct log_cursor *cursor)
{
    return cursor->at < cursor->end ? cursor->text->text[cursor->at] : '\0';
}

bool log_at(const struct log_cursor *cursor, const char *word)
{
    size_t size = strlen(word);

    return size <= cursor->end - cursor->at &&
           memcmp(cursor->text->text + cursor->at, word, size) == 0;
}

bool log_accept(struct log_cursor *cursor, const char *word)
{
    if (!log_at(cursor, word))
        return false;
    cursor->at += strlen(word);
    return true;
}

int log_blanks(struct log_cursor *cursor)
{
    for (;;) {
        size_t start = cursor->at;

        while (log_peek(cursor) == ' ' || log_peek(cursor) == '\t')
            cursor->at++;
        if (!log_accept(cursor, "/*"))
            return 0;
        while (!log_at(cursor, "*/")) {
            if (cursor->at == cursor->end)
                return log_fail(cursor, start, "this comment has no end");
            cursor->at++;
        }
        cursor->at += 2;
    }
}

size_t log_word(const struct log_cursor *cursor)
{
    size_t size = 0;

    while (cursor->at + size < cursor->end) {
        unsigned char c = (unsigned char)cursor->text->text[cursor->at + size];

        if (!isalpha(c) && c != '_' && !(size > 0 && isdigit(c)))
            break;
        size++;
    }
    return size;
}

/* ---- Numbers and strings ---- */

int log_read_number(struct log_cursor *cursor, int64_t *ret_number, bool *ret_hex)
{
    size_t start = cursor->at;
    uint64_t number = 0;
    unsigned base = 10;

    *ret_hex = log_accept(cursor, "0x");
    if (*ret_hex)
        base = 16;
    else if (log_peek(cursor) == '0')
        base = 8;
    for (size_t digits = 0;; digits++) {
        char c = log_peek(cursor);
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                : 99;

        if (digit >= base) {
            if (digits == 0)
                return log_fail(cursor, start, "expected a number");
            break;
        }
        if (__builtin_mul_overflow(number, base, &number) ||
            __builtin_add_overflow(number, digit, &number))
            return log_fail(cursor, start, "this number is too large");
        cursor->at++;
    }
    *ret_number = (int64_t)number;
    return 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Behind a backslash: \x41, \0, \177, \n. */
static int read_escape(struct log_cursor *cursor, uint8_t *ret_byte)
{
    static const char letters[] = "abfnrtv\\\"'?e<>";
    static const char bytes[] = "\a\b\f\n\r\t\v\\\"'?\033<>";
    size_t start = cursor->at;
    char c = log_peek(cursor);
    const char *found = c ? strchr(letters, c) : NULL;

    if (found) {
        *ret_byte = (uint8_t)bytes[found - letters];
        cursor->at++;
        return 0;
    }
    if (c == 'x' && cursor->at + 2 < cursor->end) {
        int high = hex_digit(cursor->text->text[cursor->at + 1]);
        int low = hex_digit(cursor->text->text[cursor->at + 2]);

        if (high >= 0 && low >= 0) {
            *ret_byte = (uint8_t)(high * 16 + low);
            cursor->at += 3;
            return 0;
        }
    } else if (c >= '0' && c <= '7') {
        unsigned byte = 0;

        for (int i = 0; i < 3 && log_peek(cursor) >= '0' && log_peek(cursor) <= '7'; i++)
            byte = byte * 8 + (unsigned)(cursor->text->text[cursor->at++] - '0');
        *ret_byte = (uint8_t)byte;
        return 0;
    }
    return log_fail(cursor, start - 1, "unknown escape in a string");
}

int log_read_string(struct log_cursor *cursor, const uint8_t **ret_bytes, size_t *ret_size,
                    bool *ret_cut)
{
    size_t start = cursor->at;
    size_t size = 0;
    size_t most = 0;
    uint8_t *bytes;

    for (size_t at = start + 1; at < cursor->end && cursor->text->text[at] != '"'; at++) {
        at += cursor->text->text[at] == '\\';
        most++;
    }
    bytes = log_allocate(cursor->log, most + 1);
    if (!bytes)
        return log_no_memory(cursor);
    cursor->at++;
    while (log_peek(cursor) != '"') {
        if (cursor->at == cursor->end)
            return log_fail(cursor, start, "this string has no end");
        if (!log_accept(cursor, "\\"))
            bytes[size++] = (uint8_t)cursor->text->text[cursor->at++];
        else if (read_escape(cursor, &bytes[size]) == 0)
            size++;
        else
            return -1;
    }
    cursor->at++;
    *ret_cut = log_accept(cursor, "...");
    *ret_bytes = bytes;
    *ret_size = size;
    return 0;
}

/* ---- Brackets ---- */

/* <pipe:[5]>, <UNIX-STREAM:[7->8, "/a"]>, </dev/pts/0<char 136:0>>; not <<, nor < before blanks */
bool log_at_annotation(const struct log_cursor *cursor)
{
    return log_peek(cursor) == '<' && !log_at(cursor, "<<") && !log_at(cursor, "< ") &&
           !log_at(cursor, "<=") && !log_at(cursor, "<unfinished");
}

static int skip_quoted(struct log_cursor *cursor)
{
    size_t start = cursor->at++;

    while (log_peek(cursor) != '"') {
        if (cursor->at == cursor->end)
            return log_fail(cursor, start, "this string has no end");
        cursor->at += log_at(cursor, "\\") && cursor->at + 1 < cursor->end ? 2 : 1;
    }
    cursor->at++;
    return 0;
}

int log_annotation(struct log_cursor *cursor, size_t *ret_start, size_t *ret_end)
{
    size_t start = cursor->at;
    int depth = 0;

    do {
        char c = log_peek(cursor);

        if (cursor->at == cursor->end)
            return log_fail(cursor, start, "'<' without '>'");
        if (c == '"') {
            if (skip_quoted(cursor) != 0)
                return -1;
            continue;
        }
        if (c == '<')
            depth++;
        if (log_accept(cursor, "->") || log_accept(cursor, "\\>"))
            continue;
        if (c == '>')
            depth--;
        cursor->at++;
    } while (depth > 0);
    *ret_start = start + 1;
    *ret_end = cursor->at - 1;
    log_accept(cursor, "(deleted)");
    return 0;
}

static int skip_one(struct log_cursor *cursor, bool behind_word)
{
    size_t start;
    size_t end;

    if (log_peek(cursor) == '"')
        return skip_quoted(cursor);
    if (log_at(cursor, "/*"))
        return log_blanks(cursor);
    if (log_at_annotation(cursor) && (behind_word || log_at(cursor, "<...")))
        return log_annotation(cursor, &start, &end);
    cursor->at++;
    return 0;
}

int log_skip_brackets(struct log_cursor *cursor)
{
    char open[LOG_MAX_DEPTH];
    size_t places[LOG_MAX_DEPTH];
    size_t depth = 0;

    do {
        char c = log_peek(cursor);
        char before = cursor->at > 0 ? cursor->text->text[cursor->at - 1] : ' ';

        if (cursor->at == cursor->end)
            return log_fail(cursor, places[depth - 1], "'%c' has no end", open[depth - 1]);
        if (c == '(' || c == '[' || c == '{') {
            if (depth == LOG_MAX_DEPTH)
                return log_fail(cursor, cursor->at, "nested too deeply");
            places[depth] = cursor->at;
            open[depth++] = c;
        } else if (c == ')' || c == ']' || c == '}') {
            if (open[depth - 1] != (c == ')' ? '(' : c == ']' ? '[' : '{'))
                return log_fail(cursor, cursor->at, "'%c' doesn't close '%c'", c, open[depth - 1]);
            depth--;
        }
        if (skip_one(cursor, isalnum((unsigned char)before) || before == '_') != 0)
            return -1;
    } while (depth > 0);
    return 0;
}
