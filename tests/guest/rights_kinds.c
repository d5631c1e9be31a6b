/*
 * Proves: whatever can be a descriptor can be passed, to oneself, to a child that didn't inherit
 * it, and on from there, and is the same afterwards: ends of pipes with data in them, connected and
 * unconnected sockets, listeners, epoll instances, real files, eventfds, memfds, timers, pidfds, a
 * directory, a terminal, what was opened with O_PATH. The number it was sent under is closed before
 * it arrives, so that only the message holds it.
 *
 * Rows: 3.9 "received fd: same open file description", 5.1 "sharing"
 */
#include <pty.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>

#include "rights.h"
#include "unix_names.h"

/* What is passed, and what the test keeps to see what became of it. */
struct thing {
    int fd;
    int other; /* -1: none */
    int type;  /* of sockets */
};

struct kind {
    const char *name;
    void (*make)(struct thing *thing);
    void (*use)(int fd, const struct thing *thing); /* by who has received it */
    void (*check)(const struct thing *thing);       /* what was done is seen by who sent it */
};

/* ---- pipes ---- */

static void make_reader(struct thing *thing)
{
    int fds[2];
    guest_pipe(fds);
    CHECK_EQ(5, write(fds[1], "early", 5));
    thing->fd = fds[0];
    thing->other = fds[1];
}

static void use_reader(int fd, const struct thing *thing)
{
    char bytes[8];
    (void)thing;
    CHECK_EQ(2, read(fd, bytes, 2));
    CHECK_MEM("ea", bytes, 2);
    CHECK_EQ(O_RDONLY, fcntl(fd, F_GETFL));
    CHECK_ERR(EBADF, write(fd, "x", 1));
    int ready = 0;
    CHECK_OK(ioctl(fd, FIONREAD, &ready));
    CHECK_EQ(3, ready);
}

static void check_reader(const struct thing *thing)
{
    CHECK_EQ(POLLERR, guest_poll(thing->other, POLLIN, RIGHTS_SOON_MS)); /* nobody reads any more */
    CHECK_ERR(EPIPE, write(thing->other, "x", 1));
}

static void make_writer(struct thing *thing)
{
    thing->other = rights_witness(&thing->fd);
    CHECK_EQ(65536, fcntl(thing->fd, F_GETPIPE_SZ));
    CHECK_OK(fcntl(thing->fd, F_SETPIPE_SZ, 8192));
}

static void use_writer(int fd, const struct thing *thing)
{
    static char page[8192];
    (void)thing;
    memset(page, 'p', sizeof page);
    CHECK_EQ(8192, fcntl(fd, F_GETPIPE_SZ));
    guest_set_nonblock(fd, true);
    CHECK_EQ(8192, write(fd, page, sizeof page));
    CHECK_ERR(EAGAIN, write(fd, page, 1));
}

static void check_writer(const struct thing *thing)
{
    char page[8192];
    CHECK_EQ(8192, guest_read_all(thing->other, page, sizeof page));
    CHECK_EQ('p', page[8191]);
    CHECK_EQ(POLLHUP, guest_poll(thing->other, POLLIN, RIGHTS_SOON_MS));
}

/* ---- sockets ---- */

static void make_connected(struct thing *thing)
{
    int fds[2];
    guest_pair(thing->type, fds);
    CHECK_EQ(4, write(fds[1], "ping", 4));
    CHECK_EQ(4, write(fds[0], "gone", 4));
    thing->fd = fds[0];
    thing->other = fds[1];
}

static void make_named(struct thing *thing)
{
    int fds[2];
    unix_connection(thing->type, fds);
    CHECK_EQ(4, write(fds[1], "ping", 4));
    CHECK_EQ(4, write(fds[0], "gone", 4));
    thing->fd = fds[0];
    thing->other = fds[1];
}

static void use_connected(int fd, const struct thing *thing)
{
    char bytes[8];
    CHECK_EQ(thing->type, unix_option(fd, SO_TYPE));
    CHECK_EQ(4, read(fd, bytes, sizeof bytes));
    CHECK_MEM("ping", bytes, 4);
    CHECK_EQ(4, send(fd, "pong", 4, 0));
    CHECK_OK(shutdown(fd, SHUT_WR));
}

