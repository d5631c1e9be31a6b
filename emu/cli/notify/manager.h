/*
 * manager.h - the process that plays the service manager for `sockrig run --notify`
 */
#ifndef CLI_NOTIFY_MANAGER_H
#define CLI_NOTIFY_MANAGER_H

#include <stdbool.h>
#include <stdint.h>

#include "notify/credential.h"
#include "notify/notify.h"

/* What `stop` carries. Its end means the first. */
#define STOP_IN_ORDER "e"
#define STOP_AT_ONCE  "k"

/* What the manager says of its start, through a pipe. */
struct manager_answer {
    bool ready;
    pid_t listener;
    char socket[64]; /* for $NOTIFY_SOCKET */
    char credentials[CREDENTIAL_PATH_MAX];
    char reason[512]; /* when it isn't ready */
};

/*
 * Starts the listener, answers on `answer`, and does a manager's work until `stop` tells it to end.
 *
 * Requires: to be a process of its own, a fork of the supervisor with the environment that PROG
 *           gets, but for what --notify adds to it.
 * Returns the exit code.
 */
int notify_manager_main(const struct notify_request *request, int stop, int answer);

#endif
