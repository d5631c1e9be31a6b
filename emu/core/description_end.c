/*
 * description_end.c - what the end of a description means for its directions of data
 *
 * Linux: fs/pipe.c:pipe_release, net/unix/af_unix.c:unix_release_sock,
 * net/vmw_vsock/virtio_transport_common.c:virtio_transport_release.
 */
#include "description.h"

#include <errno.h>

/* Whether closing with this unread resets the peer: a lone empty record doesn't. */
static bool unread_counts(const struct buf_state *state)
{
    return state->seg_count > 1 || (state->seg_count == 1 && state->last_len > state->first_taken);
}

/*
 * What AF_VSOCK adds to the end of one side: the other one sees who shut, and is closed if it has
 * nothing unread. What was unread isn't reported, so it uses up credit still. Linux:
 * virtio_transport_close, virtio_transport_recv_connected, virtio_transport_do_close.
 */
static void end_vsock(struct buf_state *state, uint32_t flags)
{
    if (flags & BUF_READER_GONE) {
        state->flags |= BUF_SHUT_READER;
        state->head = state->used = state->seg_count = state->first_taken = 0;
    } else if (!(state->flags & BUF_WRITER_GONE)) {
        state->flags |= BUF_SHUT_WRITER;
        state->flags |= state->used == 0 ? BUF_CLOSING | BUF_DONE : 0;
    }
}

/*
 * The reader is about to end by what its process does: who it was, for the other end, and what it
 * leaves. Requires: buf->lock; `state` is as it was before.
 */
static void note_end(struct emu_task *self, struct socket_buf *buf, const struct buf_state *state,
                     const struct description *reader)
{
    if (state->flags & BUF_READER_GONE) {
        return;
    }
    buf->reader_end = track_end_here(self);
    if (state->used > 0 && atomic_load(&reader->both_ends) != self->process->pid) {
        /* Of several that had it this one may just be the last to let it go: a shell. What it has
         * written itself need not be read: a byte that only wakes. */
        int32_t pid = self->process->pid;
        bool sure = (!atomic_load(&reader->shared) || atomic_load(&buf->reader) == pid) &&
                    atomic_load(&buf->writer) != pid;

        track_unread(self, reader->kind, atomic_load(&reader->site), state->used, sure);
    }
}

/*
 * One direction ends at one side. Says how; wakes who waits at the other side. On this side nobody
 * can: a blocked call pins its description, and poll learns of a closed number when it next looks.
 * A socket's unread data is dropped, and `reset`, the other end, learns of it. `reader`: the
 * description that ends by what its holders do, if it reads this direction; else NULL.
 */
static void end_direction(struct emu_task *self, uint32_t index, uint32_t generation,
                          uint32_t flags, struct description *reset, bool lost,
                          const struct description *reader)
{
    struct socket_buf *buf = buf_at(index);
    struct wake_list list;
    struct buf_state state;
    uint32_t rights = 0;
    uint32_t told;
    bool vsock;

    wake_list_init(&list);
    lock_acquire(self, &buf->lock);
    if (atomic_load(&buf->generation) != generation) {
        lock_release(self, &buf->lock); /* of somebody else by now */
        return;
    }
    state = buf_state_locked(buf);
    vsock = state.kind >= DESCRIPTION_VSOCK_STREAM;
    if (track_is_on() && reader && !lost && !self->sweeps) {
        note_end(self, buf, &state, reader);
    }
    if (reset && !vsock && (lost || unread_counts(&state)) && !(state.flags & BUF_READER_GONE)) {
        atomic_store(&reset->error, ECONNRESET); /* once: under the lock that drops the data */
    }
    /* Whoever said it before told those who wait, unless a kill came in between. */
    told = (state.flags & flags) == flags ? QUEUE_RECHECK : POLLHUP;
    if (vsock) {
        end_vsock(&state, flags);
    }
    state.flags |= (uint16_t)flags;
    if (!vsock && flags & BUF_SHUT && flags & BUF_READER_GONE) {
        told |= state.charged > 0 ? POLLOUT | WAITER_ASYNC : 0; /* skbs are freed: sock_wfree */
        state.head = state.used = state.seg_count = state.first_taken = state.charged = 0;
        rights = rights_detach_locked(self, buf);
    }
    buf_publish_locked(buf, &state);
    queue_notify_locked(flags & BUF_READER_GONE ? &buf->writers : &buf->readers, told, &list);
    lock_release(self, &buf->lock);
    wake_list_flush(self, &list);
    rights_let_go(self, rights);
}

void description_end(struct emu_task *self, struct description *description)
{
    bool socket = description_is_socket(description);

    if (atomic_load(&description->native)) {
        return; /* the kernel tells the peer */
    }
    if (description->rx != ARENA_NONE) {
        end_direction(self, description->rx, description->rx_generation,
                      BUF_READER_GONE | (socket ? BUF_SHUT : 0),
                      socket ? description_peer(description) : NULL,
                      description_queue_place(description) == QUEUED_LOST, description);
    }
    if (description->tx != ARENA_NONE) {
        end_direction(self, description->tx, description->tx_generation,
                      BUF_WRITER_GONE | (socket ? BUF_SHUT : 0), NULL, false, NULL);
    }
}

/* Whether the other end waits to be accepted: its end is a reset in any case (unix_release_sock).
 */
static bool peer_is_queued(const struct description *description)
{
    const struct description *peer = description_peer(description);

    return peer && description_queue_place(peer) != 0;
}

void description_end_other(struct emu_task *self, struct description *description)
{
    bool socket = description_is_socket(description);

    if (atomic_load(&description->native)) {
        return;
    }
    if (description->tx != ARENA_NONE) {
        end_direction(self, description->tx, description->tx_generation,
                      BUF_READER_GONE | (socket ? BUF_SHUT : 0), socket ? description : NULL,
                      peer_is_queued(description), NULL);
    }
    if (description->rx != ARENA_NONE) {
        end_direction(self, description->rx, description->rx_generation,
                      BUF_WRITER_GONE | (socket ? BUF_SHUT : 0), NULL, false, NULL);
    }
    if (socket && atomic_load(&description->peer) != ARENA_NONE) {
        description_lose(self, atomic_load(&description->peer),
                         atomic_load(&description->peer_generation));
    }
}
