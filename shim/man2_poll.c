/*
 * man2_poll.c - poll(2), select(2) and their kin
 *
 * A process that never had an emulated descriptor goes straight to the kernel. Otherwise the core
 * looks at the set, and answers EMU_NATIVE when none of it is emulated.
 */
#include "wrap.h"

int wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    if (shim.emulates) {
        route_cancel_point();
    }
    ROUTE(shim.emulates, EMULATE(poll, fds, count, timeout_ms),
          NATIVE3(SYS_poll, fds, count, timeout_ms));
}

int wrap_poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t room)
{
    if (room / sizeof *fds < count) {
        __chk_fail();
    }
    return wrap_poll(fds, count, timeout_ms);
}

/* The kernel writes the time that is left into its argument; libc hides that. */
static int native_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                        const sigset_t *mask)
{
    struct timespec copy;

    if (timeout) {
        copy = *timeout;
    }
    return NATIVE5(SYS_ppoll, fds, count, timeout ? &copy : NULL, mask, _NSIG / 8);
}

int wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
               const sigset_t *mask)
{
    if (shim.emulates) {
        route_cancel_point();
    }
    ROUTE(shim.emulates, EMULATE(ppoll, fds, count, timeout, mask),
          native_ppoll(fds, count, timeout, mask));
}

int wrap_ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                   const sigset_t *mask, size_t room)
{
    if (room / sizeof *fds < count) {
        __chk_fail();
    }
    return wrap_ppoll(fds, count, timeout, mask);
}

int wrap_select(int count, fd_set *readable, fd_set *writable, fd_set *except,
                struct timeval *timeout)
{
    if (shim.emulates) {
        route_cancel_point();
    }
    ROUTE(shim.emulates, EMULATE(select, count, readable, writable, except, timeout),
          NATIVE5(SYS_select, count, readable, writable, except, timeout));
}

static int native_pselect(int count, fd_set *readable, fd_set *writable, fd_set *except,
                          const struct timespec *timeout, const sigset_t *mask)
{
    struct {
        const sigset_t *mask;
        size_t size;
    } packed = { mask, _NSIG / 8 };
    struct timespec copy;

    if (timeout) {
        copy = *timeout;
    }
    return NATIVE6(SYS_pselect6, count, readable, writable, except, timeout ? &copy : NULL,
                   &packed);
}

int wrap_pselect(int count, fd_set *readable, fd_set *writable, fd_set *except,
                 const struct timespec *timeout, const sigset_t *mask)
{
    if (shim.emulates) {
        route_cancel_point();
    }
    ROUTE(shim.emulates, EMULATE(pselect, count, readable, writable, except, timeout, mask),
          native_pselect(count, readable, writable, except, timeout, mask));
}

#define SYMBOLS_POLL
#include "export.h"