static void check_connected(const struct thing *thing)
{
    char bytes[8];
    CHECK_EQ(4, recv(thing->other, bytes, 4, MSG_WAITALL));
    CHECK_MEM("gone", bytes, 4);
    CHECK_EQ(4, recv(thing->other, bytes, 4, MSG_WAITALL));
    CHECK_MEM("pong", bytes, 4);
    CHECK_EQ(0, read(thing->other, bytes, 4));
    CHECK_EQ(POLLIN | POLLRDHUP | POLLHUP,
             guest_poll(thing->other, POLLIN | POLLRDHUP, RIGHTS_SOON_MS));
}

static struct unix_name own_name;

static void make_listener(struct thing *thing)
{
    thing->fd = unix_any_listener(thing->type, 4, &own_name);
    thing->other = unix_client(thing->type, &own_name);
    CHECK_EQ(4, write(thing->other, "ping", 4));
}

static void use_listener(int fd, const struct thing *thing)
{
    char bytes[8];
    (void)thing;
    CHECK_EQ(1, unix_option(fd, SO_ACCEPTCONN));
    CHECK_OWN_NAME(own_name, fd);
    int accepted = unix_accept(fd);
    CHECK_EQ(4, read(accepted, bytes, sizeof bytes));
    CHECK_EQ(4, write(accepted, "pong", 4));
    CHECK_OK(close(accepted));
}

static void check_listener(const struct thing *thing)
{
    char bytes[8];
    CHECK_EQ(4, read(thing->other, bytes, sizeof bytes));
    CHECK_EQ(0, read(thing->other, bytes, sizeof bytes));
    int client = unix_socket(thing->type);
    CHECK_ERR(ECONNREFUSED, unix_connect(client, &own_name));
    CHECK_OK(close(client));
}

static void make_fresh(struct thing *thing)
{
    thing->other = unix_any_listener(thing->type, 4, &own_name);
    thing->fd = unix_socket(thing->type);
}

static void use_fresh(int fd, const struct thing *thing)
{
    CHECK_ERR(ENOTCONN, send(fd, "x", 1, MSG_NOSIGNAL));
    CHECK_OK(unix_connect(fd, &own_name));
    CHECK_EQ(4, write(fd, "pong", 4));
    (void)thing;
}

static void check_fresh(const struct thing *thing)
{
    char bytes[8];
    int accepted = unix_accept(thing->other);
    CHECK_EQ(4, read(accepted, bytes, sizeof bytes));
    CHECK_EQ(0, read(accepted, bytes, sizeof bytes));
    CHECK_OK(close(accepted));
}

/* Bound, not yet listening: who receives it listens. */
static void make_bound(struct thing *thing)
{
    own_name = unix_abstract("bound");
    thing->fd = unix_socket(thing->type);
    CHECK_OK(unix_bind(thing->fd, &own_name));
    thing->other = -1;
}

static void use_bound(int fd, const struct thing *thing)
{
    CHECK_OWN_NAME(own_name, fd);
    CHECK_OK(listen(fd, 2));
    int client = unix_client(thing->type, &own_name);
    unix_finish(client, unix_accept(fd));
}

/* ---- an epoll instance with a pipe in it ---- */

static void make_epoll(struct thing *thing)
{
    int fds[2];
    struct epoll_event event = { .events = EPOLLIN, .data.u32 = 77 };
    guest_pipe(fds);
    thing->fd = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    CHECK_OK(epoll_ctl(thing->fd, EPOLL_CTL_ADD, fds[0], &event));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_OK(close(fds[1]));
    thing->other = fds[0];
}

static void use_epoll(int fd, const struct thing *thing)
{
    struct epoll_event event;
    (void)thing;
    CHECK_EQ(1, epoll_wait(fd, &event, 1, 0));
    CHECK_EQ(77, event.data.u32);
    CHECK_EQ(EPOLLIN | EPOLLHUP, event.events);
}

/* ---- what isn't emulated ---- */

static void make_memfd(struct thing *thing)
{
    thing->fd = (int)CHECK_OK(memfd_create("passed", MFD_CLOEXEC));
    CHECK_EQ(4, write(thing->fd, "file", 4));
    thing->other = (int)CHECK_OK(dup(thing->fd));
}

