/*
 * host_fake.c - host.h for unit tests: descriptors without a kernel (host_fake_world.c: the rest)
 *
 * Models what the core asks of placeholders: the lowest free number, close-on-exec and status
 * flags, how many descriptors each end of a pipe or pair still has, HUP and ERR when the other end
 * has none, bytes that lie in them. One thread, several virtual tasks and processes.
 *
 * Leaves out: sockets' names and options beyond what the core asks for, permissions, more than
 * one fake descriptor table (every virtual process sees the same numbers).
 */
#include "host_fake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host.h"

enum {
    FDS = 1024,
    OBJECTS = 600,
    OPTIONS = 8,
    LEAST_BUFFER = 4608, /* include/net/sock.h SOCK_MIN_SNDBUF, doubled */
    PIPE_BYTES = 65536,
    SOCKET_BYTES = 212992, /* net.core.wmem_default */
};

/* An option of a socket, as it was set. */
struct fake_option {
    int name;
    socklen_t size; /* 0: never set */
    char value[16];
};

/* A pipe or a pair. `data` holds what came past the net, by the end that reads it. */
struct object {
    int kind;     /* HOST_OTHER: free */
    int count[2]; /* descriptors of each end */
    int capacity;
    char *data[2];
    size_t size[2];
    struct fake_option options[2][OPTIONS];
};

struct fd {
    int object; /* index + 1; 0: closed */
    int end;
    int cloexec;
    int status;
};

static struct object objects[OBJECTS];
static struct fd fds[FDS];
static int failures_left;

/* ---- Steering ---- */

static int new_object(int kind)
{
    for (int i = 0; i < OBJECTS; i++) {
        if (objects[i].kind == HOST_OTHER && objects[i].count[0] == 0) {
            objects[i] = (struct object){ .kind = kind, .capacity = PIPE_BYTES };
            return i;
        }
    }
    host_abort("fake: no object is free");
}

static int new_fd(int from, int object, int end, int cloexec, int status)
{
    if (failures_left > 0) {
        failures_left--;
        return -EMFILE;
    }
    for (int fd = from; fd < FDS; fd++) {
        if (fds[fd].object == 0) {
            fds[fd] = (struct fd){ object + 1, end, cloexec, status };
            objects[object].count[end]++;
            return fd;
        }
    }
    return -EMFILE;
}

static struct object *object_of(int fd)
{
    if (fd < 0 || fd >= FDS || fds[fd].object == 0)
        return NULL;
    return &objects[fds[fd].object - 1];
}

void fake_reset(void)
{
    for (int i = 0; i < OBJECTS; i++) {
        free(objects[i].data[0]);
        free(objects[i].data[1]);
    }
    memset(objects, 0, sizeof objects);
    memset(fds, 0, sizeof fds);
    failures_left = 0;
    fake_reset_world();
    fake_reset_names();
    for (int fd = 0; fd <= 2; fd++) { /* files: neither pipe nor socket, and never freed */
        objects[fd].count[0] = 1;
        fds[fd] = (struct fd){ .object = fd + 1 };
    }
}

void fake_write_past(int fd, const void *data, size_t size)
{
    struct object *object = object_of(fd);
    const int to = 1 - fds[fd].end;

    object->data[to] = realloc(object->data[to], object->size[to] + size);
    memcpy(object->data[to] + object->size[to], data, size);
    object->size[to] += size;
}

void fake_close_unseen(int fd)
{
    host_close(fd);
}

int fake_open_fds(void)
{
    int count = 0;

    for (int fd = 3; fd < FDS; fd++)
        count += fds[fd].object != 0;
    return count;
}

void fake_no_fds(int count)
{
    failures_left = count;
}

/* ---- Descriptors ---- */

/* The read end is end 0 of a pipe. */
static int make_pair(int kind, int cloexec, const int status[2], int capacity, int *ret_fds)
{
    const int object = new_object(kind);
    const int first = new_fd(0, object, 0, cloexec, status[0]);

    objects[object].capacity = capacity;
    if (first < 0)
        return first;
    const int second = new_fd(0, object, 1, cloexec, status[1]);
    if (second < 0) {
        host_close(first);
        return second;
    }
    ret_fds[0] = first;
    ret_fds[1] = second;
    return 0;
}

