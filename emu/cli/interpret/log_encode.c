/*
 * log_encode.c - a call's arguments: from the log's text to memory and words
 *
 * Time isn't interpreted: a time-out is none, or 0 where the log says that the call didn't wait.
 * Where strace printed an address in place of contents a buffer is put, or a page that can't be
 * touched when the call failed with EFAULT.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <linux/vm_sockets.h>

#include "interpret/calls.h"
#include "interpret/log_frame.h"

#define DEFAULT_BUFFER  65536u
#define DEFAULT_CONTROL 4096u
#define MOST_VECTORS    1024u

/* What is the same for all parts of one call. */
struct encoder {
    const struct log_context *context;
    const struct log_call *call;
    const struct log_step *step;
    struct log_frame *frame;
    size_t most;
    size_t flag; /* the item of a set that comes next */
};

static void *take(struct log_frame *frame, size_t size)
{
    uint8_t *memory = frame->memory + frame->used;

    if (size > LOG_FRAME_SIZE - 64 || frame->used + size + 16 > LOG_FRAME_SIZE) {
        frame->full = true;
        return frame->memory;
    }
    frame->used = (frame->used + size + 15) & ~(size_t)15;
    return memory;
}

static void *take_zeroed(struct log_frame *frame, size_t size)
{
    void *memory = take(frame, size);

    if (!frame->full)
        memset(memory, 0, size);
    return memory;
}

const struct log_expr *log_in(const struct log_expr *expr)
{
    return expr && expr->kind == LOG_ARROW ? expr->items[0] : expr;
}

const struct log_expr *log_out(const struct log_expr *expr)
{
    return expr && expr->kind == LOG_ARROW ? expr->items[1] : expr;
}

static const struct log_expr *argument(const struct encoder *encoder, size_t index)
{
    return index < encoder->call->argument_count ? encoder->call->arguments[index] : NULL;
}

static int64_t number(const struct log_expr *expr, int64_t otherwise)
{
    int64_t value;

    return log_number(log_in(expr), &value) ? value : otherwise;
}

static bool is_null(const struct log_expr *expr)
{
    return !expr || (expr->kind == LOG_NUMBER && expr->number == 0);
}

/* Contents that strace couldn't read: the address that made the call fail. */
static bool is_bad(const struct encoder *encoder, const struct log_expr *expr)
{
    return expr && expr->kind == LOG_NUMBER && expr->hex && encoder->call->error == EFAULT;
}

/* ---- Bytes and vectors ---- */

static size_t limited(int64_t size)
{
    return size < 0 || (uint64_t)size > LOG_BUFFER_MAX ? LOG_BUFFER_MAX : (size_t)size;
}

static void *encode_bytes(struct encoder *encoder, const struct log_expr *expr, size_t size)
{
    uint8_t *memory;
    size_t shown;

    if (is_bad(encoder, expr))
        return world_bad_page(encoder->context->world);
    if (is_null(expr))
        return NULL;
    memory = take(encoder->frame, size);
    if (encoder->frame->full)
        return NULL;
    memset(memory, LOG_FILLER, size);
    shown = expr->kind == LOG_BYTES ? expr->size : 0;
    memcpy(memory, expr->bytes ? expr->bytes : memory, shown < size ? shown : size);
    return memory;
}

static void *encode_buffer(struct encoder *encoder, const struct log_expr *expr, size_t size)
{
    if (is_bad(encoder, expr))
        return world_bad_page(encoder->context->world);
    if (expr && expr->kind == LOG_NUMBER && expr->number == 0)
        return NULL;
    return take(encoder->frame, size);
}

/* How many iovecs, and how many bytes they hold, of what strace shows. */
static size_t shown_vectors(const struct log_expr *list, size_t *ret_bytes)
{
    size_t count = 0;

    *ret_bytes = 0;
    if (!list || list->kind != LOG_LIST)
        return 0;
    for (size_t i = 0; i < list->count && count < MOST_VECTORS; i++) {
        if (list->items[i]->kind != LOG_STRUCT)
            break;
        *ret_bytes += limited(number(log_field(list->items[i], "iov_len"), 0));
        count++;
    }
    return count;
}

