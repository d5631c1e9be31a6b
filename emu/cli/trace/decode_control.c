/*
 * decode_control.c - fcntl and ioctl
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/ioctl.h>
#include <linux/sockios.h>
#include <signal.h>
#include <sys/ioctl.h>

#include "trace/names.h"
#include "trace/show.h"

void show_open_flags(const struct show *show, uint64_t flags, bool with_access)
{
    if (!with_access) {
        print_flags(show->out, NAMES_OPEN, flags);
        return;
    }
    print_name(show->out, NAMES_ACCESS, flags & O_ACCMODE);
    if ((flags & ~(uint64_t)O_ACCMODE) != 0) {
        fputc('|', show->out);
        print_flags(show->out, NAMES_OPEN, flags & ~(uint64_t)O_ACCMODE);
    }
}

/* ---- fcntl ---- */

static void show_lock(const struct show *show, uint64_t address)
{
    struct flock lock;

    if (address == 0 || !show_memory(show, address, &lock, sizeof lock)) {
        show_address(show, address);
        return;
    }
    fputs("{l_type=", show->out);
    print_name(show->out, NAMES_LOCK_TYPE, (uint16_t)lock.l_type);
    fputs(", l_whence=", show->out);
    print_name(show->out, NAMES_SEEK, (uint16_t)lock.l_whence);
    fprintf(show->out, ", l_start=%" PRId64 ", l_len=%" PRId64 "}", (int64_t)lock.l_start,
            (int64_t)lock.l_len);
}

static void show_owner(const struct show *show, uint64_t address)
{
    static const char *const types[] = { "F_OWNER_TID", "F_OWNER_PID", "F_OWNER_PGRP" };
    struct f_owner_ex owner;

    if (address == 0 || !show_memory(show, address, &owner, sizeof owner))
        show_address(show, address);
    else if ((unsigned)owner.type < 3)
        fprintf(show->out, "{type=%s, pid=%d}", types[owner.type], owner.pid);
    else
        fprintf(show->out, "{type=%#x /* F_OWNER_??? */, pid=%d}", (unsigned)owner.type, owner.pid);
}

void show_fcntl(const struct show *show, int command, uint64_t argument)
{
    print_name(show->out, NAMES_FCNTL, (unsigned)command);
    switch (command) {
    case F_GETFD:
    case F_GETFL:
    case F_GETOWN:
    case F_GETSIG:
    case F_GETLEASE:
    case F_GETPIPE_SZ:
    case F_GET_SEALS: return;
    default: fputs(show->between, show->out); break;
    }
    switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
    case F_SETOWN:
    case F_SETPIPE_SZ: fprintf(show->out, "%d", (int)argument); break;
    case F_SETFD: print_flags(show->out, NAMES_FD_FLAGS, (unsigned)argument); break;
    case F_SETFL: show_open_flags(show, (unsigned)argument, true); break;
    case F_SETSIG: print_signal(show->out, (int)argument); break;
    case F_SETLEASE: print_name(show->out, NAMES_LOCK_TYPE, argument); break;
    case F_NOTIFY: fprintf(show->out, "%#x", (unsigned)argument); break;
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW: show_lock(show, argument); break;
    case F_SETOWN_EX:
    case F_GETOWN_EX: show_owner(show, argument); break;
    default: fprintf(show->out, "%#" PRIx64, argument); break;
    }
}

void show_fcntl_result(const struct show *show, int command, int64_t result)
{
    switch (command) {
    case F_GETFL:
        fprintf(show->out, "%#" PRIx64 " (flags ", result);
        show_open_flags(show, (uint64_t)result, true);
        fputc(')', show->out);
        break;
    case F_GETFD:
        fprintf(show->out, "%#" PRIx64, result);
        if (result != 0) {
            fputs(" (flags ", show->out);
            print_flags(show->out, NAMES_FD_FLAGS, (uint64_t)result);
            fputc(')', show->out);
        }
        break;
    case F_GETSIG:
        fprintf(show->out, "%" PRId64, result);
        if (result != 0) {
            fputs(" (", show->out);
            print_signal(show->out, (int)result);
            fputc(')', show->out);
        }
        break;
    case F_DUPFD:
    case F_DUPFD_CLOEXEC: show_new_fd(show, (int)result); break;
    default: fprintf(show->out, "%" PRId64, result); break;
    }
}

/* ---- ioctl ---- */

static void show_unknown_request(const struct show *show, unsigned request)
{
    static const char *const directions[] = { "_IOC_NONE", "_IOC_WRITE", "_IOC_READ",
                                              "_IOC_READ|_IOC_WRITE" };

    fprintf(show->out, "_IOC(%s, %#x, %#x, %#x)", directions[_IOC_DIR(request)], _IOC_TYPE(request),
            _IOC_NR(request), _IOC_SIZE(request));
}

void show_ioctl(const struct show *show, uint64_t request, uint64_t argument)
{
    const char *name = name_of(NAMES_IOCTL, (unsigned)request);
    int number;

    if (name != NULL)
        fputs(name, show->out);
    else
        show_unknown_request(show, (unsigned)request);
    if (request == FIOCLEX || request == FIONCLEX)
        return;
    fputs(show->between, show->out);
    if (name != NULL && request != TCGETS && request != TIOCGWINSZ && !show_failed(show) &&
        show_memory(show, argument, &number, sizeof number))
        fprintf(show->out, "[%d]", number);
    else
        show_address(show, argument);
}
