/*
 * json.c - who waits for what, as a JSON object
 *
 *     {"limit_ms": 2000, "tasks": [{"program": "child", "pid": 412, "tid": 412, "state": "blocked",
 *       "call": "write", "size": 60000, "done": 8192, "blocked_ms": 1990, "module": "child",
 *       "offset": 4595, "fds": [{"fd": 1, "object": "pipe", "number": 2, "waits_for": ["POLLOUT"],
 *         "written": {"bytes": 8192, "used": 8192, "capacity": 8192, "pieces": 2, "slots": 2},
 *         "holders": [{"program": "parent", "pid": 411, "fd": 4}]}]}, ...]}
 *
 * state is "blocked" (in the emulator), "outside" (in the kernel; "text" is the call with its
 * arguments, "file" what its descriptor leads to), "running", "stopped" or "ended". A call of poll
 * has "fd_count" instead of "size" and "done", one of epoll_wait "epoll_fd" too; "fds" shows the
 * first few. "unread" is what can be read from the descriptor, "written" what was written to it.
 * A buffer with "smaller_than_linux" is that by an option. "origin" of a holder is how it came to
 * have the end: {"by": "made"}, "SCM_RIGHTS", or "fork" and "spawn" with "parent", "executed" (kept
 * over an exec), "module" and "line" of the parent's call.
 * What isn't known is left out.
 */
#include "report.h"
#include "waits/waits.h"

#include <inttypes.h>
#include <poll.h>

static const char *state_name(enum waits_state state)
{
    switch (state) {
    case WAITS_EMULATED: return "blocked";
    case WAITS_OUTSIDE: return "outside";
    case WAITS_RUNS: return "running";
    case WAITS_STOPPED: return "stopped";
    case WAITS_ENDED: return "ended";
    }
    return "unknown";
}

static void print_fill(FILE *file, const char *name, const struct emu_fill *fill)
{
    if (!fill->there)
        return;
    if (fill->native) {
        fprintf(file, ", \"%s\": {\"native\": true}", name);
        return;
    }
    fprintf(file, ", \"%s\": {\"bytes\": %u, \"used\": %u, \"capacity\": %u, \"pieces\": %u", name,
            fill->bytes, fill->used, fill->capacity, fill->pieces);
    if (fill->slots > 0)
        fprintf(file, ", \"slots\": %u", fill->slots);
    if (fill->tiny > 0)
        fputs(", \"smaller_than_linux\": true", file);
    fputc('}', file);
}

static void print_origin(const struct waits_holder *holder, FILE *file)
{
    static const char *const kinds[] = { [EMU_ORIGIN_MADE] = "made",
                                         [EMU_ORIGIN_RECEIVED] = "SCM_RIGHTS",
                                         [EMU_ORIGIN_FORK] = "fork",
                                         [EMU_ORIGIN_SPAWN] = "spawn" };
    const struct emu_origin *origin = &holder->origin;

    if (origin->kind == EMU_ORIGIN_UNKNOWN)
        return;
    fprintf(file, ", \"origin\": {\"by\": \"%s\"", kinds[origin->kind]);
    if (origin->kind == EMU_ORIGIN_FORK || origin->kind == EMU_ORIGIN_SPAWN) {
        fprintf(file, ", \"parent\": %d, \"executed\": %s", origin->parent,
                origin->executed ? "true" : "false");
        if (holder->place.module[0] != '\0')
            report_print_json_member(file, "module", holder->place.module,
                                     sizeof holder->place.module);
        if (holder->place.source.line[0] != '\0')
            report_print_json_member(file, "line", holder->place.source.line,
                                     sizeof holder->place.source.line);
    }
    fputc('}', file);
}

static void print_holders(const struct waits_end *end, FILE *file)
{
    fputs(", \"holders\": [", file);
    for (uint32_t i = 0; i < end->holder_count && i < WAITS_HOLDERS; i++) {
        const struct waits_holder *holder = &end->holders[i];

        fprintf(file, "%s{\"pid\": %d", i > 0 ? ", " : "", holder->pid);
        report_print_json_member(file, "program", holder->program, sizeof holder->program);
        if (holder->fd >= 0)
            fprintf(file, ", \"fd\": %d", holder->fd);
        print_origin(holder, file);
        fputc('}', file);
    }
    fprintf(file, "], \"holder_count\": %u", end->holder_count);
}

