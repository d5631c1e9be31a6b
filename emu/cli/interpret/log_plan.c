/*
 * log_plan.c - walks over a log's events, until what can be interpreted is known
 *
 * A walk goes through the events in order and keeps the tables of numbers. When it finds an object
 * that can't be interpreted, it notes the call that made it, and the walk is made again.
 */
#include "interpret/log_plan.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interpret/log_build.h"
#include "interpret/log_walk.h"

/* ---- What rules are written with ---- */

static void out_of_memory(struct log_walk *walk)
{
    static const char message[] = "no memory for this log";

    if (!walk->failed) {
        memcpy(walk->error->message, message, sizeof(message));
        walk->error->place = (struct place){ 1, 1 };
    }
    walk->failed = true;
}

bool log_is(const struct log_call *call, const char *name)
{
    return strcmp(call->name, name) == 0;
}

bool log_succeeded(const struct log_call *call)
{
    return call->result == LOG_RESULT_VALUE && call->value >= 0;
}

bool log_argument_number(const struct log_call *call, size_t index, int64_t *ret_value)
{
    return index < call->argument_count && log_number(call->arguments[index], ret_value);
}

uint32_t log_walk_object(struct log_walk *walk, int64_t number)
{
    uint32_t object = log_number_object(&walk->numbers, walk->log->calls[walk->call].task, number);

    if (object != LOG_NO_OBJECT && walk->numbers.objects[object].kind == LOG_OPAQUE)
        return LOG_NO_OBJECT;
    return object;
}

uint32_t log_walk_argument(struct log_walk *walk, const struct log_call *call, size_t index)
{
    int64_t number;

    return log_argument_number(call, index, &number) ? log_walk_object(walk, number)
                                                     : LOG_NO_OBJECT;
}

void log_walk_run(struct log_walk *walk)
{
    const struct log_call *call = &walk->log->calls[walk->call];

    walk->step->verdict = LOG_RUN;
    if (call->unread && !walk->failed) {
        *walk->error = *call->unread;
        walk->failed = true;
    }
}

void log_walk_touch(struct log_walk *walk, uint32_t object)
{
    struct log_plan *plan = walk->plan;
    void *grown;

    if (object == LOG_NO_OBJECT || walk->step->touched_count == UINT16_MAX)
        return;
    grown = log_grow(plan->touched, plan->touched_count, &plan->touched_room, sizeof(uint32_t));
    if (!grown) {
        out_of_memory(walk);
        return;
    }
    plan->touched = grown;
    if (walk->step->touched_count++ == 0)
        walk->step->touched = (uint32_t)plan->touched_count;
    plan->touched[plan->touched_count++] = object;
}

void log_walk_touch_all(struct log_walk *walk, uint32_t task, bool cloexec)
{
    const struct log_process *process = log_process_of(&walk->numbers, task);

    for (size_t i = 0; process && i < process->count; i++) {
        if (!cloexec || process->numbers[i].cloexec)
            log_walk_touch(walk, process->numbers[i].object);
    }
}

void log_walk_made(struct log_walk *walk, int64_t number)
{
    struct log_plan *plan = walk->plan;
    void *grown = log_grow(plan->numbers, plan->number_count, &plan->number_room, sizeof(int32_t));

    if (!grown) {
        out_of_memory(walk);
        return;
    }
    plan->numbers = grown;
    if (walk->step->made_count++ == 0)
        walk->step->made = (uint32_t)plan->number_count;
    plan->numbers[plan->number_count++] = (int32_t)number;
}

void log_walk_flag(struct log_walk *walk, bool opaque)
{
    struct log_plan *plan = walk->plan;
    void *grown = log_grow(plan->flags, plan->flag_count, &plan->flag_room, sizeof(uint8_t));

    if (!grown || walk->step->flags_count == UINT16_MAX) {
        out_of_memory(walk);
        return;
    }
    plan->flags = grown;
    if (walk->step->flags_count++ == 0)
        walk->step->flags = (uint32_t)plan->flag_count;
    plan->flags[plan->flag_count++] = opaque;
}

uint32_t log_walk_make(struct log_walk *walk, enum log_object_kind kind, int64_t number,
                       bool cloexec)
{
    const struct log_call *call = &walk->log->calls[walk->call];
    uint32_t object;

    if (walk->plan->opaque[walk->call] || number < 0 || number >= LOG_MAX_NUMBER)
        return LOG_NO_OBJECT;
    object = log_object_new(&walk->numbers, kind, walk->call);
    if (object != LOG_NO_OBJECT)
        log_number_set(&walk->numbers, call->task, number, object, cloexec);
    return object;
}

