/*
 * log_parse.c - the lines of a log as calls and events
 *
 * A line that was split is put together again here: the call's tree is made when its end is met.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "interpret/constants.h"
#include "interpret/log_blocks.h"
#include "interpret/log_build.h"
#include "interpret/log_merge.h"

#define PIDS_SIZE (((4u << 20) + 1) * sizeof(uint32_t)) /* pids up to 2^22: proc(5), pid_max */

void *log_grow(void *vector, size_t count, size_t *room, size_t item_size)
{
    size_t wanted = *room ? *room * 2 : 64;
    void *grown;

    if (count < *room)
        return vector;
    grown = realloc(vector, wanted * item_size);
    if (grown)
        *room = wanted;
    return grown;
}

static int no_room(struct log_builder *builder)
{
    static const char message[] = "this log needs too much memory";

    memcpy(builder->error->message, message, sizeof(message));
    builder->error->place = (struct place){ (uint32_t)builder->lines, 1 };
    return -1;
}

int log_add_event(struct log_builder *builder, struct log_event event)
{
    struct log *log = builder->log;
    void *grown = log_grow(log->events, log->event_count, &builder->event_room, sizeof(event));

    if (!grown || log->event_count >= LOG_NO_EVENT - 1)
        return no_room(builder);
    log->events = grown;
    if (log->tasks[event.task].first == LOG_NO_EVENT)
        log->tasks[event.task].first = (uint32_t)log->event_count;
    log->events[log->event_count++] = event;
    return 0;
}

/* ---- Calls ---- */

static struct log_call *add_call(struct log_builder *builder)
{
    struct log *log = builder->log;
    void *grown = log_grow(log->calls, log->call_count, &builder->call_room, sizeof(log->calls[0]));

    if (!grown || log->call_count >= LOG_NO_CALL - 1) {
        no_room(builder);
        return NULL;
    }
    log->calls = grown;
    memset(&log->calls[log->call_count], 0, sizeof(log->calls[0]));
    return &log->calls[log->call_count++];
}

static int begin_call(struct log_builder *builder, const struct log_cursor *cursor,
                      const struct log_line *line, uint32_t task)
{
    const struct log_event event = { LOG_START, (uint32_t)builder->log->call_count, task,
                                     (uint32_t)builder->lines, 0 };
    struct log_call *call = add_call(builder);

    if (!call)
        return -1;
    call->task = task;
    call->place = log_place(cursor, line->name);
    call->start = (uint32_t)builder->log->event_count;
    call->end = LOG_NO_EVENT;
    call->end_line = call->place.line;
    call->time_ns = line->time_ns;
    call->name = log_copy_text(builder->log, cursor->text->text + line->name, line->name_size);
    if (!call->name)
        return no_room(builder);
    call->number = log_call_number(call->name);
    return log_add_event(builder, event);
}

static int end_call(struct log_builder *builder, uint32_t index)
{
    struct log_call *call = &builder->log->calls[index];
    const struct log_event event = { LOG_END, index, call->task, (uint32_t)builder->lines, 0 };

    call->end = (uint32_t)builder->log->event_count;
    call->end_line = event.line;
    if (log_add_event(builder, event) != 0)
        return -1;
    return log_call_clones(call) ? log_task_born(builder, index) : 0;
}

/* A call of which only the beginning was read: what can be said of it? */
static int give_up_call(struct log_builder *builder, uint32_t task)
{
    struct log_pending *pending = &builder->pending[task];
    struct log_call *call;
    struct log_text text;
    struct log_error ignored;
    struct log_cursor cursor;

    if (pending->call == LOG_NO_CALL)
        return 0;
    call = &builder->log->calls[pending->call];
    pending->call = LOG_NO_CALL;
    text = (struct log_text){ pending->text, pending->size, pending->size, call->place,
                              call->place };
    cursor = (struct log_cursor){ builder->log, &text, 0, pending->size, 0, &ignored };
    log_read_call(&cursor, call, false);
    return 0;
}

static int whole_call(struct log_builder *builder, struct log_cursor *cursor,
                      const struct log_line *line, uint32_t task)
{
    uint32_t index = (uint32_t)builder->log->call_count;

    give_up_call(builder, task);
    if (begin_call(builder, cursor, line, task) != 0)
        return -1;
    cursor->at = line->body;
    if (log_read_call(cursor, &builder->log->calls[index], true) != 0)
        return -1;
    return end_call(builder, index);
}

