/*
 * stuck.c - see stuck.h
 */
#include "waits/stuck.h"

#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "waits/deadlock.h"

#define WAKERS_MAX 65536 /* of all tasks together */

struct model {
    const struct waits *waits;
    struct deadlock_task *tasks; /* as many as waits has */
    struct deadlock_waker *wakers;
    size_t waker_count;
    struct parent {
        int32_t pid;
        int32_t parent;
    } * parents; /* of each task's process */
};

static bool add_waker(struct model *model, struct deadlock_task *task, int32_t pid, int32_t tid)
{
    if (model->waker_count == WAKERS_MAX)
        return false;
    model->wakers[model->waker_count++] = (struct deadlock_waker){ pid, tid };
    task->count++;
    return true;
}

/* A wait for a child: any of them, or that one. False: none of them is known. */
static bool add_children(struct model *model, struct deadlock_task *task, int32_t child)
{
    bool found = false;

    for (size_t i = 0; i < model->waits->count; i++) {
        const struct parent *parent = &model->parents[i];

        if (model->waits->tasks[i].tid != parent->pid || parent->parent != task->pid ||
            (child > 0 && parent->pid != child))
            continue;
        if (!add_waker(model, task, parent->pid, 0))
            return false;
        found = true;
    }
    return found;
}

/* ---- Calls outside the emulator ---- */

static bool futex_wakers(struct model *model, struct deadlock_task *task,
                         const struct proc_call *call)
{
    const int command = (int)call->arguments[1] & FUTEX_CMD_MASK;
    enum proc_memory memory = PROC_MEMORY_PRIVATE;

    if (command != FUTEX_WAIT && command != FUTEX_WAIT_BITSET && command != FUTEX_LOCK_PI &&
        command != FUTEX_LOCK_PI2)
        return false;
    if (call->arguments[3] != 0) /* a time-out */
        return false;
    if (!((int)call->arguments[1] & FUTEX_PRIVATE_FLAG))
        memory = proc_memory(task->pid, call->arguments[0]);
    if (memory == PROC_MEMORY_PRIVATE)
        return add_waker(model, task, task->pid, 0);
    if (memory == PROC_MEMORY_UNKNOWN)
        return false;
    for (size_t i = 0; i < model->waits->count; i++) { /* anybody may share it */
        if (!add_waker(model, task, model->waits->tasks[i].pid, 0))
            return false;
    }
    return true;
}

/* False: who could end this call isn't known. */
static bool outside_wakers(struct model *model, struct deadlock_task *task,
                           const struct proc_call *call)
{
    if (call->doing != PROC_CALLS)
        return false;
    switch (call->number) {
    case SYS_wait4: return add_children(model, task, (int32_t)call->arguments[0]);
    case SYS_waitid:
        return add_children(model, task,
                            call->arguments[0] == P_PID ? (int32_t)call->arguments[1] : -1);
    case SYS_futex: return futex_wakers(model, task, call);
    default: return false;
    }
}

/* ---- Calls in the emulator ---- */

/* Signals that come from what a process itself does, or that all processes take alike. */
static bool has_handlers(int32_t pid)
{
    const int others[] = { SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,   SIGTRAP, SIGABRT,
                           SIGSYS,  SIGPIPE, SIGCHLD, SIGWINCH, SIGCONT };
    uint64_t caught = proc_caught(pid);

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        caught &= ~(1ull << (others[i] - 1));
    return caught != 0;
}

static bool end_wakers(struct model *model, struct deadlock_task *task, const struct waits_end *end)
{
    const struct emu_blocked_fd *fd = &end->fd;
    const bool reads = fd->in.there && (fd->events & POLLIN);

    if (fd->kind != EMU_CHANNEL_PIPE && fd->kind != EMU_CHANNEL_STREAM &&
        fd->kind != EMU_CHANNEL_SEQPACKET)
        return false;
    if ((fd->in.there && fd->in.native) || (fd->out.there && fd->out.native))
        return false;
    if (end->holder_count == 0 || end->holder_count > WAITS_HOLDERS || fd->peer_travels)
        return false;
    for (uint32_t i = 0; i < end->holder_count; i++) {
        if (!add_waker(model, task, end->holders[i].pid, 0))
            return false;
    }
    /* A self-pipe: a handler writes into it. */
    return !(reads && end->holder_count == 1 && end->holders[0].pid == task->pid &&
             has_handlers(task->pid));
}

