/*
 * splice.c - see splice.h
 */
#include "splice.h"

#include "charge.h"
#include "passage.h"
#include "pipe.h"
#include "stream.h"
#include "vsock_data.h"

#include <errno.h>
#include <sys/syscall.h>

#define ROUND_BYTES 65536u /* of a send: 16 slots (splice_to_socket) of a page */
#define ROUND_SLOTS 16u
#define MANY        UINT32_MAX

#define SPLICE_RIGHTS (INT64_MIN + 3)

/* ---- What is unread in a source, as slots of a pipe ---- */

struct pieces {
    const struct buf_state *state;
    uint32_t seg;    /* the next one begins in this segment, ... */
    uint32_t offset; /* ... behind so much of it */
    uint64_t left;   /* bytes that may still be moved */
    uint32_t cut;    /* the longest slot */
    bool keep;
};

static struct pieces pieces_of(const struct buf_state *state, const struct splice *splice,
                               uint32_t room, uint32_t cut)
{
    uint64_t left = splice->size - splice->done;

    if (state->kind != DESCRIPTION_PIPE_READER) { /* do_splice_read: no more than fits in pages */
        left = base_min_u64(base_min_u64(left, (uint64_t)room * EMU_PAGE), state->used);
    }
    return (struct pieces){ state, 0, state->first_taken, left, cut, splice->keep };
}

/* Pages that were spliced in are pieces each; their charge tells. See next_segment() of stream.c.
 */
static bool is_spliced(const struct seg *seg)
{
    uint32_t charge = seg->info & SEG_CHARGE;

    return charge == charge_stream(0) + seg->len && charge != charge_stream(seg->len);
}

/*
 * Of an skb with `len` bytes: how far the piece of memory reaches in which byte `at` lies. The
 * first is the head, then come pages, in blocks of eight, four, two or one. Linux:
 * unix_stream_sendmsg, alloc_skb_with_frags.
 */
static uint32_t skb_piece_end(uint32_t len, uint32_t at)
{
    const uint32_t head_max = 3776; /* SKB_MAX_ALLOC less a page: see charge.c */
    uint32_t pages = len > head_max ? (len - head_max + EMU_PAGE - 1) / EMU_PAGE * EMU_PAGE : 0;
    uint32_t end = pages < len ? len - pages : 0;
    uint32_t block = 8 * EMU_PAGE;

    while (at >= end && end < len) {
        while (block > EMU_PAGE && len - end <= block - EMU_PAGE) {
            block /= 2;
        }
        end += base_min_u32(block, len - end);
    }
    return end;
}

/* Descriptors come with it, which are closed when its first byte is taken. */
static bool has_rights(const struct buf_state *state, const struct seg *seg)
{
    return state->kind == DESCRIPTION_STREAM && (seg->info & SEG_RIGHTS);
}

/* Whether that is so of a message that the next step would come to. */
static bool meets_rights(const struct buf_state *state, const struct splice *splice)
{
    const struct buf_state to = buf_peek(buf_at(splice->out.description->tx));
    uint32_t slots = to.seg_count < to.limit ? to.limit - to.seg_count : 0;
    uint64_t size = splice->size - splice->done;
    uint64_t before = 0;

    for (uint32_t i = 0; i < state->seg_count && i < slots && before < size; i++) {
        struct seg seg = buf_nth_seg(state, i);

        if (has_rights(state, &seg) && (i > 0 || state->first_taken == 0)) {
            return true;
        }
        before += i == 0 ? seg.len - state->first_taken : seg.len;
    }
    return false;
}

