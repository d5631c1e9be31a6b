/*
 * log_rules_wait.c - what is done with poll, select and epoll
 *
 * Sets may hold opaque descriptors: those are left out, and what the log says of them isn't
 * compared. Each item of a set has a flag in the plan: 1 is opaque.
 */
#include <string.h>
#include <sys/epoll.h>

#include "interpret/log_walk.h"

/* The mode of a call that waits, by what the log says of it. `ready`: how many known ones were. */
static enum log_mode mode_of(const struct log_call *call, size_t ready)
{
    if (call->result == LOG_RESULT_RESTART ||
        (call->error_name && strcmp(call->error_name, "EINTR") == 0))
        return LOG_AT_ONCE;
    return log_succeeded(call) && ready == 0 ? LOG_NO_WAIT : LOG_AS_IS;
}

/* Errors that come from the array or the time-out, which aren't interpreted as they are. */
static bool failed_by_arguments(const struct log_call *call)
{
    return call->result == LOG_RESULT_ERROR && strcmp(call->error_name, "EINTR") != 0;
}

/* The object behind a member of a set; an epoll set with opaque members is opaque itself. */
static uint32_t known_member(struct log_walk *walk, int64_t number)
{
    uint32_t object = log_walk_object(walk, number);

    if (object != LOG_NO_OBJECT && walk->numbers.objects[object].kind == LOG_EPOLL &&
        log_member_any(&walk->numbers, object, true))
        return LOG_NO_OBJECT;
    return object;
}

static void flag_one(struct log_walk *walk, const struct log_expr *number, size_t *ready,
                     size_t *known)
{
    int64_t value;
    uint32_t object = log_number(number, &value) ? known_member(walk, value) : LOG_NO_OBJECT;

    log_walk_flag(walk, object == LOG_NO_OBJECT);
    log_walk_touch(walk, object);
    *known += object != LOG_NO_OBJECT;
    (void)ready;
}

/* How many of the descriptors that came out as ready are known. */
static size_t count_ready(struct log_walk *walk, const struct log_call *call)
{
    size_t ready = 0;

    for (size_t i = 0; i < call->came_count; i++) {
        const struct log_expr *list = call->came[i];

        for (size_t j = 0; list->kind == LOG_LIST && j < list->count; j++) {
            const struct log_expr *item = list->items[j];
            int64_t number;

            if (item->kind == LOG_STRUCT)
                item = log_field(item, "fd");
            if (log_number(item, &number) && known_member(walk, number) != LOG_NO_OBJECT)
                ready++;
        }
    }
    return ready;
}

static void start_poll(struct log_walk *walk, const struct log_call *call)
{
    const struct log_expr *list = call->argument_count > 0 ? call->arguments[0] : NULL;
    size_t known = 0;
    size_t ready = 0;

    if (!list || list->kind != LOG_LIST || failed_by_arguments(call))
        return;
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i]->kind != LOG_STRUCT)
            return; /* strace left some of them out */
        flag_one(walk, log_field(list->items[i], "fd"), &ready, &known);
    }
    if (known == 0)
        return;
    log_walk_run(walk);
    walk->step->mode = mode_of(call, count_ready(walk, call));
}

static void start_select(struct log_walk *walk, const struct log_call *call)
{
    size_t known = 0;
    size_t ready = 0;

    if (failed_by_arguments(call))
        return;
    for (size_t i = 1; i < 4 && i < call->argument_count; i++) {
        const struct log_expr *list = call->arguments[i];

        for (size_t j = 0; list->kind == LOG_LIST && j < list->count; j++)
            flag_one(walk, list->items[j], &ready, &known);
    }
    if (known == 0)
        return;
    log_walk_run(walk);
    walk->step->mode = mode_of(call, count_ready(walk, call));
}

/* ---- epoll ---- */

