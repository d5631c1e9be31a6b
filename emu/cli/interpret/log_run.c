/*
 * log_run.c - a log carried out in a world, in one order of its calls
 *
 * Invariants: a task makes at most one call at a time, and its call's end is met before its next
 * call; task 0 of the world makes none: all processes of the log that have no parent in it are
 * forked from it.
 */
#include "interpret/log_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "interpret/calls.h"

#define KEEPER 0u /* the world's first task */

enum life { UNBORN, ALIVE, DEAD };

struct actor {
    enum life life;
    uint32_t task; /* in the world */
    uint32_t call; /* the log's call that it makes, or LOG_NO_CALL */
    uint32_t part; /* of the world's memory */
    struct log_frame frame;
};

struct log_runner {
    struct log_context context;
    const struct log *log;
    struct log_plan *plan;
    const struct log_order *order;
    const struct log_run_options *options;
    struct log_outcome *outcome;
    struct world *world;
    struct actor *actors; /* one for each task of the log */
    uint32_t *late;       /* calls that begin later than their line */
    size_t late_count;
    uint32_t *killed; /* tasks that die before their line */
    size_t killed_count;
    uint8_t parts[WORLD_MAX_TASKS]; /* of memory: 1 is taken */
    uint32_t event;
    bool stop;
};

/* ---- Ends of a run ---- */

__attribute__((format(printf, 2, 3))) static void get_stuck(struct log_runner *runner,
                                                            const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(runner->outcome->why, sizeof(runner->outcome->why), format, arguments);
    va_end(arguments);
    runner->outcome->state = LOG_RUN_STUCK;
    runner->stop = true;
}

static void note_blocked(struct log_runner *runner, uint32_t but)
{
    struct log_outcome *outcome = runner->outcome;

    for (size_t i = 0; i < runner->log->task_count; i++) {
        const struct actor *actor = &runner->actors[i];

        if (actor->life == ALIVE && actor->call != LOG_NO_CALL && actor->call != but &&
            world_task_state(runner->world, actor->task) == WORLD_BLOCKED &&
            outcome->blocked_count < LOG_MAX_BLOCKED)
            outcome->blocked[outcome->blocked_count++] = actor->call;
    }
}

static void note_difference(struct log_runner *runner, struct log_difference difference)
{
    struct log_outcome *outcome = runner->outcome;

    difference.event = runner->event;
    if (outcome->count == 0)
        note_blocked(runner, difference.call);
    if (outcome->count < LOG_MAX_DIFFERENCES)
        outcome->differences[outcome->count] = difference;
    outcome->count++;
    if (!runner->options->keep_going)
        runner->stop = true;
}

/* ---- Births and deaths ---- */

static bool take_part(struct log_runner *runner, struct actor *actor)
{
    for (uint32_t i = 0; i < WORLD_MAX_TASKS; i++) {
        if (runner->parts[i])
            continue;
        runner->parts[i] = 1;
        actor->part = i;
        actor->frame.memory = (uint8_t *)world_memory(runner->world) + (size_t)i * LOG_FRAME_SIZE;
        return true;
    }
    return false;
}

static void be_born(struct log_runner *runner, uint32_t task)
{
    uint32_t call = runner->log->tasks[task].parent_call;
    struct actor *actor = &runner->actors[task];
    uint32_t parent = KEEPER;

    if (actor->life != UNBORN)
        return;
    actor->life = DEAD;
    actor->call = LOG_NO_CALL;
    if (call != LOG_NO_CALL) {
        const struct actor *from = &runner->actors[runner->log->calls[call].task];

        if (from->life != ALIVE || world_task_state(runner->world, from->task) != WORLD_IDLE)
            return; /* behind a difference: what it does is skipped */
        parent = from->task;
    }
    actor->task = runner->plan->shares[task] ? world_thread(runner->world, parent)
                                             : world_fork(runner->world, parent);
    if (actor->task == UINT32_MAX || !take_part(runner, actor)) {
        get_stuck(runner, "more than %d tasks live at the same time", WORLD_MAX_TASKS - 1);
        return;
    }
    actor->life = ALIVE;
}

