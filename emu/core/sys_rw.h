/*
 * sys_rw.h - what the read and write calls share with the message calls
 */
#ifndef EMU_SYS_RW_H
#define EMU_SYS_RW_H

#include "channel.h"

/*
 * Runs a receive or a send that transfer_init() prepared, by what the description is.
 * Returns bytes, -EBADF: the wrong end of a pipe, -errno, EMU_NATIVE.
 */
int64_t rw_receive(struct emu_task *self, struct transfer *transfer);
int64_t rw_send(struct emu_task *self, struct transfer *transfer);

#endif