int fake_instance(bool cloexec)
{
    const int object = new_object(FAKE_INSTANCE);
    const int fd = new_fd(3, object, 0, cloexec, O_RDWR);

    if (fd < 0)
        objects[object] = (struct object){ .kind = HOST_OTHER };
    return fd;
}

int host_pipe2(int *ret_fds, int flags)
{
    const int shared = flags & (O_NONBLOCK | O_DIRECT);
    const int status[2] = { O_RDONLY | shared, O_WRONLY | shared };

    if ((flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) != 0)
        return -EINVAL;
    if (fake_is_bad(ret_fds, 2 * sizeof *ret_fds))
        return -EFAULT;
    return make_pair(HOST_PIPE, (flags & O_CLOEXEC) != 0, status, PIPE_BYTES, ret_fds);
}

int host_socketpair(int domain, int type, int protocol, int *ret_fds)
{
    const int status[2] = { O_RDWR | (type & SOCK_NONBLOCK), O_RDWR | (type & SOCK_NONBLOCK) };

    if (domain != AF_UNIX)
        return domain == AF_INET || domain == AF_INET6 ? -EOPNOTSUPP : -EAFNOSUPPORT;
    if (protocol != 0 && protocol != PF_UNIX)
        return -EPROTONOSUPPORT;
    if (fake_is_bad(ret_fds, 2 * sizeof *ret_fds))
        return -EFAULT;
    return make_pair(HOST_SOCKET, (type & SOCK_CLOEXEC) != 0, status, SOCKET_BYTES, ret_fds);
}

int host_socket(int domain, int type, int protocol)
{
    (void)protocol;
    if (domain == AF_VSOCK)
        host_abort("fake: a real AF_VSOCK socket was asked for");
    return new_fd(0, new_object(HOST_SOCKET), 0, (type & SOCK_CLOEXEC) != 0,
                  O_RDWR | (type & SOCK_NONBLOCK));
}

int fake_end(int fd)
{
    const struct object *object = object_of(fd);

    return object != NULL && object->kind == HOST_SOCKET ? 2 * fds[fd].object + fds[fd].end : 0;
}

bool fake_end_is_open(int end)
{
    return objects[end / 2 - 1].count[end % 2] > 0;
}

void fake_hold_other_end(int end, int change)
{
    objects[end / 2 - 1].count[1 - end % 2] += change;
}

int fake_other_end(int end, int flags)
{
    return new_fd(0, end / 2 - 1, 1 - end % 2, (flags & SOCK_CLOEXEC) != 0,
                  O_RDWR | (flags & SOCK_NONBLOCK));
}

int host_close(int fd)
{
    struct object *object = object_of(fd);

    if (fd >= FAKE_MEMORY_FIRST)
        return close(fd - FAKE_MEMORY_FIRST);
    if (object == NULL)
        return -EBADF;
    object->count[fds[fd].end]--;
    fds[fd].object = 0;
    if (object->count[0] == 0 && object->count[1] == 0) {
        free(object->data[0]);
        free(object->data[1]);
        *object = (struct object){ .kind = HOST_OTHER };
    }
    return 0;
}

int host_close_range(unsigned first, unsigned last, int flags)
{
    if (first > last || (flags & ~(CLOSE_RANGE_CLOEXEC | CLOSE_RANGE_UNSHARE)) != 0)
        return -EINVAL;
    for (unsigned fd = first; fd <= last && fd < FDS; fd++) {
        if ((flags & CLOSE_RANGE_CLOEXEC) != 0)
            fds[fd].cloexec = 1;
        else
            host_close((int)fd);
    }
    return 0;
}

static int duplicate(int fd, int from, int cloexec)
{
    if (object_of(fd) == NULL)
        return -EBADF;
    return new_fd(from, fds[fd].object - 1, fds[fd].end, cloexec, fds[fd].status);
}

int host_dup(int fd)
{
    return duplicate(fd, 0, 0);
}

int host_dup2(int fd, int target)
{
    if (object_of(fd) == NULL || target < 0 || target >= FDS)
        return -EBADF;
    if (fd == target)
        return target;
    return host_dup3(fd, target, 0);
}

