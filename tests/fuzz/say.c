/*
 * say.c - a sequence as a script that `sockrig interpret` reads
 */
#include <stdlib.h>
#include <string.h>

#include "runner_inside.h"

static void say_value(FILE *text, int64_t value)
{
    const char *name = value < 0 ? strerrorname_np((int)-value) : NULL;

    if (value >= 0)
        fprintf(text, ") = %lld\n", (long long)value);
    else if (name)
        fprintf(text, ") = -1 %s\n", name);
    else
        fprintf(text, ") = _\n"); /* ERESTARTSYS, that an interrupted recvmmsg leaves */
}

void say_task(FILE *text, const struct runner *runner, const struct task *task)
{
    if (task != runner->tasks)
        fprintf(text, "[t%u] ", (unsigned)(task - runner->tasks));
}

/* The line of the call that runs stands in front of those of tasks that it lets go on. */
void say_result(struct runner *runner, const struct task *task, int64_t value)
{
    if (!runner->text)
        return;
    if (task == runner->running) {
        say_value(runner->builder.text, value);
        return;
    }
    say_task(runner->resumed, runner, task);
    fprintf(runner->resumed, "<... %s resumed>", task->made.name);
    say_value(runner->resumed, value);
}

/* Begins, and ends, what is said of one action. */
void say_begin(struct runner *runner, struct task *task)
{
    runner->running = task;
    if (!runner->text)
        return;
    runner->builder.text = open_memstream(&runner->line, &runner->line_size);
    runner->resumed = open_memstream(&runner->resumed_lines, &runner->resumed_size);
    if (!runner->builder.text || !runner->resumed)
        abort(); /* no memory */
    if (task)
        say_task(runner->builder.text, runner, task);
}

void say_end(struct runner *runner)
{
    runner->running = NULL;
    if (!runner->text)
        return;
    fclose(runner->builder.text);
    fclose(runner->resumed);
    runner->builder.text = NULL;
    fprintf(runner->text, "%s%s", runner->line, runner->resumed_lines);
    free(runner->line);
    free(runner->resumed_lines);
}

/* An action that came to nothing. */
void say_nothing(struct runner *runner)
{
    if (!runner->text)
        return;
    fclose(runner->builder.text);
    free(runner->line);
    runner->builder.text = open_memstream(&runner->line, &runner->line_size);
    if (!runner->builder.text)
        abort();
}
