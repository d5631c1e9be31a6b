/*
 * listener.c - see listener.h
 *
 * An ordinary program on the host's side of vsock: what guests see of it is what they would see of
 * a service manager or a VMM there. It does nothing but that; what a message means is the
 * manager's.
 *
 * A message is a connection: all its bytes up to the end (a stream may come in pieces), or a record
 * of it where there are records. Nothing is sent. The connection is closed as soon as the message
 * is handed over and dealt with: from v256 on systemd's notifiers wait for that, without a limit.
 *
 * Bounds: CONNECTIONS_MAX at a time, the others wait in the backlog; NOTIFY_MESSAGE_MAX bytes; a
 * connection on which nothing comes for IDLE_MS is closed (its sender may wait for us to do so:
 * where half-closing isn't forwarded, the end of the message never arrives), and DRAIN_MS for those
 * that are still open when the run ends.
 */
#include "listener.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "frame.h"
#include "helper.h"

#define CONNECTIONS_MAX 64
#define IDLE_MS         10000
#define DRAIN_MS        1000

enum { FD_LIFELINE, FD_LISTENER, FD_CONNECTIONS };

struct connection {
    char *data; /* NOTIFY_MESSAGE_MAX bytes and one more */
    size_t size;
    int64_t deadline_ms; /* when it is given up */
};

struct listener {
    struct pollfd fds[FD_CONNECTIONS + CONNECTIONS_MAX];
    struct connection connections[CONNECTIONS_MAX]; /* of fds[FD_CONNECTIONS + i] */
    size_t count;                                   /* of connections */
    int fd;
    bool records;   /* SOCK_SEQPACKET */
    bool gone;      /* the manager: there is nobody to hand anything to */
    int64_t end_ms; /* when to end, once told to; 0 */
};

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- The socket ---- */

/* What systemd takes for "not with this type, try the next": ERRNO_IS_NOT_SUPPORTED() there. */
static bool is_not_supported(int error)
{
    switch (error) {
    case EOPNOTSUPP:
    case ENOTTY:
    case ENOSYS:
    case EAFNOSUPPORT:
    case EPFNOSUPPORT:
    case EPROTONOSUPPORT:
    case ESOCKTNOSUPPORT: return true;
    default: return false;
    }
}

/*
 * The plain form goes the way that notifiers go: records, or a stream where there are none. (They
 * try datagrams first, which no transport of ours has.)
 */
static int open_socket(const char *form, bool *ret_records)
{
    const bool stream_only = strcmp(form, "vsock-stream") == 0;
    const int flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
    int fd = -1;

    *ret_records = false;
    if (!stream_only) {
        fd = socket(AF_VSOCK, SOCK_SEQPACKET | flags, 0);
        *ret_records = fd >= 0;
    }
    if (stream_only || (fd < 0 && strcmp(form, "vsock") == 0 && is_not_supported(errno)))
        fd = socket(AF_VSOCK, SOCK_STREAM | flags, 0);
    return fd;
}

/* Returns the listening socket, or -errno. */
static int open_listener(const char *form, bool *ret_records, unsigned int *ret_port)
{
    struct sockaddr_vm name = { .svm_family = AF_VSOCK,
                                .svm_cid = VMADDR_CID_ANY,
                                .svm_port = VMADDR_PORT_ANY };
    socklen_t size = sizeof name;
    const int fd = open_socket(form, ret_records);
    int error = 0;

    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)&name, sizeof name) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, (struct sockaddr *)&name, &size) != 0) {
        error = errno;
        close(fd);
        return -error;
    }
    *ret_port = name.svm_port;
    return fd;
}

/* ---- Connections ---- */

static void hand_over(struct listener *listener, enum frame_kind kind, const char *data,
                      size_t size)
{
    if (!frame_hand_over(STDOUT_FILENO, STDIN_FILENO, kind, data, size))
        listener->gone = true;
}

static void open_connection(struct listener *listener)
{
    char *data = malloc(NOTIFY_MESSAGE_MAX + 1);
    const int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0 || data == NULL) {
        if (fd >= 0)
            close(fd);
        free(data);
        return;
    }
    listener->connections[listener->count] =
        (struct connection){ .data = data, .deadline_ms = now_ms() + IDLE_MS };
    listener->fds[FD_CONNECTIONS + listener->count++] = (struct pollfd){ .fd = fd,
                                                                         .events = POLLIN };
}

/* The others keep their order: it is the one in which messages came. */
static void close_connection(struct listener *listener, size_t i)
{
    struct pollfd *fds = &listener->fds[FD_CONNECTIONS + i];
    struct connection *connection = &listener->connections[i];
    const size_t after = --listener->count - i;

    close(fds->fd);
    free(connection->data);
    memmove(fds, fds + 1, after * sizeof *fds);
    memmove(connection, connection + 1, after * sizeof *connection);
}

