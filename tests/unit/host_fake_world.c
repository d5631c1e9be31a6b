/*
 * host_fake_world.c - the fake host's clock, processes, signals and memory
 *
 * Models: a clock that jumps to the next planned action or deadline when somebody sleeps, pids that
 * are alive until they are killed, guest memory of which a part may be bad. The arena's memory is
 * the kernel's own, so that one arena can be mapped twice.
 */
#include "host_fake.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host.h"

enum {
    PIDS = 64,
    ARENA_ALIGNMENT = 65536,
    PATIENCE = 3000, /* sleeps in a row that nothing but their deadline ended */
};

struct plan {
    uint64_t at_ns;
    void (*act)(void *);
    void *context;
};

static struct plan plans[FAKE_PLANS];
static size_t plan_count;
static uint64_t now_ns;
static unsigned sleeps;
static unsigned vain_sleeps;
static unsigned wakes;
static unsigned rings;
static int32_t current_pid;
static uint32_t current_tid;
static int32_t dead[PIDS];
static size_t dead_count;
static const char *bad_address;
static size_t bad_size;
static sigset_t mask;

_Thread_local bool host_copy_slow;

/* ---- Steering ---- */

void fake_reset_world(void)
{
    plan_count = 0;
    dead_count = 0;
    sleeps = 0;
    vain_sleeps = 0;
    wakes = 0;
    rings = 0;
    bad_size = 0;
    now_ns = 1000000000;
    current_pid = 100;
    current_tid = 100;
    sigemptyset(&mask);
    fake_reset_signals();
}

void fake_plan(uint64_t at_ns, void (*act)(void *), void *context)
{
    size_t place = plan_count;

    if (plan_count == FAKE_PLANS)
        host_abort("fake: too many plans");
    for (; place > 0 && plans[place - 1].at_ns > at_ns; place--)
        plans[place] = plans[place - 1];
    plans[place] = (struct plan){ at_ns, act, context };
    plan_count++;
}

/* Runs the next planned action when it is due by `deadline_ns` (0: no end). */
static bool run_plan(uint64_t deadline_ns)
{
    if (plan_count == 0 || (deadline_ns != 0 && plans[0].at_ns > deadline_ns))
        return false;
    const struct plan plan = plans[0];
    plan_count--;
    memmove(plans, plans + 1, plan_count * sizeof plans[0]);
    if (plan.at_ns > now_ns)
        now_ns = plan.at_ns;
    const int32_t pid = current_pid;
    const uint32_t tid = current_tid;
    plan.act(plan.context);
    fake_run_as(pid, tid);
    return true;
}

unsigned fake_sleeps(void)
{
    return sleeps;
}

unsigned fake_wakes(void)
{
    return wakes;
}

unsigned fake_rings(void)
{
    return rings;
}

void fake_bad_memory(const void *address, size_t size)
{
    bad_address = address;
    bad_size = size;
}

void fake_run_as(int32_t pid, uint32_t tid)
{
    current_pid = pid;
    current_tid = tid;
}

void fake_kill(int32_t pid)
{
    if (dead_count == PIDS)
        host_abort("fake: too many dead");
    dead[dead_count++] = pid;
}

/* ---- Memory of the guest ---- */

bool fake_is_bad(const void *place, size_t size)
{
    const char *address = place;

    if ((uintptr_t)address < 4096)
        return true;
    return bad_size > 0 && address < bad_address + bad_size && address + size > bad_address;
}

int host_copy(void *to, const void *from, size_t size)
{
    if (size == 0)
        return 0;
    if (fake_is_bad(to, size) || fake_is_bad(from, size))
        return -EFAULT;
    memcpy(to, from, size);
    return 0;
}

int host_put_revents(struct pollfd *to, const struct pollfd *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (host_copy(&to[i].revents, &from[i].revents, sizeof to->revents) < 0)
            return -EFAULT;
    }
    return 0;
}

bool host_copy_recover(void *ucontext)
{
    (void)ucontext;
    return false;
}

int64_t host_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    int64_t result;

    (void)e, (void)f;
    if (fake_name_call(number, a, b, c, d, &result))
        return result;
    return fake_signal_call(number, a, b, c, d);
}

