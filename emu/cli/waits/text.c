/*
 * text.c - who waits for what, as text
 *
 *     sockrig: time is up after 2s: all 2 tasks are blocked
 *       child[412]   write(1, …, 60000)  pipe#2 full (8192 of 8192)  2.0 s  child+0x11f3
 *          read end: parent[411] fd 4
 *       parent[411]  wait4(412)                                             proxy+0x1204
 *
 * One entry for each thread, in columns; below it, for each descriptor that it waits for, who has
 * the other end open. Scripts read this: names and order stay as they are.
 */
#include "waits/waits.h"

#include <inttypes.h>
#include <poll.h>
#include <string.h>

#include "colour.h"

#define TEXT_ROOM 128
#define WIDEST    44 /* of a column; what is longer pushes the others to the right */

enum { COLUMN_TASK, COLUMN_CALL, COLUMN_OBJECT, COLUMN_SINCE, COLUMN_SITE, COLUMNS };

struct line {
    char columns[COLUMNS][TEXT_ROOM];
};

size_t waits_running(const struct waits *waits)
{
    size_t count = 0;

    for (size_t i = 0; i < waits->count; i++)
        count += waits->tasks[i].state == WAITS_RUNS;
    return count;
}

size_t waits_blocked(const struct waits *waits)
{
    size_t count = 0;

    for (size_t i = 0; i < waits->count; i++)
        count += waits->tasks[i].state == WAITS_EMULATED || waits->tasks[i].state == WAITS_OUTSIDE;
    return count;
}

size_t waits_stuck(const struct waits *waits)
{
    size_t count = 0;

    for (size_t i = 0; i < waits->count; i++)
        count += waits->tasks[i].stuck;
    return count;
}

/* Of a deadlock those are told that are in it. */
static bool is_told(const struct waits *waits, const struct waits_task *task)
{
    return waits->cause != WAITS_DEADLOCK || task->stuck;
}

