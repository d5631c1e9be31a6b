/*
 * gateway.h - the loop that bridges and the hybrid share
 */
#ifndef CLI_GATEWAY_GATEWAY_H
#define CLI_GATEWAY_GATEWAY_H

#include <linux/vm_sockets.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/connect_line.h"
#include "gateway/relay.h"
#include "gateway/spec.h"

#define GATEWAY_LISTENERS 64 /* bridges of one process */
#define GATEWAY_CONNECTIONS                                                                       \
    2048                         /* those of the hybrid, and as many again that haven't asked yet \
                                  */
#define GATEWAY_HYBRID_MAX 1023  /* MAX_CONNECTIONS in both VMMs' vsock/unix/mod.rs */
#define GATEWAY_BUFFER     65536 /* CONN_TX_BUF_SIZE: what both VMMs advertise */
#define GATEWAY_KILL_MS    2000  /* CONN_REQUEST_TIMEOUT_MS, CONN_SHUTDOWN_TIMEOUT_MS: csm/mod.rs */

enum connection_phase {
    CONNECTION_FREE,
    CONNECTION_LINE,   /* a program of the host has connected, and hasn't said its line yet */
    CONNECTION_DIAL,   /* it has: connecting to the guest */
    CONNECTION_SILENT, /* no such guest; the VMM would wait for its answer */
    CONNECTION_REACH,  /* a bridge's PATH has no room in its backlog: again in a moment */
    CONNECTION_RELAY,
};

struct gateway;

/* A socket that others connect to. */
struct listener {
    int fd;
    bool for_guests;  /* a vsock socket; else the hybrid's own, for programs of the host */
    const char *path; /* where the guests' connections go */
    void (*accept)(struct gateway *gateway, const struct listener *listener);
};

struct connection {
    enum connection_phase phase;
    int guest;                   /* vsock; -1: none yet */
    int host;                    /* unix; -1: none yet */
    const char *path;            /* REACH */
    char line[CONNECT_LINE_MAX]; /* LINE: what of it has come */
    size_t line_size;
    uint32_t host_port; /* DIAL: what OK will say */
    struct relay relay; /* RELAY */
    int64_t expires_ms; /* 0: never */
    int guest_slot;     /* where it stands in poll's array; -1: it doesn't */
    int host_slot;
};

/* What one gateway is made of. */
struct gateway {
    enum emu_hybrid vmm; /* EMU_HYBRID_NONE: bridges */
    uint32_t guest_cid;  /* of whom the host's programs want to reach */
    uint32_t last_port;  /* of those that were given to them */
    struct listener listeners[GATEWAY_LISTENERS];
    size_t listener_count;
    struct connection connections[GATEWAY_CONNECTIONS];
    size_t count; /* not FREE; they stand anywhere below `top` */
    size_t top;
    size_t in_use; /* ... that the VMM would count: DIAL, SILENT, RELAY */
    int changes;   /* epoll: guests' ends that have changed (relay.c) */
    bool full;     /* no room for another connection, of any kind */
    bool ending;   /* told to end: nothing new from the host */
};

/* Milliseconds of a clock that only goes forward. */
int64_t gateway_now_ms(void);

/* Fills in an address of AF_VSOCK. */
struct sockaddr_vm gateway_vsock_address(uint32_t cid, uint32_t port);

/* Accepts without blocking. Returns the descriptor, or -1; notes when there is no room for more. */
int gateway_accept(struct gateway *gateway, int listener);

/*
 * Takes both descriptors (-1: not there yet) and makes a connection of them. Returns NULL when
 * there is no room, or no memory: both are closed then.
 */
struct connection *gateway_add(struct gateway *gateway, enum connection_phase phase, int guest,
                               int host);

void gateway_set_phase(struct gateway *gateway, struct connection *connection,
                       enum connection_phase phase);

/* Both ends are there and connected: bytes may flow. */
void gateway_relay(struct gateway *gateway, struct connection *connection, enum relay_rule rule);

/* Closes its ends and forgets it. */
void gateway_drop(struct gateway *gateway, struct connection *connection);

/* A socket file of ours: removed at the end, however that comes. False: there can't be more. */
bool gateway_remove_later(const char *path);
void gateway_remove_files(void);

/* The command `sockrig gateway`: internal, started by `sockrig run`. */
int gateway_main(int argc, char **argv);

#endif
