/*
 * unix_names.h: names, listeners and connections of AF_UNIX, for the guests that need them
 *
 * Names belong to one run: paths lie in a directory that unix_start() makes and unix_end() removes,
 * abstract names begin with this process's number. What makes a name keeps no storage that another
 * call would overwrite. unix_bind() and unix_connect() return what the call returned, for
 * CHECK_ERR; everything else must succeed.
 *
 * Leaves out: message.h's ancillary data.
 */
#ifndef GUEST_UNIX_NAMES_H
#define GUEST_UNIX_NAMES_H

#include <dirent.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "guest.h"

enum {
    UNIX_NAME_BYTES = 128, /* as the kernel's sockaddr_storage */
    UNIX_PATH_AT = offsetof(struct sockaddr_un, sun_path),
    UNIX_PATH_BYTES = sizeof(((struct sockaddr_un *)NULL)->sun_path),
    UNIX_UNNAMED = 2, /* the length of an address that is a family only */
};

enum unix_form { UNIX_PATH, UNIX_ABSTRACT, UNIX_FORMS };

static const int unix_types[] = { SOCK_STREAM, SOCK_SEQPACKET };

struct unix_name {
    union {
        struct sockaddr header;
        struct sockaddr_un un;
        char bytes[UNIX_NAME_BYTES];
    };
    socklen_t length;
};

static char unix_directory[] = "/tmp/guest_unix_XXXXXX";
static pid_t unix_run; /* the process that started */

static inline void unix_start(void)
{
    guest_start();
    unix_run = getpid();
    CHECK(mkdtemp(unix_directory) != NULL);
}

/* Removes the directory with what is left in it: plain files, sockets, links. */
static inline int unix_end(void)
{
    DIR *directory = opendir(unix_directory);
    CHECK(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            CHECK_OK(unlinkat(dirfd(directory), entry->d_name, 0));
        }
    }
    CHECK_OK(closedir(directory));
    CHECK_OK(rmdir(unix_directory));
    return guest_end();
}

/* ---- names ---- */

/* size bytes of sun_path, as they are. */
static inline struct unix_name unix_raw(const void *path, size_t size)
{
    struct unix_name name;
    memset(&name, 0, sizeof name);
    CHECK(size <= UNIX_NAME_BYTES - UNIX_PATH_AT);
    name.un.sun_family = AF_UNIX;
    memcpy(name.bytes + UNIX_PATH_AT, path, size);
    name.length = (socklen_t)(UNIX_PATH_AT + size);
    return name;
}

/* A path as it is, with its NUL. */
static inline struct unix_name unix_at(const char *path)
{
    return unix_raw(path, strlen(path) + 1);
}

/* A file of the run's directory. */
static inline struct unix_name unix_file(const char *file)
{
    char path[UNIX_PATH_BYTES];
    CHECK(snprintf(path, sizeof path, "%s/%s", unix_directory, file) < (int)sizeof path);
    return unix_at(path);
}

static inline struct unix_name unix_abstract(const char *word)
{
    char bytes[64];
    int size = snprintf(bytes, sizeof bytes, "%cguest %d %s", '\0', (int)unix_run, word);
    CHECK(size < (int)sizeof bytes);
    return unix_raw(bytes, (size_t)size);
}

static inline struct unix_name unix_named(enum unix_form form, const char *word)
{
    return form == UNIX_PATH ? unix_file(word) : unix_abstract(word);
}

static inline struct unix_name unix_unnamed(void)
{
    return unix_raw("", 0);
}

static inline const char *unix_path_of(const struct unix_name *name)
{
    return name->bytes + UNIX_PATH_AT;
}

/* The file of a name goes, when it is a path. */
static inline void unix_forget(const struct unix_name *name)
{
    if (name->length > UNIX_PATH_AT && name->bytes[UNIX_PATH_AT] != '\0') {
        CHECK_OK(unlink(unix_path_of(name)));
    }
}

/* ---- calls ---- */

static inline int unix_socket(int type)
{
    return (int)CHECK_OK(socket(AF_UNIX, type, 0));
}

static inline int unix_bind(int fd, const struct unix_name *name)
{
    return bind(fd, &name->header, name->length);
}

static inline int unix_connect(int fd, const struct unix_name *name)
{
    return connect(fd, &name->header, name->length);
}

static inline int unix_listener(int type, const struct unix_name *name, int backlog)
{
    int fd = unix_socket(type);
    CHECK_OK(unix_bind(fd, name));
    CHECK_OK(listen(fd, backlog));
    return fd;
}

