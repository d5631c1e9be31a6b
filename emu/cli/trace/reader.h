/*
 * reader.h - a recorded run (docs/TRACE_FORMAT.md), as events in the order in which they happened
 *
 * trace_open() maps DIR/log, checks all of it and finds what belongs together; after that nothing
 * can fail. What these structs point to stays until trace_close(), but for struct trace_call.
 *
 * Order: by time stamp. Of each call there are two events, when it was entered and when it was
 * left; what fell between the two happened while it ran. All that is known of the call, its end as
 * well, is in both.
 */
#ifndef TRACE_READER_H
#define TRACE_READER_H

#include "trace_format.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trace;

/* A thread, or a process: one image of it. */
struct trace_task {
    uint32_t number; /* from 1 on */
    int32_t pid;
    int32_t tid;
    int32_t parent; /* pid; 0: unknown */
    enum trace_birth birth;
    uint32_t cid; /* of AF_VSOCK */
    char program[17];
    uint64_t first_ns; /* CLOCK_REALTIME: its first record */
    bool ended;        /* it has a TRACE_EXIT: else it was killed, or has exec'd, or runs still */
};

enum trace_when { TRACE_AT_ENTER = 1, TRACE_AT_LEAVE = 2 };

struct trace_chunk {
    uint64_t address;
    const void *data; /* NULL when size is 0; aligned to 8 */
    size_t size;      /* bytes that are here */
    size_t total;     /* bytes that there were */
    enum trace_what what;
    enum trace_when when;
    bool fault; /* a bad pointer */
};

/* A record, whole: what it began with, and what it ended with if it did. */
struct trace_call {
    const struct trace_task *task;
    uint64_t number; /* of the record in its task */
    enum trace_kind kind;
    uint32_t call;     /* enum emu_call_id; EMU_CALL_NONE: of another build, see name */
    const char *name;  /* "read"; "" when it is no TRACE_CALL */
    uint64_t enter_ns; /* CLOCK_REALTIME */
    uint64_t leave_ns;
    bool left; /* false: it was never left (killed, or blocked until the end of the recording) */
    bool slept;
    bool native;    /* TRACE_NATIVE */
    bool by_kernel; /* TRACE_BY_KERNEL */
    bool cut;       /* TRACE_CUT */
    bool abandoned; /* never left, and its task went on: by a jump, an exception, cancellation */
    int64_t result;
    uint64_t words[TRACE_WORDS_MAX];
    unsigned word_count;
    const struct trace_fd *fds; /* given */
    size_t fd_count;
    const struct trace_fd *new_fds; /* made: the result, a pair, what came with a message */
    size_t new_fd_count;
    const struct trace_chunk *chunks; /* those of the enter first */
    size_t chunk_count;
};

/* The chunk that begins at `address` and was seen then; NULL: there is none. */
const struct trace_chunk *trace_chunk_find(const struct trace_call *call, uint64_t address,
                                           enum trace_when when);

/* What the descriptor stood for (by fd among those given, then those made); NULL: not named. */
const struct trace_fd *trace_fd_find(const struct trace_call *call, int fd);

struct trace_event {
    const struct trace_call *call; /* stays while it is entered and not left, and until the next
                                      trace_next() after its last event */
    enum trace_when when;          /* records without an end have one event, TRACE_AT_ENTER */
    bool whole; /* TRACE_AT_ENTER: the next event is this call's TRACE_AT_LEAVE */
};

/* What is known of a run as a whole. */
struct trace_info {
    uint64_t start_ns; /* CLOCK_REALTIME */
    enum trace_clock clock;
    double ticks_per_ns;
    uint32_t data_limit;
    enum trace_stopped stopped;
    int error;
    uint64_t records;
    uint64_t pieces_torn; /* pieces of which not all could be read: a kill in the middle */
};

/*
 * Opens the recording in `path`: a folder that --record was given, or its log.
 *
 * Returns NULL and a message in `ret_why`: "FILE: offset N: what is wrong", or "FILE: strerror".
 */
struct trace *trace_open(const char *path, char *ret_why, size_t why_size);
void trace_close(struct trace *trace);

const struct trace_info *trace_info(const struct trace *trace);

/* The i-th task, by number; NULL behind the last. */
const struct trace_task *trace_task_get(const struct trace *trace, size_t index);

/*
 * What a description was: the latest state of it that was recorded up to `ns` (UINT64_MAX: at all),
 * else the first one. NULL: unknown.
 */
const struct trace_object *trace_object_find(const struct trace *trace, uint32_t description,
                                             uint32_t generation, uint64_t ns);

/* Begins again with the first event. */
void trace_rewind(struct trace *trace);

/* The next event. False: there are no more. */
bool trace_next(struct trace *trace, struct trace_event *ret_event);

#endif
