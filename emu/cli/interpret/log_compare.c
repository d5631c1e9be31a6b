/*
 * log_compare.c - what came of a call in the world against what the log says
 *
 * Compared: results, errno, bytes as far as the log shows them, revents, events of epoll (their
 * order is the kernel's affair), msg_flags, descriptors in messages, names, values. Not compared:
 * addresses in memory, pids and credentials, what opaque descriptors of a set did. Bytes that
 * strace left out were written as LOG_FILLER, which equals every byte.
 */
#include "interpret/log_compare.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <linux/vm_sockets.h>

#include "interpret/calls.h"
#include "interpret/constants.h"

/* What is compared, and the first thing that differs. */
struct comparison {
    const struct log_context *context;
    const struct log_call *call;
    const struct log_step *step;
    const struct log_frame *frame;
    const struct world_result *result;
    struct log_difference *difference;
};

__attribute__((format(printf, 2, 3))) static void text_of(char text[80], const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, 80, format, arguments);
    va_end(arguments);
}

/* Notes a difference; its texts follow. Returns false. */
static bool differs(struct comparison *comparison, enum log_difference_kind kind)
{
    comparison->difference->kind = kind;
    return false;
}

static bool differs_in_numbers(struct comparison *comparison, enum log_difference_kind kind,
                               const char *condition, int64_t in_log, int64_t here)
{
    text_of(comparison->difference->condition, "%s", condition);
    text_of(comparison->difference->in_log, "%lld", (long long)in_log);
    text_of(comparison->difference->here, "%lld", (long long)here);
    return differs(comparison, kind);
}

static const struct log_expr *argument(const struct comparison *comparison, size_t index)
{
    return index < comparison->call->argument_count ? comparison->call->arguments[index] : NULL;
}

static int64_t number(const struct log_expr *expr, int64_t otherwise)
{
    int64_t value;

    return log_number(log_out(expr), &value) ? value : otherwise;
}

static const void *word(const struct comparison *comparison, size_t index)
{
    return (const void *)(uintptr_t)comparison->frame->words[index];
}

static bool is(const struct comparison *comparison, const char *name)
{
    return strcmp(comparison->call->name, name) == 0;
}

/* ---- Results ---- */

static void render_value(const struct comparison *comparison, int64_t value, char text[80])
{
    char scratch[24];

    (void)comparison;
    if (value < 0)
        text_of(text, "-1 %s", errno_name((int)-value, scratch));
    else
        text_of(text, "%lld", (long long)value);
}

/* Flags that this side sets by itself, or that aren't interpreted. */
static int64_t masked(const struct comparison *comparison, int64_t value)
{
    if (is(comparison, "fcntl") && number(argument(comparison, 1), -1) == F_GETFL)
        return value & ~(int64_t)(0100000 | O_ASYNC); /* O_LARGEFILE of the kernel */
    return value;
}

static bool same_result(const struct comparison *comparison)
{
    const struct log_call *call = comparison->call;
    int64_t value = comparison->result->value;

    switch (call->result) {
    case LOG_RESULT_VALUE: return masked(comparison, value) == masked(comparison, call->value);
    case LOG_RESULT_RESTART: return value == -EINTR;
    case LOG_RESULT_ERROR:
        if (comparison->step->mode == LOG_AT_ONCE && value == -EINTR)
            return true; /* a time-out of the socket's */
        return call->error != 0 ? value == -call->error : value < 0;
    case LOG_RESULT_NONE: return true;
    }
    return true;
}

static bool compare_result(struct comparison *comparison)
{
    if (same_result(comparison))
        return true;
    text_of(comparison->difference->condition, "result");
    log_render_result(comparison->call, comparison->difference->in_log,
                      sizeof(comparison->difference->in_log));
    render_value(comparison, comparison->result->value, comparison->difference->here);
    return differs(comparison, LOG_OTHER_RESULT);
}

/* ---- Bytes ---- */

