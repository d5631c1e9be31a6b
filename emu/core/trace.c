/*
 * trace.c - see trace.h
 *
 * How a kill at any instruction leaves the file readable: a record is written behind `used`, which
 * moves over it by one store. What ends a record is written behind it, then `leave`, then `used`.
 * A full window is copied before `used` says that it is empty; so a reader may meet the same
 * records twice, and knows it by their numbers.
 */
#include "trace.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define ZEROS 4096u /* a new window is written in parts of so many bytes */

static struct trace_piece *window_of(const struct emu_task *self)
{
    return self->trace_window;
}

static char *records_of(struct trace_piece *window)
{
    return (char *)(window + 1);
}

/* The guest may have closed the log past us, and opened a file of its own under that number. */
static bool log_stands(void)
{
    return trace_file_of(arena->header.hidden.log) == trace_control()->file;
}

/* No more is recorded by anybody. */
static void stop(enum trace_stopped why, int error)
{
    struct trace_control *control = trace_control();
    uint32_t on = TRACE_COMPLETE;
    struct iovec iov[1];
    uint32_t words[2] = { why, (uint32_t)error };

    if (!atomic_compare_exchange_strong(&control->stopped, &on, why)) {
        return;
    }
    atomic_store(&control->error, error);
    if (!log_stands()) {
        return;
    }
    iov[0] = (struct iovec){ words, sizeof words };
    host_syscall(SYS_pwritev, arena->header.hidden.log, (long)iov, 1,
                 offsetof(struct trace_file_header, stopped), 0, 0);
}

static bool is_stopped(void)
{
    return atomic_load_explicit(&trace_control()->stopped, memory_order_relaxed) != TRACE_COMPLETE;
}

/* Room at the end of the file; 0: there is none, and recording has stopped. */
static uint64_t take_room(uint64_t size)
{
    struct trace_control *control = trace_control();
    uint64_t room = (size + TRACE_BLOCK - 1) & ~(uint64_t)(TRACE_BLOCK - 1);
    uint64_t at = atomic_fetch_add(&control->end, room);

    if (at + room > control->limit) {
        stop(TRACE_STOPPED_SIZE, 0);
        return 0;
    }
    return at;
}

/* Writes all of it, or stops recording. */
static bool write_out(const struct iovec *iov, int count, uint64_t offset)
{
    int64_t size = 0;
    int64_t rc;

    if (!log_stands()) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        size += (int64_t)iov[i].iov_len;
    }
    rc = host_syscall(SYS_pwritev, arena->header.hidden.log, (long)iov, count, (long)offset, 0, 0);
    if (rc != size) {
        stop(TRACE_STOPPED_SPACE, rc < 0 ? (int)-rc : ENOSPC);
    }
    return rc == size;
}

/* Blocks that the file system has promised: a store into the mapping shall not be SIGBUS. */
static uint64_t make_window(unsigned large)
{
    static const char zeros[ZEROS];
    struct iovec iov[16];
    uint32_t size = trace_control()->window[large];
    uint64_t offset = take_room(size);

    for (size_t i = 0; i < sizeof iov / sizeof iov[0]; i++) {
        iov[i] = (struct iovec){ (void *)(uintptr_t)zeros, sizeof zeros };
    }
    for (uint32_t done = 0; offset != 0 && done < size;
         done += sizeof iov / sizeof iov[0] * ZEROS) {
        if (!write_out(iov, sizeof iov / sizeof iov[0], offset + done)) {
            return 0;
        }
    }
    return offset;
}

static uint64_t take_window(unsigned large)
{
    struct trace_control *control = trace_control();

    for (size_t i = 0; i < TRACE_FREE_WINDOWS; i++) {
        if (atomic_load_explicit(&control->free[large][i], memory_order_relaxed) != 0) {
            uint64_t offset = atomic_exchange(&control->free[large][i], 0);

            if (offset != 0) {
                return offset;
            }
        }
    }
    return make_window(large);
}