/* The next slot. False: there is none. *ret_info: SEG_*. */
static bool next_piece(struct pieces *pieces, uint32_t *ret_len, uint32_t *ret_info)
{
    const struct buf_state *state = pieces->state;
    struct seg seg;
    uint32_t end;
    uint32_t len;

    if (pieces->seg >= state->seg_count || pieces->left == 0) {
        return false;
    }
    if (state->kind == DESCRIPTION_VSOCK_STREAM) { /* copy_splice_read(): pages, filled */
        *ret_info = 0;
        *ret_len = (uint32_t)base_min_u64(pieces->left, EMU_PAGE);
        pieces->left -= *ret_len;
        return true;
    }
    seg = buf_nth_seg(state, pieces->seg);
    if (EMU_UNLIKELY(pieces->seg > 0 && pieces->offset == 0 && has_rights(state, &seg))) {
        return false;
    }
    end = seg.len;
    if (state->kind == DESCRIPTION_STREAM) {
        end = is_spliced(&seg) ? base_min_u32(seg.len, (pieces->offset / EMU_PAGE + 1) * EMU_PAGE)
                               : skb_piece_end(seg.len, pieces->offset);
    }
    len = (uint32_t)base_min_u64(end - pieces->offset, base_min_u64(pieces->left, pieces->cut));
    *ret_info = 0;
    if (state->kind == DESCRIPTION_PIPE_READER) {
        *ret_info = seg.info & SEG_PACKET;
        if (len == seg.len - pieces->offset && !pieces->keep && seg.info & SEG_MERGEABLE) {
            *ret_info = seg.info + pieces->offset; /* its page is as full as before */
        }
    }
    *ret_len = len;
    pieces->left -= len;
    pieces->offset += len;
    if (pieces->offset == seg.len) {
        pieces->seg++;
        pieces->offset = 0;
    }
    return true;
}

/* Bytes that fit into `slots` slots; *ret_longer is what they have beyond a page each. */
static uint64_t measure(struct pieces pieces, uint32_t slots, uint32_t *ret_longer)
{
    uint64_t bytes = 0;
    uint32_t info;
    uint32_t len;

    *ret_longer = 0;
    while (slots > 0 && next_piece(&pieces, &len, &info)) {
        bytes += len;
        *ret_longer += len > EMU_PAGE ? len - EMU_PAGE : 0;
        slots--;
    }
    return bytes;
}

/* ---- Into a pipe ---- */

/* The unread bytes of a state, for a cursor. */
static void ring_iov(const struct buf_state *state, uint64_t size, struct iovec ret_iov[2])
{
    uint32_t position = state->head & buf_ring_mask(state);
    uint64_t first = base_min_u64(size, (uint64_t)buf_ring_mask(state) + 1 - position);

    ret_iov[0] = (struct iovec){ buf_ring(state) + position, first };
    ret_iov[1] = (struct iovec){ buf_ring(state), size - first };
}

/*
 * Copies what fits from a frozen source into the pipe's state. Returns bytes; 0: no room, or no
 * memory for it.
 */
static uint64_t fill_pipe(const struct splice *splice, const struct buf_state *from,
                          struct socket_buf *buf, struct buf_state *to)
{
    uint32_t room = to->seg_count < to->limit ? to->limit - to->seg_count : 0;
    struct pieces pieces = pieces_of(from, splice, room, MANY);
    struct cursor cursor;
    struct iovec iov[2];
    uint64_t bytes;
    uint32_t longer;
    uint32_t info;
    uint32_t len;

    bytes = measure(pieces, room, &longer);
    if (longer > 0 && pipe_reserve_locked(buf, to, to->limit, longer) < 0) {
        pieces.cut = EMU_PAGE;
        bytes = measure(pieces, room, &longer);
    }
    ring_iov(from, bytes, iov);
    cursor = (struct cursor){ iov, 2, 0 };
    for (uint32_t i = 0; i < room && next_piece(&pieces, &len, &info); i++) {
        ring_put(buf_ring(to), buf_ring_mask(to), to->head + to->used, &cursor, len);
        buf_append(to, len, info);
    }
    return bytes;
}

void splice_taken_locked(struct description *description, struct socket_buf *from,
                         struct buf_state *state, uint64_t bytes, struct wake_list *list)
{
    uint32_t charged = state->charged;
    bool used_up = passage_drop(state, bytes);

    stream_peek_offset_back(description, bytes);
    if (state->kind == DESCRIPTION_VSOCK_STREAM) {
        if (vsock_report_when_due(description, state)) {
            queue_notify_locked(&from->writers, VSOCK_SPACE_KEY, list);
        }
    } else if (state->kind == DESCRIPTION_PIPE_READER) {
        if (used_up) {
            pipe_tell_writers_locked(from, list);
        }
    } else if (state->charged < charged && 4ull * (state->charged + 1ull) <= state->limit) {
        queue_notify_locked(&from->writers, POLLOUT | POLLWRNORM | POLLWRBAND | WAITER_ASYNC,
                            list); /* unix_write_space */
    }
    buf_note_cpu(&from->reader_cpu, host_cpu());
    buf_publish_locked(from, state);
}

