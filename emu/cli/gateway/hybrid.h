/*
 * hybrid.h - `--hybrid`: a VMM's vsock device, as the host sees it
 */
#ifndef CLI_GATEWAY_HYBRID_H
#define CLI_GATEWAY_HYBRID_H

#include "gateway/gateway.h"

/* Opens both ways in. Returns NULL, or what failed; the reason is in errno. */
const char *hybrid_open(struct gateway *gateway, const struct hybrid_spec *spec);

/* CONNECTION_LINE: something has come from the host. */
void hybrid_read_line(struct gateway *gateway, struct connection *connection);

/* CONNECTION_DIAL: the guest has answered. */
void hybrid_dialled(struct gateway *gateway, struct connection *connection);

#endif