/* Who finds no place leaves the window in the file, empty. */
static void give_window(uint64_t offset, unsigned large)
{
    struct trace_control *control = trace_control();

    for (size_t i = 0; i < TRACE_FREE_WINDOWS; i++) {
        uint64_t none = 0;

        if (atomic_load_explicit(&control->free[large][i], memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong(&control->free[large][i], &none, offset)) {
            return;
        }
    }
}

static void set_moment(struct trace_piece *piece)
{
    piece->ticks = trace_ticks_before();
    piece->monotonic_ns = host_now_ns();
}

/*
 * Gives the task a window: a small one first, since most tasks do little, and then one that makes
 * copying cheap.
 */
static bool open_window(struct emu_task *self, unsigned large)
{
    struct trace_control *control = trace_control();
    uint64_t offset = is_stopped() || !log_stands() ? 0 : take_window(large);
    struct trace_piece *window;
    int64_t at;

    if (offset == 0) {
        return false;
    }
    at = host_syscall(SYS_mmap, 0, control->window[large], PROT_READ | PROT_WRITE, MAP_SHARED,
                      arena->header.hidden.log, (long)offset);
    if (at <= 0) {
        give_window(offset, large);
        return false;
    }
    window = (struct trace_piece *)(uintptr_t)at;
    /* A child of ours has a window of its own. */
    host_syscall(SYS_madvise, at, control->window[large], MADV_DONTFORK, 0, 0, 0);
    window->used = 0;
    if (self->trace_task == 0) {
        self->trace_task = atomic_fetch_add(&control->tasks, 1) + 1;
    }
    *window = (struct trace_piece){
        .magic = TRACE_PIECE_MAGIC,
        .session = control->session,
        .offset = offset,
        .task = self->trace_task,
        .pid = self->process->pid,
        .tid = (int32_t)self->tid,
        .is_window = 1,
        .first = self->trace_number,
        .room = control->window[large] - (uint32_t)sizeof *window,
    };
    set_moment(window);
    self->trace_window = window;
    return true;
}

/* Copies what stands in the window to the end of the file, and empties it. */
static bool flush(struct emu_task *self)
{
    struct trace_piece *window = window_of(self);
    struct trace_piece piece = *window;
    struct iovec iov[2];

    if (piece.used == 0) {
        return true;
    }
    piece.is_window = 0;
    piece.room = piece.used;
    piece.offset = take_room(sizeof piece + piece.used);
    set_moment(&piece);
    iov[0] = (struct iovec){ &piece, sizeof piece };
    iov[1] = (struct iovec){ records_of(window), piece.used };
    if (piece.offset == 0 || !write_out(iov, 2, piece.offset)) {
        return false;
    }
    atomic_store_explicit((_Atomic uint32_t *)&window->used, 0, memory_order_release);
    window->first = self->trace_number;
    return true;
}

static bool is_large(const struct trace_piece *window)
{
    return window->room > trace_control()->window[0];
}

static void close_window(struct emu_task *self)
{
    struct trace_piece *window = window_of(self);
    uint64_t offset = window->offset;
    unsigned large = is_large(window);
    bool whole = flush(self);

    self->trace_window = NULL;
    host_memory_unmap(window, trace_control()->window[large]);
    if (whole) {
        give_window(offset, large);
    }
}

void trace_let_go(struct emu_task *self)
{
    if (self->trace_window) {
        close_window(self);
    }
}

/* What a task's first record says of it. */
static void begin_task(struct emu_task *self)
{
    struct trace_writer writer;
    struct emu_trace_open open;
    struct trace_start *start;

    self->trace_begun = true;
    if (!trace_begin(self, TRACE_TASK, &writer)) {
        return;
    }
    start = trace_put(&writer, sizeof *start);
    *start = (struct trace_start){
        .pid = self->process->pid,
        .tid = (int32_t)self->tid,
        .parent = (int32_t)host_syscall(SYS_getppid, 0, 0, 0, 0, 0, 0),
        .birth = self->tid == (uint32_t)self->process->pid ? self->process->trace_birth
                                                           : TRACE_BIRTH_THREAD,
        .cid = emu_process_cid(self),
    };
    host_program(start->program);
    trace_publish(self, &writer, &open);
}

/* The slow part of what begins a record. */
static bool make_ready(struct emu_task *self)
{
    bool large = self->trace_window != NULL;

    if (large && (!flush(self) || !is_large(window_of(self)))) {
        trace_let_go(self);
    }
    if (!self->trace_window && !open_window(self, large)) {
        atomic_fetch_add_explicit(&trace_control()->lost, 1, memory_order_relaxed);
        return false;
    }
    if (!self->trace_begun) {
        begin_task(self);
    }
    return true;
}

bool trace_begin(struct emu_task *self, enum trace_kind kind, struct trace_writer *ret_writer)
{
    struct trace_piece *window = window_of(self);
    struct trace_record *record;
    uint32_t side = trace_control()->side;

    if (EMU_UNLIKELY(!window || window->room - window->used < 2 * side)) {
        if (!make_ready(self)) {
            return false;
        }
        window = window_of(self);
    }
    record = (struct trace_record *)(void *)(records_of(window) + window->used);
    *record = (struct trace_record){ .kind = (uint8_t)kind };
    *ret_writer = (struct trace_writer){ record, &record->fds, (char *)(record + 1),
                                         (char *)record + side };
    return true;
}

/* The window is valid up to here. */
static void move_used(struct trace_piece *window, const char *end)
{
    atomic_store_explicit((_Atomic uint32_t *)&window->used, (uint32_t)(end - records_of(window)),
                          memory_order_release);
}

void trace_publish(struct emu_task *self, struct trace_writer *writer,
                   struct emu_trace_open *ret_open)
{
    struct trace_piece *window = window_of(self);
    struct trace_record *record = writer->record;

    ret_open->number = self->trace_number++;
    ret_open->at = (uint32_t)((char *)record - records_of(window));
    record->size = (uint32_t)(writer->at - (char *)record);
    record->enter = trace_ticks_before();
    move_used(window, writer->at);
}

/* Whether the record is the last one of the window. */
static bool is_last(const struct emu_task *self, const struct emu_trace_open *open)
{
    return self->trace_window && open->number + 1 == self->trace_number &&
           window_of(self)->first <= open->number;
}

struct trace_record *trace_last(struct emu_task *self, const struct emu_trace_open *open)
{
    return is_last(self, open)
               ? (struct trace_record *)(void *)(records_of(window_of(self)) + open->at)
               : NULL;
}

bool trace_resume(struct emu_task *self, const struct emu_trace_open *open,
                  struct trace_writer *ret_writer)
{
    struct trace_record *record;

    if (EMU_UNLIKELY(!is_last(self, open))) {
        uint64_t *number;

        if (!trace_begin(self, TRACE_RESUMED, ret_writer)) {
            return false;
        }
        number = trace_put(ret_writer, sizeof *number);
        *number = open->number;
        record = ret_writer->record;
        record->words = 1;
        record->size = (uint32_t)(ret_writer->at - (char *)record);
        ret_writer->end += record->size;
        ret_writer->fds = &record->leave_fds;
        return true;
    }
    record = (struct trace_record *)(void *)(records_of(window_of(self)) + open->at);
    *ret_writer = (struct trace_writer){ record, &record->leave_fds, (char *)record + record->size,
                                         (char *)record + record->size + trace_control()->side };
    return true;
}

void trace_finish(struct emu_task *self, struct trace_writer *writer, uint64_t leave,
                  int64_t result)
{
    struct trace_record *record = writer->record;

    if (EMU_UNLIKELY(record->kind == TRACE_RESUMED)) {
        record->enter = leave;
        self->trace_number++;
    }
    record->leave_size = (uint32_t)(writer->at - (char *)record) - record->size;
    record->result = result;
    atomic_store_explicit((_Atomic uint64_t *)&record->leave, leave, memory_order_release);
    move_used(window_of(self), writer->at);
}

void trace_note(struct emu_task *self, enum trace_kind kind, uint64_t first, uint64_t second)
{
    struct trace_writer writer;
    struct emu_trace_open open;
    uint64_t *words;

    if (!trace_begin(self, kind, &writer)) {
        return;
    }
    words = trace_put(&writer, 2 * sizeof *words);
    words[0] = first;
    words[1] = second;
    writer.record->words = 2;
    trace_publish(self, &writer, &open);
}

void trace_forget(struct emu_task *self, const struct emu_trace_open *open)
{
    struct trace_piece *window = window_of(self);

    if (is_last(self, open)) {
        self->trace_number--;
        move_used(window, records_of(window) + open->at);
    } else if (window && window->first <= open->number) {
        ((struct trace_record *)(void *)(records_of(window) + open->at))->kind = TRACE_VOID;
    }
}

void trace_memory(struct trace_writer *writer, enum trace_what what, const void *address,
                  uint64_t total, uint64_t most)
{
    struct trace_memory *memory = trace_put(writer, sizeof *memory);
    uint64_t room;
    uint64_t size;
    void *data;

    if (EMU_UNLIKELY(!memory)) {
        return;
    }
    room = (uint64_t)(writer->end - writer->at) & ~(uint64_t)7;
    size = base_min_u64(base_min_u64(total, most), base_min_u64(room, UINT16_MAX));
    *memory = (struct trace_memory){ .address = (uintptr_t)address,
                                     .total = (uint32_t)base_min_u64(total, UINT32_MAX),
                                     .what = (uint8_t)what };
    if (size == 0) {
        return;
    }
    data = trace_put(writer, size);
    if (EMU_UNLIKELY(host_copy(data, address, size) < 0)) {
        memory->flags = TRACE_FAULT;
        writer->at = data;
        return;
    }
    memory->size = (uint16_t)size;
}