static void render_bytes(const uint8_t *bytes, size_t size, char text[80])
{
    size_t length = 0;

    text[length++] = '"';
    for (size_t i = 0; i < size && i < 12; i++) {
        if (bytes[i] >= ' ' && bytes[i] < 0x7f && bytes[i] != '"' && bytes[i] != '\\')
            text[length++] = (char)bytes[i];
        else
            length += (size_t)snprintf(text + length, 80 - length, "\\x%02x", bytes[i]);
    }
    snprintf(text + length, 80 - length, "\"");
}

static bool compare_bytes(struct comparison *comparison, const struct log_expr *expr,
                          const uint8_t *came, size_t size, size_t offset)
{
    size_t same = 0;
    size_t shown;

    if (!expr || expr->kind != LOG_BYTES)
        return true;
    shown = expr->size < size ? expr->size : size;
    while (same < shown && (came[same] == expr->bytes[same] || came[same] == LOG_FILLER))
        same++;
    if (same == shown)
        return true;
    text_of(comparison->difference->condition, "byte %zu on", offset + same);
    render_bytes(expr->bytes + same, shown - same, comparison->difference->in_log);
    render_bytes(came + same, shown - same, comparison->difference->here);
    return differs(comparison, LOG_OTHER_BYTES);
}

static bool compare_vectors(struct comparison *comparison, const struct log_expr *list,
                            const struct iovec *vectors, size_t count, size_t size)
{
    size_t offset = 0;

    for (size_t i = 0; list && list->kind == LOG_LIST && i < list->count && i < count; i++) {
        size_t part = vectors[i].iov_len < size - offset ? vectors[i].iov_len : size - offset;

        if (!compare_bytes(comparison, log_field(list->items[i], "iov_base"), vectors[i].iov_base,
                           part, offset))
            return false;
        offset += part;
    }
    return true;
}

/* ---- Descriptors that wait ---- */

static bool differs_in_events(struct comparison *comparison, const char *what, int64_t fd,
                              uint64_t in_log, uint64_t here)
{
    text_of(comparison->difference->condition, "%s of %lld", what, (long long)fd);
    constant_flags("POLL", in_log, comparison->difference->in_log,
                   sizeof(comparison->difference->in_log));
    constant_flags("POLL", here, comparison->difference->here,
                   sizeof(comparison->difference->here));
    return differs(comparison, LOG_OTHER_READY);
}

/* The n-th revents that the log shows for this number, 0 when there are fewer. */
static int64_t logged_revents(const struct log_call *call, int64_t fd, size_t nth)
{
    for (size_t i = 0; i < call->came_count; i++) {
        const struct log_expr *list = call->came[i];

        for (size_t j = 0; list->kind == LOG_LIST && j < list->count; j++) {
            if (number(log_field(list->items[j], "fd"), -2) == fd && nth-- == 0)
                return number(log_field(list->items[j], "revents"), 0);
        }
    }
    return 0;
}

/* A number may stand in the array several times; strace shows only those that were ready. */
static bool compare_one_polled(struct comparison *comparison, const struct pollfd *polled,
                               size_t count, size_t first)
{
    int fd = polled[first].fd;
    size_t nth = 0;
    int64_t left;

    for (size_t i = first; i < count; i++) {
        int64_t wanted;

        if (polled[i].fd != fd || polled[i].revents == 0)
            continue;
        wanted = logged_revents(comparison->call, fd, nth++);
        if (wanted != polled[i].revents)
            return differs_in_events(comparison, "revents", fd, (uint64_t)wanted,
                                     (uint64_t)polled[i].revents);
    }
    left = logged_revents(comparison->call, fd, nth);
    return left == 0 || differs_in_events(comparison, "revents", fd, (uint64_t)left, 0);
}

static bool compare_poll(struct comparison *comparison)
{
    const struct pollfd *polled = word(comparison, 0);
    size_t count = polled ? (size_t)comparison->frame->words[1] : 0;

    if (comparison->result->value < 0 || comparison->call->result != LOG_RESULT_VALUE)
        return compare_result(comparison);
    for (size_t i = 0; i < count; i++) {
        bool seen = polled[i].fd < 0;

        for (size_t j = 0; j < i && !seen; j++)
            seen = polled[j].fd == polled[i].fd;
        if (!seen && !compare_one_polled(comparison, polled, count, i))
            return false;
    }
    return true;
}

