/*
 * gateway.c - see gateway.h
 *
 * A gateway is an ordinary guest of the session: the vsock sockets that it opens are emulated, its
 * unix sockets are the kernel's wherever nobody of the session stands behind the path. One loop
 * around poll serves all; nothing in it blocks but the hybrid's connect (hybrid.c).
 *
 * Ending. Told to (helper.h), it takes nothing new from the host, accepts what guests have sent
 * before they ended, and goes on until nothing moves any more, two seconds at most. When the
 * supervisor is gone, or at SIGTERM, it ends at once. Its socket files go in any case.
 *
 * Invariant: what poll reports again and again is taken, or not asked for.
 *
 * Leaves out: connections that a guest's surviving children hold. They are cut off at the end.
 */
#include "gateway/gateway.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gateway/bridge.h"
#include "gateway/hybrid.h"
#include "helper.h"

#define DRAIN_MS   2000
#define POLL_FIXED 2 /* the lifeline, the guests' changes */
#define POLL_MAX   (POLL_FIXED + GATEWAY_LISTENERS + 2 * GATEWAY_CONNECTIONS)
#define CHANGES    64 /* taken from the epoll set at a time */

/* ---- Socket files ---- */

static struct {
    const char *path;
    struct stat status;
} removed_later[1];
static volatile sig_atomic_t removed_count; /* a handler reads it: what is below is complete */

bool gateway_remove_later(const char *path)
{
    if (removed_count == (int)(sizeof removed_later / sizeof removed_later[0]) ||
        lstat(path, &removed_later[removed_count].status) != 0)
        return false;
    removed_later[removed_count].path = path;
    removed_count = removed_count + 1;
    return true;
}

/* Safe in a handler. A file that somebody has put in its place stays. */
void gateway_remove_files(void)
{
    for (int i = 0; i < removed_count; i++) {
        const struct stat *ours = &removed_later[i].status;
        struct stat now;

        if (lstat(removed_later[i].path, &now) == 0 && now.st_ino == ours->st_ino &&
            now.st_dev == ours->st_dev)
            unlink(removed_later[i].path);
    }
}

static void end_at_once(int number)
{
    gateway_remove_files();
    _exit(128 + number);
}

/* ---- Connections ---- */

int64_t gateway_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct sockaddr_vm gateway_vsock_address(uint32_t cid, uint32_t port)
{
    return (struct sockaddr_vm){ .svm_family = AF_VSOCK, .svm_port = port, .svm_cid = cid };
}

int gateway_accept(struct gateway *gateway, int listener)
{
    const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
        gateway->full = gateway->count > 0; /* until one is closed */
    return fd;
}

/* A VMM would count it. */
static bool is_in_use(enum connection_phase phase)
{
    return phase == CONNECTION_DIAL || phase == CONNECTION_SILENT || phase == CONNECTION_RELAY;
}

void gateway_set_phase(struct gateway *gateway, struct connection *connection,
                       enum connection_phase phase)
{
    gateway->in_use -= is_in_use(connection->phase);
    gateway->in_use += is_in_use(phase);
    connection->phase = phase;
}

struct connection *gateway_add(struct gateway *gateway, enum connection_phase phase, int guest,
                               int host)
{
    for (size_t i = 0; i < GATEWAY_CONNECTIONS; i++) {
        struct connection *connection = &gateway->connections[i];

        if (connection->phase != CONNECTION_FREE)
            continue;
        *connection = (struct connection){
            .phase = phase, .guest = guest, .host = host, .guest_slot = -1, .host_slot = -1
        };
        gateway->count++;
        gateway->full = gateway->count == GATEWAY_CONNECTIONS;
        gateway->top = i >= gateway->top ? i + 1 : gateway->top;
        gateway->in_use += is_in_use(phase);
        return connection;
    }
    if (guest >= 0)
        close(guest);
    if (host >= 0)
        close(host);
    return NULL;
}

void gateway_relay(struct gateway *gateway, struct connection *connection, enum relay_rule rule)
{
    struct epoll_event event = { .events = EPOLLRDHUP | EPOLLET,
                                 .data.u32 = (uint32_t)(connection - gateway->connections) };

    gateway_set_phase(gateway, connection, CONNECTION_RELAY);
    connection->expires_ms = 0;
    connection->relay =
        (struct relay){ .guest = connection->guest, .host = connection->host, .rule = rule };
    if (epoll_ctl(gateway->changes, EPOLL_CTL_ADD, connection->guest, &event) != 0)
        gateway_drop(gateway, connection);
}

void gateway_drop(struct gateway *gateway, struct connection *connection)
{
    if (connection->guest >= 0)
        close(connection->guest);
    if (connection->host >= 0)
        close(connection->host);
    gateway_set_phase(gateway, connection, CONNECTION_FREE);
    gateway->count--;
    gateway->full = false;
    while (gateway->top > 0 && gateway->connections[gateway->top - 1].phase == CONNECTION_FREE)
        gateway->top--;
}

