/*
 * text.c - a recording as strace's text
 *
 * As strace does it: a call's line is begun when it is entered, and stays open until it is left or
 * something else is to be printed; then it ends with "<unfinished ...>" and is resumed later. What
 * isn't shown opens no line and ends none.
 */
#include "trace/text.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "trace/decode.h"
#include "trace/decode_process.h"
#include "trace/names.h"
#include "trace/objects.h"
#include "trace/tasks.h"
#include "trace/threads.h"

/* What a task is doing. */
struct task_state {
    const struct trace_task *task;    /* NULL: it hasn't begun, or is gone */
    const struct trace_call *blocked; /* entered and shown, not left */
};

struct text {
    const struct text_options *options;
    struct show show;
    struct objects *objects;
    struct threads *threads; /* of a script; else NULL */
    struct trace *trace;
    struct task_state *tasks; /* by place */
    size_t task_count;
    size_t alive;
    size_t ends_told;
    const struct trace_call *open; /* whose line isn't ended */
    char *line;                    /* the line, in memory until it is ended */
    size_t line_size;
    uint64_t start_ns, last_ns; /* of the recording; of the last line, for -r */
    FILE *out;
};

/* ---- Lines ---- */

static void end_line(struct text *text)
{
    fputc('\n', text->show.out);
    fflush(text->show.out);
    fwrite(text->line, 1, text->line_size, text->out);
    rewind(text->show.out);
    text->open = NULL;
}

static void print_time(struct text *text, uint64_t ns)
{
    const time_t seconds = (time_t)(ns / 1000000000);
    const unsigned us = (unsigned)(ns % 1000000000 / 1000);
    FILE *line = text->show.out;
    char clock[16];
    struct tm local;

    if (text->options->relative) {
        const uint64_t since = text->last_ns == 0 || ns < text->last_ns ? 0 : ns - text->last_ns;

        fprintf(line, "%6" PRIu64 ".%06" PRIu64 " ", since / 1000000000, since % 1000000000 / 1000);
        text->last_ns = ns;
    }
    if (text->options->time == TIME_NONE)
        return;
    if (text->options->time == TIME_UNIX) {
        fprintf(line, "%" PRId64 ".%06u ", (int64_t)seconds, us);
        return;
    }
    localtime_r(&seconds, &local);
    strftime(clock, sizeof clock, "%H:%M:%S", &local);
    fputs(clock, line);
    if (text->options->time == TIME_MICROSECONDS)
        fprintf(line, ".%06u", us);
    fputc(' ', line);
}

/* Ends what is open, and begins a line of this task. */
static void begin_line(struct text *text, const struct trace_task *task, uint64_t ns)
{
    if (text->open != NULL) {
        fputs(" <unfinished ...>", text->show.out);
        end_line(text);
    }
    if (text->options->pid_first)
        fprintf(text->show.out, "%-5d ", task->tid);
    else if (text->options->follow && text->alive > 1)
        fprintf(text->show.out, "[pid %5d] ", task->tid);
    print_time(text, ns);
}

/* ") ", then blanks up to the column of results. */
static void end_arguments(struct text *text)
{
    long column;

    fputs(") ", text->show.out);
    column = ftell(text->show.out);
    if (column >= 0 && column < (long)text->options->column)
        fprintf(text->show.out, "%*s", (int)(text->options->column - (unsigned)column), "");
    fputs("= ", text->show.out);
}

static struct task_state *state_of(const struct text *text, const struct trace_task *task)
{
    return &text->tasks[task_place(text->trace, task)];
}

/* ---- Calls ---- */

static void enter_call(struct text *text, const struct trace_call *call)
{
    begin_line(text, call->task, call->enter_ns);
    fprintf(text->show.out, "%s(", decode_name(call));
    text->show.call = call;
    text->show.when = TRACE_AT_ENTER;
    decode_arguments(&text->show, TRACE_AT_ENTER);
    text->open = call;
    state_of(text, call->task)->blocked = call;
}

static void leave_call(struct text *text, const struct trace_call *call)
{
    if (text->open != call) {
        begin_line(text, call->task, call->leave_ns);
        fprintf(text->show.out, "<... %s resumed>", decode_name(call));
    }
    text->show.call = call;
    text->show.when = TRACE_AT_LEAVE;
    decode_arguments(&text->show, TRACE_AT_LEAVE);
    end_arguments(text);
    decode_result(&text->show);
    if (text->options->spent && call->left) {
        const uint64_t spent = call->leave_ns - call->enter_ns;

        fprintf(text->show.out, " <%" PRIu64 ".%06" PRIu64 ">", spent / 1000000000,
                spent % 1000000000 / 1000);
    }
    end_line(text);
    state_of(text, call->task)->blocked = NULL;
}

