/*
 * story.c - a recording as the diagram needs it: all at once, with rows and arrows
 */
#include "trace/story.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "trace/decode.h"
#include "trace/line.h"
#include "trace/names.h"
#include "trace/decode_process.h"
#include "trace/numbering.h"
#include "trace/tasks.h"

#define FULL_STRING 256 /* bytes of a string that the details show */

/* What is needed while it is loaded. */
struct loader {
    struct story *story;
    const struct text_options *options;
    struct numbering open;   /* calls that are entered: record of a task -> index + 1 */
    struct numbering makers; /* by pid of a child: index + 1 of the fork */
    struct show show;
    char *text; /* show.out's */
    size_t size;
};

static uint64_t record_key(const struct story *story, const struct trace_call *call)
{
    return (uint64_t)task_place(story->trace, call->task) << 40 | call->number;
}

/* What was printed, as a string of the caller's; NULL without memory. */
static char *take_text(struct loader *loader)
{
    fputc('\0', loader->show.out);
    fflush(loader->show.out);
    rewind(loader->show.out);
    return strdup(loader->text);
}

static void set_texts(struct loader *loader, struct story_call *entry,
                      const struct trace_call *call)
{
    loader->show.call = call;
    loader->show.paths = 0;
    loader->show.string_limit = loader->options->string_limit;
    line_print(&loader->show);
    entry->text = take_text(loader);
    loader->show.paths = 2;
    if (loader->show.string_limit < FULL_STRING)
        loader->show.string_limit = FULL_STRING;
    line_print(&loader->show);
    entry->full = take_text(loader);
    if (call->kind == TRACE_SIGNAL)
        print_signal(loader->show.out, process_signal_number(call));
    else
        fputs(decode_name(call), loader->show.out);
    entry->name = take_text(loader);
}

static void add_objects(const struct story *story, struct story_call *entry,
                        const struct trace_fd *fds, size_t count)
{
    for (size_t i = 0; i < count && entry->object_count < STORY_OBJECTS; i++) {
        const struct object *object = objects_find(story->objects, &fds[i]);

        if (object != NULL)
            entry->objects[entry->object_count++] = object->number;
    }
}

static uint32_t column_of(const struct story *story, const struct trace_task *task)
{
    return story->columns[task_place(story->trace, task)];
}

/* Room for one more call; NULL: there is none. */
static struct story_call *new_call(struct story *story)
{
    if (story->call_count == story->call_room) {
        const size_t room = story->call_room * 2 + 1024;
        struct story_call *calls = realloc(story->calls, room * sizeof *calls);

        if (calls == NULL)
            return NULL;
        story->calls = calls;
        story->call_room = room;
    }
    return &story->calls[story->call_count++];
}

static enum story_type type_of(const struct trace_call *call)
{
    switch (call->kind) {
    case TRACE_CALL: return STORY_CALL;
    case TRACE_SIGNAL: return STORY_SIGNAL;
    case TRACE_FORK: return STORY_FORK;
    default: return STORY_OTHER;
    }
}

static unsigned flags_of(const struct trace_call *call)
{
    const bool is_call = call->kind == TRACE_CALL;

    return (call->left && call->result < 0 ? STORY_FAILED : 0U) | (call->slept ? STORY_SLEPT : 0U) |
           (is_call && !call->left ? STORY_NEVER : 0U) | (call->native ? STORY_NATIVE : 0U);
}

static bool enter(struct loader *loader, const struct trace_call *call)
{
    struct story *story = loader->story;
    const bool never = call->kind == TRACE_CALL && !call->left;
    struct story_call *entry;

    if (story->call_count == STORY_CALLS) {
        story->left_out++;
        return true;
    }
    entry = new_call(story);
    if (entry == NULL)
        return false;
    *entry = (struct story_call){ .task = column_of(story, call->task),
                                  .type = type_of(call),
                                  .row = story->rows,
                                  .end_row = never ? -1 : story->rows,
                                  .enter_ns = call->enter_ns,
                                  .spent_ns = call->left ? call->leave_ns - call->enter_ns : 0,
                                  .flags = flags_of(call),
                                  .error = call->result < 0 ? show_errno(call) : 0 };
    story->rows++;
    set_texts(loader, entry, call);
    add_objects(story, entry, call->fds, call->fd_count);
    add_objects(story, entry, call->new_fds, call->new_fd_count);
    return entry->text != NULL && entry->full != NULL && entry->name != NULL &&
           numbering_set(&loader->open, record_key(story, call), (uint32_t)story->call_count) &&
           flow_enter(story->flow, call, (uint32_t)story->call_count - 1);
}

static bool leave(struct loader *loader, const struct trace_call *call)
{
    struct story *story = loader->story;
    const uint32_t number = numbering_find(&loader->open, record_key(story, call));

    if (number == 0)
        return true;
    if (story->calls[number - 1].row != story->rows - 1)
        story->calls[number - 1].end_row = story->rows++;
    if (call->kind == TRACE_FORK && call->result > 0)
        numbering_set(&loader->makers, (uint64_t)call->result, number);
    return flow_leave(story->flow, call, number - 1);
}

/* ---- Tasks ---- */

static void end_task(struct story_task *task, int32_t row, bool killed, int status)
{
    if (task->end >= 0)
        return;
    task->end = row > task->begin ? row : task->begin;
    task->killed = killed;
    task->status = status;
}

