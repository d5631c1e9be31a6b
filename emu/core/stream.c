/*
 * stream.c - see stream.h: sending, charges, shutdown, what both socket types share
 */
#include "stream.h"

#include "charge.h"
#include "fault.h"
#include "passage.h"

#include <errno.h>

#define STREAM_CHUNK_MAX 36544u /* SKB_MAX_HEAD(0) + UNIX_SKB_FRAGS_SZ */
#define STREAM_PAGES_MAX 69632u /* MAX_SKB_FRAGS pages */

/* What sock_def_readable says happened: urgent data is in it, if there is some or not. */
#define DATA_KEY (POLLIN | POLLPRI | POLLRDNORM | POLLRDBAND)

static int64_t sent_or(const struct transfer *transfer, int error)
{
    return transfer->done > 0 ? (int64_t)transfer->done : -error;
}

/* What an end has been told of but room: segments that came, shutdowns. Takes no lock. */
static uint32_t prods(const struct description *description)
{
    struct buf_state came = buf_peek(buf_at(description->rx));

    return came.seg_head + came.seg_count +
           atomic_load_explicit(&buf_at(description->tx)->changes, memory_order_relaxed);
}

void stream_send_sleeps(struct transfer *transfer)
{
    transfer->waited = true;
    transfer->prods = prods(transfer->description);
}

/* A sleeping sender is woken by data that come the other way, too. */
static void mind_arrivals(const struct description *description, struct wait_set *set)
{
    struct socket_buf *rx = buf_at(description->rx);

    wait_set_add(set, &rx->lock, &rx->readers, &rx->version,
                 atomic_load_explicit(&rx->writer_cpu, memory_order_relaxed), POLLIN | POLLRDNORM);
}

/* No room for another segment: asks, fails, or says what to wait for. */
static int64_t send_no_room(struct emu_task *self, struct transfer *transfer, struct wait_set *set,
                            bool last, wait_try again)
{
    enum channel_news news = last ? channel_ask(self, transfer->fd, transfer->description)
                                  : CHANNEL_SAME;

    if (news == CHANNEL_CHANGED) {
        return again(self, transfer, set, last);
    }
    description_met_full(transfer->description, transfer->nonblock);
    if (transfer->nonblock) {
        return sent_or(transfer, EAGAIN);
    }
    if (last) {
        stream_send_sleeps(transfer);
    }
    channel_block(transfer, set, false, news);
    if (set->count < set->capacity) {
        mind_arrivals(transfer->description, set);
    }
    return WAIT_BLOCK;
}

/*
 * Whether a sender may add a segment: while less than its buffer is charged; but one that slept is
 * woken only when a quarter at most is (sock_alloc_send_pskb, unix_writable), or by something else
 * that its end is told of.
 */
static bool has_room(struct transfer *transfer, const struct buf_state *state)
{
    if (EMU_UNLIKELY(transfer->waited)) {
        if (transfer->prods == prods(transfer->description)) {
            return 4ull * (state->charged + 1ull) <= state->limit;
        }
        transfer->waited = false;
    }
    return state->charged < state->limit;
}

/*
 * Publishes what was added (segments), wakes receivers, unlocks. `dropped`: an skb was made and
 * couldn't be filled; that its memory is free again is told like any other (sock_wfree), an edge
 * for those who wait for room.
 */
static void send_commit(struct emu_task *self, struct socket_buf *buf,
                        const struct buf_state *state, uint32_t added, bool dropped)
{
    struct wake_list list;

    wake_list_init(&list);
    if (added > 0) {
        buf_publish_locked(buf, state);
        if (EMU_UNLIKELY(atomic_load_explicit(&buf->readers.first, memory_order_relaxed) != 0)) {
            uint32_t more = base_min_u32(added - 1, WAITER_MORE_MAX) << WAITER_MORE_SHIFT;

            queue_notify_locked(&buf->readers, DATA_KEY | WAITER_ASYNC | more, &list);
        }
    }
    if (EMU_UNLIKELY(dropped) && 4ull * (state->charged + 1ull) <= state->limit) {
        queue_notify_locked(&buf->writers, POLLOUT | POLLWRNORM | POLLWRBAND | WAITER_ASYNC, &list);
    }
    lock_release(self, &buf->lock);
    if (EMU_UNLIKELY(list.count > 0)) {
        wake_list_flush(self, &list);
    }
}

/* Pages that splice brings are charged by their bytes, beside an skb without any: an skb for all
 * of them, of which no step of passage.h may be published alone (MSG_SPLICE_PAGES). */
