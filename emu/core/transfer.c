/*
 * transfer.c - see transfer.h
 */
#include "transfer.h"

#include "pipe.h"
#include "stream.h"
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
    if (EMU_UNLIKELY(low > 1 || transfer->flags & MSG_WAITALL)) {
        transfer->target = transfer->flags & MSG_WAITALL ? transfer->size
                                                         : base_min_u64(low, transfer->size);
        if (transfer->target == 0) {
            transfer->target = 1;
        }
    }
    return channel_run(self, transfer, try, timeout);
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
    return channel_run(self, transfer, try,
                       atomic_load_explicit(&description->send_timeout_ns, memory_order_relaxed));
}