int host_dup3(int fd, int target, int flags)
{
    if ((flags & ~O_CLOEXEC) != 0 || fd == target)
        return -EINVAL;
    if (object_of(fd) == NULL || target < 0 || target >= FDS)
        return -EBADF;
    host_close(target);
    return duplicate(fd, target, (flags & O_CLOEXEC) != 0);
}

/* O_NONBLOCK and its kin belong to the description: all descriptors of the same end. */
static void set_status(int fd, int status)
{
    for (int other = 0; other < FDS; other++) {
        if (fds[other].object == fds[fd].object && fds[other].end == fds[fd].end)
            fds[other].status = (fds[other].status & O_ACCMODE) | status;
    }
}

int64_t host_fcntl(int fd, int command, unsigned long argument)
{
    struct object *object = object_of(fd);

    if (object == NULL)
        return -EBADF;
    switch (command) {
    case F_DUPFD: return argument >= FDS ? -EINVAL : duplicate(fd, (int)argument, 0);
    case F_DUPFD_CLOEXEC: return argument >= FDS ? -EINVAL : duplicate(fd, (int)argument, 1);
    case F_GETFD: return fds[fd].cloexec;
    case F_SETFD: fds[fd].cloexec = (int)argument & FD_CLOEXEC; return 0;
    case F_GETFL: return fds[fd].status;
    case F_SETFL: set_status(fd, (int)argument & (O_NONBLOCK | O_DIRECT | O_ASYNC)); return 0;
    case F_GETPIPE_SZ: return object->kind == HOST_PIPE ? object->capacity : -EBADF;
    case F_SETPIPE_SZ:
        if (object->kind != HOST_PIPE)
            return -EBADF;
        for (object->capacity = 4096; (unsigned long)object->capacity < argument;)
            object->capacity *= 2;
        return object->capacity;
    default: return fake_owner_command(2 * fds[fd].object + fds[fd].end, command, argument);
    }
}

int64_t host_ioctl(int fd, unsigned long request, void *argument)
{
    if (object_of(fd) == NULL)
        return -EBADF;
    switch (request) {
    case FIONBIO: {
        const int status = fds[fd].status & (O_NONBLOCK | O_DIRECT | O_ASYNC);

        set_status(fd, *(int *)argument ? status | O_NONBLOCK : status & ~O_NONBLOCK);
        return 0;
    }
    case FIOASYNC: {
        const int status = fds[fd].status & (O_NONBLOCK | O_DIRECT | O_ASYNC);

        set_status(fd, *(int *)argument ? status | O_ASYNC : status & ~O_ASYNC);
        return 0;
    }
    case FIOCLEX: fds[fd].cloexec = 1; return 0;
    case FIONCLEX: fds[fd].cloexec = 0; return 0;
    default: return -ENOTTY;
    }
}

/* The place of an option of this end; a free one when it was never set. */
static struct fake_option *option_of(int fd, int name)
{
    struct fake_option *options = object_of(fd)->options[fds[fd].end];

    for (int i = 0; i < OPTIONS; i++) {
        if (options[i].size == 0 || options[i].name == name)
            return &options[i];
    }
    host_abort("fake: too many socket options");
}

int host_getsockopt(int fd, int level, int name, void *ret_value, socklen_t *ret_size)
{
    struct object *object = object_of(fd);
    struct fake_option value = { .size = sizeof(int) };

    if (object == NULL)
        return -EBADF;
    if (object->kind != HOST_SOCKET)
        return -ENOTSOCK;
    if (level != SOL_SOCKET)
        return -EOPNOTSUPP;
    if (option_of(fd, name)->size > 0)
        value = *option_of(fd, name);
    else if (name == SO_SNDBUF || name == SO_RCVBUF)
        memcpy(value.value, &object->capacity, sizeof object->capacity);
    if (*ret_size > value.size)
        *ret_size = value.size;
    memcpy(ret_value, value.value, *ret_size);
    return 0;
}

