/*
 * relay.c - see relay.h
 *
 * No buffer of our own: bytes are looked at (MSG_PEEK), offered to the other side, and taken away
 * as far as that took them. So the guest has its credit back when the host has the bytes, as in the
 * VMMs, whose buffer towards the host is what they advertise to the guest.
 *
 * How the guest's end is understood. End of file is SHUT_WR or close: after a close a write is
 * refused, even one of no bytes; after SHUT_WR it isn't (af_vsock.c vsock_connectible_sendmsg()).
 * poll shows both alike, before and after, so a close that follows SHUT_WR, or that comes while the
 * host takes nothing, is learned from an edge-triggered epoll set: whatever changes, wakes it.
 *
 * How the host's end is understood. A whole close shows POLLHUP, SHUT_WR alone doesn't
 * (af_unix.c unix_poll()).
 */
#include "gateway/relay.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>

#define CHUNK  65536 /* the VMMs' CONN_TX_BUF_SIZE */
#define ROUNDS 16    /* chunks in one go: others want their turn */

static char chunk[CHUNK];

static short bits_of(int fd, short events)
{
    struct pollfd look = { .fd = fd, .events = events };

    return poll(&look, 1, 0) > 0 ? look.revents : 0;
}

/* True when the guest takes no more bytes. */
static bool guest_refuses(const struct relay *relay)
{
    return send(relay->guest, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN;
}

enum move { MOVE_MORE, MOVE_NO_DATA, MOVE_NO_ROOM, MOVE_END, MOVE_SOURCE_FAILED, MOVE_SINK_FAILED };

/* Takes away what was delivered. It is there: nobody else reads. */
static bool take_away(int from, size_t size)
{
    while (size > 0) { /* ends: each round takes some */
        const ssize_t taken = recv(from, chunk, size, MSG_DONTWAIT);

        if (taken <= 0 && errno != EINTR)
            return false;
        size -= taken > 0 ? (size_t)taken : 0;
    }
    return true;
}

static enum move move_chunk(int from, int to)
{
    const ssize_t size = recv(from, chunk, sizeof chunk, MSG_PEEK | MSG_DONTWAIT);

    if (size == 0)
        return MOVE_END;
    if (size < 0)
        return errno == EAGAIN ? MOVE_NO_DATA : errno == EINTR ? MOVE_MORE : MOVE_SOURCE_FAILED;
    const ssize_t sent = send(to, chunk, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return errno == EAGAIN ? MOVE_NO_ROOM : errno == EINTR ? MOVE_MORE : MOVE_SINK_FAILED;
    return take_away(from, (size_t)sent) ? MOVE_MORE : MOVE_SOURCE_FAILED;
}

static enum move move_chunks(int from, int to)
{
    enum move result = MOVE_MORE;

    for (int round = 0; round < ROUNDS && result == MOVE_MORE; round++)
        result = move_chunk(from, to);
    return result;
}

/* ---- Guest to host ---- */

static bool guest_ended(struct relay *relay)
{
    if (relay->down == RELAY_OVER || relay->down == RELAY_DEAF || guest_refuses(relay))
        return false;
    relay->up = RELAY_OVER;
    if (relay->rule == RELAY_HALVES)
        shutdown(relay->host, SHUT_WR);
    return true;
}

/* False: the connection is over. */
static bool move_up(struct relay *relay)
{
    switch (move_chunks(relay->guest, relay->host)) {
    case MOVE_MORE:
    case MOVE_NO_DATA: relay->up = RELAY_DATA; return true;
    case MOVE_NO_ROOM: relay->up = RELAY_ROOM; return true;
    case MOVE_END: return guest_ended(relay);
    case MOVE_SOURCE_FAILED:
    case MOVE_SINK_FAILED: break;
    }
    return false;
}

/* ---- Host to guest ---- */

static bool host_ended(struct relay *relay)
{
    if (relay->rule == RELAY_WHOLE || relay->up == RELAY_OVER || bits_of(relay->host, 0) & POLLHUP)
        return false;
    shutdown(relay->guest, SHUT_WR);
    relay->down = RELAY_OVER;
    return true;
}

static bool move_down(struct relay *relay)
{
    switch (move_chunks(relay->host, relay->guest)) {
    case MOVE_MORE:
    case MOVE_NO_DATA: relay->down = RELAY_DATA; return true;
    case MOVE_NO_ROOM: relay->down = RELAY_ROOM; return true;
    case MOVE_END: return host_ended(relay);
    case MOVE_SINK_FAILED: relay->down = RELAY_DEAF; return relay->up != RELAY_OVER;
    case MOVE_SOURCE_FAILED: break;
    }
    return false;
}

/* ---- Both ---- */

int relay_guest_events(const struct relay *relay)
{
    const int events = (relay->up == RELAY_DATA ? POLLIN : 0) |
                       (relay->down == RELAY_ROOM ? POLLOUT : 0);

    return events != 0 ? events : -1;
}

int relay_host_events(const struct relay *relay)
{
    const int events = (relay->down == RELAY_DATA ? POLLIN : 0) |
                       (relay->up == RELAY_ROOM ? POLLOUT : 0);

    return events != 0 || relay->down == RELAY_OVER ? events : -1; /* 0: POLLHUP alone */
}

enum relay_state relay_move(struct relay *relay, short guest_events, short host_events)
{
    const bool down = (relay->down == RELAY_DATA && host_events != 0) ||
                      (relay->down == RELAY_ROOM && guest_events & ~POLLIN);
    const bool up = (relay->up == RELAY_DATA && guest_events != 0) ||
                    (relay->up == RELAY_ROOM && host_events & ~POLLIN);
    bool lives = !(relay->down == RELAY_OVER && host_events & POLLHUP);

    if (down)
        lives = move_down(relay) && lives;
    if ((up || !lives) && relay->up != RELAY_OVER) /* at the end, what the guest sent before it */
        lives = move_up(relay) && lives;
    return lives ? RELAY_LIVES : RELAY_CLOSED;
}

enum relay_state relay_guest_changed(const struct relay *relay)
{
    const short bits = bits_of(relay->guest, POLLRDHUP);
    const bool closed = relay->down == RELAY_OVER ? (bits & (POLLHUP | POLLERR)) != 0
                                                  : bits != 0 && guest_refuses(relay);

    if (!closed || relay->up == RELAY_DATA) /* what is left to read comes first, by poll */
        return RELAY_LIVES;
    return relay->up == RELAY_OVER ? RELAY_CLOSED : RELAY_DYING;
}
