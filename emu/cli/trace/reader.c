/*
 * reader.c - see reader.h
 *
 * Each task has a cursor: the next record that it begins, and the calls that it has begun and not
 * ended, which lie one in the other like a stack. The next event of the recording is the earliest
 * of all cursors' next ones; a heap finds it.
 */
#include "trace/reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "emu.h"
#include "trace/index.h"

/* A call that was entered, and what its chunks need. */
struct open_call {
    struct trace_call call;
    uint64_t leave; /* ticks */
    struct trace_chunk *chunks;
    size_t chunk_room;
};

struct cursor {
    const struct index_task *task;
    size_t piece;    /* of the task's */
    uint64_t at;     /* in it */
    uint64_t number; /* of the record there */
    struct open_call **open;
    size_t depth;
    size_t open_room;
    uint64_t last; /* ticks of its last event: none is earlier */
    uint64_t next; /* ... of its next one */
};

struct trace {
    struct index index;
    char path[4096];
    struct cursor *cursors; /* one for each task */
    struct cursor **heap;   /* by `next` */
    size_t heap_size;
};

/* ---- Cursors ---- */

static const struct trace_record *record_at(const struct trace *trace, const struct cursor *cursor)
{
    if (cursor->piece == cursor->task->piece_count)
        return NULL;
    return index_record(&trace->index,
                        trace->index.pieces[cursor->task->pieces + cursor->piece].offset +
                            cursor->at);
}

static void to_piece(const struct trace *trace, struct cursor *cursor, size_t piece)
{
    cursor->piece = piece;
    cursor->at = 0;
    if (piece < cursor->task->piece_count)
        cursor->number = trace->index.pieces[cursor->task->pieces + piece].first;
}

static void step(const struct trace *trace, struct cursor *cursor)
{
    const struct index_piece *piece = &trace->index.pieces[cursor->task->pieces + cursor->piece];

    cursor->at += index_length(record_at(trace, cursor));
    cursor->number++;
    if (cursor->at >= piece->used)
        to_piece(trace, cursor, cursor->piece + 1);
}

/* Records that are no events: what a number means, the ends of others. */
static bool is_silent(const struct trace_record *record)
{
    return record->kind == TRACE_VOID || record->kind == TRACE_RESUMED ||
           record->kind == TRACE_OBJECT;
}

static const struct open_call *innermost(const struct cursor *cursor)
{
    return cursor->depth > 0 ? cursor->open[cursor->depth - 1] : NULL;
}

/* Whether the cursor's next event is the end of its innermost call. */
static bool leaves_next(const struct trace *trace, const struct cursor *cursor)
{
    const struct trace_record *record = record_at(trace, cursor);
    const struct open_call *open = innermost(cursor);

    return open != NULL && (record == NULL || open->leave <= record->enter);
}

/* Finds the cursor's next event; false: there are no more. */
static bool look_ahead(const struct trace *trace, struct cursor *cursor)
{
    const struct trace_record *record = record_at(trace, cursor);

    while (record != NULL && is_silent(record)) {
        step(trace, cursor);
        record = record_at(trace, cursor);
    }
    if (leaves_next(trace, cursor))
        cursor->next = innermost(cursor)->leave;
    else if (record != NULL)
        cursor->next = record->enter;
    else
        return false;
    if (cursor->next < cursor->last)
        cursor->next = cursor->last;
    return true;
}

/* ---- The heap ---- */

static bool is_before(const struct cursor *a, const struct cursor *b)
{
    if (a->next != b->next)
        return a->next < b->next;
    return a->task->task.number < b->task->task.number;
}

static void sink(struct trace *trace, size_t at)
{
    for (;;) {
        size_t least = at;

        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < trace->heap_size; child++) {
            if (is_before(trace->heap[child], trace->heap[least]))
                least = child;
        }
        if (least == at)
            return;
        struct cursor *swap = trace->heap[at];
        trace->heap[at] = trace->heap[least];
        trace->heap[least] = swap;
        at = least;
    }
}

/* The first cursor has gone on. */
static void settle(struct trace *trace)
{
    if (!look_ahead(trace, trace->heap[0]))
        trace->heap[0] = trace->heap[--trace->heap_size];
    sink(trace, 0);
}

/* ---- Calls ---- */

