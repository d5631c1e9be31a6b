/*
 * log_detect.c - a log or a script?
 *
 * A log begins with "# log", or its first call is execve, or its lines carry pids or time stamps.
 */
#include <string.h>

#include "interpret/log_line.h"

bool log_detect(const char *text, size_t size)
{
    size_t start = 0;

    while (start < size) {
        const char *end = memchr(text + start, '\n', size - start);
        size_t length = end ? (size_t)(end - text) - start : size - start;
        const struct log_text one = { text + start, length, length, { 1, 1 }, { 0, 0 } };
        struct log_error ignored;
        struct log log = { 0 };
        struct log_cursor cursor = { &log, &one, 0, length, 0, &ignored };
        struct log_line line;

        start += length + 1;
        if (log_at(&cursor, "# log") && (length == 5 || one.text[5] == ' ' || one.text[5] == '\r'))
            return true;
        if (log_at(&cursor, "strace: "))
            return true;
        if (log_read_line(&cursor, &line) != 0)
            return line.has_pid || line.has_time;
        if (line.kind == LINE_EMPTY)
            continue;
        return line.has_pid || line.has_time ||
               (line.name_size == 6 && memcmp(one.text + line.name, "execve", 6) == 0);
    }
    return false;
}
