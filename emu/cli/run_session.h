/*
 * run_session.h - the session that a run is in: made, joined, or the one around it
 */
#ifndef CLI_RUN_SESSION_H
#define CLI_RUN_SESSION_H

#include "options.h"
#include "registry.h"
#include "registry_serve.h"

/* Zero it, then run_session_open(). */
struct run_session {
    char name[SESSION_NAME_SIZE]; /* "" when nobody else can find the session */
    bool joined;                  /* it was there before us */
    struct registry registry;
    struct registry_serve serve;
};

/*
 * Makes a session, or joins the one that options->session names: its arena is attached, its
 * descriptors stand at their numbers, and others can find it. A private session works without that.
 *
 * Returns 0, or the exit code of a failure that was said. After: options->emu is the session's.
 */
int run_session_open(struct run_session *session, struct run_options *options);

/* Others don't find this supervisor any more. */
void run_session_close(struct run_session *session);

/*
 * Pids of the other supervisors of this session, at most `max`. Returns their number. Some may be
 * gone.
 */
size_t run_session_others(const struct run_session *session, int32_t *ret_pids, size_t max);

/* ---- Inside a session ---- */

/* Attaches the session that SOCKRIG_ARENA names. False: there is none. */
bool run_session_enclosing(void);

/* True when the session of this name is the attached one. */
bool run_session_is_attached(const char *name);

/* Takes the library out of LD_PRELOAD, under whatever path it stands there. 0, or -1. */
int run_forget_library(const char *library);

/*
 * Becomes a `sockrig` outside of every session, with the same arguments: what it inherits is handed
 * to the kernel first. argv[0] is "run". Returns the exit code of a failure that was said.
 */
int run_session_leave(const char *library, char *const *argv);

#endif
