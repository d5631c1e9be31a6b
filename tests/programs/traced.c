/*
 * traced.c - calls of every kind, one after the other, the same every time: recorded and shown by
 * `sockrig trace` they must read as strace shows them (trace.sh)
 *
 *     traced FOLDER
 *
 * Flags, structures, errors, strings that must be escaped or cut, bits that nobody knows. What the
 * calls answer doesn't matter here. No two tasks run at a time, but for a child that is waited for.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char big[200];
static const char odd[] = "quote\" back\\ nul\0two \001x\0011 tab\t\r\v\f\033\177\377, and more";

static void bytes(void)
{
    char data[100];
    char *volatile nowhere = (char *)16; /* volatile: the compiler sees that nothing is there */
    struct iovec out[3] = { { "one", 3 }, { "two\n", 4 }, { NULL, 0 } };
    struct iovec in[2] = { { data, 2 }, { data + 10, 90 } };
    int p[2];

    if (pipe2(p, O_NONBLOCK | O_CLOEXEC) != 0)
        abort();
    (void)!read(p[0], data, sizeof data);
    (void)!write(p[1], "hello", 5);
    (void)!write(p[1], odd, sizeof odd - 1);
    (void)!read(p[0], data, 5);
    (void)!read(p[0], data, sizeof data);
    (void)!write(p[1], big, sizeof big);
    (void)!read(p[0], data, sizeof data);
    (void)!read(p[0], data, sizeof data);
    (void)!write(p[1], nowhere, 7);
    (void)!write(p[1], "", 0);
    (void)!write(p[0], "x", 1);
    (void)!write(99, "x", 1);
    (void)!writev(p[1], out, 3);
    (void)!readv(p[0], in, 2);
    (void)!readv(p[0], in, 2);
    (void)!pwritev2(p[1], out, 2, -1, RWF_NOWAIT);
    (void)!preadv2(p[0], in, 2, -1, 0);
    fcntl(p[0], F_GETFL);
    fcntl(p[0], F_SETFL, O_NONBLOCK | O_DIRECT);
    fcntl(p[0], F_SETFL, 0);
    fcntl(p[0], F_GETFD);
    fcntl(p[0], F_SETFD, FD_CLOEXEC);
    fcntl(p[0], F_SETFD, 0);
    fcntl(p[0], F_GETPIPE_SZ);
    fcntl(p[0], F_SETPIPE_SZ, 4096);
    fcntl(p[0], F_DUPFD, 30);
    fcntl(p[0], F_DUPFD_CLOEXEC, 40);
    fcntl(p[0], 4711, 5);
    ioctl(p[0], FIONREAD, data);
    ioctl(p[0], FIONBIO, &(int){ 1 });
    ioctl(p[0], FIOCLEX);
    ioctl(p[0], 0xdeadbeef, 5L);
    dup(p[0]);
    dup2(p[0], 50);
    dup3(p[0], 51, O_CLOEXEC);
    dup3(p[0], 51, 0x40);
    close_range(30, 60, CLOSE_RANGE_CLOEXEC);
    close_range(30, 60, 0);
    close_range(100, ~0u, 0); /* in parts, around what is hidden from us */
    close(5);
    close(p[1]);
    (void)!read(p[0], data, sizeof data);
    close(p[0]);
    close(p[0]);
    pipe(p);
    signal(SIGPIPE, SIG_IGN);
    close(p[0]);
    (void)!write(p[1], "x", 1);
    close(p[1]);
    (void)!pipe2(p, 0x12345);
}

static void names(const char *folder)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct sockaddr_un peer;
    socklen_t size = sizeof peer;
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    int server;

    snprintf(address.sun_path, sizeof address.sun_path, "%s/name", folder);
    unlink(address.sun_path);
    connect(client, (struct sockaddr *)&address, sizeof address);
    bind(listener, (struct sockaddr *)&address, sizeof address);
    listen(listener, 5);
    connect(client, (struct sockaddr *)&address, sizeof address);
    server = accept(listener, (struct sockaddr *)&peer, &size);
    size = sizeof peer;
    getsockname(server, (struct sockaddr *)&peer, &size);
    size = 4;
    getsockname(server, (struct sockaddr *)&peer, &size);
    size = sizeof peer;
    getpeername(server, (struct sockaddr *)&peer, &size);
    getpeername(listener, (struct sockaddr *)&peer, &size);
    accept4(listener, NULL, NULL, 0x10);
    fcntl(listener, F_SETFL, O_NONBLOCK);
    accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    shutdown(client, SHUT_WR);
    shutdown(client, 7);
    close(server);
    close(client);
    close(listener);
    unlink(address.sun_path);
    socket(AF_UNIX, 77, 0);
    socket(12345, SOCK_STREAM | 0x40, 5);
    listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
    memcpy(address.sun_path, "\0sockrig-traced-name", 20);
    bind(listener, (struct sockaddr *)&address, 2 + 20);
    size = sizeof peer;
    getsockname(listener, (struct sockaddr *)&peer, &size);
    bind(listener, (struct sockaddr *)&address, 1);
    close(listener);
}

