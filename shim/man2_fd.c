/*
 * man2_fd.c - close(2), dup(2), fcntl(2), ioctl(2): what is done to numbers
 *
 * The session's own descriptors (the arena, the bell) don't exist for the guest: its calls on their
 * numbers answer EBADF, and ranges leave them out.
 */
#include "wrap.h"

#include "finding.h"

#include <limits.h>
#include <linux/close_range.h>

/* Of an epoll instance, a listener, what was handed over: the kernel's, but a recording's too. */
static int close_recorded(int fd)
{
    const uint64_t words[] = { (uint64_t)fd };
    struct emu_trace_open open = { .number = UINT64_MAX };
    struct emu_task *self = route_enter();
    int result;

    if (self) {
        emu_trace_enter(self, EMU_CALL_close, words, &open);
        self->records = false; /* its number becomes free: that is all that there is to say */
        emu_track_closed_known(self, fd);
        self->records = true;
        route_exit(self);
    }
    result = NATIVE1(SYS_close, fd);
    route_answer(&open, result);
    return result;
}

/* Of what the emulator doesn't serve, where numbers are tracked. */
static int close_tracked(int fd)
{
    bool known = emu_fd_is_known(fd);
    struct emu_task *self = known ? route_enter() : NULL;
    int result;

    if (self) {
        emu_track_closed_known(self, fd);
        route_exit(self);
    }
    result = NATIVE1(SYS_close, fd);
    if (result == 0 && !known && !route_in_spawned_child()) {
        emu_track_closed_native(fd);
    }
    return result;
}

int wrap_close(int fd)
{
    if (emu_fd_is_emulated(fd)) {
        struct emu_task *self;

        route_cancel_point();
        self = route_enter();
        if (EMU_LIKELY(self != NULL)) {
            int64_t result = EMULATE(close, fd);

            if (EMU_LIKELY(result != EMU_NATIVE)) {
                return route_leave(self, result);
            }
            route_exit(self);
        }
    } else if (EMU_UNLIKELY(session_hides(fd))) {
        return route_error(-EBADF);
    }
    if (EMU_UNLIKELY(shim_thread.task.records) && emu_fd_is_known(fd)) {
        return close_recorded(fd);
    }
    if (EMU_UNLIKELY(shim.tracks)) {
        return close_tracked(fd);
    }
    session_new_fd(fd); /* a native entry of this number ends too */
    return NATIVE1(SYS_close, fd);
}

int wrap_close_nocancel(int fd)
{
    bool before = shim_thread.no_cancel;
    int result;

    shim_thread.no_cancel = true;
    result = wrap_close(fd);
    shim_thread.no_cancel = before;
    return result;
}

/* One part of a range, which holds no hidden descriptor. `quiet`: the whole is recorded. */
static long close_part(unsigned int first, unsigned int last, int flags, bool quiet)
{
    struct emu_trace_open kernels;
    bool is_open = false;
    long native;

    if (shim.emulates) {
        struct emu_task *self = route_enter();

        if (self) {
            bool records = self->records;
            int64_t result;

            self->records = records && !quiet;
            result = EMULATE(close_range, first, last, flags);
            self->records = records;
            is_open = route_take_open(self, &kernels);
            route_exit(self);
            if (result != EMU_NATIVE) {
                return result;
            }
        }
    }
    native = RAW3(SYS_close_range, first, last, flags);
    if (EMU_UNLIKELY(is_open)) {
        route_answer(&kernels, native);
    }
    return native;
}

/* The lowest hidden descriptor of `first` to `last`; UINT_MAX: there is none. */
static unsigned int next_hidden(unsigned int first, unsigned int last)
{
    const int hidden[] = { shim.hidden.arena, shim.hidden.bell, shim.hidden.log };
    unsigned int lowest = UINT_MAX;

    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
        unsigned int number = (unsigned int)hidden[i];

        if (hidden[i] >= 0 && number >= first && number <= last && number < lowest) {
            lowest = number;
        }
    }
    return lowest;
}

static long close_parts(unsigned int first, unsigned int last, int flags, bool quiet)
{
    unsigned int hidden;

    while ((hidden = next_hidden(first, last)) != UINT_MAX) {
        long result = hidden > first ? close_part(first, hidden - 1, flags, quiet) : 0;

        if (result < 0 || hidden == last) {
            return result;
        }
        first = hidden + 1;
    }
    return close_part(first, last, flags, quiet);
}

/* In parts it is one call all the same: a recording has it with the guest's arguments. */
static long close_around_hidden(unsigned int first, unsigned int last, int flags)
{
    const uint64_t words[] = { first, last, (uint64_t)flags };
    struct emu_trace_open open;
    struct emu_task *self;
    long result;

    if (first > last) {
        return -EINVAL;
    }
    if (EMU_LIKELY(!shim_thread.task.records) || next_hidden(first, last) == UINT_MAX) {
        return close_parts(first, last, flags, false);
    }
    self = route_enter();
    if (!self) {
        return close_parts(first, last, flags, false);
    }
    emu_trace_enter(self, EMU_CALL_close_range, words, &open);
    route_exit(self);
    result = close_parts(first, last, flags, true);
    self = route_enter();
    if (self) {
        emu_trace_leave(self, &open, result);
        route_exit(self);
    }
    return result;
}

int wrap_close_range(unsigned int first, unsigned int last, int flags)
{
    if (!session_attached() || route_in_spawned_child()) {
        return PLAIN(RAW3(SYS_close_range, first, last, flags));
    }
    if (!(flags & CLOSE_RANGE_UNSHARE)) {
        return PLAIN(close_around_hidden(first, last, flags));
    }
    if (!clone_part_descriptors()) {
        return route_error(-EACCES);
    }
    return PLAIN(clone_parted(close_around_hidden(first, last, flags)));
}

