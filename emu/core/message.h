/*
 * message.h - one message with its header, for the calls that send or receive one or many
 *
 * Linux: net/socket.c:___sys_sendmsg, ___sys_recvmsg. Descriptors are rights.h's matter;
 * credentials and urgent bytes of AF_UNIX are the kernel's: a channel that meets one is made native
 * first (native.c).
 */
#ifndef EMU_MESSAGE_H
#define EMU_MESSAGE_H

#include "description.h"

#define MESSAGE_COMPAT 0x80000000u /* MSG_CMSG_COMPAT: refused before anything else */
#define MESSAGE_ENDED  0x01000000  /* no flag of Linux's: nothing came but the end */

/* The socket behind fd: 0 and *ret_description, or EMU_NATIVE (ENOTSOCK is the placeholder's). */
int64_t message_socket(int fd, struct description **ret_description);

/* Makes the channel native. EMU_NATIVE: the kernel gives the answer; -EBUSY: it can't. */
int64_t message_hand_over(struct emu_task *self, int fd);

/*
 * Whether flags or ancillary data make it the kernel's. Not so for AF_VSOCK, which refuses the one
 * and ignores the other.
 */
bool message_is_kernels(const struct description *description, int flags, size_t control_size);

/*
 * What an address means: 0, -EINVAL, -EFAULT (move_addr_to_kernel), -EISCONN for a connected stream
 * and all of AF_VSOCK, whose others answer -EOPNOTSUPP.
 */
int64_t message_check_address(const struct description *description, const void *address, int size,
                              int flags);

/*
 * As emu_sendmsg; `allowed` flags of the header count too. *ret_size is the message's size, so that
 * a partial send can be told. `kept`: what the caller has found behind fd and keeps pinned,
 * whatever the number stands for by now; NULL: it is looked up.
 */
int64_t message_send(struct emu_task *self, int fd, struct description *kept,
                     const struct msghdr *from, int flags, int allowed, uint64_t *ret_size);

/* As emu_recvmsg; *ret_flags is what went into msg_flags, and maybe MESSAGE_ENDED. */
int64_t message_receive(struct emu_task *self, int fd, struct description *kept, struct msghdr *to,
                        int flags, int *ret_flags);

/*
 * Stores the sender's name as recvfrom and recvmsg do: unix_copy_addr(). `ended`: nothing was
 * received, so there is none. 0, -EFAULT, -EINVAL.
 */
int message_store_sender(const struct description *description, int fd, bool ended,
                         void *ret_address, socklen_t *ret_size);

#endif
