/*
 * sys_msg.h - one message, for sendmsg and recvmsg and for the calls that do many (sys_mmsg.c)
 */
#ifndef EMU_SYS_MSG_H
#define EMU_SYS_MSG_H

#include "emu.h"

/* As emu_sendmsg; *ret_size is the message's size, so that a partial send can be told. */
int64_t msg_send_one(struct emu_task *self, int fd, const struct msghdr *from, int flags,
                     uint64_t *ret_size);

/* As emu_recvmsg; *ret_flags is what went into msg_flags. */
int64_t msg_receive_one(struct emu_task *self, int fd, struct msghdr *to, int flags,
                        int *ret_flags);

#endif