static void die(struct log_runner *runner, uint32_t task)
{
    struct actor *actor = &runner->actors[task];

    if (actor->life != ALIVE)
        return;
    actor->life = DEAD;
    actor->call = LOG_NO_CALL;
    runner->parts[actor->part] = 0;
    world_exit(runner->world, actor->task, false);
}

static void die_all(struct log_runner *runner, uint32_t task)
{
    uint32_t leader = runner->plan->leader[task];

    for (uint32_t i = 0; i < runner->log->task_count; i++) {
        if (i != task && runner->plan->leader[i] == leader)
            die(runner, i);
    }
    die(runner, task);
}

/* The others of a process end when one of them executes a program. */
static void execute(struct log_runner *runner, uint32_t task)
{
    struct actor *actor = &runner->actors[task];
    uint32_t leader = runner->plan->leader[task];

    for (uint32_t i = 0; i < runner->log->task_count; i++) {
        if (i != task && runner->plan->leader[i] == leader && runner->actors[i].life == ALIVE &&
            runner->plan->shares[i])
            die(runner, i);
    }
    if (world_task_state(runner->world, actor->task) == WORLD_IDLE)
        world_exec(runner->world, actor->task);
}

/* ---- Calls ---- */

/* Opaque descriptors that are about to be sent get something that can be sent. */
static void put_stand_ins(struct log_runner *runner, struct actor *actor,
                          const struct log_step *step)
{
    for (size_t i = 0; i < step->stand_in_count; i++) {
        const int number = runner->plan->numbers[step->stand_ins + i];
        uint64_t words[SCRIPT_MAX_ARGUMENTS] = { 0, O_RDWR };
        struct world_result result;

        memcpy(actor->frame.memory, "/dev/null", sizeof("/dev/null"));
        words[0] = (uint64_t)(uintptr_t)actor->frame.memory;
        world_expect(runner->world, actor->task, &number, 1);
        world_start(runner->world, actor->task, call_find("open"), words);
        if (world_task_state(runner->world, actor->task) == WORLD_DONE)
            world_take(runner->world, actor->task, &result);
    }
}

/*
 * A number that the log shows as new is free there, so what the world has at it was closed by
 * something that the log doesn't show. (The target of dup2 is closed by the call itself.)
 */
static void free_numbers(struct log_runner *runner, const struct actor *actor,
                         const struct log_step *step, const char *name)
{
    if (strcmp(name, "dup2") == 0 || strcmp(name, "dup3") == 0)
        return;
    for (size_t i = 0; i < step->made_count; i++) {
        uint64_t words[SCRIPT_MAX_ARGUMENTS] = { 0 };
        struct world_result result;

        words[0] = (uint64_t)runner->plan->numbers[step->made + i];
        if (world_number(runner->world, actor->task, (int)words[0]) < 0)
            continue;
        world_start(runner->world, actor->task, call_find("close"), words);
        if (world_task_state(runner->world, actor->task) == WORLD_DONE)
            world_take(runner->world, actor->task, &result);
    }
}

static void remove_name(struct log_runner *runner, uint32_t name)
{
    uint8_t path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
    size_t size = log_name_world(&runner->plan->names, name, runner->options->directory,
                                 runner->options->tag, path);

    path[size] = '\0';
    if (path[0] != '\0')
        unlink((const char *)path);
}

static void start_in_world(struct log_runner *runner, struct actor *actor, uint32_t index)
{
    const struct log_step *step = &runner->plan->steps[index];
    const struct log_call *call = &runner->log->calls[index];
    size_t most = runner->order->cut[index] && call->result == LOG_RESULT_VALUE
                      ? (size_t)call->value
                      : SIZE_MAX;

    if (step->stand_in_count > 0)
        put_stand_ins(runner, actor, step);
    if (!log_encode(&runner->context, index, most, &actor->frame)) {
        get_stuck(runner, "the arguments of line %u need more than %u bytes", call->place.line,
                  LOG_FRAME_SIZE);
        return;
    }
    free_numbers(runner, actor, step, call->name);
    if (step->made_count > 0)
        world_expect(runner->world, actor->task, &runner->plan->numbers[step->made],
                     step->made_count);
    actor->call = index;
    runner->outcome->calls++;
    runner->outcome->last = index;
    world_start(runner->world, actor->task, actor->frame.call, actor->frame.words);
    if (step->mode == LOG_AT_ONCE && world_task_state(runner->world, actor->task) == WORLD_BLOCKED)
        world_interrupt(runner->world, actor->task, false);
}

