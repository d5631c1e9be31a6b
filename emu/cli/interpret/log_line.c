/*
 * log_line.c - one line of a log: what stands before the call, and which kind of line it is
 *
 *   line   = [ pid ] [ time ] { "[" hex "]" } rest        (strace -o FILE -f)
 *          | "[pid " pid "] " ...                         (strace -f on a terminal)
 *   time   = 12:34:56[.123456] | 1700000000.123456 | 0.000123 | (+ 0.000123)      -t -tt -ttt -r
 *   "[" hex "]" is an address (-i) or a call's number (-n).
 *
 * A first number without '.' and ':' is a pid where it can be one (up to 2^22, proc(5) pid_max).
 */
#include "interpret/log_line.h"

#include <ctype.h>
#include <string.h>

#define PID_MAX (4u << 20)

/* ---- What stands before ---- */

/* Digits, at most 18 of them. Returns how many. */
static size_t digits(const struct log_cursor *cursor, size_t at, uint64_t *ret_number)
{
    size_t count = 0;

    *ret_number = 0;
    while (at + count < cursor->end && count < 18 &&
           isdigit((unsigned char)cursor->text->text[at + count])) {
        *ret_number = *ret_number * 10 + (uint64_t)(cursor->text->text[at + count] - '0');
        count++;
    }
    return count;
}

static char char_at(const struct log_cursor *cursor, size_t at)
{
    return at < cursor->end ? cursor->text->text[at] : '\0';
}

/* ".123456" as nanoseconds; steps over it. */
static uint64_t read_fraction(struct log_cursor *cursor)
{
    uint64_t number;
    size_t count;

    if (log_peek(cursor) != '.')
        return 0;
    count = digits(cursor, cursor->at + 1, &number);
    cursor->at += 1 + count;
    for (; count < 9; count++)
        number *= 10;
    for (; count > 9; count--)
        number /= 10;
    return number;
}

/* Steps over a time stamp if one comes next. */
static void read_time(struct log_cursor *cursor, struct log_line *line)
{
    uint64_t part;
    size_t count = digits(cursor, cursor->at, &part);
    uint64_t seconds = part;
    char behind = char_at(cursor, cursor->at + count);

    if (count == 0 || (behind != ':' && behind != '.' && (part <= PID_MAX || behind != ' ')))
        return;
    cursor->at += count;
    while (log_peek(cursor) == ':') {
        count = digits(cursor, cursor->at + 1, &part);
        seconds = seconds % (1u << 20) * 60 + part % 60;
        cursor->at += 1 + count;
    }
    line->time_ns = seconds % (1ull << 33) * 1000000000u + read_fraction(cursor);
    line->has_time = true;
}

static void blanks(struct log_cursor *cursor)
{
    while (log_peek(cursor) == ' ' || log_peek(cursor) == '\t')
        cursor->at++;
}

/* "[pid  123] ", "[pid 123<bash>] ", "123<bash> " and "123 " */
static int read_pid(struct log_cursor *cursor, struct log_line *line)
{
    bool brackets = log_accept(cursor, "[pid ");
    size_t start;
    size_t end;
    uint64_t number;
    size_t count;
    char behind;

    blanks(cursor);
    start = cursor->at;
    count = digits(cursor, start, &number);
    behind = char_at(cursor, start + count);
    if (!brackets &&
        (count == 0 || number > PID_MAX || (behind != ' ' && behind != '\t' && behind != '<')))
        return 0;
    if (count == 0 || number == 0 || number > PID_MAX)
        return log_fail(cursor, start, "expected a pid");
    cursor->at += count;
    if (log_peek(cursor) == '<' && log_annotation(cursor, &start, &end) != 0)
        return -1;
    if (brackets && !log_accept(cursor, "]"))
        return log_fail(cursor, cursor->at, "expected ']' behind the pid");
    line->pid = (uint32_t)number;
    line->has_pid = true;
    return 0;
}

/* "[00007f12abcd] ", "[  59] ", "(+     0.000123) " */
static void read_extras(struct log_cursor *cursor)
{
    for (;;) {
        size_t at = cursor->at;
        char close = char_at(cursor, at) == '(' ? ')' : ']';

        if (char_at(cursor, at) != '[' && !log_at(cursor, "(+"))
            return;
        at++;
        while (isxdigit((unsigned char)char_at(cursor, at)) || char_at(cursor, at) == ' ' ||
               char_at(cursor, at) == '?' || char_at(cursor, at) == '+' ||
               char_at(cursor, at) == '.')
            at++;
        if (char_at(cursor, at) != close)
            return;
        cursor->at = at + 1;
        blanks(cursor);
    }
}