static const struct trace_record *end_of(const struct trace *trace, uint32_t task, uint64_t number)
{
    size_t low = 0;
    size_t high = trace->index.resumed_count;

    while (low < high) {
        const size_t middle = (low + high) / 2;
        const struct index_resumed *resumed = &trace->index.resumed[middle];

        if (resumed->task == task && resumed->number == number)
            return resumed->record;
        if (resumed->task < task || (resumed->task == task && resumed->number < number))
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static void add_chunks(struct open_call *open, const char *at, const char *end,
                       enum trace_when when)
{
    while (at != end) {
        const struct trace_memory *memory = (const void *)at;

        if (open->call.chunk_count == open->chunk_room) {
            const size_t room = open->chunk_room > 0 ? 2 * open->chunk_room : 8;
            struct trace_chunk *larger = reallocarray(open->chunks, room, sizeof *larger);

            if (larger == NULL) {
                open->call.cut = true;
                return;
            }
            open->chunks = larger;
            open->chunk_room = room;
        }
        open->chunks[open->call.chunk_count++] =
            (struct trace_chunk){ .address = memory->address,
                                  .data = memory->size > 0 ? memory + 1 : NULL,
                                  .size = memory->size,
                                  .total = memory->total,
                                  .what = memory->what,
                                  .when = when,
                                  .fault = (memory->flags & TRACE_FAULT) != 0 };
        at += sizeof *memory + ((memory->size + 7u) & ~7u);
    }
}

/* What a record begins with. */
static void fill_enter(const struct trace *trace, const struct trace_record *record,
                       struct open_call *open)
{
    const char *at = (const char *)(record + 1);
    struct trace_call *call = &open->call;

    call->kind = record->kind;
    call->call = trace->index.calls[record->call];
    call->name = trace->index.names[record->call];
    call->enter_ns = index_ns(&trace->index, record->enter);
    if (record->kind == TRACE_TASK)
        at += sizeof(struct trace_start);
    call->word_count = record->words;
    memcpy(call->words, at, record->words * sizeof *call->words);
    at += record->words * sizeof *call->words;
    call->fds = (const void *)at;
    call->fd_count = record->fds;
    at += record->fds * sizeof(struct trace_fd);
    call->cut = (record->flags & TRACE_CUT) != 0;
    add_chunks(open, at, (const char *)record + record->size, TRACE_AT_ENTER);
}

/* What it ended with, in its own place or elsewhere. */
static void fill_leave(const struct trace *trace, const struct trace_record *end,
                       struct open_call *open)
{
    const char *at = (const char *)end + end->size;
    struct trace_call *call = &open->call;

    call->left = true;
    call->leave_ns = index_ns(&trace->index, end->leave);
    if (call->leave_ns < call->enter_ns)
        call->leave_ns = call->enter_ns; /* clocks of two CPUs, or a file that lies */
    call->result = end->result;
    call->slept = (end->flags & TRACE_SLEPT) != 0;
    call->native = (end->flags & TRACE_NATIVE) != 0;
    call->by_kernel = (end->flags & TRACE_BY_KERNEL) != 0;
    call->cut |= (end->flags & TRACE_CUT) != 0;
    call->new_fds = (const void *)at;
    call->new_fd_count = end->leave_fds;
    at += end->leave_fds * sizeof(struct trace_fd);
    add_chunks(open, at, (const char *)end + end->size + end->leave_size, TRACE_AT_LEAVE);
    open->leave = end->leave;
}

/* Room for the call above those that are open. */
static struct open_call *push(struct cursor *cursor)
{
    struct open_call *open;

    if (cursor->depth == cursor->open_room) {
        const size_t room = cursor->open_room > 0 ? 2 * cursor->open_room : 2;
        struct open_call **larger = reallocarray(cursor->open, room, sizeof *larger);

        if (larger == NULL)
            return NULL;
        cursor->open = larger;
        memset(cursor->open + cursor->open_room, 0,
               (room - cursor->open_room) * sizeof *cursor->open);
        cursor->open_room = room;
    }
    open = cursor->open[cursor->depth];
    if (open == NULL) {
        open = calloc(1, sizeof *open);
        if (open == NULL)
            return NULL;
        cursor->open[cursor->depth] = open;
    }
    open->call = (struct trace_call){ .task = &cursor->task->task, .number = cursor->number };
    return open;
}

static struct open_call *enter(struct trace *trace, struct cursor *cursor)
{
    const struct trace_record *record = record_at(trace, cursor);
    const struct trace_record *end = record->leave != 0 ? record : NULL;
    struct open_call *open = push(cursor);

    if (open == NULL)
        return NULL;
    if (end == NULL)
        end = end_of(trace, cursor->task->task.number, cursor->number);
    fill_enter(trace, record, open);
    if (end != NULL) {
        fill_leave(trace, end, open);
        cursor->depth++;
    }
    open->call.chunks = open->chunks;
    open->call.abandoned = end == NULL && record->kind == TRACE_CALL &&
                           cursor->number < cursor->task->last_call;
    return open;
}

/* ---- What callers see ---- */

bool trace_next(struct trace *trace, struct trace_event *ret_event)
{
    struct cursor *cursor;
    struct open_call *open;

    if (trace->heap_size == 0)
        return false;
    cursor = trace->heap[0];
    cursor->last = cursor->next;
    if (leaves_next(trace, cursor)) {
        open = cursor->open[--cursor->depth];
        *ret_event = (struct trace_event){ .call = &open->call, .when = TRACE_AT_LEAVE };
        settle(trace);
        return true;
    }
    open = enter(trace, cursor);
    if (open == NULL)
        return false; /* no memory */
    step(trace, cursor);
    settle(trace);
    *ret_event = (struct trace_event){
        .call = &open->call,
        .when = TRACE_AT_ENTER,
        .whole = open->call.left && trace->heap_size > 0 && trace->heap[0] == cursor &&
                 innermost(cursor) == open && leaves_next(trace, cursor),
    };
    return true;
}

void trace_rewind(struct trace *trace)
{
    trace->heap_size = 0;
    for (size_t i = 0; i < trace->index.task_count; i++) {
        struct cursor *cursor = &trace->cursors[i];

        cursor->task = &trace->index.tasks[i];
        cursor->depth = 0;
        cursor->last = 0;
        to_piece(trace, cursor, 0);
        if (look_ahead(trace, cursor))
            trace->heap[trace->heap_size++] = cursor;
    }
    for (size_t i = trace->heap_size; i > 0; i--)
        sink(trace, i - 1);
}

/* DIR/log, or the file itself. */
static bool find_log(const char *path, char *ret_path, size_t room)
{
    struct stat status;
    const bool is_folder = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    const int length = snprintf(ret_path, room, "%s%s", path, is_folder ? "/" TRACE_LOG_NAME : "");

    return length >= 0 && (size_t)length < room;
}

struct trace *trace_open(const char *path, char *ret_why, size_t why_size)
{
    struct trace *trace = calloc(1, sizeof *trace);

    if (trace == NULL || !find_log(path, trace->path, sizeof trace->path)) {
        snprintf(ret_why, why_size, "%s: %s", path, strerror(trace ? ENAMETOOLONG : ENOMEM));
        free(trace);
        return NULL;
    }
    trace->index.why = ret_why;
    trace->index.why_size = why_size;
    if (index_open(&trace->index, trace->path)) {
        trace->cursors = calloc(trace->index.task_count + 1, sizeof *trace->cursors);
        trace->heap = calloc(trace->index.task_count + 1, sizeof(struct cursor *));
        if (trace->cursors != NULL && trace->heap != NULL) {
            trace_rewind(trace);
            return trace;
        }
        snprintf(ret_why, why_size, "%s: %s", path, strerror(ENOMEM));
    }
    trace_close(trace);
    return NULL;
}

void trace_close(struct trace *trace)
{
    for (size_t i = 0; trace->cursors != NULL && i < trace->index.task_count; i++) {
        struct cursor *cursor = &trace->cursors[i];

        for (size_t depth = 0; depth < cursor->open_room; depth++) {
            if (cursor->open[depth] != NULL)
                free(cursor->open[depth]->chunks);
            free(cursor->open[depth]);
        }
        free(cursor->open);
    }
    free(trace->cursors);
    free(trace->heap);
    index_close(&trace->index);
    free(trace);
}

const struct trace_info *trace_info(const struct trace *trace)
{
    return &trace->index.info;
}

const struct trace_task *trace_task_get(const struct trace *trace, size_t index)
{
    return index < trace->index.task_count ? &trace->index.tasks[index].task : NULL;
}

const struct trace_object *trace_object_find(const struct trace *trace, uint32_t description,
                                             uint32_t generation, uint64_t ns)
{
    const struct index *index = &trace->index;
    size_t low = 0;
    size_t high = index->object_count;
    const struct trace_object *found = NULL;

    while (low < high) { /* the first one of this description */
        const size_t middle = (low + high) / 2;
        const struct trace_object *object = index->objects[middle].object;

        if (object->description < description ||
            (object->description == description && object->generation < generation))
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < index->object_count; low++) {
        const struct index_object *at = &index->objects[low];

        if (at->object->description != description || at->object->generation != generation ||
            (found != NULL && index_ns(index, at->ticks) > ns))
            break;
        found = at->object;
    }
    return found;
}

const struct trace_chunk *trace_chunk_find(const struct trace_call *call, uint64_t address,
                                           enum trace_when when)
{
    for (size_t i = 0; i < call->chunk_count; i++) {
        if (call->chunks[i].address == address && call->chunks[i].when == when)
            return &call->chunks[i];
    }
    return NULL;
}

const struct trace_fd *trace_fd_find(const struct trace_call *call, int fd)
{
    for (size_t i = 0; i < call->fd_count; i++) {
        if (call->fds[i].fd == fd)
            return &call->fds[i];
    }
    for (size_t i = 0; i < call->new_fd_count; i++) {
        if (call->new_fds[i].fd == fd)
            return &call->new_fds[i];
    }
    return NULL;
}
