/*
 * relay.h - passing messages on to the service manager that runs sockrig itself
 */
#ifndef CLI_NOTIFY_RELAY_H
#define CLI_NOTIFY_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify_relay {
    struct sockaddr_un address;
    socklen_t size; /* of the address; 0: there is nobody to relay to */
};

/*
 * Parses $NOTIFY_SOCKET as systemd writes it for its services: "/path", or "@name" in the abstract
 * namespace.
 *
 * Returns true; false, with *ret_relay untouched: it is something else (another vsock address, a
 * relative path), or too long.
 */
bool notify_relay_parse(const char *value, struct notify_relay *ret_relay);

/*
 * Sends one message as one datagram. A manager that doesn't read is waited for, a few seconds.
 *
 * Returns 0 or a positive errno; 0 when there is nobody to relay to.
 */
int notify_relay_send(const struct notify_relay *relay, const char *message, size_t size);

#endif
