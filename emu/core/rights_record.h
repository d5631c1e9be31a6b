/*
 * rights_record.h - what the files of rights.h share: records, a buf's list, carriers' bytes
 *
 * Locking: rights.h.
 */
#ifndef EMU_RIGHTS_RECORD_H
#define EMU_RIGHTS_RECORD_H

#include "rights.h"

#include <errno.h>
#include <sys/syscall.h>

static inline struct rights *rights_at(uint32_t index)
{
    return (struct rights *)(void *)arena->rights + index;
}

static inline uint32_t rights_used(void)
{
    return atomic_load_explicit(&arena->header.rights.fresh, memory_order_acquire);
}

static inline uint32_t rights_hands_of(const struct emu_task *self)
{
    return RIGHTS_HELD | self->process->slot << 8;
}

static inline uint32_t rights_kind(const struct rights *record)
{
    return atomic_load(&record->state) & 0xff;
}

/* What a carrier's bytes are. */
struct rights_tag {
    uint32_t record; /* index + 1 */
    uint32_t generation;
};

/* The record of this list that a carrier names: index + 1, or 0. Requires: the buf's lock. */
uint32_t rights_find_tag(const struct socket_buf *buf, struct rights_tag tag);

/* The record of a segment, the last that says so: index + 1, or 0. Requires: the buf's lock. */
uint32_t rights_record_of(const struct socket_buf *buf, uint32_t seg);

/* The word of the list that names `record`, or the list's end. Requires: the buf's lock. */
uint32_t *rights_link_to(struct socket_buf *buf, uint32_t record);

/* Takes the list's first record into our hands, before *ret_chain. Requires: the buf's lock. */
void rights_take_first(struct emu_task *self, struct socket_buf *buf, uint32_t *ret_chain);

/* Never blocks. */
static inline int64_t rights_read(int fd, void *buffer, uint64_t size, int flags)
{
    const int all = flags | MSG_DONTWAIT;
    int64_t got = host_syscall(SYS_recvfrom, fd, (long)buffer, (long)size, all, 0, 0);

    /* Of records the error comes once, before the data: the other end was closed with carriers. */
    return got == -ECONNRESET ? host_syscall(SYS_recvfrom, fd, (long)buffer, (long)size, all, 0, 0)
                              : got;
}

#endif
