/*
 * relay.c - see relay.h
 *
 * Each message gets a socket of its own, as in sd_notify(3): it survives a manager that is
 * restarted, and there is nothing to keep. Descriptors and credentials don't come over vsock, so
 * there are none to pass on; the manager sees the sender that it sees with socat, a process below
 * `sockrig run`.
 */
#include "relay.h"

#include <errno.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define SEND_SECONDS 5 /* how long a manager with a full queue is waited for */

bool notify_relay_parse(const char *value, struct notify_relay *ret_relay)
{
    struct notify_relay relay = { .address = { .sun_family = AF_UNIX } };
    const size_t length = strlen(value);

    if ((value[0] != '/' && value[0] != '@') || length < 2)
        return false;
    /* unix(7): a path's end is its NUL, an abstract name's end is the address's size. */
    if (length + (value[0] == '/') > sizeof relay.address.sun_path)
        return false;
    memcpy(relay.address.sun_path, value, length);
    if (value[0] == '@')
        relay.address.sun_path[0] = '\0';
    relay.size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (value[0] == '/'));
    *ret_relay = relay;
    return true;
}

int notify_relay_send(const struct notify_relay *relay, const char *message, size_t size)
{
    const struct timeval limit = { .tv_sec = SEND_SECONDS };

    if (relay->size == 0)
        return 0;
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    const ssize_t sent = sendto(fd, message, size, MSG_NOSIGNAL,
                                (const struct sockaddr *)&relay->address, relay->size);
    const int error = sent < 0 ? errno : 0;
    close(fd);
    return error;
}
