/*
 * guest_iov.h - iovec arrays and message headers of the guest, copied in and checked
 *
 * The guest may change its memory while a call runs, so everything is copied once and judged by the
 * copy. Linux: lib/iov_iter.c:import_iovec, net/socket.c:__copy_msghdr.
 */
#ifndef EMU_GUEST_IOV_H
#define EMU_GUEST_IOV_H

#include "bounds.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct guest_iov {
    struct iovec array[EMU_IOV_MAX];
};

/* True when the kernel's access_ok() would let `size` bytes at `data` pass. */
bool guest_range_ok(const void *data, size_t size);

/*
 * Copies `count` elements in and cuts the total at EMU_RW_MAX.
 * Returns the total; -EINVAL: a length beyond SSIZE_MAX; -EFAULT.
 * Requires: count <= EMU_IOV_MAX.
 */
int64_t guest_iov_import(struct guest_iov *iov, const struct iovec *from, size_t count);

struct guest_message {
    struct msghdr header; /* the copy; msg_iov points into iov */
    struct guest_iov iov;
    int64_t size;
};

/*
 * Copies a message header and its iovec in.
 * Returns 0; -EFAULT; -EINVAL: msg_namelen < 0; -EMSGSIZE: more than 1024 elements.
 */
int guest_message_import(struct guest_message *message, const struct msghdr *from);

#endif