void wrap_closefrom(int first)
{
    wrap_close_range(first < 0 ? 0 : (unsigned int)first, UINT_MAX, 0);
}

int wrap_dup(int fd)
{
    if (emu_fd_is_known(fd)) {
        struct emu_task *self = route_enter();

        if (self) {
            int64_t result = EMULATE(dup, fd);

            if (result != EMU_NATIVE) {
                net_give_if_standard((int)result, (int)result);
                return route_leave(self, result);
            }
            route_exit(self);
        }
    } else if (session_hides(fd) && !route_in_spawned_child()) {
        return route_error(-EBADF);
    }
    return session_new_fd(PLAIN_ON(fd, SYS_dup, RAW1(SYS_dup, fd)));
}

/*
 * What dup2 and dup3 share: 0, or -errno. A hidden number as the target is EBADF like one beyond
 * RLIMIT_NOFILE: all members of a session know these descriptors by the same numbers.
 */
static int check_copy(int fd, int target)
{
    bool hidden = session_hides(fd) || session_hides(target);

    return hidden && !route_in_spawned_child() ? -EBADF : 0;
}

int wrap_dup2(int fd, int target)
{
    int rc = check_copy(fd, target);

    if (rc < 0) {
        return route_error(rc);
    }
    net_give_if_standard(fd, target);
    ROUTE(emu_fd_is_known(fd) || emu_fd_is_known(target), EMULATE(dup2, fd, target),
          fd == target ? PLAIN(RAW2(SYS_dup2, fd, target))
                       : session_new_fd(PLAIN_ON(fd, SYS_dup2, RAW2(SYS_dup2, fd, target))));
}

int wrap_dup3(int fd, int target, int flags)
{
    int rc = check_copy(fd, target);

    if (rc < 0) {
        return route_error(rc);
    }
    net_give_if_standard(fd, target);
    ROUTE(emu_fd_is_known(fd) || emu_fd_is_known(target), EMULATE(dup3, fd, target, flags),
          session_new_fd(PLAIN_ON(fd, SYS_dup3, RAW3(SYS_dup3, fd, target, flags))));
}

static int native_fcntl(int fd, int command, unsigned long argument)
{
    if (session_hides(fd) && !route_in_spawned_child()) {
        return route_error(-EBADF);
    }
    switch (command) {
    case F_SETLKW:
    case F_OFD_SETLKW: return NATIVE3(SYS_fcntl, fd, command, argument);
    case F_DUPFD:
    case F_DUPFD_CLOEXEC: return session_new_fd(PLAIN(RAW3(SYS_fcntl, fd, command, argument)));
    case F_GETFD: /* like these two, shells ask so whether there is such a descriptor */
    case F_GETFL: return PLAIN(RAW3(SYS_fcntl, fd, command, argument));
    default: return PLAIN_ON(fd, SYS_fcntl, RAW3(SYS_fcntl, fd, command, argument));
    }
}

/* fcntl(F_GETOWN) as libc does it: a process group's negative number isn't an error. */
static int get_owner(int fd)
{
    struct f_owner_ex owner;
    int result = PLAIN(RAW3(SYS_fcntl, fd, F_GETOWN_EX, &owner));

    if (result < 0) {
        return result;
    }
    return owner.type == F_OWNER_PGRP ? -owner.pid : owner.pid;
}

static int copy_by_fcntl(int fd, int command, unsigned long argument)
{
    int copy;
    struct emu_task *self = route_enter();
    int64_t result = self ? EMULATE(fcntl, fd, command, argument) : EMU_NATIVE;

    if (self && result != EMU_NATIVE) {
        copy = (int)route_leave(self, result);
        net_give_if_standard(copy, copy);
        return copy;
    }
    if (self) {
        route_exit(self);
    }
    return native_fcntl(fd, command, argument);
}

int wrap_fcntl_word(int fd, int command, unsigned long argument)
{
    if (command == F_GETOWN) {
        return get_owner(fd);
    }
    if (emu_fd_is_known(fd) && (command == F_DUPFD || command == F_DUPFD_CLOEXEC)) {
        return copy_by_fcntl(fd, command, argument);
    }
    ROUTE(emu_fd_is_known(fd), EMULATE(fcntl, fd, command, argument),
          native_fcntl(fd, command, argument));
}

int wrap_fcntl(int fd, int command, ...)
{
    va_list arguments;
    unsigned long argument;

    va_start(arguments, command);
    argument = va_arg(arguments, unsigned long);
    va_end(arguments);
    return wrap_fcntl_word(fd, command, argument);
}

/* The kernel's to answer, but a recording shall have it. */
static bool records_known(int fd)
{
    return shim_thread.task.records && emu_fd_is_known(fd);
}

int wrap_ioctl_word(int fd, unsigned long request, unsigned long argument)
{
    ROUTE(emu_fd_is_emulated(fd) || EMU_UNLIKELY(records_known(fd)),
          EMULATE(ioctl, fd, request, (void *)argument),
          PLAIN_ON(fd, SYS_ioctl, RAW3(SYS_ioctl, fd, request, argument)));
}

int wrap_ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    unsigned long argument;

    va_start(arguments, request);
    argument = va_arg(arguments, unsigned long);
    va_end(arguments);
    return wrap_ioctl_word(fd, request, argument);
}

#define SYMBOLS_FD
#include "export.h"
