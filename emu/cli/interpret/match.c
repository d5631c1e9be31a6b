/*
 * match.c - what came out of a call against what the script says of it
 *
 * Everything that may differ between two implementations goes into the outcome's hash as well,
 * named by the script or not: the result, signals, transferred bytes, revents, message lengths and
 * flags.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>

#include "interpret/constants.h"
#include "interpret/run.h"

/* ---- Rendering ---- */

static size_t append(char *text, size_t size, const char *more)
{
    size_t length = strlen(text);

    snprintf(text + length, size - length, "%s", more);
    return strlen(text);
}

/* A pid: each side has its own. The script says so by getpid() and by "= (pid)". */
static bool differs_by_nature(const struct run *run)
{
    const struct expr *wanted = run->statement->wanted.result;

    return strcmp(run->statement->name, "getpid") == 0 ||
           (wanted && wanted->kind == EXPR_GROUP && run->result > 1 && run->result == run->pid);
}

void render_result(const struct run *run, char *ret_text, size_t size)
{
    char scratch[24];
    char part[64];

    if (run->blocked)
        snprintf(ret_text, size, "= ? (blocks)");
    else
        snprintf(ret_text, size, "%s", "");
    if (run->blocked && run->result != -EINTR)
        snprintf(part, sizeof(part), ", then = %lld", (long long)run->result);
    else if (run->result < 0 && !run->blocked)
        snprintf(part, sizeof(part), "= -1 %s", errno_name((int)-run->result, scratch));
    else if (!run->blocked && differs_by_nature(run))
        snprintf(part, sizeof(part), "= (as it must be)");
    else if (!run->blocked)
        snprintf(part, sizeof(part), "= %lld", (long long)run->result);
    else
        part[0] = '\0';
    append(ret_text, size, part);
    for (size_t i = 0; i < run->signal_count; i++) {
        snprintf(part, sizeof(part), " --- %s ---", signal_name(run->signals[i].si_signo));
        append(ret_text, size, part);
    }
}

/* A few bytes as a C string, cut after `most` of them. */
static void render_bytes(const uint8_t *bytes, size_t size, size_t most, char *text, size_t room)
{
    size_t length = 0;

    text[length++] = '"';
    for (size_t i = 0; i < size && i < most && length + 8 < room; i++) {
        if (bytes[i] >= ' ' && bytes[i] < 0x7f && bytes[i] != '"' && bytes[i] != '\\')
            text[length++] = (char)bytes[i];
        else
            length += (size_t)snprintf(text + length, room - length, "\\x%02x", bytes[i]);
    }
    snprintf(text + length, room - length, "\"%s", size > most ? "..." : "");
}

static void render_number(const char *name, int64_t number, char *text, size_t size)
{
    if (name && (strcmp(name, "revents") == 0 || strcmp(name, "events") == 0))
        constant_flags("POLL", (uint64_t)number, text, size);
    else if (name && strcmp(name, "msg_flags") == 0)
        constant_flags("MSG_", (uint64_t)number, text, size);
    else
        snprintf(text, size, "%lld", (long long)number);
}

/* Adds to what is told when two sides differ in what the script doesn't name. */
__attribute__((format(printf, 2, 3))) static void note_came(struct run *run, const char *format,
                                                            ...)
{
    char *came = run->outcome->came;
    size_t length = strlen(came);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(came + length, sizeof(run->outcome->came) - length, format, arguments);
    va_end(arguments);
}

/* ---- Single watches ---- */

/* The number that `watch->size` bytes can hold of this one. */
static int64_t cut_number(const struct watch *watch, uint64_t number)
{
    unsigned shift = (unsigned)(64 - watch->size * 8);

    if (watch->is_signed)
        return (int64_t)(number << shift) >> shift;
    return (int64_t)(number << shift >> shift);
}

static int64_t read_number(const struct watch *watch)
{
    uint64_t number = 0;

    memcpy(&number, watch->address, watch->size);
    return cut_number(watch, number);
}

static void match_number(struct run *run, const struct watch *watch)
{
    int64_t number = read_number(watch);
    int64_t expected;
    char got[64];
    char text[64];

    if (watch->hashed) {
        run_hash(run, &number, sizeof(number));
        render_number(watch->name, number, got, sizeof(got));
        note_came(run, " %s %s", watch->name, got);
    }
    if (!watch->out)
        return;
    if (binds(watch->out)) {
        variable_bind(run, watch->out->place, watch->out->name, value_number(number));
        return;
    }
    expected = cut_number(watch, (uint64_t)evaluate_number(run, watch->out));
    if (expected == number)
        return;
    render_number(watch->name, number, got, sizeof(got));
    render_number(watch->name, expected, text, sizeof(text));
    run_differs(run, watch->out->place, "%s is %s, not %s", watch->name, got, text);
}