static void use_memfd(int fd, const struct thing *thing)
{
    (void)thing;
    CHECK_EQ(4, lseek(fd, 0, SEEK_CUR)); /* one offset for all */
    CHECK_EQ(4, write(fd, "more", 4));
    CHECK_EQ(1, lseek(fd, 1, SEEK_SET));
    char *map = mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED);
    CHECK_MEM("filemore", map, 8);
    CHECK_OK(munmap(map, 8));
}

static void check_memfd(const struct thing *thing)
{
    CHECK_EQ(1, lseek(thing->other, 0, SEEK_CUR));
}

static void make_event(struct thing *thing)
{
    thing->fd = (int)CHECK_OK(eventfd(3, 0));
    thing->other = (int)CHECK_OK(dup(thing->fd));
}

static void use_event(int fd, const struct thing *thing)
{
    uint64_t value = 4;
    (void)thing;
    CHECK_EQ(sizeof value, write(fd, &value, sizeof value));
}

static void check_event(const struct thing *thing)
{
    uint64_t value;
    CHECK_EQ(sizeof value, read(thing->other, &value, sizeof value));
    CHECK_EQ(7, value);
}

static void make_timer(struct thing *thing)
{
    const struct itimerspec soon = { .it_value = { .tv_nsec = 1 } };
    thing->fd = (int)CHECK_OK(timerfd_create(CLOCK_MONOTONIC, 0));
    CHECK_OK(timerfd_settime(thing->fd, 0, &soon, NULL));
    thing->other = -1;
}

static void use_timer(int fd, const struct thing *thing)
{
    uint64_t value;
    (void)thing;
    CHECK_EQ(POLLIN, guest_poll(fd, POLLIN, -1));
    CHECK_EQ(sizeof value, read(fd, &value, sizeof value));
}

static pid_t watched;

/* A pidfd that becomes readable when who is watched ends; that is when thing->other closes. */
static void make_pidfd(struct thing *thing)
{
    int fds[2];
    guest_pipe(fds);
    watched = guest_fork();
    if (watched == 0) {
        CHECK_OK(close(fds[1]));
        (void)!read(fds[0], &(char){ 0 }, 1);
        _exit(0);
    }
    CHECK_OK(close(fds[0]));
    thing->fd = (int)CHECK_OK(syscall(SYS_pidfd_open, watched, 0));
    thing->other = fds[1];
}

static void use_pidfd(int fd, const struct thing *thing)
{
    (void)thing;
    CHECK_EQ(0, guest_poll(fd, POLLIN, 0));
    CHECK_OK(syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0));
    CHECK_EQ(POLLIN, guest_poll(fd, POLLIN, -1) & POLLIN);
}

static void check_pidfd(const struct thing *thing)
{
    (void)thing;
    guest_wait_killed(watched, SIGKILL);
}

static void make_directory(struct thing *thing)
{
    thing->fd = (int)CHECK_OK(open(unix_directory, O_RDONLY | O_DIRECTORY));
    thing->other = -1;
}

static void use_directory(int fd, const struct thing *thing)
{
    (void)thing;
    int file = (int)CHECK_OK(openat(fd, "made", O_RDWR | O_CREAT, 0600));
    CHECK_OK(close(file));
    CHECK_OK(unlinkat(fd, "made", 0));
}

static void make_path(struct thing *thing)
{
    thing->fd = (int)CHECK_OK(open("/dev/null", O_PATH));
    thing->other = -1;
}

static void use_path(int fd, const struct thing *thing)
{
    struct stat status;
    (void)thing;
    CHECK_OK(fstat(fd, &status));
    CHECK(S_ISCHR(status.st_mode));
    CHECK_ERR(EBADF, read(fd, &(char){ 0 }, 1));
}

static void make_terminal(struct thing *thing)
{
    CHECK_OK(openpty(&thing->other, &thing->fd, NULL, NULL, NULL));
}

static void use_terminal(int fd, const struct thing *thing)
{
    (void)thing;
    CHECK_EQ(1, isatty(fd));
    CHECK_EQ(2, write(fd, "tt", 2));
}

