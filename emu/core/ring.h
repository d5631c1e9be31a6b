/*
 * ring.h - moves bytes between a ring and the guest's buffers
 *
 * A ring is a power of two of bytes; positions run free and are masked here. The guest's side is a
 * cursor over an iovec array. Which bytes are free or unread is the caller's to know: nothing here
 * is shared, locked or remembered.
 */
#ifndef EMU_RING_H
#define EMU_RING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* A place in the guest's buffers. The iovec array itself is the caller's, already copied in. */
struct cursor {
    const struct iovec *iov;
    int count;
    size_t offset; /* into iov[0] */
};

/* Moves the cursor on without copying. Requires: that many bytes are there. */
void cursor_skip(struct cursor *cursor, size_t size);

/*
 * Copies `size` bytes from the cursor into the ring at `position`.
 * Requires: size <= mask + 1, the cursor has that many.
 * Returns 0 and moves the cursor, or -EFAULT and leaves it.
 */
int ring_put(char *base, uint32_t mask, uint32_t position, struct cursor *from, size_t size);

/* The other way round. */
int ring_get(const char *base, uint32_t mask, uint32_t position, struct cursor *to, size_t size);

#endif
