/*
 * vsock.h - AF_VSOCK between the machines of a session: addresses, ports, routing, connect
 *
 * Every process of a session plays a part of a machine, the host (CID 2) or a guest. Names belong
 * to the session: a port is of one machine. A placeholder is a socket of AF_UNIX, so nothing ever
 * reaches a hypervisor; a listener's placeholder listens under a hidden name (meeting.h), and so
 * the kernel keeps the backlog, blocks accept() and connects the placeholders.
 *
 * Each machine has the loopback transport, guests have virtio, the host vhost. A connection is made
 * or refused at once; what nobody answers (a packet from guest to guest, or to a CID that the host
 * hasn't) ends after the time-out. Linux: net/vmw_vsock/af_vsock.c, virtio_transport_common.c,
 * vsock_loopback.c; drivers/vhost/vsock.c.
 *
 * A gateway is a process that stands for what is beyond the session (`sockrig run --hybrid`): the
 * socket with EMU_VSOCK_GATEWAY gets every connect of a guest to a port of the host that nobody
 * has, and says with EMU_VSOCK_ADMIT on what it accepted whether the guest's connect succeeds.
 *
 * All take a description of AF_VSOCK that fdtab_get_any(fd) gave. Addresses are the guest's.
 */
#ifndef EMU_VSOCK_H
#define EMU_VSOCK_H

#include "channel.h"
#include "meeting.h"

#include <linux/vm_sockets.h>

/* Options of level AF_VSOCK that Linux hasn't. */
enum { EMU_VSOCK_GATEWAY = 1000, EMU_VSOCK_ADMIT = 1001 };

int64_t vsock_bind(struct emu_task *self, struct description *description, const void *address,
                   int size);

/* Judges listen() and prepares the placeholder: 0, or -errno. */
int64_t vsock_listen(struct emu_task *self, int fd, struct description *description);

/* May block, for the connect time-out at most. */
int64_t vsock_connect(struct emu_task *self, int fd, struct description *description,
                      const void *address, int size);

/* getsockname, getpeername: 0, -ENOTCONN, -EFAULT, -EINVAL. */
int64_t vsock_getname(const struct description *description, bool peer, void *ret_address,
                      socklen_t *ret_size);

/* What a gateway sets: 0, or -ENOPROTOOPT for everybody else. */
int64_t vsock_private_option(struct emu_task *self, int fd, struct description *description,
                             int name, const void *value, socklen_t size);

#endif
