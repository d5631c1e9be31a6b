/*
 * man2_proc.c - fork(2), _exit(2), wait(2) and their kin
 *
 * fork is bracketed from inside: pthread_atfork handlers, registered first and so run last before
 * and first after, adopt the child whatever of libc forks. vfork is fork: a child that shares our
 * memory but not our descriptors would spoil the table.
 */
#include "real.h"

#include "host.h"
#include "process.h"

#include <string.h>
#include <sys/ioctl.h>

/*
 * The last handler before the fork itself, so that no handler of the program's runs while its other
 * threads may change no numbers: it could want what one of them holds.
 */
static void before_fork(void)
{
    struct emu_task *self = session_attached() ? route_enter() : NULL;

    if (!self) {
        return;
    }
    if (shim_thread.fork_slot == 0) { /* a fork inside libc */
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

    if (self) {
        emu_numbers_thaw(self);
        route_exit(self);
    }
}

/* False: the session is full, errno is set. */
static bool may_fork(void)
{
    struct emu_task *self = session_attached() ? route_enter() : NULL;

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

static void in_child(void)
{
    struct shim_thread *thread = &shim_thread;

    if (!session_attached()) {
        shim.process.pid = (int32_t)RAW0(SYS_getpid);
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

    if (slot > 0 && child != 0) {
        struct emu_task *self = route_enter();

        shim_thread.fork_slot = 0;
        if (self) {
            emu_fork_parent(self, slot, child);
            route_exit(self);
        }
    }
    return child;
}

void process_watch_forks(void)
{
    pthread_atfork(before_fork, in_parent, in_child);
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

    if (may_fork()) {
        before_fork();
        child = fork_of_libc();
    }
    if (child == 0) {
        in_child();
        return 0;
    }
    return after_fork(child);
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
            emu_process_exit(self);
        }
    }
    for (;;) {
        RAW1(SYS_exit_group, status);
    }
}

/* A child that was reaped is forgotten before its parent learns of it. */
static long reaped(long pid)
{
    if (pid > 0 && session_attached()) {
        struct emu_task *self = route_enter();

        if (self) {
            emu_process_sweep(self, (int32_t)pid);
            route_exit(self);
        }
    }
    return pid;
}

pid_t wrap_wait4(pid_t pid, int *ret_status, int options, struct rusage *ret_usage)
{
    int own = 0;
    int *status = ret_status ? ret_status : &own;
    long result = NATIVE4(SYS_wait4, pid, status, options, ret_usage);

    return result > 0 && (WIFEXITED(*status) || WIFSIGNALED(*status)) ? reaped(result) : result;
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
    int result = NATIVE5(SYS_waitid, type, id, where, options, NULL);

    if (result == 0 && where->si_pid > 0 &&
        (where->si_code == CLD_EXITED || where->si_code == CLD_KILLED ||
         where->si_code == CLD_DUMPED)) {
        reaped(where->si_pid);
    }
    return result;
}

#define SYMBOLS_PROC
#include "export.h"
