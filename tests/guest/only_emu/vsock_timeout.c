/*
 * Proves (in the emulator only): a destination that drops packets: one guest dials another, or the
 * hypervisor. connect waits for its own timeout (2 s unless set; SO_SNDTIMEO counts for nothing),
 * non-blocking it fails by itself after that and can be repeated; meanwhile the socket shows
 * nothing and is neither connected nor not; a blocking connect joins the wait; a signal ends it
 * with EINTR whatever SA_RESTART says, and the port is kept.
 *
 * Rows: 7.4 "destination drops packets", 7.4 "Default timeout 2 s", 7.4 "signal",
 * 7.4 "CONNECTING, blocking", 7.4 "CONNECTING, O_NONBLOCK", 7.6 "connecting",
 * 7.4 "After a non-blocking timeout", 7.2 "cid <= 2, or no H2G, or flag TO_HOST",
 * 5.5 "vsock connect"
 */
#include <sys/eventfd.h>

#include "vsock.h"

enum { FIRST_GUEST = 3, SECOND_GUEST = 4, PORT = 5000 };

static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };

/* A second guest listens, and hears nothing of it. */
static void nothing_comes(struct vsock_side *side)
{
    int fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = vsock_socket(types[i]);
        CHECK_OK(vsock_bind(fds[i], VMADDR_CID_ANY, PORT + (uint32_t)i));
        CHECK_OK(listen(fds[i], 5));
    }
    vsock_meet(side);
    vsock_meet(side); /* the client has tried */
    for (int i = 0; i < 2; i++) {
        CHECK_BITS(0, fds[i]);
        CHECK_OK(close(fds[i]));
    }
}

/* It takes at least the timeout, and not the default of 2 s. */
static void dial_in_vain(int fd, uint32_t cid, uint32_t port, int milliseconds)
{
    vsock_set_connect_timeout(fd, milliseconds);
    int64_t before = guest_now_ms();
    CHECK_ERR(ETIMEDOUT, vsock_connect(fd, cid, port));
    int64_t took = guest_now_ms() - before;
    CHECK(took >= milliseconds - 1);
    CHECK(took < 1900);
}

static void blocking(struct vsock_side *side)
{
    static const uint32_t cids[] = { SECOND_GUEST, 0, 77, VMADDR_CID_ANY };
    vsock_meet(side);
    for (int i = 0; i < 8; i++) {
        int fd = vsock_socket(types[i % 2]);
        const struct timeval less = { 0, 10000 };
        CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &less, sizeof less));
        dial_in_vain(fd, cids[i / 2], PORT + (uint32_t)i % 2, 60);
        uint32_t own = vsock_port(fd);
        CHECK_NAME(VMADDR_CID_ANY, own, fd);
        CHECK_NO_PEER(fd);
        CHECK_BITS(VSOCK_OUT, fd); /* connect's own timeout isn't stored */
        CHECK_EQ(0, vsock_error(fd));
        dial_in_vain(fd, cids[i / 2], PORT + (uint32_t)i % 2, 60);
        CHECK_NAME(VMADDR_CID_ANY, own, fd);
        CHECK_OK(close(fd));
    }
    vsock_meet(side);
}

static void default_time(struct vsock_side *side)
{
    vsock_meet(side);
    int fd = vsock_socket(SOCK_STREAM);
    const struct timeval zero = { 0, 0 }; /* the default again */
    vsock_set_connect_timeout(fd, 5);
    CHECK_OK(setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &zero, sizeof zero));
    int64_t before = guest_now_ms();
    CHECK_ERR(ETIMEDOUT, vsock_connect(fd, SECOND_GUEST, PORT));
    int64_t took = guest_now_ms() - before;
    CHECK(took >= 1999);
    CHECK(took < 4000);
    CHECK_OK(close(fd));
    vsock_meet(side);
}

static void while_connecting(int fd)
{
    CHECK_BITS(0, fd);
    CHECK_EQ(0, guest_select(fd));
    CHECK_EQ(0, vsock_error(fd));
    CHECK_NO_PEER(fd);
    CHECK_ERR(EALREADY, vsock_connect(fd, VMADDR_CID_LOCAL, PORT));
    CHECK_ERR(EALREADY, vsock_connect(fd, VMADDR_CID_LOCAL, PORT));
    CHECK_ERR(EINVAL, listen(fd, 1));
    CHECK_ERR(EINVAL, accept(fd, NULL, NULL));
    CHECK_ERR(EINVAL, vsock_bind(fd, VMADDR_CID_ANY, VMADDR_PORT_ANY));
    CHECK_ERR(ENOTCONN, recv(fd, &(char){ 0 }, 1, 0));
    CHECK_ERR(ENOTCONN, send(fd, "x", 1, 0));
}

