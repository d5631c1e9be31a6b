/*
 * vsock_route.h - which machine of a session a connect of AF_VSOCK reaches, and which addresses it
 * may be bound to
 *
 * Linux: net/vmw_vsock/af_vsock.c:vsock_assign_transport, vsock_use_local_transport,
 * vsock_find_cid; drivers/vhost/vsock.c:vhost_vsock_handle_tx_kick (what it drops).
 */
#ifndef EMU_VSOCK_ROUTE_H
#define EMU_VSOCK_ROUTE_H

#include "emu.h"

enum vsock_way {
    VSOCK_WAY_NONE, /* no transport: ENODEV */
    VSOCK_WAY_LOOPBACK,
    VSOCK_WAY_GUEST_TO_HOST,
    VSOCK_WAY_HOST_TO_GUEST,
};

struct vsock_route {
    enum vsock_way way;
    bool dropped;     /* the device takes the packet, and nobody ever answers */
    uint32_t machine; /* that it reaches */
    uint32_t source;  /* CID that the other side sees */
};

/* The way from `machine` to `cid`; `to_host` is VMADDR_FLAG_TO_HOST. */
struct vsock_route vsock_route(uint32_t machine, uint32_t cid, bool to_host);

/* Whether a socket of the machine may be bound to `cid`. */
bool vsock_is_local(uint32_t machine, uint32_t cid);

#endif
