/*
 * transfer.c - see transfer.h
 */
#include "transfer.h"

#include "pipe.h"
#include "stream.h"
#include "track.h"
#include "vsock_data.h"

#include <errno.h>

/* How each kind of description moves bytes; NULL: it doesn't in that direction. */
static const struct {
    wait_try receive;
    wait_try send;
} transfers[] = {
    [DESCRIPTION_PIPE_READER] = { pipe_read_try, NULL },
    [DESCRIPTION_PIPE_WRITER] = { NULL, pipe_write_try },
    [DESCRIPTION_STREAM] = { stream_receive_try, stream_send_try },
    [DESCRIPTION_SEQPACKET] = { seqpacket_receive_try, seqpacket_send_try },
    [DESCRIPTION_VSOCK_STREAM] = { vsock_stream_receive_try, vsock_stream_send_try },
    [DESCRIPTION_VSOCK_SEQPACKET] = { vsock_seqpacket_receive_try, vsock_seqpacket_send_try },
};

wait_try transfer_receive_try(const struct description *description)
{
    return transfers[description->kind].receive;
}

wait_try transfer_send_try(const struct description *description)
{
    return transfers[description->kind].send;
}

/* A receive that takes descriptors: what comes is entered before a fork could see half of it. */
static int64_t receive_rights_try(struct emu_task *self, void *op, struct wait_set *set, bool last)
{
    FDTAB_CHANGE(self);
    struct transfer *transfer = op;
    int64_t result = transfers[transfer->description->kind].receive(self, transfer, set, last);

    if (transfer->rights->record != 0) {
        rights_arrive(self, transfer->rights);
    }
    return result;
}

int64_t transfer_receive(struct emu_task *self, struct transfer *transfer)
{
    struct description *description = transfer->description;
    wait_try try = transfers[description->kind].receive;
    int64_t timeout = atomic_load_explicit(&description->receive_timeout_ns, memory_order_relaxed);
    uint32_t low = atomic_load_explicit(&description->receive_low, memory_order_relaxed);

    if (EMU_UNLIKELY(!try)) {
        return -EBADF;
    }
    if (description_is_unix_fresh(description)) {
        self->progress = 0;
        return EMU_NATIVE;
    }
    if (track_is_on()) {
        atomic_store(&buf_at(description->rx)->reader, self->process->pid);
    }
    if (EMU_UNLIKELY(low > 1 || transfer->flags & MSG_WAITALL)) {
        transfer->target = transfer->flags & MSG_WAITALL ? transfer->size
                                                         : base_min_u64(low, transfer->size);
        if (transfer->target == 0) {
            transfer->target = 1;
        }
    }
    return channel_run(self, transfer, transfer->rights ? receive_rights_try : try, timeout);
}

/* A send of descriptors: what the numbers stand for in the table and in the kernel is the same. */
static int64_t send_rights_try(struct emu_task *self, void *op, struct wait_set *set, bool last)
{
    struct transfer *transfer = op;
    int64_t result = 0;

    fdtab_freeze(self);
    if (transfer->rights->record != 0) {
        result = rights_refresh(transfer->rights);
    }
    if (result == 0) {
        result = transfers[transfer->description->kind].send(self, transfer, set, last);
    }
    fdtab_thaw(self);
    if (transfer->rights->record == 0) {
        rights_unpin(self, transfer->rights);
    }
    return result;
}

int64_t transfer_send(struct emu_task *self, struct transfer *transfer)
{
    struct description *description = transfer->description;
    wait_try try = transfers[description->kind].send;

    if (EMU_UNLIKELY(!try)) {
        return -EBADF;
    }
    if (description_is_unix_fresh(description)) {
        self->progress = 0;
        return EMU_NATIVE;
    }
    if (track_is_on()) {
        atomic_store(&buf_at(description->tx)->writer, self->process->pid);
    }
    return channel_run(self, transfer, transfer->rights ? send_rights_try : try,
                       atomic_load_explicit(&description->send_timeout_ns, memory_order_relaxed));
}
