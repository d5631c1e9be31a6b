/*
 * avoid.c - what a sequence doesn't do: Linux leaves it open, or a world can't show it
 *
 * docs/FUZZING.md lists these with their reasons.
 */
#include <string.h>

#include "runner_inside.h"

/*
 * Puts it into a pipe that an epoll instance watches? A write that slept wakes readers once more
 * when it ends (pipe_write), an edge that the emulator doesn't tell.
 */
static bool is_watched_pipe(const struct runner *runner, const struct touch *touch)
{
    const struct model *model = &runner->model;
    uint64_t watched = 0;

    for (uint32_t i = 0; i < model->description_count; i++) {
        if (model->descriptions[i].kind == KIND_EPOLL)
            watched |= model->descriptions[i].watched;
    }
    for (uint32_t i = 0; i < model->description_count; i++) {
        struct touch bits = { 0 };

        if (model->descriptions[i].kind != KIND_WRITER)
            continue;
        touch_puts(&bits, &model->descriptions[i]);
        if (bits.puts & touch->puts & watched)
            return true;
    }
    return false;
}

static uint64_t files(const struct model *model)
{
    struct touch touch = { 0 };

    for (uint32_t i = 0; i < model->description_count; i++) {
        if (model->descriptions[i].kind == KIND_FILE)
            touch_takes(&touch, &model->descriptions[i]);
    }
    return touch.takes;
}

/* Might it use a pipe that is locked? A number that is closed may be the last of its other end. */
static bool uses(const struct made *made, uint64_t locks)
{
    return ((made->touch.takes | made->touch.puts) & locks) || made->effect == EFFECT_CLOSE ||
           made->effect == EFFECT_REPLACE || made->effect == EFFECT_CLOSE_RANGE ||
           made->effect == EFFECT_RIGHTS || strcmp(made->name, "ioctl") == 0 ||
           strcmp(made->name, "fcntl") == 0;
}

/*
 * A splice that waits for a socket keeps its pipe locked: who uses it then, or is woken with it in
 * use, hangs where no signal reaches.
 */
static bool meets_lock(const struct runner *runner, const struct made *made)
{
    for (uint32_t i = 0; i < MODEL_TASKS; i++) {
        const struct task *task = &runner->tasks[i];

        if (!task->alive || !task->blocked)
            continue;
        if ((task->made.locks != 0 && uses(made, task->made.locks)) ||
            ((task->made.touch.takes | task->made.touch.puts) & made->locks))
            return true;
    }
    return false;
}

bool avoid_end(const struct runner *runner)
{
    for (uint32_t i = 0; i < MODEL_TASKS; i++) {
        if (runner->tasks[i].alive && runner->tasks[i].blocked && runner->tasks[i].made.locks != 0)
            return true;
    }
    return false;
}

/*
 * Might it sleep beside another task, so that it is open which of them is woken first?
 */
bool avoid_sleep(const struct runner *runner, const struct task *by, const struct made *made)
{
    if (meets_lock(runner, made))
        return true;
    for (uint32_t i = 0; i < MODEL_TASKS; i++) {
        const struct task *task = &runner->tasks[i];

        if (!task->alive || !task->blocked)
            continue;
        /* A file's position is shared. */
        if (made->touch.takes & task->made.touch.takes & files(&runner->model))
            return true;
        /* An error that is left behind wakes nobody. */
        if (strcmp(made->name, "recvmmsg") == 0 && touch_conflict(&task->made.touch, &made->touch))
            return true;
    }
    if (!made->waits)
        return false;
    /* What it drops of a message is closed when it ends: fput() in task_work. */
    if (strcmp(made->name, "recvmmsg") == 0 && (made->touch.takes & runner->model.carried))
        return true;
    if (strcmp(made->name, "epoll_wait") != 0 && is_watched_pipe(runner, &made->touch))
        return true;
    /* The kernel has taken a number already when it waits for a connection. */
    if ((made->effect == EFFECT_ACCEPT || (made->effect == EFFECT_RIGHTS && made->count > 0)) &&
        runner_tasks_of(runner, by->process) > 1)
        return true;
    for (uint32_t i = 0; i < MODEL_TASKS; i++) {
        const struct task *task = &runner->tasks[i];

        if (task->alive && task->blocked && touch_conflict(&task->made.touch, &made->touch))
            return true;
    }
    return false;
}