static void nonblocking(struct vsock_side *side)
{
    vsock_meet(side);
    for (int i = 0; i < 2; i++) {
        int fd = vsock_socket(types[i] | SOCK_NONBLOCK);
        struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET };
        int epoll = (int)CHECK_OK(epoll_create1(0));
        vsock_set_connect_timeout(fd, 300);
        for (int attempt = 0; attempt < 2; attempt++) {
            int64_t before = guest_now_ms();
            CHECK_ERR(EINPROGRESS, vsock_connect(fd, SECOND_GUEST, PORT + (uint32_t)i));
            while_connecting(fd);
            if (attempt == 0) {
                CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
                vsock_wait_bit(fd, POLLERR);
            }
            CHECK_EQ(1, epoll_wait(epoll, &event, 1, -1)); /* the second time it sleeps here */
            CHECK_EQ(EPOLLERR | EPOLLOUT, event.events);
            CHECK(guest_now_ms() - before >= 299);
            CHECK_BITS(POLLERR | VSOCK_OUT, fd);
            CHECK_EQ(ETIMEDOUT, vsock_error(fd));
            CHECK_EQ(0, vsock_error(fd));
            CHECK_BITS(VSOCK_OUT, fd);
            CHECK_NO_PEER(fd);
        }
        CHECK_OK(close(epoll));
        CHECK_OK(close(fd));
    }
    vsock_meet(side);
}

/*
 * The time is over, and nobody has waited for it: whatever asks first finds it so. A wait that ends
 * earlier finds nothing.
 */
static void unasked(struct vsock_side *side)
{
    enum { ASKERS = 6 };
    int fds[ASKERS];
    vsock_meet(side);
    for (int i = 0; i < ASKERS; i++) {
        fds[i] = vsock_socket(types[i % 2] | SOCK_NONBLOCK);
        vsock_set_connect_timeout(fds[i], 150);
        CHECK_ERR(EINPROGRESS, vsock_connect(fds[i], SECOND_GUEST, PORT));
    }
    CHECK_EQ(0, guest_poll(fds[0], POLLIN | POLLOUT, 20));
    CHECK_ERR(EALREADY, vsock_connect(fds[0], SECOND_GUEST, PORT));
    CHECK_EQ(0, poll(NULL, 0, 200)); /* time itself is what is tested */
    CHECK_EQ(ETIMEDOUT, vsock_error(fds[0]));
    CHECK_BITS(POLLERR | VSOCK_OUT, fds[1]);
    CHECK_ERR(EINPROGRESS, vsock_connect(fds[2], SECOND_GUEST, PORT)); /* not EALREADY */
    CHECK_EQ(0, vsock_error(fds[2]));
    CHECK_OK(listen(fds[3], 1)); /* unconnected, bound by connect */
    CHECK_ERR(ENOTCONN, shutdown(fds[4], SHUT_RDWR));
    CHECK_ERR(ENOTCONN, send(fds[5], "x", 1, MSG_NOSIGNAL));
    CHECK_EQ(GUEST_READABLE | GUEST_WRITABLE, guest_select(fds[5])); /* an error is both */
    for (int i = 0; i < ASKERS; i++) {
        CHECK_OK(close(fds[i]));
    }
    vsock_meet(side);
}

/* Asleep with a real descriptor beside it, in a thread and in another process. */
static void *sleep_on(void *argument)
{
    const int *fd = argument;
    struct epoll_event event = { .events = EPOLLOUT };
    int epoll = (int)CHECK_OK(epoll_create1(0)), real = (int)CHECK_OK(eventfd(0, 0));
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, *fd, &event));
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, real, &(struct epoll_event){ .events = EPOLLIN }));
    CHECK_EQ(1, epoll_wait(epoll, &event, 1, 20000));
    CHECK_EQ(EPOLLERR | EPOLLOUT, event.events);
    CHECK_OK(close(epoll));
    CHECK_OK(close(real));
    return NULL;
}

static void asleep(struct vsock_side *side)
{
    struct guest_thread thread;
    vsock_meet(side);
    int fd = vsock_socket(SOCK_STREAM | SOCK_NONBLOCK);
    vsock_set_connect_timeout(fd, 400);
    CHECK_ERR(EINPROGRESS, vsock_connect(fd, SECOND_GUEST, PORT));
    pid_t pid = guest_fork();
    if (pid == 0) {
        sleep_on(&fd);
        _exit(0);
    }
    guest_thread_start(&thread, sleep_on, &fd);
    struct pollfd entry = { .fd = fd, .events = POLLOUT };
    CHECK_EQ(1, poll(&entry, 1, 20000));
    CHECK_EQ(POLLERR | POLLOUT, entry.revents);
    guest_thread_join(&thread);
    guest_wait_exit(pid, 0);
    CHECK_EQ(ETIMEDOUT, vsock_error(fd));
    CHECK_OK(close(fd));
    vsock_meet(side);
}

