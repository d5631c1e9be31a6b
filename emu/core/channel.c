/*
 * channel.c - see channel.h
 */
#include "channel.h"

#include "charge.h"

#include <errno.h>

#define RESCUE_ROUNDS 64 /* reads of a placeholder at a time; what is left comes next time */

void transfer_init(struct transfer *transfer, struct description *description, int fd,
                   const struct iovec *iov, int count, uint64_t size, int flags)
{
    transfer->description = description;
    transfer->index = description_index(description);
    transfer->generation = atomic_load_explicit(&description->generation, memory_order_relaxed);
    transfer->fd = fd;
    transfer->cursor = (struct cursor){ iov, count, 0 };
    transfer->size = base_min_u64(size, EMU_RW_MAX);
    transfer->done = 0;
    transfer->target = 1;
    transfer->flags = flags;
    transfer->nonblock = (flags & MSG_DONTWAIT) ||
                         (atomic_load_explicit(&description->status, memory_order_relaxed) &
                          O_NONBLOCK);
    transfer->started = false;
    transfer->waited = false;
    transfer->ret_flags = 0;
}

/*
 * Whoever was handing the direction over died over it, for it held the lock. What it had written
 * into the placeholder is unread here still: the copies are thrown away.
 */
static void undo_move(int fd, struct socket_buf *buf, struct buf_state *state)
{
    char rubbish[4096];
    uint32_t bound = state->used / sizeof rubbish + state->seg_count + 16;

    for (; bound > 0 && (host_poll_one(fd, POLLIN) & POLLIN); bound--) {
        if (host_read(fd, rubbish, sizeof rubbish) < 0) {
            break;
        }
    }
    state->flags &= (uint16_t)~BUF_MOVING;
    buf_publish_locked(buf, state);
}

struct socket_buf *channel_lock(struct emu_task *self, const struct transfer *transfer,
                                uint32_t index, struct buf_state *ret_state)
{
    struct socket_buf *buf = buf_at(index);

    lock_acquire(self, &buf->lock);
    /* Whoever frees the description takes this lock first, so what holds now holds until release.
     */
    if (EMU_UNLIKELY(atomic_load_explicit(&transfer->description->generation,
                                          memory_order_relaxed) != transfer->generation)) {
        lock_release(self, &buf->lock);
        return NULL;
    }
    *ret_state = buf_state_locked(buf);
    if (EMU_LIKELY(!(ret_state->flags & (BUF_NATIVE | BUF_MOVING)))) {
        return buf;
    }
    if (ret_state->flags & BUF_NATIVE) {
        lock_release(self, &buf->lock);
        return NULL;
    }
    if (index == transfer->description->rx && fdtab_get(transfer->fd) == transfer->description) {
        undo_move(transfer->fd, buf, ret_state);
    }
    return buf;
}

/* A blocked call keeps its description alive; undone however the call ends. */
struct pin {
    struct emu_task *self;
    uint32_t index;
    uint32_t outer;
};

static void pin_undo(struct pin *pin)
{
    pin->self->pinned = pin->outer;
    fdtab_unpin(pin->self, pin->index);
}

void emu_task_clear(struct emu_task *self)
{
    uint32_t pinned = self->pinned;

    wait_clear(self);
    self->pinned = 0;
    if (pinned != 0) {
        fdtab_unpin(self, pinned - 1);
    }
}

static int64_t run_blocking(struct emu_task *self, struct transfer *transfer, wait_try try,
                            int64_t timeout_ns)
{
    struct wait_item item;
    struct wait_set set = { .items = &item, .capacity = 1 };
    struct wait_request request = {
        .try = try,
        .op = transfer,
        .set = &set,
        .deadline_ns = timeout_ns > 0 ? host_now_ns() + (uint64_t)timeout_ns : 0,
        .restarts = timeout_ns == 0, /* with SO_*TIMEO always EINTR: sock_intr_errno() */
        .done = &transfer->done,
    };
    struct pin pin
        __attribute__((unused, cleanup(pin_undo))) = { self, transfer->index, self->pinned };

    fdtab_pin(self, transfer->index);
    self->pinned = transfer->index + 1;
    return wait_run(self, &request);
}

int64_t channel_run(struct emu_task *self, struct transfer *transfer, wait_try try,
                    int64_t timeout_ns)
{
    struct wait_item item;
    struct wait_set set = { .items = &item, .capacity = 1 };
    int64_t result;

    if (EMU_UNLIKELY(timeout_ns < 0)) {
        transfer->nonblock = true;
    }
    result = try(self, transfer, &set, transfer->nonblock);
    if (result == WAIT_BLOCK) {
        result = run_blocking(self, transfer, try, timeout_ns);
        if (result == -ETIMEDOUT) {
            result = -EAGAIN;
        }
        if (result < 0 && result != EMU_NATIVE && transfer->done > 0) {
            result = (int64_t)transfer->done;
        }
    }
    if (EMU_UNLIKELY(result == EMU_NATIVE)) {
        self->progress = transfer->done;
    }
    return result;
}

