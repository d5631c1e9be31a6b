/*
 * man3_spawn.c - posix_spawn(3), system(3), and pthread_create(3)
 *
 * libc's posix_spawn runs its child in our memory (CLONE_VM), where it closes and copies
 * descriptors of its own. While the real function runs the thread is marked: what that child calls
 * is raw and touches no table (route_in_spawned_child). Descriptors that file actions copy lose
 * FD_CLOEXEC, so all of them are made ready, not only those that look inherited. A program that the
 * preload can't reach is seen by the child, at its exec, when all file actions are done; without
 * the net it is looked at here, before.
 */
#include "real.h"

#include "host.h"
#include "process.h"
#include "reach.h"
#include "reaper.h"

#include <string.h>

/* Set when a child may stand elsewhere than we when it looks for its program. */
static _Atomic bool moves_before_exec;

/* As exec_prepare(). */
static int prepare_spawn(const char *path)
{
    if (!process_check_namespace()) {
        return -EACCES;
    }
    if (shim.net) {
        return 0;
    }
    if (path[0] != '/' && atomic_load(&moves_before_exec)) {
        return exec_give_up(false);
    }
    return exec_prepare(AT_FDCWD, path, false);
}

bool spawn_begin(const char *path, char *const *envp, struct environment *ret_environment)
{
    struct emu_task *self;
    int rc;

    rc = prepare_spawn(path);
    if (!shim_thread.leaves) {
        reaper_ensure();
    }
    if (rc < 0) {
        route_error(rc);
        return false;
    }
    *ret_environment = (struct environment){ (char **)(uintptr_t)envp, NULL, 0 };
    if (environment_readable(envp) && !(rc > 0 ? environment_strip(envp, ret_environment)
                                               : environment_build(path, envp, ret_environment))) {
        shim_thread.leaves = false;
        route_error(-ENOMEM);
        return false;
    }
    self = session_attached() ? route_enter() : NULL;
    if (self) {
        emu_spawn_before(self);
        route_exit(self);
        shim_thread.spawned = -1;
        shim_thread.left = NULL;
        shim_thread.state = THREAD_SPAWNING;
    }
    return true;
}

void spawn_end(struct environment *environment, pid_t child)
{
    if (shim_thread.state == THREAD_SPAWNING) {
        struct emu_task *self;

        shim_thread.state = THREAD_OPEN; /* the call looks */
        self = route_enter();
        if (self) {
            emu_spawn_after(self, child);
            route_exit(self);
        }
        if (shim_thread.left) {
            host_memory_unmap(shim_thread.left, shim_thread.left_size);
            shim_thread.left = NULL;
        }
    }
    shim_thread.leaves = false;
    environment_free(environment);
}

/* `path` is what is looked at, `file` what libc gets: the same, or a name that it looks up. */
static int spawn(real_posix_spawn_t spawn_of_libc, pid_t *ret_pid, const char *path,
                 const char *file, const posix_spawn_file_actions_t *actions,
                 const posix_spawnattr_t *attributes, char *const *argv, char *const *envp)
{
    struct environment environment;
    int before = errno;
    pid_t child = -1;
    int result;

    if (!spawn_begin(path, envp, &environment)) {
        result = errno;
        errno = before;
        return result;
    }
    result = spawn_of_libc(&child, file, actions, attributes, argv, environment.vector);
    spawn_end(&environment, result == 0 ? child : -1);
    if (result == 0 && ret_pid) {
        *ret_pid = child;
    }
    return result;
}

int wrap_posix_spawn(pid_t *ret_pid, const char *path, const posix_spawn_file_actions_t *actions,
                     const posix_spawnattr_t *attributes, char *const *argv, char *const *envp)
{
    return spawn(real_posix_spawn(), ret_pid, path, path, actions, attributes, argv, envp);
}

int wrap_posix_spawnp(pid_t *ret_pid, const char *file, const posix_spawn_file_actions_t *actions,
                      const posix_spawnattr_t *attributes, char *const *argv, char *const *envp)
{
    char path[PATH_MAX];

    if (reach_find(file, environment_get(environ, "PATH"), path, sizeof path) < 0) {
        strcpy(path, "/"); /* nothing to look at: libc says why */
    }
    return spawn(real_posix_spawnp(), ret_pid, path, file, actions, attributes, argv, envp);
}

/*
 * closefrom takes the session's descriptors, too. With the net the child gets them back at its exec
 * (session_keep); else it opens them again, from us, who wait for its exec.
 */
