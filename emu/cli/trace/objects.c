/*
 * objects.c - what descriptors stand for: numbers and names of the channels of a recording
 *
 * A description is found by index and generation; a pipe's ends also by the direction of data that
 * they share, so that both lead to one object. Names of AF_UNIX are learned from bind and accept.
 */
#include "trace/objects.h"

#include <inttypes.h>
#include <linux/vm_sockets.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "emu.h"
#include "trace/memory.h"
#include "trace/numbering.h"
#include "trace/show.h"

struct objects {
    struct trace *trace;
    struct object *list; /* number 1 first */
    size_t count, room;
    struct numbering numbers; /* of descriptions, and of the directions of pipes */
};

/* Descriptions and directions of data have a space of keys each; no key is 0. */
static uint64_t description_key(uint32_t description, uint32_t generation)
{
    return (uint64_t)generation << 33 | (uint64_t)description << 1 | 1;
}

static uint64_t direction_key(uint32_t buf, uint32_t generation)
{
    return (uint64_t)(generation + 1) << 33 | (uint64_t)buf << 1;
}

static struct object *add(struct objects *objects)
{
    if (objects->count == objects->room) {
        const size_t room = objects->room * 2;
        struct object *list = realloc(objects->list, room * sizeof *list);

        if (list == NULL)
            return NULL;
        objects->list = list;
        objects->room = room;
    }
    objects->list[objects->count] = (struct object){ .number = (uint32_t)objects->count + 1 };
    return &objects->list[objects->count++];
}

struct objects *objects_create(struct trace *trace)
{
    struct objects *objects = calloc(1, sizeof *objects);

    if (objects == NULL)
        return NULL;
    *objects = (struct objects){ .trace = trace, .room = 64 };
    objects->list = calloc(objects->room, sizeof *objects->list);
    if (!numbering_init(&objects->numbers) || objects->list == NULL) {
        objects_destroy(objects);
        return NULL;
    }
    return objects;
}

void objects_destroy(struct objects *objects)
{
    if (objects == NULL)
        return;
    free(objects->list);
    numbering_fini(&objects->numbers);
    free(objects);
}

const struct object *objects_get(const struct objects *objects, uint32_t number)
{
    return number > 0 && number <= objects->count ? &objects->list[number - 1] : NULL;
}

static bool is_channel(const struct trace_fd *fd)
{
    return fd->description != UINT32_MAX && fd->kind != TRACE_OBJECT_NONE;
}

const struct object *objects_find(const struct objects *objects, const struct trace_fd *fd)
{
    if (!is_channel(fd))
        return NULL;
    return objects_get(objects, numbering_find(&objects->numbers,
                                               description_key(fd->description, fd->generation)));
}

/* ---- Learning ---- */

/* The direction of data that both ends of a pipe share. */
static uint64_t pipe_key(const struct trace_object *state)
{
    if (state == NULL)
        return 0;
    if (state->kind == TRACE_OBJECT_PIPE_READER && state->rx != UINT32_MAX)
        return direction_key(state->rx, state->rx_generation);
    if (state->kind == TRACE_OBJECT_PIPE_WRITER && state->tx != UINT32_MAX)
        return direction_key(state->tx, state->tx_generation);
    return 0;
}

static struct object *note_description(struct objects *objects, const struct trace_fd *fd,
                                       uint64_t ns)
{
    const uint64_t key = description_key(fd->description, fd->generation);
    const struct trace_object *state = trace_object_find(objects->trace, fd->description,
                                                         fd->generation, ns);
    const uint64_t shared = pipe_key(state);
    uint32_t number = numbering_find(&objects->numbers, key);
    struct object *object;

    if (number == 0 && shared != 0)
        number = numbering_find(&objects->numbers, shared);
    object = number == 0 ? add(objects) : &objects->list[number - 1];
    if (object == NULL)
        return NULL;
    if (number == 0) {
        object->kind = fd->kind;
        object->description = fd->description;
        object->generation = fd->generation;
    }
    numbering_set(&objects->numbers, key, object->number);
    if (shared != 0)
        numbering_set(&objects->numbers, shared, object->number);
    if (fd->native == TRACE_LISTENER)
        object->is_listener = true;
    return object;
}

/* Who is at the other end, once that is known; it may have no number of its own yet. */
static void note_peer(struct objects *objects, const struct trace_fd *fd, uint64_t ns)
{
    const struct trace_object *state = trace_object_find(objects->trace, fd->description,
                                                         fd->generation, ns);
    const uint32_t own = numbering_find(&objects->numbers,
                                        description_key(fd->description, fd->generation));
    uint32_t peer;

    if (own == 0 || state == NULL || state->peer == UINT32_MAX || pipe_key(state) != 0)
        return;
    peer = numbering_find(&objects->numbers, description_key(state->peer, state->peer_generation));
    if (peer != 0) {
        objects->list[own - 1].peer = peer;
        objects->list[peer - 1].peer = own;
    }
}

