/*
 * man2_syscall.c - syscall(2) for the numbers that matter (syscalls.def)
 *
 * The entry is syscall_entry.S. A raw call differs from libc's function of that name in places:
 * ppoll and pselect6 write back the time that is left, fcntl knows F_GETOWN, sigaction has the
 * kernel's layout. Those calls are adapted here. clone and clone3 are man2_clone.c's.
 */
#include "wrap.h"

#include "signal.h"

#include <string.h>
#include <sys/select.h>

/* From syscall_entry.S: a result to be turned into errno. */
long syscall_failed(long negative_errno);

#define CALL_BY_NUMBER(number, expression) [number] = 1,
const unsigned char syscall_wanted[SYSCALL_NUMBERS] = {
#define SECTION_RW
#define SECTION_FD
#define SECTION_SOCKET
#define SECTION_PROC
#include "syscalls.def"
#undef SECTION_RW
#undef SECTION_FD
#undef SECTION_SOCKET
#undef SECTION_PROC
};
#undef CALL_BY_NUMBER

long syscall_failed(long negative_errno)
{
    return route_error(negative_errno);
}

/*
 * The kernel's timeout becomes what was left of it; wrap_ppoll() leaves it alone, which no caller
 * can tell from a call that ended at once, except by measuring.
 */
static long by_number_ppoll(struct pollfd *fds, nfds_t count, struct timespec *timeout,
                            const sigset_t *mask, size_t size)
{
    if (!shim.emulates || (mask && size != _NSIG / 8)) {
        return NATIVE5(SYS_ppoll, fds, count, timeout, mask, size);
    }
    return wrap_ppoll(fds, count, timeout, mask);
}

static long by_number_pselect(int count, fd_set *readable, fd_set *writable, fd_set *except,
                              struct timespec *timeout, const void *packed)
{
    struct {
        const sigset_t *mask;
        size_t size;
    } mask = { NULL, 0 };

    if (packed) {
        memcpy(&mask, packed, sizeof mask);
    }
    if (!shim.emulates || (mask.mask && mask.size != _NSIG / 8)) {
        return NATIVE6(SYS_pselect6, count, readable, writable, except, timeout, packed);
    }
    return wrap_pselect(count, readable, writable, except, timeout, mask.mask);
}

static long by_number_sigtimedwait(const sigset_t *set, siginfo_t *info,
                                   const struct timespec *timeout, size_t size)
{
    if (size != _NSIG / 8) {
        return NATIVE4(SYS_rt_sigtimedwait, set, info, timeout, size);
    }
    return wrap_sigtimedwait(set, info, timeout);
}

static long by_number_epoll_pwait(int epoll, struct epoll_event *events, int max, int timeout_ms,
                                  const sigset_t *mask, size_t size)
{
    if (mask && size != _NSIG / 8) {
        return NATIVE6(SYS_epoll_pwait, epoll, events, max, timeout_ms, mask, size);
    }
    return wrap_epoll_pwait(epoll, events, max, timeout_ms, mask);
}

static long by_number_epoll_pwait2(int epoll, struct epoll_event *events, int max,
                                   const struct timespec *timeout, const sigset_t *mask,
                                   size_t size)
{
    if (mask && size != _NSIG / 8) {
        return NATIVE6(SYS_epoll_pwait2, epoll, events, max, timeout, mask, size);
    }
    return wrap_epoll_pwait2(epoll, events, max, timeout, mask);
}

static long by_number_fcntl(int fd, int command, unsigned long argument)
{
    if (command == F_GETOWN) {
        return PLAIN(RAW3(SYS_fcntl, fd, command, argument));
    }
    return wrap_fcntl_word(fd, command, argument);
}

static long by_number_openat2(int directory, const char *path, struct open_how *how, size_t size)
{
    const char *instead = open_prepare(directory, path);

    if (instead) {
        return device_place(PLAIN(RAW4(SYS_openat2, AT_FDCWD, instead, how, size)));
    }
    return session_new_fd(NATIVE4(SYS_openat2, directory, path, how, size));
}

/* The size is looked at first, like in the kernel. */
static long by_number_sigprocmask(int how, const sigset_t *set, sigset_t *ret_old, size_t size)
{
    return size == _NSIG / 8 ? wrap_sigprocmask(how, set, ret_old) : route_error(-EINVAL);
}

static long by_number_exit(int status)
{
    wrap_exit_now(status);
    return 0;
}

static long by_number_waitid(int type, id_t id, siginfo_t *info, int options, void *usage)
{
    if (usage) {
        return NATIVE5(SYS_waitid, type, id, info, options, usage);
    }
    return wrap_waitid((idtype_t)type, id, info, options);
}

/* The kernel's layout in both directions; the caller's restorer isn't kept, ours does the same. */
static long by_number_sigaction(int number, const struct kernel_action *action,
                                struct kernel_action *ret_old, size_t size)
{
    struct sigaction set;
    struct sigaction old;
    long result;

    if (size != sizeof action->mask) {
        return route_error(-EINVAL);
    }
    if (action) {
        memset(&set, 0, sizeof set);
        set.sa_sigaction = action->handler;
        set.sa_flags = (int)(action->flags & ~KERNEL_SA_RESTORER);
        memcpy(&set.sa_mask, &action->mask, sizeof action->mask);
    }
    result = number > 0 && number < SIGNAL_COUNT ? signal_set(number, action ? &set : NULL, &old)
                                                 : -EINVAL;
    if (result == 0 && ret_old) {
        ret_old->handler = old.sa_sigaction;
        ret_old->flags = (unsigned long)old.sa_flags;
        ret_old->restorer = old.sa_restorer;
        memcpy(&ret_old->mask, &old.sa_mask, sizeof ret_old->mask);
    }
    return route_result(result);
}

#define CALL_BY_NUMBER(number, expression) \
    case number: *ret_result = (expression); return true;

/* Each section is one switch; `v` are the call's arguments, and where it was made. */
#define SECTION(name)                                                          \
    static bool name(long number, const long *v, long *ret_result)             \
    {                                                                          \
        const long a = v[0], b = v[1], c = v[2], d = v[3], e = v[4], f = v[5]; \
        (void)a, (void)b, (void)c, (void)d, (void)e, (void)f;                  \
        switch (number) {
#define SECTION_END        \
    default: return false; \
        }                  \
        }

SECTION(call_rw)
#define SECTION_RW
#include "syscalls.def"
#undef SECTION_RW
SECTION_END

SECTION(call_fd)
#define SECTION_FD
#include "syscalls.def"
#undef SECTION_FD
SECTION_END

SECTION(call_socket)
#define SECTION_SOCKET
#include "syscalls.def"
#undef SECTION_SOCKET
SECTION_END

SECTION(call_proc)
#define SECTION_PROC
#include "syscalls.def"
#undef SECTION_PROC
SECTION_END

long syscall_by_number(long number, long a, long b, long c, long d, long e, long f)
{
    const void *trapped = shim_thread.trapped; /* the caller's, when sud.c is ours */
    const long v[7] = { a, b, c, d, e, f, (long)(trapped ? trapped : __builtin_return_address(0)) };
    long result = 0;

    if (!call_rw(number, v, &result) && !call_fd(number, v, &result) &&
        !call_socket(number, v, &result) && !call_proc(number, v, &result)) {
        result = PLAIN(raw_call6(number, a, b, c, d, e, f));
    }
    return result;
}
