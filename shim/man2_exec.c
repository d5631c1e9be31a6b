/*
 * man2_exec.c - the exec family
 *
 * All forms end in exec_image(): the program is looked at (reach.h), what it inherits is made ready
 * or goes native, the environment is completed, the raw call is made. libc's own execs (in the
 * child of posix_spawn, wordexp) come here through the net.
 *
 * A child that shares our memory but not our descriptors (route_in_spawned_child) touches no table.
 * What it inherits was made ready before it was born; when its program is out of reach, a child of
 * its own, with a copy of the memory and of its descriptors, joins the session for a moment and
 * hands the channels over.
 */
#include "wrap.h"

#include "host.h"
#include "reach.h"

#include <string.h>

#define ARGUMENTS_MAX 4096 /* of the variadic forms; they come from source code, one by one */

/* The channels of this process go native, or -EACCES, counted. */
static int hand_over(struct emu_task *self, bool inherited_only)
{
    int fd = -1;
    int rc = emu_native_all(self, inherited_only, &fd);

    if (rc < 0) {
        emu_report_add(self, EMU_REPORT_BLOCKED, "exec", -1, -1, EACCES);
        rc = -EACCES;
    }
    return rc;
}

int exec_give_up(bool inherited_only)
{
    struct emu_task *self;
    int rc;

    if (!shim.emulates || route_in_spawned_child()) {
        return 0;
    }
    self = route_enter_from(__builtin_return_address(0));
    if (!self) {
        return 0;
    }
    rc = hand_over(self, inherited_only);
    route_exit(self);
    return rc;
}

/* What the helper does, in its own memory: its exit code says whether all could be handed over. */
static _Noreturn void help_spawned_child(void)
{
    int rc = -EACCES;

    shim_thread.state = THREAD_NEW;
    if (session_join_again()) {
        struct emu_task *self = route_enter();

        rc = self ? hand_over(self, true) : rc;
        if (self) {
            emu_process_exit(self);
        }
    }
    for (;;) {
        RAW1(SYS_exit_group, rc < 0);
    }
}

