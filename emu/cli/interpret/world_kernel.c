/*
 * world_kernel.c - the kernel's side of a world: real processes and threads
 *
 * An order goes to a task's box (world_worker.h). Whether a task that doesn't answer is blocked
 * says the kernel: /proc/PID/task/TID/syscall is "running", or the number of the system call that
 * it sleeps in. The world stands still when two looks at all tasks in a row find the same and none
 * that runs.
 *
 * The world hands its CPU over (sched_yield) before it looks, so that nothing is slept for when all
 * of it has one CPU; who wants speed pins it to one before world_create().
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "interpret/calls.h"
#include "interpret/world_worker.h"

#define LOOK_FIRST_NS 20000       /* between looks at a task that runs; doubled each time, */
#define LOOK_LAST_NS  1000000     /* ... up to this */
#define PATIENCE_NS   20000000000 /* a call that runs so long without sleeping is a mistake */
#define UNSTABLE_NS   50000000    /* a sleep that no signal ends is believed after this */

struct real_task {
    int syscall_fd; /* of /proc/PID/task/TID/syscall, or -1 */
    bool asleep;    /* as the last look found it */
};

static struct worker_shared *shared;
static struct real_task tasks[WORLD_MAX_TASKS];
static uint32_t process_tasks[WORLD_MAX_TASKS]; /* how many a process has; 0: no such process */
static int32_t process_pids[WORLD_MAX_TASKS];

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool has_answered(uint32_t index)
{
    const struct box *box = &shared->boxes[index];

    return atomic_load(&box->answered) == atomic_load(&box->order);
}

/* Sleeps until somebody answers, or for `limit_ns`. */
static void await_news(uint32_t seen, uint64_t limit_ns)
{
    const struct timespec limit = { (time_t)(limit_ns / 1000000000),
                                    (long)(limit_ns % 1000000000) };

    atomic_store(&shared->sleeping, 1);
    if (atomic_load(&shared->news) == seen)
        syscall(SYS_futex, &shared->news, FUTEX_WAIT, seen, &limit, NULL, 0);
    atomic_store(&shared->sleeping, 0);
}

/* ---- Is it blocked? ---- */

