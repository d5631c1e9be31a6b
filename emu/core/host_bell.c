/*
 * host_bell.c - see host.h: what a task that sleeps in poll is woken by
 *
 * A task's own bell is an AF_UNIX datagram socket under an abstract name that the kernel chose
 * (net/unix/af_unix.c:unix_autobind): five hexadecimal digits, by which anybody in the same network
 * namespace reaches it without a descriptor of it. All our numbers here are in the way of the
 * guest's, and it may close them: so a number is good only while it shows the cookie of our socket.
 */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#define HIDDEN_FD_MIN 500 /* numbers of our own begin here, or in the middle of a small table */
#define NAME_SIZE     5   /* of what unix_autobind() makes */

static long call(long number, long a, long b, long c, long d, long e, long f)
{
    return (long)host_syscall(number, a, b, c, d, e, f);
}

/*
 * Moves a descriptor out of the way of the guest's low numbers, above `above`. At most half of the
 * room up there is ours: where descriptors are scarce they belong to the guest. Returns its number
 * or -EMFILE; `low` is closed.
 */
static int hide(int low, int above)
{
    uint64_t limit = host_fd_limit();
    uint64_t first = limit / 2 < HIDDEN_FD_MIN ? limit / 2 : HIDDEN_FD_MIN;
    uint64_t from = above < (int64_t)first ? first : (uint64_t)above + 1;
    int fd = (int)host_fcntl(low, F_DUPFD_CLOEXEC, from);

    host_close(low);
    if (fd < 0) {
        return -EMFILE;
    }
    if ((uint64_t)fd >= first + (limit - first) / 2) {
        host_close(fd);
        return -EMFILE;
    }
    return fd;
}

#ifndef SO_NETNS_COOKIE
#    define SO_NETNS_COOKIE 71 /* include/uapi/asm-generic/socket.h, since 5.14 */
#endif

/* 0 when there is none. */
static uint32_t cookie_of(int fd, int which)
{
    uint64_t cookie = 0;
    socklen_t size = sizeof cookie;

    return host_getsockopt(fd, SOL_SOCKET, which, &cookie, &size) == 0 ? (uint32_t)cookie : 0;
}

/* An unbound datagram socket, out of the way. */
static int make_socket(int above, struct host_bell *ret_bell)
{
    int fd = host_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0) {
        fd = hide(fd, above);
    }
    if (fd < 0) {
        return fd;
    }
    ret_bell->fd = fd;
    ret_bell->cookie = cookie_of(fd, SO_COOKIE);
    ret_bell->network = cookie_of(fd, SO_NETNS_COOKIE);
    if (ret_bell->cookie == 0) {
        host_close(fd);
        return -ENOTSUP;
    }
    return 0;
}

int host_bell_sender(int above, struct host_bell *ret_sender)
{
    return make_socket(above, ret_sender);
}

int host_bell_open(int above, struct host_bell *ret_bell, uint64_t *ret_name)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    socklen_t size = sizeof address;
    uint64_t name = 0;
    long rc = make_socket(above, ret_bell);

    if (rc < 0) {
        return (int)rc;
    }
    rc = call(SYS_bind, ret_bell->fd, (long)&address, sizeof address.sun_family, 0, 0, 0);
    if (rc == 0) {
        rc = call(SYS_getsockname, ret_bell->fd, (long)&address, (long)&size, 0, 0, 0);
    }
    if (rc == 0 && size != offsetof(struct sockaddr_un, sun_path) + 1 + NAME_SIZE) {
        rc = -ENOTSUP;
    }
    if (rc < 0) {
        host_close(ret_bell->fd);
        return (int)rc;
    }
    memcpy(&name, address.sun_path + 1, NAME_SIZE);
    *ret_name = name;
    return 0;
}

/* 0: there is no such descriptor. Since 6.9 each process has an inode of its own (fs/pidfs.c). */
static uint64_t inode_of(int fd)
{
    struct stat status;

    return call(SYS_fstat, fd, (long)&status, 0, 0, 0, 0) == 0 ? status.st_ino : 0;
}

int host_bell_process(int above, int32_t pid, uint64_t *ret_object)
{
    int fd = host_process_open(pid);

    fd = fd >= 0 ? hide(fd, above) : fd;
    if (fd >= 0) {
        *ret_object = inode_of(fd);
    }
    return fd;
}

bool host_bell_process_stands(int fd, uint64_t object)
{
    return inode_of(fd) == object && call(SYS_pidfd_send_signal, fd, 0, 0, 0, 0, 0) != -EBADF;
}

bool host_bell_stands(const struct host_bell *bell)
{
    return bell->cookie != 0 && cookie_of(bell->fd, SO_COOKIE) == bell->cookie;
}

int host_bell_send(const struct host_bell *sender, uint64_t name)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    long rc;

    memcpy(address.sun_path + 1, &name, NAME_SIZE);
    rc = call(SYS_sendto, sender->fd, (long)"", 1, MSG_DONTWAIT | MSG_NOSIGNAL, (long)&address,
              offsetof(struct sockaddr_un, sun_path) + 1 + NAME_SIZE);
    return rc < 0 ? (int)rc : 0;
}

void host_bell_take(const struct host_bell *bell)
{
    char byte;

    call(SYS_recvfrom, bell->fd, (long)&byte, 1, MSG_DONTWAIT, 0, 0);
}

/* Two instances of one process, or of two, are told apart by what they hold alone. */
bool host_bell_watches(int watch, int bell)
{
    struct epoll_event nothing = { 0 };
    long rc = call(SYS_epoll_ctl, watch, EPOLL_CTL_ADD, bell, (long)&nothing, 0, 0);

    if (rc == 0) { /* the guest's, which has nothing of ours in it */
        call(SYS_epoll_ctl, watch, EPOLL_CTL_DEL, bell, (long)&nothing, 0, 0);
    }
    return rc == -EEXIST;
}

int host_bell_watch(int bell)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLET };
    int fd = (int)call(SYS_epoll_create1, EPOLL_CLOEXEC, 0, 0, 0, 0, 0);

    if (fd >= 0) {
        fd = hide(fd, -1);
    }
    if (fd < 0) {
        return fd;
    }
    if (call(SYS_epoll_ctl, fd, EPOLL_CTL_ADD, bell, (long)&event, 0, 0) < 0) {
        host_close(fd);
        return -EBADF;
    }
    return fd;
}

void host_bell_harvest(int watch)
{
    struct epoll_event event;

    call(SYS_epoll_wait, watch, (long)&event, 1, 0, 0, 0);
}