/* The iovecs; what strace left out is one more of the size that the result asks for. */
static struct iovec *encode_vectors(struct encoder *encoder, const struct log_expr *list,
                                    bool filled, size_t *ret_count)
{
    size_t bytes;
    size_t count = shown_vectors(list, &bytes);
    bool more = list && list->kind == LOG_LIST && count < list->count;
    int64_t result = encoder->call->result == LOG_RESULT_VALUE ? encoder->call->value : 0;
    struct iovec *vectors = take_zeroed(encoder->frame, (count + 1) * sizeof(*vectors));
    size_t left = encoder->most;

    for (size_t i = 0; i < count && !encoder->frame->full; i++) {
        const struct log_expr *base = log_field(list->items[i], "iov_base");
        size_t size = limited(number(log_field(list->items[i], "iov_len"), 0));

        if (filled && size > left)
            size = left;
        left -= filled && left != SIZE_MAX ? size : 0;
        vectors[i].iov_len = size;
        vectors[i].iov_base = filled ? encode_buffer(encoder, base, size)
                                     : encode_bytes(encoder, base, size);
    }
    if (more || (filled && count == 0 && (!list || list->kind != LOG_LIST))) {
        size_t size = more && result > (int64_t)bytes ? limited(result) - bytes : DEFAULT_BUFFER;

        vectors[count].iov_len = size;
        vectors[count].iov_base = take(encoder->frame, size);
        if (!encoder->frame->full)
            memset(vectors[count].iov_base, LOG_FILLER, size);
        count++;
    }
    *ret_count = count;
    return vectors;
}

/* ---- Addresses ---- */

void *log_encode_address(const struct log_context *context, struct log_frame *frame,
                         const struct log_expr *address, uint32_t name, uint32_t *ret_size)
{
    struct sockaddr_un *path = take_zeroed(frame, sizeof(struct sockaddr_storage));
    struct sockaddr_vm *port = (struct sockaddr_vm *)(void *)path;
    int64_t family = number(log_field(address, "sa_family"), AF_UNSPEC);

    if (frame->full)
        return NULL;
    path->sun_family = (sa_family_t)family;
    if (family == AF_VSOCK) {
        port->svm_cid = (unsigned)number(log_field(address, "svm_cid"), VMADDR_CID_ANY);
        port->svm_port = (unsigned)number(log_field(address, "svm_port"), VMADDR_PORT_ANY);
        if (name != LOG_NO_NAME && context->plan->names.names[name].chosen)
            memcpy(&port->svm_port, context->plan->names.names[name].world, sizeof(port->svm_port));
        *ret_size = sizeof(*port);
        return path;
    }
    *ret_size = sizeof(path->sun_family);
    if (name != LOG_NO_NAME)
        *ret_size += (uint32_t)log_name_world(&context->plan->names, name, context->directory,
                                              context->tag, (uint8_t *)path->sun_path);
    return path;
}

static uint64_t encode_address(struct encoder *encoder, size_t index)
{
    const struct log_expr *expr = argument(encoder, index);
    uint32_t size = 0;
    void *address;

    if (is_bad(encoder, expr))
        return (uint64_t)(uintptr_t)world_bad_page(encoder->context->world);
    if (expr && expr->kind == LOG_NUMBER && expr->hex) /* too short for strace to decode */
        return (uint64_t)(uintptr_t)take_zeroed(encoder->frame, sizeof(struct sockaddr_storage));
    if (!expr || expr->kind != LOG_STRUCT)
        return 0;
    address = log_encode_address(encoder->context, encoder->frame, expr, encoder->step->name,
                                 &size);
    if (encoder->step->name != LOG_NO_NAME) /* a moved name has its own length */
        encoder->frame->words[index + 1] = size;
    return (uint64_t)(uintptr_t)address;
}

/* ---- Messages ---- */

static size_t control_size(const struct log_expr *item)
{
    const struct log_expr *data = log_field(item, "cmsg_data");

    return data && data->kind == LOG_LIST ? data->count * sizeof(int) : 0;
}

static bool is_rights(const struct log_expr *item)
{
    return number(log_field(item, "cmsg_level"), -1) == SOL_SOCKET &&
           number(log_field(item, "cmsg_type"), -1) == SCM_RIGHTS && control_size(item) > 0;
}

/* Descriptors alone: pids of credentials mean nothing in the world. */
static void encode_control(struct encoder *encoder, const struct log_expr *list,
                           struct msghdr *header)
{
    size_t size = 0;
    uint8_t *memory;

