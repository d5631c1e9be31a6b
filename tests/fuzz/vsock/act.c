/*
 * act.c - what a sequence does: choosing a task and an action, the actions of the world, the end
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "interpret/calls.h"
#include "vsock/run.h"

#define PROFILE_COUNT 5
#define TIME_NS       (3ull * 1000000000) /* longer than a connect waits by default */
#define DRAIN_READS   (FLOW_RECORDS + 8)
#define LAST_ACTION   (SEQUENCE_MAX + 1)

typedef void world_function(struct run *run, struct player *player, uint32_t number);

static world_function run_pair, run_fork, run_thread, run_exit, run_interrupt, run_time;

static make_function *const makers[] = {
#define ACTION(name, ...)       make_##name,
#define ACTION_WORLD(name, ...) NULL,
#include "vsock/actions.def"
#undef ACTION
#undef ACTION_WORLD
};

static world_function *const worlds[] = {
#define ACTION(name, ...)       NULL,
#define ACTION_WORLD(name, ...) run_##name,
#include "vsock/actions.def"
#undef ACTION
#undef ACTION_WORLD
};

static const uint8_t weights[][PROFILE_COUNT] = {
#define ACTION(name, ...) { __VA_ARGS__ },
#include "vsock/actions.def"
#undef ACTION
};

#define ACTION_COUNT (sizeof(weights) / sizeof(weights[0]))

static uint32_t choose_action(struct cursor *cursor, uint8_t profile)
{
    uint32_t all = 0;
    uint32_t chosen;

    profile %= PROFILE_COUNT;
    for (uint32_t i = 0; i < ACTION_COUNT; i++)
        all += weights[i][profile];
    chosen = cursor_below(cursor, 65536) * all >> 16;
    for (uint32_t i = 0; i < ACTION_COUNT; i++) {
        if (chosen < weights[i][profile])
            return i;
        chosen -= weights[i][profile];
    }
    return 0;
}

static struct player *choose_player(struct run *run, uint32_t from, bool blocked)
{
    for (uint32_t i = 0; i < RUN_TASKS; i++) {
        struct player *player = &run->players[(from + i) % RUN_TASKS];

        if (player->alive && player->blocked == blocked)
            return player;
    }
    return NULL;
}

/* No task uses a place in front of a bad page: they can be given again. */
static bool faults_free(const struct run *run)
{
    for (uint32_t i = 0; i < RUN_TASKS; i++) {
        if (run->players[i].alive && run->players[i].blocked && run->players[i].made.faults)
            return false;
    }
    return true;
}

void act_prepare(struct run *run, struct player *player, uint32_t number)
{
    struct builder *b = &run->builder;

    if (faults_free(run))
        world_faults_reset(run->world);
    memset(&b->made, 0, sizeof(b->made));
    memset(&run->move, 0, sizeof(run->move));
    run->move.end = run->move.number = -1;
    b->made.call = -1;
    b->world = run->world;
    b->process = player->process;
    b->action = number;
    b->pattern = run->pattern;
    b->structs = player->memory;
    b->structs_end = player->memory + BUILD_STRUCTS;
    b->data = b->structs_end;
    b->data_end = b->data + BUILD_DATA;
    player->action = number;
}

void act_call(struct run *run, make_function *function, struct player *player, uint32_t number)
{
    act_prepare(run, player, number);
    say_begin(run, player);
    run->none = false;
    if (function(run, player) && !run->none && run->builder.made.call >= 0)
        run_start(run, player);
    else
        say_forget(run);
    say_end(run);
}

void act(struct run *run, const struct sequence *sequence, uint32_t number)
{
    struct cursor *cursor = &run->builder.cursor;
    struct player *player;
    uint32_t action;

    sequence_cursor(sequence, number, cursor);
    action = choose_action(cursor, sequence->bytes[HEADER_PROFILE]);
    player = choose_player(run, cursor_byte(cursor), false);
    if (worlds[action])
        worlds[action](run, player, number);
    else if (player)
        act_call(run, makers[action], player, number);
}

/* ---- the world's own ---- */

/* Builds a connection: the last step closes the listener, or not. */
static void run_pair(struct run *run, struct player *player, uint32_t number)
{
    static make_function *const steps[] = { make_socket,  make_bind,   make_listen, make_socket,
                                            make_connect, make_accept, make_close };
    struct cursor chosen = run->builder.cursor;
    uint32_t count = 6 + number % 2;

    for (uint32_t i = 0; player && i < count && !player->blocked && !run->rule[0]; i++) {
        run->step = i + 1;
        if (i == 3)
            run->builder.cursor = chosen; /* the same kind of socket */
        act_call(run, steps[i], player, number);
        run->step = 0;
        if (run->last < 0 && i != 4) /* connect may say EINPROGRESS */
            return;
        if (i == 0 || i == 3)
            run->pair[i / 3] = (int)run->last;
    }
}

static struct player *free_player(struct run *run)
{
    for (uint32_t i = 0; i < RUN_TASKS; i++) {
        if (!run->players[i].alive)
            return &run->players[i];
    }
    return NULL;
}