/*
 * An exit that others see half done. The kernel lets go of what a process had open from the last
 * one put aside to the first (fput() and task_work_run()): the highest number first.
 */
static void leave_half(struct log_runner *runner, struct actor *actor, int32_t first)
{
    const uint64_t words[SCRIPT_MAX_ARGUMENTS] = { (uint64_t)first, UINT32_MAX, 0 };
    struct world_result result;

    if (world_task_state(runner->world, actor->task) != WORLD_IDLE)
        return;
    world_start(runner->world, actor->task, call_find("close_range"), words);
    if (world_task_state(runner->world, actor->task) == WORLD_DONE)
        world_take(runner->world, actor->task, &result);
}

static void begin(struct log_runner *runner, uint32_t index)
{
    const struct log_step *step = &runner->plan->steps[index];
    uint32_t task = runner->log->calls[index].task;
    struct actor *actor = &runner->actors[task];

    if (actor->life != ALIVE)
        return;
    switch (step->verdict) {
    case LOG_RUN:
    case LOG_CLOSE:
    case LOG_FEED:
    case LOG_DRAIN:
        if (world_task_state(runner->world, actor->task) == WORLD_IDLE)
            start_in_world(runner, actor, index);
        break;
    case LOG_EXEC: execute(runner, task); break;
    case LOG_UNLINK: remove_name(runner, step->name); break;
    case LOG_LEAVE:
        if (runner->order->halves[index] >= 0)
            leave_half(runner, actor, runner->order->halves[index]);
        else if (strcmp(runner->log->calls[index].name, "exit_group") == 0)
            die_all(runner, task);
        else
            die(runner, task);
        break;
    case LOG_CLONE:
    case LOG_SKIP: break;
    }
}

static void end_blocked(struct log_runner *runner, struct actor *actor, uint32_t index)
{
    struct log_difference difference = { .kind = LOG_BLOCKS, .call = index };
    struct world_result result;

    snprintf(difference.condition, sizeof(difference.condition), "result");
    log_render_result(&runner->log->calls[index], difference.in_log, sizeof(difference.in_log));
    snprintf(difference.here, sizeof(difference.here), "it blocks");
    note_difference(runner, difference);
    if (runner->stop)
        return;
    world_interrupt(runner->world, actor->task, false);
    if (world_task_state(runner->world, actor->task) == WORLD_DONE)
        world_take(runner->world, actor->task, &result);
}

/* A handler ended it when some bytes had been moved: the log shows fewer than were asked for. */
static bool was_cut_short(const struct log_runner *runner, uint32_t index)
{
    const struct log_call *call = &runner->log->calls[index];
    static const char *const names[] = { "write", "writev",   "sendto",  "send",    "read",
                                         "readv", "recvfrom", "sendmsg", "sendmmsg" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(call->name, names[i]) == 0)
            return call->result == LOG_RESULT_VALUE && call->value > 0;
    }
    return false;
}

static void end(struct log_runner *runner, uint32_t index)
{
    struct actor *actor = &runner->actors[runner->log->calls[index].task];
    struct log_difference difference;
    struct world_result result;

    if (actor->life != ALIVE || actor->call != index)
        return;
    actor->call = LOG_NO_CALL;
    if (world_task_state(runner->world, actor->task) == WORLD_BLOCKED &&
        was_cut_short(runner, index))
        world_interrupt(runner->world, actor->task, false);
    if (world_task_state(runner->world, actor->task) != WORLD_DONE) {
        end_blocked(runner, actor, index);
        return;
    }
    world_take(runner->world, actor->task, &result);
    if (!log_compare(&runner->context, index, &actor->frame, &result, &difference))
        note_difference(runner, difference);
}

