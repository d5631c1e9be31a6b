/*
 * man2_open.c - open(2) and all calls that return a new descriptor
 *
 * A new descriptor's number may stand in the table still, when libc closed the old one behind our
 * back; session_new_fd() drops what the table says. An open of "/proc/self/fd/N" and its like would
 * reach the placeholder of N, which is empty: N goes native first. What leads to /dev/vsock opens a
 * stand-in (man2_device.c).
 */
#include "wrap.h"

#include "host.h"
#include "bounds.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>

#define PATH_HEAD 48 /* more than "/proc/4194304/task/4194304/fd/1048576" */

/*
 * Whether the aligned word around `at` can be read, as long as no handler would help us over a
 * fault: rt_sigprocmask copies the set before it looks at `how`. Valgrind would report the bytes
 * behind a short string; there a bad pointer ends the program.
 */
static bool can_read(const char *at)
{
    return (shim.emulates && route_is_known(&shim_thread)) || net_is_translated() ||
           RAW4(SYS_rt_sigprocmask, INT_MAX, (uintptr_t)at & ~7ul, NULL, _NSIG / 8) != -EFAULT;
}

/* False for most paths that lead to no descriptor and no device, by their first two characters. */
static bool may_matter(const char *head, size_t size)
{
    switch (size) {
    case 1: return strchr("/.dv", head[0]) != NULL;
    case 2: return head[0] != '/' || strchr("/.dp", head[1]) != NULL;
    default: return true;
    }
}

/*
 * Copies the guest's string, and reads none of what is behind it. False: it can't be read, is
 * longer, or needs no look.
 */
static bool copy_head(char ret_head[PATH_HEAD], const char *path)
{
    int state = atomic_load_explicit(&shim.state, memory_order_relaxed);

    if (state == SHIM_BOOT || state == SHIM_OFF) {
        return false;
    }
    for (size_t i = 0; i < PATH_HEAD; i++) {
        bool new_page = i == 0 || ((uintptr_t)(path + i) & (EMU_PAGE - 1)) == 0;

        if ((new_page && !can_read(path + i)) || host_copy(&ret_head[i], path + i, 1) < 0) {
            return false;
        }
        if (ret_head[i] == 0) {
            return i > 0;
        }
        if (!may_matter(ret_head, i + 1)) {
            return false;
        }
    }
    return false;
}

/* Reads a decimal number; moves *at behind it. -1: there is none. */
static long number_at(const char **at)
{
    const char *digit = *at;
    long value = 0;

    for (; *digit >= '0' && *digit <= '9' && value < INT_MAX / 10; digit++) {
        value = value * 10 + (*digit - '0');
    }
    if (digit == *at) {
        return -1;
    }
    *at = digit;
    return value;
}

/* Steps over `word` at *at. */
static bool step(const char **at, const char *word)
{
    size_t size = strlen(word);

    if (strncmp(*at, word, size) != 0) {
        return false;
    }
    *at += size;
    return true;
}

/* "/proc/self/", "/proc/thread-self/", "/proc/OURPID/", each with or without "task/TID/". */
static bool step_own_proc(const char **at)
{
    if (!step(at, "/proc/")) {
        return false;
    }
    if (!step(at, "self/") && !step(at, "thread-self/")) {
        if (number_at(at) != shim.process.pid || !step(at, "/")) {
            return false;
        }
    }
    if (step(at, "task/")) {
        return number_at(at) > 0 && step(at, "/");
    }
    return true;
}

/* The number of the descriptor when the path names one of this process's, else -1. */
static int named_fd(const char *head)
{
    const char *at = head;
    long fd = -1;

    if (step_own_proc(&at)) {
        fd = step(&at, "fd/") ? number_at(&at) : -1;
    } else if (step(&at, "/dev/fd/")) {
        fd = number_at(&at);
    } else if (step(&at, "/dev/std")) {
        fd = step(&at, "in") ? 0 : step(&at, "out") ? 1 : step(&at, "err") ? 2 : -1;
    }
    return *at == 0 ? (int)fd : -1;
}

/* The path is another door to `fd`. */
static void give_fd(int fd, const void *caller)
{
    struct emu_task *self = route_enter_from(caller);

    if (self) {
        emu_native_one(self, fd); /* if it can't, the open gives an end that is never read */
        route_exit(self);
    }
}

