/*
 * unix_static.h: starts helper_unix_static, for the guests that talk to a program which no preload
 * reaches. It lies beside the guest, or is what GUEST_UNIX_STATIC names.
 */
#ifndef GUEST_UNIX_STATIC_H
#define GUEST_UNIX_STATIC_H

#include "unix_names.h"

enum { UNIX_STATIC_OK = 9 };

static char unix_static_path[PATH_MAX];

static inline void unix_static_find(void)
{
    const char *named = getenv("GUEST_UNIX_STATIC");
    if (named != NULL) {
        snprintf(unix_static_path, sizeof unix_static_path, "%s", named);
    } else {
        ssize_t size =
            CHECK_OK(readlink("/proc/self/exe", unix_static_path, sizeof unix_static_path - 32));
        unix_static_path[size] = '\0';
        strcpy(strrchr(unix_static_path, '/') + 1, "helper_unix_static");
    }
    CHECK_OK(access(unix_static_path, X_OK));
}

/* The name as the helper is told it. */
static inline const char *unix_static_name(const struct unix_name *name, char *ret_text,
                                           size_t size)
{
    int abstract = name->bytes[UNIX_PATH_AT] == '\0' ? 1 : 0;
    snprintf(ret_text, size, "%s%.*s", abstract ? "@" : "",
             (int)(name->length - UNIX_PATH_AT) - abstract, unix_path_of(name) + abstract);
    return ret_text;
}

/* fd stays open in the helper (-1: none), and is its last argument when `what` takes one. */
static inline pid_t unix_static_start(const char *what, const struct unix_name *name, int fd)
{
    char text[UNIX_NAME_BYTES], number[16];
    char *arguments[5] = { unix_static_path, (char *)(uintptr_t)what };
    int count = 2;
    if (name != NULL) {
        arguments[count++] = (char *)(uintptr_t)unix_static_name(name, text, sizeof text);
    }
    if (fd >= 0) {
        snprintf(number, sizeof number, "%d", fd);
        arguments[count++] = number;
    }
    pid_t pid = guest_fork();
    if (pid == 0) {
        if (fd >= 0) {
            CHECK_OK(fcntl(fd, F_SETFD, 0));
        }
        execv(unix_static_path, arguments);
        _exit(126);
    }
    return pid;
}

#endif