/* No exit signal, so that only we can learn of its end. Its memory is a copy: no CLONE_VM. */
static int hand_over_by_helper(void)
{
    uint64_t all = UINT64_MAX;
    uint64_t before;
    int status = -1;
    long helper;

    RAW4(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
    helper = RAW5(SYS_clone, 0, NULL, NULL, NULL, NULL);
    if (helper == 0) {
        help_spawned_child();
    }
    while (helper > 0 && RAW4(SYS_wait4, helper, &status, __WALL, NULL) == -EINTR) {
    }
    RAW4(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
    return status == 0 ? 0 : -EACCES;
}

/* Not after a chroot, or for another user: the loader would complain and go on without it. */
static bool library_is_there(void)
{
    const char *library = environment_library();
    long rc = RAW4(SYS_faccessat2, AT_FDCWD, library, R_OK, AT_EACCESS);

    return rc != -ENOENT && rc != -EACCES && rc != -ENOTDIR;
}

int exec_prepare(int directory, const char *path, bool inherited_only)
{
    struct emu_task *self;
    enum reach_verdict verdict;

    bool foreign;
    int rc;

    verdict = reach_check(directory, path, NULL, 0);
    if (verdict == REACH_OK && !library_is_there()) {
        verdict = REACH_LIBC;
    }
    foreign = verdict == REACH_CLASS || verdict == REACH_LIBC;
    if (verdict == REACH_NOT_A_PROGRAM || !shim.emulates || shim_thread.state == THREAD_APART) {
        return foreign;
    }
    if (verdict != REACH_OK) {
        rc = route_in_spawned_child() ? hand_over_by_helper() : exec_give_up(inherited_only);
        return rc < 0 ? rc : foreign;
    }
    self = route_enter();
    if (self) {
        emu_exec_before(self);
        route_exit(self);
    }
    return 0;
}

static struct emu_task *enter_for_exec(void)
{
    return session_attached() && !route_in_spawned_child() ? route_enter() : NULL;
}

/* What other threads would change now, the new image might inherit unseen: they wait. */
static void exec_begins(const char *path, char *const *argv, struct emu_trace_open *ret_open)
{
    struct emu_task *self = enter_for_exec();

    ret_open->number = UINT64_MAX;
    if (self) {
        if (EMU_UNLIKELY(self->records)) {
            emu_trace_exec(self, path, argv, ret_open);
        }
        emu_exec_freeze(self);
        route_exit(self);
    }
}

static void exec_failed(const struct emu_trace_open *open, long result)
{
    struct emu_task *self = enter_for_exec();

    if (self) {
        emu_numbers_thaw(self);
        emu_trace_left(self, open, result);
        route_exit(self);
    }
}

/* A child in our memory leaves what it made to us: its exec takes nothing of it away. */
static void keep_for_parent(const struct environment *environment)
{
    if (environment->block && route_in_spawned_child()) {
        shim_thread.left = environment->block;
        shim_thread.left_size = environment->size;
    }
}

/* A name for the program: NULL when only the kernel can say. */
static const char *name_of(int directory, const char *path, int flags, char *ret_own)
{
    if (directory == AT_FDCWD) {
        return path;
    }
    if (!(flags & AT_EMPTY_PATH)) {
        return NULL;
    }
    put_decimal(stpcpy(ret_own, "/proc/self/fd/"), directory);
    return ret_own;
}

/*
 * An image without the session's descriptors would be no member: then all that it inherits goes
 * native, and nothing tells it of the session. 0, or -EACCES.
 */
static long leave_session(void)
{
    struct emu_task *self;
    long rc;

    if (route_in_spawned_child()) {
        rc = hand_over_by_helper();
    } else {
        rc = exec_give_up(true);
    }
    self = rc == 0 ? route_enter() : NULL;
    if (self) {
        emu_report_add(self, EMU_REPORT_LEFT, "exec", -1, -1, 0);
        route_exit(self);
    }
    shim_thread.leaves = rc == 0;
    return rc;
}

/* Makes the exec, or returns -errno. */
static long exec_image(int directory, const char *path, char *const *argv, char *const *envp,
                       int flags)
{
    struct environment environment = { (char **)(uintptr_t)envp, NULL, 0 };
    struct emu_trace_open open;
    char own[40];
    bool leaves = shim_thread.leaves;
    long result = exec_prepare(directory, path, true);
    bool foreign = result > 0;

    if (result >= 0 && session_attached() && !session_keep()) {
        result = leave_session();
    }
    if (result < 0) {
        return result;
    }
    if (environment_readable(envp) &&
        !(foreign ? environment_strip(envp, &environment)
                  : environment_build(name_of(directory, path, flags, own), envp, &environment))) {
        return -ENOMEM;
    }
    keep_for_parent(&environment);
    exec_begins(path, argv, &open);
    if (directory == AT_FDCWD && flags == 0) {
        result = RAW3(SYS_execve, path, argv, environment.vector);
    } else {
        result = RAW5(SYS_execveat, directory, path, argv, environment.vector, flags);
    }
    exec_failed(&open, result);
    shim_thread.left = NULL;
    shim_thread.leaves = leaves;
    environment_free(&environment);
    return result;
}

int wrap_execve(const char *path, char *const *argv, char *const *envp)
{
    return route_result(exec_image(AT_FDCWD, path, argv, envp, 0));
}

int wrap_execv(const char *path, char *const *argv)
{
    return wrap_execve(path, argv, environ);
}

/* execvp runs a file without a known format by the shell, as its manual page says. */
static long exec_by_shell(const char *path, char *const *argv, char *const *envp)
{
    size_t count = 0;

    while (argv[count]) {
        count++;
    }
    if (count >= ARGUMENTS_MAX) {
        return -E2BIG;
    }
    char *vector[count + 3];

    vector[0] = (char *)(uintptr_t) "/bin/sh";
    vector[1] = (char *)(uintptr_t)path;
    for (size_t i = 1; i <= count; i++) {
        vector[i + 1] = argv[i];
    }
    vector[count > 0 ? count + 1 : 2] = NULL;
    return exec_image(AT_FDCWD, "/bin/sh", vector, envp, 0);
}

static long exec_or_shell(const char *path, char *const *argv, char *const *envp)
{
    long result = exec_image(AT_FDCWD, path, argv, envp, 0);

    return result == -ENOEXEC ? exec_by_shell(path, argv, envp) : result;
}

/* The path of the next candidate: `directory`/`file`. False: it is too long. */
static bool join(char *ret_path, size_t room, const char *directory, size_t size, const char *file)
{
    size_t length = strlen(file);

    if (size + 1 + length >= room) {
        return false;
    }
    memcpy(ret_path, directory, size);
    if (size > 0) {
        ret_path[size++] = '/';
    }
    memcpy(ret_path + size, file, length + 1);
    return true;
}

static long exec_by_path(const char *file, char *const *argv, char *const *envp)
{
    const char *list = environment_get(environ, "PATH");
    char path[PATH_MAX];
    bool denied = false;
    long result = -ENOENT;

    if (*file == 0) {
        return -ENOENT;
    }
    if (strchr(file, '/')) {
        return exec_or_shell(file, argv, envp);
    }
    for (list = list ? list : "/bin:/usr/bin"; list;) {
        size_t size = strcspn(list, ":");

        if (join(path, sizeof path, list, size, file)) {
            result = exec_or_shell(path, argv, envp);
            switch (result) {
            case -EACCES: denied = true; break;
            case -ENOENT:
            case -ESTALE:
            case -ENOTDIR:
            case -ENODEV:
            case -ETIMEDOUT: break; /* the next directory, like libc */
            default: return result;
            }
        }
        list = list[size] ? list + size + 1 : NULL;
    }
    return denied ? -EACCES : result;
}

int wrap_execvpe(const char *file, char *const *argv, char *const *envp)
{
    return route_result(exec_by_path(file, argv, envp));
}

int wrap_execvp(const char *file, char *const *argv)
{
    return wrap_execvpe(file, argv, environ);
}

/* Counts the arguments of a variadic form up to its NULL; -1: too many. */
static int count_arguments(va_list arguments)
{
    int count = 1;

    while (va_arg(arguments, char *) && count < ARGUMENTS_MAX) {
        count++;
    }
    return count < ARGUMENTS_MAX ? count : -1;
}

/* Collects them into argv[count + 1], the NULL included. */
#define COLLECT(first)                       \
    int count;                               \
    va_list arguments;                       \
    va_start(arguments, first);              \
    count = count_arguments(arguments);      \
    va_end(arguments);                       \
    if (count < 0) {                         \
        return route_error(-E2BIG);          \
    }                                        \
    char *argv[count + 1];                   \
    va_start(arguments, first);              \
    argv[0] = (char *)(uintptr_t)first;      \
    for (int i = 1; i <= count; i++) {       \
        argv[i] = va_arg(arguments, char *); \
    }

int wrap_execl(const char *path, const char *argument, ...)
{
    COLLECT(argument)
    va_end(arguments);
    return wrap_execve(path, argv, environ);
}

int wrap_execle(const char *path, const char *argument, ...)
{
    char **envp;

    COLLECT(argument)
    envp = va_arg(arguments, char **);
    va_end(arguments);
    return wrap_execve(path, argv, envp);
}

int wrap_execlp(const char *file, const char *argument, ...)
{
    COLLECT(argument)
    va_end(arguments);
    return wrap_execvpe(file, argv, environ);
}

int wrap_execveat(int directory, const char *path, char *const *argv, char *const *envp, int flags)
{
    return route_result(exec_image(directory, path, argv, envp, flags));
}

int wrap_fexecve(int fd, char *const *argv, char *const *envp)
{
    if (fd < 0 || !argv || !envp) {
        return route_error(-EINVAL);
    }
    return wrap_execveat(fd, "", argv, envp, AT_EMPTY_PATH);
}

#define SYMBOLS_EXEC
#include "export.h"
