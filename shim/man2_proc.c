/*
 * man2_proc.c - fork(2), _exit(2), wait(2) and their kin
 *
 * fork is bracketed from inside: pthread_atfork handlers, registered first and so run last before
 * and first after, adopt the child whatever of libc forks. vfork is fork: a child that shares our
 * memory but not our descriptors would spoil the table.
 */
#include "real.h"

#include "finding.h"
#include "host.h"
#include "process.h"
#include "reaper.h"
#include "sud.h"

#include <linux/futex.h>
#include <string.h>
#include <sys/ioctl.h>

/* 0 where there is no /proc, or nothing in it yet. */
static uint64_t namespace_of(const char *path)
{
    struct stat status;

    return RAW4(SYS_newfstatat, AT_FDCWD, path, &status, 0) == 0 ? (uint64_t)status.st_ino : 0;
}

/*
 * True after unshare or setns of CLONE_NEWPID, by whatever way. A namespace that has no process yet
 * isn't shown (kernel/pid_namespace.c:pidns_for_children_get).
 */
static bool children_leave(void)
{
    static _Atomic uint64_t ours;
    uint64_t theirs = namespace_of("/proc/self/ns/pid_for_children");

    if (atomic_load(&ours) == 0 || theirs == 0) {
        atomic_store(&ours, namespace_of("/proc/self/ns/pid")); /* 0: no /proc, here and now */
    }
    return theirs != atomic_load(&ours);
}

bool process_part(void)
{
    struct emu_task *self;

    if (exec_give_up(false) < 0) {
        return false;
    }
    shim_thread.leaves = true;
    self = session_attached() ? route_enter_from(__builtin_return_address(0)) : NULL;
    if (self) {
        emu_report_add(self, EMU_REPORT_LEFT, "fork", -1, -1, 0);
        route_exit(self);
    }
    return true;
}

/* False: a channel can't be left to the child. */
bool process_check_namespace(void)
{
    if (shim_thread.leaves || !session_attached() || route_in_spawned_child()) {
        return true;
    }
    return !children_leave() || process_part();
}

/*
 * The last handler before the fork itself, so that no handler of the program's runs while its other
 * threads may change no numbers: it could want what one of them holds.
 */
static void before_fork(void)
{
    struct emu_task *self;

    if (shim_thread.fork_slot == 0) {
        process_check_namespace(); /* of a fork inside libc; what can't be left is left */
    }
    self = session_attached() ? route_enter() : NULL;
    if (!self) {
        return;
    }
    if (shim_thread.fork_slot == 0 && !shim_thread.leaves) { /* a fork inside libc */
        shim_thread.fork_slot = emu_fork_reserve(self);
    }
    if (shim_thread.fork_slot > 0) {
        emu_fork_hold(self, shim_thread.fork_slot);
    }
    route_exit(self);
}

static void in_parent(void)
{
    struct emu_task *self = session_attached() ? route_enter() : NULL;

    shim_thread.leaves = false;
    if (self) {
        emu_numbers_thaw(self);
        route_exit(self);
    }
}

/* False: errno is set: the session is full, or a channel can't be left to the child. */
static bool may_fork(void)
{
    struct emu_task *self;

    if (!process_check_namespace()) {
        route_error(-EACCES);
        return false;
    }
    if (shim_thread.leaves) {
        shim_thread.fork_slot = -1;
        return true;
    }
    reaper_ensure();
    self = session_attached() ? route_enter() : NULL;
    shim_thread.fork_slot = 0;
    if (self) {
        shim_thread.fork_slot = emu_fork_reserve(self);
        route_exit(self);
    }
    if (shim_thread.fork_slot < 0) {
        route_error(-EAGAIN);
        return false;
    }
    return true;
}

/*
 * The kernel keeps no robust list of a child that clone() has made; libc's own fork says so again.
 * Without it a lock of the arena that the child holds when it dies is lost for good.
 */
static void keep_robust_list(const struct shim_thread *thread)
{
    struct robust_list_head *known = thread->task.robust;

    if (!host_robust_list() && known && known != (void *)thread->task.robust_own) {
        RAW2(SYS_set_robust_list, known, sizeof *known);
    }
}

void process_born(void)
{
    struct shim_thread *thread = &shim_thread;
    bool unknown = thread->state >= THREAD_SPAWNING && thread->fork_slot <= 0;
    bool leaves = thread->leaves;

    sud_start_again();
    thread->leaves = false;
    if (!session_attached() || leaves) {
        thread->state = THREAD_NEW;
        shim.process.pid = (int32_t)RAW0(SYS_getpid);
        if (leaves && session_attached()) {
            atomic_store(&shim.state, SHIM_OFF); /* it has nothing of the session's */
        }
        return;
    }
    keep_robust_list(thread);
    if (unknown) { /* its parent had no table of its descriptors */
        thread->state = THREAD_NEW;
        thread->other_stack = NULL;
        thread->fork_slot = 0;
        session_join_again();
        return;
    }
    emu_task_enter(&thread->task, &shim.process);
    thread->state = THREAD_OPEN; /* the next call looks */
    thread->other_stack = NULL;
    thread->task.critical = 1;
    if (thread->fork_slot > 0) {
        emu_fork_child(&thread->task, thread->fork_slot);
    }
    thread->fork_slot = 0;
    shim.process.pid = (int32_t)RAW0(SYS_getpid);
    route_exit(&thread->task);
}

