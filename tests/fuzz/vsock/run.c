/*
 * run.c - see run.h: the world, calls and their order, the end
 */
#include "vsock/run.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "emu.h"
#include "interpret/calls.h"

struct run *run_create(void)
{
    struct run *run = calloc(1, sizeof(*run));
    size_t size = PATTERN_BYTES + (RUN_TASKS + 1) * (size_t)BUILD_MEMORY;
    char why[256] = "";

    if (!run)
        return NULL;
    run->world = world_create(SIDE_EMU, size, why, sizeof(why));
    if (!run->world) {
        fprintf(stderr, "fuzz: no world: %s\n", why);
        free(run);
        return NULL;
    }
    run->pattern = world_memory(run->world);
    build_fill_pattern(run->pattern, PATTERN_BYTES);
    run->observed = run->pattern + PATTERN_BYTES;
    for (uint32_t i = 0; i < RUN_TASKS; i++)
        run->players[i].memory = run->observed + (i + 1) * BUILD_MEMORY;
    run->observers[0] = world_thread(run->world, 0);
    return run;
}

void run_wrong(struct run *run, const char *rule, const char *format, ...)
{
    va_list arguments;

    if (run->rule[0])
        return;
    strncpy(run->rule, rule, RUN_RULE - 1);
    va_start(arguments, format);
    vsnprintf(run->detail, RUN_DETAIL, format, arguments);
    va_end(arguments);
}

int64_t run_ask(struct run *run, uint32_t process, const char *name, uint64_t a, uint64_t b,
                uint64_t c, uint64_t d, uint64_t e)
{
    uint64_t words[SCRIPT_MAX_ARGUMENTS] = { a, b, c, d, e };
    uint32_t observer = run->observers[process];
    struct world_result result;

    world_start(run->world, observer, call_find(name), words);
    run->asked++;
    if (world_task_state(run->world, observer) != WORLD_DONE) {
        run_wrong(run, "an observer sleeps", "%s(%llu) doesn't return", name,
                  (unsigned long long)a);
        world_interrupt(run->world, observer, false);
    }
    world_take(run->world, observer, &result);
    return result.value;
}

bool run_find(const struct run *run, int end, uint32_t *ret_process, int *ret_number)
{
    if (end < 0 || run->ends.all[end].holders == 0)
        return false;
    for (uint32_t i = 0; i < RUN_PROCESSES; i++) {
        for (int j = 3; run->processes[i].alive && j < ENDS_NUMBERS; j++) {
            if (run->processes[i].numbers[j] == end) {
                *ret_process = i;
                *ret_number = j;
                return true;
            }
        }
    }
    return false;
}

bool run_sleeps(const struct run *run, enum op op, int end)
{
    for (uint32_t i = 0; i < RUN_TASKS; i++) {
        const struct player *player = &run->players[i];

        if (player->alive && player->blocked && player->move.op == op && player->move.end == end)
            return true;
    }
    return false;
}

bool run_held(const struct run *run, int end)
{
    for (uint32_t i = 0; end >= 0 && i < RUN_TASKS; i++) {
        const struct player *player = &run->players[i];

        if (player->alive && player->blocked && player->move.op == OP_TAKE &&
            player->move.end == end && player->move.keeps)
            return true;
    }
    return false;
}

/* ---- calls ---- */

static void finish(struct run *run, struct player *player)
{
    struct world_result result;

    world_take(run->world, player->number, &result);
    player->slept = player->blocked && run->running != player;
    player->blocked = false;
    run->ended++;
    run->results[player->move.op][result.value >= 0]++;
    run->came = 0;
    run->last = result.value;
    judge(run, player, &result);
    say_result(run, player, &result);
}

static void settle(struct run *run, struct player *player, enum op op)
{
    if (player->alive && player->blocked && player->move.op == op &&
        world_task_state(run->world, player->number) == WORLD_DONE)
        finish(run, player);
}

