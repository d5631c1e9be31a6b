/*
 * text.h - a script or a log as units that can be left out
 *
 * A unit is a call with all that belongs to it: the further lines of a script's statement, the
 * signals below it, and the line that resumes a call which another task interrupted. Header lines
 * ("# on:", "# log") belong to no unit and always stay; other comments and empty lines are dropped.
 *
 * Nothing is parsed: what doesn't look like a call is a unit all the same.
 */
#ifndef SHRINK_TEXT_H
#define SHRINK_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TEXT_MAX_SIZE (64u << 20)
#define TEXT_NO_UNIT  UINT32_MAX /* a line of the head, or one that is dropped */

struct text_line {
    const char *start; /* the newline is not part of it */
    size_t size;
    uint32_t unit;
    bool head;   /* stays whatever is left out */
    bool resume; /* "<... read resumed>": belongs to a unit that began before */
};

struct text {
    char *bytes;
    struct text_line *lines;
    uint32_t line_count;
    uint32_t unit_count;
};

/* Reads a file. Returns 0, -1 after a message on stderr. */
int text_read(const char *path, struct text *ret_text);
void text_destroy(struct text *text);

/* Writes the head and the units that are kept, in their order. Returns 0, -errno. */
int text_write(const struct text *text, const bool *kept, FILE *file);

/* The unit that a line (from 1) of what text_write() wrote belongs to; TEXT_NO_UNIT. */
uint32_t text_unit_at(const struct text *text, const bool *kept, uint32_t line);

/*
 * The words of a line that tie it to others: the task in front of it, a script's names. Calls
 * `visit` for each.
 */
void text_words(const struct text_line *line,
                void (*visit)(void *context, const char *word, size_t size), void *context);

#endif