int host_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    struct object *object = object_of(fd);

    if (object == NULL)
        return -EBADF;
    if (object->kind != HOST_SOCKET)
        return -ENOTSOCK;
    if (level != SOL_SOCKET || size < sizeof(int) || size > 16)
        return level != SOL_SOCKET ? -EOPNOTSUPP : -EINVAL;
    struct fake_option *option = option_of(fd, name);
    *option = (struct fake_option){ .name = name, .size = size };
    memcpy(option->value, value, size);
    if (name == SO_SNDBUF) { /* net/core/sock.c sk_setsockopt(): doubled, with a floor */
        int bytes;

        memcpy(&bytes, value, sizeof bytes);
        bytes = 2 * bytes > LEAST_BUFFER ? 2 * bytes : LEAST_BUFFER;
        memcpy(option->value, &bytes, sizeof bytes);
    }
    return 0;
}

int host_shutdown(int fd, int how)
{
    (void)how;
    return object_of(fd) == NULL ? -EBADF : 0;
}

int64_t host_read(int fd, void *data, size_t size)
{
    struct object *object = object_of(fd);

    if (object == NULL)
        return -EBADF;
    const int end = fds[fd].end;
    if (object->size[end] == 0)
        return object->count[1 - end] == 0 ? 0 : -EAGAIN;
    if (size > object->size[end])
        size = object->size[end];
    memcpy(data, object->data[end], size);
    object->size[end] -= size;
    memmove(object->data[end], object->data[end] + size, object->size[end]);
    return (int64_t)size;
}

int64_t host_readv(int fd, const struct iovec *iov, int count)
{
    int64_t total = 0;

    for (int i = 0; i < count; i++) {
        const int64_t got = iov[i].iov_len > 0 ? host_read(fd, iov[i].iov_base, iov[i].iov_len) : 0;

        if (got < 0)
            return total > 0 ? total : got;
        total += got;
        if (got < (int64_t)iov[i].iov_len)
            break;
    }
    return total;
}

int64_t host_record_size(int fd)
{
    const struct object *object = object_of(fd);

    return object == NULL ? -EBADF : (int64_t)object->size[fds[fd].end];
}

int64_t host_write(int fd, const void *data, size_t size)
{
    struct object *object = object_of(fd);

    if (object == NULL)
        return -EBADF;
    if (object->count[1 - fds[fd].end] == 0)
        return -EPIPE;
    if (object->size[1 - fds[fd].end] + size > (size_t)object->capacity)
        return -EAGAIN;
    fake_write_past(fd, data, size);
    return (int64_t)size;
}

int host_identify(int fd, struct host_identity *ret_identity)
{
    struct object *object = object_of(fd);

    if (object == NULL)
        return -EBADF;
    *ret_identity = (struct host_identity){ .kind = (uint32_t)object->kind };
    if (object->kind == HOST_PIPE) {
        ret_identity->device = 1;
        ret_identity->object = (uint64_t)fds[fd].object;
        ret_identity->access = fds[fd].end == 0 ? O_RDONLY : O_WRONLY;
    } else if (object->kind == HOST_SOCKET) {
        ret_identity->object = (uint64_t)fds[fd].object * 2 + (uint64_t)fds[fd].end;
    }
    return 0;
}

short host_poll_one(int fd, short events)
{
    struct object *object = object_of(fd);

    if (object == NULL)
        return POLLNVAL;
    if (object->kind == HOST_OTHER)
        return events & (POLLIN | POLLOUT);
    if (object->kind == FAKE_INSTANCE)
        return 0;
    const int end = fds[fd].end;
    const bool alone = object->count[1 - end] == 0;
    short bits = POLLOUT;
    if (object->size[end] > 0)
        bits |= POLLIN;
    if (object->kind == HOST_PIPE) {
        bits = end == 0 ? bits & POLLIN : bits & POLLOUT;
        return (bits & events) | (alone ? (end == 0 ? POLLHUP : POLLERR) : 0);
    }
    if (alone)
        bits |= POLLIN | POLLRDHUP;
    return (bits & events) | (alone ? POLLHUP : 0);
}

static int count_ready(struct pollfd *list, nfds_t count)
{
    int ready = 0;

    for (nfds_t i = 0; i < count; i++) {
        list[i].revents = list[i].fd < 0 ? 0 : host_poll_one(list[i].fd, list[i].events);
        ready += list[i].revents != 0;
    }
    return ready;
}

