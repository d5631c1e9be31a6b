/*
 * run_tasks.c - see run_tasks.h
 *
 * A blocked call keeps its flight: memory and watches. What it wants of its results stands in the
 * line that resumes it.
 */
#include "interpret/run_tasks.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "interpret/side.h"
#include "interpret/world.h"

static const char *name_of(const struct run *run, uint32_t task)
{
    return run->script->tasks[task];
}

void run_unfinished(struct run *run)
{
    uint64_t words[SCRIPT_MAX_ARGUMENTS];
    const uint32_t task = run->statement->task;

    run_memory_reset(run);
    run->outcome->came[0] = '\0';
    encode_arguments(run, words);
    if (!side_begin(run, words)) {
        render_result(run, run->outcome->got, sizeof(run->outcome->got));
        run_differs(run, run->statement->place, "result");
        return;
    }
    snprintf(run->outcome->got, sizeof(run->outcome->got), "= ? (blocks)");
    run->flight->blocked = true;
    run->tasks[task].flight = run->flight;
    run->tasks[task].statement = run->statement;
    run->tasks[task].outcome = run->outcome;
}

static void run_resumed(struct run *run)
{
    const struct statement *statement = run->statement;
    struct flight *flight = run->tasks[statement->task].flight;

    if (!flight) {
        snprintf(run->outcome->got, sizeof(run->outcome->got), "it had not blocked");
        run_differs(run, statement->place, "result");
        return;
    }
    if (!side_end(run)) {
        snprintf(run->outcome->got, sizeof(run->outcome->got), "= ? (still blocks)");
        run_differs(run, statement->place, "result");
        return;
    }
    flight->blocked = false;
    run->flight = flight;
    run->tasks[statement->task].flight = NULL;
    run->outcome->came[0] = '\0';
    render_result(run, run->outcome->got, sizeof(run->outcome->got));
    match_all(run, &statement->wanted);
}

static void run_child(struct run *run)
{
    const struct statement *statement = run->statement;
    uint32_t parent = run->tasks[statement->task].index;
    uint32_t child = statement->kind == STATEMENT_FORK ? world_fork(run->world, parent)
                                                       : world_thread(run->world, parent);

    if (child == UINT32_MAX)
        run_fail(run, statement->place, "no more tasks can be made");
    run->tasks[statement->other].index = child;
}

/* Tasks that an exit or exec has ended: their calls never end. */
static void drop_gone(struct run *run)
{
    for (uint32_t i = 0; i < run->script->task_count; i++) {
        if (run->tasks[i].flight &&
            world_task_state(run->world, run->tasks[i].index) == WORLD_GONE) {
            run->tasks[i].flight->blocked = false;
            run->tasks[i].flight = NULL;
        }
    }
}

static void run_interrupt(struct run *run)
{
    const struct statement *statement = run->statement;
    uint32_t other = run->tasks[statement->other].index;
    bool restart = false;

    if (statement->left) {
        run_memory_reset(run);
        restart = evaluate_number(run, statement->left) & SA_RESTART;
    }
    if (world_task_state(run->world, other) != WORLD_BLOCKED) {
        snprintf(run->outcome->got, sizeof(run->outcome->got), "[%s] isn't blocked",
                 name_of(run, statement->other));
        run_differs(run, statement->place, "result");
        return;
    }
    world_interrupt(run->world, other, restart);
}

static void run_wait(struct run *run)
{
    const struct statement *statement = run->statement;

    if (world_task_state(run->world, run->tasks[statement->other].index) == WORLD_GONE)
        return;
    snprintf(run->outcome->got, sizeof(run->outcome->got), "[%s] has not exited",
             name_of(run, statement->other));
    run_differs(run, statement->place, "result");
}

void run_task_statement(struct run *run)
{
    const struct statement *statement = run->statement;
    uint32_t task = run->tasks[statement->task].index;

    snprintf(run->outcome->got, sizeof(run->outcome->got), "done");
    switch (statement->kind) {
    case STATEMENT_RESUMED: run_resumed(run); break;
    case STATEMENT_FORK:
    case STATEMENT_THREAD: run_child(run); break;
    case STATEMENT_EXIT: world_exit(run->world, task, false); break;
    case STATEMENT_EXIT_GROUP: world_exit(run->world, task, true); break;
    case STATEMENT_EXEC: world_exec(run->world, task); break;
    case STATEMENT_INTERRUPT: run_interrupt(run); break;
    case STATEMENT_WAIT: run_wait(run); break;
    default: run_fail(run, statement->place, "this can't be run");
    }
    drop_gone(run);
}

void run_ended_early(struct run *run)
{
    for (uint32_t i = 0; i < run->script->task_count; i++) {
        if (run->tasks[i].flight && world_task_state(run->world, run->tasks[i].index) == WORLD_DONE)
            run_differs(run, run->statement->place, "[%s]'s %s of line %u has ended before this",
                        name_of(run, i), run->tasks[i].statement->name,
                        run->tasks[i].statement->place.line);
    }
}

bool run_left_over(struct run *run)
{
    bool found = false;

    for (uint32_t i = 0; i < run->script->task_count; i++) {
        if (!run->tasks[i].flight ||
            world_task_state(run->world, run->tasks[i].index) != WORLD_DONE)
            continue;
        run->outcome = run->tasks[i].outcome;
        run_differs(run, run->tasks[i].statement->place,
                    "it has ended by the end of the script, where it isn't resumed");
        found = true;
    }
    return found;
}
