/*
 * ring.c - see ring.h
 */
#include "ring.h"

#include "base.h"
#include "host.h"

#include <errno.h>

void cursor_skip(struct cursor *cursor, size_t size)
{
    while (size > 0) {
        size_t here = cursor->iov[0].iov_len - cursor->offset;

        if (size < here) {
            cursor->offset += size;
            return;
        }
        size -= here;
        cursor->iov++;
        cursor->count--;
        cursor->offset = 0;
    }
}

/* One straight piece of the ring against one or more pieces of the guest's. */
static int put_piece(char *to, struct cursor *from, size_t size)
{
    while (size > 0) {
        const char *source = (const char *)from->iov[0].iov_base + from->offset;
        size_t here = base_min_u64(size, from->iov[0].iov_len - from->offset);

        if (EMU_UNLIKELY(host_copy(to, source, here) < 0)) {
            return -EFAULT;
        }
        cursor_skip(from, here);
        to += here;
        size -= here;
        while (size > 0 && from->iov[0].iov_len == from->offset) {
            cursor_skip(from, 0);
            from->iov++;
            from->count--;
            from->offset = 0;
        }
    }
    return 0;
}

static int get_piece(struct cursor *to, const char *from, size_t size)
{
    while (size > 0) {
        char *target = (char *)to->iov[0].iov_base + to->offset;
        size_t here = base_min_u64(size, to->iov[0].iov_len - to->offset);

        if (EMU_UNLIKELY(host_copy(target, from, here) < 0)) {
            return -EFAULT;
        }
        cursor_skip(to, here);
        from += here;
        size -= here;
        while (size > 0 && to->iov[0].iov_len == to->offset) {
            to->iov++;
            to->count--;
            to->offset = 0;
        }
    }
    return 0;
}

int ring_put(char *base, uint32_t mask, uint32_t position, struct cursor *from, size_t size)
{
    struct cursor start = *from;
    size_t first = base_min_u64(size, mask + 1 - (position & mask));
    int rc = put_piece(base + (position & mask), from, first);

    if (rc == 0 && size > first) {
        rc = put_piece(base, from, size - first);
    }
    if (rc < 0) {
        *from = start;
    }
    return rc;
}

int ring_get(const char *base, uint32_t mask, uint32_t position, struct cursor *to, size_t size)
{
    struct cursor start = *to;
    size_t first = base_min_u64(size, mask + 1 - (position & mask));
    int rc = get_piece(to, base + (position & mask), first);

    if (rc == 0 && size > first) {
        rc = get_piece(to, base, size - first);
    }
    if (rc < 0) {
        *to = start;
    }
    return rc;
}