/* Is it in an epoll instance? */
static bool is_watched(const struct runner *runner, const struct touch *bits)
{
    const struct model *model = &runner->model;

    for (uint32_t i = 0; i < model->description_count; i++) {
        if (model->descriptions[i].kind == KIND_EPOLL &&
            (model->descriptions[i].watched & bits->looks))
            return true;
    }
    return false;
}

/* Has it another number? Then its entry stays, under one that the world uses again for others. */
static bool is_elsewhere(const struct runner *runner, const struct description *description)
{
    uint8_t index = (uint8_t)(description - runner->model.descriptions + 1);
    uint32_t count = 0;

    for (uint32_t i = 0; i < MODEL_PROCESSES; i++) {
        for (uint32_t j = 0; runner->model.processes[i].alive && j < MODEL_NUMBERS; j++)
            count += runner->model.processes[i].numbers[j] == index;
    }
    return count > 1;
}

static bool is_slept_on(const struct runner *runner, const struct description *description)
{
    struct touch bits = { 0 };

    touch_looks(&bits, description);
    for (uint32_t i = 0; description && i < MODEL_TASKS; i++) {
        const struct task *task = &runner->tasks[i];

        if (task->alive && task->blocked &&
            ((task->made.touch.takes | task->made.touch.puts) & bits.looks))
            return true;
    }
    return false;
}

/*
 * Closes it a number that another task of the process looks at, or waits at for the kernel? The
 * world's virtual tasks look by number, where Linux holds the description. Or does it set
 * O_NONBLOCK under a sleeping call? A pipe's looks at it again, before or behind a signal.
 */
bool avoid_change(struct runner *runner, const struct task *by, const struct made *made)
{
    int64_t first = made->effect == EFFECT_REPLACE ? made->fd2 : made->fd;
    int64_t last = made->effect == EFFECT_CLOSE_RANGE ? made->fd2 : first;

    /* Of an instance that somebody waits at, the waiter would look at what is added, too. */
    if (made->effect == EFFECT_WATCH)
        return is_slept_on(runner, model_at(&runner->model, by->process, made->fd2)) ||
               is_slept_on(runner, model_at(&runner->model, by->process, made->fd));
    if (made->effect == EFFECT_NONBLOCKING)
        return is_slept_on(runner, model_at(&runner->model, by->process, made->fd));
    if (made->effect != EFFECT_CLOSE && made->effect != EFFECT_REPLACE &&
        made->effect != EFFECT_CLOSE_RANGE)
        return false;
    for (int64_t number = first; number <= last && number < MODEL_NUMBERS; number++) {
        const struct description *description = model_at(&runner->model, by->process, number);
        struct touch bits = { 0 };

        if (!description)
            continue;
        touch_looks(&bits, description);
        if (is_watched(runner, &bits) && (!(description->kind & (KIND_PIPES | KIND_CONNECTED)) ||
                                          (runner->forked && is_elsewhere(runner, description))))
            return true;
        runner->stale |= is_watched(runner, &bits) && is_elsewhere(runner, description);
        for (uint32_t i = 0; i < MODEL_TASKS; i++) {
            const struct task *task = &runner->tasks[i];

            if (task->alive && task->blocked && task->process == by->process &&
                ((task->made.touch.looks & bits.looks) ||
                 !(description->kind & (KIND_PIPES | KIND_CONNECTED))))
                return true;
        }
    }
    return false;
}

bool avoid_exec(struct runner *runner, const struct task *task)
{
    const uint8_t *numbers = runner->model.processes[task->process].numbers;

    for (uint32_t i = 0; i < MODEL_NUMBERS; i++) {
        const struct description *description = NULL;
        struct touch bits = { 0 };

        if (numbers[i] == 0)
            continue;
        description = &runner->model.descriptions[numbers[i] - 1];
        touch_looks(&bits, description);
        if (is_watched(runner, &bits) && is_elsewhere(runner, description) &&
            (runner->forked || !(description->kind & (KIND_PIPES | KIND_CONNECTED))))
            return true;
        runner->stale |= is_watched(runner, &bits) && is_elsewhere(runner, description);
    }
    return false;
}