/* data={u32=4, u64=4}, in older straces {u32=4, u64=4} without a name */
bool log_epoll_event(const struct log_expr *event, int64_t *ret_events, uint64_t *ret_data)
{
    const struct log_expr *events = log_field(event, "events");
    const struct log_expr *data = log_field(event, "data");
    int64_t value;

    if (!event || event->kind != LOG_STRUCT)
        return false;
    if (!events && event->count > 0 && !event->items[0]->field)
        events = event->items[0];
    if (!data && event->count > 1 && event->items[1]->kind == LOG_STRUCT)
        data = event->items[1];
    if (data && data->kind == LOG_STRUCT)
        data = log_field(data, "u64") ? log_field(data, "u64") : log_field(data, "ptr");
    if (!log_number(events, ret_events) || !log_number(data, &value))
        return false;
    *ret_data = (uint64_t)value;
    return true;
}

static void start_epoll_ctl(struct log_walk *walk, const struct log_call *call)
{
    uint32_t set = log_walk_argument(walk, call, 0);
    uint32_t target = LOG_NO_OBJECT;
    const struct log_expr *event = call->argument_count > 3 ? call->arguments[3] : NULL;
    int64_t operation;
    int64_t number;
    int64_t events;
    uint64_t data = 0;

    if (set == LOG_NO_OBJECT || walk->numbers.objects[set].kind != LOG_EPOLL ||
        !log_argument_number(call, 1, &operation) || !log_argument_number(call, 2, &number))
        return;
    target = known_member(walk, number);
    if (target != LOG_NO_OBJECT) {
        log_walk_run(walk);
        log_walk_touch(walk, set);
        log_walk_touch(walk, target);
    }
    if (!log_succeeded(call) || number < 0 || number > INT32_MAX)
        return;
    if (operation == EPOLL_CTL_DEL)
        log_member_remove(&walk->numbers, set, (int)number);
    else if (log_epoll_event(event, &events, &data))
        log_member_set(&walk->numbers, set, (int)number, data, target == LOG_NO_OBJECT);
}

static bool waits_on_epoll(const struct log_call *call)
{
    return log_is(call, "epoll_wait") || log_is(call, "epoll_pwait") ||
           log_is(call, "epoll_pwait2");
}

static void start_epoll_wait(struct log_walk *walk, const struct log_call *call)
{
    uint32_t set = log_walk_argument(walk, call, 0);

    if (set == LOG_NO_OBJECT || walk->numbers.objects[set].kind != LOG_EPOLL ||
        failed_by_arguments(call))
        return;
    walk->step->object = set;
    log_walk_touch(walk, set);
    for (uint32_t i = walk->numbers.objects[set].members; i != 0;
         i = walk->numbers.members[i - 1].next) {
        const struct log_member *member = &walk->numbers.members[i - 1];

        if (!member->opaque)
            log_walk_touch(walk, log_walk_object(walk, member->number));
    }
    log_walk_run(walk);
}

/* Only at its end is it known what the set holds: other threads may have added to it. */
static void end_epoll_wait(struct log_walk *walk, const struct log_call *call)
{
    uint32_t set = walk->step->object;
    const struct log_expr *list = call->argument_count > 1 ? call->arguments[1] : NULL;
    size_t ready = 0;

    if (walk->step->verdict != LOG_RUN)
        return;
    if (!log_member_any(&walk->numbers, set, false) && log_member_any(&walk->numbers, set, true)) {
        walk->step->verdict = LOG_SKIP; /* nothing in it is known */
        return;
    }
    for (size_t i = 0; list && list->kind == LOG_LIST && i < list->count; i++) {
        int64_t events;
        uint64_t data;
        bool opaque = !log_epoll_event(list->items[i], &events, &data) ||
                      log_member_opaque(&walk->numbers, set, data);

        log_walk_flag(walk, opaque);
        ready += !opaque;
    }
    walk->step->mode = mode_of(call, ready);
}

/* ---- All of them ---- */

bool log_rule_wait_start(struct log_walk *walk, const struct log_call *call)
{
    if (log_is(call, "poll") || log_is(call, "ppoll"))
        start_poll(walk, call);
    else if (log_is(call, "select") || log_is(call, "pselect6"))
        start_select(walk, call);
    else if (log_is(call, "epoll_ctl"))
        start_epoll_ctl(walk, call);
    else if (waits_on_epoll(call))
        start_epoll_wait(walk, call);
    else
        return false;
    return true;
}

void log_rule_wait_end(struct log_walk *walk, const struct log_call *call)
{
    if (waits_on_epoll(call))
        end_epoll_wait(walk, call);
}
