/*
 * vsock_data.h - AF_VSOCK between two connected ends: data, credit, shutdown, poll
 *
 * A segment is a packet, of 65536 bytes at most. A sender has credit for min(its own, its peer's)
 * SO_VM_SOCKETS_BUFFER_SIZE bytes, less what it has sent and its peer hasn't reported as read. A
 * packet counts as read when its last byte is, and that is reported when the receiver has little
 * left to read, when it has much to report, or when it sends something anyway.
 *
 * In a buf: `limit` is all the credit, `charged` what of it is used up, i.e. everything unread,
 * what is read of the first packet, and `unreported`. Who has shut what is in the flags: our own
 * sk_shutdown is SHUT_READER of what we read and SHUT_WRITER of what we write, the peer's
 * (peer_shutdown) are the other two. Whether our end is still established stands in what we read:
 * it changes when the peer shuts both and we have nothing unread, in one step with that look.
 *
 * Linux 6.18: net/vmw_vsock/af_vsock.c:vsock_connectible_sendmsg, __vsock_connectible_recvmsg,
 * vsock_shutdown, vsock_poll; virtio_transport_common.c.
 *
 * What differs from Linux: packets need no time, so the peer's answer to a shutdown (a reset) is
 * there at once; credit ends at VSOCK_CREDIT_MAX; the reset that follows 8 s after a close which
 * left unread data isn't sent (it would change nothing that is seen but POLLOUT without credit).
 * MSG_ZEROCOPY is refused as by a transport that can't (vsock_msgzerocopy_allow).
 *
 * The tries are for channel_run(); sockets that aren't connected may be given to them as well.
 */
#ifndef EMU_VSOCK_DATA_H
#define EMU_VSOCK_DATA_H

#include "channel.h"

enum {
    VSOCK_PACKET_MAX = 65536,                         /* VIRTIO_VSOCK_MAX_PKT_BUF_SIZE */
    VSOCK_CREDIT_MAX = 1 << (EMU_CHUNK_MAX_SHIFT - 1) /* bytes: the largest ring that there is */
};

/* Fills in a socket's part of a machine with this CID: nothing bound, options as by default. */
void vsock_end_init(struct vsock_end *end, uint32_t machine);

/* Gives a new one a buffer of `size` bytes; 0: leaves it. */
void vsock_end_limit(struct vsock_end *end, uint32_t size);

/* What the server's side of a connection has from its listener. Linux: __vsock_create. */
void vsock_end_inherit(struct description *server, const struct description *listener);

/*
 * Sets the credit of both directions between two ends; before either can send, and again when one
 * has changed its buffer's size. Requires: no lock; both are alive, or in the caller's hands.
 */
void vsock_set_credit(struct emu_task *self, struct description *one, struct description *other);

int64_t vsock_stream_send_try(struct emu_task *self, void *transfer, struct wait_set *set,
                              bool last);
int64_t vsock_stream_receive_try(struct emu_task *self, void *transfer, struct wait_set *set,
                                 bool last);
int64_t vsock_seqpacket_send_try(struct emu_task *self, void *transfer, struct wait_set *set,
                                 bool last);
int64_t vsock_seqpacket_receive_try(struct emu_task *self, void *transfer, struct wait_set *set,
                                    bool last);

/* vsock_readiness(): see description.h. */

/* shutdown(2). `how` is valid. Returns 0, -ENOTCONN. Linux: vsock_shutdown. */
int64_t vsock_shutdown(struct emu_task *self, struct description *description, int how);

/* An address that was given to a send: -EISCONN, -EOPNOTSUPP. Linux: vsock_connectible_sendmsg. */
int64_t vsock_address_error(const struct description *description);

/*
 * SIOCINQ, SIOCOUTQ: bytes (nothing ever waits to be sent); -EOPNOTSUPP: it was never connected;
 * -EINVAL: it listens. Linux: vsock_do_ioctl.
 */
int64_t vsock_unread(const struct description *description);
int64_t vsock_unsent(const struct description *description);

/* A transport is assigned from the first connect() on. */
static inline bool vsock_has_transport(const struct description *description)
{
    return atomic_load(&description->vsock.remote_cid) != UINT32_MAX; /* VMADDR_CID_ANY */
}

/* Before a call looks at a socket that isn't connected: its connect() may have timed out. */
static inline void vsock_mind_clock(struct emu_task *self)
{
    if (EMU_UNLIKELY(atomic_load_explicit(&arena->header.unanswered, memory_order_relaxed) != 0)) {
        vsock_expire(self);
    }
}

/*
 * Reports what is read to the peer, as any packet does, and wakes the peer's senders when there is
 * credit then. `only_below`: only when fewer bytes are unread and there is something to report
 * (UINT32_MAX: in any case). Requires: no lock; connected. Linux: virtio_transport_inc_tx_pkt,
 * virtio_transport_recv_pkt; virtio_transport_notify_set_rcvlowat.
 */
void vsock_report(struct emu_task *self, const struct description *description,
                  uint32_t only_below);

/* Requires: the lock of what is read. All is reported, in `state`, which isn't published yet. */
static inline void vsock_report_locked(struct buf_state *state)
{
    state->charged -= state->unreported;
    state->unreported = 0;
}

/* After a receive from a stream, of which `state` isn't published yet: whether it reports. */
bool vsock_report_when_due(const struct description *description, struct buf_state *state);

#define VSOCK_SPACE_KEY (POLLOUT | POLLWRNORM | POLLWRBAND) /* sock_def_write_space */

#endif