    if (!list || list->kind != LOG_LIST)
        return;
    for (size_t i = 0; i < list->count; i++)
        size += is_rights(list->items[i]) ? CMSG_SPACE(control_size(list->items[i])) : 0;
    if (size == 0)
        return;
    memory = take_zeroed(encoder->frame, size);
    header->msg_control = memory;
    header->msg_controllen = size;
    for (size_t i = 0; i < list->count && !encoder->frame->full; i++) {
        const struct log_expr *data = log_field(list->items[i], "cmsg_data");
        struct cmsghdr *control = (struct cmsghdr *)(void *)memory;

        if (!is_rights(list->items[i]))
            continue;
        control->cmsg_len = CMSG_LEN(control_size(list->items[i]));
        control->cmsg_level = SOL_SOCKET;
        control->cmsg_type = SCM_RIGHTS;
        for (size_t j = 0; j < data->count; j++)
            ((int *)(void *)CMSG_DATA(control))[j] = (int)number(data->items[j], -1);
        memory += CMSG_SPACE(control_size(list->items[i]));
    }
}

static void prepare_control(struct encoder *encoder, const struct log_expr *expr,
                            struct msghdr *header)
{
    bool cut = (number(log_field(expr, "msg_flags"), 0) & MSG_CTRUNC) != 0;
    size_t size = cut ? limited(number(log_field(expr, "msg_controllen"), 0)) : DEFAULT_CONTROL;

    header->msg_control = take_zeroed(encoder->frame, size);
    header->msg_controllen = size;
}

static void encode_message(struct encoder *encoder, const struct log_expr *expr, bool filled,
                           struct msghdr *header)
{
    const struct log_expr *name = log_field(expr, "msg_name");
    size_t count;

    header->msg_iov = encode_vectors(encoder, log_field(expr, "msg_iov"), filled, &count);
    header->msg_iovlen = count;
    if (!filled) {
        encode_control(encoder, log_field(expr, "msg_control"), header);
        return;
    }
    prepare_control(encoder, expr, header);
    if (!is_null(name) && number(log_field(expr, "msg_namelen"), 0) > 0) {
        header->msg_namelen = (socklen_t)limited(number(log_field(expr, "msg_namelen"), 0));
        header->msg_name = take_zeroed(encoder->frame, header->msg_namelen);
    }
}

static uint64_t encode_header(struct encoder *encoder, size_t index, bool filled)
{
    const struct log_expr *expr = argument(encoder, index);
    struct msghdr *header;

    if (is_bad(encoder, expr))
        return (uint64_t)(uintptr_t)world_bad_page(encoder->context->world);
    if (is_null(expr))
        return 0;
    header = take_zeroed(encoder->frame, sizeof(*header));
    if (!encoder->frame->full)
        encode_message(encoder, expr, filled, header);
    return (uint64_t)(uintptr_t)header;
}

/* An array of headers; of those that strace doesn't show each is as the first. */
static uint64_t encode_headers(struct encoder *encoder, size_t index, bool filled)
{
    const struct log_expr *list = argument(encoder, index);
    int64_t count = number(argument(encoder, index + 1), 0);
    struct mmsghdr *headers;

    if (is_bad(encoder, list))
        return (uint64_t)(uintptr_t)world_bad_page(encoder->context->world);
    if (is_null(list) || count <= 0)
        return 0;
    if (count > MOST_VECTORS)
        count = MOST_VECTORS;
    if (!filled && list->kind == LOG_LIST && (size_t)count > list->count)
        count = (int64_t)list->count;
    encoder->frame->words[index + 1] = (uint64_t)count;
    headers = take_zeroed(encoder->frame, (size_t)count * sizeof(*headers));
    for (int64_t i = 0; i < count && !encoder->frame->full; i++) {
        size_t shown = list->kind == LOG_LIST && list->count > 0
                           ? (size_t)i < list->count ? (size_t)i : 0
                           : SIZE_MAX;

        encode_message(encoder, shown == SIZE_MAX ? NULL : log_field(list->items[shown], "msg_hdr"),
                       filled, &headers[i].msg_hdr);
    }
    return (uint64_t)(uintptr_t)headers;
}

/* ---- Sets ---- */

static bool next_is_opaque(struct encoder *encoder)
{
    size_t flag = encoder->flag++;

    return flag < encoder->step->flags_count &&
           encoder->context->plan->flags[encoder->step->flags + flag];
}

static uint64_t encode_polled(struct encoder *encoder, size_t index)
{
    const struct log_expr *list = argument(encoder, index);
    struct pollfd *polled;

    if (!list || list->kind != LOG_LIST)
        return 0;
    polled = take_zeroed(encoder->frame, (list->count + 1) * sizeof(*polled));
    for (size_t i = 0; i < list->count && !encoder->frame->full; i++) {
        polled[i].fd = next_is_opaque(encoder) ? -1
                                               : (int)number(log_field(list->items[i], "fd"), -1);
        polled[i].events = (short)number(log_field(list->items[i], "events"), 0);
    }
    encoder->frame->words[index + 1] = list->count;
    return (uint64_t)(uintptr_t)polled;
}

