/*
 * man2_clone.c - clone(2), clone3(2), unshare(2): what a program shares with its children
 *
 * By the flags there are four kinds of children:
 *
 *   a copy of memory and descriptors   like fork's: adopted before the program sees it
 *   memory and descriptors shared      a thread, whatever its pid: nothing to do
 *   memory shared, descriptors copied  as in posix_spawn: the child touches no table. With
 *                                      CLONE_VFORK it is about to exec, and the caller sleeps
 *                                      until it has; else it may run for long, read and write, so
 *                                      all channels go native before
 *   descriptors shared, memory copied  refused: two tables for one set of numbers
 *
 * A thread may leave the others' descriptors (CLONE_FILES of unshare): THREAD_APART, and all
 * channels go native before. clone and clone3 through syscall(2) come from syscall_entry.S, which
 * makes the call itself, since the child may return on another stack.
 *
 * Leaves out: a clone3 whose arguments can't be read, which the kernel refuses; what a child in our
 * memory does to handlers (CLONE_SIGHAND isn't asked for); a child that shares all, but runs
 * without thread-local variables of its own (no CLONE_SETTLS): one of the two at a time.
 */
#include "real.h"

#include "host.h"
#include "process.h"
#include "reaper.h"

#include <linux/sched.h>
#include <string.h>
#include <sys/uio.h>

enum clone_kind {
    CLONE_PLAIN, /* the kernel's alone */
    CLONE_FORK,
    CLONE_SPAWN,
    CLONE_RUN_BESIDE, /* like CLONE_SPAWN, but the caller goes on */
};

static enum clone_kind kind_of(uint64_t flags)
{
    bool shares_files = (flags & CLONE_FILES) != 0;

    if (!(flags & CLONE_VM)) {
        return CLONE_FORK;
    }
    if (shares_files) {
        return CLONE_PLAIN;
    }
    return flags & CLONE_VFORK ? CLONE_SPAWN : CLONE_RUN_BESIDE;
}

static long refuse(const char *call)
{
    struct emu_task *self = route_enter_from(__builtin_return_address(0));

    if (self) {
        emu_report_add(self, EMU_REPORT_REFUSED, call, -1, -1, ENOTSUP);
        route_exit(self);
    }
    return -ENOTSUP;
}

/* The child will share this thread's memory, and be this thread as far as libc can tell. */
static long begin_spawn(enum clone_kind kind)
{
    struct emu_task *self;

    if (!process_check_namespace() || (kind == CLONE_RUN_BESIDE && exec_give_up(false) < 0)) {
        return -EACCES;
    }
    if (!shim_thread.leaves) {
        reaper_ensure();
    }
    self = session_attached() ? route_enter() : NULL;
    if (self) {
        emu_spawn_before(self);
        route_exit(self);
    }
    shim_thread.spawned = -1;
    shim_thread.left = NULL;
    shim_thread.state = THREAD_SPAWNING;
    return 0;
}

/* `child`: its pid or < 0. One that runs beside us may be here still: the thread stays marked. */
static void end_spawn(enum clone_kind kind, long child)
{
    struct emu_task *self;

    if (kind == CLONE_SPAWN || child < 0) {
        shim_thread.state = session_attached() ? THREAD_OPEN : THREAD_NEW;
    }
    self = session_attached() ? route_enter() : NULL;
    if (self) {
        emu_spawn_after(self, (int32_t)child);
        route_exit(self);
    }
    if (kind == CLONE_SPAWN && shim_thread.left) {
        host_memory_unmap(shim_thread.left, shim_thread.left_size);
        shim_thread.left = NULL;
    }
}

/* Before the call. Returns a clone_kind, or -errno: there is no call. */
static long clone_begin(uint64_t flags, uint64_t exit_signal)
{
    enum clone_kind kind = kind_of(flags);

    if (atomic_load(&shim.state) == SHIM_BOOT || route_in_spawned_child()) {
        return CLONE_PLAIN;
    }
    if (kind == CLONE_PLAIN) {
        net_install(); /* before there is a second thread, as for pthread_create */
        return kind;
    }
    if (kind == CLONE_FORK && (flags & CLONE_FILES)) {
        return refuse("clone");
    }
    shim.clones |= exit_signal != SIGCHLD;
    shim_thread.clone_kind = (int)kind;
    if ((flags & CLONE_NEWPID) && !process_part()) {
        return -EACCES;
    }
    if (kind != CLONE_FORK) {
        long rc = begin_spawn(kind);

        return rc < 0 ? rc : (long)kind;
    }
    if (!process_fork_begin()) {
        return -errno;
    }
    if ((flags & CLONE_VFORK) && session_attached()) {
        struct emu_task *self = route_enter(); /* other threads can't wait until the child execs */

        if (self) {
            emu_numbers_thaw(self);
            route_exit(self);
        }
    }
    return kind;
}

