/*
 * registry.h - this user's sessions: a folder of sockets, one for each supervisor
 *
 * Every `sockrig run` that supervises serves a socket NAME.PID in a folder that belongs to the user
 * alone: $XDG_RUNTIME_DIR/sockrig, or /tmp/sockrig-UID. A session exists while one of its
 * supervisors answers; a socket that nobody listens on is removed on sight, so what was killed
 * leaves nothing to clean up. A connection carries one request and one answer, each a record.
 *
 * Invariants: who answers and who asks have the same user (SO_PEERCRED on both sides). Making,
 * joining and removing of sockets that others could take for stale happen under the folder's lock,
 * so two terminals that start the same session at the same time meet. Nobody waits without a limit.
 *
 * All of it goes to the kernel past the preloaded library: a `sockrig` that is itself a guest must
 * reach the real sockets.
 */
#ifndef CLI_REGISTRY_H
#define CLI_REGISTRY_H

#include <linux/limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "emu.h"

#include "session_name.h"

/* ---- Folder ---- */

struct registry {
    int folder; /* descriptor of the folder, close-on-exec; -1: there is none */
    bool locked;
    char path[PATH_MAX]; /* as messages show it */
};

/*
 * Opens the folder, and makes it if it isn't there and `make`. A symbolic link, somebody else's
 * folder, and one that others may enter aren't used.
 *
 * Returns 0; -ENOENT: there is none (without `make`); -EPERM: it isn't private; else -errno.
 *         ret_registry->path tells which in every case.
 */
int registry_open(struct registry *ret_registry, bool make);

/* Closes it, and gives the lock back. */
void registry_close(struct registry *registry);

/* Takes the folder's lock. Returns 0, or -ETIMEDOUT after some seconds. Blocks. */
int registry_lock(struct registry *registry);

/* Takes it if it is free. */
bool registry_try_lock(struct registry *registry);
void registry_unlock(struct registry *registry);

/* ---- What is in it ---- */

struct registry_entry {
    char name[SESSION_NAME_SIZE]; /* of the session */
    int32_t pid;                  /* of the supervisor, as the file's name says */
};

#define REGISTRY_MAX 1024 /* supervisors that are looked at */

/*
 * Lists the sockets of the session `name` (NULL: of all), by name and pid. They may be stale.
 * Returns their number, at most `max`.
 */
size_t registry_list(const struct registry *registry, const char *name,
                     struct registry_entry *ret_entries, size_t max);

/* Removes the sockets that nobody listens on. Requires: the lock. */
void registry_remove_stale(const struct registry *registry);

/* ---- Asking a supervisor ---- */

enum registry_ask {
    REGISTRY_INFO,     /* who are you? */
    REGISTRY_JOIN,     /* ... and give me the session's descriptors */
    REGISTRY_LISTENER, /* does somebody listen on vsock cid:port? */
    REGISTRY_END,      /* end your processes; the connection ends when that is done */
};

struct registry_request {
    char magic[8]; /* "sockrig" */
    uint32_t size; /* of this struct: builds that differ are told so */
    uint32_t ask;  /* enum registry_ask */
    uint32_t cid;
    uint32_t port;
};

#define REGISTRY_COMMAND 200 /* bytes of a command line that are told */
#define REGISTRY_ENDED   32  /* processes that are named; more are counted */

struct registry_answer {
    char magic[8];
    uint32_t size;
    uint32_t members;               /* of the session */
    int32_t supervisor;             /* its pid */
    uint32_t listens;               /* REGISTRY_LISTENER: 1, 0 */
    uint64_t age_ns;                /* of the run */
    struct emu_hidden hidden;       /* REGISTRY_JOIN: numbers of the descriptors in every member */
    char name[SESSION_NAME_SIZE];   /* of the session */
    char command[REGISTRY_COMMAND]; /* of the run */
    uint32_t ended;                 /* REGISTRY_END: how many processes will be ended, */
    int32_t ended_pids[REGISTRY_ENDED]; /* ... and the first of them */
    char ended_names[REGISTRY_ENDED][16];
};

/* One connection to a supervisor. */
struct registry_call {
    int socket;
    int32_t peer; /* pid of who listens */
    int fds[2];   /* REGISTRY_JOIN: arena and bell; else -1 */
    struct registry_answer answer;
};

/*
 * Connects to the supervisor and sends it the request. Doesn't wait.
 *
 * Returns 0; -ECONNREFUSED: nobody listens (stale); -ENOENT: it is gone; -EPERM: another user has
 *         it; -EAGAIN: too many wait there; else -errno.
 */
int registry_ask(const struct registry *registry, const struct registry_entry *entry,
                 const struct registry_request *request, struct registry_call *ret_call);

/*
 * Waits for the answer.
 *
 * Returns 0; -ETIMEDOUT; -ECONNRESET: it ended before it answered; -EPROTO: another version of
 *         sockrig; else -errno. After: call->answer holds it.
 */
int registry_wait(struct registry_call *call, int limit_ms);

/* Waits until the other side is gone. Returns 0 or -ETIMEDOUT. */
int registry_wait_end(struct registry_call *call, int limit_ms);

void registry_hang_up(struct registry_call *call);

/* A request of this build. */
struct registry_request registry_request(enum registry_ask ask);

#endif
