/*
 * stream.h - AF_UNIX SOCK_STREAM and SOCK_SEQPACKET between two connected ends
 *
 * A segment is an skb: its bytes and what Linux charges the sender for it until the receiver has
 * read all of it (charge.h). A sender may add one while less than SO_SNDBUF is charged; it is told
 * that there is room again (POLLOUT, and waking a blocked sender) when at most a quarter is. But an
 * end has one queue of sleepers: a sender that is woken because data come the other way, or by a
 * shutdown, looks for any room (sock_wait_for_wmem). Linux:
 * net/unix/af_unix.c:unix_stream_sendmsg, unix_stream_read_generic, unix_dgram_sendmsg,
 * __unix_dgram_recvmsg; net/core/sock.c:sock_alloc_send_pskb.
 *
 * Left out: ancillary data and urgent bytes; a channel that sees one is made native (native.h).
 *
 * The tries are for channel_run().
 */
#ifndef EMU_STREAM_H
#define EMU_STREAM_H

#include "channel.h"

int64_t stream_send_try(struct emu_task *self, void *transfer, struct wait_set *set, bool last);
int64_t stream_receive_try(struct emu_task *self, void *transfer, struct wait_set *set, bool last);
int64_t seqpacket_send_try(struct emu_task *self, void *transfer, struct wait_set *set, bool last);
int64_t seqpacket_receive_try(struct emu_task *self, void *transfer, struct wait_set *set,
                              bool last);

/* shutdown(2). `how` is valid. Linux: unix_shutdown. */
void stream_shutdown(struct emu_task *self, struct description *description, int how);

/* SO_SNDBUF of the sender changed to `size` (as stored: doubled). */
void stream_set_send_buffer(struct emu_task *self, struct description *description, uint32_t size);

/*
 * A sender is about to sleep for room: what it may take when it wakes is decided against what its
 * end has been told of by now.
 */
void stream_send_sleeps(struct transfer *transfer);

/* SO_PEEK_OFF: it moves back with the data that are read (sk_peek_offset_bwd). */
void stream_peek_offset_back(struct description *description, uint64_t size);

/* Bytes that SIOCINQ and SIOCOUTQ report. */
uint32_t stream_unread(const struct description *description);
uint32_t stream_charged(const struct description *description);

#endif