/* How much the next read of the placeholder gives at most: a page, or a whole record. */
static uint32_t next_stray(int fd, const struct description *description)
{
    int64_t size;

    if (description->kind != DESCRIPTION_SEQPACKET) {
        return EMU_PAGE;
    }
    size = host_record_size(fd);
    return size > 0 ? (uint32_t)size : 1; /* a read of nothing would leave an empty record there */
}

/* What a stray segment is accounted as; packets and records stay what they are. */
static uint32_t stray_info(const struct description *description, uint32_t size)
{
    const struct description *writer = description_peer(description);

    switch (description->kind) {
    case DESCRIPTION_SEQPACKET: return charge_record(size) | SEG_PACKET;
    case DESCRIPTION_STREAM: return charge_stream(size);
    default: return writer && (atomic_load(&writer->status) & O_DIRECT) ? SEG_PACKET : 0;
    }
}

/* Takes one read's worth of the placeholder in. False: nothing (more) lies there. */
static bool rescue_one(int fd, struct description *description, struct socket_buf *buf)
{
    struct buf_state state = buf_state_locked(buf);
    short bits = host_poll_one(fd, POLLIN);
    uint32_t want;
    uint32_t position;
    uint32_t first;
    struct iovec iov[2];
    int64_t got;

    if (!(bits & POLLIN)) {
        return false;
    }
    want = next_stray(fd, description);
    if (buf_reserve_locked(buf, &state, want, 1) < 0) {
        return false;
    }
    position = (state.head + state.used) & buf_ring_mask(&state);
    first = base_min_u32(want, buf_ring_mask(&state) + 1 - position);
    iov[0] = (struct iovec){ buf_ring(&state) + position, first };
    iov[1] = (struct iovec){ buf_ring(&state), want - first };
    got = host_readv(fd, iov, 2);
    /* Nothing read is an empty record, or the end: of a seqpacket socket with an end, the end. */
    if (got < 0 || (got == 0 && (description->kind != DESCRIPTION_SEQPACKET || bits & POLLHUP))) {
        return false;
    }
    buf_append(&state, (uint32_t)got, stray_info(description, (uint32_t)got));
    buf_publish_locked(buf, &state);
    return true;
}

/* Appends what came past the shim, as the kernel would have it: after everything unread. */
static bool rescue(struct emu_task *self, int fd, struct description *description)
{
    struct socket_buf *buf = buf_at(description->rx);
    struct wake_list list = { 0 };
    struct buf_state state;
    bool any = false;

    lock_acquire(self, &buf->lock);
    state = buf_state_locked(buf);
    if (state.flags & BUF_MOVING) {
        undo_move(fd, buf, &state); /* no strays: copies of what is unread here */
    } else if (!(state.flags & BUF_NATIVE)) {
        for (int round = 0; round < RESCUE_ROUNDS && rescue_one(fd, description, buf); round++) {
            any = true;
        }
    }
    wait_notify_locked(&buf->readers, POLLIN | POLLRDNORM, &list);
    lock_release(self, &buf->lock);
    wake_list_flush(&list);
    if (any) {
        emu_report_add(self, EMU_REPORT_RESCUED, "write", -1, -1, 0);
    }
    return any;
}

enum channel_news channel_ask(struct emu_task *self, int fd, struct description *description)
{
    bool reads = description->rx != ARENA_NONE;
    uint32_t index = reads ? description->rx : description->tx;
    uint32_t gone_flag = reads ? BUF_WRITER_GONE : BUF_READER_GONE;
    struct buf_state state;
    struct description *peer;
    short bits;

    if (fdtab_get(fd) != description) {
        return CHANNEL_SAME;
    }
    bits = host_poll_one(fd, reads ? POLLIN : 0);
    if ((bits & POLLIN) && rescue(self, fd, description)) {
        return CHANNEL_CHANGED;
    }
    state = buf_peek(buf_at(index));
    if (bits & (POLLHUP | POLLERR)) {
        peer = description_peer(description);
        if (state.flags & gone_flag || !peer) {
            return CHANNEL_SAME;
        }
        description_end(self, peer);
        return CHANNEL_CHANGED;
    }
    if (state.flags & gone_flag && !(bits & POLLNVAL)) {
        atomic_store(&arena->header.orphans, 1); /* nobody will tell: sleepers ask by the clock */
        return CHANNEL_ORPHAN;
    }
    return CHANNEL_SAME;
}
