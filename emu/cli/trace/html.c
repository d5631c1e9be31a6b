/*
 * html.c - a recording as one HTML page: a sequence diagram
 *
 * The page is page.html with page.css, page.js and the recording put in where it says so. Nothing
 * of it comes from elsewhere. The recording is JSON:
 *
 *     {"name": "DIR", "rows": 9, "duration": 1250.5, "left_out": 0,
 *      "tasks": [{"pid", "tid", "program", "begin", "end", "maker", "status", "bad"}],
 *      "objects": [{"number", "kind", "label", "short", "name", "peer"}],
 *      "calls": [[task, type, row, end row, enter, spent, flags, name, text, full, errno,
 * [objects]]], "arrows": [[from, to, amount, records]]}
 *
 * Times are microseconds since the first event; what a row, type or flag is stands in story.h.
 */
#include "trace/html.h"

#include <json-c/json.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "trace/names.h"
#include "trace/story.h"

extern const char page_html[], page_css[], page_js[]; /* page.S */

/* A browser sees the end of a script, or a comment, in any "<": none is left. */
static void print_json(FILE *out, struct json_object *object)
{
    const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);

    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '<')
            fputs("\\u003c", out);
        else
            fputc(*at, out);
    }
    json_object_put(object);
}

static void add_text(struct json_object *object, const char *name, const char *text)
{
    json_object_object_add(object, name, json_object_new_string(text));
}

static void add_number(struct json_object *object, const char *name, int64_t value)
{
    json_object_object_add(object, name, json_object_new_int64(value));
}

/* Names are bytes; what isn't ASCII in them becomes a question mark. */
static void add_name(struct json_object *object, const char *key, const char *name)
{
    char text[256];

    snprintf(text, sizeof text, "%s", name);
    for (char *at = text; *at != '\0'; at++) {
        if (*at < ' ' || *at > '~')
            *at = '?';
    }
    add_text(object, key, text);
}

static struct json_object *microseconds(uint64_t ns)
{
    char text[32];

    snprintf(text, sizeof text, "%llu.%03u", (unsigned long long)(ns / 1000),
             (unsigned)(ns % 1000));
    return json_object_new_double_s((double)ns / 1000, text);
}

static void print_task(FILE *out, const struct story_task *entry)
{
    struct json_object *object = json_object_new_object();
    const struct trace_task *task = entry->task;
    char status[64] = "";

    if (entry->end >= 0 && entry->killed)
        snprintf(status, sizeof status, "killed by SIG%s",
                 sigabbrev_np(entry->status) != NULL ? sigabbrev_np(entry->status) : "?");
    else if (entry->end >= 0)
        snprintf(status, sizeof status, entry->status < 0 ? "exec" : "exit %d", entry->status);
    add_number(object, "pid", task->pid);
    add_number(object, "tid", task->tid);
    add_name(object, "program", task->program);
    add_number(object, "begin", entry->begin < 0 ? 0 : entry->begin);
    add_number(object, "end", entry->end);
    add_number(object, "maker", entry->maker);
    add_text(object, "status", status);
    json_object_object_add(object, "bad", json_object_new_boolean(entry->killed));
    print_json(out, object);
}

/* What was printed into a memory stream, without the brackets that -y puts around. */
static void add_printed(struct json_object *object, const char *name, const struct story *story,
                        const struct object *channel, bool both_ends)
{
    const struct trace_fd fd = { .description = channel->description,
                                 .generation = channel->generation,
                                 .kind = (uint8_t)channel->kind };
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    if (stream == NULL)
        return;
    objects_print(story->objects, &fd, UINT64_MAX, both_ends, stream);
    fclose(stream);
    if (size > 2)
        json_object_object_add(object, name, json_object_new_string_len(text + 1, (int)size - 2));
    free(text);
}

static void print_object(FILE *out, const struct story *story, const struct object *channel)
{
    char path[sizeof channel->name.sun_path + 1] = ""; /* which may be without an end */
    struct json_object *object = json_object_new_object();
    char epoll[32];

    add_number(object, "number", channel->number);
    add_number(object, "peer", channel->peer);
    if (channel->kind == TRACE_OBJECT_EPOLL) {
        snprintf(epoll, sizeof epoll, "epoll:[%u]", channel->number);
        add_text(object, "label", epoll);
        add_text(object, "short", epoll);
    } else {
        add_printed(object, "label", story, channel, true);
        add_printed(object, "short", story, channel, false);
    }
    add_name(object, "name", "");
    if (channel->name_size > offsetof(struct sockaddr_un, sun_path)) {
        memcpy(path, channel->name.sun_path, sizeof channel->name.sun_path);
        add_name(object, "name", path[0] == '\0' ? path + 1 : path);
    }
    print_json(out, object);
}