static void mark(struct log_walk *walk, uint32_t object)
{
    uint32_t maker;

    if (object == LOG_NO_OBJECT)
        return;
    maker = walk->numbers.objects[object].maker;
    if (!walk->plan->opaque[maker]) {
        walk->plan->opaque[maker] = 1;
        walk->changed = true;
    }
}

void log_walk_opaque(struct log_walk *walk, uint32_t object)
{
    const struct log_object *one;

    if (object == LOG_NO_OBJECT)
        return;
    mark(walk, object);
    one = &walk->numbers.objects[object];
    if (one->link == LOG_NO_LINK)
        return;
    for (unsigned end = 0; end < 2; end++)
        mark(walk, walk->numbers.links[one->link].objects[end]);
    mark(walk, walk->numbers.links[one->link].listener);
}

/* ---- Tasks ---- */

/* The flags that are known by name here, of those that are written. */
static int64_t known_bits(const struct log_expr *expr)
{
    int64_t value;

    if (log_number(expr, &value))
        return value;
    if (!expr || expr->kind != LOG_JOIN)
        return 0;
    return known_bits(expr->items[0]) | known_bits(expr->items[1]);
}

static int64_t clone_flags(const struct log_call *call)
{
    const struct log_expr *flags = NULL;

    for (size_t i = 0; i < call->argument_count; i++) {
        const struct log_expr *argument = call->arguments[i];

        if (argument->kind == LOG_ARROW)
            argument = argument->items[0];
        if (argument->field && strcmp(argument->field, "flags") == 0)
            flags = argument;
        else if (argument->kind == LOG_STRUCT && log_field(argument, "flags"))
            flags = log_field(argument, "flags");
    }
    return known_bits(flags);
}

static bool seen(const struct log *log, uint32_t task)
{
    return log->tasks[task].first != LOG_NO_EVENT;
}

/* The tables of a task that begins. */
static void be_born(struct log_walk *walk, uint32_t task)
{
    uint32_t call = walk->log->tasks[task].parent_call;
    struct log_plan *plan = walk->plan;

    if (walk->born[task])
        return;
    walk->born[task] = 1;
    plan->leader[task] = task;
    plan->shares[task] = false;
    if (call == LOG_NO_CALL) {
        log_process_new(&walk->numbers, task);
        return;
    }
    if (clone_flags(&walk->log->calls[call]) & (CLONE_THREAD | CLONE_FILES)) {
        uint32_t parent = walk->log->calls[call].task;

        plan->shares[task] = true;
        if (clone_flags(&walk->log->calls[call]) & CLONE_THREAD)
            plan->leader[task] = plan->leader[parent];
        log_process_share(&walk->numbers, parent, task);
        return;
    }
    log_process_fork(&walk->numbers, walk->log->calls[call].task, task);
}

/* A child that strace didn't follow has all that its parent has, and nobody knows what it does. */
static void be_unseen(struct log_walk *walk, uint32_t parent)
{
    const struct log_process *process = log_process_of(&walk->numbers, parent);

    for (size_t i = 0; process && i < process->count; i++)
        log_walk_opaque(walk, process->numbers[i].object);
}

static void end_of_clone(struct log_walk *walk, uint32_t index)
{
    const struct log *log = walk->log;

    for (uint32_t i = 0; i < log->task_count; i++) {
        if (log->tasks[i].parent_call != index)
            continue;
        if (seen(log, i) || walk->follows)
            be_born(walk, i);
        else
            be_unseen(walk, log->calls[index].task);
        return;
    }
}

static void leave(struct log_walk *walk, uint32_t task, bool group)
{
    const struct log_plan *plan = walk->plan;

    for (uint32_t i = group ? 0 : task; i < walk->log->task_count; i++) {
        if (walk->born[i] == 1 && (i == task || plan->leader[i] == plan->leader[task])) {
            log_process_leave(&walk->numbers, i);
            walk->born[i] = 2;
        }
        if (!group)
            return;
    }
}

/* What an exit closes, in the order in which it does. */
static void note_numbers(struct log_walk *walk, uint32_t task)
{
    const struct log_process *process = log_process_of(&walk->numbers, task);

    for (size_t i = 0; process && i < process->count; i++) {
        if (process->numbers[i].object != LOG_NO_OBJECT && walk->step->made_count < 64)
            log_walk_made(walk, (int64_t)i);
    }
}