static int begun_call(struct log_builder *builder, const struct log_cursor *cursor,
                      const struct log_line *line, uint32_t task)
{
    struct log_pending *pending;

    give_up_call(builder, task);
    builder->split = true;
    if (begin_call(builder, cursor, line, task) != 0)
        return -1;
    pending = &builder->pending[task];
    pending->call = (uint32_t)builder->log->call_count - 1;
    pending->text = cursor->text->text + line->body;
    pending->size = line->body_end - line->body;
    return 0;
}

static int resumed_call(struct log_builder *builder, struct log_cursor *cursor,
                        const struct log_line *line, uint32_t task)
{
    struct log_pending *pending = &builder->pending[task];
    size_t second = line->body_end - line->body;
    uint32_t index = pending->call;
    struct log_text text;
    struct log_cursor joined;
    struct log_call *call;
    char *copy;

    if (index == LOG_NO_CALL)
        return 0; /* begun before the log was */
    cursor->at = line->body;
    if (log_blanks(cursor) != 0)
        return -1;
    if (log_accept(cursor, "<unfinished ...>"))
        return 0; /* its task ended: <... poll resumed> <unfinished ...>) = ? */
    call = &builder->log->calls[index];
    if (strlen(call->name) != line->name_size ||
        memcmp(call->name, cursor->text->text + line->name, line->name_size) != 0)
        return log_fail(cursor, line->name, "'%s' was begun in line %u, and isn't what is resumed",
                        call->name, call->place.line);
    copy = log_allocate(builder->log, pending->size + second + 1);
    if (!copy)
        return no_room(builder);
    memcpy(copy, pending->text, pending->size);
    memcpy(copy + pending->size, cursor->text->text + line->body, second);
    text = (struct log_text){ copy, pending->size + second, pending->size, call->place,
                              log_place(cursor, line->body) };
    text.first.column += (uint32_t)line->name_size;
    joined = (struct log_cursor){ builder->log, &text, 0, text.size, 0, builder->error };
    pending->call = LOG_NO_CALL;
    call->split = true;
    return log_read_call(&joined, call, true) == 0 ? end_call(builder, index) : -1;
}

/* ---- Lines ---- */

static int signal_line(struct log_builder *builder, const struct log_cursor *cursor,
                       const struct log_line *line, uint32_t task)
{
    struct log_event event = { LOG_SIGNAL, 0, task, (uint32_t)builder->lines, 0 };
    char name[24];

    if (line->name_size < sizeof(name)) {
        memcpy(name, cursor->text->text + line->name, line->name_size);
        name[line->name_size] = '\0';
        event.signal = constant_signal(name);
    }
    return log_add_event(builder, event);
}

static int exit_line(struct log_builder *builder, uint32_t task)
{
    const struct log_event event = { LOG_EXIT, 0, task, (uint32_t)builder->lines, 0 };

    give_up_call(builder, task);
    if (log_add_event(builder, event) != 0)
        return -1;
    builder->log->tasks[task].exit = (uint32_t)builder->log->event_count - 1;
    return 0;
}

static int read_one(struct log_builder *builder, struct log_cursor *cursor)
{
    struct log_line line;
    uint32_t task;

    if (log_read_line(cursor, &line) != 0)
        return -1;
    if (line.kind == LINE_EMPTY)
        return 0;
    builder->timed_lines += line.has_time;
    if (log_task_of_line(builder, &line, &task) != 0)
        return -1;
    switch (line.kind) {
    case LINE_CALL: return whole_call(builder, cursor, &line, task);
    case LINE_BEGUN: return begun_call(builder, cursor, &line, task);
    case LINE_RESUMED: return resumed_call(builder, cursor, &line, task);
    case LINE_SIGNAL: return signal_line(builder, cursor, &line, task);
    case LINE_EXITED: return exit_line(builder, task);
    case LINE_REPLACED: log_task_replaces(builder, task, line.other); return 0;
    case LINE_EMPTY: break;
    }
    return 0;
}

static int find_lines(struct log_builder *builder)
{
    struct log *log = builder->log;
    size_t count = 1;
    size_t *starts;

    for (size_t i = 0; i < log->size; i++)
        count += log->text[i] == '\n';
    starts = count < UINT32_MAX ? malloc((count + 1) * sizeof(starts[0])) : NULL;
    if (!starts)
        return no_room(builder);
    starts[0] = 0;
    count = 1;
    for (size_t i = 0; i < log->size; i++) {
        if (log->text[i] == '\n')
            starts[count++] = i + 1;
    }
    starts[count] = log->size + 1;
    log->line_starts = starts;
    log->line_count = count;
    return 0;
}