static void apply(struct gateway *gateway, struct connection *connection, enum relay_state state)
{
    if (state == RELAY_CLOSED)
        gateway_drop(gateway, connection);
    else if (state == RELAY_DYING && connection->expires_ms == 0)
        connection->expires_ms = gateway_now_ms() + GATEWAY_KILL_MS;
}

/* ---- The loop ---- */

static struct pollfd fds[POLL_MAX];

static int ask(nfds_t *count, int fd, int events)
{
    if (events < 0)
        return -1;
    fds[*count] = (struct pollfd){ .fd = fd, .events = (short)events };
    return (int)(*count)++;
}

static void ask_connection(struct connection *connection, nfds_t *count)
{
    connection->guest_slot = -1;
    connection->host_slot = -1;
    switch (connection->phase) {
    case CONNECTION_LINE: connection->host_slot = ask(count, connection->host, POLLIN); break;
    case CONNECTION_DIAL: connection->guest_slot = ask(count, connection->guest, POLLOUT); break;
    case CONNECTION_RELAY:
        connection->guest_slot = ask(count, connection->guest,
                                     relay_guest_events(&connection->relay));
        connection->host_slot = ask(count, connection->host, relay_host_events(&connection->relay));
        break;
    case CONNECTION_FREE:
    case CONNECTION_REACH:
    case CONNECTION_SILENT: break;
    }
}

/* Fills in poll's array: the fixed ones, a place for each listener, and the connections. */
static nfds_t ask_all(struct gateway *gateway)
{
    nfds_t count = 0;

    ask(&count, gateway->ending ? -1 : HELPER_LIFELINE_FD, POLLIN);
    ask(&count, gateway->changes, POLLIN);
    for (size_t i = 0; i < gateway->listener_count; i++) {
        const struct listener *listener = &gateway->listeners[i];
        const bool wanted = !gateway->full && (listener->for_guests || !gateway->ending);

        ask(&count, wanted ? listener->fd : -1, POLLIN);
    }
    for (size_t i = 0; i < gateway->top; i++)
        ask_connection(&gateway->connections[i], &count);
    return count;
}

static void serve_changes(struct gateway *gateway)
{
    struct epoll_event events[CHANGES];
    const int count = epoll_wait(gateway->changes, events, CHANGES, 0);

    for (int i = 0; i < count; i++) {
        struct connection *connection = &gateway->connections[events[i].data.u32];

        if (connection->phase == CONNECTION_RELAY)
            apply(gateway, connection, relay_guest_changed(&connection->relay));
    }
}

static void serve_relay(struct gateway *gateway, struct connection *connection, short guest,
                        short host)
{
    struct relay *relay = &connection->relay;
    const enum relay_wait before = relay->up;
    enum relay_state state = relay_move(relay, guest, host);

    if (state == RELAY_LIVES && relay->up == RELAY_ROOM && before != RELAY_ROOM)
        state = relay_guest_changed(relay); /* it may have closed before the host was full */
    apply(gateway, connection, state);
}

static void serve_connection(struct gateway *gateway, struct connection *connection)
{
    const short guest = connection->guest_slot >= 0 ? fds[connection->guest_slot].revents : 0;
    const short host = connection->host_slot >= 0 ? fds[connection->host_slot].revents : 0;

    connection->guest_slot = -1; /* a fresh connection in this place has none */
    connection->host_slot = -1;
    if (connection->expires_ms != 0 && gateway_now_ms() >= connection->expires_ms) {
        if (connection->phase == CONNECTION_REACH)
            bridge_reach(gateway, connection);
        else
            gateway_drop(gateway, connection);
    } else if (guest != 0 || host != 0) {
        switch (connection->phase) {
        case CONNECTION_LINE: hybrid_read_line(gateway, connection); break;
        case CONNECTION_DIAL: hybrid_dialled(gateway, connection); break;
        case CONNECTION_RELAY: serve_relay(gateway, connection, guest, host); break;
        case CONNECTION_FREE:
        case CONNECTION_REACH:
        case CONNECTION_SILENT: break;
        }
    }
}

/* After poll: connections before listeners, so that new ones aren't taken for polled ones. */
static void serve_all(struct gateway *gateway)
{
    for (size_t i = 0; i < gateway->top; i++)
        serve_connection(gateway, &gateway->connections[i]);
    if (fds[1].revents != 0)
        serve_changes(gateway);
    for (size_t i = 0; i < gateway->listener_count; i++) {
        if (fds[POLL_FIXED + i].revents != 0)
            gateway->listeners[i].accept(gateway, &gateway->listeners[i]);
    }
}