static int read_prefix(struct log_cursor *cursor, struct log_line *line)
{
    if (read_pid(cursor, line) != 0)
        return -1;
    blanks(cursor);
    read_time(cursor, line);
    blanks(cursor);
    read_extras(cursor);
    return 0;
}

/* ---- Kinds of lines ---- */

static void trim(struct log_cursor *cursor)
{
    while (cursor->end > cursor->at && isspace((unsigned char)cursor->text->text[cursor->end - 1]))
        cursor->end--;
}

/* Where this word begins at the end of the line; `end` when it isn't there. */
static size_t suffix(const struct log_cursor *cursor, const char *word)
{
    size_t size = strlen(word);

    if (cursor->end - cursor->at < size ||
        memcmp(cursor->text->text + cursor->end - size, word, size) != 0)
        return cursor->end;
    return cursor->end - size;
}

static int read_rule(struct log_cursor *cursor, struct log_line *line)
{
    static const char replaced[] = "superseded by execve in pid ";
    uint64_t number;

    cursor->at += 3;
    blanks(cursor);
    line->name = cursor->at;
    line->name_size = log_word(cursor);
    line->body = cursor->at;
    line->body_end = cursor->end;
    if (line->kind == LINE_SIGNAL || !log_accept(cursor, replaced))
        return 0;
    line->kind = LINE_REPLACED;
    if (digits(cursor, cursor->at, &number) == 0 || number == 0 || number > PID_MAX)
        return log_fail(cursor, cursor->at, "expected a pid");
    line->other = (uint32_t)number;
    return 0;
}

/* What strace calls a call whose task was killed before its number could be read. */
static const char unread_name[] = { '?', '?', '?', '\0' };

static int read_resumed(struct log_cursor *cursor, struct log_line *line)
{
    size_t start = cursor->at;

    cursor->at += 5;
    line->name = cursor->at;
    line->name_size = log_at(cursor, unread_name) ? 3 : log_word(cursor);
    cursor->at += line->name_size;
    if (line->name_size == 0 || !log_accept(cursor, " resumed>"))
        return log_fail(cursor, start, "expected <... NAME resumed>");
    line->kind = LINE_RESUMED;
    line->body = cursor->at;
    line->body_end = cursor->end;
    return 0;
}

static int read_call(struct log_cursor *cursor, struct log_line *line)
{
    size_t start = cursor->at;
    size_t unfinished = suffix(cursor, "<unfinished ...>");

    if (unfinished == cursor->end)
        unfinished = suffix(cursor, "<detached ...>");
    line->name = cursor->at;
    line->name_size = log_at(cursor, unread_name) ? 3 : log_word(cursor);
    cursor->at += line->name_size;
    if (line->name_size == 0 || !log_accept(cursor, "("))
        return log_fail(cursor, start,
                        "this is no line of strace (with -o FILE the program's own output stays "
                        "out of it)");
    line->body = cursor->at - 1;
    line->kind = unfinished < cursor->end ? LINE_BEGUN : LINE_CALL;
    line->body_end = unfinished > cursor->at ? unfinished : cursor->at;
    return 0;
}

/* Words of strace's own between the lines: "strace: Process 12 attached", a stack of -k. */
static bool is_noise(const struct log_cursor *cursor)
{
    return log_at(cursor, "strace: ") || log_at(cursor, "[ Process PID=") || log_at(cursor, "> ") ||
           log_at(cursor, "#");
}

int log_read_line(struct log_cursor *cursor, struct log_line *ret_line)
{
    struct log_line *line = ret_line;

    memset(line, 0, sizeof(*line));
    trim(cursor);
    blanks(cursor);
    if (cursor->at == cursor->end || is_noise(cursor))
        return 0;
    if (read_prefix(cursor, line) != 0)
        return -1;
    if (cursor->at == cursor->end || is_noise(cursor))
        return 0;
    if (log_at(cursor, "--- ")) {
        line->kind = LINE_SIGNAL;
        return read_rule(cursor, line);
    }
    if (log_at(cursor, "+++ ")) {
        line->kind = LINE_EXITED;
        return read_rule(cursor, line);
    }
    return log_at(cursor, "<... ") ? read_resumed(cursor, line) : read_call(cursor, line);
}
