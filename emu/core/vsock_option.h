/*
 * vsock_option.h - socket options of AF_VSOCK
 *
 * Level AF_VSOCK lives in struct vsock_end. SOL_SOCKET is as for any socket, so the placeholder
 * answers nearly all of it; what a socket of AF_UNIX answers otherwise is told here. All other
 * levels are unknown. Linux 6.18: net/vmw_vsock/af_vsock.c:vsock_connectible_setsockopt,
 * vsock_connectible_getsockopt, vsock_set_rcvlowat; net/core/sock.c:sk_setsockopt, sk_getsockopt.
 *
 * Both return 0, -errno, or EMU_NATIVE: what any emulated socket does with the option holds here.
 * -ENOPROTOOPT may be one of vsock.h's private ones.
 */
#ifndef EMU_VSOCK_OPTION_H
#define EMU_VSOCK_OPTION_H

#include "description.h"

int64_t vsock_setsockopt(struct emu_task *self, int fd, struct description *description, int level,
                         int name, const void *value, socklen_t size);
int64_t vsock_getsockopt(struct emu_task *self, const struct description *description, int level,
                         int name, void *ret_value, socklen_t *ret_size);

#endif
