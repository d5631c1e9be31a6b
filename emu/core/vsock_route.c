/*
 * vsock_route.c - see vsock_route.h
 */
#include "vsock_route.h"

#include <linux/vm_sockets.h>

struct vsock_route vsock_route(uint32_t machine, uint32_t cid, bool to_host)
{
    bool is_host = machine == VMADDR_CID_HOST;
    struct vsock_route route = { VSOCK_WAY_NONE, false, machine, VMADDR_CID_LOCAL };

    if (cid == VMADDR_CID_LOCAL || cid == machine) {
        route.way = VSOCK_WAY_LOOPBACK;
    } else if (!is_host) {
        route.way = VSOCK_WAY_GUEST_TO_HOST;
        route.machine = VMADDR_CID_HOST;
        route.source = machine;
        route.dropped = cid != VMADDR_CID_HOST;
    } else if (cid > VMADDR_CID_HOST && !to_host) {
        route.way = VSOCK_WAY_HOST_TO_GUEST;
        route.machine = cid;
        route.source = VMADDR_CID_HOST;
    }
    return route;
}

bool vsock_is_local(uint32_t machine, uint32_t cid)
{
    return cid == VMADDR_CID_ANY || cid == VMADDR_CID_LOCAL || cid == machine;
}