/* Characters on the screen: UTF-8's later bytes take no room. */
static int width_of(const char *text)
{
    int width = 0;

    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

/* ---- The columns ---- */

static bool is_writer(const struct emu_blocked_fd *fd)
{
    return fd->out.there && (!fd->in.there || !(fd->events & POLLIN));
}

static void channel_text(const struct emu_blocked_fd *fd, char *ret_text)
{
    static const char *const kinds[] = { [EMU_CHANNEL_PIPE] = "pipe",
                                         [EMU_CHANNEL_STREAM] = "stream",
                                         [EMU_CHANNEL_SEQPACKET] = "seqpacket",
                                         [EMU_CHANNEL_EPOLL] = "epoll" };
    const struct emu_fill *fill = is_writer(fd) ? &fd->out : &fd->in;
    int used = 0;

    if (fd->kind == EMU_CHANNEL_OTHER) {
        snprintf(ret_text, TEXT_ROOM, "closed meanwhile");
        return;
    }
    used = snprintf(ret_text, TEXT_ROOM, "%s#%u", kinds[fd->kind], fd->number);
    if (fd->kind == EMU_CHANNEL_EPOLL)
        return;
    ret_text[used++] = ' ';
    ret_text += used;
    const size_t room = (size_t)(TEXT_ROOM - used);
    if (fill->native)
        snprintf(ret_text, room, "native");
    else if (!is_writer(fd) && fill->pieces == 0)
        snprintf(ret_text, room, "empty");
    else if (!is_writer(fd))
        snprintf(ret_text, room, "holds %u bytes", fill->bytes);
    else if (fill->tiny > 0)
        snprintf(ret_text, room, "%s (%u of %u: smaller than Linux allows)",
                 fill->pieces > 0 ? "full" : "has room", fill->used, fill->capacity);
    else if (fill->slots > 0 && fill->pieces >= fill->slots && fill->used < fill->capacity)
        snprintf(ret_text, room, "full (%u of %u, in %u of %u slots)", fill->used, fill->capacity,
                 fill->pieces, fill->slots);
    else if (fill->slots > 0)
        snprintf(ret_text, room, "%s (%u of %u)", fill->pieces >= fill->slots ? "full" : "has room",
                 fill->used, fill->capacity);
    else /* a socket's sender waits until some is free, woken when three quarters are */
        snprintf(ret_text, room, "%s (%u bytes, charge %u of %u)",
                 fill->used >= fill->capacity ? "full" : "has room", fill->bytes, fill->used,
                 fill->capacity);
}

static void fill_task_column(const struct waits_task *task, char *ret_text)
{
    int used = snprintf(ret_text, TEXT_ROOM, "%.*s[%d]", PROC_NAME, task->program, task->pid);

    if (task->tid != task->pid)
        snprintf(ret_text + used, (size_t)(TEXT_ROOM - used), " tid %d", task->tid);
}

/* "proxy.c:88", or "proxy+0x1204" where the lines aren't known. */
static void place_text(const struct callsite_frame *frame, char *ret_text)
{
    if (frame->source.line[0] != '\0')
        snprintf(ret_text, TEXT_ROOM, "%s", frame->source.line);
    else
        snprintf(ret_text, TEXT_ROOM, "%.*s+0x%" PRIx64, CALLSITE_MODULE, frame->module,
                 frame->offset);
}

static bool is_single(const struct waits_task *task)
{
    return task->blocked.call == EMU_CALL_read || task->blocked.call == EMU_CALL_write;
}

static void fill_line(const struct waits_task *task, struct line *line)
{
    memset(line, 0, sizeof *line);
    fill_task_column(task, line->columns[COLUMN_TASK]);
    if (task->site.count > 0)
        place_text(&task->site.frames[0], line->columns[COLUMN_SITE]);
    snprintf(line->columns[COLUMN_CALL], TEXT_ROOM, "%s", task->call);
    switch (task->state) {
    case WAITS_RUNS: strcpy(line->columns[COLUMN_CALL], "running"); return;
    case WAITS_STOPPED: strcpy(line->columns[COLUMN_CALL], "stopped"); return;
    case WAITS_ENDED: strcpy(line->columns[COLUMN_CALL], "ended; nobody has waited for it"); return;
    case WAITS_OUTSIDE: snprintf(line->columns[COLUMN_OBJECT], TEXT_ROOM, "%s", task->link); return;
    case WAITS_EMULATED: break;
    }
    if (is_single(task))
        channel_text(&task->ends[0].fd, line->columns[COLUMN_OBJECT]);
    snprintf(line->columns[COLUMN_SINCE], TEXT_ROOM, "%.1f s", (double)task->blocked_ns / 1e9);
}

/* ---- What stands below ---- */

static const char *other_end(const struct emu_blocked_fd *fd)
{
    if (fd->kind != EMU_CHANNEL_PIPE)
        return "other end";
    return fd->in.there ? "write end" : "read end";
}

static bool has_other_end(const struct emu_blocked_fd *fd)
{
    return fd->kind != EMU_CHANNEL_OTHER && fd->kind != EMU_CHANNEL_EPOLL;
}

/* Whether the process that waits is the only one that could end it. */
static bool is_itself_alone(const struct waits_task *task, const struct waits_end *end)
{
    return end->holder_count == 1 && end->holders[0].pid == task->pid;
}

static void print_end(const struct waits_task *task, const struct waits_end *end, FILE *file)
{
    if (!has_other_end(&end->fd))
        return;
    fprintf(file, "%s: ", other_end(&end->fd));
    if (end->holder_count == 0)
        fputs("nobody has it open", file);
    for (uint32_t i = 0; i < end->holder_count && i < WAITS_HOLDERS; i++) {
        const struct waits_holder *holder = &end->holders[i];

        fprintf(file, "%s%.*s[%d]", i > 0 ? ", " : "", PROC_NAME, holder->program, holder->pid);
        if (holder->fd >= 0)
            fprintf(file, " fd %d", holder->fd);
    }
    if (end->holder_count > WAITS_HOLDERS)
        fprintf(file, " and %u more", end->holder_count - WAITS_HOLDERS);
    if (is_itself_alone(task, end))
        fputs(" (itself alone)", file);
}

static const char *wanted(uint32_t events)
{
    switch (events & (POLLIN | POLLOUT)) {
    case POLLIN: return "POLLIN";
    case POLLOUT: return "POLLOUT";
    case POLLIN | POLLOUT: return "POLLIN|POLLOUT";
    default: return "no events";
    }
}

/* A line on how a process came to have an end that it hasn't made. */
static void print_origin(const struct waits_holder *holder, uint64_t now_ns, FILE *file)
{
    const struct emu_origin *origin = &holder->origin;
    char place[TEXT_ROOM];

    if (origin->kind == EMU_ORIGIN_UNKNOWN || origin->kind == EMU_ORIGIN_MADE)
        return;
    fprintf(file, "       %.*s[%d] has it by ", PROC_NAME, holder->program, holder->pid);
    if (origin->kind == EMU_ORIGIN_RECEIVED) {
        fputs("SCM_RIGHTS\n", file);
        return;
    }
    fprintf(file, "%s of %.*s[%d]", origin->kind == EMU_ORIGIN_FORK ? "fork" : "spawn", PROC_NAME,
            holder->parent, origin->parent);
    if (holder->place.module[0] != '\0') {
        place_text(&holder->place, place);
        fprintf(file, " at %s", place);
    }
    if (now_ns > origin->since_ns)
        fprintf(file, ", %.1f s ago", (double)(now_ns - origin->since_ns) / 1e9);
    if (origin->kind == EMU_ORIGIN_FORK && origin->executed)
        fputs(", kept over its exec", file);
    fputc('\n', file);
}

/* What a reader waits for may be the end, which doesn't come while somebody has that one open. */
static void print_origins(const struct waits_task *task, const struct waits_end *end, FILE *file)
{
    if (!end->fd.in.there || !(end->fd.events & POLLIN) || !has_other_end(&end->fd))
        return;
    for (uint32_t i = 0; i < end->holder_count && i < WAITS_HOLDERS; i++)
        print_origin(&end->holders[i], task->blocked.since_ns + task->blocked_ns, file);
}

static void print_ends(const struct waits_task *task, FILE *file)
{
    char channel[TEXT_ROOM];

    for (uint32_t i = 0; i < task->blocked.fd_count; i++) {
        const struct waits_end *end = &task->ends[i];

        fputs("     ", file);
        if (!is_single(task)) {
            channel_text(&end->fd, channel);
            fprintf(file, "fd %d for %s: %s%s", end->fd.fd, wanted(end->fd.events), channel,
                    has_other_end(&end->fd) ? "; " : "");
        }
        print_end(task, end, file);
        fputc('\n', file);
        print_origins(task, end, file);
    }
    if (task->blocked.count > task->blocked.fd_count && !is_single(task))
        fprintf(file, "     and %u more\n", task->blocked.count - task->blocked.fd_count);
}

/* From where the call came: the functions with their callers, to main. */
static void print_callers(const struct waits_task *task, FILE *file)
{
    char place[TEXT_ROOM];

    if (task->site.count < 2 || task->site.frames[0].source.function[0] == '\0')
        return; /* addresses alone tell nobody anything */
    fputs("     in ", file);
    for (size_t i = 0; i < task->site.count; i++) {
        const struct callsite_frame *frame = &task->site.frames[i];

        if (i > 0) {
            place_text(frame, place);
            fprintf(file, ", called at %s", place);
        }
        if (frame->source.function[0] != '\0')
            fprintf(file, "%s%s", i > 0 ? " in " : "", frame->source.function);
    }
    fputc('\n', file);
}

/* ---- All of it ---- */

/* "2s" as it would be given to --timeout. */
static void limit_text(uint64_t limit_ns, char *ret_text)
{
    const uint64_t milliseconds = limit_ns / 1000000;

    if (milliseconds % 60000 == 0)
        snprintf(ret_text, TEXT_ROOM, "%" PRIu64 "m", milliseconds / 60000);
    else if (milliseconds % 1000 == 0)
        snprintf(ret_text, TEXT_ROOM, "%" PRIu64 "s", milliseconds / 1000);
    else
        snprintf(ret_text, TEXT_ROOM, "%" PRIu64 "ms", milliseconds);
}

static void print_head(const struct waits *waits, FILE *file)
{
    const size_t running = waits_running(waits);
    const size_t stuck = waits_stuck(waits);
    char limit[TEXT_ROOM];

    limit_text(waits->limit_ns, limit);
    if (waits->cause == WAITS_DEADLOCK && stuck == waits->count) {
        fprintf(file, "sockrig: deadlock: no task can go on\n");
        return;
    }
    if (waits->cause == WAITS_DEADLOCK) {
        fprintf(file, "sockrig: deadlock: %zu of %zu tasks can never go on\n", stuck, waits->count);
        return;
    }
    if (waits->cause == WAITS_HANG)
        fprintf(file, "sockrig: perhaps a deadlock: nothing has moved for %s: ", limit);
    else
        fprintf(file, "sockrig: time is up after %s: ", limit);
    if (running == 0 && waits_blocked(waits) == waits->count)
        fprintf(file, "no task runs\n");
    else
        fprintf(file, "%zu of %zu tasks running\n", running, waits->count);
}

static void print_line(const struct line *line, const int *widths, FILE *file)
{
    int pending = 2; /* blanks in front of the next text */

    for (int i = 0; i < COLUMNS; i++) {
        if (line->columns[i][0] != '\0') {
            fprintf(file, "%*s%s", pending, "", line->columns[i]);
            pending = 0;
        }
        if (widths[i] > 0 || line->columns[i][0] != '\0') {
            const int rest = widths[i] - width_of(line->columns[i]);

            pending += (rest > 0 ? rest : 0) + 2;
        }
    }
    fputc('\n', file);
}

void waits_print(const struct waits *waits, FILE *file)
{
    int widths[COLUMNS] = { 0 };
    struct line line;

    fputs(colour_of(file, waits->cause == WAITS_HANG ? COLOUR_NOTE : COLOUR_ERROR), file);
    print_head(waits, file);
    fputs(colour_of(file, COLOUR_NONE), file);
    for (size_t i = 0; i < waits->count; i++) {
        if (!is_told(waits, &waits->tasks[i]))
            continue;
        fill_line(&waits->tasks[i], &line);
        for (int at = 0; at < COLUMNS; at++) {
            const int width = width_of(line.columns[at]);

            if (width > widths[at] && width <= WIDEST)
                widths[at] = width;
        }
    }
    for (size_t i = 0; i < waits->count; i++) {
        if (!is_told(waits, &waits->tasks[i]))
            continue;
        fill_line(&waits->tasks[i], &line);
        print_line(&line, widths, file);
        if (waits->tasks[i].state == WAITS_EMULATED)
            print_ends(&waits->tasks[i], file);
        print_callers(&waits->tasks[i], file);
    }
}
