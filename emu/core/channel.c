/*
 * channel.c - see channel.h
 */
#include "channel.h"

#include "charge.h"
#include "passage.h"

#include <errno.h>
#include <sys/ioctl.h>

#define FEED_BYTES    (1u << 20) /* bytes that a splice brought, taken in at a time */
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
    transfer->looked = false;
    transfer->waited = false;
    transfer->prods = 0;
    transfer->splices = false;
    transfer->ended = false;
    transfer->passes = false;
    transfer->ret_flags = 0;
    transfer->rights = NULL;
    transfer->rights_left = 0;
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
    if (EMU_LIKELY(!(ret_state->flags & (BUF_NATIVE | BUF_MOVING | BUF_LEAVING)))) {
        return buf;
    }
    if (ret_state->flags & BUF_LEAVING) {
        passage_wait(self, buf);
        return channel_lock(self, transfer, index, ret_state);
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

struct channel_pin channel_pin_begin(struct emu_task *self, uint32_t index)
{
    struct channel_pin pin = { self, index, self->pinned };

    fdtab_pin(self, index);
    self->pinned = index + 1;
    return pin;
}

void channel_pin_end(struct channel_pin *pin)
{
    if (EMU_LIKELY(pin->self->pinned == pin->index + 1)) { /* else forgotten in a fork's child */
        pin->self->pinned = pin->outer;
        fdtab_unpin(pin->self, pin->index);
    }
}

struct channel_keep channel_keep_begin(struct emu_task *self, uint32_t index)
{
    struct channel_keep keep = { self, self->pins_count };

    fdtab_pin_one_more(self, index); /* without memory: as good as not kept */
    return keep;
}

void channel_keep_end(struct channel_keep *keep)
{
    fdtab_unpin_to(keep->self, keep->mark); /* nothing is there in a fork's child */
}

void emu_task_clear(struct emu_task *self)
{
    uint32_t pinned = self->pinned;

    wait_clear(self);
    self->pinned = 0;
    if (pinned != 0) {
        fdtab_unpin(self, pinned - 1);
    }
    fdtab_unpin_to(self, 0);
    if (EMU_UNLIKELY(self->rights_sent != 0)) {
        rights_abandon(self);
    }
}

int64_t channel_wait_pinned(struct emu_task *self, uint32_t index,
                            const struct wait_request *request)
{
    CHANNEL_PIN(pin, self, index);

    return wait_run(self, request);
}

/* Which of the calls that move bytes it is the core doesn't know: read and write stand for all. */
static void describe_transfer(const void *op, const struct wait_set *set,
                              struct task_sleep *ret_sleep)
{
    const struct transfer *transfer = op;
    uint32_t events = set->count > 0 ? set->items[0].events : 0;

    ret_sleep->call = events & POLLOUT ? EMU_CALL_write : EMU_CALL_read;
    ret_sleep->count = 1;
    ret_sleep->size = transfer->size;
    ret_sleep->done = transfer->done;
    ret_sleep->watched = 1;
    ret_sleep->watch[0].fd = transfer->fd;
    ret_sleep->watch[0].description = transfer->index;
    ret_sleep->watch[0].generation = transfer->generation;
    ret_sleep->watch[0].events = events;
}

/*
 * The call is made anew, and its number was closed while it slept: the kernel knows EBADF, or what
 * stands there now. A number that is another of ours, or another virtual process's, tells nothing.
 */
static int64_t again_transfer(const struct emu_task *self, const void *op)
{
    const struct transfer *transfer = op;
    const struct description *now = fdtab_get_any(transfer->fd);

    if (EMU_LIKELY(now != NULL)) {
        return 0;
    }
    return self->process->is_virtual ? -EBADF : EMU_NATIVE;
}

static int64_t run_blocking(struct emu_task *self, struct transfer *transfer, wait_try try,
                            int64_t timeout_ns)
{
    struct wait_item items[2];
    struct pollfd fds[1 + BELL_ROOM];
    struct wait_set set = { .items = items, .capacity = 2, .fds = fds, .fd_capacity = 1 };
    struct wait_request request = {
        .try = try,
        .op = transfer,
        .set = &set,
        .deadline_ns = timeout_ns > 0 ? host_now_ns() + (uint64_t)timeout_ns : 0,
        /* With SO_*TIMEO always EINTR: sock_intr_errno(). */
        .restarts = timeout_ns == 0 && !self->behind_first,
        .done = &transfer->done,
        .again = again_transfer,
        .describe = describe_transfer,
    };

    self->behind_first = false; /* a handler's calls are calls of their own */
    return channel_wait_pinned(self, transfer->index, &request);
}

int64_t channel_run(struct emu_task *self, struct transfer *transfer, wait_try try,
                    int64_t timeout_ns)
{
    struct wait_item items[2];
    struct wait_set set = { .items = items, .capacity = 2 };
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

    if (!description_keeps_records(description)) {
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
    case DESCRIPTION_VSOCK_STREAM: return 0;
    case DESCRIPTION_VSOCK_SEQPACKET: return SEG_PACKET;
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
    if (EMU_UNLIKELY(buf->rights != 0)) {
        want = rights_strays(buf, fd, want);
        if (want == 0) {
            return false;
        }
    }
    if (buf_reserve_locked(buf, &state, want, 1) < 0) {
        return false;
    }
    position = (state.head + state.used) & buf_ring_mask(&state);
    first = base_min_u32(want, buf_ring_mask(&state) + 1 - position);
    iov[0] = (struct iovec){ buf_ring(&state) + position, first };
    iov[1] = (struct iovec){ buf_ring(&state), want - first };
    got = host_readv(fd, iov, 2);
    /* Nothing read is an empty record, or the end: of a seqpacket socket with an end, the end. */
    if (got < 0 || (got == 0 && (!description_keeps_records(description) || bits & POLLHUP))) {
        return false;
    }
    buf_append(&state, (uint32_t)got, stray_info(description, (uint32_t)got));
    if (description_is_vsock(description)) {
        state.charged += (uint32_t)got;
        state.records += description->kind == DESCRIPTION_VSOCK_SEQPACKET;
    }
    buf_publish_locked(buf, &state);
    return true;
}

/* Appends what lies in the placeholder, as the kernel would have it: after everything unread. */
static bool take_in(struct emu_task *self, int fd, struct description *description)
{
    struct socket_buf *buf = buf_at(description->rx);
    struct wake_list list;
    struct buf_state state;
    bool any = false;

    wake_list_init(&list);
    buf_lock_settled(self, buf, &state);
    if (state.flags & BUF_MOVING) {
        undo_move(fd, buf, &state); /* no strays: copies of what is unread here */
        queue_notify_locked(&buf->readers, POLLIN | POLLRDNORM, &list);
    } else if (!(state.flags & BUF_NATIVE)) {
        for (int round = 0; round < RESCUE_ROUNDS && rescue_one(fd, description, buf); round++) {
            any = true;
        }
    }
    if (any) {
        queue_notify_locked(&buf->readers, POLLIN | POLLRDNORM, &list);
    }
    lock_release(self, &buf->lock);
    wake_list_flush(self, &list);
    if (any && !(state.flags & BUF_FED)) {
        emu_report_add(self, EMU_REPORT_RESCUED, "write", -1, -1, 0);
    }
    return any;
}

void channel_mind_strays(struct emu_task *self, int fd, struct description *writer)
{
    struct description *reader = description_peer(writer);
    int waiting = 0;
    int own;

    if (writer->kind != DESCRIPTION_PIPE_WRITER || !reader ||
        host_ioctl(fd, FIONREAD, &waiting) < 0 || waiting == 0) {
        return;
    }
    own = host_reopen_reader(fd);
    if (own >= 0) {
        take_in(self, own, reader);
        host_close(own);
    }
}

void channel_feed_begin(struct emu_task *self, struct socket_buf *buf, struct buf_state *state)
{
    state->flags |= BUF_FED;
    buf_publish_locked(buf, state);
    lock_release(self, &buf->lock);
}

/*
 * Takes in at most `size` bytes as slots, of which the first has `first` at most. Returns how many;
 * 0: nothing (more) lies there.
 */
static uint64_t feed_some(int fd, struct socket_buf *buf, struct buf_state *state, uint32_t first,
                          uint64_t size)
{
    uint32_t most = (uint32_t)base_min_u64(size, FEED_BYTES);
    uint32_t position;
    uint32_t here;
    struct iovec iov[2];
    int64_t got;

    if (!(host_poll_one(fd, POLLIN) & POLLIN) ||
        buf_reserve_locked(buf, state, most, most / EMU_PAGE + 2) < 0) {
        return 0;
    }
    position = (state->head + state->used) & buf_ring_mask(state);
    here = base_min_u32(most, buf_ring_mask(state) + 1 - position);
    iov[0] = (struct iovec){ buf_ring(state) + position, here };
    iov[1] = (struct iovec){ buf_ring(state), most - here };
    got = host_readv(fd, iov, 2);
    for (int64_t left = got; left > 0; first = EMU_PAGE) {
        uint32_t len = (uint32_t)base_min_u64((uint64_t)left, first);

        buf_append(state, len, 0);
        left -= len;
    }
    if (got > 0) {
        buf_publish_locked(buf, state);
    }
    return got > 0 ? (uint64_t)got : 0;
}

void channel_feed_end(struct emu_task *self, int fd, struct description *reader, uint32_t first,
                      uint64_t size)
{
    struct socket_buf *buf = buf_at(reader->rx);
    struct wake_list list;
    struct buf_state state;

    wake_list_init(&list);
    buf_lock_settled(self, buf, &state);
    if (!(state.flags & (BUF_MOVING | BUF_NATIVE))) {
        for (uint64_t got = 1; size > 0 && got > 0; size -= got) {
            got = feed_some(fd, buf, &state, first, size);
            first = EMU_PAGE;
        }
        /* As splice tells: wakeup_pipe_readers(). */
        queue_notify_locked(&buf->readers, POLLNVAL | POLLIN | POLLRDNORM | WAITER_ASYNC, &list);
    }
    state.flags &= (uint16_t)~BUF_FED;
    buf_publish_locked(buf, &state);
    lock_release(self, &buf->lock);
    wake_list_flush(self, &list);
}

enum channel_news channel_ask(struct emu_task *self, int fd, struct description *description)
{
    bool reads = description->rx != ARENA_NONE;
    uint32_t index = reads ? description->rx : description->tx;
    uint32_t gone_flag = reads ? BUF_WRITER_GONE : BUF_READER_GONE;
    struct buf_state state;
    short bits;

    fd = fdtab_placeholder(fd, description_index(description));
    if (fd < 0 || atomic_load_explicit(&description->native, memory_order_relaxed) ||
        !description_is_connected(description)) {
        return CHANNEL_SAME; /* a placeholder that isn't connected shows HUP */
    }
    bits = host_poll_one(fd, reads ? POLLIN : 0);
    if ((bits & POLLIN) && take_in(self, fd, description)) {
        return CHANNEL_CHANGED;
    }
    state = buf_peek(buf_at(index));
    if (bits & (POLLHUP | POLLERR)) {
        if (state.flags & gone_flag) {
            return CHANNEL_STUCK;
        }
        description_end_other(self, description);
        return CHANNEL_CHANGED;
    }
    if (state.flags & gone_flag && !(bits & POLLNVAL)) {
        return CHANNEL_ORPHAN;
    }
    /* Somebody else may have taken the bytes in; that they stay is another matter. */
    if (EMU_UNLIKELY(bits != 0) && host_poll_one(fd, reads ? POLLIN : 0) != 0) {
        return CHANNEL_STUCK;
    }
    return CHANNEL_SAME;
}

int64_t channel_block(const struct transfer *transfer, struct wait_set *set, bool reads,
                      enum channel_news news)
{
    struct description *description = transfer->description;
    struct socket_buf *buf = buf_at(reads ? description->rx : description->tx);

    if (reads) {
        wait_set_add(set, &buf->lock, &buf->readers, &buf->version,
                     atomic_load_explicit(&buf->writer_cpu, memory_order_relaxed),
                     POLLIN | POLLRDNORM);
    } else {
        wait_set_add(set, &buf->lock, &buf->writers, &buf->version,
                     atomic_load_explicit(&buf->reader_cpu, memory_order_relaxed),
                     POLLOUT | POLLWRNORM);
    }
    if (set->deep && news != CHANNEL_STUCK) {
        wait_set_watch(set, fdtab_placeholder(transfer->fd, transfer->index),
                       description->rx != ARENA_NONE ? POLLIN : 0);
    }
    return WAIT_BLOCK;
}