/* Of calls that do the same, the one that let the others go on comes first. */
void run_settle(struct run *run)
{
    for (int op = 0; op < OP_COUNT; op++) {
        for (uint32_t i = 0; i < RUN_TASKS; i++) {
            if (&run->players[i] == run->running)
                settle(run, &run->players[i], (enum op)op);
        }
        for (uint32_t i = 0; i < RUN_TASKS; i++)
            settle(run, &run->players[i], (enum op)op);
    }
}

/* What the call does to others is known before it ends: its bytes may be read by then. */
void run_start(struct run *run, struct player *player)
{
    player->made = run->builder.made;
    player->move = run->move;
    player->move.keeps = run->move.flags & MSG_WAITALL || run->move.many ||
                         (run->move.end >= 0 && run->ends.all[run->move.end].low > 1);
    player->blocked = true;
    run->calls++;
    world_start(run->world, player->number, player->made.call, player->made.words);
    run_settle(run);
    if (!player->blocked)
        return;
    run->slept++;
    if (player->move.op == OP_SEND && player->move.end >= 0 && player->move.many &&
        run->ends.all[player->move.end].records)
        run->ends.all[player->move.end].out.loose = true; /* how many went isn't known yet */
    if (run->text)
        fprintf(run->builder.text, " <unfinished ...>\n");
}

/* ---- a sequence ---- */

static uint32_t objects(void)
{
    struct emu_session_counts counts;

    emu_session_count(&counts);
    return counts.descriptions + counts.bufs + counts.waiters;
}

static void begin(struct run *run, const struct sequence *sequence, FILE *text)
{
    run->text = text;
    run->rule[0] = run->detail[0] = '\0';
    run->ends.count = 0;
    run->spoilt = false;
    run->step = 0;
    run->drained = -1;
    for (uint32_t i = 0; i < RUN_PROCESSES; i++) {
        run->processes[i].alive = i == 0;
        for (uint32_t j = 0; j < ENDS_NUMBERS; j++)
            run->processes[i].numbers[j] = -1;
    }
    for (uint32_t i = 0; i < RUN_TASKS; i++)
        run->players[i].alive = run->players[i].blocked = false;
    run->players[0].alive = true;
    run->builder.odd = sequence->bytes[HEADER_ODD] % 48;
    run->builder.blocking = sequence->bytes[HEADER_BLOCKING];
    run->builder.large = sequence->bytes[HEADER_LARGE];
    run->builder.urgent = true;
    if (text)
        fprintf(text, "# on: emu\n# signals: any\n");
}

static void close_all(struct run *run)
{
    uint64_t words[SCRIPT_MAX_ARGUMENTS] = { 3, ~0u, 0 };
    struct world_result result;

    for (uint32_t i = 0; i < RUN_TASKS; i++) {
        if (run->players[i].alive && i > 0)
            world_exit(run->world, run->players[i].number, false);
    }
    for (uint32_t i = 1; i < RUN_PROCESSES; i++) {
        if (run->processes[i].alive)
            world_exit(run->world, run->observers[i], false);
    }
    world_start(run->world, run->players[0].number, call_find("close_range"), words);
    world_take(run->world, run->players[0].number, &result);
}

void run_sequence(struct run *run, const struct sequence *sequence, FILE *text)
{
    uint32_t before = objects();
    uint32_t count = sequence_count(sequence);
    uint32_t left;

    begin(run, sequence, text);
    for (uint32_t i = 0; i < count && !run->rule[0]; i++) {
        uint64_t before_it = run->calls + run->ended;

        act(run, sequence, i);
        /* A fork, or a pause, changes little. */
        if (!run->rule[0] && (run->calls + run->ended != before_it || i % 8 == 0))
            look(run);
    }
    if (!run->rule[0])
        act_last(run);
    if (run->rule[0])
        return; /* the process isn't used any more */
    if (run->spoil != SPOIL_LEAK)
        close_all(run);
    left = objects();
    if (left > before)
        run_wrong(run, "leak", "%u objects are left when everything is closed", left - before);
}
