/*
 * index.c - see index.h
 *
 * The file may be anything: what a killed program left, or what somebody made up. So each length is
 * checked against what it lies in before it is used, and nothing is read outside of the mapping. A
 * block that isn't a piece of this recording is passed over: a kill leaves such holes.
 */
#include "trace/index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "emu.h"

#define ROOM_MAX (1u << 24) /* bytes of a piece: 8 times the largest window */

__attribute__((format(printf, 3, 4))) static bool wrong(struct index *index, uint64_t offset,
                                                        const char *format, ...)
{
    va_list arguments;
    const int used = snprintf(index->why, index->why_size, "%s: offset %llu: ", index->path,
                              (unsigned long long)offset);

    if (used > 0 && (size_t)used < index->why_size) {
        va_start(arguments, format);
        vsnprintf(index->why + used, index->why_size - (size_t)used, format, arguments);
        va_end(arguments);
    }
    return false;
}

static bool failed(struct index *index)
{
    snprintf(index->why, index->why_size, "%s: %s", index->path, strerror(errno));
    return false;
}

/* Room for one more behind `count` elements. */
static bool grow(struct index *index, void **array, size_t count, size_t size)
{
    void *larger;

    if ((count & (count - 1)) != 0) /* it grows at powers of two */
        return true;
    larger = reallocarray(*array, count > 0 ? 2 * count : 1, size);
    if (larger == NULL)
        return failed(index);
    *array = larger;
    return true;
}

/* ---- The header ---- */

static bool map_file(struct index *index)
{
    struct stat status;
    const int fd = open(index->path, O_RDONLY | O_CLOEXEC);
    void *map;

    if (fd < 0)
        return failed(index);
    if (fstat(fd, &status) != 0) {
        failed(index);
        close(fd);
        return false;
    }
    if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size < sizeof(struct trace_file_header)) {
        close(fd);
        return wrong(index, 0, "no recording: %s",
                     S_ISREG(status.st_mode) ? "the file is too short" : "it is no file");
    }
    map = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return failed(index);
    index->map = map;
    index->size = (size_t)status.st_size;
    return true;
}

static uint32_t own_number(const char *name)
{
    for (uint32_t call = 1; emu_call_name(call)[0] != '\0'; call++) {
        if (strcmp(emu_call_name(call), name) == 0)
            return call;
    }
    return EMU_CALL_NONE;
}

/* The names of calls, which may be another build's. */
static bool read_names(struct index *index)
{
    const struct trace_file_header *header = index->header;
    const char *at = (const char *)(header + 1);
    const char *end = at + header->names_size;

    for (uint32_t i = 0; i < 256; i++)
        index->names[i] = "";
    for (uint32_t i = 0; i < header->call_count; i++) {
        const size_t length = strnlen(at, (size_t)(end - at));

        if (at + length >= end)
            return wrong(index, (uint64_t)(at - index->map), "the names of calls end too early");
        index->names[i] = at;
        index->calls[i] = length > 0 ? own_number(at) : EMU_CALL_NONE;
        at += length + 1;
    }
    return true;
}

static bool read_header(struct index *index)
{
    const struct trace_file_header *header = (const void *)index->map;

    index->header = header;
    if (memcmp(header->magic, TRACE_MAGIC, sizeof header->magic) != 0)
        return wrong(index, 0, "no recording of sockrig's");
    if (header->version != TRACE_VERSION)
        return wrong(index, 8, "version %u of the format; this sockrig reads version %u",
                     header->version, TRACE_VERSION);
    if (header->size < TRACE_BLOCK || header->size % TRACE_BLOCK != 0 || header->size > index->size)
        return wrong(index, offsetof(struct trace_file_header, size),
                     "a header of %u bytes can't be", header->size);
    if (header->call_count == 0 || header->call_count > 256 ||
        header->names_size > header->size - sizeof *header)
        return wrong(index, offsetof(struct trace_file_header, call_count),
                     "%u names of calls in %u bytes can't be", header->call_count,
                     header->names_size);
    if (header->clock > TRACE_CLOCK_MONOTONIC || header->stopped > TRACE_STOPPED_SPACE)
        return wrong(index, offsetof(struct trace_file_header, clock), "unknown clock or end");
    index->info = (struct trace_info){ .start_ns = header->start_realtime_ns,
                                       .clock = header->clock,
                                       .ticks_per_ns = 1,
                                       .data_limit = header->data_limit,
                                       .stopped = header->stopped,
                                       .error = header->error };
    return read_names(index);
}

