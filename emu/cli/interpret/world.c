/*
 * world.c - see world.h: what both sides share
 *
 * Memory is mapped shared before any process is made, so that it has one address everywhere; the
 * places in front of pages that can't be touched are there from the start, too, since nothing can
 * be mapped into other processes later.
 */
#include "interpret/world.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host.h"
#include "interpret/calls.h"
#include "interpret/constants.h"
#include "interpret/world_inside.h"

#define PAGE       4096u
#define SMALL_ROOM (64u << 10)
#define LARGE_ROOM (16u << 20)

void world_break(const char *format, ...)
{
    va_list arguments;

    fputs("sockrig: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    fflush(NULL);
    _exit(125);
}

void world_add_signal(struct world_result *result, const siginfo_t *info)
{
    if (result->signal_count < WORLD_MAX_SIGNALS)
        result->signals[result->signal_count++] = *info;
}

size_t world_count_done(const struct world *world)
{
    size_t count = 0;

    for (uint32_t i = 0; i < world->task_end; i++)
        count += world->tasks[i].state == WORLD_DONE;
    return count;
}

/* ---- Signals ---- */

static _Thread_local sigjmp_buf *libc_jump;

int64_t world_call_real(int call, const uint64_t *words)
{
    sigjmp_buf jump;
    int64_t result;

    if (sigsetjmp(jump, 0) != 0) {
        libc_jump = NULL;
        return -EFAULT;
    }
    libc_jump = &jump;
    result = call_real(call_get(call), words);
    libc_jump = NULL;
    return result;
}

void world_fault_in_libc(void)
{
    if (libc_jump)
        siglongjmp(*libc_jump, 1);
}

/* A bad pointer inside host_copy() or libc is EFAULT; any other fault ends the process. */
static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)info;
    if (host_copy_recover(context))
        return;
    world_fault_in_libc();
    signal(number, SIG_DFL);
}

void world_catch_signals(void (*handler)(int number, siginfo_t *info, void *context))
{
    struct sigaction action = { 0 };
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    for (size_t i = 0; signal_caught(i) != 0; i++)
        sigaction(signal_caught(i), &action, NULL);
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

/* ---- Making a world ---- */

/* Runs mean the same for everybody: nobody may grow a pipe beyond pipe-max-size. */
static void drop_resource_capability(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    if (syscall(SYS_capget, &header, data) != 0)
        return;
    data[CAP_TO_INDEX(CAP_SYS_RESOURCE)].effective &= ~CAP_TO_MASK(CAP_SYS_RESOURCE);
    syscall(SYS_capset, &header, data); /* fails nowhere: it takes away */
}

/* 0, 1 and 2 are open, so that the first descriptor made is 3. */
static void fill_stdio(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd < 3);
    close_range(3, ~0u, 0);
}

