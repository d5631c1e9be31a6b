/*
 * json.c - a recording as JSON Lines: an object for each call
 *
 *     {"number":17,"pid":412,"tid":412,"program":"cat","call":"read",
 *      "enter_ns":1700000000123456789,"arguments":["0","\"abc\"","4096"],
 *      "leave_ns":1700000000123457012,"result":3,"slept":true,
 *      "fds":[{"fd":0,"object":2,"kind":"pipe"}],
 *      "text":"read(0<pipe:[2]>, \"abc\", 4096) = 3"}
 *
 * In the order in which calls were entered. A call that failed has "errno", with "result" -1; one
 * that was never left has neither "leave_ns" nor "result". What a signal handler was run for has
 * "signal" in place of "call". Arguments and text are strace's; the text shows descriptors as -yy.
 */
#include "trace/json.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "trace/decode.h"
#include "trace/decode_process.h"
#include "trace/line.h"
#include "trace/names.h"
#include "trace/objects.h"

#define BETWEEN "\x1f" /* no argument holds one: strings are escaped */

struct json {
    struct show show;
    char *text; /* show.out's */
    size_t size;
    FILE *out;
};

static const char *kind_name(enum trace_object_kind kind)
{
    switch (kind) {
    case TRACE_OBJECT_PIPE_READER:
    case TRACE_OBJECT_PIPE_WRITER: return "pipe";
    case TRACE_OBJECT_STREAM: return "unix-stream";
    case TRACE_OBJECT_SEQPACKET: return "unix-seqpacket";
    case TRACE_OBJECT_VSOCK_STREAM: return "vsock-stream";
    case TRACE_OBJECT_VSOCK_SEQPACKET: return "vsock-seqpacket";
    case TRACE_OBJECT_EPOLL: return "epoll";
    case TRACE_OBJECT_DEVICE: return "vsock-device";
    default: return "kernel";
    }
}

static void add_text(struct json_object *object, const char *name, const char *text)
{
    json_object_object_add(object, name, json_object_new_string(text));
}

static void add_number(struct json_object *object, const char *name, int64_t value)
{
    json_object_object_add(object, name, json_object_new_int64(value));
}

/* What was printed since the last time, as a string of json's. */
static const char *printed(struct json *json)
{
    fputc('\0', json->show.out);
    fflush(json->show.out);
    rewind(json->show.out);
    return json->text;
}

static void add_arguments(struct json *json, struct json_object *object)
{
    struct json_object *list = json_object_new_array();
    const char *next;

    line_arguments(&json->show, BETWEEN);
    next = printed(json);
    while (*next != '\0') {
        const size_t length = strcspn(next, BETWEEN);

        json_object_array_add(list, json_object_new_string_len(next, (int)length));
        next += length + (next[length] != '\0');
    }
    json_object_object_add(object, "arguments", list);
}

static void add_fds(struct json *json, struct json_object *list, const struct trace_fd *fds,
                    size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct object *channel = objects_find(json->show.objects, &fds[i]);
        struct json_object *entry = json_object_new_object();

        add_number(entry, "fd", fds[i].fd);
        if (channel != NULL)
            add_number(entry, "object", channel->number);
        add_text(entry, "kind", kind_name(fds[i].kind));
        json_object_array_add(list, entry);
    }
}

/* A program's name, of which other bytes than ASCII's aren't known to be text. */
static void add_program(struct json_object *object, const char *program)
{
    char text[sizeof((struct trace_task *)0)->program];
    size_t i;

    for (i = 0; i + 1 < sizeof text && program[i] != '\0'; i++)
        text[i] = (char)(program[i] > 0 && program[i] < 0x7f ? program[i] : '?');
    text[i] = '\0';
    add_text(object, "program", text);
}

static void add_result(struct json_object *object, const struct trace_call *call)
{
    if (call->left) {
        add_number(object, "leave_ns", (int64_t)call->leave_ns);
        add_number(object, "result", call->result < 0 ? -1 : call->result);
    }
    if (call->left && call->result < 0 && strerrorname_np(show_errno(call)) != NULL)
        add_text(object, "errno", strerrorname_np(show_errno(call)));
    if (call->slept)
        json_object_object_add(object, "slept", json_object_new_boolean(1));
    if (call->native)
        json_object_object_add(object, "native", json_object_new_boolean(1));
}

static void add_call(struct json *json, struct json_object *object, const struct trace_call *call)
{
    struct json_object *fds = json_object_new_array();

    if (call->kind == TRACE_SIGNAL) {
        print_signal(json->show.out, process_signal_number(call));
        add_text(object, "signal", printed(json));
    } else {
        add_text(object, "call", decode_name(call));
    }
    add_number(object, "enter_ns", (int64_t)call->enter_ns);
    if (call->kind != TRACE_SIGNAL) {
        json->show.paths = 0;
        add_arguments(json, object);
        add_result(object, call);
    }
    add_fds(json, fds, call->fds, call->fd_count);
    add_fds(json, fds, call->new_fds, call->new_fd_count);
    json_object_object_add(object, "fds", fds);
    json->show.paths = 2;
    line_print(&json->show);
    add_text(object, "text", printed(json));
}

static void print_call(struct json *json, const struct trace_call *call, uint64_t number)
{
    struct json_object *object = json_object_new_object();

    json->show.call = call;
    add_number(object, "number", (int64_t)number);
    add_number(object, "pid", call->task->pid);
    add_number(object, "tid", call->task->tid);
    add_program(object, call->task->program);
    add_call(json, object, call);
    fputs(json_object_to_json_string_ext(object,
                                         JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
          json->out);
    fputc('\n', json->out);
    json_object_put(object);
}

int json_print(struct trace *trace, const struct text_options *options, FILE *out)
{
    struct objects *objects = objects_create(trace);
    struct json json = { .out = out };
    const uint64_t start = trace_info(trace)->start_ns;
    struct trace_event event;
    uint64_t number = 0;

    json.show = (struct show){ .out = open_memstream(&json.text, &json.size),
                               .string_limit = options->string_limit,
                               .quoting = options->quoting,
                               .objects = objects };
    if (objects == NULL || json.show.out == NULL) {
        objects_destroy(objects);
        return -1;
    }
    trace_rewind(trace);
    while (trace_next(trace, &event)) {
        const struct trace_call *call = event.call;

        objects_note(objects, &event);
        if (event.when != TRACE_AT_ENTER ||
            (decode_name(call)[0] == '\0' && call->kind != TRACE_SIGNAL))
            continue;
        number++; /* of all calls, so that filters don't change it */
        if (filter_matches(&options->filter, call, objects, start))
            print_call(&json, call, number);
    }
    fclose(json.show.out);
    free(json.text);
    objects_destroy(objects);
    return 0;
}
