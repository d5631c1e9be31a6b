/*
 * fuzz_record.c - any bytes as a recorded run: events that can all be read, or a message
 *
 * Run by tests/fuzz/parsers/run. The reader maps a file by its name, so each input goes into a
 * memory file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "trace/reader.h"

#define MOST_EVENTS 1000000 /* more than the records of the longest input */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int input = -1;
static char path[64];
static volatile unsigned seen;

static void check_line(bool holds, int line)
{
    if (holds)
        return;
    fprintf(stderr, "%s:%d doesn't hold\n", __FILE__, line);
    abort();
}
#define check(what) check_line(what, __LINE__)

static void look_at(const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        seen += ((const uint8_t *)bytes)[i];
}

static void check_fds(const struct trace *trace, const struct trace_fd *fds, size_t count,
                      uint64_t time_ns)
{
    check(count <= TRACE_FDS_MAX);
    look_at(fds, count * sizeof(*fds));
    for (size_t i = 0; i < count; i++) {
        const struct trace_object *object = trace_object_find(trace, fds[i].description,
                                                              fds[i].generation, time_ns);

        if (object)
            look_at(object, sizeof(*object));
    }
}

static void check_call(const struct trace *trace, const struct trace_call *call)
{
    check(call && call->task && call->name);
    check(call->kind < TRACE_KINDS && call->word_count <= TRACE_WORDS_MAX);
    check(!call->left || call->leave_ns >= call->enter_ns);
    look_at(call->name, strlen(call->name));
    look_at(call->task->program, strnlen(call->task->program, sizeof(call->task->program)));
    check_fds(trace, call->fds, call->fd_count, call->enter_ns);
    check_fds(trace, call->new_fds, call->new_fd_count, call->leave_ns);
    for (size_t i = 0; i < call->chunk_count; i++) {
        const struct trace_chunk *chunk = &call->chunks[i];
        const struct trace_chunk *found = trace_chunk_find(call, chunk->address, chunk->when);

        check(found && found->address == chunk->address && found->when == chunk->when);
        check(chunk->size <= chunk->total && chunk->what < TRACE_WHATS);
        look_at(chunk->data, chunk->size);
    }
    if (call->fd_count > 0)
        check(trace_fd_find(call, call->fds[0].fd) != NULL);
}

/* Each call's enter comes before its leave. A file's times may lie, so nothing else is sure. */
static void check_events(struct trace *trace)
{
    struct trace_event event;
    size_t count = 0;

    while (trace_next(trace, &event)) {
        check_call(trace, event.call);
        check(event.when == TRACE_AT_ENTER || (event.when == TRACE_AT_LEAVE && event.call->left));
        check(++count < MOST_EVENTS);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[300] = "";
    struct trace *trace;

    if (input < 0) {
        input = memfd_create("record", MFD_CLOEXEC);
        check(input >= 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", input);
    }
    check(ftruncate(input, 0) == 0 && pwrite(input, data, size, 0) == (ssize_t)size);
    trace = trace_open(path, why, sizeof(why));
    if (!trace) {
        check(why[0] != '\0' && memchr(why, '\0', sizeof(why)) != NULL);
        return 0;
    }
    look_at(trace_info(trace), sizeof(struct trace_info));
    check_events(trace);
    trace_rewind(trace);
    check_events(trace);
    check(trace_task_get(trace, SIZE_MAX) == NULL);
    trace_close(trace);
    return 0;
}
