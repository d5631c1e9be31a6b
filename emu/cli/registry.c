/*
 * registry.c - see registry.h: the folder, and the side that asks
 *
 * Sockets are named by way of the folder's descriptor (/proc/self/fd/N/NAME.PID): the folder that
 * was looked at is the folder that is used, and sun_path's 108 bytes always suffice.
 */
#include "registry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

#define LOCK_LIMIT_MS 10000 /* whoever has the lock asks a few supervisors, or was stopped */
#define LOCK_STEP_NS  1000000

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- The folder ---- */

/* Opens what stands at `path` if it is a folder of ours alone. */
static int open_private(const char *path)
{
    struct stat status;
    const int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (folder < 0)
        return errno == ELOOP || errno == ENOTDIR ? -EPERM : -errno;
    if (fstat(folder, &status) == 0 && status.st_uid == geteuid() &&
        (status.st_mode & (S_IRWXG | S_IRWXO)) == 0)
        return folder;
    close(folder);
    return -EPERM;
}

static int open_folder(const char *path, bool make)
{
    int folder = open_private(path);

    if (folder != -ENOENT || !make)
        return folder;
    if (mkdir(path, S_IRWXU) != 0 && errno != EEXIST)
        return -errno;
    folder = open_private(path);
    return folder;
}

/* $XDG_RUNTIME_DIR, if it is what the XDG Base Directory Specification wants it to be. */
static const char *runtime_folder(void)
{
    const char *path = getenv("XDG_RUNTIME_DIR");
    struct stat status;

    if (path == NULL || path[0] != '/' || strlen(path) + sizeof "/sockrig" > PATH_MAX)
        return NULL;
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != geteuid())
        return NULL;
    return access(path, W_OK | X_OK) == 0 ? path : NULL;
}

int registry_open(struct registry *ret_registry, bool make)
{
    const char *runtime = runtime_folder();

    ret_registry->locked = false;
    if (runtime != NULL)
        snprintf(ret_registry->path, sizeof ret_registry->path, "%s/sockrig", runtime);
    else
        snprintf(ret_registry->path, sizeof ret_registry->path, "/tmp/sockrig-%u", geteuid());
    const int folder = open_folder(ret_registry->path, make);
    ret_registry->folder = folder < 0 ? -1 : folder;
    return folder < 0 ? folder : 0;
}

void registry_close(struct registry *registry)
{
    registry_unlock(registry);
    if (registry->folder >= 0)
        close(registry->folder);
    registry->folder = -1;
}

bool registry_try_lock(struct registry *registry)
{
    if (!registry->locked && registry->folder >= 0)
        registry->locked = flock(registry->folder, LOCK_EX | LOCK_NB) == 0;
    return registry->locked;
}

int registry_lock(struct registry *registry)
{
    const struct timespec step = { .tv_nsec = LOCK_STEP_NS };
    const int64_t end = now_ms() + LOCK_LIMIT_MS;

    while (!registry_try_lock(registry)) {
        if (now_ms() >= end)
            return -ETIMEDOUT;
        nanosleep(&step, NULL); /* flock(2) has no time limit */
    }
    return 0;
}

void registry_unlock(struct registry *registry)
{
    if (registry->locked)
        flock(registry->folder, LOCK_UN);
    registry->locked = false;
}

/* ---- What is in it ---- */

/* Takes "NAME.PID" apart. A name with anything behind it isn't one of a socket in service. */
static bool parse_entry(const char *file, struct registry_entry *ret_entry)
{
    const char *dot = strrchr(file, '.');
    const size_t length = dot != NULL ? (size_t)(dot - file) : 0;
    char *end = NULL;

    if (length == 0 || length > SESSION_NAME_MAX || dot[1] < '1' || dot[1] > '9')
        return false;
    memcpy(ret_entry->name, file, length);
    ret_entry->name[length] = '\0';
    ret_entry->pid = (int32_t)strtol(dot + 1, &end, 10);
    return *end == '\0' && session_name_holds(ret_entry->name);
}

