/*
 * Proves (in the emulator only): the sequences of calls that client libraries make of AF_VSOCK:
 * detection by /dev/vsock, CPython's socket module, Go's mdlayher/vsock over mdlayher/socket,
 * Rust's vsock crate, socket2 and nix, systemd.
 *
 * Rows: 7.9 "CPython socket", 7.9 "Go mdlayher/vsock", 7.9 "Rust vsock crate", 7.9 "socket2",
 * 7.9 "nix", 7.9 "systemd", 7.2 "IOCTL on an open /dev/vsock"
 */
#include "vsock.h"

/* As all of them ask for it; the machine itself has no such file. */
static uint32_t local_cid(int flags)
{
    uint32_t cid = 0;
    int fd = (int)CHECK_OK(open("/dev/vsock", flags));
    CHECK_EQ(0, ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid));
    CHECK_OK(close(fd));
    return cid;
}

static void detection(struct vsock_side *side)
{
    CHECK_EQ(side->own_cid, local_cid(O_RDONLY));
    CHECK_EQ(side->own_cid, local_cid(O_RDONLY | O_CLOEXEC));
    int fd = vsock_socket(SOCK_STREAM | SOCK_CLOEXEC);
    CHECK_OK(close(fd));
}

/* test_socket.py: get_cid(), bind to any CID, dial one's own; a thread or process for each end. */
static void cpython_server(struct vsock_side *side)
{
    char bytes[1024];
    CHECK_EQ(side->own_cid, local_cid(O_RDONLY | O_CLOEXEC));
    int fd = vsock_socket(SOCK_STREAM | SOCK_CLOEXEC);
    CHECK_OK(vsock_bind(fd, VMADDR_CID_ANY, 1234));
    CHECK_OK(listen(fd, 128));
    vsock_meet(side);
    struct sockaddr_vm address;
    socklen_t size = sizeof address;
    int connection = (int)CHECK_OK(accept4(fd, (struct sockaddr *)&address, &size, SOCK_CLOEXEC));
    CHECK_EQ(sizeof address, size);
    CHECK_EQ(AF_VSOCK, address.svm_family);
    CHECK_EQ(13, recv(connection, bytes, sizeof bytes, 0));
    CHECK_MEM("This is a msg", bytes, 13);
    CHECK_OK(shutdown(connection, SHUT_WR));
    vsock_meet(side);
    CHECK_OK(close(connection));
    CHECK_OK(close(fd));
}

/* settimeout(): O_NONBLOCK by FIONBIO, connect, poll for OUT, SO_ERROR. */
static void cpython_client(struct vsock_side *side)
{
    char bytes[16];
    int fd = vsock_socket(SOCK_STREAM | SOCK_CLOEXEC);
    CHECK_OK(ioctl(fd, FIONBIO, &(int){ 1 }));
    vsock_meet(side);
    CHECK_ERR(EINPROGRESS, vsock_connect(fd, local_cid(O_RDONLY | O_CLOEXEC), 1234));
    CHECK_EQ(POLLOUT, guest_poll(fd, POLLOUT, 20000));
    CHECK_EQ(0, vsock_error(fd));
    CHECK_EQ(13, send(fd, "This is a msg", 13, 0));
    CHECK_EQ(POLLIN, guest_poll(fd, POLLIN, 20000));
    CHECK_EQ(0, recv(fd, bytes, sizeof bytes, 0));
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static uint64_t get_size(int fd, int option)
{
    uint64_t value = 0;
    socklen_t size = sizeof value;
    CHECK_OK(getsockopt(fd, AF_VSOCK, option, &value, &size));
    return value;
}

/* testSocketBufferSize: doubles what it finds, in this order. */
static void cpython_options(struct vsock_side *side)
{
    (void)side;
    int fd = vsock_socket(SOCK_STREAM);
    uint64_t max = get_size(fd, SO_VM_SOCKETS_BUFFER_MAX_SIZE);
    uint64_t size = get_size(fd, SO_VM_SOCKETS_BUFFER_SIZE);
    uint64_t min = get_size(fd, SO_VM_SOCKETS_BUFFER_MIN_SIZE);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_MAX_SIZE, 2 * max);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_SIZE, 2 * size);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_MIN_SIZE, 2 * min);
    CHECK_EQ(2 * max, get_size(fd, SO_VM_SOCKETS_BUFFER_MAX_SIZE));
    CHECK_EQ(2 * size, get_size(fd, SO_VM_SOCKETS_BUFFER_SIZE));
    CHECK_EQ(2 * min, get_size(fd, SO_VM_SOCKETS_BUFFER_MIN_SIZE));
    CHECK_OK(close(fd));
}

/* One of Go's runtime: every fd in one edge-triggered set, which says when to try again. */
static int go_register(int epoll, int fd)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                 .data.fd = fd };
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
    return fd;
}