static uint32_t next_segment(const struct transfer *transfer, const struct buf_state *state,
                             uint32_t *ret_charge)
{
    uint32_t part = (uint32_t)base_min_u64(transfer->size - transfer->done, STREAM_PAGES_MAX);

    if (EMU_UNLIKELY(transfer->splices)) {
        *ret_charge = charge_stream(0) + part;
        return part;
    }
    part = base_min_u32(base_min_u32(part, STREAM_CHUNK_MAX), state->limit / 2 - 64);
    if (EMU_UNLIKELY(state->piece != 0)) {
        part = (uint32_t)base_min_u64(transfer->size - transfer->done, state->piece);
    }
    *ret_charge = charge_stream(part);
    return part;
}

/*
 * Adds segments while the accounting allows, at most `most`. Returns 0 (all sent, or no more room),
 * or a positive errno: EFAULT, ENOBUFS.
 */
static int add_segments(struct transfer *transfer, struct socket_buf *buf, struct buf_state *state,
                        uint32_t most)
{
    if (!has_room(transfer, state)) {
        return 0;
    }
    transfer->waited = false;
    for (; most > 0 && transfer->done < transfer->size && state->charged < state->limit; most--) {
        uint32_t info;
        uint32_t part = next_segment(transfer, state, &info);

        if (EMU_UNLIKELY(buf_reserve_locked(buf, state, part, 1) < 0)) {
            return ENOBUFS;
        }
        if (EMU_UNLIKELY(ring_put(buf_ring(state), buf_ring_mask(state), state->head + state->used,
                                  &transfer->cursor, part) < 0)) {
            return EFAULT;
        }
        if (EMU_UNLIKELY(transfer->rights && transfer->rights->record != 0)) {
            int error = rights_ride(transfer->rights, transfer->fd, transfer->description, buf,
                                    state);

            if (error != 0) {
                return error;
            }
            info |= SEG_RIGHTS;
        }
        buf_append(state, part, info);
        transfer->done += part;
    }
    return 0;
}

/* Linux shows a reader each skb by itself (unix_stream_sendmsg): faults let it look in between. */
#define SEGMENTS_AT_ONCE(self) (fault_on(self) ? 1 : UINT32_MAX)

int64_t stream_send_try(struct emu_task *self, void *op, struct wait_set *set, bool last)
{
    struct transfer *transfer = op;
    struct description *description = transfer->description;
    struct buf_state state;
    struct socket_buf *buf = channel_lock(self, transfer, description->tx, &state);
    bool first = !transfer->started;
    uint64_t before = transfer->done;
    uint32_t segments;
    int error;

    if (EMU_UNLIKELY(!buf)) {
        return EMU_NATIVE;
    }
    transfer->started = true;
    buf_note_cpu(&buf->writer_cpu, host_cpu());
    if (first && EMU_UNLIKELY(state.flags & BUF_SHUT)) {
        lock_release(self, &buf->lock);
        self->sigpipe = true;
        self->broken = description_index(transfer->description) + 1;
        return -EPIPE;
    }
    if (EMU_UNLIKELY(transfer->size == 0)) {
        lock_release(self, &buf->lock);
        return 0;
    }
    /* sock_alloc_send_pskb: from here on neither error raises SIGPIPE. */
    error = description_take_error(description);
    if (error == 0 && state.flags & BUF_SHUT) {
        error = EPIPE;
    }
    if (EMU_UNLIKELY(error != 0)) {
        lock_release(self, &buf->lock);
        return sent_or(transfer, error);
    }
    segments = state.seg_count;
    error = add_segments(transfer, buf, &state, SEGMENTS_AT_ONCE(self));
    if (EMU_UNLIKELY(transfer->passes) && transfer->done > before) {
        passage_arrives(buf, &state, (uint32_t)(transfer->done - before));
    }
    send_commit(self, buf, &state, state.seg_count - segments, error == EFAULT);
    if (EMU_UNLIKELY(error != 0)) {
        return sent_or(transfer, error);
    }
    if (transfer->done == transfer->size) {
        return (int64_t)transfer->done;
    }
    if (fault_on(self) && state.charged < state.limit) {
        emu_fault_pause(self);
        return stream_send_try(self, op, set, last); /* each time a segment less is left */
    }
    return send_no_room(self, transfer, set, last, stream_send_try);
}

