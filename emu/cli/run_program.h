/*
 * run_program.h - finding PROG and starting it
 */
#ifndef CLI_RUN_PROGRAM_H
#define CLI_RUN_PROGRAM_H

#include <signal.h>
#include <stddef.h>
#include <sys/types.h>

#include "emu.h"

#define EXIT_TIME_UP        124 /* as timeout(1) */
#define EXIT_OWN_FAILURE    125 /* of sockrig itself: coreutils' numbers, see env(1) */
#define EXIT_CANNOT_EXECUTE 126
#define EXIT_NOT_FOUND      127

/*
 * Finds `name` as execvp(3) does: a path as it stands, else the first executable file in $PATH.
 *
 * Returns 0, or a positive errno (ENOENT; EACCES: found, but not executable), with ret_path, of
 *         PATH_MAX bytes, unspecified.
 */
int run_program_find(const char *name, char *ret_path);

/* Exit code that coreutils give for an errno of exec. */
int run_program_exit_code(int error);

/*
 * Puts the library in front of LD_PRELOAD (unless it stands there already) and, with arena >= 0,
 * the session's descriptor into SOCKRIG_ARENA: for PROG and all below it.
 *
 * Returns 0 or a positive errno.
 */
int run_program_set_environment(const char *library, int arena);

/* What the child gets back before it becomes PROG: as it was when sockrig started. */
struct run_inherited {
    sigset_t mask;
    struct sigaction child_action;     /* SIGCHLD's */
    const struct emu_options *sandbox; /* --sandbox: the options that open it; NULL: none */
};

/*
 * Forks and starts the program at `path`.
 *
 * Returns its pid (>= 0), or -errno: fork's or exec's (no child is left then).
 */
pid_t run_program_start(const char *path, char **argv, const struct run_inherited *inherited);

#endif
