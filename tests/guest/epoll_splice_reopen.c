/*
 * Proves: entries of an epoll set go on working, level, edge and one-shot, with a sleeper and
 * without, when bytes come and go by splice, tee, vmsplice and sendfile, when a pipe is opened anew
 * through /proc, and when fcntl resizes it; a reopened end is a description, so a key, of its own.
 *
 * Rows: 6.4 "LT: reported on every wait while ready", 6.4 "ET (EPOLLET): queued by a wake-up", 6.4
 * "The key is (fd number, open file description)", 6.4 "ONESHOT: after one report the mask"
 */
#include <sys/epoll.h>
#include <sys/sendfile.h>

#include "guest.h"

enum mover { SPLICE, TEE, VMSPLICE, SENDFILE, MOVERS };

static int fds[2];  /* the pipe that is watched at both ends */
static int from[2]; /* what splice and tee take from, filled before the entries are made */
static int epoll;

static void ctl(int op, int fd, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.fd = fd };
    CHECK_OK(epoll_ctl(epoll, op, fd, &event));
}

/* The bits reported of this fd, which is the only one reported; 0: none is. */
static uint32_t next_event(int fd)
{
    struct epoll_event events[3];
    int count = (int)CHECK_OK(epoll_wait(epoll, events, 3, 0));
    CHECK(count <= 1);
    if (count == 1) {
        CHECK_EQ(fd, events[0].data.fd);
    }
    return count == 1 ? events[0].events : 0;
}

/* Brings one byte into the watched pipe. */
static void move_one(enum mover mover)
{
    struct iovec byte = { "v", 1 };
    switch (mover) {
    case SPLICE: CHECK_EQ(1, splice(from[0], NULL, fds[1], NULL, 1, 0)); break;
    case TEE: CHECK_EQ(1, tee(from[0], fds[1], 1, 0)); break;
    case VMSPLICE: CHECK_EQ(1, vmsplice(fds[1], &byte, 1, 0)); break;
    default: {
        int file = (int)CHECK_OK(open("/proc/self/exe", O_RDONLY));
        CHECK_EQ(1, sendfile(fds[1], file, NULL, 1));
        CHECK_OK(close(file));
    }
    }
}

static void open_set(uint32_t events)
{
    guest_pipe(fds);
    guest_pipe(from);
    CHECK_EQ(8, write(from[1], "12345678", 8));
    epoll = (int)CHECK_OK(epoll_create1(0));
    ctl(EPOLL_CTL_ADD, fds[0], EPOLLIN | events);
}

static void close_set(void)
{
    guest_close_both(fds);
    guest_close_both(from);
    CHECK_OK(close(epoll));
}

static void moved_in(enum mover mover)
{
    char byte;
    open_set(0);
    CHECK_EQ(0, next_event(fds[0]));
    move_one(mover);
    CHECK_EQ(EPOLLIN, next_event(fds[0]));
    CHECK_EQ(EPOLLIN, next_event(fds[0]));
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_EQ(0, next_event(fds[0]));
    ctl(EPOLL_CTL_MOD, fds[0], EPOLLIN | EPOLLET);
    move_one(mover);
    CHECK_EQ(EPOLLIN, next_event(fds[0]));
    CHECK_EQ(0, next_event(fds[0]));
    CHECK_EQ(1, write(fds[1], "w", 1));
    CHECK_EQ(EPOLLIN, next_event(fds[0]));
    ctl(EPOLL_CTL_MOD, fds[0], EPOLLIN | EPOLLONESHOT);
    CHECK_EQ(EPOLLIN, next_event(fds[0]));
    move_one(mover);
    CHECK_EQ(0, next_event(fds[0]));
    ctl(EPOLL_CTL_MOD, fds[0], EPOLLIN);
    CHECK_EQ(EPOLLIN, next_event(fds[0]));
    ctl(EPOLL_CTL_DEL, fds[0], 0);
    CHECK_EQ(0, next_event(fds[0]));
    close_set();
}

static void *sleep_for_input(void *argument)
{
    struct epoll_event event;
    (void)argument;
    CHECK_EQ(1, epoll_wait(epoll, &event, 1, -1));
    CHECK_EQ(EPOLLIN, event.events);
    CHECK_EQ(fds[0], event.data.fd);
    return NULL;
}