static bool is_in_list(const struct log_expr *list, int fd)
{
    for (size_t i = 0; list && list->kind == LOG_LIST && i < list->count; i++) {
        if (number(list->items[i], -1) == fd)
            return true;
    }
    return false;
}

static bool compare_select(struct comparison *comparison)
{
    static const char *const names[] = { "in", "out", "except" };
    const struct log_call *call = comparison->call;
    size_t flag = 0;

    if (comparison->result->value < 0 || call->result != LOG_RESULT_VALUE)
        return compare_result(comparison);
    for (size_t set = 0; set < 3; set++) {
        const struct log_expr *list = argument(comparison, set + 1);
        const fd_set *came = word(comparison, set + 1);
        const struct log_expr *out = NULL;

        for (size_t i = 0; i < call->came_count; i++) {
            if (call->came[i]->field && strcmp(call->came[i]->field, names[set]) == 0)
                out = call->came[i];
        }
        for (size_t i = 0; list && list->kind == LOG_LIST && i < list->count; i++, flag++) {
            int64_t fd = number(list->items[i], -1);
            bool opaque = flag < comparison->step->flags_count &&
                          comparison->context->plan->flags[comparison->step->flags + flag];
            bool here = came && fd >= 0 && fd < FD_SETSIZE && FD_ISSET((int)fd, came);

            if (opaque || is_in_list(out, (int)fd) == here)
                continue;
            text_of(comparison->difference->condition, "descriptor %lld %s", (long long)fd,
                    names[set]);
            text_of(comparison->difference->in_log, "%s", here ? "not ready" : "ready");
            text_of(comparison->difference->here, "%s", here ? "ready" : "not ready");
            return differs(comparison, LOG_OTHER_READY);
        }
    }
    return true;
}

/* The events of all that came with this data, over an array in which each stands once. */
static bool compare_epoll(struct comparison *comparison)
{
    const struct epoll_event *came = word(comparison, 1);
    const struct log_expr *list = argument(comparison, 1);
    int64_t count = comparison->result->value;
    int64_t wanted = 0;
    bool cut = false; /* by strace -s: the others may be opaque */

    if (count < 0 || comparison->call->result != LOG_RESULT_VALUE)
        return compare_result(comparison);
    for (size_t i = 0; list && list->kind == LOG_LIST && i < list->count; i++) {
        int64_t events;
        uint64_t data;
        bool found = false;
        uint64_t other = 0;

        cut |= list->items[i]->kind == LOG_MORE;
        if (!log_epoll_event(list->items[i], &events, &data) ||
            (i < comparison->step->flags_count &&
             comparison->context->plan->flags[comparison->step->flags + i]))
            continue;
        wanted++;
        for (int64_t j = 0; j < count && !found; j++) {
            if (came[j].data.u64 != data)
                continue;
            other = came[j].events;
            found = came[j].events == (uint32_t)events;
        }
        if (!found)
            return differs_in_events(comparison, "events of data", (int64_t)data,
                                     (uint64_t)(uint32_t)events, other);
    }
    if (number(argument(comparison, 2), -1) == comparison->call->value)
        cut = true; /* opaque ones may have taken the places that there were */
    if (wanted == count || (cut && count >= wanted && wanted < comparison->call->value))
        return true;
    return differs_in_numbers(comparison, LOG_OTHER_READY, "members ready", wanted, count);
}

/* ---- Messages ---- */