/* In the parent: tells the child's record its pid. */
static pid_t after_fork(pid_t child)
{
    int slot = shim_thread.fork_slot;

    shim_thread.leaves = false;
    shim_thread.fork_slot = 0;
    if (slot > 0 && child != 0) {
        struct emu_task *self = route_enter();

        if (self) {
            emu_fork_parent(self, slot, child);
            route_exit(self);
        }
    }
    return child;
}

void process_watch_forks(void)
{
    pthread_atfork(before_fork, in_parent, process_born);
}

bool process_fork_begin(void)
{
    if (!may_fork()) {
        return false;
    }
    before_fork();
    return true;
}

pid_t process_fork_end(pid_t child)
{
    if (child != 0) {
        in_parent();
    }
    return after_fork(child);
}

pid_t wrap_fork(void)
{
    real_fork_t fork_of_libc = real_fork();

    return may_fork() ? after_fork(fork_of_libc()) : -1;
}

/* _Fork runs no atfork handlers. */
pid_t wrap_bare_fork(void)
{
    real__Fork_t fork_of_libc = real__Fork();
    pid_t child = -1;

    if (!process_fork_begin()) {
        return -1;
    }
    child = fork_of_libc();
    if (child == 0) {
        process_born();
    }
    return process_fork_end(child);
}

int wrap_daemon(int keep_directory, int keep_files)
{
    pid_t child = wrap_fork();
    int null;

    if (child < 0) {
        return -1;
    }
    if (child > 0) {
        wrap_exit_now(0);
    }
    if (PLAIN(RAW0(SYS_setsid)) < 0) {
        return -1;
    }
    if (!keep_directory) {
        RAW1(SYS_chdir, "/");
    }
    if (keep_files) {
        return 0;
    }
    null = wrap_open("/dev/null", O_RDWR);
    if (null < 0) {
        return -1;
    }
    for (int fd = 0; fd <= 2; fd++) {
        wrap_dup2(null, fd);
    }
    if (null > 2) {
        wrap_close(null);
    }
    return 0;
}

pid_t wrap_forkpty(int *ret_master, char *ret_name, const struct termios *settings,
                   const struct winsize *size)
{
    int slave;
    pid_t child;

    if (wrap_openpty(ret_master, &slave, ret_name, settings, size) < 0) {
        return -1;
    }
    child = wrap_fork();
    if (child == 0) {
        wrap_close(*ret_master);
        RAW0(SYS_setsid);
        if (RAW3(SYS_ioctl, slave, TIOCSCTTY, 0) < 0) {
            wrap_exit_now(1);
        }
        for (int fd = 0; fd <= 2; fd++) {
            wrap_dup2(slave, fd);
        }
        if (slave > 2) {
            wrap_close(slave);
        }
        return 0;
    }
    wrap_close(slave);
    if (child < 0) {
        wrap_close(*ret_master);
    }
    return child;
}

/*
 * exit() ends here too, through the redirected entry. Sleepers elsewhere learn at once that our
 * ends are gone; other threads of ours never see it.
 */
void wrap_exit_now(int status)
{
    if (shim.emulates && !route_in_spawned_child()) {
        struct emu_task *self = route_enter();

        if (self) {
            route_set_ending();
            emu_trace_exit(self, true, status);
            emu_track_exit(self);
            emu_process_exit(self);
        }
    }
    reaper_dismiss();
    for (;;) {
        RAW1(SYS_exit_group, status);
    }
}

/* A child that was reaped is forgotten before its parent learns of it. */
static long reaped(long pid, int status)
{
    if (pid > 0 && session_attached()) {
        struct emu_task *self = route_enter();

        if (self) {
            emu_process_sweep(self, (int32_t)pid);
            emu_trace_waited(self, (int32_t)pid, status);
            route_exit(self);
        }
    }
    return pid;
}

pid_t wrap_wait4(pid_t pid, int *ret_status, int options, struct rusage *ret_usage)
{
    int own = 0;
    int *status = ret_status ? ret_status : &own;
    int32_t nobody = reaper_hide(&options);
    long result = NATIVE4(SYS_wait4, nobody ? nobody : pid, status, options, ret_usage);

    return result > 0 && (WIFEXITED(*status) || WIFSIGNALED(*status)) ? reaped(result, *status)
                                                                      : result;
}

pid_t wrap_waitpid(pid_t pid, int *ret_status, int options)
{
    return wrap_wait4(pid, ret_status, options, NULL);
}

pid_t wrap_wait(int *ret_status)
{
    return wrap_wait4(-1, ret_status, 0, NULL);
}

pid_t wrap_wait3(int *ret_status, int options, struct rusage *ret_usage)
{
    return wrap_wait4(-1, ret_status, options, ret_usage);
}

int wrap_waitid(idtype_t type, id_t id, siginfo_t *ret_info, int options)
{
    siginfo_t info = { 0 };
    siginfo_t *where = ret_info ? ret_info : &info;
    int32_t nobody = reaper_hide(&options);
    int result = nobody ? NATIVE5(SYS_waitid, P_PID, nobody, where, options, NULL)
                        : NATIVE5(SYS_waitid, type, id, where, options, NULL);

    if (result == 0 && where->si_pid > 0 &&
        (where->si_code == CLD_EXITED || where->si_code == CLD_KILLED ||
         where->si_code == CLD_DUMPED)) {
        reaped(where->si_pid,
               where->si_code == CLD_EXITED ? __W_EXITCODE(where->si_status, 0) : where->si_status);
    }
    return result;
}

#define SYMBOLS_PROC
#include "export.h"
