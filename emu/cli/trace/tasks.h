/*
 * tasks.h - the tasks of a recording by place, from 0 on
 *
 * Their numbers may be any in a file that somebody has made; places are as dense as tables need.
 */
#ifndef TRACE_TASKS_H
#define TRACE_TASKS_H

#include "trace/reader.h"

size_t task_count(const struct trace *trace);

/* Requires: the task is one of the recording. */
size_t task_place(const struct trace *trace, const struct trace_task *task);

#endif
