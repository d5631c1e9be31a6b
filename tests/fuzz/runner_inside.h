/*
 * runner_inside.h - a runner's own: what its parts share
 */
#ifndef FUZZ_RUNNER_INSIDE_H
#define FUZZ_RUNNER_INSIDE_H

#include "build.h"
#include "runner.h"

struct task {
    bool alive;
    bool blocked;
    bool leads;      /* the first of its process */
    uint32_t number; /* of the world */
    uint32_t process;
    uint32_t action; /* of its last call */
    uint8_t *memory;
    struct made made;
};

struct runner {
    enum side side;
    struct world *world;
    struct model model;
    struct task tasks[MODEL_TASKS];
    bool stale;                     /* an entry of epoll stays under a number that was closed */
    bool forked;                    /* numbers of a process aren't the world's own any more */
    bool threaded[MODEL_PROCESSES]; /* it has had several tasks: another may have closed a number */
    struct builder builder;
    struct log *log;
    FILE *text;           /* a script, or NULL */
    struct task *running; /* whose line is being said */
    FILE *resumed;        /* what is said of other tasks meanwhile */
    char *line;
    size_t line_size;
    char *resumed_lines;
    size_t resumed_size;
    uint8_t *pattern;
    char scratch[8];
};

/* How many tasks of a process are there? */
uint32_t runner_tasks_of(const struct runner *runner, uint32_t process);

/* ---- observe.c: what came out ---- */
void observe_out(struct runner *runner, const struct task *task, const struct out *out,
                 int64_t result);

/* ---- avoid.c: what Linux leaves open, or a world can't show ---- */

/* Might it sleep where another task sleeps, or wake one in an order that is left open? */
bool avoid_sleep(const struct runner *runner, const struct task *by, const struct made *made);

/* Does it change a number, or its flags, under a call that sleeps? */
bool avoid_change(struct runner *runner, const struct task *by, const struct made *made);

/* Shall no process end now, since its numbers are closed then? */
bool avoid_end(const struct runner *runner);

/* Would exec or exit close numbers under which an instance watches what stays open? */
bool avoid_exec(struct runner *runner, const struct task *task);

/* ---- say.c: the sequence as a script ---- */
void say_begin(struct runner *runner, struct task *task);
void say_end(struct runner *runner);
void say_nothing(struct runner *runner); /* an action that came to nothing */
void say_task(FILE *text, const struct runner *runner, const struct task *task);
void say_result(struct runner *runner, const struct task *task, int64_t value);

#endif
