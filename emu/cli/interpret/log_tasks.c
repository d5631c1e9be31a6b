/*
 * log_tasks.c - pids of a log as tasks
 *
 * A task is one life of a pid: pids are used again. strace leaves the pid out while it follows one
 * task alone, so the pid of the first task may become known late, by the first line that has one
 * and isn't a child's.
 */
#include <stdlib.h>
#include <string.h>

#include "interpret/log_build.h"

static int add_task(struct log_builder *builder, uint32_t pid, uint32_t *ret_task)
{
    struct log *log = builder->log;
    size_t pending_room = builder->task_room;
    struct log_task *task;
    void *grown;

    if (log->task_count == LOG_MAX_TASKS) {
        struct log_error *error = builder->error;

        memcpy(error->message, "too many tasks", sizeof("too many tasks"));
        error->place = (struct place){ 1, 1 };
        return -1;
    }
    grown = log_grow(builder->pending, log->task_count, &pending_room, sizeof(builder->pending[0]));
    if (grown)
        builder->pending = grown;
    else
        return -1;
    grown = log_grow(log->tasks, log->task_count, &builder->task_room, sizeof(log->tasks[0]));
    if (grown)
        log->tasks = grown;
    else
        return -1;
    builder->pending[log->task_count].call = LOG_NO_CALL;
    task = &log->tasks[log->task_count];
    task->pid = pid;
    task->parent_call = LOG_NO_CALL;
    task->first = LOG_NO_EVENT;
    task->exit = LOG_NO_EVENT;
    *ret_task = (uint32_t)log->task_count++;
    if (pid != 0)
        builder->pids[pid] = *ret_task + 1;
    return 0;
}

static bool lives(const struct log *log, uint32_t task)
{
    return task < log->task_count && log->tasks[task].exit == LOG_NO_EVENT;
}

bool log_call_clones(const struct log_call *call)
{
    return strcmp(call->name, "clone") == 0 || strcmp(call->name, "clone3") == 0 ||
           strcmp(call->name, "fork") == 0 || strcmp(call->name, "vfork") == 0;
}

/* Is a pid that is met for the first time the one of the task that had none so far? */
static bool is_bare(const struct log_builder *builder, const struct log_line *line)
{
    const struct log *log = builder->log;
    uint32_t call;

    if (!lives(log, builder->bare) || log->tasks[builder->bare].pid != 0)
        return false;
    call = builder->pending[builder->bare].call;
    if (call == LOG_NO_CALL || !log_call_clones(&log->calls[call]))
        return true;
    return line->kind == LINE_RESUMED; /* else it is what that clone is making */
}

static int task_without_pid(struct log_builder *builder, uint32_t *ret_task)
{
    const struct log *log = builder->log;

    if (!lives(log, builder->bare)) {
        builder->bare = LOG_NO_TASK;
        for (uint32_t i = 0; i < log->task_count && builder->bare == LOG_NO_TASK; i++) {
            if (lives(log, i) && log->tasks[i].first != LOG_NO_EVENT)
                builder->bare = i;
        }
    }
    *ret_task = builder->bare;
    if (builder->bare != LOG_NO_TASK)
        return 0;
    if (add_task(builder, 0, ret_task) != 0)
        return -1;
    builder->bare = *ret_task;
    return 0;
}

int log_task_of_line(struct log_builder *builder, const struct log_line *line, uint32_t *ret_task)
{
    struct log *log = builder->log;
    uint32_t known;

    if (!line->has_pid)
        return task_without_pid(builder, ret_task);
    known = builder->pids[line->pid];
    if (known != 0 && lives(log, known - 1)) {
        *ret_task = known - 1;
        return 0;
    }
    if (known == 0 && is_bare(builder, line)) {
        log->tasks[builder->bare].pid = line->pid;
        builder->pids[line->pid] = builder->bare + 1;
        *ret_task = builder->bare;
        return 0;
    }
    return add_task(builder, line->pid, ret_task);
}

int log_task_born(struct log_builder *builder, uint32_t call_index)
{
    struct log *log = builder->log;
    const struct log_call *call = &log->calls[call_index];
    uint32_t task;
    uint32_t pid;

    if (call->result != LOG_RESULT_VALUE || call->value <= 0 || call->value > (4 << 20))
        return 0;
    pid = (uint32_t)call->value;
    task = builder->pids[pid] - 1; /* wraps to LOG_NO_TASK */
    if (task < log->task_count && log->tasks[task].parent_call == LOG_NO_CALL &&
        log->tasks[task].first != LOG_NO_EVENT && log->tasks[task].first > call->start) {
        log->tasks[task].parent_call = call_index; /* it was quicker than its parent */
        return 0;
    }
    if (task < log->task_count && lives(log, task))
        return 0; /* a pid inside a container: log_tasks_adopt() */
    if (add_task(builder, pid, &task) != 0)
        return -1;
    log->tasks[task].parent_call = call_index;
    return 0;
}

void log_task_replaces(struct log_builder *builder, uint32_t task, uint32_t pid)
{
    builder->pids[pid] = task + 1;
}

void log_tasks_adopt(struct log *log)
{
    for (uint32_t i = 1; i < log->task_count; i++) {
        struct log_task *orphan = &log->tasks[i];
        struct log_task *best = NULL;

        if (orphan->parent_call != LOG_NO_CALL || orphan->first == LOG_NO_EVENT)
            continue;
        for (uint32_t j = 0; j < log->task_count; j++) {
            struct log_task *unseen = &log->tasks[j];
            const struct log_call *call;

            if (unseen->first != LOG_NO_EVENT || unseen->parent_call == LOG_NO_CALL)
                continue;
            call = &log->calls[unseen->parent_call];
            if (call->start < orphan->first && call->task != i &&
                (!best || log->calls[best->parent_call].start < call->start))
                best = unseen;
        }
        if (best) {
            orphan->parent_call = best->parent_call;
            best->parent_call = LOG_NO_CALL;
        }
    }
}
