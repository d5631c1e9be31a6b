/*
 * trace_call.c - an emulated call as a record: what goes in, and what comes out
 *
 * What an argument means says arguments.h, by a letter; nothing here knows a call by name but those
 * that return a new descriptor. Buffers are read a second time for the recording: a guest that
 * changes them while the call runs may see other bytes recorded than moved.
 */
#include "trace_message.h"

#include "arguments.h"
#include "trace_object.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#define ADDRESS 128u /* struct sockaddr_storage */
#define VALUE   256u /* of an option */

/* What of a call's arguments is looked at when: a bit for each argument. */
struct shape {
    char kinds[8];
    uint8_t count;
    uint8_t fds;     /* descriptors themselves */
    uint8_t fds_in;  /* ... what names some */
    uint8_t in;      /* memory that goes in */
    uint8_t fds_out; /* what comes out and names some */
    uint8_t out;     /* memory that comes out */
    bool sockets;    /* it names or connects sockets: what they are has changed */
};

#define LETTER(kinds, i) ((i) < sizeof(kinds) ? (kinds)[(i) < sizeof(kinds) ? (i) : 0] : 0)
#define IS_FD(c)         ((c) == 'F')
#define IS_FDS_IN(c)     ((c) == 'm' || (c) == 'p' || (c) == 's')
#define IS_FDS_OUT(c)    ((c) == 'f' || (c) == 'M' || (c) == 'N')
#define IS_EITHER(c)                                                                     \
    ((c) == 'R' || (c) == 'x' || (c) == 'M' || (c) == 'n' || (c) == 'N' || (c) == 'd' || \
     (c) == 'T' || (c) == 'u' || (c) == 'o' || (c) == 's' || (c) == 'p' || (c) == 'l')
#define IS_IN(c)                                                                           \
    (IS_EITHER(c) || (c) == 'w' || (c) == 'W' || (c) == 'a' || (c) == 'v' || (c) == 'm' || \
     (c) == 't' || (c) == 'g' || (c) == 'e')
#define IS_OUT(c) \
    (IS_EITHER(c) || (c) == 'r' || (c) == 'f' || (c) == 'A' || (c) == 'V' || (c) == 'E')
#define ARGUMENT(test, kinds, i) ((test(LETTER(kinds, i)) ? 1 : 0) << (i))
#define ARGUMENTS(test, kinds)                                                        \
    (ARGUMENT(test, kinds, 0) | ARGUMENT(test, kinds, 1) | ARGUMENT(test, kinds, 2) | \
     ARGUMENT(test, kinds, 3) | ARGUMENT(test, kinds, 4) | ARGUMENT(test, kinds, 5))

