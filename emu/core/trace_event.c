/*
 * trace_event.c - see trace_event.h
 */
#include "trace_event.h"

#include "trace_object.h"

#define STRING    256u /* of a path, or of an argument of an exec */
#define ARGUMENTS 64u

void trace_fork_begins(struct emu_task *self, enum trace_fork how)
{
    struct trace_writer writer;
    uint64_t *word;

    if (EMU_LIKELY(!self->records) || !trace_begin(self, TRACE_FORK, &writer)) {
        return;
    }
    word = trace_put(&writer, sizeof *word);
    *word = how;
    writer.record->words = 1;
    trace_publish(self, &writer, &self->trace_fork);
    self->trace_forks = true;
}

void trace_forked(struct emu_task *self, int32_t child)
{
    struct trace_writer writer;

    if (EMU_LIKELY(!self->trace_forks)) {
        return;
    }
    self->trace_forks = false;
    if (child <= 0) {
        trace_forget(self, &self->trace_fork);
    } else if (trace_resume(self, &self->trace_fork, &writer)) {
        trace_finish(self, &writer, trace_ticks_after(), child);
    }
}

void trace_inherited(struct emu_task *self)
{
    int top = fdtab_top();
    struct trace_writer writer;
    struct emu_trace_open open;

    if (EMU_LIKELY(!self->records) || !trace_begin(self, TRACE_INHERITED, &writer)) {
        return;
    }
    for (int fd = 0; fd < top; fd++) {
        if (fdtab_present(fd)) {
            trace_fd(&writer, fd, 0);
        }
    }
    trace_publish(self, &writer, &open);
    for (int fd = 0; fd < top; fd++) {
        trace_object(self, fd, false);
    }
}

void trace_number(struct emu_task *self, int fd)
{
    if (EMU_UNLIKELY(self->records)) {
        trace_note(self, TRACE_NUMBER, (uint64_t)fd, 0);
    }
}

void trace_switch(struct emu_task *self, int fd)
{
    struct trace_writer writer;
    struct emu_trace_open open;

    if (EMU_LIKELY(!self->records) || !trace_begin(self, TRACE_SWITCH, &writer)) {
        return;
    }
    trace_fd(&writer, fd, 0);
    trace_publish(self, &writer, &open);
}

void emu_trace_signal(struct emu_task *self, const siginfo_t *info, struct emu_trace_open *ret_open)
{
    struct trace_writer writer;

    ret_open->number = UINT64_MAX;
    if (trace_begin(self, TRACE_SIGNAL, &writer)) {
        trace_memory(&writer, TRACE_SIGINFO, info, sizeof *info, sizeof *info);
        trace_publish(self, &writer, ret_open);
    }
}

/* A string of the guest's, which may end anywhere. */
static void put_string(struct trace_writer *writer, const char *text)
{
    char seen[STRING];
    size_t size = 0;

    while (size < sizeof seen && host_copy(seen + size, text + size, 1) == 0 && seen[size] != 0) {
        size++;
    }
    trace_memory(writer, TRACE_STRING, text, size, STRING);
}

void emu_trace_exec(struct emu_task *self, const char *path, char *const *argv,
                    struct emu_trace_open *ret_open)
{
    struct trace_writer writer;
    const char *argument;

    ret_open->number = UINT64_MAX;
    if (!trace_begin(self, TRACE_EXEC, &writer)) {
        return;
    }
    put_string(&writer, path);
    for (size_t i = 0; argv && host_copy(&argument, argv + i, sizeof argument) == 0 && argument;
         i++) {
        if (i == ARGUMENTS) {
            writer.record->flags |= TRACE_CUT;
            break;
        }
        put_string(&writer, argument);
    }
    trace_publish(self, &writer, ret_open);
    trace_let_go(self);
}

void emu_trace_left(struct emu_task *self, const struct emu_trace_open *open, int64_t result)
{
    uint64_t leave = trace_ticks_after();
    struct trace_writer writer;

    if (open->number != UINT64_MAX && trace_resume(self, open, &writer)) {
        trace_finish(self, &writer, leave, result);
    }
}

void emu_trace_waited(struct emu_task *self, int32_t pid, int status)
{
    if (EMU_UNLIKELY(self->records)) {
        trace_note(self, TRACE_WAITED, (uint64_t)(int64_t)pid, (uint64_t)(uint32_t)status);
    }
}

void emu_trace_exit(struct emu_task *self, bool group, int status)
{
    if (EMU_UNLIKELY(self->records && self->trace_begun)) {
        trace_note(self, TRACE_EXIT, group, (uint64_t)(uint32_t)status);
        trace_let_go(self);
    }
}
