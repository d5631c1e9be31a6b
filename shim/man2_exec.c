/*
 * man2_exec.c - the exec family
 *
 * All forms end in exec_image(): the program is looked at (reach.h), what it inherits is made ready
 * or goes native, the environment is completed, the raw call is made.
 */
#include "wrap.h"

#include "host.h"
#include "reach.h"

#include <string.h>

#define ARGUMENTS_MAX 4096 /* of the variadic forms; they come from source code, one by one */

int exec_prepare(const char *path, bool inherited_only)
{
    struct emu_task *self;
    enum reach_verdict verdict;
    int fd = -1;
    int rc = 0;

    if (!shim.emulates || route_in_spawned_child()) {
        return 0;
    }
    verdict = reach_check(path, NULL, 0);
    if (verdict == REACH_NOT_A_PROGRAM) {
        return 0;
    }
    self = route_enter_from(__builtin_return_address(0));
    if (!self) {
        return 0;
    }
    if (verdict == REACH_OK) {
        emu_exec_before(self);
    } else {
        rc = emu_native_all(self, inherited_only, &fd);
        if (rc < 0) {
            emu_report_add(self, EMU_REPORT_BLOCKED, "exec", -1, -1, EACCES);
            rc = -EACCES;
        }
    }
    route_exit(self);
    return rc;
}

/* What other threads would change now, the new image might inherit unseen: they wait. */
static void exec_freeze(bool on)
{
    struct emu_task *self = session_attached() && !route_in_spawned_child() ? route_enter() : NULL;

    if (self && on) {
        emu_exec_freeze(self);
    } else if (self) {
        emu_numbers_thaw(self);
    }
    if (self) {
        route_exit(self);
    }
}

/* Makes the exec, or returns -errno. `number` is SYS_execve or SYS_execveat. */
static long exec_image(int directory, const char *path, const char *checked, char *const *argv,
                       char *const *envp, int flags)
{
    struct environment environment;
    long result = exec_prepare(checked, true);

    if (result < 0) {
        return result;
    }
    if (route_in_spawned_child()) {
        environment = (struct environment){ (char **)(uintptr_t)envp, NULL, 0 };
    } else if (!environment_build(envp, &environment)) {
        return -ENOMEM;
    }
    exec_freeze(true);
    if (directory == AT_FDCWD && flags == 0) {
        result = RAW3(SYS_execve, path, argv, environment.vector);
    } else {
        result = RAW5(SYS_execveat, directory, path, argv, environment.vector, flags);
    }
    exec_freeze(false); /* it failed */
    environment_free(&environment);
    return result;
}

int wrap_execve(const char *path, char *const *argv, char *const *envp)
{
    return route_result(exec_image(AT_FDCWD, path, path, argv, envp, 0));
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
    return exec_image(AT_FDCWD, "/bin/sh", "/bin/sh", vector, envp, 0);
}

static long exec_or_shell(const char *path, char *const *argv, char *const *envp)
{
    long result = exec_image(AT_FDCWD, path, path, argv, envp, 0);

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

/* "/proc/self/fd/N" and, when there is one, "/path": what execveat's pair stands for. */
static const char *checked_path(char *ret_path, size_t room, int directory, const char *path)
{
    char *end;

    if (directory == AT_FDCWD || path[0] == '/') {
        return path;
    }
    end = put_decimal(stpcpy(ret_path, "/proc/self/fd/"), directory);
    if (path[0] != 0 && !join(ret_path, room, ret_path, (size_t)(end - ret_path), path)) {
        *end = 0;
    }
    return ret_path;
}

int wrap_execveat(int directory, const char *path, char *const *argv, char *const *envp, int flags)
{
    char checked[PATH_MAX];

    return route_result(exec_image(directory, path,
                                   checked_path(checked, sizeof checked, directory, path), argv,
                                   envp, flags));
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
