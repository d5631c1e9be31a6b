/*
 * host_fake_name.c - names of fake sockets: bind, listen, connect, accept
 *
 * A socket is one end of an object; connect() gives the other end to the listener's queue, accept()
 * makes a descriptor of it. A queue that is full answers EAGAIN: nothing blocks here.
 *
 * Leaves out: files (a path that is no name here doesn't exist), permissions.
 */
#include "host_fake.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "host.h"

enum { NAMES = 128, QUEUE = 16, ADDRESS = 128 };

struct name {
    int end; /* fake_end() of the socket; 0: free */
    char address[ADDRESS];
    socklen_t size;
    int room; /* of a listener: backlog + 1 */
    int queue[QUEUE];
    int waiting;
};

static struct name names[NAMES];
static uint64_t next_random;

void fake_reset_names(void)
{
    memset(names, 0, sizeof names);
    next_random = 0;
}

/* Names of sockets that are closed by now are free. */
static bool holds(const struct name *name)
{
    return name->end != 0 && fake_end_is_open(name->end);
}

static struct name *name_of(int end)
{
    for (int i = 0; i < NAMES && end > 0; i++) {
        if (names[i].end == end)
            return &names[i];
    }
    return NULL;
}

static struct name *find(const void *address, socklen_t size)
{
    for (int i = 0; i < NAMES; i++) {
        if (holds(&names[i]) && names[i].size == size &&
            memcmp(names[i].address, address, size) == 0)
            return &names[i];
    }
    return NULL;
}

int host_bind(int fd, const void *address, socklen_t size)
{
    const int end = fake_end(fd);

    if (end == 0)
        return -EBADF;
    if (size <= sizeof(sa_family_t) || size > ADDRESS || name_of(end) != NULL)
        return -EINVAL;
    if (find(address, size) != NULL)
        return -EADDRINUSE;
    for (int i = 0; i < NAMES; i++) {
        if (!holds(&names[i])) {
            names[i] = (struct name){ .end = end, .size = size };
            memcpy(names[i].address, address, size);
            return 0;
        }
    }
    return -ENOMEM;
}

int host_listen(int fd, int backlog)
{
    struct name *name = name_of(fake_end(fd));

    if (name == NULL)
        return -EINVAL;
    name->room = backlog + 1 < QUEUE && backlog >= 0 ? backlog + 1 : QUEUE;
    return 0;
}

static int64_t connect_to(int fd, const void *address, socklen_t size)
{
    struct name *name = find(address, size);
    const int end = fake_end(fd);

    if (name == NULL || name->room == 0)
        return -ECONNREFUSED;
    if (name->waiting == name->room)
        return -EAGAIN;
    name->queue[name->waiting++] = end;
    fake_hold_other_end(end, 1);
    return 0;
}

static int64_t accept_from(int fd, void *ret_address, socklen_t *ret_size, int flags)
{
    struct name *name = name_of(fake_end(fd));
    const struct name *peer;
    int end;
    int got;

    if (name == NULL || name->room == 0)
        return -EINVAL;
    if (name->waiting == 0)
        return -EAGAIN;
    end = name->queue[0];
    got = fake_other_end(end, flags);
    if (got < 0)
        return got;
    fake_hold_other_end(end, -1);
    memmove(name->queue, name->queue + 1, (size_t)--name->waiting * sizeof name->queue[0]);
    peer = name_of(end);
    *ret_size = peer ? peer->size : sizeof(sa_family_t);
    memset(ret_address, 0, sizeof(struct sockaddr_un));
    memcpy(ret_address, peer ? peer->address : "\1", *ret_size);
    return got;
}

bool fake_name_call(long number, long a, long b, long c, long d, int64_t *ret_result)
{
    switch (number) {
    case SYS_connect: *ret_result = connect_to((int)a, (void *)b, (socklen_t)c); return true;
    case SYS_accept4:
        *ret_result = accept_from((int)a, (void *)b, (socklen_t *)c, (int)d);
        return true;
    default: return false;
    }
}

int host_getsockname(int fd, void *ret_address, socklen_t *ret_size)
{
    const struct name *name = name_of(fake_end(fd));
    const sa_family_t unnamed = AF_UNIX;

    *ret_size = name ? name->size : sizeof unnamed;
    memcpy(ret_address, name ? (const void *)name->address : &unnamed, *ret_size);
    return 0;
}

int host_getpeername(int fd, void *ret_address, socklen_t *ret_size)
{
    (void)fd, (void)ret_address, (void)ret_size;
    return -ENOTCONN;
}

int host_file_identity(const char *path, uint64_t *ret_device, uint64_t *ret_inode)
{
    (void)path, (void)ret_device, (void)ret_inode;
    return -ENOENT;
}

uint64_t host_random(void)
{
    return next_random += 0x9e3779b97f4a7c15u;
}

bool host_has_capability(int capability)
{
    (void)capability;
    return true;
}
