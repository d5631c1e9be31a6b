/*
 * man2_pipe.c - pipe(2), pipe2(2)
 *
 * Where a bare preload's session begins: the first pipe makes it.
 */
#include "wrap.h"

#include "caller.h"

/* After a creating call: what an emulated descriptor needs in this process. */
static long created(struct emu_task *self, const int fds[2], int64_t result)
{
    if (result >= 0) {
        session_first_descriptor();
        net_give_if_standard(fds[0], fds[0]);
        if (EMU_UNLIKELY(shim_thread.state == THREAD_SPAWNING)) {
            emu_spawn_after(self, -1); /* popen's own pipe: its child inherits that, too */
            emu_spawn_before(self);
        }
    }
    return route_leave(self, result);
}

static int native_pipe(int fds[2], int flags)
{
    int result = PLAIN(RAW2(SYS_pipe2, fds, flags));

    if (result == 0) {
        session_new_fd(fds[0]);
        session_new_fd(fds[1]);
    }
    return result;
}

int pipe_from(int fds[2], int flags, const void *caller)
{
    bool ours = session_ensure() && !caller_left_alone(caller);
    struct emu_task *self = ours ? route_enter_from(caller) : NULL;

    if (self) {
        int64_t result = EMULATE_FROM(caller, pipe2, fds, flags);

        if (result != EMU_NATIVE) {
            return created(self, fds, result);
        }
        route_exit(self);
    }
    return native_pipe(fds, flags);
}

int wrap_pipe2(int fds[2], int flags)
{
    return pipe_from(fds, flags, __builtin_return_address(0));
}

int wrap_pipe(int fds[2])
{
    return pipe_from(fds, 0, __builtin_return_address(0));
}

#define SYMBOLS_PIPE
#include "export.h"
