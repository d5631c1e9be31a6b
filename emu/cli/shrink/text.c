/*
 * text.c - a script or a log as units that can be left out
 */
#include "shrink/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OPEN_CALLS 512 /* interrupted calls whose second half is still to come */

/* What begins a line: the task that made the call, "" when there is one task alone. */
struct task_name {
    const char *start;
    size_t size;
};

struct open_call {
    struct task_name task;
    uint32_t unit;
};

/* Where a line's scan stands: a script's statement goes on while a bracket is open. */
struct scan {
    struct open_call open[MAX_OPEN_CALLS];
    size_t open_count;
    int depth;
    uint32_t last_unit; /* of the line above */
};

static bool begins(const struct text_line *line, const char *word)
{
    size_t length = strlen(word);

    return line->size >= length && memcmp(line->start, word, length) == 0;
}

static bool holds(const struct text_line *line, const char *word)
{
    return line->size > 0 && memmem(line->start, line->size, word, strlen(word)) != NULL;
}

static bool is_head(const struct text_line *line)
{
    static const char *const words[] = { "# on:", "# native:", "# signals:", "# kernel:", "# log" };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (begins(line, words[i]))
            return true;
    }
    return false;
}

static bool is_blank(const struct text_line *line)
{
    size_t i = 0;

    while (i < line->size && isspace((unsigned char)line->start[i]))
        i++;
    return i == line->size || line->start[i] == '#';
}

/* "[pid 123] ", "123 " in front of a log's line, "[NAME] " in front of a script's. */
static struct task_name task_of(const struct text_line *line)
{
    struct task_name task = { line->start, 0 };
    const char *end;

    if (begins(line, "[")) {
        end = memchr(line->start, ']', line->size);
        task.size = end ? (size_t)(end - line->start) + 1 : 0;
        return task;
    }
    while (task.size < line->size && isdigit((unsigned char)task.start[task.size]))
        task.size++;
    if (task.size == line->size || task.start[task.size] != ' ')
        task.size = 0;
    return task;
}

/* "--- SIGPIPE ---" of a script, or of a log's only task: it belongs to the call above. */
static bool is_signal_of_call(const struct text_line *line, struct task_name task)
{
    size_t i = task.size;

    if (task.size > 0 && (task.start[0] != '[' || begins(line, "[pid ")))
        return false;
    while (i < line->size && line->start[i] == ' ')
        i++;
    return line->size - i >= 3 && memcmp(line->start + i, "---", 3) == 0;
}

static bool same_task(struct task_name one, struct task_name other)
{
    return one.size == other.size && memcmp(one.start, other.start, one.size) == 0;
}

/* Counts brackets outside strings and comments. An interrupted call leaves none open. */
static void count_brackets(struct scan *scan, const struct text_line *line)
{
    bool quoted = false;

    for (size_t i = 0; i < line->size; i++) {
        char c = line->start[i];

        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && c == '#')
            break;
        else if (!quoted && strchr("([{", c) && c)
            scan->depth++;
        else if (!quoted && strchr(")]}", c) && c && scan->depth > 0)
            scan->depth--;
    }
    if (holds(line, "<unfinished ...>") || line->resume)
        scan->depth = 0;
}

/* The unit of the call that this line resumes, which is open no longer; TEXT_NO_UNIT: none. */
static uint32_t close_call(struct scan *scan, struct task_name task)
{
    for (size_t i = scan->open_count; i-- > 0;) {
        if (same_task(scan->open[i].task, task)) {
            uint32_t unit = scan->open[i].unit;

            scan->open[i] = scan->open[--scan->open_count];
            return unit;
        }
    }
    return TEXT_NO_UNIT;
}