static void go_wait(int epoll, int fd, uint32_t bit)
{
    struct epoll_event event;
    do { /* bounded by the deadline */
        CHECK_EQ(1, epoll_wait(epoll, &event, 1, -1));
    } while (event.data.fd != fd || !(event.events & (bit | EPOLLERR | EPOLLHUP)));
}

static ssize_t go_read(int epoll, int fd, void *bytes, size_t size)
{
    for (;;) {
        ssize_t result = read(fd, bytes, size);
        if (result >= 0 || errno != EAGAIN) {
            return result;
        }
        go_wait(epoll, fd, EPOLLIN | EPOLLRDHUP);
    }
}

/* Listen(0): the machine's CID, a port of the kernel's choice. */
static void go_server(struct vsock_side *side)
{
    char bytes[64];
    int epoll = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    uint32_t cid = local_cid(O_RDONLY | O_CLOEXEC);
    int listener = vsock_socket(SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC);
    CHECK_OK(vsock_bind(listener, cid, VMADDR_PORT_ANY));
    CHECK_OK(listen(listener, SOMAXCONN));
    CHECK_NAME(cid, vsock_port(listener), listener);
    go_register(epoll, listener);
    vsock_say(side, vsock_port(listener));
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0) {
        CHECK_EQ(EAGAIN, errno);
        go_wait(epoll, listener, EPOLLIN);
    }
    go_register(epoll, fd);
    CHECK_NAME(cid, vsock_port(listener), fd);
    CHECK_OK(vsock_name_of(fd, true).svm_port);
    CHECK_EQ(5, go_read(epoll, fd, bytes, sizeof bytes));
    CHECK_EQ(5, write(fd, bytes, 5));
    CHECK_EQ(0, go_read(epoll, fd, bytes, sizeof bytes)); /* CloseWrite() of the other side */
    CHECK_OK(close(fd));
    CHECK_OK(close(listener));
    CHECK_OK(close(epoll));
}

/* Dial(): it goes on waiting unless getpeername succeeds. */
static void go_client(struct vsock_side *side)
{
    char bytes[64];
    int epoll = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    uint32_t port = vsock_hear(side);
    int fd = go_register(epoll, vsock_socket(SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC));
    CHECK_ERR(EINPROGRESS, vsock_connect(fd, side->peer_cid, port));
    go_wait(epoll, fd, EPOLLOUT);
    CHECK_EQ(0, vsock_error(fd));
    while (getpeername(fd, (struct sockaddr *)&(struct sockaddr_vm){ .svm_family = 0 },
                       &(socklen_t){ sizeof(struct sockaddr_vm) }) != 0) {
        CHECK_EQ(ENOTCONN, errno);
        go_wait(epoll, fd, EPOLLOUT);
        CHECK_EQ(0, vsock_error(fd));
    }
    CHECK_PEER(side->peer_cid, port, fd);
    CHECK_NAME(VMADDR_CID_ANY, vsock_port(fd), fd);
    CHECK_EQ(5, write(fd, "hello", 5));
    CHECK_EQ(5, go_read(epoll, fd, bytes, sizeof bytes));
    CHECK_OK(shutdown(fd, SHUT_WR));
    CHECK_EQ(0, go_read(epoll, fd, bytes, sizeof bytes));
    CHECK_OK(close(fd));
    CHECK_OK(close(epoll));
}

/* VsockListener::bind_with_cid_port(), incoming(); VsockStream with time limits and clones. */
static void rust_server(struct vsock_side *side)
{
    char bytes[64];
    struct sockaddr_vm address;
    socklen_t size = sizeof address;
    int listener = vsock_socket(SOCK_STREAM | SOCK_CLOEXEC);
    CHECK_OK(vsock_bind(listener, VMADDR_CID_ANY, VMADDR_PORT_ANY));
    CHECK_OK(listen(listener, 128));
    vsock_say(side, vsock_port(listener));
    int fd = (int)CHECK_OK(accept4(listener, (struct sockaddr *)&address, &size, SOCK_CLOEXEC));
    CHECK_EQ(16, size);
    const struct timeval wait = { 20, 0 };
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait));
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait));
    int clone = (int)CHECK_OK(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    CHECK_EQ(6, recv(fd, bytes, sizeof bytes, 0));
    CHECK_EQ(6, send(clone, bytes, 6, MSG_NOSIGNAL));
    CHECK_EQ(0, recv(clone, bytes, sizeof bytes, 0));
    CHECK_OK(shutdown(fd, SHUT_RDWR));
    CHECK_OK(close(clone));
    CHECK_OK(close(fd));
    CHECK_OK(close(listener));
}

