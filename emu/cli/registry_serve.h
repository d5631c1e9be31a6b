/*
 * registry_serve.h - a supervisor's own socket in the registry: answers whoever asks
 */
#ifndef CLI_REGISTRY_SERVE_H
#define CLI_REGISTRY_SERVE_H

#include "registry.h"

#define REGISTRY_CALLERS 16 /* connections at a time; others wait in the backlog */

/* Zero it, then registry_serve_open(). */
struct registry_serve {
    struct registry *registry;    /* NULL: this supervisor serves nobody */
    struct registry_answer facts; /* name, command: what is told to everybody */
    struct emu_hidden hidden;     /* the session's descriptors */
    uint64_t start_ns;            /* of the run */
    int listener;
    int set; /* epoll instance over the listener and the callers: the one to poll */
    int callers[REGISTRY_CALLERS]; /* -1: free */
};

/*
 * Makes the socket NAME.PID of this process, whole from the moment it is seen. `argv` is the run's
 * command.
 *
 * Returns 0 or -errno. After: serve->set is readable when registry_serve_step() has work.
 */
int registry_serve_open(struct registry_serve *serve, struct registry *registry, const char *name,
                        char *const *argv);

/*
 * Answers all that can be answered now; never blocks. Requires: an attached arena.
 *
 * Returns the connection of a caller who wants the run to end, which registry_serve_ended()
 * answers; -1: nobody does.
 */
int registry_serve_step(struct registry_serve *serve);

/* Tells who will be ended. The connection itself ends with this process. */
void registry_serve_ended(struct registry_serve *serve, int caller, const int32_t *pids,
                          size_t count);

/* Removes the socket. */
void registry_serve_close(struct registry_serve *serve);

#endif
