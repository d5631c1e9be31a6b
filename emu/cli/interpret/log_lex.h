/*
 * log_lex.h - the words of strace's text: blanks and comments, numbers, strings, names
 *
 * What is read may stand on two lines (before `<unfinished ...>` and behind `resumed>`), so the
 * text is one or two pieces, joined, and offsets in it are turned into places by log_place().
 */
#ifndef INTERPRET_LOG_LEX_H
#define INTERPRET_LOG_LEX_H

#include "interpret/log.h"

struct log_text {
    const char *text;
    size_t size;
    size_t second_at; /* where the second piece begins; `size` when there is one piece */
    struct place first;
    struct place second;
};

struct log_cursor {
    struct log *log; /* owns names and strings */
    const struct log_text *text;
    size_t at;
    size_t end;
    int depth;
    struct log_error *error;
};

struct place log_place(const struct log_cursor *cursor, size_t at);

/* Notes a message. Returns -1, for `return log_fail(...)`. */
__attribute__((format(printf, 3, 4))) int log_fail(struct log_cursor *cursor, size_t at,
                                                   const char *format, ...);
int log_no_memory(struct log_cursor *cursor);

/* The next character, or 0 at the end. */
char log_peek(const struct log_cursor *cursor);

/* True when the text goes on with this. */
bool log_at(const struct log_cursor *cursor, const char *word);

/* Steps over it if it comes next. */
bool log_accept(struct log_cursor *cursor, const char *word);

/* Steps over blanks and comments. Returns 0; -1 when a comment has no end. */
int log_blanks(struct log_cursor *cursor);

/* Steps over "<...>" that says more of what stands before it; brackets inside are its own. */
int log_annotation(struct log_cursor *cursor, size_t *ret_start, size_t *ret_end);
bool log_at_annotation(const struct log_cursor *cursor);

/* 12, 0x1f, 0644. Requires a digit. */
int log_read_number(struct log_cursor *cursor, int64_t *ret_number, bool *ret_hex);

/* "...", decoded. Requires a quote. */
int log_read_string(struct log_cursor *cursor, const uint8_t **ret_bytes, size_t *ret_size,
                    bool *ret_cut);

/* A word of letters, digits and _, not copied. Returns its length, 0 when none comes next. */
size_t log_word(const struct log_cursor *cursor);

/* Steps over one argument list or bracket, up to behind the mark that closes it, unread. */
int log_skip_brackets(struct log_cursor *cursor);

#endif
