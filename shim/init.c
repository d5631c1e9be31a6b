/*
 * init.c - the constructor: from here on the shim is more than raw system calls
 *
 * Cheap on purpose (DESIGN 9): no symbol is looked up, nothing is allocated. Under `sockrig run`,
 * and in an image that one of us has exec'd, the arena is attached and the table rebuilt from what
 * the kernel shows; otherwise nothing happens until the first pipe.
 */
#include "process.h"
#include "route.h"
#include "shim.h"

#include <string.h>

/* "FD" or "FD,PID". Returns false when it is neither. */
static bool parse_arena(const char *value, int *ret_fd, int *ret_owner)
{
    long numbers[2] = {0, 0};
    int count = 0;

    for (const char *at = value; count < 2; at++) {
        if (*at >= '0' && *at <= '9' && numbers[count] < INT_MAX / 10) {
            numbers[count] = numbers[count] * 10 + (*at - '0');
        } else if (*at == ',' && count == 0 && at > value) {
            count = 1;
        } else if (*at == 0 && at > value) {
            break;
        } else {
            return false;
        }
    }
    *ret_fd = (int)numbers[0];
    *ret_owner = (int)numbers[1];
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

    if (!value || !parse_arena(value, &fd, &owner) || !session_attach(fd, owner)) {
        return;
    }
    shim.bare = false;
    {
        struct emu_task *self = route_enter();
        int found = 0;

        if (self) {
            found = emu_process_rebuild(self);
            route_exit(self);
        }
        if (found > 0) {
            session_first_descriptor();
        }
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
}

__attribute__((destructor)) static void end(void)
{
    if (shim.bare && session_attached()) {
        report_write();
    }
}