static bool emulated_wakers(struct model *model, struct deadlock_task *task,
                            const struct waits_task *seen)
{
    const struct emu_blocked *blocked = &seen->blocked;

    if (blocked->timeout_ns >= 0 || blocked->outside || blocked->count != blocked->fd_count)
        return false;
    for (uint32_t i = 0; i < blocked->fd_count; i++) {
        if (!end_wakers(model, task, &seen->ends[i]))
            return false;
    }
    return true;
}

/* ---- All of them ---- */

static const struct waits_task *find(const struct waits *waits, const struct waits_task *task)
{
    for (size_t i = 0; i < waits->count; i++) {
        if (waits->tasks[i].pid == task->pid && waits->tasks[i].tid == task->tid)
            return &waits->tasks[i];
    }
    return NULL;
}

static bool has_slept_since(const struct waits_task *task, const struct waits *before)
{
    const struct waits_task *earlier = find(before, task);

    return earlier && earlier->state == task->state && task->switches != 0 &&
           earlier->switches == task->switches;
}

/* A main thread that has ended before the others: it does nothing any more. */
static bool is_shell(const struct waits *waits, const struct waits_task *task)
{
    for (size_t i = 0; i < waits->count && task->state == WAITS_ENDED; i++) {
        if (waits->tasks[i].pid == task->pid && waits->tasks[i].tid != task->tid)
            return true;
    }
    return false;
}

static void add_task(struct model *model, size_t index, const struct waits *before)
{
    const struct waits_task *seen = &model->waits->tasks[index];
    struct deadlock_task *task = &model->tasks[index];

    *task = (struct deadlock_task){ seen->pid, seen->tid, false, false, model->waker_count, 0 };
    if (is_shell(model->waits, seen)) {
        task->pid = 0;
        return;
    }
    if (!has_slept_since(seen, before) || seen->alarm)
        return;
    if (seen->state == WAITS_EMULATED)
        task->blocked = emulated_wakers(model, task, seen);
    else if (seen->state == WAITS_OUTSIDE)
        task->blocked = outside_wakers(model, task, &seen->outside);
    if (task->blocked && (proc_caught(seen->pid) & 1ull << (SIGCHLD - 1)))
        add_children(model, task, -1); /* its handler may do anything */
    if (!task->blocked)
        task->count = 0;
}

static size_t find_in(struct model *model, struct waits *waits, const struct waits *before)
{
    size_t emulated = 0;
    size_t stuck;

    for (size_t i = 0; i < waits->count; i++) {
        const int32_t pid = waits->tasks[i].pid;

        model->parents[i] = (struct parent){ pid, proc_parent(pid) };
    }
    for (size_t i = 0; i < waits->count; i++)
        add_task(model, i, before);
    stuck = deadlock_find(model->tasks, waits->count, model->wakers);
    for (size_t i = 0; i < waits->count; i++)
        emulated += model->tasks[i].stuck && waits->tasks[i].state == WAITS_EMULATED;
    for (size_t i = 0; i < waits->count; i++)
        waits->tasks[i].stuck = emulated > 0 && model->tasks[i].stuck;
    return emulated > 0 ? stuck : 0;
}

size_t stuck_find(struct waits *waits, const struct waits *before)
{
    struct model model = { .waits = waits };
    size_t stuck = 0;

    model.tasks = calloc(waits->count + 1, sizeof *model.tasks);
    model.parents = calloc(waits->count + 1, sizeof *model.parents);
    model.wakers = calloc(WAKERS_MAX, sizeof *model.wakers);
    if (model.tasks && model.parents && model.wakers)
        stuck = find_in(&model, waits, before);
    free(model.tasks);
    free(model.parents);
    free(model.wakers);
    return stuck;
}