int wrap_spawn_addclosefrom(posix_spawn_file_actions_t *actions, int first)
{
    int result = real_posix_spawn_file_actions_addclosefrom_np()(actions, first);

    for (int i = 0; i < 2 && result == 0 && !shim.net && session_ensure(); i++) {
        int fd = i == 0 ? shim.hidden.arena : shim.hidden.bell;
        char path[64] = "/proc/";

        put_decimal(stpcpy(put_decimal(path + strlen(path), RAW0(SYS_getpid)), "/fd/"), fd);
        if (fd >= first && RAW2(SYS_access, path, F_OK) == 0) {
            result = real_posix_spawn_file_actions_addopen()(actions, fd, path, O_RDWR | O_NONBLOCK,
                                                             0);
        }
    }
    return result;
}

int wrap_spawn_addchdir(posix_spawn_file_actions_t *actions, const char *path)
{
    atomic_store(&moves_before_exec, true);
    return real_posix_spawn_file_actions_addchdir_np()(actions, path);
}

int wrap_spawn_addfchdir(posix_spawn_file_actions_t *actions, int fd)
{
    atomic_store(&moves_before_exec, true);
    return real_posix_spawn_file_actions_addfchdir_np()(actions, fd);
}

/* What system() changes while its command runs: POSIX.1 system(), and its cancellation. */
struct system_state {
    struct sigaction interrupt;
    struct sigaction quit;
    sigset_t mask;
    pid_t child;
    int cancel_state;
};

static void system_restore(struct system_state *state)
{
    wrap_sigaction(SIGINT, &state->interrupt, NULL);
    wrap_sigaction(SIGQUIT, &state->quit, NULL);
    wrap_sigprocmask(SIG_SETMASK, &state->mask, NULL);
}

/* Spawns the shell; the child gets the caller's signals back. Returns an errno value. */
static int system_spawn(const char *command, struct system_state *state)
{
    char *argv[] = { (char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", (char *)(uintptr_t)command,
                     NULL };
    posix_spawnattr_t attributes;
    sigset_t defaults;
    int result;

    sigemptyset(&defaults);
    if (state->interrupt.sa_handler != SIG_IGN) {
        sigaddset(&defaults, SIGINT);
    }
    if (state->quit.sa_handler != SIG_IGN) {
        sigaddset(&defaults, SIGQUIT);
    }
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &state->mask);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    result = wrap_posix_spawn(&state->child, "/bin/sh", NULL, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    return result;
}

/* A cancelled system() takes its shell with it, as libc's does. */
static void system_cancelled(void *argument)
{
    struct system_state *state = argument;

    RAW2(SYS_kill, state->child, SIGKILL);
    while (RAW4(SYS_wait4, state->child, NULL, 0, NULL) == -EINTR) {
    }
    system_restore(state);
}

int wrap_system(const char *command)
{
    struct system_state state = { 0 };
    struct sigaction ignore;
    sigset_t block;
    int status = -1;
    int result;

    if (!command) {
        return 1;
    }
    memset(&ignore, 0, sizeof ignore);
    ignore.sa_handler = SIG_IGN;
    sigemptyset(&block);
    sigaddset(&block, SIGCHLD);
    wrap_sigaction(SIGINT, &ignore, &state.interrupt);
    wrap_sigaction(SIGQUIT, &ignore, &state.quit);
    wrap_sigprocmask(SIG_BLOCK, &block, &state.mask);
    result = system_spawn(command, &state);
    if (result != 0) {
        status = W_EXITCODE(127, 0); /* as if the shell had said so */
    } else {
        pid_t got;

        pthread_cleanup_push(system_cancelled, &state);
        do {
            got = wrap_waitpid(state.child, &status, 0);
        } while (got < 0 && errno == EINTR);
        pthread_cleanup_pop(0);
        if (got != state.child) {
            status = -1;
        }
    }
    system_restore(&state);
    if (result != 0) {
        route_error(-result);
    }
    return status;
}

/*
 * libc spawns a shell for each command in the words. Where the net is off the shell gets the
 * environment from here; words that assign variables ("${x:=y}") make a new one of it.
 */
int wrap_wordexp(const char *words, wordexp_t *ret_result, int flags)
{
    real_wordexp_t wordexp_of_libc = real_wordexp();
    struct environment environment;
    char **before = environ;
    int result;

    if ((flags & WRDE_NOCMD) || !spawn_begin("/bin/sh", environ, &environment)) {
        return wordexp_of_libc(words, ret_result, flags | WRDE_NOCMD);
    }
    if (!shim.net) {
        environ = environment.vector;
    }
    result = wordexp_of_libc(words, ret_result, flags);
    if (environ == environment.vector) {
        environ = before;
    } else if (environ != before) {
        environment.block = NULL; /* its strings are in use */
    }
    spawn_end(&environment, shim_thread.spawned);
    return result;
}

/* The net goes in while there is one thread: the last moment for it. */
int wrap_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attributes,
                        void *(*run)(void *), void *argument)
{
    if (__libc_single_threaded && atomic_load(&shim.state) != SHIM_BOOT) {
        net_install();
    }
    return real_pthread_create()(ret_thread, attributes, run, argument);
}

#define SYMBOLS_SPAWN
#include "export.h"