/* ---- Pieces ---- */

static bool is_zero(const char *block, size_t size)
{
    return size == 0 || (block[0] == 0 && memcmp(block, block + 1, size - 1) == 0);
}

/* The two clocks at the moment farthest from the start say how fast the ticks are. */
static void calibrate(struct index *index, const struct trace_piece *piece, uint64_t *farthest)
{
    const struct trace_file_header *header = index->header;
    const uint64_t ticks = piece->ticks - header->start_ticks;
    const uint64_t ns = piece->monotonic_ns - header->start_monotonic_ns;
    double rate;

    if (piece->ticks <= header->start_ticks || piece->monotonic_ns <= header->start_monotonic_ns ||
        ticks <= *farthest)
        return;
    rate = (double)ticks / (double)ns;
    if (rate < 0.001 || rate > 1000)
        return;
    *farthest = ticks;
    index->info.ticks_per_ns = rate;
}

static bool add_piece(struct index *index, const struct trace_piece *piece, uint64_t offset)
{
    if (piece->used == 0)
        return true;
    if (!grow(index, (void **)&index->pieces, index->piece_count, sizeof *index->pieces))
        return false;
    index->pieces[index->piece_count++] = (struct index_piece){ .offset = offset + sizeof *piece,
                                                                .first = piece->first,
                                                                .used = piece->used,
                                                                .task = piece->task,
                                                                .is_window = piece->is_window !=
                                                                             0 };
    return true;
}

static bool find_pieces(struct index *index)
{
    uint64_t offset = index->header->size;
    uint64_t farthest = 0;

    while (offset + sizeof(struct trace_piece) <= index->size) {
        const struct trace_piece *piece = (const void *)(index->map + offset);
        const uint64_t left = index->size - offset - sizeof *piece;

        if (memcmp(piece->magic, TRACE_PIECE_MAGIC, sizeof piece->magic) != 0 ||
            piece->session != index->header->session || piece->offset != offset) {
            const uint64_t rest = index->size - offset;

            if (!is_zero((const char *)piece, rest < TRACE_BLOCK ? rest : TRACE_BLOCK))
                index->info.pieces_torn++;
            offset += TRACE_BLOCK;
            continue;
        }
        if (piece->task == 0 || piece->used > piece->room || piece->room > ROOM_MAX ||
            piece->used % 8 != 0 || piece->first > UINT64_MAX / 2)
            return wrong(index, offset, "a piece of task %u with %u of %u bytes can't be",
                         piece->task, piece->used, piece->room);
        if (piece->used > left)
            return wrong(index, offset, "the file ends inside of a piece");
        calibrate(index, piece, &farthest);
        if (!add_piece(index, piece, offset))
            return false;
        offset += (sizeof *piece + piece->room + TRACE_BLOCK - 1) / TRACE_BLOCK * TRACE_BLOCK;
    }
    return true;
}

static int compare_pieces(const void *a, const void *b)
{
    const struct index_piece *left = a;
    const struct index_piece *right = b;

    if (left->task != right->task)
        return left->task < right->task ? -1 : 1;
    if (left->first != right->first)
        return left->first < right->first ? -1 : 1;
    return (int)right->is_window - (int)left->is_window;
}

/* A window whose owner was killed while it was copied is there twice; the copy may be a part. */
static void drop_copies(struct index *index)
{
    size_t kept = 0;

    if (index->piece_count == 0)
        return;
    qsort(index->pieces, index->piece_count, sizeof *index->pieces, compare_pieces);
    for (size_t i = 1; i < index->piece_count; i++) {
        const struct index_piece *before = &index->pieces[kept];

        if (index->pieces[i].task != before->task || index->pieces[i].first != before->first)
            index->pieces[++kept] = index->pieces[i];
    }
    index->piece_count = kept + 1;
}

/* ---- Records ---- */

