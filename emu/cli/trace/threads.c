/*
 * threads.c - where in a script a thread is made
 *
 * A thread of its process that runs when the new one begins can have made it; the oldest such is
 * taken. When all sleep, it is made before the call in which the oldest sleeps.
 */
#include "trace/threads.h"

#include <stdlib.h>

#include "trace/tasks.h"

/* A thread, and the record before which it is made. */
struct birth {
    const struct trace_task *thread, *maker;
    uint32_t task;   /* whose record */
    uint64_t number; /* which one */
    bool given;
};

struct threads {
    struct birth *births;
    size_t count, next; /* births before `next` are all given */
    size_t room;
};

/* What the tasks are doing at one moment. */
struct moment {
    const struct trace_task *task; /* NULL: none, or gone */
    bool blocked;
    uint64_t number; /* of the call that it is blocked in */
};

static bool add(struct threads *threads, const struct birth *birth)
{
    if (threads->count == threads->room) {
        const size_t room = threads->room * 2 + 64;
        struct birth *births = realloc(threads->births, room * sizeof *births);

        if (births == NULL)
            return false;
        threads->births = births;
        threads->room = room;
    }
    threads->births[threads->count++] = *birth;
    return true;
}

static bool note_birth(struct threads *threads, const struct moment *moments, size_t count,
                       const struct trace_call *call)
{
    const struct moment *found = NULL;
    struct birth birth = { .thread = call->task,
                           .task = call->task->number,
                           .number = call->number };

    for (size_t i = 0; i < count; i++) {
        const struct moment *moment = &moments[i];

        if (moment->task == NULL || moment->task->pid != call->task->pid)
            continue;
        if (found == NULL || (found->blocked && !moment->blocked))
            found = moment;
    }
    if (found == NULL)
        return true; /* the process's beginning isn't there */
    birth.maker = found->task;
    if (found->blocked) {
        birth.task = found->task->number;
        birth.number = found->number;
    }
    return add(threads, &birth);
}

/* A new image, or the end of a process: its threads are gone. */
static void forget(struct moment *moments, size_t count, int32_t pid)
{
    for (size_t i = 0; i < count; i++) {
        if (moments[i].task != NULL && moments[i].task->pid == pid)
            moments[i].task = NULL;
    }
}

static bool note(struct threads *threads, struct moment *moments, const struct trace *trace,
                 const struct trace_event *event)
{
    const size_t count = task_count(trace);
    const struct trace_call *call = event->call;
    struct moment *moment = &moments[task_place(trace, call->task)];

    if (call->kind == TRACE_TASK) {
        if (call->task->birth == TRACE_BIRTH_THREAD && !note_birth(threads, moments, count, call))
            return false;
        if (call->task->birth == TRACE_BIRTH_EXEC)
            forget(moments, count, call->task->pid);
        moment->task = call->task;
    } else if (call->kind == TRACE_EXIT) {
        if (call->words[0] != 0)
            forget(moments, count, call->task->pid);
        moment->task = NULL;
    } else if (call->kind == TRACE_CALL) {
        moment->blocked = event->when == TRACE_AT_ENTER;
        moment->number = call->number;
    }
    return true;
}

struct threads *threads_create(struct trace *trace)
{
    struct threads *threads = calloc(1, sizeof *threads);
    struct moment *moments;
    struct trace_event event;
    const size_t count = task_count(trace);
    bool done = true;

    moments = calloc(count + 1, sizeof *moments);
    trace_rewind(trace);
    while (threads != NULL && moments != NULL && done && trace_next(trace, &event))
        done = note(threads, moments, trace, &event);
    if (moments == NULL || !done) {
        threads_destroy(threads);
        threads = NULL;
    }
    free(moments);
    return threads;
}

void threads_destroy(struct threads *threads)
{
    if (threads == NULL)
        return;
    free(threads->births);
    free(threads);
}

const struct trace_task *threads_next(struct threads *threads, const struct trace_call *call,
                                      const struct trace_task **ret_maker)
{
    for (size_t i = threads->next; i < threads->count; i++) {
        struct birth *birth = &threads->births[i];

        if (birth->given || birth->task != call->task->number || birth->number != call->number)
            continue;
        birth->given = true;
        while (threads->next < threads->count && threads->births[threads->next].given)
            threads->next++;
        *ret_maker = birth->maker;
        return birth->thread;
    }
    return NULL;
}