static int open_of_task(uint32_t index, const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", (int)shared->boxes[index].pid,
             (int)shared->boxes[index].tid, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* The letter behind the name in stat: 'S' sleeps, 'D' sleeps and no signal ends it. */
static char state_letter(uint32_t index)
{
    char text[256];
    int fd = open_of_task(index, "stat");
    ssize_t size = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    const char *letter;

    if (fd >= 0)
        close(fd);
    text[size > 0 ? size : 0] = '\0';
    letter = strrchr(text, ')');
    return letter && letter[1] ? letter[2] : 'X';
}

/* Whether the task sleeps in a system call of its call's. */
static bool looks_asleep(uint32_t index)
{
    struct real_task *task = &tasks[index];
    char text[128];
    unsigned long first = 0;
    long number = -1;
    ssize_t size;

    if (task->syscall_fd < 0)
        task->syscall_fd = open_of_task(index, "syscall");
    size = task->syscall_fd < 0 ? -1 : pread(task->syscall_fd, text, sizeof(text) - 1, 0);
    if (size <= 0)
        world_break("a task of the kernel's side has died: %s", strerror(errno));
    text[size] = '\0';
    if (sscanf(text, "%ld 0x%lx", &number, &first) < 1 || number < 0)
        return false;
    return number != SYS_futex || first != (unsigned long)(uintptr_t)&shared->boxes[index].order;
}

/*
 * The same, after a first look: sleeps that end by themselves soon are none. A task that has just
 * been woken shows its system call until it is on a CPU; its letter is right at once (TASK_WAKING
 * is told as 'R': fs/proc/array.c), if it is read first.
 */
static bool is_asleep(uint32_t index)
{
    uint64_t end = 0;

    if (tasks[index].asleep)
        return strchr("SD", state_letter(index)) != NULL && looks_asleep(index);
    if (!looks_asleep(index))
        return false;
    while (state_letter(index) != 'S') {
        if (has_answered(index) || !looks_asleep(index))
            return false;
        end = end ? end : now_ns() + UNSTABLE_NS;
        if (now_ns() > end)
            return true; /* it waits for a lock that a blocked task holds */
        await_news(atomic_load(&shared->news), LOOK_LAST_NS);
    }
    return looks_asleep(index);
}

/* ---- The world until it stands still ---- */

static bool is_out(const struct world *world, uint32_t index)
{
    return world->tasks[index].state == WORLD_BLOCKED;
}

static void collect(struct world *world, uint32_t index)
{
    struct box *box = &shared->boxes[index];
    struct world_task *task = &world->tasks[index];
    uint32_t count = atomic_load(&box->signal_count);

    task->result.value = box->value;
    for (uint32_t i = 0; i < count && i < WORLD_MAX_SIGNALS; i++)
        world_add_signal(&task->result, &box->signals[i]);
    task->state = WORLD_DONE;
    tasks[index].asleep = false;
}

/* One look at a task with a call. Returns whether something has changed, or it runs. */
static bool look(struct world *world, uint32_t index, bool *ret_runs)
{
    bool before = tasks[index].asleep;

    if (has_answered(index)) {
        collect(world, index);
        return true;
    }
    tasks[index].asleep = is_asleep(index);
    if (!tasks[index].asleep) {
        if (has_answered(index)) {
            collect(world, index);
            return true;
        }
        *ret_runs = true;
        return true;
    }
    world->tasks[index].result.blocked = true;
    return !before;
}

static bool look_at_all(struct world *world, bool *ret_runs)
{
    bool changed = false;

    for (uint32_t i = 0; i < world->task_end; i++) {
        if (is_out(world, i))
            changed |= look(world, i, ret_runs);
    }
    return changed;
}

/* Runs until nobody does. `first` is the task to be waited for first, or UINT32_MAX. */
static void settle(struct world *world, uint32_t first)
{
    uint64_t pause = LOOK_FIRST_NS;
    uint64_t end = 0;

    for (;;) {
        uint32_t news = atomic_load(&shared->news);
        bool runs = false;

        if (first != UINT32_MAX && is_out(world, first) && look(world, first, &runs) && runs) {
            /* the others can wait */
        } else if (!look_at_all(world, &runs)) {
            return;
        }
        if (!runs)
            continue;
        if (pause > LOOK_FIRST_NS && end == 0)
            end = now_ns() + PATIENCE_NS;
        if (end != 0 && now_ns() > end)
            world_break("a call of the kernel's side neither ends nor sleeps");
        await_news(news, pause);
        pause = pause < LOOK_LAST_NS ? pause * 2 : pause;
    }
}

static void give_order(uint32_t index, enum order kind)
{
    struct box *box = &shared->boxes[index];

    box->kind = kind;
    atomic_fetch_add(&box->order, 1);
    syscall(SYS_futex, &box->order, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void await_answer(uint32_t index)
{
    uint64_t end = now_ns() + PATIENCE_NS;

    while (!has_answered(index)) {
        uint32_t news = atomic_load(&shared->news);

        if (now_ns() > end)
            world_break("a process of the kernel's side doesn't answer");
        if (!has_answered(index))
            await_news(news, LOOK_LAST_NS);
    }
}

static void kernel_start(struct world *world, uint32_t index)
{
    struct world_task *task = &world->tasks[index];
    struct box *box = &shared->boxes[index];

    box->call = task->call;
    memcpy(box->words, task->words, sizeof(box->words));
    memcpy(box->expect, task->expect, task->expect_count * sizeof(int));
    box->expect_count = task->expect_count;
    atomic_store(&box->signal_count, 0);
    atomic_store(&shared->current, index);
    task->state = WORLD_BLOCKED;
    give_order(index, ORDER_CALL);
    sched_yield();
    settle(world, index);
}

static void kernel_interrupt(struct world *world, uint32_t index, bool restart)
{
    const struct box *box = &shared->boxes[index];

    tasks[index].asleep = false;
    syscall(SYS_tgkill, (int)box->pid, (int)box->tid, restart ? WORKER_RESTART : WORKER_FINAL);
    settle(world, UINT32_MAX);
}

static bool kernel_expire(struct world *world, uint64_t limit_ns)
{
    uint64_t end = now_ns() + limit_ns;
    size_t before = world_count_done(world);

    for (;;) {
        uint32_t news = atomic_load(&shared->news);
        uint64_t now = now_ns();

        settle(world, UINT32_MAX);
        if (world_count_done(world) > before)
            return true;
        if (now >= end)
            return false;
        await_news(news, end - now);
    }
}

/* ---- Processes and threads ---- */

static bool kernel_child(struct world *world, uint32_t parent, uint32_t child, bool thread)
{
    struct box *box = &shared->boxes[parent];
    uint32_t slot = 0;

    while (!thread && process_tasks[slot] > 0)
        slot++;                                       /* there are no more processes than tasks */
    atomic_fetch_add(&shared->boxes[child].order, 1); /* answered when it is there */
    box->child = child;
    give_order(parent, thread ? ORDER_THREAD : ORDER_FORK);
    await_answer(parent);
    if (box->value < 0) {
        atomic_store(&shared->boxes[child].answered, atomic_load(&shared->boxes[child].order));
        return false;
    }
    await_answer(child);
    tasks[child] = (struct real_task){ .syscall_fd = -1 };
    world->tasks[child].process = thread ? world->tasks[parent].process : slot;
    process_tasks[world->tasks[child].process]++;
    if (!thread) {
        process_pids[slot] = shared->boxes[child].pid;
        world->process_count++;
    }
    return true;
}

static void forget_task(struct world *world, uint32_t index)
{
    if (tasks[index].syscall_fd >= 0)
        close(tasks[index].syscall_fd);
    tasks[index].syscall_fd = -1;
    tasks[index].asleep = false;
    atomic_store(&shared->boxes[index].answered, atomic_load(&shared->boxes[index].order));
    world->tasks[index].state = WORLD_GONE;
}

static void end_process(struct world *world, uint32_t process)
{
    kill(process_pids[process], SIGKILL);
    while (waitpid(process_pids[process], NULL, 0) < 0 && errno == EINTR) {
    }
    for (uint32_t i = 0; i < world->task_end; i++) {
        if (world->tasks[i].process == process && world->tasks[i].state != WORLD_NONE &&
            world->tasks[i].state != WORLD_GONE)
            forget_task(world, i);
    }
    process_tasks[process] = 0;
    world->process_count--;
}

/* Ends a thread wherever it is, and waits until it is gone. */
static void kill_thread(struct world *world, uint32_t index)
{
    const struct box *box = &shared->boxes[index];
    uint64_t end = now_ns() + PATIENCE_NS;

    while (syscall(SYS_tgkill, (int)box->pid, (int)box->tid, WORKER_LEAVE) == 0) {
        if (state_letter(index) == 'Z')
            break; /* the first thread of a process stays as a zombie */
        if (now_ns() > end)
            world_break("a thread of the kernel's side doesn't end");
        sched_yield();
    }
    process_tasks[world->tasks[index].process]--;
    forget_task(world, index);
}

static void kernel_exit(struct world *world, uint32_t index, bool group)
{
    uint32_t process = world->tasks[index].process;

    if (group || process_tasks[process] == 1) {
        end_process(world, process);
    } else if (is_out(world, index)) {
        kill_thread(world, index);
    } else {
        give_order(index, ORDER_LEAVE);
        await_answer(index);
        process_tasks[process]--;
        forget_task(world, index);
    }
    settle(world, UINT32_MAX);
}

static void kernel_exec(struct world *world, uint32_t index)
{
    for (uint32_t i = 0; i < world->task_end; i++) {
        if (i != index && world->tasks[i].process == world->tasks[index].process &&
            world->tasks[i].state != WORLD_NONE && world->tasks[i].state != WORLD_GONE)
            kill_thread(world, i);
    }
    give_order(index, ORDER_EXEC);
    await_answer(index);
    settle(world, UINT32_MAX);
}

static int kernel_number(const struct world *world, uint32_t index, int number)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)process_pids[world->tasks[index].process],
             number);
    return faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ? number : -1;
}

