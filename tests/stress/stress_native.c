/*
 * stress_native - one side makes a channel the kernel's while the other one uses it
 *
 * Proves: no byte is lost, and nobody sleeps for ever, when a channel is handed to the kernel
 * (docs/DIFFERENCES.md, "What makes a channel native") at the moment when the other side accepts
 * the connection, adds it to its epoll set, or writes the first bytes.
 *
 * Plain libc: passes on the kernel, and unchanged under the preload. In each round a child connects
 * to the parent's loop, sets an option that isn't modeled, and sends, in three orders; the loop
 * greets, and sends back what it gets. Or the child opens the reading end of a pipe anew, while the
 * parent writes. How long each waits in between differs from round to round.
 *
 * Exit: 0; 1 with a line for what was wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CONNECTIONS = 20000, PIPES = 3000, LOST_MS = 10000, EVENTS = 8 };

static void fail(const char *what, int round)
{
    printf("round %d: %s: %s\n", round, what, strerror(errno));
    fflush(stdout);
    _exit(1);
}

static void check(int good, const char *what, int round)
{
    if (!good) {
        fail(what, round);
    }
}

/* Up to 20 us, another time in each round. */
static void linger(int round, int factor)
{
    for (volatile int i = round * factor % 20000; i > 0; i--) {
    }
}

static void receive(int fd, const char *text, int round)
{
    size_t got = 0;
    char buffer[16];

    while (got < strlen(text)) {
        struct pollfd entry = { fd, POLLIN, 0 };
        ssize_t size;

        check(poll(&entry, 1, LOST_MS) == 1, "nothing came", round);
        size = read(fd, buffer, strlen(text) - got);
        check(size > 0 && memcmp(buffer, text + got, (size_t)size) == 0, "wrong bytes", round);
        got += (size_t)size;
    }
}

static void send_one(int fd, char byte, int round)
{
    check(write(fd, &byte, 1) == 1, "write", round);
}

/* ---- Connections ---- */

static void visit(const struct sockaddr_un *address, socklen_t size, int round)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    check(connect(fd, (const struct sockaddr *)address, size) == 0, "connect", round);
    if (round % 3 == 0) {
        send_one(fd, 'a', round);
    }
    linger(round, 37);
    check(setsockopt(fd, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof on) == 0, "SO_TIMESTAMP", round);
    if (round % 3 == 1) {
        send_one(fd, 'a', round);
    }
    linger(round, 91);
    if (round % 3 == 2) {
        send_one(fd, 'a', round);
    }
    send_one(fd, 'b', round);
    receive(fd, "gab", round);
    close(fd);
}

static void watch(int set, int operation, int fd, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.fd = fd };

    check(epoll_ctl(set, operation, fd, &event) == 0, "epoll_ctl", -1);
}

/* Accepts, and watches the connection as libdbus does: silent first. */
static void greet(int set, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    check(fd >= 0, "accept4", -1);
    watch(set, EPOLL_CTL_ADD, fd, EPOLLET);
    send_one(fd, 'g', -1);
    watch(set, EPOLL_CTL_MOD, fd, EPOLLIN);
}

/* True: the connection was closed. */
static int echo(int fd)
{
    char buffer[16];
    ssize_t size = read(fd, buffer, sizeof buffer);

    if (size > 0) {
        check(write(fd, buffer, (size_t)size) == size, "echo", -1);
    } else if (size == 0) {
        close(fd);
        return 1;
    } else {
        check(errno == EAGAIN, "read", -1);
    }
    return 0;
}

static void serve(int listener)
{
    int set = epoll_create1(EPOLL_CLOEXEC);
    int closed = 0;

    watch(set, EPOLL_CTL_ADD, listener, EPOLLIN);
    while (closed < CONNECTIONS) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(set, events, EVENTS, LOST_MS);

        check(count > 0, "the server was told of nothing", closed);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener) {
                greet(set, listener);
            } else {
                closed += echo(events[i].data.fd);
            }
        }
    }
    close(set);
}

static void wait_for(pid_t child)
{
    int status;

    check(waitpid(child, &status, 0) == child && status == 0, "the child", -1);
}

static void connections(void)
{
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    socklen_t size = sizeof address;
    pid_t child;

    check(bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0, "bind", -1);
    check(getsockname(listener, (struct sockaddr *)&address, &size) == 0, "getsockname", -1);
    check(listen(listener, 10) == 0, "listen", -1);
    child = fork();
    if (child == 0) {
        close(listener);
        for (int round = 0; round < CONNECTIONS; round++) {
            visit(&address, size, round);
        }
        _exit(0);
    }
    serve(listener);
    wait_for(child);
    close(listener);
}

/* ---- Pipes ---- */

/* The child has the reading end alone, and opens it once more. */
static void open_anew(int fd, int round)
{
    char path[32];
    int again;

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    linger(round, 53);
    again = open(path, O_RDONLY | O_CLOEXEC);
    check(again >= 0, path, round);
    receive(again, "xyz", round);
    _exit(0);
}

static void pipes(void)
{
    for (int round = 0; round < PIPES; round++) {
        int ends[2];
        pid_t child;

        check(pipe2(ends, O_CLOEXEC) == 0, "pipe2", round);
        child = fork();
        if (child == 0) {
            close(ends[1]);
            open_anew(ends[0], round);
        }
        close(ends[0]);
        for (const char *at = "xyz"; *at; at++) {
            linger(round * 7 + *at, 11);
            send_one(ends[1], *at, round);
        }
        wait_for(child);
        close(ends[1]);
    }
}

int main(void)
{
    connections();
    pipes();
    return 0;
}