static void add_player(struct run *run, struct player *by, uint32_t process, const char *name)
{
    struct player *player = free_player(run);

    if (!player)
        return;
    player->number = process == by->process ? world_thread(run->world, by->number)
                                            : world_fork(run->world, by->number);
    if (player->number == UINT32_MAX)
        return;
    player->alive = true;
    player->blocked = false;
    player->process = process;
    if (process != by->process) {
        run->processes[process].alive = true;
        for (int i = 0; i < ENDS_NUMBERS; i++)
            ends_hold(&run->ends, &run->processes[process], i,
                      run->processes[by->process].numbers[i]);
        run->observers[process] = world_thread(run->world, player->number);
    }
    if (run->text) {
        say_task(run->builder.text, run, by);
        fprintf(run->builder.text, "%s() = t%u\n", name, (unsigned)(player - run->players));
    }
}

static void run_fork(struct run *run, struct player *player, uint32_t number)
{
    (void)number;
    for (uint32_t i = 0; player && i < RUN_PROCESSES; i++) {
        if (run->processes[i].alive)
            continue;
        say_begin(run, NULL);
        add_player(run, player, i, "fork");
        say_end(run);
        return;
    }
}

static void run_thread(struct run *run, struct player *player, uint32_t number)
{
    (void)number;
    if (!player)
        return;
    say_begin(run, NULL);
    add_player(run, player, player->process, "thread");
    say_end(run);
}

static uint32_t players_of(const struct run *run, uint32_t process)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < RUN_TASKS; i++)
        count += run->players[i].alive && run->players[i].process == process;
    return count;
}

static void run_exit(struct run *run, struct player *player, uint32_t number)
{
    uint32_t process = player ? player->process : 0;

    (void)number;
    if (!player || player == run->players || (process == 0 && players_of(run, 0) == 1))
        return;
    say_begin(run, NULL);
    if (run->text) {
        say_task(run->builder.text, run, player);
        fprintf(run->builder.text, "exit(0) = ?\n");
    }
    player->alive = false;
    if (players_of(run, process) == 0) {
        for (int i = 0; i < ENDS_NUMBERS; i++)
            ends_drop(&run->ends, &run->processes[process], i);
        run->processes[process].alive = false;
        world_exit(run->world, run->observers[process], false);
    }
    world_exit(run->world, player->number, false);
    run_settle(run);
    say_end(run);
}

static void interrupt(struct run *run, struct player *player, bool restart)
{
    say_begin(run, NULL);
    if (run->text) {
        fprintf(run->builder.text, "interrupt(%s", player == run->players ? "main" : "t");
        if (player != run->players)
            fprintf(run->builder.text, "%u", (unsigned)(player - run->players));
        fprintf(run->builder.text, "%s)\n", restart ? ", SA_RESTART" : "");
    }
    world_interrupt(run->world, player->number, restart);
    run_settle(run);
    say_end(run);
}

static void run_interrupt(struct run *run, struct player *player, uint32_t number)
{
    struct cursor *cursor = &run->builder.cursor;
    struct player *sleeper = choose_player(run, cursor_byte(cursor), true);

    (void)number;
    (void)player;
    if (sleeper)
        interrupt(run, sleeper, cursor_byte(cursor) % 2);
}

/* The first call that has a time-out ends, or 3 s pass. */
static void run_time(struct run *run, struct player *player, uint32_t number)
{
    (void)player;
    (void)number;
    say_begin(run, NULL);
    world_expire(run->world, TIME_NS);
    run_settle(run);
    say_end(run);
}

/* ---- the end ---- */

static void drain(struct run *run, struct player *player, int number)
{
    const struct end *end = &run->ends.all[ends_at(&run->processes[player->process], number)];
    bool listens = end->kind == END_LISTENING;

    if (!listens && end->kind != END_CONNECTED)
        return;
    run->drained = number;
    act_call(run, make_last_flags, player, LAST_ACTION);
    for (uint32_t i = 0; i < DRAIN_READS && !run->rule[0]; i++) {
        act_call(run, listens ? make_last_accept : make_last_take, player, LAST_ACTION);
        if (run->last < 0 || (!listens && run->last == 0))
            break;
    }
    run->drained = -1;
}

void act_last(struct run *run)
{
    bool seen[ENDS_MAX] = { false };

    for (uint32_t round = 0; round < 4; round++) {
        for (uint32_t i = 0; i < RUN_TASKS && !run->rule[0]; i++) {
            if (run->players[i].alive && run->players[i].blocked)
                interrupt(run, &run->players[i], false);
        }
    }
    for (uint32_t i = 0; i < RUN_TASKS; i++) {
        if (run->players[i].alive && run->players[i].blocked)
            run_wrong(run, "still asleep", "t%u sleeps in %s after an interruption", i,
                      run->players[i].made.name);
    }
    if (!run->rule[0])
        look(run); /* an interruption leaves errors behind */
    for (uint32_t i = 0; i < RUN_TASKS; i++) {
        struct player *player = &run->players[i];

        for (int j = 3; player->alive && j < ENDS_NUMBERS && !run->rule[0]; j++) {
            int end = ends_at(&run->processes[player->process], j);

            if (end < 0 || seen[end])
                continue;
            seen[end] = true;
            drain(run, player, j);
        }
    }
    if (!run->rule[0])
        look(run);
    if (!run->rule[0])
        look_last(run);
}