static void end_process(struct story *story, int32_t pid, int status)
{
    for (size_t i = 0; i < story->task_count; i++) {
        if (story->tasks[i].task->pid == pid && story->tasks[i].begin >= 0)
            end_task(&story->tasks[i], story->rows, WIFSIGNALED(status),
                     WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
}

/* A new image has one thread: the others of the process are gone. */
static void begin_task(struct story *story, const struct trace_task *task)
{
    struct story_task *entry = &story->tasks[column_of(story, task)];

    for (size_t i = 0; task->birth == TRACE_BIRTH_EXEC && i < story->task_count; i++) {
        if (story->tasks[i].task->pid == task->pid && &story->tasks[i] != entry &&
            story->tasks[i].begin >= 0)
            end_task(&story->tasks[i], story->rows, false, -1);
    }
    if (entry->begin < 0)
        entry->begin = story->rows;
}

static void follow_tasks(struct story *story, const struct trace_call *call)
{
    if (call->kind == TRACE_TASK)
        begin_task(story, call->task);
    else if (call->kind == TRACE_WAITED)
        end_process(story, (int32_t)call->words[0], (int)call->words[1]);
    else if (call->kind == TRACE_EXIT && call->words[0] != 0)
        end_process(story, call->task->pid, W_EXITCODE((int)call->words[1] & 0xff, 0));
    else if (call->kind == TRACE_EXIT)
        end_task(&story->tasks[column_of(story, call->task)], story->rows, false, 0);
}

/* Which call made which task. */
static void find_makers(struct loader *loader)
{
    struct story *story = loader->story;

    for (size_t i = 0; i < story->task_count; i++) {
        const struct trace_task *task = story->tasks[i].task;
        const uint32_t number = task->pid == task->tid
                                    ? numbering_find(&loader->makers, (uint64_t)task->pid)
                                    : 0;

        story->tasks[i].maker = (int64_t)number - 1;
    }
}

/* ---- All of it ---- */

static bool load_event(struct loader *loader, const struct trace_event *event)
{
    struct story *story = loader->story;
    const struct trace_call *call = event->call;
    const bool is_line = decode_name(call)[0] != '\0' || call->kind == TRACE_SIGNAL;
    const uint64_t now = event->when == TRACE_AT_LEAVE ? call->leave_ns : call->enter_ns;

    objects_note(story->objects, event);
    if (story->end_ns == 0)
        story->start_ns = now;
    if (now > story->end_ns)
        story->end_ns = now;
    if (event->when == TRACE_AT_LEAVE)
        return leave(loader, call);
    if (call->kind == TRACE_TASK)
        follow_tasks(story, call);
    if (is_line &&
        filter_matches(&loader->options->filter, call, story->objects,
                       trace_info(story->trace)->start_ns) &&
        !enter(loader, call))
        return false;
    if (call->kind != TRACE_TASK)
        follow_tasks(story, call);
    return true;
}

/* An image that is executed goes on in its thread's column. */
static bool list_tasks(struct story *story)
{
    const struct trace_task *task;
    const size_t count = task_count(story->trace);

    story->tasks = calloc(count + 1, sizeof *story->tasks);
    story->columns = calloc(count + 1, sizeof *story->columns);
    if (story->tasks == NULL || story->columns == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        size_t at = story->task_count;

        task = trace_task_get(story->trace, i);
        for (size_t j = 0; task->birth == TRACE_BIRTH_EXEC && j < story->task_count; j++) {
            if (story->tasks[j].task->tid == task->tid)
                at = j;
        }
        story->columns[i] = (uint32_t)at;
        if (at == story->task_count)
            story->tasks[story->task_count++] = (struct story_task){ .begin = -1, .end = -1 };
        story->tasks[at].task = task;
    }
    return true;
}

static bool load(struct loader *loader)
{
    struct story *story = loader->story;
    struct trace_event event;

    if (story->objects == NULL || story->flow == NULL || loader->show.out == NULL ||
        !list_tasks(story))
        return false;
    trace_rewind(story->trace);
    while (trace_next(story->trace, &event)) {
        if (!load_event(loader, &event))
            return false;
    }
    find_makers(loader);
    return true;
}

bool story_load(struct story *story, struct trace *trace, const struct text_options *options)
{
    struct loader loader = { .story = story, .options = options };
    bool done = false;

    *story = (struct story){ .trace = trace,
                             .objects = objects_create(trace),
                             .flow = flow_create(trace) };
    loader.show = (struct show){ .out = open_memstream(&loader.text, &loader.size),
                                 .quoting = options->quoting,
                                 .objects = story->objects };
    if (numbering_init(&loader.open) && numbering_init(&loader.makers))
        done = load(&loader);
    numbering_fini(&loader.open);
    numbering_fini(&loader.makers);
    if (loader.show.out != NULL)
        fclose(loader.show.out);
    free(loader.text);
    return done;
}

void story_fini(struct story *story)
{
    for (size_t i = 0; i < story->call_count; i++) {
        free(story->calls[i].name);
        free(story->calls[i].text);
        free(story->calls[i].full);
    }
    free(story->calls);
    free(story->tasks);
    free(story->columns);
    flow_destroy(story->flow);
    objects_destroy(story->objects);
}
