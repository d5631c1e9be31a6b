/*
 * world_emu.c - the emulator's side of a world: virtual tasks in one thread
 *
 * Each task has a stack, on which its call runs; the core sleeps through hooks (world_emu_wait.c),
 * which switch back to who runs the world. A task is resumed when its wake word has changed, when a
 * descriptor of the kernel's that it waits for is ready, when it is interrupted, or when
 * world_expire() lets its deadline pass. Of several it is the one that has slept longest, since
 * Linux wakes in that order. A task switches in these hooks alone, where it holds no lock, so locks
 * that are named by the thread they share are never seen by another task.
 *
 * Time stands still (host_clock_ns). What the kernel itself would block in - accept, connect to a
 * full backlog, transfers of native descriptors - is tried without blocking until it works.
 */
#include "interpret/world_emu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "host.h"
#include "interpret/calls.h"

#define STACK_SIZE      (512u << 10)
#define PAGE            4096u
#define HIDDEN_FD       900     /* the emulator's own descriptors: above what most scripts meet */
#define MAX_RESUMPTIONS 1000000 /* after one start: more is a loop */

struct virtual_process {
    bool live;
    uint32_t tasks;
    struct numbers numbers;
};

static struct world *the_world; /* one a process */
static struct emu_process process;
static struct virtual_task tasks[WORLD_MAX_TASKS];
static struct virtual_process processes[WORLD_MAX_TASKS];
static struct virtual_task *running;
static struct virtual_task *started; /* signals that come belong to its call */
static struct stack scheduler;

static bool is_plain(void)
{
    const struct virtual_process *first = &processes[the_world->tasks[0].process];

    return the_world->process_count == 1 && first->live && first->numbers.odd == 0;
}

static struct virtual_process *process_of(const struct virtual_task *virtual)
{
    return &processes[virtual->task->process];
}

/* ---- One call ---- */

/* close_range in a process among others: its numbers, one by one. */
static int64_t close_numbers(struct virtual_task *virtual, uint32_t first, uint32_t last)
{
    struct numbers *numbers = &process_of(virtual)->numbers;
    uint32_t nowhere = 0x7ffffff0;
    uint64_t words[SCRIPT_MAX_ARGUMENTS] = { first, last, virtual->task->words[2] };
    bool is_range = call_is(call_get(virtual->task->call), "close_range");
    int64_t result = 0;

    if (is_range) { /* what it says of its arguments, with nothing to close */
        if (first <= last)
            words[0] = words[1] = nowhere;
        result = world_call_real(virtual->task->call, words);
    }
    for (uint32_t number = first; result == 0 && number <= last && number < (uint32_t)numbers->top;
         number++) {
        int real = numbers_real(numbers, (int)number);

        if (real < 0)
            continue;
        if (is_range && (words[2] & 4)) { /* CLOSE_RANGE_CLOEXEC */
            fcntl(real, F_SETFD, FD_CLOEXEC);
            continue;
        }
        if (emu_close(&virtual->emu, real) == EMU_NATIVE)
            close(real);
        numbers_remove(numbers, (int)number);
    }
    return result;
}

/* The hard limit stays, for the sake of the others: nobody can raise it again. */
static int64_t set_limit(struct virtual_process *mine, uint64_t address)
{
    struct rlimit limit;
    struct rlimit before;

    if (host_copy(&limit, (const void *)(uintptr_t)address, sizeof(limit)) != 0)
        return -EFAULT;
    if (limit.rlim_cur > limit.rlim_max)
        return -EINVAL;
    if (getrlimit(RLIMIT_NOFILE, &before) != 0 || limit.rlim_max > before.rlim_max)
        return -EPERM;
    if (the_world->process_count == 1)
        numbers_set_real_limit(limit.rlim_cur);
    else
        mine->numbers.most = limit.rlim_cur;
    return 0;
}

