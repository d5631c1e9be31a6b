/*
 * man2_epoll.c - epoll_create(2), epoll_ctl(2), epoll_wait(2) and their kin
 *
 * Every instance made while there is a session is known to the emulator from its birth, for what is
 * added to it later may be emulated, and by another process. Like a pipe it begins a bare preload's
 * session. One that a harness makes is the kernel's: what is emulated goes native when it is added.
 */
#include "wrap.h"

#include "caller.h"

/* A new instance needs of this process what any emulated descriptor does. */
static int created(struct emu_task *self, int64_t result)
{
    if (result >= 0) {
        session_first_descriptor();
    }
    return (int)route_leave(self, result);
}

int epoll_create_from(int flags, const void *caller)
{
    bool ours = session_ensure() && !caller_left_alone(caller);
    struct emu_task *self = ours ? route_enter() : NULL;

    return self ? created(self, EMULATE(epoll_create1, flags))
                : (int)session_new_fd(PLAIN(RAW1(SYS_epoll_create1, flags)));
}

int wrap_epoll_create1(int flags)
{
    return epoll_create_from(flags, __builtin_return_address(0));
}

int wrap_epoll_create(int size)
{
    return size > 0 ? epoll_create_from(0, __builtin_return_address(0)) : route_error(-EINVAL);
}

int wrap_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    ROUTE(emu_fd_is_known(epoll) || emu_fd_is_emulated(fd),
          EMULATE(epoll_ctl, epoll, operation, fd, event),
          PLAIN(RAW4(SYS_epoll_ctl, epoll, operation, fd, event)));
}

int wrap_epoll_wait(int epoll, struct epoll_event *events, int max, int timeout_ms)
{
    bool known = emu_fd_is_known(epoll);

    if (known) {
        route_cancel_point();
    }
    ROUTE(known, EMULATE(epoll_wait, epoll, events, max, timeout_ms),
          NATIVE4(SYS_epoll_wait, epoll, events, max, timeout_ms));
}

int wrap_epoll_pwait(int epoll, struct epoll_event *events, int max, int timeout_ms,
                     const sigset_t *mask)
{
    bool known = emu_fd_is_known(epoll);

    if (known) {
        route_cancel_point();
    }
    ROUTE(known, EMULATE(epoll_pwait, epoll, events, max, timeout_ms, mask),
          NATIVE6(SYS_epoll_pwait, epoll, events, max, timeout_ms, mask, _NSIG / 8));
}

int wrap_epoll_pwait2(int epoll, struct epoll_event *events, int max,
                      const struct timespec *timeout, const sigset_t *mask)
{
    bool known = emu_fd_is_known(epoll);

    if (known) {
        route_cancel_point();
    }
    ROUTE(known, EMULATE(epoll_pwait2, epoll, events, max, timeout, mask),
          NATIVE6(SYS_epoll_pwait2, epoll, events, max, timeout, mask, _NSIG / 8));
}

#define SYMBOLS_EPOLL
#include "export.h"