/*
 * On a terminal strace says in the middle of a call's line that it follows the new process:
 *   clone(child_stack=NULL, flags=SIGCHLDstrace: Process 12 attached
 *   , child_tidptr=0x7f12) = 12
 * Returns where its words begin in the line; `size` when there are none.
 */
static size_t broken_at(const char *line, size_t size)
{
    static const char words[] = "strace: Process ";
    static const char end[] = " attached";
    const char *call = memchr(line, '(', size);
    const char *found;

    if (!call || size < sizeof(end) ||
        memcmp(line + size - (sizeof(end) - 1), end, sizeof(end) - 1) != 0)
        return size;
    found = memmem(call, (size_t)(line + size - call), words, sizeof(words) - 1);
    return found ? (size_t)(found - line) : size;
}

/* A broken line and the one in which it goes on, as one. */
static int join_lines(struct log_builder *builder, const char *line, size_t size,
                      struct log_text *text)
{
    const struct place first = { (uint32_t)builder->lines, 1 };
    size_t rest_size = 0;
    const char *rest = "";
    char *copy;

    while (builder->lines < builder->log->line_count) {
        rest = log_line_text(builder->log, (uint32_t)++builder->lines, &rest_size);
        if (rest_size < 8 || memcmp(rest, "strace: ", 8) != 0)
            break;
    }
    copy = log_allocate(builder->log, size + rest_size + 1);
    if (!copy)
        return no_room(builder);
    memcpy(copy, line, size);
    memcpy(copy + size, rest, rest_size);
    *text =
        (struct log_text){ copy, size + rest_size, size, first, { (uint32_t)builder->lines, 1 } };
    return 0;
}

static int read_all(struct log_builder *builder)
{
    struct log *log = builder->log;

    for (builder->lines = 1; builder->lines <= log->line_count; builder->lines++) {
        size_t size;
        const char *line = log_line_text(log, (uint32_t)builder->lines, &size);
        struct log_text text = { line, size, size, { (uint32_t)builder->lines, 1 }, { 0, 0 } };
        struct log_cursor cursor = { log, &text, 0, size, 0, builder->error };
        size_t broken = broken_at(line, size);

        if (broken < size && join_lines(builder, line, broken, &text) != 0)
            return -1;
        cursor.end = text.size;
        if (read_one(builder, &cursor) != 0)
            return -1;
    }
    for (uint32_t i = 0; i < log->task_count; i++)
        give_up_call(builder, i);
    log_tasks_adopt(log);
    return 0;
}

int log_parse(const char *text, size_t size, struct log *ret_log, struct log_error *ret_error)
{
    struct log log = { .text = text, .size = size };
    struct log_builder builder = { .log = &log, .error = ret_error, .bare = LOG_NO_TASK };
    int result = -1;
    void *pids = MAP_FAILED; /* a table of which a few pages are touched */

    builder.lines = 1;
    if (size <= LOG_MAX_SIZE)
        pids = mmap(NULL, PIDS_SIZE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    builder.pids = pids;
    if (pids == MAP_FAILED)
        no_room(&builder);
    else if (find_lines(&builder) == 0)
        result = read_all(&builder);
    if (result == 0 && log_is_merged(&log, builder.split, builder.timed_lines))
        result = log_merge_events(&builder);
    if (pids != MAP_FAILED)
        munmap(pids, PIDS_SIZE);
    free(builder.pending);
    if (result == 0)
        *ret_log = log;
    else
        log_destroy(&log);
    return result;
}

void log_destroy(struct log *log)
{
    free(log->calls);
    free(log->events);
    free(log->tasks);
    free((void *)(uintptr_t)log->line_starts);
    log_blocks_free(log);
    memset(log, 0, sizeof(*log));
}

const char *log_line_text(const struct log *log, uint32_t line, size_t *ret_size)
{
    size_t start;
    size_t end;

    *ret_size = 0;
    if (line == 0 || line > log->line_count)
        return "";
    start = log->line_starts[line - 1];
    end = log->line_starts[line] - 1;
    while (end > start && (log->text[end - 1] == '\r' || log->text[end - 1] == '\n'))
        end--;
    *ret_size = end - start;
    return log->text + start;
}