int64_t seqpacket_send_try(struct emu_task *self, void *op, struct wait_set *set, bool last)
{
    struct transfer *transfer = op;
    uint32_t size = (uint32_t)transfer->size;
    struct buf_state state;
    struct socket_buf *buf;
    int error = description_take_error(transfer->description);

    if (EMU_UNLIKELY(error != 0)) {
        return -error;
    }
    buf = channel_lock(self, transfer, transfer->description->tx, &state);
    if (EMU_UNLIKELY(!buf)) {
        return EMU_NATIVE;
    }
    buf_note_cpu(&buf->writer_cpu, host_cpu());
    if (!transfer->started &&
        size > (EMU_UNLIKELY(state.piece != 0) ? EMU_SQUEEZED_SOCKET : state.limit) - 32) {
        error = EMSGSIZE; /* not when the buffer shrinks under a sleeping sender */
    } else if (state.flags & BUF_SHUT) {
        error = EPIPE; /* a record never raises SIGPIPE */
    } else if (!has_room(transfer, &state)) {
        lock_release(self, &buf->lock);
        transfer->started = true;
        return send_no_room(self, transfer, set, last, seqpacket_send_try);
    } else if (buf_reserve_locked(buf, &state, size, 1) < 0) {
        error = ENOBUFS;
    } else if (ring_put(buf_ring(&state), buf_ring_mask(&state), state.head + state.used,
                        &transfer->cursor, size) < 0) {
        error = EFAULT;
    } else {
        uint32_t info = charge_record(size) | SEG_PACKET;

        if (EMU_UNLIKELY(transfer->rights && transfer->rights->record != 0)) {
            info |= SEG_RIGHTS;
            error = rights_ride(transfer->rights, transfer->fd, transfer->description, buf, &state);
        }
        if (error == 0) {
            buf_append(&state, size, info);
        }
        if (EMU_UNLIKELY(transfer->passes) && error == 0) {
            passage_arrives(buf, &state, size);
        }
    }
    send_commit(self, buf, &state, error == 0, error == EFAULT);
    return error == 0 ? (int64_t)size : -error;
}

/* `told`: what the reader's owner is told. */
static void shut_direction(struct emu_task *self, uint32_t index)
{
    struct socket_buf *buf = buf_at(index);
    struct buf_state state;

    lock_acquire(self, &buf->lock);
    state = buf_state_locked(buf);
    state.flags |= BUF_SHUT;
    buf_publish_locked(buf, &state);
    lock_release(self, &buf->lock);
}

static void note_shutdown(struct emu_task *self, struct socket_buf *buf, struct wait_queue *queue,
                          uint32_t told, struct wake_list *list)
{
    lock_acquire(self, &buf->lock);
    if (queue == &buf->writers) {
        atomic_fetch_add_explicit(&buf->changes, 1, memory_order_relaxed);
    }
    queue_notify_locked(queue, POLLHUP | told, list);
    lock_release(self, &buf->lock);
}

/*
 * A state change concerns both directions, each time it is said: first those who wait at this end,
 * then at the other, whose owner learns of the writing side alone (unix_shutdown).
 */
void stream_shutdown(struct emu_task *self, struct description *description, int how)
{
    struct socket_buf *rx = buf_at(description->rx);
    struct socket_buf *tx = buf_at(description->tx);
    uint32_t owner = how == SHUT_RD ? 0 : WAITER_ASYNC | (how == SHUT_WR ? POLLIN : 0);
    struct wake_list list;

    if (how == SHUT_RD || how == SHUT_RDWR) {
        shut_direction(self, description->rx);
    }
    if (how == SHUT_WR || how == SHUT_RDWR) {
        shut_direction(self, description->tx);
    }
    wake_list_init(&list);
    note_shutdown(self, rx, &rx->readers, 0, &list);
    note_shutdown(self, tx, &tx->writers, 0, &list);
    note_shutdown(self, tx, &tx->readers, owner, &list);
    note_shutdown(self, rx, &rx->writers, 0, &list);
    wake_list_flush(self, &list);
}

void stream_set_send_buffer(struct emu_task *self, struct description *description, uint32_t size)
{
    struct socket_buf *buf = buf_at(description->tx);
    struct wake_list list;
    struct buf_state state;
    uint32_t told;

    wake_list_init(&list);
    lock_acquire(self, &buf->lock);
    state = buf_state_locked(buf);
    state.limit = size;
    state.piece = 0;
    buf_publish_locked(buf, &state);
    told = POLLOUT | POLLWRNORM | POLLWRBAND | WAITER_ASYNC;
    if (buf_bits_of(&state) & BUF_OUT) { /* sock_set_sndbuf: unix_write_space */
        queue_notify_locked(&buf->writers, told, &list);
    }
    lock_release(self, &buf->lock);
    wake_list_flush(self, &list);
}

uint32_t stream_unread(const struct description *description)
{
    return buf_peek(buf_at(description->rx)).used;
}

uint32_t stream_charged(const struct description *description)
{
    return buf_peek(buf_at(description->tx)).charged;
}
