/*
 * init.c - the constructor: from here on the shim is more than raw system calls
 *
 * Cheap on purpose (ARCHITECTURE, "Start-up is page faults"): no symbol is looked up, nothing is
 * allocated. Under `sockrig run`, and in an image that one of us has exec'd, the arena is attached
 * and the table rebuilt from what the kernel shows; otherwise nothing happens until the first pipe.
 */
#include "finding.h"
#include "process.h"
#include "route.h"
#include "shim.h"

#include <string.h>

/* "FD,PID" or "FD,PID,bare". Returns false when it is neither. */
static bool parse_arena(const char *value, int *ret_fd, int *ret_owner, bool *ret_bare)
{
    long numbers[2] = { 0, 0 };
    const char *at = value;

    for (int i = 0; i < 2; i++) {
        const char *start = at;

        for (; *at >= '0' && *at <= '9' && numbers[i] < INT_MAX / 10; at++) {
            numbers[i] = numbers[i] * 10 + (*at - '0');
        }
        if (at == start || (i == 0 && *at++ != ',')) {
            return false;
        }
    }
    *ret_fd = (int)numbers[0];
    *ret_owner = (int)numbers[1];
    *ret_bare = strcmp(at, ",bare") == 0;
    return true;
}

/* A relative name in LD_PRELOAD holds only until the program changes its directory. */
static void note_library(char *const *environment)
{
    const char *list = environment_get(environment, "LD_PRELOAD");

    if (list && list[0] != '/' && strchr(list, '/')) {
        environment_library();
    }
}

static void attach(const char *value)
{
    int fd;
    int owner;
    int found;
    bool bare;

    if (!value || !parse_arena(value, &fd, &owner, &bare)) {
        return;
    }
    found = session_attach(fd, owner);
    if (found < 0) {
        return;
    }
    shim.bare = bare;
    shim.owner = bare ? 0 : owner;
    net_start();
    if (found > 0) {
        session_first_descriptor();
    }
}

__attribute__((constructor)) static void start(int argc, char **argv, char **environment)
{
    (void)argc;
    (void)argv;
    shim.bare = true;
    shim.options = environment_get(environment, "SOCKRIG_OPTIONS");
    shim.process.pid = (int32_t)RAW0(SYS_getpid);
    note_library(environment);
    process_watch_forks();
    atomic_store(&shim.state, SHIM_READY);
    attach(environment_get(environment, "SOCKRIG_ARENA"));
    net_start();
}

__attribute__((destructor)) static void end(void)
{
    struct emu_task *self;

    if (!shim.bare || !session_attached()) {
        return;
    }
    self = shim.tracks ? route_enter() : NULL;
    if (self) {
        emu_track_exit(self);
        route_exit(self);
    }
    report_write();
}
