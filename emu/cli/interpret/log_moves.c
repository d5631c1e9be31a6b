/*
 * log_moves.c - which decisions of an order may explain a difference
 *
 * A split call may begin anywhere between its two lines. Only points behind events on the same
 * channels are tried: between two such events nothing changes that the call could see or change.
 */
#include "interpret/log_moves.h"

#include <string.h>

struct finder {
    const struct log *log;
    const struct log_plan *plan;
    const struct log_order *order;
    struct log_moves *moves;
};

static bool is_movable(const struct log_step *step)
{
    return step->verdict != LOG_SKIP && step->verdict != LOG_CLONE;
}

/* The last event that a call may begin at. */
static uint32_t latest(const struct finder *finder, uint32_t index)
{
    const struct log_call *call = &finder->log->calls[index];

    if (finder->plan->steps[index].verdict == LOG_LEAVE) {
        uint32_t exit = finder->log->tasks[call->task].exit;

        return exit == LOG_NO_EVENT || exit < call->start ? call->start : exit;
    }
    return call->split && call->end != LOG_NO_EVENT ? call->end : call->start;
}

static bool touches_same(const struct log_plan *plan, const uint32_t *a, size_t a_count,
                         const uint32_t *b, size_t b_count)
{
    (void)plan;
    for (size_t i = 0; i < a_count; i++) {
        for (size_t j = 0; j < b_count; j++) {
            if (a[i] == b[j])
                return true;
        }
    }
    return false;
}

/* True when this event is one of a call or death that touches what the call does. */
static bool concerns(const struct finder *finder, uint32_t event_index, uint32_t index)
{
    const struct log_event *event = &finder->log->events[event_index];
    const struct log_plan *plan = finder->plan;
    const struct log_step *step = &plan->steps[index];

    if (event->kind == LOG_START || event->kind == LOG_END)
        return event->index != index && plan->steps[event->index].verdict != LOG_SKIP &&
               log_plan_related(plan, index, event->index);
    return event->kind == LOG_EXIT &&
           touches_same(plan, plan->touched + step->touched, step->touched_count,
                        plan->touched + plan->exit_touched[event->task],
                        plan->exit_touched_count[event->task]);
}

static void add_move(struct finder *finder, struct log_move move)
{
    if (finder->moves->count < LOG_MAX_MOVES)
        finder->moves->items[finder->moves->count++] = move;
}

/* Every other point where this call may begin: behind each event that concerns it. */
static void add_starts(struct finder *finder, uint32_t index, uint32_t until)
{
    const struct log_call *call = &finder->log->calls[index];
    uint32_t last = latest(finder, index);
    uint32_t now = finder->order->starts[index];

    if (last > until)
        last = until;
    for (uint32_t event = call->start + 1; event <= last; event++) {
        bool matters = event - 1 == call->start || concerns(finder, event - 1, index);

        if (matters && event - 1 == call->start)
            add_move(finder, (struct log_move){ MOVE_START, index, call->start });
        else if (matters)
            add_move(finder, (struct log_move){ MOVE_START, index, event });
    }
    if (last > call->start)
        add_move(finder, (struct log_move){ MOVE_START, index, last });
    for (size_t i = 0; i < finder->moves->count; i++) { /* where it is now is no change */
        if (finder->moves->items[i].kind == MOVE_START && finder->moves->items[i].index == index &&
            finder->moves->items[i].value == now)
            finder->moves->items[i--] = finder->moves->items[--finder->moves->count];
    }
}

/* A read that got less than there is: a writer that ran at the same time had not written it yet. */
static void add_cut(struct finder *finder, uint32_t index)
{
    const struct log_call *call = &finder->log->calls[index];

    if (finder->order->cut[index] || call->result != LOG_RESULT_VALUE || call->value <= 0 ||
        !strchr("rv", call->name[0]) || call->end == LOG_NO_EVENT)
        return;
    for (uint32_t i = 0; i < finder->log->call_count; i++) {
        const struct log_call *other = &finder->log->calls[i];

        if (i != index && other->split && other->start < call->end && other->end > call->start &&
            finder->plan->steps[i].verdict != LOG_SKIP &&
            log_plan_related(finder->plan, index, i)) {
            add_move(finder, (struct log_move){ MOVE_CUT, index, 1 });
            return;
        }
    }
}