static void match_bytes(struct run *run, const struct expr *out, const uint8_t *got, size_t size)
{
    struct value expected = evaluate_bytes(run, out);
    size_t same = 0;
    char a[96];
    char b[96];

    if (expected.size != size) {
        render_bytes(got, size, 24, a, sizeof(a));
        run_differs(run, out->place, "%zu bytes came out (%s), not %zu", size, a, expected.size);
        return;
    }
    while (same < size && got[same] == expected.bytes[same])
        same++;
    if (same == size)
        return;
    render_bytes(got + same, size - same, 16, a, sizeof(a));
    render_bytes(expected.bytes + same, size - same, 16, b, sizeof(b));
    run_differs(run, out->place, "from byte %zu on it is %s, not %s", same, a, b);
}

static void match_text(struct run *run, const struct watch *watch)
{
    const uint8_t *got = watch->address;
    size_t size = watch->size;

    if (!binds(watch->out)) {
        size = evaluate_bytes(run, watch->out).size;
        match_bytes(run, watch->out, got, size < watch->size ? size : watch->size);
        return;
    }
    while (size > 0 && got[size - 1] == 0)
        size--;
    variable_bind(run, watch->out->place, watch->out->name, value_bytes(got, size));
}

static void match_set(struct run *run, const struct watch *watch)
{
    const fd_set *got = watch->address;
    fd_set expected;

    run_hash(run, got, sizeof(*got));
    if (!watch->out)
        return;
    FD_ZERO(&expected);
    for (size_t i = 0; i < watch->out->count; i++)
        FD_SET((int)evaluate_number(run, watch->out->items[i]) & (FD_SETSIZE - 1), &expected);
    for (int fd = 0; fd < FD_SETSIZE; fd++) {
        if (!FD_ISSET(fd, got) != !FD_ISSET(fd, &expected)) {
            run_differs(run, watch->out->place, "descriptor %d is %s", fd,
                        FD_ISSET(fd, got) ? "in the set" : "not in the set");
            return;
        }
    }
}

/* ---- Buffers: the transferred bytes, spread over them in order ---- */

static size_t group_size(const struct run *run, uint32_t group)
{
    const struct mmsghdr *messages = run->flight->messages;

    if (run->result < 0)
        return 0;
    if (!messages)
        return (size_t)run->result;
    return (int64_t)group < run->result ? messages[group].msg_len : 0;
}

/* Gathers what came into all buffers, when the script expects it as a whole. */
static void match_contents(struct run *run, const struct expr *contents)
{
    uint8_t *all;
    size_t size = 0;
    size_t left = run->result > 0 ? (size_t)run->result : 0;

    all = run_allocate(run, contents->place, left);
    for (size_t i = 0; i < run->flight->watch_count; i++) {
        const struct watch *watch = &run->flight->watches[i];
        size_t part = watch->size < left ? watch->size : left;

        if (watch->kind != WATCH_BUFFER)
            continue;
        memcpy(all + size, watch->address, part);
        size += part;
        left -= part;
    }
    match_bytes(run, contents, all, size);
}

static void match_buffers(struct run *run)
{
    uint32_t group = 0;
    size_t left = group_size(run, 0);

    for (size_t i = 0; i < run->flight->watch_count; i++) {
        const struct watch *watch = &run->flight->watches[i];
        size_t part;

        if (watch->kind != WATCH_BUFFER)
            continue;
        if (watch->group != group) {
            group = watch->group;
            left = group_size(run, group);
        }
        part = watch->size < left ? watch->size : left;
        left -= part;
        if (watch->hashed) {
            char text[64];

            run_hash(run, watch->address, part);
            render_bytes(watch->address, part, 12, text, sizeof(text));
            note_came(run, " %zu bytes %s", part, text);
        }
        if (!watch->out || run->result < 0)
            continue;
        if (binds(watch->out))
            variable_bind(run, watch->out->place, watch->out->name,
                          value_bytes(watch->address, part));
        else
            match_bytes(run, watch->out, watch->address, part);
    }
}

/* ---- ([{fd=3, revents=POLLIN}]): those that are ready, in any order; all others are not ---- */

static const struct pollfd *polled(const struct run *run, size_t *index)
{
    for (; *index < run->flight->watch_count; (*index)++) {
        const struct watch *watch = &run->flight->watches[*index];

        if (watch->kind == WATCH_NUMBER && watch->name && strcmp(watch->name, "revents") == 0)
            return (const struct pollfd *)((const char *)watch->address -
                                           offsetof(struct pollfd, revents));
    }
    return NULL;
}