/* ---- Threads, processes, time ---- */

uint32_t host_gettid(void)
{
    return current_tid;
}

int32_t host_getpid(void)
{
    return current_pid;
}

struct robust_list_head *host_robust_list(void)
{
    return NULL;
}

int host_cpu(void)
{
    return 0; /* everybody on one: nobody spins */
}

void host_yield(void)
{
    run_plan(now_ns == 0 ? 1 : now_ns);
}

uint64_t host_now_ns(void)
{
    return now_ns;
}

bool fake_sleep(uint64_t deadline_ns, bool (*woken)(const void *), const void *context)
{
    sleeps++;
    while (run_plan(deadline_ns)) {
        vain_sleeps = 0;
        if (woken(context))
            return true;
    }
    if (deadline_ns > now_ns)
        now_ns = deadline_ns;
    return false;
}

bool fake_is_stuck(uint64_t deadline_ns)
{
    return deadline_ns == 0 || (plan_count == 0 && ++vain_sleeps > PATIENCE);
}

struct futex {
    const _Atomic uint32_t *word;
    uint32_t expected;
};

static bool has_changed(const void *context)
{
    const struct futex *futex = context;

    return atomic_load(futex->word) != futex->expected;
}

int64_t host_futex_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
    const struct futex futex = { word, expected };

    if (has_changed(&futex))
        return -EAGAIN;
    if (fake_sleep(deadline_ns, has_changed, &futex))
        return 0;
    return fake_is_stuck(deadline_ns) ? -EDEADLK : -ETIMEDOUT;
}

void host_futex_wake(const _Atomic uint32_t *word, int count)
{
    (void)word, (void)count;
    wakes++;
}

void fake_wake(void)
{
    wakes++;
}

void host_bell_ring(int bell)
{
    (void)bell;
    wakes++;
}

void host_ring_other(int32_t pid, int fd, uint64_t object)
{
    (void)pid, (void)fd, (void)object;
    rings++;
}

uint64_t host_process_mark(int32_t pid)
{
    for (size_t i = 0; i < dead_count; i++) {
        if (dead[i] == pid)
            return 0;
    }
    return 1000 + (uint64_t)pid;
}

void host_sigmask(const sigset_t *new_mask, sigset_t *ret_old)
{
    if (ret_old != NULL)
        *ret_old = mask;
    if (new_mask != NULL)
        mask = *new_mask;
}

void host_program(char ret_name[16])
{
    strcpy(ret_name, "unit_tests");
}

/* ---- Memory of the arena: the kernel's own, so that one arena can be mapped twice ---- */

int host_memory_create(const char *name, uint64_t size)
{
    const int fd = memfd_create(name, MFD_CLOEXEC);

    if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
        return -errno;
    return fd + FAKE_MEMORY_FIRST;
}

int64_t host_memory_size(int fd)
{
    const off_t size = fd < FAKE_MEMORY_FIRST ? -1 : lseek(fd - FAKE_MEMORY_FIRST, 0, SEEK_END);

    return size < 0 ? -EBADF : size;
}

/* At a multiple of ARENA_ALIGNMENT, as struct arena wants it; what is cut off stays reserved. */
void *host_memory_map(int fd, uint64_t size)
{
    char *room = mmap(NULL, size + ARENA_ALIGNMENT, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (room == MAP_FAILED)
        return NULL;
    room += -(uintptr_t)room % ARENA_ALIGNMENT;
    void *base = mmap(room, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED,
                      fd - FAKE_MEMORY_FIRST, 0);
    return base == MAP_FAILED ? NULL : base;
}

void host_memory_conceal(int fd, void *base, uint64_t from, uint64_t size)
{
    (void)fd, (void)base, (void)from, (void)size;
}

void host_memory_unmap(void *base, uint64_t size)
{
    munmap(base, size);
}

void host_memory_drop(void *address, uint64_t size)
{
    memset(address, 0, size);
}

void *host_memory_private(uint64_t size)
{
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return base == MAP_FAILED ? NULL : base;
}

_Noreturn void host_abort(const char *message)
{
    fprintf(stderr, "host_abort: %s\n", message);
    abort();
}