/* A listener with a name the kernel made. */
static inline int unix_any_listener(int type, int backlog, struct unix_name *ret_name)
{
    struct unix_name name = unix_unnamed();
    int fd = unix_listener(type, &name, backlog);
    memset(&name, 0, sizeof name);
    name.length = sizeof name.bytes;
    CHECK_OK(getsockname(fd, &name.header, &name.length));
    *ret_name = name;
    return fd;
}

static inline int unix_client(int type, const struct unix_name *name)
{
    int fd = unix_socket(type);
    CHECK_OK(unix_connect(fd, name));
    return fd;
}

static inline int unix_accept(int listener)
{
    return (int)CHECK_OK(accept(listener, NULL, NULL));
}

/* fds[0]: the client; fds[1]: what was accepted. The listener is gone. */
static inline void unix_connection(int type, int fds[2])
{
    struct unix_name name;
    int listener = unix_any_listener(type, 1, &name);
    fds[0] = unix_client(type, &name);
    fds[1] = unix_accept(listener);
    CHECK_OK(close(listener));
}

static inline int unix_option(int fd, int option)
{
    int value = -1;
    socklen_t size = sizeof value;
    CHECK_OK(getsockopt(fd, SOL_SOCKET, option, &value, &size));
    CHECK_EQ(sizeof value, size);
    return value;
}

static inline void unix_set_option(int fd, int option, int value)
{
    CHECK_OK(setsockopt(fd, SOL_SOCKET, option, &value, sizeof value));
}

static inline void unix_set_time(int fd, int option, int ms)
{
    const struct timeval value = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
    CHECK_OK(setsockopt(fd, SOL_SOCKET, option, &value, sizeof value));
}

/* ---- checks ---- */

static inline void unix_check_name(const char *file, int line, const char *what,
                                   const struct unix_name *expected, int result,
                                   const struct unix_name *actual)
{
    guest_check_ok(file, line, what, result);
    guest_check_eq(file, line, what, expected->length, actual->length);
    guest_check_mem(file, line, what, expected->bytes, actual->bytes, expected->length);
}

static inline void unix_check_own(const char *file, int line, const struct unix_name *expected,
                                  int fd)
{
    struct unix_name actual = { .length = UNIX_NAME_BYTES };
    int result = getsockname(fd, &actual.header, &actual.length);
    unix_check_name(file, line, "getsockname", expected, result, &actual);
}

static inline void unix_check_peer(const char *file, int line, const struct unix_name *expected,
                                   int fd)
{
    struct unix_name actual = { .length = UNIX_NAME_BYTES };
    int result = getpeername(fd, &actual.header, &actual.length);
    unix_check_name(file, line, "getpeername", expected, result, &actual);
}

/* Accepts; the address that comes must be the expected one. */
static inline int unix_accept_from(const char *file, int line, int listener,
                                   const struct unix_name *expected)
{
    struct unix_name actual = { .length = UNIX_NAME_BYTES };
    int fd = accept(listener, &actual.header, &actual.length);
    unix_check_name(file, line, "accept", expected, fd, &actual);
    return fd;
}

/* Expected: a name, not a pointer to one. */
#define CHECK_OWN_NAME(expected, fd)  unix_check_own(__FILE__, __LINE__, &(expected), (fd))
#define CHECK_PEER_NAME(expected, fd) unix_check_peer(__FILE__, __LINE__, &(expected), (fd))
#define ACCEPT_FROM(listener, expected) \
    unix_accept_from(__FILE__, __LINE__, (listener), &(expected))

/* What is sent at one end comes out at the other, both ways. */
static inline void unix_talk(const int fds[2])
{
    char buffer[8];
    for (int from = 0; from < 2; from++) {
        CHECK_EQ(4, write(fds[from], from == 0 ? "ping" : "pong", 4));
        CHECK_EQ(4, read(fds[1 - from], buffer, sizeof buffer));
        CHECK_MEM(from == 0 ? "ping" : "pong", buffer, 4);
    }
}

static inline void unix_talk_between(int one, int other)
{
    const int fds[2] = { one, other };
    unix_talk(fds);
}

/* Talks, and closes both. */
static inline void unix_finish(int one, int other)
{
    unix_talk_between(one, other);
    CHECK_OK(close(one));
    CHECK_OK(close(other));
}

#endif