/* The source's end of a step: what has gone out of it, and who is told. */
static void take(struct emu_task *self, const struct splice *splice, uint64_t bytes)
{
    struct description *description = splice->in.description;
    struct socket_buf *from = buf_at(description->rx);
    struct buf_state state;
    struct wake_list list;

    wake_list_init(&list);
    passage_take(self, from, &state);
    splice_taken_locked(description, from, &state, splice->keep ? 0 : bytes, &list);
    lock_release(self, &from->lock);
    passage_leave(self);
    wake_list_flush(self, &list);
}

/*
 * Begins a step: freezes the source. False: *ret_result is EMU_NATIVE, or PIPE_AGAIN: it is empty
 * by now.
 */
static bool begin(struct emu_task *self, const struct splice *splice, struct buf_state *ret_from,
                  int64_t *ret_result)
{
    struct socket_buf *from;

    passage_enter(self);
    from = channel_lock(self, &splice->in, splice->in.description->rx, ret_from);
    if (!from || ret_from->seg_count == 0) {
        if (from) {
            lock_release(self, &from->lock);
        }
        passage_leave(self);
        *ret_result = from ? PIPE_AGAIN : EMU_NATIVE;
        return false;
    }
    passage_begin(self, from, ret_from);
    return true;
}

/*
 * One step into a pipe. Returns its bytes, -EPIPE, EMU_NATIVE; PIPE_AGAIN: somebody was quicker;
 * SPLICE_RIGHTS: descriptors are among it, so it must be received.
 */
static int64_t step_to_pipe(struct emu_task *self, struct splice *splice)
{
    struct buf_state from;
    struct buf_state to;
    struct socket_buf *buf;
    struct wake_list list;
    uint64_t bytes = 0;
    int64_t result;

    if (!begin(self, splice, &from, &result)) {
        return result;
    }
    if (EMU_UNLIKELY(from.kind == DESCRIPTION_STREAM && meets_rights(&from, splice))) {
        take(self, splice, 0);
        return SPLICE_RIGHTS;
    }
    wake_list_init(&list);
    buf = channel_lock(self, &splice->out, splice->out.description->tx, &to);
    if (!buf) {
        take(self, splice, 0);
        return EMU_NATIVE;
    }
    buf_note_cpu(&buf->writer_cpu, host_cpu());
    if (!(to.flags & BUF_READER_GONE)) {
        bytes = fill_pipe(splice, &from, buf, &to);
    }
    if (bytes > 0) {
        passage_arrives(buf, &to, splice->keep ? 0 : (uint32_t)bytes);
        buf_publish_locked(buf, &to);
        pipe_tell_readers_locked(buf, &list);
    }
    lock_release(self, &buf->lock);
    take(self, splice, bytes);
    wake_list_flush(self, &list);
    if (to.flags & BUF_READER_GONE) {
        self->sigpipe = true;
        return -EPIPE;
    }
    return bytes > 0 ? (int64_t)bytes : PIPE_AGAIN;
}

/* ---- Tries ---- */

static struct buf_state seen(const struct transfer *transfer, bool reads)
{
    const struct description *description = transfer->description;

    return buf_peek(buf_at(reads ? description->rx : description->tx));
}

/* splice and tee from pipe to pipe: ipipe_prep(), opipe_prep(), then all that can be moved. */
static int64_t pipe_to_pipe_try(struct emu_task *self, void *op, struct wait_set *set, bool last)
{
    struct splice *splice = op;

    for (uint32_t round = 0; round < EMU_TRY_LIMIT; round++) {
        struct buf_state from = seen(&splice->in, true);
        struct buf_state to = seen(&splice->out, false);
        int64_t result = 0;

        if ((from.flags | to.flags) & BUF_NATIVE) {
            return EMU_NATIVE;
        }
        if (from.seg_count == 0) {
            result = pipe_await_data(self, &splice->in, from.flags, set, last);
            if (result == PIPE_AGAIN) {
                continue;
            }
            if (result != 0) {
                return result;
            }
        }
        if (to.seg_count >= to.limit && !(to.flags & BUF_READER_GONE)) {
            result = pipe_await_room(self, &splice->out, set, last);
            if (result == PIPE_AGAIN) {
                continue;
            }
            return result;
        }
        if (to.flags & BUF_READER_GONE) {
            self->sigpipe = true;
            return -EPIPE;
        }
        if (from.seg_count == 0) {
            return 0;
        }
        result = step_to_pipe(self, splice);
        if (result != PIPE_AGAIN) {
            return result;
        }
    }
    return -EAGAIN;
}

