/*
 * trace.h - writing a recorded run: windows, and records in them (trace_format.h)
 *
 * Each task records into a window of its own: memory that is a piece of the log file, mapped
 * shared. So what it wrote outlives it however it ends, nothing is locked, and no two tasks write
 * into one cache line. A full window is copied to the end of the file by one pwritev() and used
 * again: its pages stay hot, where new pages of a file cost a fault each (10 us on ext4, against
 * 0.7 us in pwritev()). A window whose task has ended in order is another one's next.
 *
 * The order of events is that of time stamps, so it costs no shared counter: where the kernel
 * itself takes the time stamp counter for its clock, it has checked that the CPUs' agree;
 * elsewhere CLOCK_MONOTONIC is asked. A call is entered after its stamp was taken and left before:
 * the second read of the counter waits for all that was read before it, and releasing a lock of the
 * arena for all that was written. Where one task alone was ever recorded it needs not wait, which
 * is worth a tenth of a recorded call.
 *
 * Memory is bounded: a window a task. When the file is as large as it may be, or the file system
 * is full, recording stops for the whole session and what follows is counted.
 *
 * Requires: critical (emu.h); nothing here may be interrupted by a handler that records.
 */
#ifndef EMU_TRACE_H
#define EMU_TRACE_H

#include "arena.h"
#include "emu.h"
#include "host.h"
#include "trace_format.h"

/* A record that is being written. */
struct trace_writer {
    struct trace_record *record;
    uint16_t *fds; /* counts descriptors on this side of the call; they stand before memory */
    char *at;      /* where it goes on */
    char *end;     /* as far as it may */
};

static inline struct trace_control *trace_control(void)
{
    return &arena->header.trace;
}

/* Before what it times, and after: see the top. */
static inline uint64_t trace_ticks_before(void)
{
    return EMU_LIKELY(trace_control()->clock == TRACE_CLOCK_TSC) ? __builtin_ia32_rdtsc()
                                                                 : host_now_ns();
}

static inline uint64_t trace_ticks_after(void)
{
    if (EMU_UNLIKELY(atomic_load_explicit(&trace_control()->tasks, memory_order_relaxed) > 1)) {
        __builtin_ia32_lfence();
    }
    return trace_ticks_before();
}

/*
 * Begins a record behind the others: empty, with nothing but its kind. False: recording has
 * stopped, and this one was counted.
 */
bool trace_begin(struct emu_task *self, enum trace_kind kind, struct trace_writer *ret_writer);

/* It stands from now on, and may be ended later. Fills in `enter`; *ret_open names it. */
void trace_publish(struct emu_task *self, struct trace_writer *writer,
                   struct emu_trace_open *ret_open);

/*
 * Goes on with a record that stands, to write what came out of it: in its place, or where others
 * came in between, in one of its own. False as above.
 */
bool trace_resume(struct emu_task *self, const struct emu_trace_open *open,
                  struct trace_writer *ret_writer);

/* Ends it. */
void trace_finish(struct emu_task *self, struct trace_writer *writer, uint64_t leave,
                  int64_t result);

/* A record of words alone that is over at once. */
void trace_note(struct emu_task *self, enum trace_kind kind, uint64_t first, uint64_t second);

/* Takes a record back that nothing followed, else says that it is none. */
void trace_forget(struct emu_task *self, const struct emu_trace_open *open);

/* The record, if nothing stands behind it; else NULL. */
struct trace_record *trace_last(struct emu_task *self, const struct emu_trace_open *open);

/* `size` bytes of the record, zeroed up to 8; NULL: no room, and it says TRACE_CUT. */
static inline void *trace_put(struct trace_writer *writer, size_t size)
{
    size_t room = (size + 7) & ~(size_t)7;
    char *at = writer->at;

    if (EMU_UNLIKELY((size_t)(writer->end - at) < room)) {
        writer->record->flags |= TRACE_CUT;
        return NULL;
    }
    if (size % 8 != 0) {
        *(uint64_t *)(void *)(at + room - 8) = 0;
    }
    writer->at = at + room;
    return at;
}

/* Memory of the guest: of `total` bytes as many as may be, at most `most`. */
void trace_memory(struct trace_writer *writer, enum trace_what what, const void *address,
                  uint64_t total, uint64_t most);

/* The inode behind a number; 0: none. */
uint64_t trace_file_of(int fd);

/* The task's window goes back: it ends, or its process becomes another image. */
void trace_let_go(struct emu_task *self);

#endif