/* What has come is the message, whole or not. */
static void deliver(struct listener *listener, struct connection *connection)
{
    if (connection->size > NOTIFY_MESSAGE_MAX)
        hand_over(listener, FRAME_TOO_LONG, NULL, 0);
    else if (connection->size > 0)
        hand_over(listener, FRAME_MESSAGE, connection->data, connection->size);
    connection->size = 0;
}

/* Returns false when the connection is to be closed. */
static bool read_connection(struct listener *listener, size_t i)
{
    struct connection *connection = &listener->connections[i];
    const size_t room = NOTIFY_MESSAGE_MAX + 1 - connection->size;
    const ssize_t size = recv(listener->fds[FD_CONNECTIONS + i].fd,
                              connection->data + connection->size, room, 0);

    if (size < 0)
        return errno == EAGAIN || errno == EINTR;
    connection->size += (size_t)size;
    connection->deadline_ms = now_ms() + IDLE_MS;
    const bool too_long = connection->size > NOTIFY_MESSAGE_MAX;
    if (size == 0 || listener->records || too_long)
        deliver(listener, connection);
    return size > 0 && !too_long && !listener->gone;
}

static void serve_connections(struct listener *listener)
{
    for (size_t i = 0; i < listener->count && !listener->gone;) {
        const bool is_ready = listener->fds[FD_CONNECTIONS + i].revents != 0;
        bool is_open = true;

        if (is_ready)
            is_open = read_connection(listener, i);
        else if (now_ms() >= listener->connections[i].deadline_ms) {
            deliver(listener, &listener->connections[i]);
            is_open = false;
        }
        if (is_open)
            i++;
        else
            close_connection(listener, i);
    }
}

/* ---- The loop ---- */

/* Milliseconds for poll: until somebody's time is over; -1: nobody's is limited. */
static int time_left_ms(const struct listener *listener)
{
    int64_t end = listener->end_ms != 0 ? listener->end_ms : INT64_MAX;

    if (listener->end_ms != 0 && listener->count == 0)
        return 0; /* just what is in the backlog */
    for (size_t i = 0; i < listener->count; i++) {
        if (listener->connections[i].deadline_ms < end)
            end = listener->connections[i].deadline_ms;
    }
    const int64_t left = end == INT64_MAX ? -1 : end - now_ms();
    return left < 0 && end != INT64_MAX ? 0 : (int)left;
}

/* True when all is over: told to end, and nothing is open or waiting, or there was time enough. */
static bool is_over(const struct listener *listener, int ready)
{
    if (listener->gone)
        return true;
    return listener->end_ms != 0 &&
           ((ready == 0 && listener->count == 0) || now_ms() >= listener->end_ms);
}

static void serve(struct listener *listener)
{
    int ready;

    do { /* ends when the manager says so, or is gone */
        const bool full = listener->count == CONNECTIONS_MAX;

        listener->fds[FD_LISTENER] = (struct pollfd){ .fd = full ? -1 : listener->fd,
                                                      .events = POLLIN };
        ready = poll(listener->fds, FD_CONNECTIONS + listener->count, time_left_ms(listener));
        if (ready < 0)
            continue;
        if (listener->fds[FD_LIFELINE].revents != 0) {
            listener->gone |= !helper_told();
            listener->fds[FD_LIFELINE].fd = -1;
            listener->end_ms = now_ms() + DRAIN_MS;
        }
        serve_connections(listener); /* before the new one, which isn't in poll's answer */
        if (listener->fds[FD_LISTENER].revents != 0)
            open_connection(listener);
    } while (!is_over(listener, ready));
}

int notify_listener_main(int argc, char **argv)
{
    static struct listener listener;
    unsigned int port = 0;
    char text[16];

    if (argc != 2 || !helper_was_started()) {
        fputs("sockrig: notify-listener is a part of `sockrig run --notify`\n", stderr);
        return EXIT_OWN_FAILURE;
    }
    signal(SIGPIPE, SIG_IGN);
    listener.fd = open_listener(argv[1], &listener.records, &port);
    if (listener.fd < 0)
        return helper_refuse("no listening socket: %s", strerror(-listener.fd));
    snprintf(text, sizeof text, "%u", port);
    helper_ready(text);
    listener.fds[FD_LIFELINE] = (struct pollfd){ .fd = HELPER_LIFELINE_FD, .events = POLLIN };
    serve(&listener);
    while (listener.count > 0)
        close_connection(&listener, listener.count - 1);
    close(listener.fd);
    return 0;
}