int64_t splice_look(struct emu_task *self, struct transfer *probe, struct wait_set *set, bool last)
{
    struct description *description = probe->description;
    int32_t offset = atomic_load_explicit(&description->peek_offset, memory_order_relaxed);
    char byte;
    struct iovec iov = { &byte, 1 };
    int64_t result;

    if (EMU_UNLIKELY(offset > 0)) { /* SO_PEEK_OFF: not for this look */
        atomic_store_explicit(&description->peek_offset, 0, memory_order_relaxed);
    }
    probe->cursor = (struct cursor){ &iov, 1, 0 };
    result = transfer_receive_try(description)(self, probe, set, last || probe->nonblock);
    if (EMU_UNLIKELY(offset >= 0)) {
        atomic_store_explicit(&description->peek_offset, offset, memory_order_relaxed);
    }
    return result;
}

/* A stream socket into a pipe: wait_for_space(), then the socket. */
static int64_t stream_to_pipe_try(struct emu_task *self, void *op, struct wait_set *set, bool last)
{
    struct splice *splice = op;

    for (uint32_t round = 0; round < EMU_TRY_LIMIT; round++) {
        struct buf_state to = seen(&splice->out, false);
        int64_t result;

        if (to.flags & BUF_READER_GONE && !(to.flags & BUF_NATIVE)) {
            self->sigpipe = true;
            return splice->done > 0 ? (int64_t)splice->done : -EPIPE;
        }
        if (to.seg_count >= to.limit && !(to.flags & BUF_NATIVE)) {
            if (splice->done > 0) {
                return (int64_t)splice->done;
            }
            result = pipe_await_room(self, &splice->out, set, last);
            if (result == PIPE_AGAIN) {
                continue;
            }
            return result;
        }
        result = splice_look(self, &splice->probe, set, last);
        if (result <= 0) {
            return result == WAIT_BLOCK || splice->done == 0 ? result : (int64_t)splice->done;
        }
        result = step_to_pipe(self, splice);
        if (result == PIPE_AGAIN) {
            continue;
        }
        if (result < 0) {
            return splice->done > 0 ? (int64_t)splice->done : result;
        }
        splice->done += (uint64_t)result;
        if (splice->done >= splice->in.target || splice->done >= splice->size) {
            return (int64_t)splice->done;
        }
    }
    return -EAGAIN;
}

/* What the next sendmsg of splice_to_socket() holds: at most 16 slots. */
static uint64_t round_bytes(const struct splice *splice, const struct buf_state *from)
{
    struct pieces pieces = pieces_of(from, splice, 0, MANY);
    uint32_t longer;

    pieces.left = base_min_u64(pieces.left, ROUND_BYTES);
    return measure(pieces, ROUND_SLOTS, &longer);
}

/*
 * Sends that of a frozen source without blocking. Returns what the send's try returns; *ret_bytes
 * have gone over.
 */
static int64_t send_slots(struct emu_task *self, struct splice *splice,
                          const struct buf_state *from, struct wait_set *set, uint64_t *ret_bytes)
{
    struct transfer *out = &splice->out;
    uint64_t before = out->done;
    int64_t result;

    out->size = before + round_bytes(splice, from);
    ring_iov(from, out->size - before, splice->iov);
    out->cursor = (struct cursor){ splice->iov, 2, 0 };
    result = transfer_send_try(out->description)(self, out, set, false);
    *ret_bytes = out->done - before;
    if (result > 0 && description_keeps_records(out->description)) {
        *ret_bytes = (uint64_t)result;
    }
    return result;
}

/* A record of AF_VSOCK is sent when all of it has credit: in pieces nobody could read it anyway. */
static bool lacks_credit(const struct splice *splice, const struct buf_state *from)
{
    struct buf_state to;
    uint64_t size;

    if (splice->out.description->kind != DESCRIPTION_VSOCK_SEQPACKET) {
        return false;
    }
    size = round_bytes(splice, from);
    to = seen(&splice->out, false);
    return !(to.flags & (BUF_FRESH | BUF_SHUT)) && size <= to.limit && to.limit - to.charged < size;
}

