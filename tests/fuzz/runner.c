/*
 * runner.c - one side: carries out sequences, one after the other, and logs what comes out
 *
 * After each call all tasks are looked at: what has ended is logged in the tasks' order, and what
 * still sleeps isn't mentioned again. At the end whatever sleeps is interrupted, everything that
 * can still be read is read, all tasks but the first exit and all numbers are closed.
 */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "actions.h"
#include "effects.h"
#include "emu.h"
#include "interpret/calls.h"
#include "outcomes.h"
#include "runner_inside.h"

#define DRAIN_READS  24u
#define DRAIN_SIZE   65536u
#define DRAIN_EVENTS 16u

struct outcomes *runner_outcomes;

struct runner *runner_create(enum side side, const char *scratch)
{
    struct runner *runner = calloc(1, sizeof(*runner));
    char why[256] = "";
    uint8_t *memory;

    if (!runner)
        return NULL;
    runner->side = side;
    strncpy(runner->scratch, scratch, sizeof(runner->scratch) - 1);
    runner->world = world_create(side, BUILD_PATTERN + MODEL_TASKS * BUILD_MEMORY, why,
                                 sizeof(why));
    if (!runner->world) {
        fprintf(stderr, "fuzz: no world: %s\n", why);
        free(runner);
        return NULL;
    }
    memory = world_memory(runner->world);
    runner->pattern = memory;
    build_fill_pattern(memory, BUILD_PATTERN);
    for (uint32_t i = 0; i < MODEL_TASKS; i++)
        runner->tasks[i].memory = memory + BUILD_PATTERN + i * BUILD_MEMORY;
    return runner;
}

void runner_destroy(struct runner *runner)
{
    world_destroy(runner->world);
    free(runner);
}

static uint64_t hash_signals(const struct world_result *result)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < result->signal_count; i++)
        hash = hash * 64 + (uint64_t)result->signals[i].si_signo;
    return hash;
}

static void task_done(struct runner *runner, struct task *task)
{
    struct world_result result;
    struct entry *entry;

    world_take(runner->world, task->number, &result);
    task->blocked = false;
    entry = log_add(runner->log, ENTRY_RESULT, task->action, (uint32_t)(task - runner->tasks),
                    task->made.name);
    entry->value = result.value;
    entry->hash = hash_signals(&result);
    for (uint32_t i = 0; i < task->made.out_count; i++)
        observe_out(runner, task, &task->made.outs[i], result.value);
    effect_apply(&runner->model, task->process, &task->made, result.value);
    if (runner_outcomes)
        outcomes_note(runner_outcomes, task->made.name, task->made.words, result.value);
    say_result(runner, task, result.value);
}

/* Logs what has ended, in the tasks' order. */
static void collect(struct runner *runner)
{
    for (uint32_t i = 0; i < MODEL_TASKS; i++) {
        struct task *task = &runner->tasks[i];

        if (task->alive && world_task_state(runner->world, task->number) == WORLD_DONE)
            task_done(runner, task);
    }
}

static void start(struct runner *runner, struct task *task, uint32_t action)
{
    task->action = action;
    task->blocked = true;
    runner->log->calls++;
    world_start(runner->world, task->number, task->made.call, task->made.words);
    collect(runner);
    if (!task->blocked)
        return;
    log_add(runner->log, ENTRY_BLOCKED, action, (uint32_t)(task - runner->tasks), task->made.name);
    if (runner->text)
        fprintf(runner->builder.text, " <unfinished ...>\n");
}

/* ---- actions ---- */

static struct task *choose_task(struct runner *runner, uint32_t from, bool blocked)
{
    for (uint32_t i = 0; i < MODEL_TASKS; i++) {
        struct task *task = &runner->tasks[(from + i) % MODEL_TASKS];

        if (task->alive && task->blocked == blocked)
            return task;
    }
    return NULL;
}

static struct task *free_task(struct runner *runner)
{
    for (uint32_t i = 0; i < MODEL_TASKS; i++) {
        if (!runner->tasks[i].alive)
            return &runner->tasks[i];
    }
    return NULL;
}

static uint32_t free_process(const struct runner *runner)
{
    for (uint32_t i = 0; i < MODEL_PROCESSES; i++) {
        if (!runner->model.processes[i].alive)
            return i;
    }
    return UINT32_MAX;
}

uint32_t runner_tasks_of(const struct runner *runner, uint32_t process)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < MODEL_TASKS; i++)
        count += runner->tasks[i].alive && runner->tasks[i].process == process;
    return count;
}

