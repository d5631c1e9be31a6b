/*
 * man2_pipe.c - pipe(2), pipe2(2)
 *
 * Where a bare preload's session begins: the first pipe makes it.
 */
#include "wrap.h"

/* After a creating call: what an emulated descriptor needs in this process. */
static long created(struct emu_task *self, int64_t result)
{
    if (result >= 0) {
        session_first_descriptor();
        if (EMU_UNLIKELY(shim_thread.state == THREAD_SPAWNING)) {
            emu_spawn_after(self, -1); /* popen's own pipe: its child inherits that, too */
            emu_spawn_before(self);
        }
    }
    return route_leave(self, result);
}

int wrap_pipe2(int fds[2], int flags)
{
    struct emu_task *self = session_ensure() ? route_enter_from(__builtin_return_address(0)) : NULL;

    if (self) {
        int64_t result = emu_pipe2(self, fds, flags);

        if (result != EMU_NATIVE) {
            return created(self, result);
        }
        route_exit(self);
    }
    return PLAIN(RAW2(SYS_pipe2, fds, flags));
}

int wrap_pipe(int fds[2])
{
    struct emu_task *self = session_ensure() ? route_enter_from(__builtin_return_address(0)) : NULL;

    if (self) {
        int64_t result = emu_pipe(self, fds);

        if (result != EMU_NATIVE) {
            return created(self, result);
        }
        route_exit(self);
    }
    return PLAIN(RAW1(SYS_pipe, fds));
}

#define SYMBOLS_PIPE
#include "export.h"
