/*
 * vsock_pair.h - two connected ends of AF_VSOCK, made without names, listeners and accept
 */
#ifndef VSOCK_PAIR_H
#define VSOCK_PAIR_H

#include "description.h"
#include "fixture.h"

/* Connected as an accepted socket and its client are; `type` with SOCK_* flags. */
void vsock_pair(int ret_fds[2], int type);

/* The description behind fd. */
struct description *vsock_of(int fd);

/* An int of SOL_SOCKET; the bits of poll() that concern vsock; SO_ERROR. */
int vsock_set(int fd, int name, int value);
int vsock_bits(int fd);
int vsock_error(int fd);

/* SO_VM_SOCKETS_BUFFER_*. */
void vsock_set_size(int fd, int name, uint64_t size);

#define VSOCK_IN  (POLLIN | POLLRDNORM)
#define VSOCK_OUT (POLLOUT | POLLWRNORM)

#endif
