/*
 * hybrid.c - see hybrid.h
 *
 * Guest to host. A guest's connect to CID 2 and a port that nobody in the session listens on comes
 * to our gateway socket, and stays pending until we have tried PATH_PORT: it succeeds or fails as
 * that does. The attempt blocks, and with it everything else here, while that socket's backlog is
 * full: so does the VMM's thread.
 *
 * Host to guest. A program connects to PATH, says "CONNECT PORT\n", and is told "OK HOSTPORT\n"
 * when the guest has accepted; where it has not, the connection is closed without a word. A guest
 * that isn't there (no process has its CID) can't answer: closed after two seconds.
 *
 * Bytes behind the line are the guest's: the line is looked at first and only then taken away.
 *
 * Sources: Firecracker's and cloud-hypervisor's vsock/unix/muxer.rs.
 */
#include "gateway/hybrid.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The emulator's own options of level AF_VSOCK, for a gateway alone. */
#define EMU_VSOCK_GATEWAY 1000 /* gets the connects that nobody else on the host gets */
#define EMU_VSOCK_ADMIT   1001 /* the verdict on one: 0, or an errno */

#define BACKLOG        128 /* Rust's UnixListener::bind */
#define FIRST_PORT     (1u << 30)
#define PORT_MASK      (~(1u << 31))       /* muxer.rs allocate_local_port() */
#define PORTS_TO_TRY   GATEWAY_CONNECTIONS /* more than can be taken */
#define PORT_TEXT_SIZE 12

static enum relay_rule rule_of(const struct gateway *gateway)
{
    return gateway->vmm == EMU_HYBRID_FIRECRACKER ? RELAY_WHOLE : RELAY_HALVES;
}

/* ---- Guest to host ---- */

/* Connects to PATH_PORT, as long as that takes. Returns the descriptor, or -1. */
static int reach(const char *path, uint32_t port)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const int length = snprintf(address.sun_path, sizeof address.sun_path, "%s_%u", path, port);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (length < (int)sizeof address.sun_path &&
        connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static void accept_guest(struct gateway *gateway, const struct listener *listener)
{
    const int guest = gateway_accept(gateway, listener->fd);
    struct sockaddr_vm dialled;
    socklen_t size = sizeof dialled;
    int host = -1;

    if (guest < 0)
        return;
    if (gateway->in_use < GATEWAY_HYBRID_MAX &&
        getsockname(guest, (struct sockaddr *)&dialled, &size) == 0)
        host = reach(listener->path, dialled.svm_port);
    const int verdict = host < 0 ? ECONNRESET : 0;
    if (setsockopt(guest, AF_VSOCK, EMU_VSOCK_ADMIT, &verdict, sizeof verdict) != 0 || host < 0) {
        close(guest);
        if (host >= 0)
            close(host);
        return;
    }
    struct connection *connection = gateway_add(gateway, CONNECTION_RELAY, guest, host);
    if (connection != NULL)
        gateway_relay(gateway, connection, rule_of(gateway));
}

/* ---- Host to guest ---- */

static void accept_host(struct gateway *gateway, const struct listener *listener)
{
    const int host = gateway_accept(gateway, listener->fd);

    if (host >= 0 && gateway->in_use >= GATEWAY_HYBRID_MAX)
        close(host);
    else if (host >= 0)
        gateway_add(gateway, CONNECTION_LINE, -1, host);
}

/* Takes bytes of the line away that were looked at: they are there. */
static bool take(int host, size_t size)
{
    char line[CONNECT_LINE_MAX];

    return recv(host, line, size, MSG_DONTWAIT) == (ssize_t)size;
}

/* Binds to the next port that is free. */
static bool bind_next(struct gateway *gateway, int guest, uint32_t *ret_port)
{
    for (int i = 0; i < PORTS_TO_TRY; i++) {
        gateway->last_port = ((gateway->last_port + 1) & PORT_MASK) | FIRST_PORT;
        const struct sockaddr_vm own = gateway_vsock_address(VMADDR_CID_ANY, gateway->last_port);

        if (bind(guest, (const struct sockaddr *)&own, sizeof own) == 0) {
            *ret_port = gateway->last_port;
            return true;
        }
        if (errno != EADDRINUSE)
            return false;
    }
    return false;
}

/* Gives the connection its guest's end, and dials. */
static void dial(struct gateway *gateway, struct connection *connection, uint32_t port)
{
    const struct sockaddr_vm address = gateway_vsock_address(gateway->guest_cid, port);
    const uint64_t buffer = GATEWAY_BUFFER;
    const int guest = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    connection->guest = guest;
    if (guest < 0 || gateway->in_use >= GATEWAY_HYBRID_MAX ||
        !bind_next(gateway, guest, &connection->host_port)) {
        gateway_drop(gateway, connection);
        return;
    }
    setsockopt(guest, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &buffer, sizeof buffer);
    gateway_set_phase(gateway, connection, CONNECTION_DIAL);
    connection->expires_ms = gateway_now_ms() + GATEWAY_KILL_MS;
    if (connect(guest, (const struct sockaddr *)&address, sizeof address) == 0)
        hybrid_dialled(gateway, connection);
    else if (errno == ENODEV) /* nobody has that CID: af_vsock.c's answer of a host */
        gateway_set_phase(gateway, connection, CONNECTION_SILENT);
    else if (errno != EINPROGRESS)
        gateway_drop(gateway, connection);
}

void hybrid_read_line(struct gateway *gateway, struct connection *connection)
{
    char *end = connection->line + connection->line_size;
    const size_t room = sizeof connection->line - connection->line_size;
    const ssize_t size = recv(connection->host, end, room, MSG_PEEK | MSG_DONTWAIT);
    uint32_t port;
    size_t used;

    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size <= 0) {
        gateway_drop(gateway, connection);
        return;
    }
    const enum connect_line verdict = connect_line_judge(
        gateway->vmm, connection->line, connection->line_size + (size_t)size, &port, &used);
    const size_t taken = verdict == CONNECT_LINE_MORE ? (size_t)size : used - connection->line_size;
    if (!take(connection->host, taken) || verdict == CONNECT_LINE_BAD) {
        gateway_drop(gateway, connection);
        return;
    }
    connection->line_size += taken;
    if (verdict == CONNECT_LINE_GOOD)
        dial(gateway, connection, port);
}