static void note_world(struct runner *runner, const char *name, uint32_t action,
                       const struct task *by, const struct task *other)
{
    struct entry *entry = log_add(runner->log, ENTRY_WORLD, action, (uint32_t)(by - runner->tasks),
                                  name);
    FILE *text = runner->text ? runner->builder.text : NULL;

    entry->value = other ? other - runner->tasks : 0;
    if (!text)
        return;
    if (strcmp(name, "interrupt") == 0 || strcmp(name, "restart") == 0) {
        fprintf(text, "interrupt(%s", other == runner->tasks ? "main" : "");
        if (other != runner->tasks)
            fprintf(text, "t%u", (unsigned)(other - runner->tasks));
        fprintf(text, "%s)\n", strcmp(name, "restart") == 0 ? ", SA_RESTART" : "");
        return;
    }
    say_task(text, runner, by);
    if (strcmp(name, "exit") == 0)
        fprintf(text, "exit(0) = ?\n");
    else
        fprintf(text, "%s() = t%u\n", name, (unsigned)entry->value);
}

static void add_task(struct runner *runner, struct task *by, uint32_t action, bool forks)
{
    struct task *task = free_task(runner);
    uint32_t process = forks ? free_process(runner) : by->process;
    uint32_t number;

    if (!task || process == UINT32_MAX || (forks && runner->stale))
        return;
    number = forks ? world_fork(runner->world, by->number)
                   : world_thread(runner->world, by->number);
    if (number == UINT32_MAX)
        return;
    if (forks) {
        runner->model.processes[process] = runner->model.processes[by->process];
        runner->model.processes[process].born = ++runner->model.born;
    }
    task->alive = true;
    task->blocked = false;
    task->number = number;
    task->process = process;
    task->leads = forks;
    runner->forked |= forks;
    runner->threaded[process] = !forks;
    note_world(runner, forks ? "fork" : "thread", action, by, task);
}

static void remove_task(struct runner *runner, struct task *task, uint32_t action)
{
    note_world(runner, "exit", action, task, NULL);
    world_exit(runner->world, task->number, false);
    task->alive = false;
    if (runner_tasks_of(runner, task->process) == 0)
        runner->model.processes[task->process].alive = false;
    collect(runner);
}

/* Close-on-exec numbers are gone, and what other tasks the process had. */
static void exec_task(struct runner *runner, struct task *task, uint32_t action)
{
    for (uint32_t i = 0; i < MODEL_TASKS; i++) {
        struct task *other = &runner->tasks[i];

        if (other != task && other->alive && other->process == task->process)
            return;
    }
    if (avoid_exec(runner, task))
        return;
    note_world(runner, "exec", action, task, NULL);
    world_exec(runner->world, task->number);
    for (int i = 3; i < MODEL_NUMBERS; i++) {
        if (world_number(runner->world, task->number, i) < 0)
            model_closed(&runner->model, task->process, i);
    }
    collect(runner);
}

static void interrupt_task(struct runner *runner, struct task *task, uint32_t action, bool restart)
{
    note_world(runner, restart ? "restart" : "interrupt", action, task, task);
    world_interrupt(runner->world, task->number, restart);
    collect(runner);
}

static void act_on_world(struct runner *runner, enum action action, struct task *task,
                         uint32_t number, uint32_t choice)
{
    struct task *sleeper;

    switch (action) {
    case ACTION_fork: add_task(runner, task, number, true); break;
    case ACTION_thread: add_task(runner, task, number, false); break;
    case ACTION_exit:
        /* /proc/self says nothing any more of a process whose first thread is gone. */
        if (task != &runner->tasks[0] && !avoid_end(runner) && !avoid_exec(runner, task) &&
            (!task->leads || runner_tasks_of(runner, task->process) == 1))
            remove_task(runner, task, number);
        break;
    case ACTION_exec:
        if (!avoid_end(runner))
            exec_task(runner, task, number);
        break;
    default:
        sleeper = choose_task(runner, choice % MODEL_TASKS, true);
        if (sleeper)
            interrupt_task(runner, sleeper, number,
                           choice >= 128 && !runner->threaded[sleeper->process]);
        break;
    }
}

/* No task uses a place in front of a bad page: they can be given again. */
static bool faults_free(const struct runner *runner)
{
    for (uint32_t i = 0; i < MODEL_TASKS; i++) {
        if (runner->tasks[i].alive && runner->tasks[i].blocked && runner->tasks[i].made.faults)
            return false;
    }
    return true;
}

