/*
 * test_trace_reader.c - reading a recorded run: order, ends that stand elsewhere, what a kill
 * leaves, and files that are no recording
 *
 * The files are made here, byte for byte, so that each case is what it says.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emu.h"
#include "trace/reader.h"

enum { ROOM = 64 * 1024, SESSION = 77, START = 1000 };

/* A file that is being made. */
struct file {
    _Alignas(8) char bytes[ROOM];
    size_t size;
    char path[64];
    char why[200];
};

static struct file file; /* large */

static void put(const void *data, size_t size)
{
    cr_assert(file.size + size <= sizeof file.bytes);
    memcpy(file.bytes + file.size, data, size);
    file.size += size;
}

static void to_block(void)
{
    file.size = (file.size + TRACE_BLOCK - 1) / TRACE_BLOCK * TRACE_BLOCK;
}

static void begin(void)
{
    static const char names[] = "\0read\0write\0nonsense";
    const struct trace_file_header header = { .magic = TRACE_MAGIC,
                                              .version = TRACE_VERSION,
                                              .size = TRACE_BLOCK,
                                              .session = SESSION,
                                              .clock = TRACE_CLOCK_MONOTONIC,
                                              .start_ticks = START,
                                              .start_monotonic_ns = START,
                                              .start_realtime_ns = START,
                                              .call_count = 4,
                                              .names_size = sizeof names };

    memset(&file, 0, sizeof file);
    put(&header, sizeof header);
    put(names, sizeof names);
    to_block();
}

static struct trace_piece *piece(uint32_t task, uint64_t first, bool is_window)
{
    const struct trace_piece header = { .magic = TRACE_PIECE_MAGIC,
                                        .session = SESSION,
                                        .offset = file.size,
                                        .task = task,
                                        .pid = (int32_t)task,
                                        .tid = (int32_t)task,
                                        .is_window = is_window,
                                        .first = first,
                                        .room = TRACE_BLOCK - sizeof header,
                                        .ticks = START,
                                        .monotonic_ns = START };
    struct trace_piece *at = (void *)(file.bytes + file.size);

    put(&header, sizeof header);
    return at;
}

static void end_piece(struct trace_piece *at)
{
    at->used = (uint32_t)(file.bytes + file.size - (char *)(at + 1));
    to_block();
}

/* A read of `bytes` bytes of `text`; `leave` 0: it wasn't left. */
static struct trace_record *call(uint64_t enter, uint64_t leave, const char *text)
{
    const uint64_t words[3] = { 5, 0x1000, 100 };
    const struct trace_fd fd = { .fd = 5, .description = 9, .generation = 2, .kind = 1 };
    struct trace_memory memory = { .address = 0x1000, .what = TRACE_BYTES };
    struct trace_record *record = (void *)(file.bytes + file.size);
    struct trace_record head = { .kind = TRACE_CALL, .call = 1, .words = 3, .fds = 1 };

    head.enter = enter;
    head.size = sizeof head + sizeof words + sizeof fd;
    put(&head, sizeof head);
    put(words, sizeof words);
    put(&fd, sizeof fd);
    if (leave == 0)
        return record;
    memory.size = (uint16_t)strlen(text);
    memory.total = memory.size;
    put(&memory, sizeof memory);
    put(text, strlen(text));
    file.size = (file.size + 7) & ~(size_t)7;
    record->leave_size = (uint32_t)(file.bytes + file.size - (char *)record) - record->size;
    record->result = (int64_t)strlen(text);
    record->leave = leave;
    return record;
}

static struct trace *read_back(void)
{
    struct trace *trace;
    int fd;

    snprintf(file.path, sizeof file.path, "/tmp/sockrig-unit-trace-XXXXXX");
    fd = mkstemp(file.path);
    cr_assert(fd >= 0);
    cr_assert(write(fd, file.bytes, file.size) == (ssize_t)file.size);
    close(fd);
    file.why[0] = '\0';
    trace = trace_open(file.path, file.why, sizeof file.why);
    unlink(file.path);
    return trace;
}

/* The events as text: "1e5 2e1 ...": task, enter or leave, number; * where it is whole. */
static const char *story(struct trace *trace)
{
    static char text[4096];
    struct trace_event event;
    size_t used = 0;

    text[0] = '\0';
    while (trace_next(trace, &event) && used < sizeof text - 32)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%u%c%llu%s",
                                 used > 0 ? " " : "", event.call->task->number,
                                 event.when == TRACE_AT_ENTER ? 'e' : 'l',
                                 (unsigned long long)event.call->number, event.whole ? "*" : "");
    return text;
}