/* An exit that others see half done: descriptors are closed one by one, the highest first. */
static void add_halves(struct finder *finder, uint32_t index)
{
    const struct log_step *step = &finder->plan->steps[index];

    if (step->verdict != LOG_LEAVE)
        return;
    for (size_t i = 1; i < step->made_count; i++) {
        int32_t number = finder->plan->numbers[step->made + i];

        if (number != finder->order->halves[index])
            add_move(finder, (struct log_move){ MOVE_HALF, index, (uint32_t)number });
    }
}

/* True when the call may begin while the one that differs is going on. */
static bool is_local(const struct finder *finder, uint32_t index,
                     const struct log_difference *difference)
{
    return latest(finder, index) > finder->log->calls[difference->call].start;
}

/* A task that was killed may have been dead before its line says so. */
static void add_exits(struct finder *finder, uint32_t exit, const struct log_difference *difference)
{
    const struct log *log = finder->log;
    uint32_t task = log->events[exit].task;
    uint32_t last = difference->event < exit ? difference->event : exit;

    if (finder->order->exits[task] != exit || !concerns(finder, exit, difference->call))
        return;
    for (uint32_t i = exit - 1; i > 0; i--) {
        if (i <= last && (i == last || concerns(finder, i - 1, difference->call)))
            add_move(finder, (struct log_move){ MOVE_EXIT, task, i });
        if (log->events[i - 1].task == task)
            break;
    }
}

/* Those whose last line stands behind the difference, and nothing else of them. */
static void add_deaths(struct finder *finder, const struct log_difference *difference)
{
    const struct log *log = finder->log;

    for (uint32_t i = 0; i < log->task_count; i++) {
        if (log->tasks[i].exit != LOG_NO_EVENT && log->tasks[i].exit > difference->event &&
            log->tasks[i].first < difference->event)
            add_exits(finder, log->tasks[i].exit, difference);
    }
}

/* Moves of all other calls on the same channels, the most recent ones first. */
static void add_others(struct finder *finder, const struct log_difference *difference, bool local)
{
    const struct log *log = finder->log;

    for (uint32_t i = difference->event; i-- > 0 && finder->moves->count < LOG_MAX_MOVES;) {
        const struct log_event *event = &log->events[i];

        if (event->kind == LOG_EXIT && !local)
            add_exits(finder, i, difference);
        if (event->kind != LOG_START || event->index == difference->call ||
            !is_movable(&finder->plan->steps[event->index]) ||
            latest(finder, event->index) == log->calls[event->index].start ||
            is_local(finder, event->index, difference) != local ||
            !concerns(finder, i, difference->call))
            continue;
        add_starts(finder, event->index, UINT32_MAX);
        add_halves(finder, event->index);
        add_cut(finder, event->index);
    }
}

void log_moves_find(const struct log *log, const struct log_plan *plan,
                    const struct log_order *order, const struct log_difference *difference,
                    struct log_moves *ret_moves)
{
    struct finder finder = { log, plan, order, ret_moves };

    ret_moves->count = 0;
    add_starts(&finder, difference->call, difference->event);
    add_cut(&finder, difference->call);
    add_others(&finder, difference, true);
    add_deaths(&finder, difference);
    ret_moves->local = ret_moves->count;
    add_others(&finder, difference, false);
}

struct log_move log_move_make(struct log_order *order, struct log_move move)
{
    struct log_move back = move;
    uint32_t *place = move.kind == MOVE_EXIT ? order->exits : order->starts;

    switch (move.kind) {
    case MOVE_CUT:
        back.value = order->cut[move.index];
        order->cut[move.index] = (uint8_t)move.value;
        break;
    case MOVE_HALF:
        back.value = (uint32_t)order->halves[move.index];
        order->halves[move.index] = (int32_t)move.value;
        break;
    case MOVE_START:
    case MOVE_EXIT:
        back.value = place[move.index];
        place[move.index] = move.value;
        break;
    }
    return back;
}