static const struct shape shapes[] = {
    { .count = 0 },
#define CALL(name, group, signature, parameters, level, note) \
    { .kinds = KINDS_##name,                                  \
      .count = sizeof KINDS_##name - 1,                       \
      .fds = ARGUMENTS(IS_FD, KINDS_##name),                  \
      .fds_in = ARGUMENTS(IS_FDS_IN, KINDS_##name),           \
      .in = ARGUMENTS(IS_IN, KINDS_##name),                   \
      .fds_out = ARGUMENTS(IS_FDS_OUT, KINDS_##name),         \
      .out = ARGUMENTS(IS_OUT, KINDS_##name),                 \
      .sockets = sizeof #group == sizeof "socket" },
#include "calls.def"
#undef CALL
};

/* `i` is each argument of the mask. */
#define EACH(i, mask)                   \
    (unsigned left_##i = (mask), i = 0; \
     left_##i != 0 && (i = (unsigned)__builtin_ctz(left_##i), true); left_##i &= left_##i - 1)

/* The bytes of an fd_set as far as the kernel looks (fs/select.c FDS_BYTES). */
static uint64_t set_size(uint64_t count)
{
    return (base_min_u64(count & UINT32_MAX, EMU_MAX_FDS) + 63) / 64 * 8;
}

/* What the last argument of fcntl or ioctl leads to: a size; 0: it is a number. */
static size_t value_size(enum emu_call_id call, uint64_t command, bool *ret_comes_out)
{
    *ret_comes_out = true;
    if (call == EMU_CALL_ioctl) {
        switch ((unsigned)command) {
        case FIONREAD: /* SIOCINQ */
        case TIOCOUTQ: /* SIOCOUTQ */ return sizeof(int);
        case FIONBIO:
        case FIOASYNC: *ret_comes_out = false; return sizeof(int);
        default: return 0;
        }
    }
    switch ((int)command) {
    case F_GETOWN_EX: return sizeof(struct f_owner_ex);
    case F_SETOWN_EX: *ret_comes_out = false; return sizeof(struct f_owner_ex);
    case F_GETLK:
    case F_OFD_GETLK: return sizeof(struct flock);
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_SETLK:
    case F_OFD_SETLKW: *ret_comes_out = false; return sizeof(struct flock);
    default: return 0;
    }
}

static void fixed(struct trace_writer *writer, enum trace_what what, uint64_t word, uint64_t size)
{
    if (word != 0) {
        trace_memory(writer, what, (const void *)(uintptr_t)word, size, size);
    }
}

/* Descriptors that a letter leads to; they stand before all memory. */
static void fds_in(struct trace_writer *writer, char kind, const uint64_t *words, unsigned i)
{
    const void *pointer = (const void *)(uintptr_t)words[i];

    switch (kind) {
    case 'm': trace_message_fds(writer, pointer); break;
    case 'p': trace_pollfds(writer, pointer, base_min_u64(words[i + 1], EMU_MAX_FDS)); break;
    case 's':
        if (i == 1) { /* the first of three */
            trace_fd_sets(writer, words[0], words + 1, 3);
        }
        break;
    default: break;
    }
}

/* Arrays and structs of fixed size, which may come out as they went in. */
static void plain(struct trace_writer *writer, char kind, const uint64_t *words, unsigned i)
{
    const uint64_t word = words[i];

    switch (kind) {
    case 't':
    case 'T': fixed(writer, TRACE_TIMESPEC, word, sizeof(struct timespec)); break;
    case 'u': fixed(writer, TRACE_TIMEVAL, word, sizeof(struct timeval)); break;
    case 'o': fixed(writer, TRACE_OFFSET, word, sizeof(int64_t)); break;
    case 'g': fixed(writer, TRACE_SIGSET, word, sizeof(uint64_t)); break;
    case 'e': fixed(writer, TRACE_EPOLL_EVENTS, word, sizeof(struct epoll_event)); break;
    case 's': fixed(writer, TRACE_FD_SET, word, set_size(words[0])); break;
    case 'l': fixed(writer, TRACE_LENGTH, word, sizeof(socklen_t)); break;
    case 'p':
        fixed(writer, TRACE_POLLFDS, word,
              base_min_u64(words[i + 1] * sizeof(struct pollfd), EMU_TRACE_SIDE / 3));
        break;
    default: break;
    }
}

static void memory_in(struct trace_writer *writer, enum emu_call_id call, const uint64_t *words,
                      unsigned i, uint64_t *left)
{
    const void *pointer = (const void *)(uintptr_t)words[i];
    const char kind = shapes[call].kinds[i];
    bool out;

    if (EMU_LIKELY(kind == 'w')) {
        trace_memory(writer, TRACE_BYTES, pointer, words[i + 1], *left);
        return;
    }
    switch (kind) {
    case 'a': trace_memory(writer, TRACE_ADDRESS, pointer, (uint32_t)words[i + 1], ADDRESS); break;
    case 'v': trace_memory(writer, TRACE_VALUE, pointer, (uint32_t)words[i + 1], VALUE); break;
    case 'R': trace_iovecs(writer, pointer, words[i + 1]); break;
    case 'W':
    case 'x':
        trace_iovecs(writer, pointer, words[i + 1]);
        trace_iovec_data(writer, pointer, words[i + 1], UINT64_MAX, left);
        break;
    case 'm':
    case 'M': trace_message_in(writer, pointer, kind == 'm', left); break;
    case 'n':
    case 'N': trace_messages_in(writer, pointer, (uint32_t)words[i + 1], kind == 'n', left); break;
    case 'd':
        fixed(writer, TRACE_VALUE, value_size(call, words[1], &out) != 0 ? words[i] : 0,
              value_size(call, words[1], &out));
        break;
    default: plain(writer, kind, words, i); break;
    }
}

void emu_trace_enter(struct emu_task *self, enum emu_call_id call, const uint64_t *words,
                     struct emu_trace_open *ret_open)
{
    const struct shape *shape = &shapes[call];
    uint64_t left = trace_control()->data;
    struct trace_writer writer;

    ret_open->number = UINT64_MAX;
    ret_open->call = call;
    ret_open->sleeps = self->sleeps;
    if (!trace_begin(self, TRACE_CALL, &writer)) {
        return;
    }
    writer.record->call = (uint8_t)call;
    writer.record->words = shape->count;
    for (unsigned i = 0; i < shape->count; i++) {
        ret_open->words[i] = words[i];
        ((uint64_t *)(void *)writer.at)[i] = words[i];
    }
    writer.at += shape->count * sizeof *words;
    for
        EACH(i, shape->fds)
        {
            trace_fd(&writer, (int)words[i], i);
        }
    for
        EACH(i, shape->fds_in)
        {
            fds_in(&writer, shape->kinds[i], words, i);
        }
    for
        EACH(i, shape->in)
        {
            memory_in(&writer, call, words, i, &left);
        }
    trace_publish(self, &writer, ret_open);
}

/* Whether the result is a new descriptor. */
static bool makes_fd(enum emu_call_id call, const uint64_t *words)
{
    switch (call) {
    case EMU_CALL_socket:
    case EMU_CALL_accept:
    case EMU_CALL_accept4:
    case EMU_CALL_dup:
    case EMU_CALL_dup2:
    case EMU_CALL_dup3:
    case EMU_CALL_epoll_create:
    case EMU_CALL_epoll_create1: return true;
    case EMU_CALL_fcntl: return words[1] == F_DUPFD || words[1] == F_DUPFD_CLOEXEC;
    default: return false;
    }
}

static void fds_out(struct trace_writer *writer, char kind, const uint64_t *words, unsigned i,
                    int64_t result)
{
    const void *pointer = (const void *)(uintptr_t)words[i];
    struct mmsghdr *messages = (struct mmsghdr *)(uintptr_t)words[i];
    int pair[2];

    switch (kind) {
    case 'f':
        if (host_copy(pair, pointer, sizeof pair) == 0) {
            trace_fd(writer, pair[0], i);
            trace_fd(writer, pair[1], i);
        }
        break;
    case 'M': trace_message_fds(writer, pointer); break;
    case 'N':
        for (int64_t at = 0; at < result && at < EMU_IOV_MAX; at++) {
            trace_message_fds(writer, &messages[at].msg_hdr);
        }
        break;
    default: break;
    }
}

/* What a socklen_t says after the call. */
static uint32_t length_at(uint64_t word)
{
    uint32_t length = 0;

    return host_copy(&length, (const void *)(uintptr_t)word, sizeof length) == 0 ? length : 0;
}

static void memory_out(struct trace_writer *writer, enum emu_call_id call, const uint64_t *words,
                       unsigned i, int64_t result, uint64_t *left)
{
    const void *pointer = (const void *)(uintptr_t)words[i];
    const char kind = shapes[call].kinds[i];
    uint64_t moved = (uint64_t)result;
    bool out;
    size_t size;

    if (EMU_LIKELY(kind == 'r')) {
        trace_memory(writer, TRACE_BYTES, pointer, base_min_u64(moved, words[i + 1]), *left);
        return;
    }
    switch (kind) {
    case 'R': trace_iovec_data(writer, pointer, words[i + 1], moved, left); break;
    case 'x': trace_iovec_data(writer, pointer, words[i + 1], moved, left); break;
    case 'M': trace_message_out(writer, pointer, moved, left); break;
    case 'n':
    case 'N': trace_messages_out(writer, pointer, moved, kind == 'n', left); break;
    case 'f': trace_memory(writer, TRACE_INTS, pointer, 2 * sizeof(int), 2 * sizeof(int)); break;
    case 'A':
    case 'V':
        if (words[i] != 0 && words[i + 1] != 0) {
            trace_memory(writer, kind == 'A' ? TRACE_ADDRESS : TRACE_VALUE, pointer,
                         length_at(words[i + 1]), kind == 'A' ? ADDRESS : VALUE);
        }
        break;
    case 'E':
        size = (size_t)moved * sizeof(struct epoll_event);
        trace_memory(writer, TRACE_EPOLL_EVENTS, pointer, size, EMU_TRACE_SIDE / 2);
        break;
    case 'd':
        size = value_size(call, words[1], &out);
        fixed(writer, TRACE_VALUE, out && size != 0 ? words[i] : 0, size);
        break;
    default: plain(writer, kind, words, i); break;
    }
}

/* What the numbers that it named or made stand for, where no record says so yet. */
static void objects(struct emu_task *self, const struct emu_trace_open *open, int64_t result)
{
    const struct shape *shape = &shapes[open->call];
    bool again = shape->sockets && (result >= 0 || result == -EINPROGRESS);

    for
        EACH(i, shape->fds)
        {
            trace_object(self, (int)open->words[i], again);
        }
    if (EMU_UNLIKELY(result >= 0 && shape->fds_out != 0)) {
        for
            EACH(i, shape->fds_out)
            {
                int pair[2];

                if (shape->kinds[i] == 'f' &&
                    host_copy(pair, (const void *)(uintptr_t)open->words[i], sizeof pair) == 0) {
                    trace_object(self, pair[0], false);
                    trace_object(self, pair[1], false);
                }
            }
    }
    if (EMU_UNLIKELY(makes_fd(open->call, open->words)) && result >= 0) {
        trace_object(self, (int)result, false);
    }
}

static void write_end(struct emu_task *self, struct trace_writer *writer,
                      const struct emu_trace_open *open, int64_t result, uint64_t leave)
{
    const struct shape *shape = &shapes[open->call];
    uint64_t left = trace_control()->data;

    if (EMU_LIKELY(result >= 0)) {
        if (EMU_UNLIKELY(makes_fd(open->call, open->words))) {
            trace_fd(writer, (int)result, TRACE_FD_RESULT);
        }
        for
            EACH(i, shape->fds_out)
            {
                fds_out(writer, shape->kinds[i], open->words, i, result);
            }
        for
            EACH(i, shape->out)
            {
                memory_out(writer, open->call, open->words, i, result, &left);
            }
    }
    if (EMU_UNLIKELY(self->sleeps != open->sleeps)) {
        writer->record->flags |= TRACE_SLEPT;
    }
    trace_finish(self, writer, leave, result);
}

/* Whether a record that stands names something of ours, be it the kernel's to serve. */
static bool names_ours(struct emu_task *self, const struct emu_trace_open *open)
{
    const struct trace_record *record = trace_last(self, open);
    const struct trace_fd *fds;

    if (!record) {
        return false;
    }
    fds = (const void *)((const char *)(record + 1) + record->words * sizeof(uint64_t));
    for (unsigned i = 0; i < record->fds; i++) {
        if (fds[i].description != UINT32_MAX && fds[i].native != TRACE_HANDED_OVER) {
            return true;
        }
    }
    return record->call == EMU_CALL_close_range;
}

void emu_trace_leave(struct emu_task *self, const struct emu_trace_open *open, int64_t result)
{
    uint64_t leave = trace_ticks_after();
    struct trace_writer writer;

    if (open->number == UINT64_MAX) {
        return;
    }
    if (EMU_UNLIKELY(result == EMU_NATIVE && self->progress == 0)) {
        self->trace_is_open = names_ours(self, open);
        if (self->trace_is_open) {
            self->trace_open = *open;
        } else {
            trace_forget(self, open);
        }
        return;
    }
    if (!trace_resume(self, open, &writer)) {
        return;
    }
    if (EMU_UNLIKELY(result == EMU_NATIVE)) {
        writer.record->flags |= TRACE_NATIVE;
        trace_finish(self, &writer, leave, (int64_t)self->progress);
    } else {
        write_end(self, &writer, open, result, leave);
    }
    objects(self, open, result);
}

void emu_trace_answered(struct emu_task *self, const struct emu_trace_open *open, int64_t result)
{
    uint64_t leave = trace_ticks_after();
    struct trace_writer writer;

    if (open->number != UINT64_MAX && trace_resume(self, open, &writer)) {
        writer.record->flags |= TRACE_BY_KERNEL;
        write_end(self, &writer, open, result, leave);
        objects(self, open, result);
    }
}