/* A fresh description of the folder: where reading stands is its own. */
static DIR *read_folder(const struct registry *registry)
{
    const int again = registry->folder >= 0
                          ? openat(registry->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                          : -1;
    DIR *reader = again >= 0 ? fdopendir(again) : NULL;

    if (reader == NULL && again >= 0)
        close(again);
    return reader;
}

static int compare_entries(const void *a, const void *b)
{
    const struct registry_entry *left = a;
    const struct registry_entry *right = b;
    const int order = strcmp(left->name, right->name);

    return order != 0 ? order : (left->pid > right->pid) - (left->pid < right->pid);
}

size_t registry_list(const struct registry *registry, const char *name,
                     struct registry_entry *ret_entries, size_t max)
{
    DIR *reader = read_folder(registry);
    const struct dirent *file;
    size_t count = 0;

    if (reader == NULL)
        return 0;
    while (count < max && (file = readdir(reader)) != NULL) {
        if (parse_entry(file->d_name, &ret_entries[count]) &&
            (name == NULL || strcmp(name, ret_entries[count].name) == 0))
            count++;
    }
    closedir(reader);
    qsort(ret_entries, count, sizeof *ret_entries, compare_entries);
    return count;
}

/* ---- Connections ---- */

static long raw(long number, long a, long b, long c, long d)
{
    return (long)host_syscall(number, a, b, c, d, 0, 0);
}

static socklen_t address_of(const struct registry *registry, const char *file,
                            struct sockaddr_un *ret_address)
{
    ret_address->sun_family = AF_UNIX;
    snprintf(ret_address->sun_path, sizeof ret_address->sun_path, "/proc/self/fd/%d/%s",
             registry->folder, file);
    return sizeof *ret_address;
}

/* Connects to the socket of this name. Returns its descriptor or -errno. */
static int connect_to(const struct registry *registry, const char *file)
{
    struct sockaddr_un address = { 0 };
    const socklen_t size = address_of(registry, file, &address);
    const int fd = (int)raw(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                            0);

    if (fd < 0)
        return fd;
    const int error = (int)raw(SYS_connect, fd, (long)&address, size, 0);
    if (error == 0)
        return fd;
    raw(SYS_close, fd, 0, 0, 0);
    return error;
}

void registry_remove_stale(const struct registry *registry)
{
    DIR *reader = read_folder(registry);
    struct registry_entry entry;
    const struct dirent *file;

    if (reader == NULL)
        return;
    for (int i = 0; i < 2 * REGISTRY_MAX && (file = readdir(reader)) != NULL; i++) {
        char whole[NAME_MAX + 1];
        const size_t length = strlen(file->d_name);

        /* NAME.PID~ is one that its maker will rename; a maker that lives may yet do so. */
        memcpy(whole, file->d_name, length + 1);
        const bool unfinished = length > 0 && whole[length - 1] == '~';
        if (unfinished)
            whole[length - 1] = '\0';
        if (!parse_entry(whole, &entry) || (unfinished && kill(entry.pid, 0) == 0))
            continue;
        const int fd = connect_to(registry, file->d_name);
        if (fd >= 0)
            raw(SYS_close, fd, 0, 0, 0);
        else if (fd == -ECONNREFUSED)
            unlinkat(registry->folder, file->d_name, 0);
    }
    closedir(reader);
}

struct registry_request registry_request(enum registry_ask ask)
{
    return (struct registry_request){ .magic = "sockrig",
                                      .size = sizeof(struct registry_request),
                                      .ask = ask };
}

/* Who listens there must be this user. */
static int check_peer(struct registry_call *call)
{
    struct ucred peer;
    socklen_t size = sizeof peer;

    if (host_getsockopt(call->socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
        peer.uid != geteuid())
        return -EPERM;
    call->peer = peer.pid;
    return 0;
}

int registry_ask(const struct registry *registry, const struct registry_entry *entry,
                 const struct registry_request *request, struct registry_call *ret_call)
{
    struct registry_call call = { .fds = { -1, -1 } };
    char file[NAME_MAX];

    snprintf(file, sizeof file, "%s.%d", entry->name, entry->pid);
    call.socket = connect_to(registry, file);
    if (call.socket < 0)
        return call.socket;
    int error = check_peer(&call);
    if (error == 0) {
        const struct iovec part = { (void *)(uintptr_t)request, sizeof *request };
        const struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)&part,
                                        .msg_iovlen = 1 };
        const long sent = raw(SYS_sendmsg, call.socket, (long)&message, MSG_NOSIGNAL, 0);

        error = sent < 0 ? (int)sent : 0;
    }
    if (error != 0) {
        registry_hang_up(&call);
        return error == -EPIPE ? -ECONNREFUSED : error;
    }
    *ret_call = call;
    return 0;
}

/* Waits until there is something to read, or the other side is gone. */
static int wait_readable(int fd, int limit_ms)
{
    const int64_t end = now_ms() + limit_ms;
    struct pollfd look = { .fd = fd, .events = POLLIN };

    for (;;) { /* ends: at the time limit */
        const int64_t rest = end - now_ms();
        const int count = poll(&look, 1, rest > 0 ? (int)rest : 0);

        if (count > 0)
            return 0;
        if (count == 0)
            return -ETIMEDOUT;
        if (errno != EINTR)
            return -errno;
    }
}

/* Takes one record and the descriptors in it. Returns its size or -errno. */
static long receive(struct registry_call *call)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof call->fds)];
    struct iovec part = { &call->answer, sizeof call->answer };
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
    };
    const long size = raw(SYS_recvmsg, call->socket, (long)&message, MSG_CMSG_CLOEXEC, 0);

    if (size < 0)
        return size;
    const struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    if (rights != NULL && rights->cmsg_type == SCM_RIGHTS &&
        rights->cmsg_len == CMSG_LEN(sizeof call->fds))
        memcpy(call->fds, CMSG_DATA(rights), sizeof call->fds);
    return size;
}

int registry_wait(struct registry_call *call, int limit_ms)
{
    const int error = wait_readable(call->socket, limit_ms);

    if (error != 0)
        return error;
    const long size = receive(call);
    if (size == 0 || size == -ECONNRESET)
        return -ECONNRESET;
    if (size < 0)
        return (int)size;
    if (size != sizeof call->answer || memcmp(call->answer.magic, "sockrig", 8) != 0 ||
        call->answer.size != sizeof call->answer)
        return -EPROTO;
    call->answer.name[SESSION_NAME_MAX] = '\0';
    call->answer.command[REGISTRY_COMMAND - 1] = '\0';
    return 0;
}

int registry_wait_end(struct registry_call *call, int limit_ms)
{
    struct registry_call rest = { .socket = call->socket };
    const int error = wait_readable(call->socket, limit_ms);

    return error != 0 ? error : receive(&rest) > 0 ? -EPROTO : 0;
}

void registry_hang_up(struct registry_call *call)
{
    for (int i = 0; i < 2; i++) {
        if (call->fds[i] >= 0)
            raw(SYS_close, call->fds[i], 0, 0, 0);
        call->fds[i] = -1;
    }
    if (call->socket >= 0)
        raw(SYS_close, call->socket, 0, 0, 0);
    call->socket = -1;
}