/* ---- The walk ---- */

static void walk_start(struct log_walk *walk, uint32_t index)
{
    const struct log_call *call = &walk->log->calls[index];

    if (walk->born[call->task] == 2)
        return;
    if (log_call_clones(call)) {
        if (log_succeeded(call) && call->value > 0)
            walk->step->verdict = LOG_CLONE;
    } else if (log_is(call, "execve") || log_is(call, "execveat")) {
        if (call->result == LOG_RESULT_NONE || log_succeeded(call)) { /* none: killed in it */
            walk->step->verdict = LOG_EXEC;
            log_walk_touch_all(walk, call->task, true);
        }
    } else if (log_is(call, "exit") || log_is(call, "exit_group")) {
        walk->step->verdict = LOG_LEAVE;
        log_walk_touch_all(walk, call->task, false);
        note_numbers(walk, call->task);
        leave(walk, call->task, log_is(call, "exit_group"));
    } else if (call->end != LOG_NO_EVENT && call->result != LOG_RESULT_NONE) {
        log_rule_start(walk, call);
    }
}

static void walk_end(struct log_walk *walk, uint32_t index)
{
    const struct log_call *call = &walk->log->calls[index];

    if (walk->step->verdict == LOG_CLONE)
        end_of_clone(walk, index);
    else if (walk->born[call->task] == 2)
        return;
    else if (walk->step->verdict == LOG_EXEC)
        log_process_exec(&walk->numbers, call->task);
    else if (call->result != LOG_RESULT_NONE)
        log_rule_end(walk, call);
}

static void walk_exit(struct log_walk *walk, uint32_t task)
{
    struct log_step step = { 0 };

    if (walk->born[task] == 2)
        return;
    walk->step = &step;
    log_walk_touch_all(walk, task, false);
    walk->plan->exit_touched[task] = step.touched;
    walk->plan->exit_touched_count[task] = step.touched_count;
    leave(walk, task, false);
}

static void walk_events(struct log_walk *walk)
{
    const struct log *log = walk->log;

    for (size_t i = 0; i < log->event_count && !walk->failed; i++) {
        const struct log_event *event = &log->events[i];

        be_born(walk, event->task);
        if (event->kind == LOG_START || event->kind == LOG_END) {
            walk->call = event->index;
            walk->step = &walk->plan->steps[event->index];
        }
        switch (event->kind) {
        case LOG_START: walk_start(walk, event->index); break;
        case LOG_END: walk_end(walk, event->index); break;
        case LOG_EXIT: walk_exit(walk, event->task); break;
        case LOG_SIGNAL: break;
        }
        if (walk->numbers.no_memory)
            out_of_memory(walk);
    }
}

static void finish_walk(struct log_walk *walk)
{
    struct log_plan *plan = walk->plan;

    for (size_t i = 0; i < plan->touched_count; i++)
        plan->touched[i] = log_channel_root(&walk->numbers, plan->touched[i]);
}

/* One walk from the beginning. Returns true when another one is needed. */
static bool walk_once(struct log_plan *plan, struct log_error *error, bool *ret_failed)
{
    const struct log *log = plan->log;
    struct log_walk walk = { .plan = plan, .log = log, .error = error };

    plan->touched_count = 0;
    plan->number_count = 0;
    plan->flag_count = 0;
    plan->names.count = 0;
    memset(plan->steps, 0, (log->call_count + 1) * sizeof(plan->steps[0]));
    for (size_t i = 0; i < log->call_count; i++)
        plan->steps[i].name = LOG_NO_NAME;
    for (size_t i = 0; i < log->task_count; i++)
        walk.follows = walk.follows ||
                       (log->tasks[i].parent_call != LOG_NO_CALL && seen(log, (uint32_t)i));
    walk.born = calloc(log->task_count + 1, 1);
    if (!walk.born || log_numbers_init(&walk.numbers, log->task_count) != 0) {
        out_of_memory(&walk);
    } else {
        walk_events(&walk);
        if (!walk.failed && !walk.changed)
            finish_walk(&walk);
        log_numbers_fini(&walk.numbers);
    }
    free(walk.born);
    *ret_failed = walk.failed;
    return walk.changed;
}

/* ---- The plan ---- */