struct poll_list {
    struct pollfd *list;
    nfds_t count;
};

static bool any_ready(const void *context)
{
    const struct poll_list *wanted = context;

    return count_ready(wanted->list, wanted->count) > 0;
}

int host_poll(struct pollfd *list, nfds_t count, int64_t timeout_ns, const sigset_t *during)
{
    const struct poll_list wanted = { list, count };
    const uint64_t deadline_ns = timeout_ns < 0 ? 0 : host_now_ns() + (uint64_t)timeout_ns;

    (void)during;
    if (timeout_ns == 0 || any_ready(&wanted) || fake_sleep(deadline_ns, any_ready, &wanted))
        return count_ready(list, count);
    return fake_is_stuck(deadline_ns) ? -EDEADLK : 0;
}

int host_bell_create(void)
{
    const int object = new_object(HOST_PIPE);

    objects[object].count[1] = 1; /* it is open for writing, too */
    return new_fd(0, object, 0, 1, O_RDWR | O_NONBLOCK);
}

int host_bell_watch(int bell)
{
    return duplicate(bell, 0, 1);
}

bool host_bell_watches(int watch, int bell)
{
    return object_of(watch) != NULL && object_of(watch) == object_of(bell);
}

void host_bell_harvest(int watch)
{
    (void)watch;
}

/* A pipe's reading end, whose number is also its name. */
int host_bell_open(int above, struct host_bell *ret_bell, uint64_t *ret_name)
{
    const int object = new_object(HOST_PIPE);
    const int fd = new_fd(above < 900 ? 900 : above + 1, object, 0, 1, 0);

    if (fd < 0)
        return fd;
    objects[object].count[1] = 1;
    *ret_bell = (struct host_bell){ fd, 1000 + (uint32_t)object, 1 };
    *ret_name = 1000 + (uint64_t)object;
    return 0;
}

int host_bell_sender(int above, struct host_bell *ret_sender)
{
    (void)above;
    *ret_sender = (struct host_bell){ 2, 2, 1 };
    return 0;
}

bool host_bell_stands(const struct host_bell *bell)
{
    return bell->fd == 2 ||
           (object_of(bell->fd) != NULL && fds[bell->fd].object - 1 == (int)bell->cookie - 1000);
}

int host_bell_send(const struct host_bell *sender, uint64_t name)
{
    (void)sender;
    for (int fd = 0; fd < FDS; fd++) {
        if (fds[fd].object - 1 == (int)name - 1000 && fds[fd].end == 0) {
            fake_wake();
            objects[name - 1000].data[0] = realloc(objects[name - 1000].data[0], 16);
            objects[name - 1000].size[0] += objects[name - 1000].size[0] < 16;
            return 0;
        }
    }
    return -ECONNREFUSED;
}

void host_bell_take(const struct host_bell *bell)
{
    if (object_of(bell->fd)->size[0] > 0)
        object_of(bell->fd)->size[0]--;
}

int host_reopen_writer(int fd)
{
    if (object_of(fd) == NULL)
        return -EBADF;
    return new_fd(0, fds[fd].object - 1, 1, 1, O_WRONLY | O_NONBLOCK);
}

int host_reopen_reader(int fd)
{
    if (object_of(fd) == NULL)
        return -EBADF;
    return new_fd(0, fds[fd].object - 1, 0, 1, O_RDONLY | O_NONBLOCK);
}

int host_process_open(int32_t pid)
{
    (void)pid;
    return -ENOSYS;
}

int host_bell_process(int above, int32_t pid, uint64_t *ret_object)
{
    (void)above;
    (void)ret_object;
    return host_process_open(pid);
}

bool host_bell_process_stands(int fd, uint64_t object)
{
    (void)fd;
    (void)object;
    return false;
}

int host_take_fd(int32_t pid, int fd)
{
    (void)pid;
    return duplicate(fd, 0, 1);
}

int host_each_fd(void (*each)(void *context, int fd), void *context, const int *known, int count)
{
    (void)known, (void)count;
    for (int fd = 0; fd < FDS; fd++) {
        if (fds[fd].object != 0)
            each(context, fd);
    }
    return 0;
}

uint64_t host_fd_limit(void)
{
    return FDS;
}