static void place_line(struct text *text, struct scan *scan, struct text_line *line)
{
    struct task_name task = task_of(line);

    line->unit = TEXT_NO_UNIT;
    line->resume = holds(line, "<... ");
    if (scan->depth > 0) {
        line->unit = scan->last_unit; /* the statement goes on */
    } else if (is_head(line)) {
        line->head = true;
        return;
    } else if (is_blank(line)) {
        return;
    } else if (is_signal_of_call(line, task)) {
        line->unit = scan->last_unit;
    } else if (line->resume) {
        line->unit = close_call(scan, task);
    }
    if (line->unit == TEXT_NO_UNIT)
        line->unit = text->unit_count++;
    scan->last_unit = line->unit;
    if (holds(line, "<unfinished ...>") && scan->open_count < MAX_OPEN_CALLS)
        scan->open[scan->open_count++] = (struct open_call){ task, line->unit };
    count_brackets(scan, line);
}

static int split(struct text *text, size_t size)
{
    struct scan *scan = calloc(1, sizeof(*scan));
    const char *at = text->bytes;
    const char *end = text->bytes + size;
    uint32_t capacity = 1;

    for (const char *c = at; (c = memchr(c, '\n', (size_t)(end - c))) != NULL; c++)
        capacity++;
    text->lines = calloc(capacity, sizeof(text->lines[0]));
    if (!text->lines || !scan) {
        free(scan);
        return -ENOMEM;
    }
    scan->last_unit = TEXT_NO_UNIT;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        struct text_line *line = &text->lines[text->line_count++];

        line->start = at;
        line->size = (size_t)((newline ? newline : end) - at);
        place_line(text, scan, line);
        at += line->size + 1;
    }
    free(scan);
    return 0;
}

int text_read(const char *path, struct text *ret_text)
{
    FILE *file = fopen(path, "re");
    size_t capacity = 1 << 16;
    size_t size = 0;
    int error = file ? 0 : -errno;

    memset(ret_text, 0, sizeof(*ret_text));
    while (error == 0 && !feof(file)) {
        char *larger = realloc(ret_text->bytes, capacity *= 2);

        if (!larger || capacity > 2 * TEXT_MAX_SIZE) {
            ret_text->bytes = larger ? larger : ret_text->bytes;
            error = larger ? -EFBIG : -ENOMEM;
            break;
        }
        ret_text->bytes = larger;
        size += fread(larger + size, 1, capacity - size, file);
        if (ferror(file))
            error = -errno;
    }
    if (file)
        fclose(file);
    if (error == 0)
        error = split(ret_text, size);
    if (error != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(-error));
        text_destroy(ret_text);
        return -1;
    }
    return 0;
}

void text_destroy(struct text *text)
{
    free(text->bytes);
    free(text->lines);
    memset(text, 0, sizeof(*text));
}

static bool is_kept(const struct text_line *line, const bool *kept)
{
    return line->head || (line->unit != TEXT_NO_UNIT && kept[line->unit]);
}

int text_write(const struct text *text, const bool *kept, FILE *file)
{
    for (uint32_t i = 0; i < text->line_count; i++) {
        const struct text_line *line = &text->lines[i];

        if (!is_kept(line, kept))
            continue;
        fwrite(line->start, 1, line->size, file);
        putc('\n', file);
    }
    return ferror(file) || fflush(file) != 0 ? -errno : 0;
}

uint32_t text_unit_at(const struct text *text, const bool *kept, uint32_t line)
{
    uint32_t number = 0;

    for (uint32_t i = 0; i < text->line_count; i++) {
        if (is_kept(&text->lines[i], kept) && ++number == line)
            return text->lines[i].unit;
    }
    return TEXT_NO_UNIT;
}

void text_words(const struct text_line *line,
                void (*visit)(void *context, const char *word, size_t size), void *context)
{
    struct task_name task = task_of(line);
    bool quoted = false;
    size_t i = task.size;

    if (task.size > 0)
        visit(context, task.start, task.size);
    while (i < line->size) {
        size_t start = i;
        char c = line->start[i++];

        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        if (quoted || !(islower((unsigned char)c)))
            continue;
        while (i < line->size && (isalnum((unsigned char)line->start[i]) || line->start[i] == '_'))
            i++;
        /* A call or a struct's field ties nothing. */
        if (i == line->size || !strchr("(=", line->start[i]))
            visit(context, line->start + start, i - start);
    }
}