static const struct expr *ready_revents(struct run *run, const struct expr *ready, int fd)
{
    for (size_t i = 0; i < ready->count; i++) {
        const struct expr *item = ready->items[i];
        const struct expr *revents = NULL;
        bool same = false;

        for (size_t j = 0; item->kind == EXPR_STRUCT && j < item->count; j++) {
            if (strcmp(item->fields[j], "fd") == 0)
                same = evaluate_number(run, item->items[j]) == fd;
            else if (strcmp(item->fields[j], "revents") == 0)
                revents = item->items[j];
        }
        if (!revents)
            run_fail(run, item->place, "{fd=..., revents=...} must stand here");
        if (same)
            return revents;
    }
    return NULL;
}

static void match_ready(struct run *run, const struct expr *ready)
{
    const struct pollfd *pollfd;

    if (ready->kind != EXPR_LIST)
        run_fail(run, ready->place, "[{fd=..., revents=...}] must stand here");
    for (size_t i = 0; (pollfd = polled(run, &i)) != NULL; i++) {
        const struct expr *revents = ready_revents(run, ready, pollfd->fd);
        int64_t expected = revents ? evaluate_number(run, revents) : 0;
        char a[64];
        char b[64];

        if (expected == pollfd->revents)
            continue;
        render_number("revents", pollfd->revents, a, sizeof(a));
        render_number("revents", expected, b, sizeof(b));
        run_differs(run, revents ? revents->place : ready->place,
                    "revents of descriptor %d is %s, not %s", pollfd->fd, a, b);
    }
}

/* ---- All of it ---- */

static void match_watch(struct run *run, const struct watch *watch)
{
    bool reached = run->result >= 0 && !(run->flight->messages && watch->group >= run->result);

    if (!reached && !watch->after_failure)
        return;
    switch (watch->kind) {
    case WATCH_NUMBER: match_number(run, watch); break;
    case WATCH_BYTES:
        match_bytes(run, watch->out, watch->address, evaluate_bytes(run, watch->out).size);
        break;
    case WATCH_TEXT: match_text(run, watch); break;
    case WATCH_SET: match_set(run, watch); break;
    case WATCH_CONTROL: control_match(run, watch); break;
    case WATCH_BUFFER: break; /* match_buffers() */
    }
}

static void match_signals(struct run *run)
{
    const struct statement *statement = run->statement;

    if (run->script->signals && statement->signal_count == 0)
        return; /* they stand in the text that the sides are compared by */
    for (size_t i = 0; i < run->signal_count && i < statement->signal_count; i++) {
        if (run->signals[i].si_signo != statement->signals[i].number)
            run_differs(run, statement->signals[i].place, "the signal is %s",
                        signal_name(run->signals[i].si_signo));
        else if (statement->signals[i].info)
            watch_value(run, statement->signals[i].info, &run->signals[i], true);
    }
    if (run->signal_count > statement->signal_count)
        run_differs(run, statement->place, "an unexpected %s",
                    signal_name(run->signals[statement->signal_count].si_signo));
    if (run->signal_count < statement->signal_count)
        run_differs(run, statement->signals[run->signal_count].place, "no %s came",
                    signal_name(statement->signals[run->signal_count].number));
}

bool match_result(struct run *run, const struct wanted *wanted)
{
    if (wanted->kind == WANTED_NOTHING)
        return true;
    if (wanted->kind == WANTED_RESULT && wanted->result->kind == EXPR_ANY)
        return true; /* "= _" allows all, also a call that blocks */
    if (run->blocked != (wanted->kind == WANTED_BLOCKED))
        return false;
    if (wanted->kind == WANTED_ERRNO)
        return run->result == -wanted->error;
    if (!wanted->result)
        return run->result == -EINTR;
    if (wanted->result->kind == EXPR_ANY)
        return true;
    if (run->result < 0)
        return false;
    return binds(wanted->result) || evaluate_number(run, wanted->result) == run->result;
}

void match_all(struct run *run, const struct wanted *wanted)
{
    if (run->native && run->result >= 0 && !run->script->native)
        run_differs(run, run->statement->place,
                    "the kernel answered, not the emulator (\"# native: yes\" allows it)");
    match_signals(run);
    if (!match_result(run, wanted))
        run_differs(run, run->statement->place, "result");
    else if (wanted->result && binds(wanted->result))
        variable_bind(run, wanted->result->place, wanted->result->name, value_number(run->result));
    match_buffers(run);
    if (wanted->contents)
        match_contents(run, wanted->contents);
    for (size_t i = 0; i < run->flight->watch_count; i++) /* control data adds more as it is read */
        match_watch(run, &run->flight->watches[i]);
    if (wanted->ready)
        match_ready(run, wanted->ready);
}