static void options(void)
{
    int pair[2];
    int number = 0;
    socklen_t size = sizeof number;
    struct timeval time = { 1, 500000 };
    struct linger linger = { 1, 5 };
    struct ucred cred;

    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
    getsockopt(pair[0], SOL_SOCKET, SO_TYPE, &number, &size);
    getsockopt(pair[0], SOL_SOCKET, SO_ERROR, &number, &size);
    number = 8192;
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &number, sizeof number);
    getsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &number, &size);
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    size = sizeof time;
    getsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &time, &size);
    setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    size = sizeof linger;
    getsockopt(pair[0], SOL_SOCKET, SO_LINGER, &linger, &size);
    size = sizeof cred;
    getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &cred, &size);
    size = 2;
    getsockopt(pair[0], SOL_SOCKET, SO_TYPE, &number, &size);
    setsockopt(pair[0], SOL_SOCKET, 4711, &number, sizeof number);
    getsockopt(pair[0], 4711, 4712, &number, &size);
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &number, 2);
    setsockopt(pair[0], SOL_SOCKET, SO_RCVLOWAT, &(int){ 1 }, sizeof(int));
    close(pair[0]);
    close(pair[1]);
}

static void messages(void)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int[2]))];
    } control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
                              .cmsg_level = SOL_SOCKET,
                              .cmsg_type = SCM_RIGHTS } };
    char data[64], name[64];
    struct iovec iov[2] = { { "ab", 2 }, { "cde", 3 } };
    struct iovec in[2] = { { data, 3 }, { data + 3, 60 } };
    struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };
    struct mmsghdr batch[2] = { { { .msg_iov = iov, .msg_iovlen = 2 }, 0 },
                                { { .msg_iov = iov, .msg_iovlen = 1 }, 0 } };
    struct mmsghdr got[3] = { { { .msg_iov = in, .msg_iovlen = 1 }, 0 },
                              { { .msg_iov = in, .msg_iovlen = 2 }, 0 },
                              { { .msg_iov = in, .msg_iovlen = 2 }, 0 } };
    struct timespec second = { 1, 0 };
    int pair[2];

    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair);
    send(pair[0], "datagram", 8, MSG_NOSIGNAL);
    recv(pair[1], data, sizeof data, MSG_PEEK | MSG_DONTWAIT);
    recv(pair[1], data, 3, MSG_TRUNC);
    recv(pair[1], data, 3, MSG_DONTWAIT | 0x8000000);
    sendto(pair[0], "x", 1, MSG_DONTWAIT | MSG_EOR, NULL, 0);
    recvfrom(pair[1], data, 10, 0, NULL, NULL);
    sendmsg(pair[0], &message, MSG_DONTWAIT);
    message.msg_iov = in;
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    message.msg_name = name;
    message.msg_namelen = sizeof name;
    recvmsg(pair[1], &message, 0);
    recvmsg(pair[1], &message, MSG_DONTWAIT);
    sendmmsg(pair[0], batch, 2, 0);
    recvmmsg(pair[1], got, 3, MSG_DONTWAIT, &second);
    recvmmsg(pair[1], got, 3, MSG_DONTWAIT, NULL);
    sendmsg(pair[0], NULL, 0);
    shutdown(pair[0], SHUT_RDWR);
    recvmsg(pair[1], &(struct msghdr){ .msg_iov = in, .msg_iovlen = 1 }, MSG_CMSG_CLOEXEC);
    close(pair[0]);
    close(pair[1]);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    control.header.cmsg_len = CMSG_LEN(sizeof(int[2]));
    memcpy(CMSG_DATA(&control.header), pair, sizeof pair);
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    message = (struct msghdr){
        .msg_iov = iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    sendmsg(pair[0], &message, 0);
    message.msg_iov = in;
    recvmsg(pair[1], &message, MSG_CMSG_CLOEXEC);
    close(pair[0]);
    close(pair[1]);
    close_range(5, 6, 0);
}