static void note_bind(struct objects *objects, const struct trace_call *call, struct object *object)
{
    const size_t size = call->words[2] < sizeof object->name ? call->words[2] : sizeof object->name;
    const uint8_t *bytes = NULL;
    const size_t kept = memory_find(call, TRACE_AT_ENTER, call->words[1], &bytes);

    if (kept < size || size <= offsetof(struct sockaddr_un, sun_path) ||
        (object->kind != TRACE_OBJECT_STREAM && object->kind != TRACE_OBJECT_SEQPACKET))
        return;
    (void)objects;
    memcpy(&object->name, bytes, size);
    object->name_size = (uint32_t)size;
}

/* Names: bind gives one; what accept returns has its listener's. */
static void note_names(struct objects *objects, const struct trace_call *call)
{
    const struct object *first = call->fd_count > 0 ? objects_find(objects, &call->fds[0]) : NULL;

    if (first == NULL || call->result < 0)
        return;
    if (call->call == EMU_CALL_bind) {
        note_bind(objects, call, &objects->list[first->number - 1]);
    } else if ((call->call == EMU_CALL_accept || call->call == EMU_CALL_accept4) &&
               call->new_fd_count == 1) {
        const struct object *made = objects_find(objects, &call->new_fds[0]);

        if (made != NULL && first->name_size > 0) {
            objects->list[made->number - 1].name = first->name;
            objects->list[made->number - 1].name_size = first->name_size;
        }
    } else if (call->call == EMU_CALL_listen) {
        objects->list[first->number - 1].is_listener = true;
    }
}

static void note_all(struct objects *objects, const struct trace_fd *fds, size_t count, uint64_t ns)
{
    for (size_t i = 0; i < count; i++) {
        if (is_channel(&fds[i]))
            note_description(objects, &fds[i], ns);
    }
    for (size_t i = 0; i < count; i++) {
        if (is_channel(&fds[i]))
            note_peer(objects, &fds[i], ns);
    }
}

void objects_note(struct objects *objects, const struct trace_event *event)
{
    const struct trace_call *call = event->call;

    if (event->when == TRACE_AT_ENTER) {
        note_all(objects, call->fds, call->fd_count, call->enter_ns);
        if (call->left) /* what it is going to make: all is known of it already */
            note_all(objects, call->new_fds, call->new_fd_count, call->leave_ns);
        return;
    }
    note_all(objects, call->fds, call->fd_count, call->leave_ns);
    note_all(objects, call->new_fds, call->new_fd_count, call->leave_ns);
    if (call->kind == TRACE_CALL)
        note_names(objects, call);
}

/* ---- Printing ---- */

static void print_vsock(const struct trace_object *state, const struct object *object, FILE *out)
{
    const char *type = object->kind == TRACE_OBJECT_VSOCK_SEQPACKET ? "-seqpacket" : "";

    fprintf(out, "<vsock%s:[", type);
    if (state == NULL || state->local_port == UINT32_MAX)
        fprintf(out, "%u", object->number);
    else if (state->local_cid == VMADDR_CID_ANY)
        fprintf(out, "*:%u", state->local_port);
    else
        fprintf(out, "%u:%u", state->local_cid, state->local_port);
    if (state != NULL && state->remote_port != UINT32_MAX)
        fprintf(out, "->%u:%u", state->remote_cid, state->remote_port);
    fputs("]>", out);
}

static void print_bound_name(const struct object *object, FILE *out)
{
    const size_t begin = offsetof(struct sockaddr_un, sun_path);
    const uint8_t *path = (const uint8_t *)object->name.sun_path;
    const struct show show = { .out = out };
    size_t length = object->name_size - begin;

    if (object->name_size <= begin)
        return;
    fputs(path[0] == '\0' ? ",@" : ",", out);
    if (path[0] == '\0') {
        show_quoted(&show, path + 1, length - 1, length - 1, SIZE_MAX);
    } else {
        length = strnlen(object->name.sun_path, length);
        show_quoted(&show, path, length, length, SIZE_MAX);
    }
}

static void print_socket(const struct object *object, FILE *out)
{
    /* The kernel's names of the protocols, and so strace's: records are called UNIX alone. */
    fprintf(out, "<%s:[%u", object->kind == TRACE_OBJECT_STREAM ? "UNIX-STREAM" : "UNIX",
            object->number);
    if (object->peer != 0)
        fprintf(out, "->%u", object->peer);
    print_bound_name(object, out);
    fputs("]>", out);
}

void objects_print(const struct objects *objects, const struct trace_fd *fd, uint64_t ns,
                   bool both_ends, FILE *out)
{
    const struct object *object = objects_find(objects, fd);

    if (object == NULL)
        return;
    switch (object->kind) {
    case TRACE_OBJECT_PIPE_READER:
    case TRACE_OBJECT_PIPE_WRITER: fprintf(out, "<pipe:[%u]>", object->number); return;
    case TRACE_OBJECT_EPOLL: fputs("<anon_inode:[eventpoll]>", out); return;
    case TRACE_OBJECT_DEVICE: fputs("</dev/vsock>", out); return;
    default: break;
    }
    if (!both_ends)
        fprintf(out, "<socket:[%u]>", object->number);
    else if (object->kind == TRACE_OBJECT_STREAM || object->kind == TRACE_OBJECT_SEQPACKET)
        print_socket(object, out);
    else
        print_vsock(trace_object_find(objects->trace, fd->description, fd->generation, ns), object,
                    out);
}