static void print_call(FILE *out, const struct story *story, const struct story_call *call)
{
    struct json_object *list = json_object_new_array();
    struct json_object *objects = json_object_new_array();

    json_object_array_add(list, json_object_new_int64(call->task));
    json_object_array_add(list, json_object_new_int64(call->type));
    json_object_array_add(list, json_object_new_int64(call->row));
    json_object_array_add(list, json_object_new_int64(call->end_row));
    json_object_array_add(list, microseconds(call->enter_ns - story->start_ns));
    json_object_array_add(list, microseconds(call->spent_ns));
    json_object_array_add(list, json_object_new_int64(call->flags));
    json_object_array_add(list, json_object_new_string(call->name));
    json_object_array_add(list, json_object_new_string(call->text));
    json_object_array_add(list, json_object_new_string(call->full));
    json_object_array_add(list, json_object_new_string(call->error != 0 &&
                                                               strerrorname_np(call->error) != NULL
                                                           ? strerrorname_np(call->error)
                                                           : ""));
    for (size_t i = 0; i < call->object_count; i++)
        json_object_array_add(objects, json_object_new_int64(call->objects[i]));
    json_object_array_add(list, objects);
    print_json(out, list);
}

static void print_arrow(FILE *out, const struct flow_arrow *arrow)
{
    fprintf(out, "[%u,%u,%llu,%u]", arrow->from, arrow->to, (unsigned long long)arrow->amount,
            arrow->records);
}

static void print_data(FILE *out, const struct story *story, const char *name)
{
    const struct flow_arrow *arrows;
    struct json_object *title = json_object_new_object();
    const struct object *channel;
    size_t count;

    arrows = flow_arrows(story->flow, &count);
    add_name(title, "title", name);
    fputs("{\"name\":", out);
    print_json(out, json_object_get(json_object_object_get(title, "title")));
    json_object_put(title);
    fprintf(out, ",\"rows\":%d,\"duration\":%.3f,\"left_out\":%zu,\n\"tasks\":[", story->rows,
            (double)(story->end_ns - story->start_ns) / 1000, story->left_out);
    for (size_t i = 0; i < story->task_count; i++) {
        fputs(i > 0 ? ",\n" : "\n", out);
        print_task(out, &story->tasks[i]);
    }
    fputs("],\n\"objects\":[", out);
    for (uint32_t i = 1; (channel = objects_get(story->objects, i)) != NULL; i++) {
        fputs(i > 1 ? ",\n" : "\n", out);
        print_object(out, story, channel);
    }
    fputs("],\n\"calls\":[", out);
    for (size_t i = 0; i < story->call_count; i++) {
        fputs(i > 0 ? ",\n" : "\n", out);
        print_call(out, story, &story->calls[i]);
    }
    fputs("],\n\"arrows\":[", out);
    for (size_t i = 0; i < count; i++) {
        fputs(i == 0 ? "" : i % 16 == 0 ? ",\n" : ",", out);
        print_arrow(out, &arrows[i]);
    }
    fputs("]}", out);
}

/* page.html up to the mark; returns what follows it. */
static const char *print_until(FILE *out, const char *page, const char *mark)
{
    const char *at = strstr(page, mark);

    if (at == NULL)
        return page;
    fwrite(page, 1, (size_t)(at - page), out);
    return at + strlen(mark);
}

int html_print(struct trace *trace, const struct text_options *options, const char *name, FILE *out)
{
    const char *page = page_html;
    struct story story;
    const bool loaded = story_load(&story, trace, options);

    if (loaded) {
        page = print_until(out, page, "<!--STYLE-->");
        fputs(page_css, out);
        page = print_until(out, page, "<!--DATA-->");
        print_data(out, &story, name);
        page = print_until(out, page, "<!--SCRIPT-->");
        fputs(page_js, out);
        fputs(page, out);
    }
    story_fini(&story);
    return loaded ? 0 : -1;
}