static uint64_t encode_set(struct encoder *encoder, size_t index)
{
    const struct log_expr *list = argument(encoder, index);
    fd_set *set;

    if (!list || list->kind != LOG_LIST)
        return 0;
    set = take_zeroed(encoder->frame, sizeof(*set));
    for (size_t i = 0; i < list->count && !encoder->frame->full; i++) {
        int64_t fd = number(list->items[i], -1);

        if (!next_is_opaque(encoder) && fd >= 0 && fd < FD_SETSIZE)
            FD_SET((int)fd, set);
    }
    return (uint64_t)(uintptr_t)set;
}

static uint64_t encode_event(struct encoder *encoder, size_t index)
{
    const struct log_expr *expr = argument(encoder, index);
    struct epoll_event *event;
    int64_t events;
    uint64_t data;

    if (is_bad(encoder, expr))
        return (uint64_t)(uintptr_t)world_bad_page(encoder->context->world);
    if (!log_epoll_event(expr, &events, &data))
        return 0;
    event = take_zeroed(encoder->frame, sizeof(*event));
    event->events = (uint32_t)events;
    event->data.u64 = data;
    return (uint64_t)(uintptr_t)event;
}

static bool waits_never(const struct encoder *encoder, const struct log_expr *timeout)
{
    int64_t seconds = number(log_field(timeout, "tv_sec"), -1);
    int64_t rest = number(log_field(timeout, "tv_nsec"), number(log_field(timeout, "tv_usec"), 0));

    if (encoder->step->mode == LOG_NO_WAIT)
        return true;
    return timeout && timeout->kind == LOG_STRUCT ? seconds == 0 && rest == 0
                                                  : number(timeout, -1) == 0 && !is_null(timeout);
}

static uint64_t encode_timeout(struct encoder *encoder, size_t index)
{
    if (!waits_never(encoder, argument(encoder, index)))
        return 0;
    return (uint64_t)(uintptr_t)take_zeroed(encoder->frame, sizeof(struct timespec));
}

/* The time-out of poll and epoll_wait, in milliseconds. */
static uint64_t encode_milliseconds(struct encoder *encoder, size_t index)
{
    if (encoder->step->mode == LOG_NO_WAIT || number(argument(encoder, index), -1) == 0)
        return 0;
    return (uint64_t)-1;
}

/* ---- Values ---- */

/* [5], {l_onoff=1, ...}, "bytes": of an option or an ioctl; a plain number goes as it is */
static uint64_t encode_value(struct encoder *encoder, const struct log_expr *expr, bool filled)
{
    int *memory;

    expr = log_in(expr);
    if (is_bad(encoder, expr))
        return (uint64_t)(uintptr_t)world_bad_page(encoder->context->world);
    if (!expr)
        return 0;
    if (expr->kind == LOG_NUMBER && expr->hex && encoder->frame->call == call_find("ioctl"))
        filled = true; /* what would be filled by a call that failed */
    if (expr->kind != LOG_LIST && !filled)
        return (uint64_t)number(expr, 0);
    memory = take_zeroed(encoder->frame, 256);
    for (size_t i = 0; !filled && i < expr->count && i < 64 && !encoder->frame->full; i++)
        memory[i] = (int)number(expr->items[i], 0);
    return (uint64_t)(uintptr_t)memory;
}

static uint64_t encode_length(struct encoder *encoder, size_t index)
{
    const struct log_expr *expr = argument(encoder, index);
    socklen_t *length;

    if (!expr || expr->kind != LOG_LIST || expr->count != 1)
        return 0;
    length = take_zeroed(encoder->frame, sizeof(*length));
    *length = (socklen_t)number(expr->items[0], 0);
    if (call_get(encoder->frame->call)->kinds[index - 1] == 'A')
        *length = sizeof(struct sockaddr_storage); /* moved names are longer */
    return (uint64_t)(uintptr_t)length;
}