void hybrid_dialled(struct gateway *gateway, struct connection *connection)
{
    char reply[sizeof "OK \n" + PORT_TEXT_SIZE];
    int error = 0;
    socklen_t size = sizeof error;

    if (getsockopt(connection->guest, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0) {
        const int length = snprintf(reply, sizeof reply, "OK %u\n", connection->host_port);

        if (send(connection->host, reply, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT) == length) {
            gateway_relay(gateway, connection, rule_of(gateway));
            return;
        }
    }
    gateway_drop(gateway, connection);
}

/* ---- Opening ---- */

static void add_listener(struct gateway *gateway, const struct listener *listener)
{
    gateway->listeners[gateway->listener_count++] = *listener;
}

static const char *open_guests(struct gateway *gateway, const struct hybrid_spec *spec)
{
    const int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const uint64_t buffer = GATEWAY_BUFFER;
    const int one = 1;

    if (fd < 0 || setsockopt(fd, AF_VSOCK, EMU_VSOCK_GATEWAY, &one, sizeof one) != 0 ||
        setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &buffer, sizeof buffer) != 0 ||
        listen(fd, SOMAXCONN) != 0)
        return "the guests' side"; /* we end */
    add_listener(gateway, &(struct listener){ fd, true, spec->path, accept_guest });
    return NULL;
}

static const char *open_host(struct gateway *gateway, const struct hybrid_spec *spec)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    snprintf(address.sun_path, sizeof address.sun_path, "%s", spec->path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
        return spec->path;
    if (!gateway_remove_later(spec->path) || listen(fd, BACKLOG) != 0)
        return spec->path;
    add_listener(gateway, &(struct listener){ fd, false, NULL, accept_host });
    return NULL;
}

const char *hybrid_open(struct gateway *gateway, const struct hybrid_spec *spec)
{
    gateway->vmm = spec->vmm;
    gateway->last_port = FIRST_PORT - 1;
    const char *failed = open_guests(gateway, spec);
    return failed != NULL ? failed : open_host(gateway, spec);
}
