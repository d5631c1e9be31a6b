/*
 * waits.c - see waits.h: collecting
 *
 * A task that sleeps in the emulator says so in the arena; the kernel is asked what every thread
 * does all the same. The two must agree: a task that left its call by siglongjmp still says that it
 * is blocked, until its next call, and a handler that runs in the middle of a blocked call may be
 * blocked elsewhere.
 *
 * The first holder's number of an end, and the stack, are read from /proc, with the rights of a
 * debugger; where these are denied (a program that changed its uid) they are missing.
 */
#include "waits/waits.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "findings.h"
#include "waits/ends.h"
#include "waits/syscall_text.h"

#define THREADS_MAX 4096 /* of one process */
#define LOOKS       5    /* at a thread that is seen running in the middle of its sleep */
#define HOLDERS_MAX 256  /* of one end that are counted */

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static struct waits_task *add_task(struct waits *waits)
{
    if (waits->count == waits->room) {
        const size_t room = waits->room > 0 ? 2 * waits->room : 16;
        struct waits_task *tasks = realloc(waits->tasks, room * sizeof *tasks);

        if (tasks == NULL)
            return NULL;
        waits->tasks = tasks;
        waits->room = room;
    }
    return memset(&waits->tasks[waits->count++], 0, sizeof *waits->tasks);
}

static bool find_blocked(int32_t pid, int32_t tid, struct emu_blocked *ret_blocked)
{
    uint32_t index = 0;

    while (emu_session_blocked(&index, ret_blocked)) {
        if (ret_blocked->pid == pid && ret_blocked->tid == (uint32_t)tid)
            return true;
    }
    return false;
}

/* True when the kernel shows what a sleep in the emulator looks like. */
static bool is_that_sleep(const struct emu_blocked *blocked, const struct proc_call *call)
{
    if (call->doing == PROC_SLEEPS) /* more isn't known */
        return true;
    if (call->doing != PROC_CALLS)
        return false;
    switch (call->number) {
    case SYS_futex:
    case SYS_poll:
    case SYS_ppoll:
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2: return call->stack <= blocked->frame; /* the frame still stands */
    default: return false;
    }
}

static bool is_call_name(const char *name)
{
    for (uint32_t id = 1; emu_call_name(id)[0] != '\0'; id++) {
        if (strcmp(emu_call_name(id), name) == 0)
            return true;
    }
    return false;
}

static void name_call(struct waits_task *task)
{
    const struct emu_blocked *blocked = &task->blocked;
    const char *name = is_call_name(task->site.call) ? task->site.call
                                                     : emu_call_name(blocked->call);

    snprintf(task->name, sizeof task->name, "%s", name[0] != '\0' ? name : "blocked");
    switch (blocked->call) {
    case EMU_CALL_NONE: snprintf(task->call, sizeof task->call, "%s", task->name); return;
    case EMU_CALL_read:
    case EMU_CALL_write:
        snprintf(task->call, sizeof task->call, "%s(%d, …, %llu)", task->name, blocked->fds[0].fd,
                 (unsigned long long)blocked->size);
        return;
    default: break;
    }
    char set[24] = ""; /* "7: " of epoll_wait(7: 2 emulated fds, no time-out) */
    char limit[32] = "no time-out";
    if (blocked->set_fd >= 0)
        snprintf(set, sizeof set, "%d: ", blocked->set_fd);
    if (blocked->timeout_ns >= 0)
        snprintf(limit, sizeof limit, "%lld ms", (long long)blocked->timeout_ns / 1000000);
    snprintf(task->call, sizeof task->call, "%s(%s%u %s%s, %s)", task->name, set, blocked->count,
             blocked->set_fd >= 0 ? "emulated " : "", blocked->count == 1 ? "fd" : "fds", limit);
}

/* By whom, and where, the process was made that has inherited an end. */
static void look_at_origin(const struct emu_blocked_fd *fd, struct waits_holder *holder)
{
    holder->origin = emu_session_origin(fd->peer, fd->peer_generation, holder->pid);
    if (holder->origin.kind != EMU_ORIGIN_FORK && holder->origin.kind != EMU_ORIGIN_SPAWN)
        return;
    proc_name(holder->origin.parent, holder->parent);
    const struct callsite site = findings_resolve(holder->origin.site);
    if (site.count > 0)
        holder->place = site.frames[0];
}

