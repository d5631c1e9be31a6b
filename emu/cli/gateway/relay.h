/*
 * relay.h - one connection between a guest's vsock stream and a unix stream of the host
 */
#ifndef CLI_GATEWAY_RELAY_H
#define CLI_GATEWAY_RELAY_H

#include <stdbool.h>
#include <stdint.h>

/* What becomes of SHUT_WR. */
enum relay_rule {
    RELAY_HALVES, /* passed on, either way: cloud-hypervisor from 53 on, bridges */
    RELAY_WHOLE,  /* the guest's is kept from the host, the host's ends all: Firecracker */
};

/* What one direction waits for. */
enum relay_wait {
    RELAY_DATA,
    RELAY_ROOM, /* bytes are there that the other side doesn't take yet */
    RELAY_DEAF, /* downwards: the guest reads no more (SHUT_RD); the host's bytes are left alone */
    RELAY_OVER, /* end of file, and said so to the other side where the rule passes it on */
};

struct relay {
    int guest;
    int host;
    enum relay_rule rule;
    enum relay_wait up;   /* guest to host */
    enum relay_wait down; /* host to guest */
};

enum relay_state {
    RELAY_LIVES,
    RELAY_CLOSED, /* both descriptors are to be closed, now */
    RELAY_DYING,  /* the guest has closed, but the host doesn't take its last bytes: give it time */
};

/* For poll; -1: leave the descriptor out, it would only hang up. */
int relay_guest_events(const struct relay *relay);
int relay_host_events(const struct relay *relay);

/* Moves what can be moved, after poll has said so. Never blocks. */
enum relay_state relay_move(struct relay *relay, short guest_events, short host_events);

/* The guest's end has changed its state (see relay.c): has it closed? */
enum relay_state relay_guest_changed(const struct relay *relay);

#endif