/* One sendmsg of splice_to_socket(). PIPE_AGAIN: look again. */
static int64_t step_to_socket(struct emu_task *self, struct splice *splice, struct wait_set *set,
                              bool last)
{
    struct transfer *out = &splice->out;
    struct buf_state from;
    uint64_t bytes = 0;
    int64_t result;

    if (!begin(self, splice, &from, &result)) {
        return result;
    }
    if (EMU_UNLIKELY(lacks_credit(splice, &from))) {
        take(self, splice, 0);
        return pipe_await_room(self, out, set, last);
    }
    result = send_slots(self, splice, &from, set, &bytes);
    take(self, splice, bytes);
    splice->done += bytes;
    if (result == WAIT_BLOCK || result == -EAGAIN) {
        set->count = 0;
        set->fd_count = 0;
        if (last && result == WAIT_BLOCK) {
            stream_send_sleeps(out);
        }
        return pipe_await_room(self, out, set, last);
    }
    if (result > 0) { /* also what was sent before an error: the next one meets that again */
        out->started = false;
        out->waited = false;
        out->done = 0;
        return PIPE_AGAIN;
    }
    return result;
}

/* What a send on a socket that isn't connected says; this one has nothing that could be sent. */
static int64_t ask_unconnected(const struct transfer *out)
{
    bool records = description_keeps_records(out->description);
    int64_t rc = host_syscall(SYS_sendto, fdtab_number(out->fd, out->index), 0, 0,
                              MSG_DONTWAIT | (records ? MSG_OOB : 0), 0, 0);

    return rc < 0 && !(records && rc == -EOPNOTSUPP) ? rc : PIPE_AGAIN;
}

static int64_t pipe_to_socket_try(struct emu_task *self, void *op, struct wait_set *set, bool last)
{
    struct splice *splice = op;

    for (uint32_t round = 0; round < EMU_TRY_LIMIT; round++) {
        struct buf_state from = seen(&splice->in, true);
        int64_t result;

        if (from.flags & BUF_NATIVE) {
            return EMU_NATIVE;
        }
        if (from.seg_count == 0) {
            if (splice->done > 0) {
                return (int64_t)splice->done;
            }
            result = pipe_await_data(self, &splice->in, from.flags, set, last);
        } else if (description_is_unix_fresh(splice->out.description)) {
            result = ask_unconnected(&splice->out);
        } else {
            result = step_to_socket(self, splice, set, last);
        }
        if (splice->done >= splice->size) {
            return (int64_t)splice->done;
        }
        if (result != PIPE_AGAIN) {
            return result == WAIT_BLOCK || splice->done == 0 ? result : (int64_t)splice->done;
        }
    }
    return -EAGAIN;
}

/* ---- The call ---- */

static void describe(const void *op, const struct wait_set *set, struct task_sleep *ret_sleep)
{
    const struct splice *splice = op;
    uint32_t events = set->count > 0 ? set->items[0].events : 0;
    const struct transfer *transfer = events & POLLOUT ? &splice->out : &splice->in;

    ret_sleep->call = events & POLLOUT ? EMU_CALL_write : EMU_CALL_read;
    ret_sleep->count = 1;
    ret_sleep->size = splice->size;
    ret_sleep->done = splice->done;
    ret_sleep->watched = 1;
    ret_sleep->watch[0].fd = transfer->fd;
    ret_sleep->watch[0].description = transfer->index;
    ret_sleep->watch[0].generation = transfer->generation;
    ret_sleep->watch[0].events = events;
}

/* SO_RCVTIMEO of what is read, SO_SNDTIMEO of what is written; 0: none. */
static int64_t timeout_of(const struct splice_end ends[2])
{
    int64_t in = ends[0].description ? atomic_load(&ends[0].description->receive_timeout_ns) : 0;
    int64_t out = ends[1].description ? atomic_load(&ends[1].description->send_timeout_ns) : 0;

    return in != 0 ? in : out;
}