static void prepare_builder(struct runner *runner, struct task *task, uint32_t action)
{
    struct builder *b = &runner->builder;

    memset(&b->made, 0, sizeof(b->made));
    b->made.call = -1;
    b->made.fd = b->made.fd2 = -1;
    b->model = &runner->model;
    b->world = runner->world;
    b->process = task->process;
    b->action = action;
    b->side = runner->side == SIDE_KERNEL ? 'K' : 'E';
    b->scratch = runner->scratch;
    b->pattern = runner->pattern;
    b->structs = task->memory;
    b->structs_end = task->memory + BUILD_STRUCTS;
    b->data = b->structs_end;
    b->data_end = b->data + BUILD_DATA;
    b->limit = 0;
    b->no_faults = false;
}

static void make(struct runner *runner, struct task *task, uint32_t number)
{
    struct builder *b = &runner->builder;

    if (avoid_sleep(runner, task, &b->made) || avoid_change(runner, task, &b->made)) {
        log_add(runner->log, ENTRY_SKIPPED, number, (uint32_t)(task - runner->tasks), b->made.name);
        say_nothing(runner);
        return;
    }
    task->made = b->made;
    start(runner, task, number);
}

static void act_by_call(struct runner *runner, action_function *function, struct task *task,
                        uint32_t number)
{
    struct builder *b = &runner->builder;

    if (faults_free(runner))
        world_faults_reset(runner->world);
    prepare_builder(runner, task, number);
    say_begin(runner, task);
    function(b);
    if (b->made.call < 0)
        say_nothing(runner);
    else
        make(runner, task, number);
    say_end(runner);
}

static void act(struct runner *runner, const struct sequence *sequence, uint32_t number)
{
    struct cursor *cursor = &runner->builder.cursor;
    action_function *function;
    struct task *task;
    enum action action;
    uint32_t choice;

    sequence_cursor(sequence, number, cursor);
    action = action_choose(cursor, sequence->bytes[HEADER_PROFILE]);
    choice = cursor_byte(cursor);
    function = action_get(action);
    task = choose_task(runner, choice, false);
    if (function && task) {
        act_by_call(runner, function, task, number);
    } else if (task || action == ACTION_interrupt) {
        say_begin(runner, NULL);
        act_on_world(runner, action, task, number, choice);
        say_end(runner);
    }
}

/* ---- the end ---- */

static void drain_call(struct runner *runner, struct task *task, const char *name, uint64_t a,
                       uint64_t word, uint64_t c, uint64_t d, const char *said)
{
    task->made.call = call_find(name);
    task->made.name = name;
    task->made.effect = EFFECT_NONE;
    memset(&task->made.touch, 0, sizeof(task->made.touch));
    task->made.words[0] = a;
    task->made.words[1] = word;
    task->made.words[2] = c;
    task->made.words[3] = d;
    say_begin(runner, task);
    if (runner->text)
        fprintf(runner->builder.text, "%s(%llu, %s", name, (unsigned long long)a, said);
    start(runner, task, SEQUENCE_MAX);
    say_end(runner);
}

static int64_t last_result(const struct runner *runner)
{
    for (uint32_t i = runner->log->count; i-- > 0;) {
        if (runner->log->entries[i].kind == ENTRY_RESULT)
            return runner->log->entries[i].value;
    }
    return -1;
}

static void drain_number(struct runner *runner, struct task *task, uint64_t number)
{
    const struct description *description = model_at(&runner->model, task->process,
                                                     (int64_t)number);
    uint64_t value = (uint64_t)(uintptr_t)task->memory;
    uint64_t data = value + BUILD_STRUCTS;

    task->made.out_count = 0;
    if (description->kind == KIND_EPOLL) {
        task->made.outs[0] = (struct out){ OUT_EVENTS, DRAIN_EVENTS, "events", task->memory };
        task->made.out_count = 1;
        task->made.unordered = description->mixed || runner->model.spliced;
        drain_call(runner, task, "epoll_wait", number, value, DRAIN_EVENTS, 0, "_, 16, 0");
        return;
    }
    drain_call(runner, task, "fcntl", number, F_SETFL, O_NONBLOCK, 0, "F_SETFL, O_NONBLOCK");
    task->made.outs[0] = (struct out){ OUT_FIXED, 4, "value", task->memory };
    memset(task->memory, 0, 8);
    task->made.out_count = 1;
    drain_call(runner, task, "ioctl", number, FIONREAD, value, 0, "FIONREAD, _");
    if (description->kind == KIND_FILE)
        return;
    task->made.outs[0] = (struct out){ OUT_RESULT, DRAIN_SIZE, "data",
                                       task->memory + BUILD_STRUCTS };
    for (uint32_t i = 0; i < DRAIN_READS; i++) {
        task->made.out_count = 1;
        drain_call(runner, task, "read", number, data, DRAIN_SIZE, 0, "_, 65536");
        if (task->blocked || last_result(runner) <= 0)
            return;
    }
}