static void rust_client(struct vsock_side *side)
{
    char bytes[64];
    CHECK_EQ(side->own_cid, local_cid(O_RDONLY | O_CLOEXEC)); /* get_local_cid() */
    int fd = vsock_socket(SOCK_STREAM | SOCK_CLOEXEC);
    CHECK_OK(vsock_connect(fd, side->peer_cid, vsock_hear(side)));
    CHECK_OK(ioctl(fd, FIONBIO, &(int){ 1 }));
    CHECK_ERR(EAGAIN, recv(fd, bytes, sizeof bytes, 0));
    CHECK_OK(ioctl(fd, FIONBIO, &(int){ 0 }));
    CHECK_EQ(6, send(fd, "stream", 6, MSG_NOSIGNAL));
    CHECK_EQ(6, recv(fd, bytes, sizeof bytes, 0));
    CHECK_EQ(0, vsock_error(fd)); /* take_error() */
    CHECK_OK(shutdown(fd, SHUT_WR));
    CHECK_EQ(0, recv(fd, bytes, sizeof bytes, 0));
    CHECK_OK(close(fd));
}

/* socket2's test `vsock`, and nix's: one task with both ends on the loopback. */
static void socket2_and_nix(struct vsock_side *side)
{
    char bytes[64];
    struct sockaddr_vm name;
    socklen_t size = sizeof(struct sockaddr_storage);
    struct sockaddr_storage storage;
    (void)side;
    int listener = vsock_socket(SOCK_STREAM | SOCK_CLOEXEC);
    CHECK_OK(vsock_bind(listener, VMADDR_CID_LOCAL, VMADDR_PORT_ANY));
    CHECK_OK(getsockname(listener, (struct sockaddr *)&storage, &size));
    CHECK_EQ(16, size); /* nix insists */
    memcpy(&name, &storage, sizeof name);
    CHECK_EQ(VMADDR_CID_LOCAL, name.svm_cid);
    CHECK_OK(listen(listener, 128));
    int fd = vsock_socket(SOCK_STREAM | SOCK_CLOEXEC);
    CHECK_OK(connect(fd, (const struct sockaddr *)&name, sizeof name));
    size = sizeof storage;
    int accepted =
        (int)CHECK_OK(accept4(listener, (struct sockaddr *)&storage, &size, SOCK_CLOEXEC));
    CHECK_EQ(16, size);
    CHECK_EQ(4, write(fd, "ping", 4));
    CHECK_EQ(4, read(accepted, bytes, sizeof bytes));
    CHECK_OK(close(accepted));
    CHECK_OK(close(fd));
    CHECK_OK(close(listener));
}

/* sd_notify's way to a socket: what socket() and connect() say decides on the type. */
static void systemd_server(struct vsock_side *side)
{
    char bytes[64];
    int fd = vsock_listen(side, SOCK_SEQPACKET, 5);
    int accepted = vsock_accept(fd);
    CHECK_EQ(7, recv(accepted, bytes, sizeof bytes, 0));
    CHECK_MEM("READY=1", bytes, 7);
    CHECK_EQ(0, recv(accepted, bytes, sizeof bytes, 0));
    CHECK_OK(close(accepted));
    CHECK_OK(close(fd));
}

static void systemd_client(struct vsock_side *side)
{
    uint32_t port = vsock_hear(side);
    int fd = vsock_socket(SOCK_SEQPACKET | SOCK_CLOEXEC);
    int size = 8 << 20; /* fd_inc_sndbuf() */
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
    CHECK_OK(vsock_connect(fd, side->peer_cid, port));
    struct iovec vector = { (void *)(uintptr_t) "READY=1", 7 };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
    CHECK_EQ(7, sendmsg(fd, &message, MSG_NOSIGNAL));
    CHECK_OK(shutdown(fd, SHUT_WR));
    CHECK_EQ(0, recv(fd, (char[1]){ 0 }, 1, 0));
    CHECK_OK(close(fd));
}

enum { GUEST = 3 };

static const struct vsock_case cases[] = {
    { "detection", detection, detection, 0, 0, false },
    { "CPython", cpython_server, cpython_client, 0, 0, false },
    { "CPython's options", cpython_options, cpython_options, 0, 0, false },
    { "Go", go_server, go_client, 0, 0, false },
    { "Rust", rust_server, rust_client, 0, 0, false },
    { "socket2 and nix", socket2_and_nix, socket2_and_nix, 0, 0, false },
    { "systemd", systemd_server, systemd_client, 0, 0, false },
    { "detection, guest", detection, detection, VSOCK_HOST, GUEST, false },
    { "Go, guest", go_server, go_client, VSOCK_HOST, GUEST, false },
    { "Rust, guest", rust_server, rust_client, VSOCK_HOST, GUEST, false },
    { "systemd, guest", systemd_server, systemd_client, VSOCK_HOST, GUEST, false },
    { "CPython, guest", cpython_server, cpython_client, GUEST, GUEST, false },
};

VSOCK_MAIN(cases)