static void moved_to_sleeper(enum mover mover, uint32_t edge)
{
    struct guest_thread thread;
    char byte;
    open_set(edge);
    for (int i = 0; i < 3; i++) {
        guest_thread_start(&thread, sleep_for_input, NULL);
        guest_thread_blocked(&thread);
        if (i == 1) {
            CHECK_EQ(1, write(fds[1], "w", 1)); /* the plain way, in between */
        } else {
            move_one(mover);
        }
        guest_thread_join(&thread);
        CHECK_EQ(1, read(fds[0], &byte, 1));
    }
    close_set();
}

/* Room that splice makes in a full ring is an edge of the writing end. */
static void moved_out(void)
{
    char *buffer = calloc(1, GUEST_PIPE_SIZE);
    int into[2];
    open_set(EPOLLONESHOT);
    guest_pipe(into);
    ctl(EPOLL_CTL_ADD, fds[1], EPOLLOUT | EPOLLET);
    CHECK_EQ(EPOLLOUT, next_event(fds[1]));
    CHECK_EQ(GUEST_PIPE_SIZE, write(fds[1], buffer, GUEST_PIPE_SIZE));
    CHECK_EQ(EPOLLIN, next_event(fds[0]));
    CHECK_EQ(2 * GUEST_PAGE, splice(fds[0], NULL, into[1], NULL, 2 * GUEST_PAGE, 0));
    CHECK_EQ(EPOLLOUT, next_event(fds[1]));
    CHECK_EQ(0, next_event(fds[1]));
    guest_close_both(into);
    close_set();
    free(buffer);
}

static int reopen(int fd, int flags)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return (int)CHECK_OK(open(path, flags));
}

static void opened_anew(void)
{
    char byte;
    open_set(EPOLLET);
    int writer = reopen(fds[0], O_WRONLY);
    CHECK_EQ(0, next_event(fds[0]));
    CHECK_EQ(1, write(writer, "x", 1));
    CHECK_EQ(EPOLLIN, next_event(fds[0]));
    CHECK_EQ(1, write(fds[1], "y", 1));
    CHECK_EQ(EPOLLIN, next_event(fds[0]));
    int reader = reopen(fds[0], O_RDONLY), number = fds[0];
    CHECK_ERR(ENOENT, epoll_ctl(epoll, EPOLL_CTL_DEL, reader, NULL));
    CHECK_OK(close(number)); /* the last reference of that description; the pipe goes on */
    CHECK_EQ(1, write(fds[1], "z", 1));
    CHECK_EQ(0, next_event(number));
    ctl(EPOLL_CTL_ADD, reader, EPOLLIN | EPOLLET);
    CHECK_EQ(EPOLLIN, next_event(reader));
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(1, read(reader, &byte, 1));
    }
    CHECK_OK(close(fds[1]));
    CHECK_EQ(0, next_event(reader)); /* the reopened writer lives */
    CHECK_OK(close(writer));
    CHECK_EQ(EPOLLHUP, next_event(reader));
    CHECK_OK(close(reader));
    guest_close_both(from);
    CHECK_OK(close(epoll));
}

/* A larger ring makes room, F_SETPIPE_SZ says so to those who wait for it. */
static void resized(void)
{
    char *buffer = calloc(1, GUEST_PIPE_SIZE);
    open_set(EPOLLONESHOT);
    ctl(EPOLL_CTL_ADD, fds[1], EPOLLOUT | EPOLLET);
    CHECK_EQ(GUEST_PIPE_SIZE, write(fds[1], buffer, GUEST_PIPE_SIZE));
    CHECK_EQ(EPOLLIN, next_event(fds[0]));
    CHECK_EQ(0, next_event(fds[1])); /* full when it is looked at */
    CHECK_EQ(2 * GUEST_PIPE_SIZE, fcntl(fds[1], F_SETPIPE_SZ, 2 * GUEST_PIPE_SIZE));
    CHECK_EQ(EPOLLOUT, next_event(fds[1]));
    CHECK_EQ(0, next_event(fds[1]));
    close_set();
    free(buffer);
}

int main(void)
{
    guest_start();
    for (int mover = 0; mover < MOVERS; mover++) {
        moved_in((enum mover)mover);
        moved_to_sleeper((enum mover)mover, 0);
        moved_to_sleeper((enum mover)mover, EPOLLET);
    }
    moved_out();
    opened_anew();
    resized();
    return guest_end();
}