Test(trace_reader, a_call)
{
    struct trace *trace;
    struct trace_event event;

    begin();
    struct trace_piece *one = piece(1, 0, true);
    call(2000, 2010, "hello");
    end_piece(one);
    trace = read_back();
    cr_assert(trace, "%s", file.why);
    cr_assert(trace_next(trace, &event));
    cr_assert(event.whole && event.when == TRACE_AT_ENTER);
    cr_assert_eq(event.call->call, EMU_CALL_read);
    cr_assert_str_eq(event.call->name, "read");
    cr_assert(event.call->left);
    cr_assert_eq(event.call->result, 5);
    cr_assert_eq(event.call->enter_ns, 2000);
    cr_assert_eq(event.call->leave_ns, 2010);
    cr_assert_eq(event.call->word_count, 3);
    cr_assert_eq(event.call->words[2], 100);
    cr_assert_eq(trace_fd_find(event.call, 5)->description, 9);
    cr_assert_null(trace_fd_find(event.call, 6));
    cr_assert_null(trace_chunk_find(event.call, 0x1000, TRACE_AT_ENTER));
    const struct trace_chunk *chunk = trace_chunk_find(event.call, 0x1000, TRACE_AT_LEAVE);
    cr_assert(chunk && chunk->size == 5 && memcmp(chunk->data, "hello", 5) == 0);
    cr_assert(trace_next(trace, &event) && event.when == TRACE_AT_LEAVE);
    cr_assert_not(trace_next(trace, &event));
    trace_close(trace);
}

Test(trace_reader, tasks_in_order)
{
    begin();
    struct trace_piece *one = piece(1, 0, false);
    call(2000, 2010, "a");
    call(2020, 2060, "b");
    end_piece(one);
    struct trace_piece *more = piece(1, 2, true);
    call(2070, 2080, "c");
    end_piece(more);
    struct trace_piece *two = piece(2, 0, true);
    call(2030, 2040, "d");
    call(2050, 2075, "e");
    end_piece(two);
    struct trace *trace = read_back();
    cr_assert(trace, "%s", file.why);
    cr_assert_str_eq(story(trace), "1e0* 1l0 1e1 2e0* 2l0 2e1 1l1 1e2 2l1 1l2");
    trace_rewind(trace);
    cr_assert_str_eq(story(trace), "1e0* 1l0 1e1 2e0* 2l0 2e1 1l1 1e2 2l1 1l2");
    trace_close(trace);
}

Test(trace_reader, an_end_elsewhere)
{
    begin();
    struct trace_piece *one = piece(1, 0, true);
    call(2000, 0, NULL);
    call(2010, 2020, "in a handler");
    struct trace_record *end = (void *)(file.bytes + file.size);
    const struct trace_record head = { .kind = TRACE_RESUMED, .words = 1, .size = sizeof head + 8 };
    const uint64_t number = 0;
    put(&head, sizeof head);
    put(&number, sizeof number);
    end->enter = 2030;
    end->leave = 2030;
    end->result = -4;
    end_piece(one);
    struct trace *trace = read_back();
    struct trace_event event;
    cr_assert(trace, "%s", file.why);
    cr_assert(trace_next(trace, &event));
    cr_assert(event.call->left && event.call->result == -4 && event.call->leave_ns == 2030);
    cr_assert_not(event.call->abandoned);
    trace_rewind(trace);
    cr_assert_str_eq(story(trace), "1e0 1e1* 1l1 1l0");
    trace_close(trace);
}

Test(trace_reader, a_call_that_was_left_by_a_jump)
{
    struct trace_event event;

    begin();
    struct trace_piece *one = piece(1, 0, true);
    call(2000, 0, NULL);
    call(2010, 2020, "x");
    call(2030, 0, NULL);
    end_piece(one);
    struct trace *trace = read_back();
    cr_assert(trace, "%s", file.why);
    cr_assert(trace_next(trace, &event) && event.call->abandoned && !event.call->left);
    trace_rewind(trace);
    cr_assert_str_eq(story(trace), "1e0 1e1* 1l1 1e2");
    trace_close(trace);
}

/* Killed while the window was copied: the copy holds the same records, or zeros for some. */
Test(trace_reader, a_window_beside_its_copy)
{
    begin();
    struct trace_piece *window = piece(1, 0, true);
    call(2000, 2010, "a");
    call(2020, 2030, "b");
    end_piece(window);
    struct trace_piece *copy = piece(1, 0, false);
    call(2000, 2010, "a");
    memset(file.bytes + file.size, 0, 128);
    file.size += 128;
    end_piece(copy);
    struct trace *trace = read_back();
    cr_assert(trace, "%s", file.why);
    cr_assert_str_eq(story(trace), "1e0* 1l0 1e1* 1l1");
    cr_assert_eq(trace_info(trace)->records, 2);
    trace_close(trace);
}