static void end_of_clone(struct log_runner *runner, uint32_t index)
{
    for (uint32_t i = 0; i < runner->log->task_count; i++) {
        if (runner->log->tasks[i].parent_call == index)
            be_born(runner, i);
    }
}

/* ---- Events ---- */

/* What begins at this event though its line stands earlier, and who dies before the line says. */
static void begin_late(struct log_runner *runner)
{
    for (size_t i = 0; i < runner->killed_count; i++) {
        if (runner->order->exits[runner->killed[i]] == runner->event)
            die(runner, runner->killed[i]);
    }
    for (size_t i = 0; i < runner->late_count && !runner->stop;) {
        uint32_t index = runner->late[i];

        if (runner->order->starts[index] != runner->event) {
            i++;
            continue;
        }
        memmove(&runner->late[i], &runner->late[i + 1],
                (runner->late_count - i - 1) * sizeof(runner->late[0]));
        runner->late_count--;
        begin(runner, index);
    }
}

static void start_event(struct log_runner *runner, uint32_t index)
{
    if (runner->plan->steps[index].verdict == LOG_SKIP)
        return;
    if (runner->order->starts[index] > runner->event)
        runner->late[runner->late_count++] = index;
    else
        begin(runner, index);
}

static void one_event(struct log_runner *runner)
{
    const struct log_event *event = &runner->log->events[runner->event];

    begin_late(runner);
    if (runner->stop)
        return;
    be_born(runner, event->task);
    switch (event->kind) {
    case LOG_START: start_event(runner, event->index); break;
    case LOG_END:
        if (runner->plan->steps[event->index].verdict == LOG_CLONE)
            end_of_clone(runner, event->index);
        else
            end(runner, event->index);
        break;
    case LOG_EXIT: die(runner, event->task); break;
    case LOG_SIGNAL: break;
    }
}

static bool prepare(struct log_runner *runner)
{
    const struct log *log = runner->log;
    size_t tasks = log->task_count + 2 < WORLD_MAX_TASKS ? log->task_count + 2 : WORLD_MAX_TASKS;

    runner->actors = calloc(log->task_count + 1, sizeof(runner->actors[0]));
    runner->late = malloc((log->task_count + 1) * sizeof(runner->late[0]));
    runner->killed = malloc((log->task_count + 1) * sizeof(runner->killed[0]));
    if (!runner->actors || !runner->late || !runner->killed) {
        get_stuck(runner, "no memory");
        return false;
    }
    for (uint32_t i = 0; i < log->task_count; i++) {
        if (runner->order->exits[i] < log->tasks[i].exit)
            runner->killed[runner->killed_count++] = i;
    }
    for (size_t i = tasks; i < WORLD_MAX_TASKS; i++)
        runner->parts[i] = 1;
    runner->world = world_create(runner->options->side, tasks * LOG_FRAME_SIZE,
                                 runner->outcome->why, sizeof(runner->outcome->why));
    if (!runner->world)
        runner->outcome->state = LOG_RUN_STUCK;
    runner->context.world = runner->world;
    return runner->world != NULL;
}

_Noreturn void log_run(const struct log *log, struct log_plan *plan, const struct log_order *order,
                       const struct log_run_options *options, struct log_outcome *outcome)
{
    struct log_runner runner = {
        .context = { log, plan, NULL, options->directory, options->tag },
        .log = log,
        .plan = plan,
        .order = order,
        .options = options,
        .outcome = outcome,
    };

    if (prepare(&runner)) {
        for (uint32_t i = 0; i < log->task_count && !runner.stop; i++) {
            if (log->tasks[i].parent_call == LOG_NO_CALL && log->tasks[i].first != LOG_NO_EVENT)
                be_born(&runner, i);
        }
        for (; runner.event < log->event_count && !runner.stop; runner.event++)
            one_event(&runner);
        if (outcome->state != LOG_RUN_STUCK)
            outcome->state = LOG_RUN_DONE;
        world_destroy(runner.world);
    }
    _exit(0);
}