int64_t splice_wait(struct emu_task *self, wait_try try, void *op, struct wait_set *set,
                    const struct splice_end ends[2], const uint64_t *done,
                    void (*describe_op)(const void *, const struct wait_set *, struct task_sleep *))
{
    int64_t timeout_ns = timeout_of(ends);
    const struct wait_request request = {
        .try = try,
        .op = op,
        .set = set,
        .deadline_ns = timeout_ns > 0 ? host_now_ns() + (uint64_t)timeout_ns : 0,
        .restarts = timeout_ns == 0,
        .done = done,
        .describe = describe_op,
    };
    int64_t result = wait_run(self, &request);

    if (result == -ETIMEDOUT) {
        result = -EAGAIN;
    }
    return result < 0 && *done > 0 ? (int64_t)*done : result;
}

static wait_try try_of(const struct splice_end *in, const struct splice_end *out)
{
    if (!splice_is_pipe(out)) {
        return pipe_to_socket_try;
    }
    return splice_is_pipe(in) ? pipe_to_pipe_try : stream_to_pipe_try;
}

bool splice_pin(struct emu_task *self, const struct splice_end *end)
{
    return !end->description || fdtab_pin_one_more(self, description_index(end->description));
}

struct splice_pins splice_pins_begin(struct emu_task *self)
{
    return (struct splice_pins){ self, self->pins_count };
}

void splice_pins_end(struct splice_pins *pins)
{
    fdtab_unpin_to(pins->self, pins->mark);
}

static bool is_nonblocking(const struct splice_end *end)
{
    return atomic_load_explicit(&end->description->status, memory_order_relaxed) & O_NONBLOCK;
}

static void prepare(struct splice *splice, const struct splice_end *in,
                    const struct splice_end *out, unsigned flags)
{
    bool nonblock = flags & SPLICE_F_NONBLOCK || (splice_is_pipe(in) && is_nonblocking(in)) ||
                    (splice_is_pipe(out) && is_nonblocking(out));

    transfer_init(&splice->in, in->description, in->fd, NULL, 0, splice->size, 0);
    transfer_init(&splice->out, out->description, out->fd, NULL, 0, splice->size, 0);
    if (splice_is_pipe(out)) {
        splice->out.nonblock = nonblock;
    } else {
        splice->out.splices = splice->out.passes = true;
        splice->out.flags |= flags & SPLICE_F_MORE ? MSG_MORE : 0;
    }
    if (splice_is_pipe(in)) {
        splice->in.nonblock = nonblock;
        return;
    }
    if (in->description->kind == DESCRIPTION_STREAM) {
        splice->in.nonblock |= nonblock; /* copy_splice_read() doesn't hand it on */
    }
    splice->in.target = base_min_u64(atomic_load(&in->description->receive_low), splice->size);
    transfer_init(&splice->probe, in->description, in->fd, NULL, 0, 1, MSG_PEEK);
    splice->probe.nonblock = splice->in.nonblock;
}

int64_t splice_run(struct emu_task *self, uint32_t call, const struct splice_end *in,
                   const struct splice_end *out, uint64_t size, unsigned flags)
{
    struct splice splice = { .call = call, .keep = call == EMU_CALL_tee, .done = 0 };
    const struct splice_end ends[2] = { *in, *out };
    struct wait_item item;
    struct pollfd fds[1 + BELL_ROOM];
    struct wait_set set = { .items = &item, .capacity = 1, .fds = fds, .fd_capacity = 1 };
    wait_try try = try_of(in, out);
    int64_t result;

    splice.size = base_min_u64(size, EMU_RW_MAX);
    prepare(&splice, in, out, flags);
    if (description_is_unix_fresh(in->description)) {
        return EMU_NATIVE;
    }
    SPLICE_PINS(pins, self);
    if (!splice_pin(self, in) || !splice_pin(self, out)) {
        return -ENOMEM;
    }
    if (description_keeps_records(in->description)) {
        return splice_record_to_pipe(self, &splice, ends);
    }
    result = try(self, &splice, &set, false);
    if (result == WAIT_BLOCK) {
        result = splice_wait(self, try, &splice, &set, ends, &splice.done, describe);
    }
    if (EMU_UNLIKELY(result == SPLICE_RIGHTS)) {
        return splice_record_to_pipe(self, &splice, ends);
    }
    return result == EMU_NATIVE && splice.done > 0 ? (int64_t)splice.done : result;
}
