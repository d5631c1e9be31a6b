/*
 * constants.c - the constants of constants.def, by name and by value
 *
 * The kernel's newer constants stand here with their numbers, because Debian 12's headers lack
 * them.
 */
#include "interpret/constants.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <linux/vm_sockets.h>
#include <linux/un.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#ifndef F_DUPFD_QUERY
#    define F_DUPFD_QUERY 1027 /* include/uapi/linux/fcntl.h, 6.10 */
#endif
#ifndef SO_PEERPIDFD
#    define SO_PASSPIDFD 76 /* include/uapi/asm-generic/socket.h, 6.5 */
#    define SO_PEERPIDFD 77
#endif
#ifndef SO_PASSRIGHTS
#    define SO_PASSRIGHTS 83 /* 6.16 */
#endif
#ifndef SO_INQ
#    define SO_INQ  84 /* 6.17 */
#    define SCM_INQ SO_INQ
#endif
#ifndef MSG_CMSG_COMPAT
#    define MSG_CMSG_COMPAT 0x80000000 /* include/linux/socket.h; not for programs */
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#    define CLOSE_RANGE_UNSHARE 2 /* include/uapi/linux/close_range.h */
#    define CLOSE_RANGE_CLOEXEC 4
#endif
#ifndef UIO_MAXIOV
#    define UIO_MAXIOV 1024
#endif
#ifndef SCM_CREDENTIALS
#    define SCM_CREDENTIALS 2
#endif
#ifndef SCM_PIDFD
#    define SCM_SECURITY 3 /* include/linux/socket.h; not in every libc */
#    define SCM_PIDFD    4 /* 6.5 */
#endif
#ifndef SOL_UDP
#    define SOL_UDP 17
#endif

static const struct {
    const char *name;
    int64_t value;
} names[] = {
#define NAME(name)  { #name, (int64_t)(name) },
#define ERRNO(name) NAME(name)
#define SIGNAL(name)
#include "interpret/constants.def"
#undef NAME
#undef ERRNO
#undef SIGNAL
};

static const struct {
    const char *name;
    int number;
} errors[] = {
#define NAME(name)
#define ERRNO(name) { #name, name },
#define SIGNAL(name)
#include "interpret/constants.def"
#undef NAME
#undef ERRNO
#undef SIGNAL
};

/* SIGRTMIN is a function call in glibc: no constant. 34 is what it gives (32, 33 are glibc's). */
enum { CAUGHT_SIGRTMIN = 34 };
#undef SIGRTMIN
#define SIGRTMIN CAUGHT_SIGRTMIN

static const struct {
    const char *name;
    int number;
} signals[] = {
#define NAME(name)
#define ERRNO(name)
#define SIGNAL(name) { #name, name },
#include "interpret/constants.def"
#undef NAME
#undef ERRNO
#undef SIGNAL
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

bool constant_value(const char *name, int64_t *ret_value)
{
    int number = constant_signal(name);

    if (number > 0) {
        *ret_value = number;
        return true;
    }
    for (size_t i = 0; i < COUNT(names); i++) {
        if (strcmp(names[i].name, name) == 0) {
            *ret_value = names[i].value;
            return true;
        }
    }
    return false;
}

bool constant_errno(const char *name, int *ret_error)
{
    if (strcmp(name, "EOPNOTSUPP") == 0) { /* one number with ENOTSUP, and strace's name of it */
        *ret_error = EOPNOTSUPP;
        return true;
    }
    for (size_t i = 0; i < COUNT(errors); i++) {
        if (strcmp(errors[i].name, name) == 0) {
            *ret_error = errors[i].number;
            return true;
        }
    }
    return false;
}

const char *errno_name(int error, char scratch[24])
{
    if (error == EOPNOTSUPP)
        return "EOPNOTSUPP";
    for (size_t i = 0; i < COUNT(errors); i++) {
        if (errors[i].number == error)
            return errors[i].name;
    }
    snprintf(scratch, 24, "errno %d", error);
    return scratch;
}

int constant_signal(const char *name)
{
    for (size_t i = 0; i < COUNT(signals); i++) {
        if (strcmp(signals[i].name, name) == 0)
            return signals[i].number;
    }
    return 0;
}

const char *signal_name(int number)
{
    for (size_t i = 0; i < COUNT(signals); i++) {
        if (signals[i].number == number)
            return signals[i].name;
    }
    return "unknown signal";
}

int signal_caught(size_t index)
{
    return index < COUNT(signals) ? signals[index].number : 0;
}

void constant_flags(const char *prefix, uint64_t value, char *ret_text, size_t size)
{
    size_t length = 0;

    ret_text[0] = '\0';
    for (size_t i = 0; i < COUNT(names) && value != 0; i++) {
        uint64_t bit = (uint64_t)names[i].value;

        if (strncmp(names[i].name, prefix, strlen(prefix)) != 0 || (value & bit) != bit ||
            bit == 0 || length >= size)
            continue;
        length += (size_t)snprintf(ret_text + length, size - length, "%s%s", length ? "|" : "",
                                   names[i].name);
        value &= ~bit;
    }
    if ((value != 0 || length == 0) && length < size)
        snprintf(ret_text + length, size - length, "%s%#llx", length ? "|" : "",
                 (unsigned long long)value);
}