/* For poll: until the next connection expires, `end_ms` (0: never) at the latest. */
static int time_left(const struct gateway *gateway, int64_t end_ms)
{
    int64_t next = end_ms;

    for (size_t i = 0; i < gateway->top; i++) {
        const struct connection *connection = &gateway->connections[i];

        if (connection->phase != CONNECTION_FREE && connection->expires_ms != 0 &&
            (next == 0 || connection->expires_ms < next))
            next = connection->expires_ms;
    }
    if (next == 0)
        return -1;
    const int64_t left = next - gateway_now_ms();
    return left > 0 ? (int)left : 0;
}

/* True while a guest's bytes are on their way to somebody who is slow to take them. */
static bool is_in_flight(const struct gateway *gateway)
{
    for (size_t i = 0; i < gateway->top; i++) {
        const struct connection *connection = &gateway->connections[i];

        if (connection->phase == CONNECTION_REACH ||
            (connection->phase == CONNECTION_RELAY && connection->relay.up == RELAY_ROOM))
            return true;
    }
    return false;
}

/* Told to end: goes on until a look finds nothing to do. */
static void drain(struct gateway *gateway)
{
    const int64_t end_ms = gateway_now_ms() + DRAIN_MS;
    int ready = 1;

    gateway->ending = true;
    gateway_remove_files(); /* nobody new finds us */
    while ((ready > 0 || is_in_flight(gateway)) && gateway_now_ms() < end_ms) {
        const nfds_t count = ask_all(gateway);

        ready = poll(fds, count, is_in_flight(gateway) ? time_left(gateway, end_ms) : 0);
        if (ready < 0 && errno != EINTR)
            return;
        serve_all(gateway);
    }
}

static int serve(struct gateway *gateway)
{
    for (;;) { /* ends when it is told to */
        const nfds_t count = ask_all(gateway);
        const int ready = poll(fds, count, time_left(gateway, 0));

        if (ready < 0 && errno != EINTR)
            return EXIT_OWN_FAILURE;
        if (ready < 0)
            continue;
        if (fds[0].revents != 0) {
            if (helper_told())
                drain(gateway);
            return 0;
        }
        serve_all(gateway);
    }
}

/* ---- Starting ---- */

static bool read_number(const char *text, uint32_t *ret_number)
{
    char *end;
    const unsigned long number = strtoul(text, &end, 10);

    *ret_number = (uint32_t)number;
    return *text != '\0' && *end == '\0' && number <= UINT32_MAX;
}

static int open_bridge(struct gateway *gateway, const char *text)
{
    struct bridge_spec spec;
    const char *reason = bridge_spec_parse(text, &spec);

    if (reason != NULL || gateway->listener_count == GATEWAY_LISTENERS)
        return helper_refuse("bridge %s: %s", text, reason != NULL ? reason : "too many");
    const int error = bridge_open(gateway, &spec);
    if (error != 0)
        return helper_refuse("bridge %s: vsock %u:%u: %s", text, spec.cid, spec.port,
                             strerror(error));
    return 0;
}

static int open_hybrid(struct gateway *gateway, const char *text)
{
    struct hybrid_spec spec;
    const char *reason = hybrid_spec_parse(text, &spec);

    if (reason != NULL)
        return helper_refuse("hybrid %s: %s", text, reason);
    const char *failed = hybrid_open(gateway, &spec);
    if (failed != NULL && errno == EADDRINUSE)
        return helper_refuse("hybrid: %s: it exists already; remove it first", failed);
    if (failed != NULL)
        return helper_refuse("hybrid: %s: %s", failed, strerror(errno));
    return 0;
}

/* A descriptor for each end, beyond what shells allow. */
static void raise_fd_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int gateway_main(int argc, char **argv)
{
    static struct gateway gateway; /* large */
    const struct sigaction ending = { .sa_handler = end_at_once };
    int result = 0;

    if (!helper_was_started()) {
        fputs("sockrig: gateway: `sockrig run` starts it (--bridge, --hybrid)\n", stderr);
        return EXIT_OWN_FAILURE;
    }
    raise_fd_limit();
    sigaction(SIGTERM, &ending, NULL);
    gateway.changes = epoll_create1(EPOLL_CLOEXEC);
    if (gateway.changes < 0)
        return helper_refuse("epoll: %s", strerror(errno));
    for (int i = 1; i + 1 < argc && result == 0; i += 2) {
        if (strcmp(argv[i], "--bridge") == 0)
            result = open_bridge(&gateway, argv[i + 1]);
        else if (strcmp(argv[i], "--hybrid") == 0)
            result = open_hybrid(&gateway, argv[i + 1]);
        else if (strcmp(argv[i], "--guest") != 0 || !read_number(argv[i + 1], &gateway.guest_cid))
            result = helper_refuse("gateway: %s %s: it has no meaning", argv[i], argv[i + 1]);
    }
    if (result == 0) {
        helper_ready("");
        result = serve(&gateway);
    }
    gateway_remove_files();
    return result;
}