static void print_end(const struct waits_end *end, FILE *file)
{
    static const char *const kinds[] = { [EMU_CHANNEL_PIPE] = "pipe",
                                         [EMU_CHANNEL_STREAM] = "stream",
                                         [EMU_CHANNEL_SEQPACKET] = "seqpacket",
                                         [EMU_CHANNEL_EPOLL] = "epoll" };
    const struct emu_blocked_fd *fd = &end->fd;
    const bool in = fd->events & POLLIN;
    const bool out = fd->events & POLLOUT;

    fprintf(file, "{\"fd\": %d, \"waits_for\": [%s%s%s]", fd->fd, in ? "\"POLLIN\"" : "",
            in && out ? ", " : "", out ? "\"POLLOUT\"" : "");
    if (fd->kind != EMU_CHANNEL_OTHER) {
        fprintf(file, ", \"object\": \"%s\", \"number\": %u", kinds[fd->kind], fd->number);
        print_fill(file, "unread", &fd->in);
        print_fill(file, "written", &fd->out);
        if (fd->kind != EMU_CHANNEL_EPOLL)
            print_holders(end, file);
    }
    fputc('}', file);
}

static void print_emulated(const struct waits_task *task, FILE *file)
{
    const struct emu_blocked *blocked = &task->blocked;

    if (blocked->call == EMU_CALL_read || blocked->call == EMU_CALL_write)
        fprintf(file, ", \"size\": %" PRIu64 ", \"done\": %" PRIu64, blocked->size, blocked->done);
    else
        fprintf(file, ", \"fd_count\": %u", blocked->count);
    if (blocked->set_fd >= 0)
        fprintf(file, ", \"epoll_fd\": %d", blocked->set_fd);
    if (blocked->timeout_ns >= 0)
        fprintf(file, ", \"timeout_ms\": %" PRId64, blocked->timeout_ns / 1000000);
    fprintf(file, ", \"blocked_ms\": %" PRIu64 ", \"fds\": [", task->blocked_ns / 1000000);
    for (uint32_t i = 0; i < blocked->fd_count; i++) {
        if (i > 0)
            fputs(", ", file);
        print_end(&task->ends[i], file);
    }
    fputc(']', file);
}

/* The innermost frame's file and place in it, then all of them. */
static void print_stack(const struct callsite *site, FILE *file)
{
    if (site->count == 0)
        return;
    report_print_json_member(file, "module", site->frames[0].module, sizeof site->frames[0].module);
    fprintf(file, ", \"offset\": %" PRIu64, site->frames[0].offset);
    report_print_json_stack(file, "stack", site);
}

static void print_task(const struct waits_task *task, FILE *file)
{
    fprintf(file, "{\"pid\": %d, \"tid\": %d, \"state\": \"%s\"", task->pid, task->tid,
            state_name(task->state));
    if (task->stuck)
        fputs(", \"stuck\": true", file);
    report_print_json_member(file, "program", task->program, sizeof task->program);
    if (task->name[0] != '\0')
        report_print_json_member(file, "call", task->name, sizeof task->name);
    if (task->state == WAITS_OUTSIDE)
        report_print_json_member(file, "text", task->call, sizeof task->call);
    if (task->link[0] != '\0')
        report_print_json_member(file, "file", task->link, sizeof task->link);
    print_stack(&task->site, file);
    if (task->state == WAITS_EMULATED)
        print_emulated(task, file);
    fputc('}', file);
}

void waits_print_json(const struct waits *waits, FILE *file)
{
    fprintf(file, "{\"limit_ms\": %" PRIu64 ", \"tasks\": [", waits->limit_ns / 1000000);
    for (size_t i = 0; i < waits->count; i++) {
        if (i > 0)
            fputs(", ", file);
        print_task(&waits->tasks[i], file);
    }
    fputs("]}", file);
}
