/*
 * notify.h - `--notify`: `sockrig run` plays the service manager for systemd's notify protocol
 *
 *     run ---- forks ----> manager ---- helper_start() ----> listener
 *      |                      | prints, relays, --on-ready      | a guest of the session, on vsock
 *      +-- PROG               |<---------- messages ------------+
 *
 * The listener must be a guest, for that is what PROG talks to. The manager must not be one: its
 * datagrams to the outer manager and the command of --on-ready are none of the session's business,
 * and what a guest executes is a guest again.
 */
#ifndef CLI_NOTIFY_NOTIFY_H
#define CLI_NOTIFY_NOTIFY_H

#include <sys/types.h>

#include "helper.h"
#include "options.h"
#include "run_program.h"

struct notify_request {
    const char *form;     /* "vsock", "vsock-stream" or "vsock-seqpacket" */
    const char *on_ready; /* a command for sh -c; NULL: none */
    const char *library;  /* the preload, as it was put into LD_PRELOAD */
    const struct run_inherited *inherited;
};

struct notify {
    pid_t manager; /* 0: not asked for, or over */
    int pidfd;     /* of it */
    int stop;      /* our end of the pipe that ends it */
    pid_t listener;
};

/*
 * Starts both, and puts NOTIFY_SOCKET and CREDENTIALS_DIRECTORY into the environment.
 *
 * Requires: as helper_start().
 * Returns 0; or EXIT_OWN_FAILURE with the reason in ret_message, of HELPER_MESSAGE bytes.
 */
int notify_start(const struct notify_request *request, struct notify *ret_notify,
                 char *ret_message);

/*
 * Tells the manager to end when all that was sent before has been dealt with, and the command of
 * --on-ready has ended; doesn't wait for that. Returns its pidfd; -1: there is none.
 */
int notify_finish(struct notify *notify);

/* Tells it to end at once, and the command too; doesn't wait. */
void notify_hurry(struct notify *notify);

/*
 * Waits until both have ended, as they were told; in order if they weren't.
 *
 * Returns false when one failed; the manager said why, unless it was killed. True also when there
 * is none.
 */
bool notify_end(struct notify *notify);

#endif