static uint64_t encode_argument(struct encoder *encoder, char kind, size_t index)
{
    const struct log_expr *expr = argument(encoder, index);
    size_t size = limited(number(argument(encoder, index + 1), 0));
    size_t count;

    switch (kind) {
    case 'w': return (uint64_t)(uintptr_t)encode_bytes(encoder, expr, size);
    case 'r':
        size = size > encoder->most ? encoder->most : size;
        encoder->frame->words[index + 1] = size;
        return (uint64_t)(uintptr_t)encode_buffer(encoder, expr, size);
    case 'W':
    case 'x':
    case 'R':
        if (is_bad(encoder, expr))
            return (uint64_t)(uintptr_t)world_bad_page(encoder->context->world);
        if (is_null(expr))
            return 0;
        expr = expr->kind == LOG_LIST ? expr : NULL;
        size = (size_t)(uintptr_t)encode_vectors(encoder, expr, kind == 'R', &count);
        encoder->frame->words[index + 1] = count;
        return size;
    case 'm': return encode_header(encoder, index, false);
    case 'M': return encode_header(encoder, index, true);
    case 'n': return encode_headers(encoder, index, false);
    case 'N': return encode_headers(encoder, index, true);
    case 'f': return (uint64_t)(uintptr_t)take_zeroed(encoder->frame, 2 * sizeof(int));
    case 'a': return encode_address(encoder, index);
    case 'A':
        if (is_null(expr))
            return 0;
        return (uint64_t)(uintptr_t)take_zeroed(encoder->frame, sizeof(struct sockaddr_storage));
    case 'l': return encode_length(encoder, index);
    case 'v': return encode_value(encoder, expr, false);
    case 'V': return encode_value(encoder, expr, true);
    case 'd': return encode_value(encoder, expr, false);
    case 't':
    case 'T':
    case 'u': return encode_timeout(encoder, index);
    case 'p': return encode_polled(encoder, index);
    case 's': return encode_set(encoder, index);
    case 'e': return encode_event(encoder, index);
    case 'E':
        count = limited(number(argument(encoder, index + 1), 1));
        if (count > MOST_VECTORS && number(argument(encoder, index + 1), 1) > 0) {
            count = MOST_VECTORS;
            encoder->frame->words[index + 1] = count;
        }
        if (count > MOST_VECTORS)
            count = 1; /* a negative number: refused */
        return (uint64_t)(uintptr_t)take_zeroed(encoder->frame,
                                                (count + 1) * sizeof(struct epoll_event));
    default: return 0; /* masks of signals, offsets */
    }
}

static bool is_milliseconds(const char *name, size_t index)
{
    return (strcmp(name, "poll") == 0 && index == 2) ||
           ((strcmp(name, "epoll_wait") == 0 || strcmp(name, "epoll_pwait") == 0) && index == 3);
}

/* A call in place of the log's: bytes that are written or read, a number that is closed. */
static void encode_stand_in(struct encoder *encoder)
{
    struct log_frame *frame = encoder->frame;
    size_t size = limited(encoder->call->value);

    frame->words[0] = (uint64_t)encoder->step->number;
    if (encoder->step->verdict == LOG_CLOSE) {
        frame->call = call_find("close");
        return;
    }
    frame->call = call_find(encoder->step->verdict == LOG_FEED ? "write" : "read");
    frame->words[1] = (uint64_t)(uintptr_t)take(frame, size);
    frame->words[2] = size;
    if (!frame->full)
        memset((void *)(uintptr_t)frame->words[1], LOG_FILLER, size);
}

bool log_encode(const struct log_context *context, uint32_t call, size_t most,
                struct log_frame *frame)
{
    struct encoder encoder = {
        context, &context->log->calls[call], &context->plan->steps[call], frame, most, 0
    };
    const char *kinds;

    frame->used = 0;
    frame->full = false;
    frame->call = encoder.call->number;
    memset(frame->words, 0, sizeof(frame->words));
    if (encoder.step->verdict != LOG_RUN) {
        encode_stand_in(&encoder);
        return !frame->full;
    }
    kinds = call_get(frame->call)->kinds;
    for (size_t i = 0; kinds[i]; i++) { /* numbers first: what has a size may correct it */
        if (is_milliseconds(encoder.call->name, i))
            frame->words[i] = encode_milliseconds(&encoder, i);
        else if (kinds[i] == 'i' || kinds[i] == 'F')
            frame->words[i] = (uint64_t)number(argument(&encoder, i), 0);
    }
    for (size_t i = 0; kinds[i]; i++) {
        if (kinds[i] != 'i' && kinds[i] != 'F')
            frame->words[i] = encode_argument(&encoder, kinds[i], i);
    }
    return !frame->full;
}
