/*
 * run_program.c - finding PROG and starting it
 *
 * The child between fork and exec undoes what `run` did to its own process (signal mask, SIGCHLD),
 * and reports a failed exec through a close-on-exec pipe, so that the parent knows for sure whether
 * PROG ever ran.
 */
#include "run_program.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reach.h"
#include "run_session.h"
#include "sandbox.h"
#include "sanitizer.h"

int run_program_find(const char *name, char *ret_path)
{
    char found[PATH_MAX];
    const int error = -reach_find(name, getenv("PATH"), found, sizeof found);

    if (error != 0)
        return error;
    /* A name without a slash would be looked for in $PATH again by execvp. */
    const char *prefix = strchr(found, '/') == NULL ? "./" : "";
    if ((size_t)snprintf(ret_path, PATH_MAX, "%s%s", prefix, found) >= PATH_MAX)
        return ENAMETOOLONG;
    return 0;
}

int run_program_exit_code(int error)
{
    return error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_EXECUTE;
}

/* True when `library` is one of the names in LD_PRELOAD's value (ld.so(8): blanks and colons). */
static bool stands_in(const char *preload, const char *library)
{
    const size_t length = strlen(library);

    for (const char *name = preload; *name != '\0';) {
        const size_t name_length = strcspn(name, ": ");

        if (name_length == length && strncmp(name, library, length) == 0)
            return true;
        name += name_length;
        name += strspn(name, ": ");
    }
    return false;
}

/*
 * gcc's shared AddressSanitizer wants to be the first library and ends programs when it isn't. We
 * put it there (sanitizer.h), and so does the preloaded library for what PROG starts; what a static
 * program starts has us first.
 */
static int allow_sanitizer(void)
{
    static const char option[] = "verify_asan_link_order=0";
    const char *options = getenv("ASAN_OPTIONS");
    char *value = NULL;

    if (options == NULL || *options == '\0')
        return setenv("ASAN_OPTIONS", option, 1) == 0 ? 0 : errno;
    if (strstr(options, "verify_asan_link_order") != NULL)
        return 0;
    if (asprintf(&value, "%s:%s", option, options) < 0)
        return ENOMEM;
    const int result = setenv("ASAN_OPTIONS", value, 1) == 0 ? 0 : errno;
    free(value);
    return result;
}

/* Ours in front of the user's; but a sanitizer's library that the user preloads stays the first. */
static char *preload_value(const char *preload, const char *library)
{
    const size_t first = strcspn(preload, ": ");
    char *value = NULL;
    const int size = sanitizer_is_library(preload, first)
                         ? asprintf(&value, "%.*s:%s%s", (int)first, preload, library,
                                    preload + first)
                         : asprintf(&value, "%s:%s", library, preload);

    return size < 0 ? NULL : value;
}

int run_program_set_environment(const char *library, int arena)
{
    const char *preload = getenv("LD_PRELOAD");
    const int allowed = allow_sanitizer();
    char place[32];
    char *value = NULL;

    if (allowed != 0)
        return allowed;

    snprintf(place, sizeof place, "%d,%d", arena, getpid());
    if (arena >= 0 && setenv("SOCKRIG_ARENA", place, 1) != 0)
        return errno;
    if (preload == NULL || *preload == '\0')
        return setenv("LD_PRELOAD", library, 1) == 0 ? 0 : errno;
    if (stands_in(preload, library))
        return 0;
    value = preload_value(preload, library);
    if (value == NULL)
        return ENOMEM;
    const int result = setenv("LD_PRELOAD", value, 1) == 0 ? 0 : errno;
    free(value);
    return result;
}

/* The sanitizer's library of the program at `path` comes before ours, for this program alone. */
static int put_sanitizer_first(const char *path)
{
    const char *preload = getenv("LD_PRELOAD");
    char name[SANITIZER_NAME_SIZE];
    char *value = NULL;

    unsetenv("SOCKRIG_RUNTIME");
    if (preload == NULL || !sanitizer_of_program(path, name) ||
        sanitizer_is_library(preload, strcspn(preload, ": ")))
        return 0;
    if (asprintf(&value, "%s:%s", name, preload) < 0)
        return ENOMEM;
    const bool done = setenv("LD_PRELOAD", value, 1) == 0 &&
                      setenv("SOCKRIG_RUNTIME", name, 1) == 0;
    free(value);
    return done ? 0 : ENOMEM;
}

/* With --allow-native: a loader of another libc or architecture would stumble over the library. */
static int prepare_preload(const char *path)
{
    const enum reach_verdict verdict = reach_check(AT_FDCWD, path, NULL, 0);

    if (verdict == REACH_CLASS || verdict == REACH_LIBC)
        return run_forget_library("libsockrig.so") == 0 ? 0 : ENOMEM;
    return put_sanitizer_first(path);
}

/* In the child. Never returns. */
static void become(const char *path, char **argv, const struct run_inherited *inherited,
                   int error_pipe)
{
    int error = 0;

    sigaction(SIGCHLD, &inherited->child_action, NULL);
    sigprocmask(SIG_SETMASK, &inherited->mask, NULL);
    error = prepare_preload(path);
    if (error == 0 && inherited->sandbox != NULL)
        error = sandbox_install(inherited->sandbox);
    if (error == 0) {
        execvp(path, argv); /* a path, but a text file without #! is a script as everywhere */
        error = errno;
    }
    if (write(error_pipe, &error, sizeof error) != sizeof error)
        _exit(EXIT_OWN_FAILURE);
    _exit(run_program_exit_code(error));
}

pid_t run_program_start(const char *path, char **argv, const struct run_inherited *inherited)
{
    int error_pipe[2];
    int error = 0;

    if (pipe2(error_pipe, O_CLOEXEC) != 0)
        return -errno;
    const pid_t child = fork();
    if (child < 0) {
        error = errno;
        close(error_pipe[0]);
        close(error_pipe[1]);
        return -error;
    }
    if (child == 0)
        become(path, argv, inherited, error_pipe[1]);

    close(error_pipe[1]);
    const ssize_t size = read(error_pipe[0], &error, sizeof error); /* all signals are blocked */
    close(error_pipe[0]);
    if (size != sizeof error)
        return child;
    waitpid(child, NULL, 0);
    return -error;
}
