/*
 * helper.h - processes of sockrig's own that stand in the session beside PROG
 *
 * A helper is this same command with an internal subcommand (`sockrig gateway ...`), preloaded and
 * in the session like any guest. It is started before PROG, says once that it is ready (or why it
 * can't be), and ends when it is told to, or when its supervisor is gone.
 *
 *     the supervisor                     the helper
 *     helper_start()  -- fork, exec -->  its subcommand's main
 *                     <-- one line ----  helper_ready() or helper_refuse()
 *     helper_end()    -- one byte ---->  HELPER_LIFELINE_FD becomes readable: helper_told()
 *     dies            -- hang-up ----->  the same, and SIGTERM
 */
#ifndef CLI_HELPER_H
#define CLI_HELPER_H

#include <stdbool.h>
#include <sys/types.h>

#include "emu.h"
#include "run_program.h"

#define HELPER_MAX     16   /* of one run */
#define HELPER_MESSAGE 1024 /* room for what a helper says */

struct helper {
    pid_t pid;
    int lifeline;     /* our end: what is written here tells it to end */
    const char *name; /* for messages: its subcommand; lives as long as the command did */
};

struct helper_command {
    const char *const *arguments;   /* argv: "sockrig", the subcommand, ..., NULL */
    const char *const *environment; /* over PROG's: "NAME=value" sets, "NAME" removes; NULL ends */
    int input;                      /* its standard input and output; < 0: /dev/null */
    int output;
};

/*
 * Starts a helper and waits until it is ready. It has our working directory and umask, of our
 * descriptors only those named here, stderr and the session's, a process group of its own (what the
 * terminal sends is for PROG), and `inherited`'s signal mask. The caller, which may be a fork of
 * the supervisor, is the one whose death ends it.
 *
 * Requires: run_program_set_environment() was called, and the session has its watcher.
 * Returns 0, with what came after the word in ret_message ("" for most); or EXIT_OWN_FAILURE, with
 *         the reason there, and nothing is left running. ret_message holds HELPER_MESSAGE bytes.
 */
int helper_start(const struct helper_command *command, const struct run_inherited *inherited,
                 struct helper *ret_helper, char *ret_message);

/*
 * Tells a helper to end, waits for it (bounded: then it is killed), reaps it and, with `self` (not
 * NULL), sweeps it.
 *
 * Returns its wait status; -1: it was reaped by somebody else.
 */
int helper_end(struct helper *helper, struct emu_task *self);

/* ---- In the helper ---- */

#define HELPER_READY_FD    3 /* where helper_ready() writes; closed by it */
#define HELPER_LIFELINE_FD 4 /* for poll: readable (or hung up) when it is time to end */

/* Checks that helper_start() started us, by the kinds of its descriptors. */
bool helper_was_started(void);

/* Says that we are ready; `text`, without newlines, gets to helper_start()'s caller. */
void helper_ready(const char *text);

/* Says why we can't be. Returns EXIT_OWN_FAILURE, for main to return. */
__attribute__((format(printf, 1, 2))) int helper_refuse(const char *format, ...);

/* HELPER_LIFELINE_FD is readable. True: end in order. False: the supervisor is gone, end at once.
 */
bool helper_told(void);

#endif