static int64_t make_call(struct virtual_task *virtual)
{
    struct world_task *task = virtual->task;
    uint32_t first;
    uint32_t last;
    int64_t result;

    if (!is_plain() && numbers_range(task->call, task->words, &first, &last))
        return close_numbers(virtual, first, last);
    if (call_is(call_get(task->call), "setrlimit") && task->words[0] == RLIMIT_NOFILE)
        return set_limit(process_of(virtual), task->words[1]);
    if (!is_plain())
        virtual->limited = numbers_limit(&process_of(virtual)->numbers, task->call,
                                         &virtual->limit);
    numbers_begin(&process_of(virtual)->numbers, is_plain(), task->call, task->words,
                  &virtual->numbers);
    result = call_emu(call_get(task->call), &virtual->emu, virtual->numbers.words, virtual_native,
                      &task->result.native);
    virtual_unlimit(virtual);
    virtual->numbers.forked = virtual->numbers.plain && !is_plain();
    return numbers_end(&process_of(virtual)->numbers, &virtual->numbers, result, task->expect,
                       task->expect_count);
}

static void run_task(void)
{
    for (;;) {
        struct virtual_task *virtual = running;
        struct world_task *task = virtual->task;

        virtual->emu.sigpipe = false;
        task->result.value = make_call(virtual);
        if (virtual->emu.sigpipe) {
            /* fs/pipe.c and net/: send_sig(SIGPIPE, current, 0) */
            const siginfo_t info = { .si_signo = SIGPIPE, .si_code = SI_USER };

            world_add_signal(&task->result, &info);
        }
        task->state = WORLD_DONE;
        stack_switch(&virtual->stack, &scheduler);
    }
}

static void resume(struct virtual_task *virtual)
{
    running = virtual;
    stack_switch(&scheduler, &virtual->stack);
    running = NULL;
}

/* ---- The world until it stands still ---- */

static bool is_runnable(struct virtual_task *virtual)
{
    if (virtual->interruption != INTERRUPT_NONE || virtual->expired)
        return true;
    if (virtual->word && atomic_load(virtual->word) != virtual->expected)
        return true;
    return virtual->fds && host_poll(virtual->fds, (uint32_t) virtual->fd_count, 0, NULL) != 0;
}

/* Of those that can run the one that has slept longest; NULL: there is none. */
static struct virtual_task *next_runnable(void)
{
    struct virtual_task *next = NULL;

    for (uint32_t i = 0; i < the_world->task_end; i++) {
        if (the_world->tasks[i].state == WORLD_BLOCKED && (!next || tasks[i].since < next->since) &&
            is_runnable(&tasks[i]))
            next = &tasks[i];
    }
    return next;
}

/* Lets those try again who can't be told, the longest first. True: one of them got on. */
static bool retry_all(void)
{
    uint64_t until = world_sleeps;
    uint64_t from = 0;

    for (;;) {
        struct virtual_task *next = NULL;

        for (uint32_t i = 0; i < the_world->task_end; i++) {
            if (the_world->tasks[i].state == WORLD_BLOCKED && tasks[i].retries &&
                tasks[i].since > from && tasks[i].since <= until &&
                (!next || tasks[i].since < next->since))
                next = &tasks[i];
        }
        if (!next)
            return false;
        from = next->since;
        resume(next);
        if (next->task->state != WORLD_BLOCKED || !next->retries)
            return true;
        next->since = from; /* it keeps its turn */
    }
}

static void run_world(void)
{
    for (uint32_t i = 0; i < MAX_RESUMPTIONS; i++) {
        struct virtual_task *next = next_runnable();

        if (next)
            resume(next);
        else if (!retry_all())
            return;
    }
    world_break("the emulator's tasks wake each other for ever");
}