static void look_at_end(struct waits_task *task, struct waits_end *end, bool brief)
{
    int32_t pids[HOLDERS_MAX];

    end->holder_count = emu_session_holders(end->fd.peer, end->fd.peer_generation, pids,
                                            HOLDERS_MAX);
    for (uint32_t i = 0; i < end->holder_count && i < WAITS_HOLDERS; i++) {
        end->holders[i].pid = pids[i];
        if (brief)
            continue;
        proc_name(pids[i], end->holders[i].program);
        end->holders[i].fd = ends_find_other(task->pid, &end->fd, pids[i]);
        look_at_origin(&end->fd, &end->holders[i]);
    }
}

static void describe_emulated(struct waits_task *task, bool brief)
{
    const uint64_t now = now_ns();
    struct callsite_start start;

    task->state = WAITS_EMULATED;
    if (!brief && callsite_start_at(task->pid, task->blocked.frame, &start))
        task->site = callsite_find(task->pid, start);
    task->blocked_ns = now > task->blocked.since_ns ? now - task->blocked.since_ns : 0;
    name_call(task);
    for (uint32_t i = 0; i < task->blocked.fd_count; i++) {
        task->ends[i].fd = task->blocked.fds[i];
        look_at_end(task, &task->ends[i], brief);
    }
}

static void describe_outside(struct waits_task *task, const struct proc_call *call, bool brief)
{
    task->state = WAITS_OUTSIDE;
    task->outside = *call;
    if (brief)
        return;
    if (call->doing != PROC_CALLS) {
        snprintf(task->call, sizeof task->call, "asleep in the kernel%s%s",
                 call->where[0] != '\0' ? ": " : "", call->where);
        return;
    }
    syscall_name(call->number, task->name);
    syscall_text(task->pid, call, task->name, task->call, sizeof task->call);
    if (syscall_fd(call) >= 0)
        proc_fd_link(task->pid, syscall_fd(call), task->link);
    task->site = callsite_find(task->pid,
                               (struct callsite_start){ .code = call->code, .stack = call->stack });
}

/* One thread. False: it is gone. */
static bool describe(struct waits_task *task, bool brief)
{
    task->switches = proc_switches(task->pid, task->tid); /* first: a later sleep has more */
    struct proc_call call = proc_look(task->pid, task->tid);
    bool blocked = find_blocked(task->pid, task->tid, &task->blocked);

    for (int i = 0; i < LOOKS && blocked && call.doing == PROC_RUNS; i++) {
        sched_yield(); /* between two looks at its placeholder, perhaps */
        call = proc_look(task->pid, task->tid);
        blocked = find_blocked(task->pid, task->tid, &task->blocked);
    }
    if (blocked && is_that_sleep(&task->blocked, &call)) {
        describe_emulated(task, brief);
        return true;
    }
    switch (call.doing) {
    case PROC_GONE: return false;
    case PROC_RUNS: task->state = WAITS_RUNS; return true;
    case PROC_STOPPED: task->state = WAITS_STOPPED; return true;
    case PROC_ENDED: task->state = WAITS_ENDED; return task->pid == task->tid;
    case PROC_CALLS:
    case PROC_SLEEPS: break;
    }
    describe_outside(task, &call, brief);
    return true;
}

void waits_collect(struct waits *waits, const int32_t *pids, size_t count)
{
    static int32_t tids[THREADS_MAX];

    for (size_t i = 0; i < count; i++) {
        const size_t threads = proc_threads(pids[i], tids, THREADS_MAX);
        const bool alarm = emu_session_alarm(pids[i]) || proc_has_timers(pids[i]);

        for (size_t at = 0; at < threads; at++) {
            struct waits_task *task = add_task(waits);

            if (task == NULL)
                return;
            task->pid = pids[i];
            task->tid = tids[at];
            task->alarm = alarm;
            if (!waits->brief)
                proc_name(task->pid, task->program);
            if (!describe(task, waits->brief))
                waits->count--;
        }
    }
}

void waits_fini(struct waits *waits)
{
    free(waits->tasks);
    *waits = (struct waits){ 0 };
}