const char *open_prepare(int directory, const char *path)
{
    char head[PATH_HEAD];
    const char *instead;
    int fd;

    if (!copy_head(head, path)) {
        return NULL;
    }
    instead = device_instead(directory, head);
    fd = shim.emulates && !instead ? named_fd(head) : -1;
    if (EMU_UNLIKELY(fd >= 0)) {
        if (emu_fd_is_device(fd)) {
            return DEVICE_STAND_IN;
        }
        if (emu_fd_is_emulated(fd)) {
            give_fd(fd, __builtin_return_address(0));
        }
    }
    return instead;
}

static bool wants_mode(int flags)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

static int open_at(int directory, const char *path, int flags, mode_t mode)
{
    const char *instead = open_prepare(directory, path);

    if (EMU_UNLIKELY(instead != NULL)) {
        route_cancel_point();
        return device_place(PLAIN(RAW4(SYS_openat, AT_FDCWD, instead, flags, mode)));
    }
    return session_new_fd(NATIVE4(SYS_openat, directory, path, flags, mode));
}

int wrap_open(const char *path, int flags, ...)
{
    mode_t mode = 0;

    if (wants_mode(flags)) {
        va_list arguments;

        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    return open_at(AT_FDCWD, path, flags, mode);
}

int wrap_openat(int directory, const char *path, int flags, ...)
{
    mode_t mode = 0;

    if (wants_mode(flags)) {
        va_list arguments;

        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    return open_at(directory, path, flags, mode);
}

/* The fortified forms exist for calls without a mode; libc ends a program that needed one. */
int wrap_open_2(const char *path, int flags)
{
    if (wants_mode(flags)) {
        __chk_fail();
    }
    return open_at(AT_FDCWD, path, flags, 0);
}

int wrap_openat_2(int directory, const char *path, int flags)
{
    if (wants_mode(flags)) {
        __chk_fail();
    }
    return open_at(directory, path, flags, 0);
}

int wrap_creat(const char *path, mode_t mode)
{
    return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int wrap_eventfd(unsigned int value, int flags)
{
    return session_new_fd(PLAIN(RAW2(SYS_eventfd2, value, flags)));
}

int wrap_timerfd_create(int clock, int flags)
{
    return session_new_fd(PLAIN(RAW2(SYS_timerfd_create, clock, flags)));
}

int wrap_signalfd(int fd, const sigset_t *mask, int flags)
{
    return session_new_fd(PLAIN(RAW4(SYS_signalfd4, fd, mask, _NSIG / 8, flags)));
}

int wrap_inotify_init(void)
{
    return session_new_fd(PLAIN(RAW1(SYS_inotify_init1, 0)));
}

int wrap_inotify_init1(int flags)
{
    return session_new_fd(PLAIN(RAW1(SYS_inotify_init1, flags)));
}

int wrap_fanotify_init(unsigned int flags, unsigned int event_flags)
{
    return session_new_fd(PLAIN(RAW2(SYS_fanotify_init, flags, event_flags)));
}

int wrap_memfd_create(const char *name, unsigned int flags)
{
    return session_new_fd(PLAIN(RAW2(SYS_memfd_create, name, flags)));
}

int wrap_pidfd_open(pid_t pid, unsigned int flags)
{
    return session_new_fd(PLAIN(RAW2(SYS_pidfd_open, pid, flags)));
}

int wrap_pidfd_getfd(int pidfd, int fd, unsigned int flags)
{
    long result = RAW3(SYS_pidfd_getfd, pidfd, fd, flags);

    if (result >= 0 && atomic_load(&shim.state) == SHIM_SESSION) {
        struct emu_task *self = route_enter();

        if (self) {
            bool emulated = emu_fd_taken(self, pidfd, (int)result);

            route_exit(self);
            if (emulated) {
                session_first_descriptor();
            }
        }
    }
    return (int)route_result(result);
}

int wrap_open_by_handle_at(int mount, struct file_handle *handle, int flags)
{
    return session_new_fd(NATIVE3(SYS_open_by_handle_at, mount, handle, flags));
}

int wrap_fsopen(const char *name, unsigned int flags)
{
    return session_new_fd(PLAIN(RAW2(SYS_fsopen, name, flags)));
}

int wrap_fsmount(int fd, unsigned int flags, unsigned int attributes)
{
    return session_new_fd(PLAIN(RAW3(SYS_fsmount, fd, flags, attributes)));
}

int wrap_fspick(int directory, const char *path, unsigned int flags)
{
    return session_new_fd(PLAIN(RAW3(SYS_fspick, directory, path, flags)));
}

int wrap_open_tree(int directory, const char *path, unsigned int flags)
{
    return session_new_fd(PLAIN(RAW3(SYS_open_tree, directory, path, flags)));
}

#define SYMBOLS_OPEN
#include "export.h"