/* Closed while it waits: nothing is left. */
static void given_up(struct vsock_side *side)
{
    vsock_meet(side);
    int fd = vsock_socket(SOCK_STREAM | SOCK_NONBLOCK);
    CHECK_ERR(EINPROGRESS, vsock_connect(fd, SECOND_GUEST, PORT));
    uint32_t own = vsock_port(fd);
    CHECK_OK(close(fd));
    fd = vsock_socket(SOCK_STREAM);
    CHECK_OK(vsock_bind(fd, VMADDR_CID_ANY, own));
    CHECK_OK(close(fd));
    fd = vsock_socket(SOCK_STREAM | SOCK_NONBLOCK);
    CHECK_ERR(EINPROGRESS, vsock_connect(fd, SECOND_GUEST, PORT));
    CHECK_OK(shutdown(fd, SHUT_RDWR));
    CHECK_ERR(EINVAL, vsock_connect(fd, SECOND_GUEST, PORT));
    CHECK_OK(close(fd));
    vsock_meet(side);
}

/* A blocking connect of a socket that is connecting waits as long as a new one would. */
static void joined(struct vsock_side *side)
{
    vsock_meet(side);
    int fd = vsock_socket(SOCK_STREAM | SOCK_NONBLOCK);
    CHECK_ERR(EINPROGRESS, vsock_connect(fd, SECOND_GUEST, PORT));
    guest_set_nonblock(fd, false);
    dial_in_vain(fd, VMADDR_CID_LOCAL, 1, 100); /* the address isn't looked at */
    CHECK_EQ(0, vsock_error(fd));
    CHECK_BITS(VSOCK_OUT, fd);
    int listener = vsock_socket(SOCK_STREAM); /* and now it gets through to somebody else */
    CHECK_OK(vsock_bind(listener, VMADDR_CID_ANY, PORT));
    CHECK_OK(listen(listener, 1));
    CHECK_OK(vsock_connect(fd, FIRST_GUEST, PORT));
    CHECK_PEER(FIRST_GUEST, PORT, fd);
    CHECK_OK(close(listener));
    CHECK_OK(close(fd));
    vsock_meet(side);
}

static void interrupted(struct vsock_side *side)
{
    static const int flags[] = { 0, SA_RESTART };
    for (int i = 0; i < 4; i++) {
        int fd = vsock_socket(types[i / 2]);
        vsock_set_connect_timeout(fd, 20000);
        guest_count_signal(SIGUSR1, flags[i % 2]);
        vsock_meet(side);
        CHECK_ERR(EINTR, vsock_connect(fd, SECOND_GUEST, PORT));
        CHECK_EQ(1, atomic_load(&guest_signal_count[SIGUSR1]));
        uint32_t own = vsock_port(fd);
        CHECK_BITS(VSOCK_OUT, fd);
        CHECK_EQ(0, vsock_error(fd));
        CHECK_NO_PEER(fd);
        CHECK_ERR(EINVAL, vsock_bind(fd, VMADDR_CID_ANY, VMADDR_PORT_ANY));
        dial_in_vain(fd, SECOND_GUEST, PORT, 30);
        CHECK_NAME(VMADDR_CID_ANY, own, fd);
        vsock_meet(side);
        CHECK_OK(close(fd));
    }
}

static void interrupts(struct vsock_side *side)
{
    for (int i = 0; i < 4; i++) {
        vsock_meet(side);
        vsock_peer_blocked(side);
        vsock_signal_peer(side, SIGUSR1);
        vsock_meet(side);
    }
}

static const struct vsock_case cases[] = {
    { "blocking", nothing_comes, blocking, SECOND_GUEST, FIRST_GUEST, false },
    { "default", nothing_comes, default_time, SECOND_GUEST, FIRST_GUEST, false },
    { "non-blocking", nothing_comes, nonblocking, SECOND_GUEST, FIRST_GUEST, false },
    { "unasked", nothing_comes, unasked, SECOND_GUEST, FIRST_GUEST, false },
    { "asleep", nothing_comes, asleep, SECOND_GUEST, FIRST_GUEST, false },
    { "given up", nothing_comes, given_up, SECOND_GUEST, FIRST_GUEST, false },
    { "joined", nothing_comes, joined, SECOND_GUEST, FIRST_GUEST, false },
    { "interrupted", interrupts, interrupted, SECOND_GUEST, FIRST_GUEST, false },
};

VSOCK_MAIN(cases)