/* A call that was never left, when its task's end is known: as strace has it. */
static void give_up_call(struct text *text, const struct trace_call *call)
{
    if (text->open != call) {
        begin_line(text, call->task, call->enter_ns);
        fprintf(text->show.out, "<... %s resumed>", decode_name(call));
    }
    fputs(" <unfinished ...>", text->show.out);
    end_arguments(text);
    fputc('?', text->show.out);
    end_line(text);
}

/* ---- Tasks ---- */

/* In a script: the clones of the threads that are made here. */
static void print_threads(struct text *text, const struct trace_call *call)
{
    const struct trace_task *thread, *maker;

    while ((thread = threads_next(text->threads, call, &maker)) != NULL) {
        begin_line(text, maker, call->enter_ns);
        fputs("clone(child_stack=NULL, flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|"
              "CLONE_THREAD|CLONE_SYSVSEM",
              text->show.out);
        end_arguments(text);
        fprintf(text->show.out, "%d", thread->tid);
        end_line(text);
    }
}

/* An exec leaves nothing of the image before, in which the process may have had more threads. */
static void forget_image(struct text *text, const struct trace_task *task)
{
    for (size_t i = 0; i < text->task_count; i++) {
        if (text->tasks[i].task != NULL && text->tasks[i].task->pid == task->pid) {
            text->tasks[i] = (struct task_state){ .task = NULL };
            text->alive--;
        }
    }
}

static void begin_task(struct text *text, const struct trace_task *task, bool shown)
{
    if (task->birth == TRACE_BIRTH_EXEC)
        forget_image(text, task);
    if (shown && !text->options->pid_first && text->options->follow && text->options->quiet == 0 &&
        (task->birth == TRACE_BIRTH_THREAD || task->birth == TRACE_BIRTH_FORK)) {
        if (text->open != NULL) {
            fputs(" <unfinished ...>", text->show.out);
            end_line(text);
        }
        fprintf(text->show.out, "strace: Process %d attached", task->tid);
        end_line(text);
    }
    state_of(text, task)->task = task;
    text->alive++;
}

static void print_end_line(struct text *text, const struct trace_task *task, uint64_t ns,
                           int status)
{
    begin_line(text, task, ns);
    if (WIFSIGNALED(status)) {
        fputs("+++ killed by ", text->show.out);
        print_signal(text->show.out, WTERMSIG(status));
        fputs(WCOREDUMP(status) ? " (core dumped) +++" : " +++", text->show.out);
    } else {
        fprintf(text->show.out, "+++ exited with %d +++", WEXITSTATUS(status));
    }
    end_line(text);
}

static void print_end(struct text *text, const struct trace_task *task, uint64_t ns, int status)
{
    struct task_state *state = state_of(text, task);

    if (state->blocked != NULL)
        give_up_call(text, state->blocked);
    if (text->options->quiet < 2 &&
        filter_in_view(&text->options->filter, task, ns, ns, text->start_ns))
        print_end_line(text, task, ns, status);
    *state = (struct task_state){ .task = NULL };
    text->alive--;
}

/* All of a process's tasks end with it, the one that made it end as the last. */
static void end_process(struct text *text, int32_t pid, const struct trace_task *last, uint64_t ns,
                        int status)
{
    for (size_t i = 0; i < text->task_count; i++) {
        const struct trace_task *task = text->tasks[i].task;

        if (task != NULL && task->pid == pid && task != last)
            print_end(text, task, ns, status);
    }
    if (last != NULL && state_of(text, last)->task != NULL)
        print_end(text, last, ns, status);
}

/* The end of a process that made no call: what it had inherited is closed then. */
static void end_silent(struct text *text, int32_t pid, uint64_t ns, int status)
{
    const struct trace_task silent = { .pid = pid, .tid = pid };

    for (size_t i = 0; trace_task_get(text->trace, i) != NULL; i++) {
        if (trace_task_get(text->trace, i)->pid == pid)
            return;
    }
    if (!text->options->follow || text->options->quiet >= 2 ||
        !filter_in_view(&text->options->filter, &silent, ns, ns, text->start_ns))
        return;
    text->alive++;
    print_end_line(text, &silent, ns, status);
    text->alive--;
}

/* ---- Events ---- */

static void print_signal_line(struct text *text, const struct trace_call *call)
{
    begin_line(text, call->task, call->enter_ns);
    text->show.call = call;
    text->show.when = TRACE_AT_ENTER;
    fputs("--- ", text->show.out);
    print_signal(text->show.out, process_signal_number(call));
    fputc(' ', text->show.out);
    process_signal(&text->show);
    fputs(" ---", text->show.out);
    end_line(text);
}

/* A call that is told of once: an exit, a wait that has ended, an exec that worked. */
static void print_whole(struct text *text, const struct trace_call *call)
{
    enter_call(text, call);
    leave_call(text, call);
}