/* Memory from `at` to `end` of a record: parts that follow each other without a rest. */
static bool check_memory(struct index *index, const char *at, const char *end)
{
    while (at != end) {
        const struct trace_memory *memory = (const void *)at;
        const size_t left = (size_t)(end - at);
        size_t size;

        if (left < sizeof *memory)
            return wrong(index, (uint64_t)(at - index->map), "memory that is cut off");
        size = sizeof *memory + ((memory->size + 7u) & ~7u);
        if (size > left || memory->what >= TRACE_WHATS)
            return wrong(index, (uint64_t)(at - index->map),
                         "memory of kind %u with %u bytes, where %zu are left", memory->what,
                         memory->size, left);
        if (memory->size > memory->total)
            return wrong(index, (uint64_t)(at - index->map), "%u bytes of memory that has %u",
                         memory->size, memory->total);
        at += size;
    }
    return true;
}

/* Bytes of the struct that stands in place of words. */
static size_t body_size(unsigned kind)
{
    return kind == TRACE_OBJECT ? sizeof(struct trace_object)
           : kind == TRACE_TASK ? sizeof(struct trace_start)
                                : 0;
}

static bool check_record(struct index *index, uint64_t offset, uint64_t left)
{
    const struct trace_record *record = index_record(index, offset);
    const char *start = (const char *)record;
    size_t head;

    if (left < sizeof *record || record->size > left || record->size < sizeof *record ||
        record->size % 8 != 0 || record->size > TRACE_RECORD_MAX)
        return wrong(index, offset, "a record of %u bytes, where %llu are left",
                     left < sizeof *record ? 0 : record->size, (unsigned long long)left);
    if (record->kind >= TRACE_KINDS || record->words > TRACE_WORDS_MAX ||
        record->call >= index->header->call_count)
        return wrong(index, offset, "a record of kind %u, call %u, with %u words can't be",
                     record->kind, record->call, record->words);
    head = sizeof *record + body_size(record->kind) + record->words * 8u +
           record->fds * sizeof(struct trace_fd);
    if (head > record->size)
        return wrong(index, offset, "%u words and %u descriptors don't fit into %u bytes",
                     record->words, record->fds, record->size);
    if (!check_memory(index, start + head, start + record->size))
        return false;
    if (record->leave == 0)
        return true;
    head = record->leave_fds * sizeof(struct trace_fd);
    if (record->leave_size % 8 != 0 || record->leave_size > TRACE_RECORD_MAX ||
        record->leave_size > left - record->size || head > record->leave_size)
        return wrong(index, offset, "an end of %u bytes with %u descriptors can't be",
                     record->leave_size, record->leave_fds);
    return check_memory(index, start + record->size + head,
                        start + record->size + record->leave_size);
}

static bool add_resumed(struct index *index, uint32_t task, const struct trace_record *record)
{
    if (record->words != 1 || record->leave == 0)
        return wrong(index, (uint64_t)((const char *)record - index->map),
                     "the end of a record that says not of which");
    if (!grow(index, (void **)&index->resumed, index->resumed_count, sizeof *index->resumed))
        return false;
    index->resumed[index->resumed_count++] = (struct index_resumed){
        .task = task, .number = *(const uint64_t *)(const void *)(record + 1), .record = record
    };
    return true;
}

static bool add_object(struct index *index, const struct trace_record *record)
{
    if (!grow(index, (void **)&index->objects, index->object_count, sizeof *index->objects))
        return false;
    index->objects[index->object_count++] =
        (struct index_object){ .ticks = record->enter, .object = (const void *)(record + 1) };
    return true;
}

static void note_start(struct trace_task *task, const struct trace_record *record)
{
    const struct trace_start *start = (const void *)(record + 1);

    task->pid = start->pid;
    task->tid = start->tid;
    task->parent = start->parent;
    task->birth = start->birth <= TRACE_BIRTH_THREAD ? start->birth : TRACE_BIRTH_FIRST;
    task->cid = start->cid;
    memcpy(task->program, start->program, sizeof start->program);
}