static size_t count_cut(const struct log_expr *expr)
{
    size_t count = expr->kind == LOG_BYTES && expr->cut;

    for (size_t i = 0; i < expr->count; i++)
        count += count_cut(expr->items[i]);
    return count;
}

static void count_all(struct log_plan *plan)
{
    for (size_t i = 0; i < plan->log->call_count; i++) {
        const struct log_call *call = &plan->log->calls[i];

        if (plan->steps[i].verdict == LOG_SKIP) {
            plan->skipped++;
            continue;
        }
        plan->interpreted++;
        for (size_t j = 0; j < call->argument_count; j++)
            plan->cut += count_cut(call->arguments[j]);
    }
    for (uint32_t i = 0; i < plan->log->task_count; i++)
        plan->tasks += seen(plan->log, i);
}

int log_plan_make(const struct log *log, bool vsock, struct log_plan *ret_plan,
                  struct log_error *ret_error)
{
    struct log_plan plan = { .log = log, .vsock = vsock };
    bool failed = false;
    bool again = true;

    plan.steps = calloc(log->call_count + 1, sizeof(plan.steps[0]));
    plan.opaque = calloc(log->call_count + 1, 1);
    plan.leader = calloc(log->task_count + 1, sizeof(plan.leader[0]));
    plan.shares = calloc(log->task_count + 1, sizeof(plan.shares[0]));
    plan.exit_touched = calloc(log->task_count + 1, sizeof(plan.exit_touched[0]));
    plan.exit_touched_count = calloc(log->task_count + 1, sizeof(plan.exit_touched_count[0]));
    if (!plan.steps || !plan.opaque || !plan.leader || !plan.shares || !plan.exit_touched ||
        !plan.exit_touched_count) {
        static const char message[] = "no memory for this log";

        memcpy(ret_error->message, message, sizeof(message));
        ret_error->place = (struct place){ 1, 1 };
        failed = true;
    }
    for (int i = 0; i < LOG_PLAN_ROUNDS && again && !failed; i++)
        again = walk_once(&plan, ret_error, &failed);
    if (failed) {
        log_plan_free(&plan);
        return -1;
    }
    count_all(&plan);
    *ret_plan = plan;
    return 0;
}

void log_plan_free(struct log_plan *plan)
{
    free(plan->steps);
    free(plan->opaque);
    free(plan->leader);
    free(plan->shares);
    free(plan->exit_touched);
    free(plan->exit_touched_count);
    free(plan->touched);
    free(plan->numbers);
    free(plan->flags);
    free(plan->names.names);
    memset(plan, 0, sizeof(*plan));
}

bool log_plan_related(const struct log_plan *plan, uint32_t a, uint32_t b)
{
    const struct log_step *one = &plan->steps[a];
    const struct log_step *other = &plan->steps[b];

    for (size_t i = 0; i < one->touched_count; i++) {
        for (size_t j = 0; j < other->touched_count; j++) {
            if (plan->touched[one->touched + i] == plan->touched[other->touched + j])
                return true;
        }
    }
    return false;
}

/* ---- What was skipped ---- */

struct skipped {
    const char *name;
    size_t count;
};

static int by_count(const void *a, const void *b)
{
    const struct skipped *one = a;
    const struct skipped *other = b;

    if (one->count != other->count)
        return one->count < other->count ? 1 : -1;
    return strcmp(one->name, other->name);
}

void log_plan_skipped(const struct log_plan *plan, char *ret_text, size_t size)
{
    enum { MOST_NAMES = 512, SHOWN = 5 };
    static struct skipped names[MOST_NAMES];
    size_t count = 0;
    size_t length = 0;

    for (size_t i = 0; i < plan->log->call_count; i++) {
        const char *name = plan->log->calls[i].name;
        size_t j = 0;

        if (plan->steps[i].verdict != LOG_SKIP)
            continue;
        while (j < count && strcmp(names[j].name, name) != 0)
            j++;
        if (j == MOST_NAMES)
            continue;
        if (j == count)
            names[count++] = (struct skipped){ name, 0 };
        names[j].count++;
    }
    qsort(names, count, sizeof(names[0]), by_count);
    ret_text[0] = '\0';
    for (size_t i = 0; i < count && i < SHOWN && length < size; i++)
        length += (size_t)snprintf(ret_text + length, size - length, "%s%s %zu", i ? ", " : "",
                                   names[i].name, names[i].count);
    if (count > SHOWN && length < size)
        snprintf(ret_text + length, size - length, ", ...");
}
