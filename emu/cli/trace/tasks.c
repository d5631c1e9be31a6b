/*
 * tasks.c - the tasks of a recording by place
 */
#include "trace/tasks.h"

size_t task_count(const struct trace *trace)
{
    size_t low = 0, high = 1;

    while (trace_task_get(trace, high) != NULL)
        high *= 2;
    while (low < high) { /* the first place that is free */
        const size_t middle = low + (high - low) / 2;

        if (trace_task_get(trace, middle) != NULL)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t task_place(const struct trace *trace, const struct trace_task *task)
{
    size_t low = 0, high = task_count(trace);

    while (low < high) { /* they are sorted by number */
        const size_t middle = low + (high - low) / 2;

        if (trace_task_get(trace, middle)->number < task->number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
