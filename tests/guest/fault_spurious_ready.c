/*
 * Proves: poll and epoll may call a descriptor readable on which a read then finds nothing: another
 * thread was faster. So may accept, of which poll said that it has a connection: another process
 * took it.
 */
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/un.h>

#include "guest.h"

struct reader {
    struct guest_thread thread;
    int fd;
    bool epoll;
    pthread_barrier_t *both_know;
    ssize_t got; /* bytes, or -errno */
};

static void wait_by_epoll(int fd)
{
    int set = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    struct epoll_event event = { .events = EPOLLIN };

    CHECK_OK(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
    CHECK_EQ(1, epoll_wait(set, &event, 1, -1));
    CHECK(event.events & EPOLLIN);
    CHECK_OK(close(set));
}

static void *wait_then_read(void *argument)
{
    struct reader *reader = argument;
    struct pollfd entry = { .fd = reader->fd, .events = POLLIN };
    char byte;

    if (reader->epoll) {
        wait_by_epoll(reader->fd);
    } else {
        CHECK_EQ(1, poll(&entry, 1, -1));
        CHECK(entry.revents & POLLIN);
    }
    pthread_barrier_wait(reader->both_know); /* nobody reads before both were told */
    reader->got = read(reader->fd, &byte, 1);
    reader->got = reader->got < 0 ? -errno : reader->got;
    return NULL;
}

static void two_readers(const int fds[2], bool epoll)
{
    pthread_barrier_t both_know;
    struct reader readers[2];

    CHECK_ZERO(pthread_barrier_init(&both_know, NULL, 2));
    guest_set_nonblock(fds[0], true);
    for (int i = 0; i < 2; i++) {
        readers[i] = (struct reader){ .fd = fds[0], .epoll = epoll, .both_know = &both_know };
        guest_thread_start(&readers[i].thread, wait_then_read, &readers[i]);
        guest_thread_blocked(&readers[i].thread);
    }
    CHECK_EQ(1, write(fds[1], "x", 1));
    for (int i = 0; i < 2; i++) {
        guest_thread_join(&readers[i].thread);
    }
    CHECK_EQ(1 - EAGAIN, readers[0].got + readers[1].got);
    CHECK_ZERO(pthread_barrier_destroy(&both_know));
    guest_close_both(fds);
}

/* A child that shares the listener takes the connection that its parent was told of. */
static void two_acceptors(void)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int size = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "fault-ready-%d", getpid());
    socklen_t length = (socklen_t)offsetof(struct sockaddr_un, sun_path) + 1 + (socklen_t)size;
    int listener = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    int client = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    struct pollfd entry = { .fd = listener, .events = POLLIN };

    CHECK_OK(bind(listener, (struct sockaddr *)&name, length));
    CHECK_OK(listen(listener, 5));
    CHECK_OK(connect(client, (struct sockaddr *)&name, length));
    CHECK_EQ(1, poll(&entry, 1, -1));
    pid_t child = guest_fork();
    if (child == 0) {
        _exit(accept(listener, NULL, NULL) < 0);
    }
    guest_wait_exit(child, 0);
    CHECK_ERR(EAGAIN, accept(listener, NULL, NULL));
    CHECK_OK(close(listener));
    CHECK_OK(close(client));
}

int main(void)
{
    int fds[2];

    guest_start();
    for (int epoll = 0; epoll < 2; epoll++) {
        guest_pipe(fds);
        two_readers(fds, epoll);
        guest_pair(SOCK_STREAM, fds);
        two_readers(fds, epoll);
        guest_pair(SOCK_SEQPACKET, fds);
        two_readers(fds, epoll);
    }
    two_acceptors();
    return guest_end();
}