/* ---- Making and ending the side ---- */

static int kernel_create(struct world *world, char *ret_why, size_t why_size)
{
    char letter;
    int pid;

    (void)world; /* it has one task, which is idle */
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        snprintf(ret_why, why_size, "no memory");
        return -1;
    }
    shared->world_pid = getpid();
    prctl(PR_SET_TIMERSLACK, 1); /* the pauses between looks are short */
    call_prepare_all();
    worker_prepare(shared);
    atomic_store(&shared->boxes[0].order, 1);
    pid = worker_fork(0);
    if (pid < 0) {
        snprintf(ret_why, why_size, "fork: %s", strerror(-pid));
        return -1;
    }
    process_pids[0] = pid;
    process_tasks[0] = 1;
    await_answer(0);
    tasks[0].syscall_fd = open_of_task(0, "syscall");
    if (tasks[0].syscall_fd < 0 || pread(tasks[0].syscall_fd, &letter, 1, 0) != 1) {
        snprintf(ret_why, why_size, "/proc/PID/syscall: %s", strerror(errno));
        return -1;
    }
    return 0;
}

static void kernel_destroy(struct world *world)
{
    for (uint32_t i = 0; i < WORLD_MAX_TASKS; i++) {
        if (process_tasks[i] > 0)
            end_process(world, i);
    }
}

const struct world_side world_kernel = {
    .create = kernel_create,
    .destroy = kernel_destroy,
    .start = kernel_start,
    .child = kernel_child,
    .exit = kernel_exit,
    .exec = kernel_exec,
    .interrupt = kernel_interrupt,
    .expire = kernel_expire,
    .number = kernel_number,
};