/* What changes who is alive, shown or not. */
static void follow_tasks(struct text *text, const struct trace_call *call, bool shown)
{
    switch (call->kind) {
    case TRACE_TASK: begin_task(text, call->task, shown); break;
    case TRACE_EXIT:
        if (shown)
            print_whole(text, call);
        if (call->words[0] != 0)
            end_process(text, call->task->pid, call->task, call->enter_ns,
                        W_EXITCODE((int)call->words[1] & 0xff, 0));
        else if (state_of(text, call->task)->task != NULL)
            print_end(text, call->task, call->enter_ns, 0);
        break;
    case TRACE_WAITED:
        end_process(text, (int32_t)call->words[0], NULL, call->enter_ns, (int)call->words[1]);
        end_silent(text, (int32_t)call->words[0], call->enter_ns, (int)call->words[1]);
        if (shown)
            print_whole(text, call);
        break;
    default: break;
    }
}

static void print_event(struct text *text, const struct trace_event *event)
{
    const struct trace_call *call = event->call;
    const bool shown = filter_matches(&text->options->filter, call, text->objects, text->start_ns);

    if (text->threads != NULL && event->when == TRACE_AT_ENTER)
        print_threads(text, call);
    if (event->when == TRACE_AT_LEAVE) {
        if (shown &&
            (call->kind == TRACE_CALL || call->kind == TRACE_FORK || call->kind == TRACE_EXEC))
            leave_call(text, call);
        return;
    }
    switch (call->kind) {
    case TRACE_CALL:
    case TRACE_FORK:
        if (shown && decode_name(call)[0] != '\0')
            enter_call(text, call);
        break;
    case TRACE_EXEC:
        if (shown && call->left)
            enter_call(text, call);
        else if (shown)
            print_whole(text, call);
        break;
    case TRACE_SIGNAL:
        if (shown)
            print_signal_line(text, call);
        break;
    default: follow_tasks(text, call, shown); break;
    }
}

/* The first task of all, and each image that it executes. */
static bool is_followed(const struct text *text, const struct trace_task *task,
                        const struct trace_task **first)
{
    if (*first == NULL)
        *first = task;
    return text->options->follow || task->tid == (*first)->tid;
}

static uint64_t time_of(const struct trace_event *event)
{
    return event->when == TRACE_AT_LEAVE ? event->call->leave_ns : event->call->enter_ns;
}

/* What the supervisor saw until then. Those who said themselves how they end are gone already. */
static void print_ends(struct text *text, uint64_t ns)
{
    const struct trace_ends *ends = &text->options->ends;

    while (text->ends_told < ends->count && ends->all[text->ends_told].ns < ns) {
        const struct trace_end *end = &ends->all[text->ends_told++];

        end_process(text, end->pid, NULL, end->ns, end->status);
    }
}

static void print_all(struct text *text, struct trace *trace)
{
    const struct trace_task *first = NULL;
    struct trace_event event;

    trace_rewind(trace);
    while (trace_next(trace, &event)) {
        print_ends(text, time_of(&event));
        objects_note(text->objects, &event);
        if (is_followed(text, event.call->task, &first))
            print_event(text, &event);
    }
    print_ends(text, UINT64_MAX);
    if (text->open != NULL) {
        fputs(" <unfinished ...>", text->show.out);
        end_line(text);
    }
}

static size_t hidden_tasks(const struct trace *trace, const struct text_options *options)
{
    const struct trace_task *first = trace_task_get(trace, 0);
    size_t hidden = 0;

    for (size_t i = 0; !options->follow && trace_task_get(trace, i) != NULL; i++)
        hidden += trace_task_get(trace, i)->tid != first->tid;
    return hidden;
}

/* Returns false without memory; text_fini() is due all the same. */
static bool text_init(struct text *text, struct trace *trace, const struct text_options *options)
{
    text->tasks = calloc(text->task_count, sizeof *text->tasks);
    text->objects = objects_create(trace);
    if (options->script)
        text->threads = threads_create(trace);
    text->show = (struct show){ .out = open_memstream(&text->line, &text->line_size),
                                .string_limit = options->string_limit,
                                .quoting = options->quoting,
                                .paths = options->paths,
                                .objects = text->objects,
                                .between = ", " };
    return text->tasks != NULL && text->objects != NULL && text->show.out != NULL &&
           (text->threads != NULL || !options->script);
}

static void text_fini(struct text *text)
{
    if (text->show.out != NULL)
        fclose(text->show.out);
    threads_destroy(text->threads);
    objects_destroy(text->objects);
    free(text->tasks);
    free(text->line);
}

int text_print(struct trace *trace, const struct text_options *options, FILE *out,
               size_t *ret_hidden)
{
    struct text text = { .options = options,
                         .trace = trace,
                         .task_count = task_count(trace),
                         .start_ns = trace_info(trace)->start_ns,
                         .out = out };
    const bool ready = text_init(&text, trace, options);

    if (ready) {
        if (options->script)
            fputs("# log\n", out);
        print_all(&text, trace);
        *ret_hidden = hidden_tasks(trace, options);
    }
    text_fini(&text);
    return ready ? 0 : -1;
}