static void prepare_stack(struct virtual_task *virtual)
{
    if (!virtual->memory) {
        virtual->memory = mmap(NULL, STACK_SIZE + PAGE, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (virtual->memory == MAP_FAILED || mprotect(virtual->memory, PAGE, PROT_NONE) != 0)
            world_break("no memory for a task's stack");
    }
    virtual->scheduler = &scheduler;
    stack_prepare(&virtual->stack, virtual->memory + PAGE, STACK_SIZE, run_task);
}

static void emu_start(struct world *world, uint32_t index)
{
    (void)world;
    started = &tasks[index];
    resume(started);
    run_world();
}

static void emu_interrupt(struct world *world, uint32_t index, bool restart)
{
    (void)world;
    emu_task_interrupt(&tasks[index].emu, restart);
    tasks[index].interruption = restart ? INTERRUPT_RESTART : INTERRUPT_FINAL;
    run_world();
}

static bool emu_expire(struct world *world, uint64_t limit_ns)
{
    uint64_t end = host_clock_ns + limit_ns;
    size_t before = world_count_done(world);

    for (;;) {
        uint64_t first = UINT64_MAX;

        for (uint32_t i = 0; i < world->task_end; i++) {
            if (world->tasks[i].state == WORLD_BLOCKED && tasks[i].deadline_ns != 0 &&
                tasks[i].deadline_ns < first)
                first = tasks[i].deadline_ns;
        }
        if (first > end) {
            host_clock_ns = end > host_clock_ns ? end : host_clock_ns;
            return false;
        }
        host_clock_ns = first > host_clock_ns ? first : host_clock_ns;
        for (uint32_t i = 0; i < world->task_end; i++) {
            if (world->tasks[i].state == WORLD_BLOCKED && tasks[i].deadline_ns != 0 &&
                tasks[i].deadline_ns <= first)
                tasks[i].expired = true;
        }
        run_world();
        if (world_count_done(world) > before)
            return true;
    }
}

/* ---- Processes and threads ---- */

/* A copy of a descriptor under another number, with its close-on-exec flag. */
static int copy_number(struct emu_task *self, int real)
{
    int flags = fcntl(real, F_GETFD);
    int command = flags > 0 && (flags & FD_CLOEXEC) ? F_DUPFD_CLOEXEC : F_DUPFD;
    int64_t copy = emu_fcntl(self, real, command, 0);

    if (copy == EMU_NATIVE) {
        copy = fcntl(real, command, 0);
        if (copy >= 0)
            emu_fd_invalidate(self, (int)copy);
    }
    return (int)copy;
}

static bool fork_process(struct world *world, uint32_t parent, uint32_t child)
{
    const struct numbers *from = &processes[world->tasks[parent].process].numbers;
    uint32_t slot = 0;
    struct numbers *to;

    while (slot < WORLD_MAX_TASKS && processes[slot].live)
        slot++;
    if (slot == WORLD_MAX_TASKS)
        return false;
    if (world->process_count == 1) { /* from here on the table is everybody's */
        processes[world->tasks[parent].process].numbers.most = numbers_real_limit();
        numbers_set_real_limit(UINT64_MAX);
    }
    memset(&processes[slot], 0, sizeof(processes[slot]));
    processes[slot].live = true;
    to = &processes[slot].numbers;
    to->most = from->most;
    for (int number = 0; number < from->top; number++) {
        int copy;

        if (numbers_real(from, number) < 0)
            continue;
        copy = copy_number(&tasks[parent].emu, numbers_real(from, number));
        if (copy < 0)
            world_break("too many descriptors for one table: fork");
        numbers_set(to, number, copy);
    }
    world->process_count++;
    world->tasks[child].process = slot;
    return true;
}

static bool emu_child(struct world *world, uint32_t parent, uint32_t child, bool thread)
{
    struct virtual_task *virtual = &tasks[child];

    if (thread)
        world->tasks[child].process = world->tasks[parent].process;
    else if (!fork_process(world, parent, child))
        return false;
    processes[world->tasks[child].process].tasks++;
    virtual->task = &world->tasks[child];
    virtual->interruption = INTERRUPT_NONE;
    emu_task_enter(&virtual->emu, &process);
    prepare_stack(virtual);
    return true;
}

/* Takes a task out of what it is blocked in, and out of the world. */
static void end_task(struct world *world, uint32_t index)
{
    if (world->tasks[index].state == WORLD_BLOCKED) {
        emu_task_clear(&tasks[index].emu);
        virtual_release(&tasks[index]);
    }
    world->tasks[index].state = WORLD_GONE;
    processes[world->tasks[index].process].tasks--;
    if (started == &tasks[index])
        started = NULL;
}

static void close_all(struct world *world, uint32_t index, bool cloexec_only)
{
    struct numbers *numbers = &processes[world->tasks[index].process].numbers;

    for (int number = 0; number < numbers->top; number++) {
        int real = numbers_real(numbers, number);

        if (real < 0 || (cloexec_only && !(fcntl(real, F_GETFD) & FD_CLOEXEC)))
            continue;
        if (emu_close(&tasks[index].emu, real) == EMU_NATIVE)
            close(real);
        numbers_remove(numbers, number);
    }
}

/* Ends the other tasks of this one's process. */
static void end_others(struct world *world, uint32_t index)
{
    for (uint32_t i = 0; i < world->task_end; i++) {
        if (i != index && world->tasks[i].process == world->tasks[index].process &&
            world->tasks[i].state != WORLD_NONE && world->tasks[i].state != WORLD_GONE) {
            end_task(world, i);
            emu_task_leave(&tasks[i].emu);
        }
    }
}

/* One process is left: its limit is the real one again. */
static void leave_alone(void)
{
    for (uint32_t i = 0; i < WORLD_MAX_TASKS; i++) {
        if (processes[i].live) {
            numbers_set_real_limit(processes[i].numbers.most);
            processes[i].numbers.most = 0;
        }
    }
}

static void emu_exit(struct world *world, uint32_t index, bool group)
{
    struct virtual_process *mine = &processes[world->tasks[index].process];

    if (group)
        end_others(world, index);
    end_task(world, index);
    if (mine->tasks == 0) {
        close_all(world, index, false);
        mine->live = false;
        if (--world->process_count == 1)
            leave_alone();
    }
    emu_task_leave(&tasks[index].emu);
    run_world();
}

static void emu_exec(struct world *world, uint32_t index)
{
    end_others(world, index);
    close_all(world, index, true);
    run_world();
}

static int emu_number(const struct world *world, uint32_t index, int number)
{
    return numbers_real(&processes[world->tasks[index].process].numbers, number);
}

/* ---- Making and ending the side ---- */

static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    if (started)
        world_add_signal(&started->task->result, info);
}