static void sets(void)
{
    struct timespec none = { 0, 1000 };
    struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.u32 = 7 };
    struct epoll_event events[4];
    struct pollfd fds[4];
    fd_set in, out, except;
    sigset_t mask;
    int p[2], e;

    (void)!pipe(p);
    memcpy(fds,
           (struct pollfd[]){ { p[0], POLLIN, 0 },
                              { p[1], POLLOUT | POLLIN, 0 },
                              { -1, 0, 0 },
                              { 99, POLLPRI | POLLRDHUP, 0 } },
           sizeof fds);
    poll(fds, 1, 0);
    poll(fds, 1, 2);
    poll(fds, 4, -1);
    poll(fds, 2, 1000);
    poll(NULL, 0, 1);
    (void)!write(p[1], "abc", 3);
    poll(fds, 2, 0);
    ppoll(fds, 1, &none, NULL);
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigaddset(&mask, SIGCHLD);
    ppoll(fds, 2, NULL, &mask);
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_ZERO(&except);
    FD_SET(p[0], &in);
    FD_SET(p[1], &in);
    FD_SET(p[1], &out);
    select(p[1] + 1, &in, &out, &except, &(struct timeval){ 0, 2000 });
    FD_ZERO(&in);
    FD_SET(p[1], &in);
    FD_ZERO(&out);
    select(p[1] + 1, &in, NULL, NULL, &(struct timeval){ 0, 2000 });
    FD_SET(p[0], &in);
    pselect(p[1] + 1, &in, NULL, NULL, &none, &mask);
    FD_SET(60, &in);
    select(61, &in, NULL, NULL, NULL);
    e = epoll_create1(EPOLL_CLOEXEC);
    epoll_create1(0x55);
    epoll_ctl(e, EPOLL_CTL_ADD, p[0], &event);
    epoll_ctl(e, EPOLL_CTL_ADD, p[0], &event);
    event.data.u64 = 0x123456789abcdef0;
    event.events = EPOLLOUT | EPOLLONESHOT;
    epoll_ctl(e, EPOLL_CTL_ADD, p[1], &event);
    epoll_wait(e, events, 4, -1);
    epoll_wait(e, events, 4, 0);
    epoll_ctl(e, EPOLL_CTL_MOD, p[1], &event);
    epoll_pwait(e, events, 1, 10, &mask);
    epoll_pwait2(e, events, 1, &none, NULL);
    epoll_ctl(e, EPOLL_CTL_DEL, p[1], NULL);
    epoll_ctl(e, 77, p[1], &event);
    epoll_wait(e, events, 0, 0);
    close(e);
    close(p[0]);
    close(p[1]);
}

static void moved(void)
{
    int a[2], b[2];

    (void)!pipe(a);
    (void)!pipe(b);
    (void)!write(a[1], "abcdef", 6);
    (void)!tee(a[0], b[1], 3, SPLICE_F_NONBLOCK);
    (void)!splice(a[0], NULL, b[1], NULL, 100, SPLICE_F_MOVE | SPLICE_F_MORE);
    (void)!splice(a[0], &(off64_t){ 5 }, b[1], NULL, 100, 0);
    (void)!vmsplice(a[1], &(struct iovec){ "vm", 2 }, 1, SPLICE_F_GIFT);
    (void)!sendfile(b[1], a[0], NULL, 10);
    close(a[0]);
    close(a[1]);
    close(b[0]);
    close(b[1]);
}

static void children(void)
{
    int p[2];
    char data[10];
    pid_t child;

    (void)!pipe(p);
    child = fork();
    if (child == 0) {
        close(p[0]);
        (void)!write(p[1], "from child", 10);
        _exit(3);
    }
    waitpid(child, NULL, 0);
    close(p[1]);
    (void)!read(p[0], data, sizeof data);
    (void)!read(p[0], data, sizeof data);
    close(p[0]);
    (void)!pipe(p);
    close(p[0]);
    child = fork();
    if (child == 0) {
        signal(SIGPIPE, SIG_DFL);
        (void)!write(p[1], "to nobody", 9);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    close(p[1]);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)i;
    bytes();
    names(argc > 1 ? argv[1] : "/tmp");
    options();
    messages();
    sets();
    moved();
    children();
    return 0;
}