static void clone_end(long child)
{
    enum clone_kind kind = (enum clone_kind)shim_thread.clone_kind;

    shim_thread.leaves = false;
    if (kind == CLONE_FORK) {
        process_fork_end((pid_t)child);
    } else {
        end_spawn(kind, child);
    }
}

/* False: a bad pointer. */
static bool copy_arguments(const void *from, struct clone_args *ret_arguments)
{
    struct iovec local = { ret_arguments, CLONE_ARGS_SIZE_VER0 };
    struct iovec remote = { (void *)(uintptr_t)from, CLONE_ARGS_SIZE_VER0 };

    return RAW6(SYS_process_vm_readv, RAW0(SYS_getpid), &local, 1, &remote, 1, 0) ==
           CLONE_ARGS_SIZE_VER0;
}

/* For syscall_entry.S: what clone_begin() says of a call by number. */
long syscall_clone_begin(long number, uint64_t a, size_t b)
{
    struct clone_args arguments = { 0 };

    if (number == SYS_clone) {
        return clone_begin(a & ~(uint64_t)CSIGNAL, a & CSIGNAL);
    }
    if (b < CLONE_ARGS_SIZE_VER0) {
        return CLONE_PLAIN; /* EINVAL */
    }
    if (!copy_arguments((const void *)a, &arguments)) {
        return CLONE_PLAIN; /* EFAULT */
    }
    return clone_begin(arguments.flags, arguments.exit_signal);
}

/* ... and after it, in parent and child, with the kernel's result. Returns syscall(2)'s. */
long syscall_clone_end(long result)
{
    if (result != 0) {
        clone_end(result);
        return route_result(result);
    }
    if (shim_thread.clone_kind == CLONE_FORK) {
        process_born();
    }
    return 0;
}

/* What the child of a fork-like clone() is called with. It has a copy of the parent's memory. */
struct born {
    int (*run)(void *);
    void *argument;
    const struct shim_thread *where; /* the parent's: CLONE_SETTLS gives the child another one */
    struct shim_thread thread;
};

static int run_born(void *argument)
{
    const struct born *born = argument;
    int (*run)(void *) = born->run;
    int result;

    if (&shim_thread != born->where) {
        shim_thread = born->thread;
    }
    process_born();
    result = run(born->argument);
    if (__libc_single_threaded) {
        wrap_exit_now(result);
    }
    return result;
}

int wrap_clone(int (*run)(void *), void *stack, int flags, void *argument, ...)
{
    real_clone_t clone_of_libc = real_clone();
    struct born born = { .run = run, .argument = argument };
    va_list more;
    pid_t *parent_tid;
    void *tls;
    pid_t *child_tid;
    long kind = CLONE_PLAIN;
    int result;

    va_start(more, argument);
    parent_tid = va_arg(more, pid_t *);
    tls = va_arg(more, void *);
    child_tid = va_arg(more, pid_t *);
    va_end(more);
    if (run && stack) {
        kind = clone_begin((uint64_t)(unsigned)flags & ~(uint64_t)CSIGNAL,
                           (unsigned)flags & CSIGNAL);
    }
    if (kind < 0) {
        return (int)route_error(kind);
    }
    if (kind == CLONE_FORK) {
        born.where = &shim_thread;
        born.thread = shim_thread;
        run = run_born;
        argument = &born;
    }
    result = clone_of_libc(run, stack, flags, argument, parent_tid, tls, child_tid);
    if (kind != CLONE_PLAIN) {
        int error = errno;

        clone_end(result);
        errno = error;
    }
    return result;
}

/* From now on this thread's numbers are not what the table says. */
static void go_apart(void)
{
    struct shim_thread *thread = &shim_thread;
    struct emu_task *self = route_enter();

    if (self) {
        thread->state = THREAD_NEW;
        emu_trace_exit(self, false, 0);
        emu_task_leave(self);
        self->critical = 0;
    }
    thread->state = THREAD_APART;
}

bool clone_part_descriptors(void)
{
    return !session_attached() || __libc_single_threaded || route_in_spawned_child() ||
           exec_give_up(false) == 0;
}

long clone_parted(long result)
{
    if (result >= 0 && session_attached() && !__libc_single_threaded && !route_in_spawned_child()) {
        go_apart();
    }
    return result;
}

int wrap_unshare(int flags)
{
    if (!(flags & CLONE_FILES)) {
        return PLAIN(RAW1(SYS_unshare, flags));
    }
    if (!clone_part_descriptors()) {
        return route_error(-EACCES);
    }
    return PLAIN(clone_parted(RAW1(SYS_unshare, flags)));
}

#define SYMBOLS_CLONE
#include "export.h"
