/*
 * bridge.c - see bridge.h
 *
 * The guest's connect has succeeded before the host's end is tried, as everywhere behind a backlog;
 * where nobody listens on PATH the guest's connection is closed at once.
 *
 * A backlog that is full can't be waited for: connect says EAGAIN (af_unix.c
 * unix_stream_connect()), and poll knows nothing of it. So it is tried again every few
 * milliseconds, for as long as it takes; a blocking connect would hold up all others.
 */
#include "gateway/bridge.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define AGAIN_MS 10

static void accept_guest(struct gateway *gateway, const struct listener *listener)
{
    const int guest = gateway_accept(gateway, listener->fd);

    if (guest < 0)
        return;
    const int host = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (host < 0) {
        close(guest);
        return;
    }
    struct connection *connection = gateway_add(gateway, CONNECTION_REACH, guest, host);
    if (connection == NULL)
        return;
    connection->path = listener->path;
    bridge_reach(gateway, connection);
}

void bridge_reach(struct gateway *gateway, struct connection *connection)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    snprintf(address.sun_path, sizeof address.sun_path, "%s", connection->path);
    if (connect(connection->host, (struct sockaddr *)&address, sizeof address) == 0)
        gateway_relay(gateway, connection, RELAY_HALVES);
    else if (errno == EAGAIN)
        connection->expires_ms = gateway_now_ms() + AGAIN_MS;
    else
        gateway_drop(gateway, connection);
}

int bridge_open(struct gateway *gateway, const struct bridge_spec *spec)
{
    const struct sockaddr_vm address = gateway_vsock_address(spec->cid, spec->port);
    const int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return errno;
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, SOMAXCONN) != 0)
        return errno; /* we end */
    gateway->listeners[gateway->listener_count++] = (struct listener){
        .fd = fd, .for_guests = true, .path = spec->path, .accept = accept_guest
    };
    return 0;
}