static bool compare_flags(struct comparison *comparison, const struct log_expr *header,
                          const struct msghdr *came)
{
    const struct log_expr *flags = log_field(header, "msg_flags");
    int64_t wanted = number(flags, 0) & ~(int64_t)MSG_CMSG_CLOEXEC;
    int64_t here = came->msg_flags & ~MSG_CMSG_CLOEXEC;

    if (!flags || wanted == here)
        return true;
    text_of(comparison->difference->condition, "msg_flags");
    constant_flags("MSG_", (uint64_t)wanted, comparison->difference->in_log,
                   sizeof(comparison->difference->in_log));
    constant_flags("MSG_", (uint64_t)here, comparison->difference->here,
                   sizeof(comparison->difference->here));
    return differs(comparison, LOG_OTHER_MESSAGE);
}

/* How many descriptors the log shows in a message. */
static size_t logged_rights(const struct log_expr *header)
{
    const struct log_expr *control = log_field(header, "msg_control");
    size_t count = 0;

    for (size_t i = 0; control && control->kind == LOG_LIST && i < control->count; i++) {
        const struct log_expr *data = log_field(control->items[i], "cmsg_data");

        if (number(log_field(control->items[i], "cmsg_type"), -1) == SCM_RIGHTS && data &&
            data->kind == LOG_LIST)
            count += data->count;
    }
    return count;
}

static bool compare_rights(struct comparison *comparison, const struct log_expr *header,
                           const struct msghdr *came)
{
    struct msghdr *message = (struct msghdr *)(uintptr_t)came;
    size_t wanted = logged_rights(header);
    size_t here = 0;

    for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control;
         control = CMSG_NXTHDR(message, control)) {
        if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS)
            here += (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    }
    if (wanted == here)
        return true;
    return differs_in_numbers(comparison, LOG_OTHER_MESSAGE, "descriptors in the message",
                              (int64_t)wanted, (int64_t)here);
}

static bool compare_message(struct comparison *comparison, const struct log_expr *header,
                            const struct msghdr *came, size_t size)
{
    return compare_vectors(comparison, log_field(header, "msg_iov"), came->msg_iov,
                           came->msg_iovlen, size) &&
           compare_rights(comparison, header, came) && compare_flags(comparison, header, came);
}

static bool compare_messages(struct comparison *comparison)
{
    const struct log_expr *list = argument(comparison, 1);
    const struct mmsghdr *came = word(comparison, 1);

    for (int64_t i = 0; list && list->kind == LOG_LIST && i < comparison->result->value; i++) {
        int64_t wanted;

        if ((size_t)i >= list->count)
            break;
        wanted = number(log_field(list->items[i], "msg_len"), came[i].msg_len);
        if (wanted != came[i].msg_len)
            return differs_in_numbers(comparison, LOG_OTHER_RESULT, "msg_len", wanted,
                                      came[i].msg_len);
        if (!compare_message(comparison, log_field(list->items[i], "msg_hdr"), &came[i].msg_hdr,
                             came[i].msg_len))
            return false;
    }
    return true;
}

/* ---- Names and values ---- */

/* A name that the kernel chose is learned from the first call that tells it. */
static void learn_name(const struct comparison *comparison, const struct sockaddr_un *came,
                       socklen_t size)
{
    struct log_name *name = &comparison->context->plan->names.names[comparison->step->name];
    size_t front = offsetof(struct sockaddr_un, sun_path);

    if (size <= front || size - front > sizeof(name->world))
        return;
    name->world_size = size - front;
    memcpy(name->world, came->sun_path, name->world_size);
}

/* ... and so is a port of AF_VSOCK. */
static void learn_port(const struct comparison *comparison, const struct sockaddr_vm *came)
{
    struct log_name *name = &comparison->context->plan->names.names[comparison->step->name];

    name->world_size = sizeof(came->svm_port);
    memcpy(name->world, &came->svm_port, sizeof(came->svm_port));
}

