/*
 * run_tasks.h - statements about tasks: calls that go on, forks, exits
 */
#ifndef INTERPRET_RUN_TASKS_H
#define INTERPRET_RUN_TASKS_H

#include "interpret/run.h"

/* NAME(args <unfinished ...>: begins the call, which must block. */
void run_unfinished(struct run *run);

/* The statements that aren't calls of calls.h: resumed, fork(), exit(), ... */
void run_task_statement(struct run *run);

/*
 * Before a statement: a blocked call that has ended must be resumed first, since its line stands
 * right behind the one that lets it go on.
 */
void run_ended_early(struct run *run);

/* At the end: calls that have ended, and that the script never resumes. True: there is one. */
bool run_left_over(struct run *run);

#endif