/* Killed between the store of `leave` and that of `used`. */
Test(trace_reader, an_end_beyond_what_is_used)
{
    begin();
    struct trace_piece *one = piece(1, 0, true);
    struct trace_record *record = call(2000, 2010, "whole");
    end_piece(one);
    one->used = record->size;
    struct trace *trace = read_back();
    struct trace_event event;
    cr_assert(trace, "%s", file.why);
    cr_assert(trace_next(trace, &event) && event.call->left && event.call->chunk_count == 1);
    trace_close(trace);
    record->leave = 0; /* killed before that: what stands behind it is nothing yet */
    trace = read_back();
    cr_assert(trace, "%s", file.why);
    cr_assert(trace_next(trace, &event) && !event.call->left && event.call->chunk_count == 0);
    trace_close(trace);
}

Test(trace_reader, what_a_description_was)
{
    struct trace_object object = { .description = 9, .generation = 2, .kind = 3, .connected = 0 };
    struct trace_record head = { .kind = TRACE_OBJECT, .size = sizeof head + sizeof object };

    begin();
    struct trace_piece *one = piece(1, 0, true);
    head.enter = 3000;
    put(&head, sizeof head);
    put(&object, sizeof object);
    head.enter = 4000;
    object.connected = 1;
    put(&head, sizeof head);
    put(&object, sizeof object);
    end_piece(one);
    struct trace *trace = read_back();
    cr_assert(trace, "%s", file.why);
    cr_assert_eq(trace_object_find(trace, 9, 2, 2000)->connected, 0, "the first one, if earlier");
    cr_assert_eq(trace_object_find(trace, 9, 2, 3500)->connected, 0);
    cr_assert_eq(trace_object_find(trace, 9, 2, UINT64_MAX)->connected, 1);
    cr_assert_null(trace_object_find(trace, 9, 3, UINT64_MAX));
    cr_assert_null(trace_object_find(trace, 8, 2, UINT64_MAX));
    cr_assert_str_eq(story(trace), "", "they are no events");
    trace_close(trace);
}

/* Pieces, a hole in between, and every kind of part. */
static void make_all(void)
{
    begin();
    struct trace_piece *one = piece(1, 0, false);
    call(2000, 2010, "a");
    call(2020, 0, NULL);
    end_piece(one);
    file.size += TRACE_BLOCK;
    struct trace_piece *two = piece(2, 0, true);
    call(2005, 2025, "bcdefghi");
    end_piece(two);
}

static void expect_error(const char *text)
{
    struct trace *trace = read_back();

    cr_assert_null(trace);
    cr_assert(strstr(file.why, text), "\"%s\" in: %s", text, file.why);
    cr_assert_eq(strncmp(file.why, file.path, strlen(file.path)), 0, "%s", file.why);
}

Test(trace_reader, says_what_is_wrong)
{
    struct trace_file_header *header = (void *)file.bytes;
    struct trace_piece *first = (void *)(file.bytes + TRACE_BLOCK);
    struct trace_record *record = (void *)(first + 1);

    make_all();
    file.size = 10;
    expect_error("offset 0: no recording");
    make_all();
    header->magic[0] = 'x';
    expect_error("offset 0: no recording of sockrig's");
    make_all();
    header->version = 99;
    expect_error("version 99");
    make_all();
    header->names_size = 3;
    expect_error("the names of calls");
    make_all();
    first->used = first->room + 8;
    expect_error("offset 4096: a piece of task 1");
    make_all();
    record->size = 0;
    expect_error("offset 4168: a record of 0 bytes");
    make_all();
    record->kind = TRACE_KINDS;
    expect_error("a record of kind");
    make_all();
    record->fds = 1000;
    expect_error("1000 descriptors don't fit");
    make_all();
    record->leave_size = 1u << 20;
    expect_error("an end of 1048576 bytes");
    make_all();
    ((struct trace_memory *)(void *)((char *)record + record->size))->size = 60000;
    expect_error("memory of kind 0 with 60000 bytes");
    make_all();
    ((struct trace_memory *)(void *)((char *)record + record->size))->total = 0;
    expect_error("bytes of memory that has 0");
}

/* Any prefix, and any byte changed: read, or refused with a message; nothing else. */
Test(trace_reader, survives_anything, .timeout = 60)
{
    static char whole[ROOM];

    make_all();
    const size_t size = file.size;
    memcpy(whole, file.bytes, size);
    for (size_t at = 0; at < size; at += at % TRACE_BLOCK < 400 ? 1 : 97) {
        for (int way = 0; way < 3; way++) {
            memcpy(file.bytes, whole, size);
            file.size = way == 0 ? at : size;
            file.bytes[at] ^= way == 0 ? 0 : way == 1 ? (char)0xff : 1 << (at % 8);
            struct trace *trace = read_back();
            if (trace) {
                story(trace);
                trace_object_find(trace, 9, 2, UINT64_MAX);
                trace_close(trace);
            } else {
                cr_assert(strlen(file.why) > 0);
            }
        }
    }
}