static bool compare_address(struct comparison *comparison, size_t index)
{
    const struct log_names *names = &comparison->context->plan->names;
    const struct log_expr *expr = argument(comparison, index);
    const struct sockaddr_un *came = word(comparison, index);
    const socklen_t *size = word(comparison, index + 1);
    uint8_t bytes[sizeof(came->sun_path)];
    uint8_t world[sizeof(came->sun_path)];
    size_t length;
    uint32_t name;

    if (!came || !size || !expr || expr->kind != LOG_STRUCT)
        return true;
    if (comparison->step->name != LOG_NO_NAME && is(comparison, "getsockname") &&
        names->names[comparison->step->name].chosen) {
        if (came->sun_family == AF_VSOCK)
            learn_port(comparison, word(comparison, index));
        else if (came->sun_family == AF_UNIX)
            learn_name(comparison, came, *size);
    }
    if (came->sun_family != AF_UNIX)
        return true;
    if (!log_name_of(expr, bytes, &length))
        return true;
    name = log_name_find(names, bytes, length);
    if (name == LOG_NO_NAME || (names->names[name].chosen && names->names[name].world_size == 0))
        return true;
    length = log_name_world(names, name, comparison->context->directory, comparison->context->tag,
                            world);
    if (*size >= offsetof(struct sockaddr_un, sun_path) + length &&
        memcmp(came->sun_path, world, length) == 0)
        return true;
    text_of(comparison->difference->condition, "address");
    render_bytes(bytes, length < 12 ? length : 12, comparison->difference->in_log);
    text_of(comparison->difference->here, "another one");
    return differs(comparison, LOG_OTHER_MESSAGE);
}

static bool compare_value(struct comparison *comparison, size_t index)
{
    const struct log_expr *list = log_out(argument(comparison, index));
    const int *came = word(comparison, index);

    for (size_t i = 0; came && list && list->kind == LOG_LIST && i < list->count && i < 8; i++) {
        int64_t wanted = number(list->items[i], came[i]);

        if (wanted != came[i])
            return differs_in_numbers(comparison, LOG_OTHER_MESSAGE, "value", wanted, came[i]);
    }
    return true;
}

/* ---- All of it ---- */

static bool compare_filled(struct comparison *comparison, char kind, size_t index)
{
    size_t size = comparison->result->value > 0 ? (size_t)comparison->result->value : 0;

    if (comparison->result->value < 0)
        return true;
    switch (kind) {
    case 'r':
        return compare_bytes(comparison, argument(comparison, index), word(comparison, index), size,
                             0);
    case 'R':
        return compare_vectors(comparison, argument(comparison, index), word(comparison, index),
                               (size_t)comparison->frame->words[index + 1], size);
    case 'M':
        return !word(comparison, index) || compare_message(comparison, argument(comparison, index),
                                                           word(comparison, index), size);
    case 'N': return compare_messages(comparison);
    case 'A': return compare_address(comparison, index);
    case 'V': return compare_value(comparison, index);
    case 'd': return !is(comparison, "ioctl") || compare_value(comparison, index);
    default: return true;
    }
}

bool log_compare(const struct log_context *context, uint32_t call, const struct log_frame *frame,
                 const struct world_result *result, struct log_difference *ret_difference)
{
    struct comparison comparison = {
        context,       &context->log->calls[call], &context->plan->steps[call], frame, result,
        ret_difference
    };
    const char *kinds = call_get(frame->call)->kinds;

    memset(ret_difference, 0, sizeof(*ret_difference));
    ret_difference->call = call;
    if (comparison.step->verdict == LOG_CLOSE)
        return true;
    if (comparison.step->verdict != LOG_RUN)
        return compare_result(&comparison);
    if (is(&comparison, "poll") || is(&comparison, "ppoll"))
        return compare_poll(&comparison);
    if (is(&comparison, "select") || is(&comparison, "pselect6"))
        return compare_select(&comparison);
    if (strncmp(comparison.call->name, "epoll_wait", 10) == 0 ||
        strncmp(comparison.call->name, "epoll_pwait", 11) == 0)
        return compare_epoll(&comparison);
    if (!compare_result(&comparison))
        return false;
    for (size_t i = 0; kinds[i]; i++) {
        if (!compare_filled(&comparison, kinds[i], i))
            return false;
    }
    return true;
}