static void check_terminal(const struct thing *thing)
{
    char bytes[8];
    CHECK_EQ(2, read(thing->other, bytes, sizeof bytes));
}

static void check_nothing(const struct thing *thing)
{
    (void)thing;
}

static const struct kind kinds[] = {
    { "reader", make_reader, use_reader, check_reader },
    { "writer", make_writer, use_writer, check_writer },
    { "connected", make_connected, use_connected, check_connected },
    { "named", make_named, use_connected, check_connected },
    { "listener", make_listener, use_listener, check_listener },
    { "fresh", make_fresh, use_fresh, check_fresh },
    { "bound", make_bound, use_bound, check_nothing },
    { "epoll", make_epoll, use_epoll, check_nothing },
    { "memfd", make_memfd, use_memfd, check_memfd },
    { "eventfd", make_event, use_event, check_event },
    { "timer", make_timer, use_timer, check_nothing },
    { "pidfd", make_pidfd, use_pidfd, check_pidfd },
    { "directory", make_directory, use_directory, check_nothing },
    { "path", make_path, use_path, check_nothing },
    { "terminal", make_terminal, use_terminal, check_terminal },
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* ---- the ways ---- */

static void send_thing(int over, const struct thing *thing)
{
    CHECK_EQ(1, message_send(over, "t", 1, &thing->fd, 1));
    CHECK_OK(close(thing->fd));
}

static int take_thing(int from)
{
    struct message_received received;
    rights_expect(__FILE__, __LINE__, from, 8, 0, "t", 1, &received);
    return received.fds[0];
}

/* In a child: what was inherited is closed, so that only the message has it. */
static void disinherit(const struct thing *thing)
{
    if (thing->fd > 0) {
        CHECK_OK(close(thing->fd));
        if (thing->other >= 0) {
            CHECK_OK(close(thing->other));
        }
    }
}

static void finish(const struct kind *kind, const struct thing *thing)
{
    kind->check(thing);
    if (thing->other >= 0) {
        CHECK_OK(close(thing->other));
    }
}

static void to_oneself(const struct kind *kind, int type)
{
    struct thing thing = { .type = type };
    int channel[2];
    guest_pair(type, channel);
    kind->make(&thing);
    send_thing(channel[0], &thing);
    thing.fd = take_thing(channel[1]);
    kind->use(thing.fd, &thing);
    CHECK_OK(close(thing.fd));
    guest_close_both(channel);
    finish(kind, &thing);
}

/* The child is older than what it gets, and passes it on to a grandchild, or uses it. */
static void to_a_child(const struct kind *kind, int type, bool further)
{
    struct thing thing = { .type = type };
    int channel[2], next[2];
    guest_pair(type, channel);
    guest_pair(type, next);
    if (kind->make == make_listener || kind->make == make_fresh || kind->make == make_bound) {
        kind->make(&thing); /* its name must be known to both */
    }
    pid_t passer = guest_fork();
    if (passer == 0) {
        disinherit(&thing);
        int fd = take_thing(channel[1]);
        if (further) {
            const struct thing passed = { .fd = fd };
            send_thing(next[0], &passed);
        } else {
            kind->use(fd, &thing);
        }
        _exit(0);
    }
    pid_t user = further ? guest_fork() : 0;
    if (further && user == 0) {
        disinherit(&thing);
        int fd = take_thing(next[1]);
        kind->use(fd, &thing);
        _exit(0);
    }
    if (thing.fd == 0) {
        kind->make(&thing);
    }
    send_thing(channel[0], &thing);
    guest_wait_exit(passer, 0);
    if (further) {
        guest_wait_exit(user, 0);
    }
    guest_close_both(channel);
    guest_close_both(next);
    finish(kind, &thing);
}

int main(void)
{
    unix_start();
    guest_on_signal(SIGPIPE, SIG_IGN, 0);
    for (int i = 0; i < KINDS; i++) {
        for (int type = 0; type < 2; type++) {
            to_oneself(&kinds[i], rights_types[type]);
            to_a_child(&kinds[i], rights_types[type], false);
            to_a_child(&kinds[i], rights_types[type], true);
        }
    }
    return unix_end();
}