static int map_faults(struct world *world)
{
    size_t size = PAGE + WORLD_FAULTS_SMALL * (SMALL_ROOM + PAGE) +
                  WORLD_FAULTS_LARGE * ((size_t)LARGE_ROOM + PAGE);
    uint8_t *at = mmap(NULL, size, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (at == MAP_FAILED)
        return -1;
    world->bad_page = at;
    at += PAGE;
    for (int i = 0; i < WORLD_FAULTS; i++) {
        size_t room = i < WORLD_FAULTS_SMALL ? SMALL_ROOM : LARGE_ROOM;

        if (mprotect(at, room, PROT_READ | PROT_WRITE) != 0)
            return -1;
        world->faults[i].room = room;
        world->faults[i].end = at + room;
        at += room + PAGE;
    }
    return 0;
}

static struct world *map_world(size_t memory_size)
{
    struct world *world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (world == MAP_FAILED)
        return NULL;
    world->memory_size = memory_size;
    world->memory = mmap(NULL, memory_size, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return world->memory != MAP_FAILED && map_faults(world) == 0 ? world : NULL;
}

struct world *world_create(enum side side, size_t memory_size, char *ret_why, size_t why_size)
{
    struct world *world = map_world(memory_size);

    if (!world) {
        snprintf(ret_why, why_size, "no memory");
        return NULL;
    }
    world->side = side;
    world->functions = side == SIDE_EMU ? &world_emu : &world_kernel;
    world->process_count = 1;
    world->task_end = 1;
    world->tasks[0].state = WORLD_IDLE;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    drop_resource_capability();
    fill_stdio();
    return world->functions->create(world, ret_why, why_size) == 0 ? world : NULL;
}

void world_destroy(struct world *world)
{
    world->functions->destroy(world);
}

void *world_memory(struct world *world)
{
    return world->memory;
}

void *world_bad_page(struct world *world)
{
    return world->bad_page;
}

void *world_fault(struct world *world, size_t size)
{
    for (int i = 0; i < WORLD_FAULTS; i++) {
        struct world_fault *fault = &world->faults[i];

        if (fault->used == 0 && size <= fault->room) {
            fault->used = size ? size : 1;
            return fault->end - size;
        }
    }
    return NULL;
}

void world_faults_reset(struct world *world)
{
    for (int i = 0; i < WORLD_FAULTS; i++) {
        memset(world->faults[i].end - world->faults[i].used, 0, world->faults[i].used);
        world->faults[i].used = 0;
    }
}

/* ---- Tasks ---- */

static bool is_vsock(int call, const uint64_t *words)
{
    const char *name = call_get(call)->name;

    return (strcmp(name, "socket") == 0 || strcmp(name, "socketpair") == 0) &&
           (int)words[0] == AF_VSOCK;
}

void world_start(struct world *world, uint32_t index, int call, const uint64_t *words)
{
    struct world_task *task = &world->tasks[index];

    task->call = call;
    memcpy(task->words, words, sizeof(task->words));
    task->result.value = 0;
    task->result.native = false;
    task->result.refused = world->side == SIDE_KERNEL && is_vsock(call, words);
    task->result.blocked = false;
    task->result.signal_count = 0;
    if (task->result.refused) {
        task->result.value = -ENOTSUP;
        task->state = WORLD_DONE;
    } else {
        world->functions->start(world, index);
    }
}

void world_expect(struct world *world, uint32_t task, const int *numbers, size_t count)
{
    count = count < WORLD_MAX_NEW ? count : WORLD_MAX_NEW;
    memcpy(world->tasks[task].expect, numbers, count * sizeof(*numbers));
    world->tasks[task].expect_count = count;
}

enum world_state world_task_state(const struct world *world, uint32_t task)
{
    return task < WORLD_MAX_TASKS ? world->tasks[task].state : WORLD_NONE;
}

void world_take(struct world *world, uint32_t index, struct world_result *ret_result)
{
    struct world_task *task = &world->tasks[index];

    memcpy(ret_result, &task->result, offsetof(struct world_result, signals));
    memcpy(ret_result->signals, task->result.signals,
           task->result.signal_count * sizeof(siginfo_t));
    task->expect_count = 0;
    if (task->state == WORLD_DONE)
        task->state = WORLD_IDLE;
}

static uint32_t new_task(struct world *world, uint32_t parent, bool thread)
{
    uint32_t index = 0;

    if (world->tasks[parent].state != WORLD_IDLE)
        return UINT32_MAX;
    while (index < WORLD_MAX_TASKS && world->tasks[index].state != WORLD_NONE &&
           world->tasks[index].state != WORLD_GONE)
        index++;
    if (index == WORLD_MAX_TASKS)
        return UINT32_MAX;
    world->tasks[index].expect_count = 0;
    if (!world->functions->child(world, parent, index, thread))
        return UINT32_MAX;
    if (index >= world->task_end)
        world->task_end = index + 1;
    world->tasks[index].state = WORLD_IDLE;
    return index;
}

uint32_t world_fork(struct world *world, uint32_t task)
{
    return new_task(world, task, false);
}

uint32_t world_thread(struct world *world, uint32_t task)
{
    return new_task(world, task, true);
}

void world_exit(struct world *world, uint32_t task, bool group)
{
    world->functions->exit(world, task, group);
}

void world_exec(struct world *world, uint32_t task)
{
    world->functions->exec(world, task);
}

void world_interrupt(struct world *world, uint32_t task, bool restart)
{
    if (world->tasks[task].state == WORLD_BLOCKED)
        world->functions->interrupt(world, task, restart);
}

bool world_expire(struct world *world, uint64_t limit_ns)
{
    return world->functions->expire(world, limit_ns);
}

int world_number(const struct world *world, uint32_t task, int number)
{
    return world->functions->number(world, task, number);
}
