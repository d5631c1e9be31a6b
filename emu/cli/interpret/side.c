/*
 * side.c - a script's calls in the world of one side
 *
 * A call without a word about tasks has the world for itself: it ends, its time-out ends it, or it
 * is taken to block, and is interrupted by a handler without SA_RESTART.
 */
#include "interpret/side.h"

#include <string.h>

#include "interpret/world.h"

#define EXPECTED_BLOCK_NS   250000000  /* a call that is expected to block is believed after this */
#define UNEXPECTED_BLOCK_NS 5000000000 /* ... and any other one after this */
#define MAX_INTERRUPTS      100        /* until a blocked call gives in */

void side_init(struct run *run)
{
    const struct place nowhere = { 0, 0 };
    char why[160];

    run->world = world_create(run->side, run_memory_size(), why, sizeof(why));
    if (!run->world)
        run_fail(run, nowhere, "%s", why);
    run_memory_init(run);
}

static uint32_t task_of(const struct run *run)
{
    return run->tasks[run->statement->task].index;
}

static void start(struct run *run, const uint64_t *words)
{
    if (world_task_state(run->world, task_of(run)) != WORLD_IDLE)
        run_fail(run, run->statement->place, "the task '%s' has exited",
                 run->script->tasks[run->statement->task]);
    world_start(run->world, task_of(run), run->statement->call, words);
}

static void take(struct run *run)
{
    static struct world_result result; /* large: it holds the signals */

    world_take(run->world, task_of(run), &result);
    run->result = result.value;
    run->native = result.native;
    run->signals = result.signals;
    run->signal_count = result.signal_count;
    if (strcmp(run->statement->name, "getpid") == 0)
        run->pid = result.value;
}

/* Lets time pass until the task's call has ended. */
static bool await(struct run *run, uint64_t limit_ns)
{
    while (world_task_state(run->world, task_of(run)) == WORLD_BLOCKED) {
        if (!world_expire(run->world, limit_ns))
            return false;
    }
    return true;
}

void side_call(struct run *run, const uint64_t *words, bool expects_block)
{
    uint32_t task = task_of(run);

    run->blocked = false;
    start(run, words);
    if (!await(run, expects_block ? EXPECTED_BLOCK_NS : UNEXPECTED_BLOCK_NS)) {
        run->blocked = true;
        for (int i = 0; i < MAX_INTERRUPTS && world_task_state(run->world, task) == WORLD_BLOCKED;
             i++)
            world_interrupt(run->world, task, false);
    }
    if (world_task_state(run->world, task) != WORLD_DONE)
        run_fail(run, run->statement->place, "this call can't be interrupted");
    take(run);
}

bool side_begin(struct run *run, const uint64_t *words)
{
    run->blocked = false;
    start(run, words);
    if (world_task_state(run->world, task_of(run)) == WORLD_BLOCKED)
        return true;
    take(run);
    return false;
}

bool side_end(struct run *run)
{
    run->blocked = false;
    if (!await(run, UNEXPECTED_BLOCK_NS))
        return false;
    take(run);
    return true;
}
