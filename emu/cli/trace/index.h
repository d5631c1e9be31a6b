/*
 * index.h - a recording's file, checked, and what is found in it: what reader.c walks
 */
#ifndef TRACE_INDEX_H
#define TRACE_INDEX_H

#include "trace/reader.h"

/* Records of one task that stand behind each other. */
struct index_piece {
    uint64_t offset; /* of the first record, in the file */
    uint64_t first;  /* its number */
    uint32_t used;   /* bytes of them */
    uint32_t task;
    bool is_window;
};

/* The end of a record that stands elsewhere. */
struct index_resumed {
    uint32_t task;
    uint64_t number; /* of the record that it ends */
    const struct trace_record *record;
};

struct index_object {
    uint64_t ticks;
    const struct trace_object *object;
};

struct index_task {
    struct trace_task task;
    size_t pieces; /* index of the first, ... */
    size_t piece_count;
    uint64_t last_call; /* number of its last TRACE_CALL */
};

struct index {
    const char *path;
    const char *map;
    size_t size;
    const struct trace_file_header *header;
    const char *names[256]; /* of calls, by the file's numbers */
    uint32_t calls[256];    /* enum emu_call_id of them */
    struct trace_info info;
    struct index_piece *pieces; /* by task, then by number */
    size_t piece_count;
    struct index_task *tasks; /* by number */
    size_t task_count;
    struct index_resumed *resumed; /* by task, then by number */
    size_t resumed_count;
    struct index_object *objects; /* by description, generation, time */
    size_t object_count;
    char *why;
    size_t why_size;
};

/*
 * Maps the log at `path` and checks all of it. Whatever stands in the file, every record, word,
 * descriptor and chunk that can be reached from here lies within it.
 *
 * Returns false, and a message in index->why. After: index_close() in any case.
 */
bool index_open(struct index *index, const char *path);
void index_close(struct index *index);

/* CLOCK_REALTIME of a time stamp. */
uint64_t index_ns(const struct index *index, uint64_t ticks);

static inline const struct trace_record *index_record(const struct index *index, uint64_t offset)
{
    return (const struct trace_record *)(const void *)(index->map + offset);
}

/* Bytes up to the next record. */
static inline uint64_t index_length(const struct trace_record *record)
{
    return record->leave != 0 ? (uint64_t)record->size + record->leave_size : record->size;
}

#endif
