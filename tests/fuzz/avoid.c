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

/*
 * Might it sleep beside another task, so that it is open which of them is woken first? Or does it
 * wake a sender that sleeps for room, because data come to the same end? Linux has one queue of
 * sleepers for both, and such a sender goes on with less room than it was promised.
 */
bool avoid_sleep(const struct runner *runner, const struct task *by, const struct made *made)
{
    for (uint32_t i = 0; i < MODEL_TASKS; i++) {
        const struct task *task = &runner->tasks[i];

        if (!task->alive || !task->blocked)
            continue;
        if (made->touch.puts & other_way(task->made.touch.puts))
            return true;
        /* A file's position is shared. */
        if (made->touch.takes & task->made.touch.takes & files(&runner->model))
            return true;
        /* An error that is left behind wakes nobody. */
        if (strcmp(made->name, "recvmmsg") == 0 && touch_conflict(&task->made.touch, &made->touch))
            return true;
    }
    if (!made->waits)
        return false;
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

/* recvmmsg and sendmmsg look their number up for each message. */
static bool touches(const struct made *made, const struct touch *bits)
{
    uint64_t all = made->touch.looks;

    if (strstr(made->name, "mmsg"))
        all |= made->touch.takes | made->touch.puts;
    return all & bits->looks;
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
        if (is_watched(runner, &bits) && !(description->kind & (KIND_PIPES | KIND_CONNECTED)))
            return true;
        for (uint32_t i = 0; i < MODEL_TASKS; i++) {
            const struct task *task = &runner->tasks[i];

            if (task->alive && task->blocked && task->process == by->process &&
                (touches(&task->made, &bits) ||
                 !(description->kind & (KIND_PIPES | KIND_CONNECTED))))
                return true;
        }
    }
    return false;
}