/* Moves a descriptor of the emulator's own out of the way. */
static int hide(int fd)
{
    int high = fd >= 0 ? fcntl(fd, F_DUPFD, HIDDEN_FD) : -1;

    if (high < 0)
        return fd;
    close(fd);
    return high;
}

static int start_emulator(void)
{
    struct emu_hidden hidden;
    int fd = emu_session_create();

    if (fd < 0)
        return fd;
    hidden = emu_session_hidden();
    hidden.arena = hide(fd);
    hidden.bell = hide(hidden.bell);
    emu_session_set_hidden(hidden);
    emu_task_enter(&tasks[0].emu, &process);
    return emu_process_join(&process, &tasks[0].emu);
}

static int emu_create(struct world *world, char *ret_why, size_t why_size)
{
    int rc;

    the_world = world;
    tasks[0].task = &world->tasks[0];
    processes[0].live = true;
    processes[0].tasks = 1;
    for (int number = 0; number < 3; number++)
        numbers_set(&processes[0].numbers, number, number);
    world_catch_signals(on_signal);
    rc = start_emulator();
    if (rc < 0) {
        snprintf(ret_why, why_size, "the emulator doesn't start: %s", strerror(-rc));
        return -1;
    }
    process.sleep = virtual_sleep;
    process.poll = virtual_poll;
    process.call = virtual_call;
    process.is_virtual = true;
    host_clock_ns = host_now_ns();
    prepare_stack(&tasks[0]);
    return 0;
}

static void emu_destroy(struct world *world)
{
    (void)world; /* there is no other process */
}

const struct world_side world_emu = {
    .create = emu_create,
    .destroy = emu_destroy,
    .start = emu_start,
    .child = emu_child,
    .exit = emu_exit,
    .exec = emu_exec,
    .interrupt = emu_interrupt,
    .expire = emu_expire,
    .number = emu_number,
};