static bool note_record(struct index *index, struct index_task *task, uint64_t number,
                        const struct trace_record *record)
{
    if (number == 0 || task->task.first_ns == 0)
        task->task.first_ns = index_ns(index, record->enter);
    switch (record->kind) {
    case TRACE_CALL: task->last_call = number; return true;
    case TRACE_TASK: note_start(&task->task, record); return true;
    case TRACE_EXIT: task->task.ended = true; return true;
    case TRACE_OBJECT: return add_object(index, record);
    case TRACE_RESUMED: return add_resumed(index, task->task.number, record);
    default: return true;
    }
}

/* A window's last record may reach beyond what is said to be used: see trace_format.h. */
static bool walk_piece(struct index *index, struct index_task *task, struct index_piece *piece)
{
    const struct trace_piece *header =
        (const void *)(index->map + piece->offset - sizeof(struct trace_piece));
    const uint64_t in_file = index->size - piece->offset;
    const uint64_t room = piece->is_window ? header->room : piece->used;
    const uint64_t most = room < in_file ? room : in_file;
    uint64_t at = 0;

    for (uint64_t number = piece->first; at < piece->used; number++) {
        const struct trace_record *record = index_record(index, piece->offset + at);

        if (!check_record(index, piece->offset + at, most - at) ||
            !note_record(index, task, number, record))
            return false;
        at += index_length(record);
        index->info.records++;
    }
    piece->used = (uint32_t)at;
    return true;
}

static bool find_tasks(struct index *index)
{
    for (size_t i = 0; i < index->piece_count; i++) {
        struct index_piece *piece = &index->pieces[i];
        const struct trace_piece *header =
            (const void *)(index->map + piece->offset - sizeof(struct trace_piece));

        if (i == 0 || piece->task != index->pieces[i - 1].task) {
            if (!grow(index, (void **)&index->tasks, index->task_count, sizeof *index->tasks))
                return false;
            index->tasks[index->task_count++] = (struct index_task){
                .task = { .number = piece->task, .pid = header->pid, .tid = header->tid },
                .pieces = i
            };
        }
        index->tasks[index->task_count - 1].piece_count++;
    }
    for (size_t i = 0; i < index->task_count; i++) {
        for (size_t p = 0; p < index->tasks[i].piece_count; p++) {
            if (!walk_piece(index, &index->tasks[i], &index->pieces[index->tasks[i].pieces + p]))
                return false;
        }
    }
    return true;
}

static int compare_resumed(const void *a, const void *b)
{
    const struct index_resumed *left = a;
    const struct index_resumed *right = b;

    if (left->task != right->task)
        return left->task < right->task ? -1 : 1;
    return left->number < right->number ? -1 : left->number > right->number;
}

static int compare_objects(const void *a, const void *b)
{
    const struct index_object *left = a;
    const struct index_object *right = b;

    if (left->object->description != right->object->description)
        return left->object->description < right->object->description ? -1 : 1;
    if (left->object->generation != right->object->generation)
        return left->object->generation < right->object->generation ? -1 : 1;
    return left->ticks < right->ticks ? -1 : left->ticks > right->ticks;
}

bool index_open(struct index *index, const char *path)
{
    index->path = path;
    if (!map_file(index) || !read_header(index) || !find_pieces(index))
        return false;
    drop_copies(index);
    if (!find_tasks(index))
        return false;
    if (index->resumed_count > 0)
        qsort(index->resumed, index->resumed_count, sizeof *index->resumed, compare_resumed);
    if (index->object_count > 0)
        qsort(index->objects, index->object_count, sizeof *index->objects, compare_objects);
    return true;
}

void index_close(struct index *index)
{
    if (index->map != NULL)
        munmap((void *)(uintptr_t)index->map, index->size);
    free(index->pieces);
    free(index->tasks);
    free(index->resumed);
    free(index->objects);
}

uint64_t index_ns(const struct index *index, uint64_t ticks)
{
    const struct trace_file_header *header = index->header;
    const double since = ticks >= header->start_ticks ? (double)(ticks - header->start_ticks)
                                                      : -(double)(header->start_ticks - ticks);
    const double ns = since / index->info.ticks_per_ns;

    if (ns < 0)
        return -ns < (double)header->start_realtime_ns ? header->start_realtime_ns - (uint64_t)-ns
                                                       : 0;
    return ns < 9e18 ? header->start_realtime_ns + (uint64_t)ns : UINT64_MAX;
}
