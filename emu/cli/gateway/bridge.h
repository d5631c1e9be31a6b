/*
 * bridge.h - `--bridge vsock:CID:PORT=unix:PATH`: what guests connect to is a unix socket
 */
#ifndef CLI_GATEWAY_BRIDGE_H
#define CLI_GATEWAY_BRIDGE_H

#include "gateway/gateway.h"

/* Opens the guests' end. Returns 0 or an errno. */
int bridge_open(struct gateway *gateway, const struct bridge_spec *spec);

/* CONNECTION_REACH: tries the host's end again. */
void bridge_reach(struct gateway *gateway, struct connection *connection);

#endif
