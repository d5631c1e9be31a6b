/*
 * transfer.h - a receive or a send, by what the description is
 *
 * The one place that knows which kind of description moves bytes how; the read, write, send and
 * receive calls all end here.
 */
#ifndef EMU_TRANSFER_H
#define EMU_TRANSFER_H

#include "channel.h"

/*
 * Runs a transfer that transfer_init() prepared, with the description's time-outs.
 * Returns bytes, -EBADF: the wrong end of a pipe, -errno, EMU_NATIVE.
 */
int64_t transfer_receive(struct emu_task *self, struct transfer *transfer);
int64_t transfer_send(struct emu_task *self, struct transfer *transfer);

/* The tries behind them: NULL when it doesn't move bytes in that direction. For splice.c. */
wait_try transfer_receive_try(const struct description *description);
wait_try transfer_send_try(const struct description *description);

#endif