static void drain_process(struct runner *runner, struct task *task, uint8_t *seen)
{
    const uint8_t *numbers = runner->model.processes[task->process].numbers;

    prepare_builder(runner, task, SEQUENCE_MAX);
    say_begin(runner, task);
    action_look(&runner->builder);
    task->made = runner->builder.made;
    start(runner, task, SEQUENCE_MAX);
    say_end(runner);
    for (uint32_t i = 3; i < MODEL_NUMBERS && !task->blocked; i++) {
        if (numbers[i] == 0 || seen[numbers[i]])
            continue;
        seen[numbers[i]] = 1;
        drain_number(runner, task, i);
    }
}

static void wake_all(struct runner *runner)
{
    for (uint32_t round = 0; round < 4; round++) {
        for (uint32_t i = 0; i < MODEL_TASKS; i++) {
            if (!runner->tasks[i].alive || !runner->tasks[i].blocked)
                continue;
            say_begin(runner, NULL);
            interrupt_task(runner, &runner->tasks[i], SEQUENCE_MAX, false);
            say_end(runner);
        }
    }
}

static void end_all(struct runner *runner)
{
    uint64_t words[BUILD_MAX_WORDS] = { 3, ~0u, 0 };
    struct world_result result;

    for (uint32_t i = 1; i < MODEL_TASKS; i++) {
        struct task *task = &runner->tasks[i];

        if (task->alive && world_task_state(runner->world, task->number) != WORLD_GONE)
            world_exit(runner->world, task->number, task->process != 0);
        task->alive = false;
    }
    world_start(runner->world, runner->tasks[0].number, call_find("close_range"), words);
    world_take(runner->world, runner->tasks[0].number, &result);
    for (uint32_t i = 0; i < MODEL_NAMES / 2; i++) {
        char path[8];

        snprintf(path, sizeof(path), "s%u", i);
        unlink(path);
    }
    unlink("gone");
}

/* Objects of the emulator that nobody holds any more. */
static uint32_t objects(const struct runner *runner)
{
    struct emu_session_counts counts;

    if (runner->side != SIDE_EMU)
        return 0;
    emu_session_count(&counts);
    return counts.descriptions + counts.bufs + counts.waiters;
}

void runner_run(struct runner *runner, const struct sequence *sequence, struct log *ret_log,
                FILE *text)
{
    uint32_t before = objects(runner);
    uint32_t left;
    uint32_t count = sequence_count(sequence);
    uint8_t seen[256] = { 0 };

    ret_log->count = ret_log->calls = ret_log->left = 0;
    ret_log->full = false;
    runner->log = ret_log;
    runner->text = text;
    if (text)
        fprintf(text, "# signals: any\n# native: yes\n");
    model_init(&runner->model);
    memset(runner->threaded, 0, sizeof(runner->threaded));
    runner->forked = runner->stale = false;
    for (uint32_t i = 0; i < MODEL_TASKS; i++)
        runner->tasks[i].alive = runner->tasks[i].blocked = false;
    runner->tasks[0].alive = true;
    runner->tasks[0].number = 0;
    runner->tasks[0].process = 0;
    runner->model.processes[0].alive = true;
    runner->builder.odd = sequence->bytes[HEADER_ODD] % 64;
    runner->builder.blocking = sequence->bytes[HEADER_BLOCKING];
    runner->builder.large = sequence->bytes[HEADER_LARGE];
    runner->builder.urgent = sequence->bytes[HEADER_URGENT] % 16 == 1;
    if (runner->builder.urgent)
        runner->builder.blocking = 0;
    for (uint32_t i = 0; i < count; i++)
        act(runner, sequence, i);
    wake_all(runner);
    for (uint32_t i = 0; i < MODEL_TASKS; i++) {
        if (runner->tasks[i].alive && !runner->tasks[i].blocked)
            drain_process(runner, &runner->tasks[i], seen);
    }
    wake_all(runner);
    end_all(runner);
    left = objects(runner);
    ret_log->left = left > before ? left - before : 0;
}
