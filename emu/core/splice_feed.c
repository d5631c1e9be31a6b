/*
 * splice_feed.c - splice and its kin from what the kernel has, or a record, into an emulated end
 *
 * Into a pipe: the kernel moves its bytes into the placeholder, with all its rules and errors, no
 * more than there is room for here; then they are taken in behind what is unread. Who is killed in
 * between leaves them there for whoever reads next.
 *
 * Into a socket: sendfile reads the file and sends; the file's position moves last. splice from a
 * pipe of the kernel's takes what the socket has room for, and sends that; who is killed between
 * those two loses it.
 */
#include "splice.h"

#include "pipe.h"
#include "splice_own.h"

#include <errno.h>
#include <sys/syscall.h>

#define ROUND_BYTES 65536u /* of a send: 16 pages */

/* ---- Into a pipe ---- */

/* Waits until the pipe has room (wait_for_space); then its lock is held. */
struct room {
    struct transfer out;
    struct socket_buf *buf;
    struct buf_state state;
};

static int64_t room_try(struct emu_task *self, void *op, struct wait_set *set, bool last)
{
    struct room *room = op;

    for (uint32_t round = 0; round < EMU_TRY_LIMIT; round++) {
        int64_t result;

        room->buf = channel_lock(self, &room->out, room->out.description->tx, &room->state);
        if (!room->buf) {
            return EMU_NATIVE;
        }
        if (room->state.flags & BUF_READER_GONE) {
            lock_release(self, &room->buf->lock);
            self->sigpipe = true;
            return -EPIPE;
        }
        if (room->state.seg_count < room->state.limit) {
            return room->state.limit - room->state.seg_count;
        }
        lock_release(self, &room->buf->lock);
        result = pipe_await_room(self, &room->out, set, last);
        if (result != PIPE_AGAIN) {
            return result;
        }
    }
    return -EAGAIN;
}

static void describe_room(const void *op, const struct wait_set *set, struct task_sleep *ret_sleep)
{
    const struct room *room = op;

    (void)set;
    ret_sleep->call = EMU_CALL_write;
    ret_sleep->count = 1;
    ret_sleep->size = room->out.size;
    ret_sleep->watched = 1;
    ret_sleep->watch[0].fd = room->out.fd;
    ret_sleep->watch[0].description = room->out.index;
    ret_sleep->watch[0].generation = room->out.generation;
    ret_sleep->watch[0].events = POLLOUT;
}

/*
 * What stands before room: the offset, and whether there may be one. sendfile of nothing looks at
 * these, too, and leaves the placeholder alone.
 */
static bool offset_is_refused(const struct splice_call *call)
{
    return call->offset &&
           host_syscall(SYS_sendfile, call->out.fd, call->in.fd, (long)call->offset, 0, 0, 0) < 0;
}

/*
 * Returns slots, and the lock is held; or what the call ends with. `call`: where one end is the
 * kernel's, or is refused by it; else NULL.
 */
static int64_t room_wait(struct emu_task *self, struct room *room, const struct splice_end *out,
                         uint64_t size, bool nonblock, const struct splice_call *call)
{
    const struct splice_end ends[2] = { { NULL, -1 }, *out };
    const uint64_t done = 0;
    struct wait_item item;
    struct pollfd fds[1 + BELL_ROOM];
    struct wait_set set = { .items = &item, .capacity = 1, .fds = fds, .fd_capacity = 1 };
    int64_t result;

    transfer_init(&room->out, out->description, out->fd, NULL, 0, size, 0);
    room->out.nonblock |= nonblock;
    result = room_try(self, room, &set, false);
    if (call && call->offset && result == -EPIPE) {
        self->sigpipe = false; /* the kernel's, unless it refuses the offset */
        return EMU_NATIVE;
    }
    if (call && (result == WAIT_BLOCK || result == -EAGAIN) && offset_is_refused(call)) {
        return EMU_NATIVE;
    }
    if (result == WAIT_BLOCK) {
        result = splice_wait(self, room_try, room, &set, ends, &done, describe_room);
    }
    return result;
}

/* Puts bytes that nobody else has into the pipe, also beyond its limit. Requires: its lock. */
static int64_t put_locked(struct emu_task *self, struct room *room, const char *data, uint32_t size)
{
    struct iovec iov = { (void *)(uintptr_t)data, size };
    struct cursor cursor = { &iov, 1, 0 };
    struct wake_list list;
    uint32_t left = size;

    wake_list_init(&list);
    if (buf_reserve_locked(room->buf, &room->state, size, size / EMU_PAGE + 1) < 0) {
        lock_release(self, &room->buf->lock);
        return -ENOMEM;
    }
    while (left > 0) {
        uint32_t part = base_min_u32(left, EMU_PAGE);

        ring_put(buf_ring(&room->state), buf_ring_mask(&room->state),
                 room->state.head + room->state.used, &cursor, part);
        buf_append(&room->state, part, 0);
        left -= part;
    }
    if (size > 0) {
        buf_publish_locked(room->buf, &room->state);
        pipe_tell_readers_locked(room->buf, &list);
    }
    lock_release(self, &room->buf->lock);
    wake_list_flush(self, &list);
    return size;
}

int64_t splice_record_to_pipe(struct emu_task *self, struct splice *splice,
                              const struct splice_end ends[2])
{
    struct transfer *in = &splice->in;
    struct room room;
    int64_t slots = room_wait(self, &room, &ends[1], splice->size, splice->out.nonblock, NULL);
    struct iovec iov;
    int64_t got;

    if (slots <= 0) {
        return slots;
    }
    lock_release(self, &room.buf->lock);
    iov.iov_len = base_min_u64(splice->size, (uint64_t)slots * EMU_PAGE);
    OWN_MEMORY(memory, self, iov.iov_len);
    if (!memory.data) {
        return -ENOMEM;
    }
    iov.iov_base = memory.data;
    in->cursor = (struct cursor){ &iov, 1, 0 };
    in->size = iov.iov_len;
    got = transfer_receive(self, in);
    if (got <= 0) { /* copy_splice_read() means its own pages by EFAULT */
        return got == -EFAULT && description_keeps_records(in->description) ? -EAGAIN : got;
    }
    room.buf = channel_lock(self, &room.out, room.out.description->tx, &room.state);
    return room.buf ? put_locked(self, &room, memory.data, (uint32_t)got) : -EPIPE;
}

/* How far the first slot of a file's page reaches, when its position is in the middle of one. */
static uint32_t page_start(const struct splice_call *call)
{
    off64_t offset = 0;
    int64_t position = 0;

    if (call->call == EMU_CALL_tee) {
        return 0;
    }
    if (!call->offset) {
        position = host_syscall(SYS_lseek, call->in.fd, 0, SEEK_CUR, 0, 0, 0);
    } else if (host_copy(&offset, call->offset, sizeof offset) == 0) {
        position = offset;
    }
    return position > 0 ? (uint32_t)position & (EMU_PAGE - 1) : 0;
}

/* A number that it has now: its own may have been closed while the call slept. */
static int number_of(const struct splice_end *end)
{
    uint32_t index = end->description ? description_index(end->description) : 0;
    int number = end->description ? fdtab_number(end->fd, index) : end->fd;

    return number >= 0 ? number : fdtab_find(-1, index);
}

/* What is emulated the kernel refuses, and never waits for. */
static int64_t feed(struct emu_task *self, const struct splice_call *call, uint64_t size)
{
    int in = number_of(&call->in);
    int out = number_of(&call->out);
    const long splice[6] = { in, (long)call->offset, out, 0, (long)size, (long)call->flags };
    const long tee[6] = { in, out, (long)size, (long)call->flags };
    const long sendfile[6] = { out, in, (long)call->offset, (long)size };
    const long *words = splice;
    long number = SYS_splice;

    if (call->call != EMU_CALL_splice) {
        words = call->call == EMU_CALL_tee ? tee : sendfile;
        number = call->call == EMU_CALL_tee ? SYS_tee : SYS_sendfile;
    }
    return call->in.description
               ? host_syscall(number, words[0], words[1], words[2], words[3], words[4], words[5])
               : wait_in_kernel(self, number, words);
}

/*
 * Takes in what the kernel has brought, through a reading number of ours or one that is opened for
 * it. Without either it is left to the next reader, who looks when it finds nothing else.
 */
static void fed(struct emu_task *self, int writer, struct description *reader, uint32_t first,
                uint64_t size)
{
    int number = fdtab_find(-1, description_index(reader));
    int opened = -1;

    FDTAB_CHANGE(self); /* no child shall inherit it */
    if (number < 0 && size > 0) {
        opened = host_reopen_reader(writer);
    }
    channel_feed_end(self, number >= 0 ? number : opened, reader, first, size);
    if (opened >= 0) {
        host_close(opened);
    }
}

int64_t splice_from_real(struct emu_task *self, const struct splice_call *call)
{
    struct description *reader;
    struct room room;
    uint32_t start;
    int64_t slots;
    int64_t result;

    SPLICE_PINS(pins, self);
    if (!splice_pin(self, &call->in) || !splice_pin(self, &call->out)) {
        return -ENOMEM;
    }
    slots = room_wait(self, &room, &call->out, call->size, call->flags & SPLICE_F_NONBLOCK, call);
    if (slots <= 0) {
        return slots;
    }
    if (call->size == 0) {
        lock_release(self, &room.buf->lock);
        return offset_is_refused(call) ? EMU_NATIVE : 0;
    }
    reader = description_peer(call->out.description);
    if (!reader) { /* about to be gone; the kernel knows */
        lock_release(self, &room.buf->lock);
        return feed(self, call, 1);
    }
    channel_feed_begin(self, room.buf, &room.state);
    start = page_start(call);
    result = feed(self, call, base_min_u64(call->size, (uint64_t)slots * EMU_PAGE - start));
    fed(self, number_of(&call->out), reader, EMU_PAGE - start, result > 0 ? (uint64_t)result : 0);
    return result;
}

/* ---- Into a socket ---- */

/*
 * Sends one piece of the file, of at most 16 pages. Returns bytes, -errno, EMU_NATIVE: there are
 * none; whether that is the end, or the file can't be spliced from, the kernel says.
 */
static int64_t send_piece(struct emu_task *self, const struct splice_call *call, char *memory,
                          off64_t offset, uint64_t left, bool *ret_short)
{
    uint64_t size = base_min_u64(left, ROUND_BYTES - ((uint64_t)offset & (EMU_PAGE - 1)));
    int64_t got = host_syscall(SYS_pread64, call->in.fd, (long)memory, (long)size, offset, 0, 0);
    struct iovec iov = { memory, (size_t)got };
    struct transfer transfer;
    int64_t sent;

    if (got <= 0) {
        return EMU_NATIVE;
    }
    transfer_init(&transfer, call->out.description, call->out.fd, &iov, 1, (uint64_t)got, 0);
    transfer.splices = true;
    sent = transfer_send(self, &transfer);
    if (sent == EMU_NATIVE && self->progress > 0) {
        sent = (int64_t)self->progress;
    }
    *ret_short = sent < got;
    return sent;
}

int64_t splice_file_to_socket(struct emu_task *self, const struct splice_call *call)
{
    int64_t position = host_syscall(SYS_lseek, call->in.fd, 0, SEEK_CUR, 0, 0, 0);
    int64_t access = host_fcntl(call->in.fd, F_GETFL, 0);
    off64_t offset = position;
    uint64_t size = base_min_u64(call->size, EMU_RW_MAX);
    uint64_t done = 0;
    bool is_short = false;
    int64_t rc = 0;

    if (access < 0 || position < 0 || (access & O_ACCMODE) == O_WRONLY || (access & O_PATH) ||
        (call->offset && host_copy(&offset, call->offset, sizeof offset) < 0) || offset < 0) {
        return EMU_NATIVE; /* whatever is wrong, the kernel names it and moves nothing */
    }
    OWN_MEMORY(memory, self, ROUND_BYTES);
    if (!memory.data) {
        return -ENOMEM;
    }
    while (done < size && !is_short) {
        rc = send_piece(self, call, memory.data, offset, size - done, &is_short);
        if (rc <= 0) {
            break;
        }
        done += (uint64_t)rc;
        offset += rc;
    }
    if (done == 0) {
        return rc;
    }
    if (!call->offset) {
        host_syscall(SYS_lseek, call->in.fd, offset, SEEK_SET, 0, 0, 0);
    } else if (host_copy(call->offset, &offset, sizeof offset) < 0) {
        return -EFAULT;
    }
    return (int64_t)done;
}

/* A pipe of the kernel's into an emulated socket. */
struct drain {
    const struct splice_call *call;
    struct transfer out;
    char *memory;
    uint64_t done;
    bool nonblock; /* don't wait for the pipe */
};

/* Bytes that the socket takes now; 0: none, or it fails when it is tried. */
static uint64_t room_of_socket(const struct drain *drain)
{
    struct buf_state to = buf_peek(buf_at(drain->out.description->tx));

    if (to.charged >= to.limit) {
        return 0;
    }
    return description_is_vsock(drain->out.description)
               ? base_min_u64(to.limit - to.charged, ROUND_BYTES)
               : ROUND_BYTES;
}

/* Sends nothing, for the errors that a send would have. */
static int64_t socket_error(struct emu_task *self, const struct drain *drain)
{
    struct buf_state to = buf_peek(buf_at(drain->out.description->tx));

    if (to.flags & BUF_NATIVE) {
        return EMU_NATIVE;
    }
    if (!(to.flags & (BUF_SHUT | BUF_READER_GONE | BUF_FRESH))) {
        return 0;
    }
    self->sigpipe = !(to.flags & BUF_FRESH);
    return to.flags & BUF_FRESH ? -ENOTCONN : -EPIPE;
}

/* All of it: it isn't in the pipe any more. */
static int64_t send_all(struct emu_task *self, struct drain *drain, uint64_t size)
{
    uint64_t sent = 0;

    while (sent < size) {
        struct iovec iov = { drain->memory + sent, size - sent };
        int64_t rc;

        transfer_init(&drain->out, drain->call->out.description, drain->call->out.fd, &iov, 1,
                      size - sent, 0);
        drain->out.splices = true;
        drain->out.nonblock = false;
        rc = transfer_send(self, &drain->out);
        if (rc < 0 && rc != -EINTR) {
            return sent > 0 ? (int64_t)sent : rc;
        }
        sent += rc > 0 ? (uint64_t)rc : 0;
    }
    return (int64_t)sent;
}

/* Takes bytes out of the kernel's pipe without waiting. Returns how many, or what it says. */
static int64_t drain_pipe(struct emu_task *self, const struct drain *drain, uint64_t size)
{
    uint64_t have = 0;
    int64_t got;

    FDTAB_CHANGE(self); /* no child shall inherit what comes next */
    OWN_PIPE(own);
    if (own.fds[0] < 0) {
        return -ENFILE;
    }
    got = host_syscall(SYS_splice, drain->call->in.fd, 0, own.fds[1], 0, (long)size,
                       SPLICE_F_NONBLOCK);
    if (got <= 0) {
        return got;
    }
    while (have < (uint64_t)got) {
        int64_t rc = host_read(own.fds[0], drain->memory + have, (uint64_t)got - have);

        if (rc <= 0) {
            break;
        }
        have += (uint64_t)rc;
    }
    return (int64_t)have;
}

/* Returns bytes, -errno, 0: nothing was there. */
static int64_t drain_once(struct emu_task *self, struct drain *drain, uint64_t room)
{
    int64_t got = drain_pipe(self, drain, base_min_u64(drain->call->size - drain->done, room));

    return got <= 0 ? got : send_all(self, drain, (uint64_t)got);
}

static int64_t drain_try(struct emu_task *self, void *op, struct wait_set *set, bool last)
{
    struct drain *drain = op;
    struct transfer *out = &drain->out;

    for (uint32_t round = 0; round < EMU_TRY_LIMIT; round++) {
        uint64_t room = room_of_socket(drain);
        int64_t result = socket_error(self, drain);

        if (result == 0 && room == 0) {
            transfer_init(out, drain->call->out.description, drain->call->out.fd, NULL, 0, 0, 0);
            result = pipe_await_room(self, out, set, last);
            if (result == PIPE_AGAIN) {
                continue;
            }
        } else if (result == 0) {
            result = drain_once(self, drain, room);
        }
        if (result > 0) {
            drain->done += (uint64_t)result;
            if (drain->done < drain->call->size) {
                continue;
            }
        }
        if (result == -EAGAIN && drain->done == 0 && !drain->nonblock && room > 0) {
            set->real = true;
            wait_set_watch(set, drain->call->in.fd, POLLIN);
            return WAIT_BLOCK;
        }
        return drain->done == 0 || result == WAIT_BLOCK ? result : (int64_t)drain->done;
    }
    return -EAGAIN;
}

static void describe_drain(const void *op, const struct wait_set *set, struct task_sleep *ret_sleep)
{
    const struct drain *drain = op;

    ret_sleep->call = set->real ? EMU_CALL_read : EMU_CALL_write;
    ret_sleep->size = drain->call->size;
    ret_sleep->done = drain->done;
    ret_sleep->count = 1;
    ret_sleep->watched = 1;
    ret_sleep->watch[0].fd = set->real ? drain->call->in.fd : drain->call->out.fd;
    ret_sleep->watch[0].description = set->real ? ARENA_NONE : drain->out.index;
    ret_sleep->watch[0].generation = drain->out.generation;
    ret_sleep->watch[0].events = set->real ? POLLIN : POLLOUT;
}

int64_t splice_pipe_to_socket(struct emu_task *self, const struct splice_call *call)
{
    const struct splice_end ends[2] = { call->in, call->out };
    struct drain drain = { .call = call };
    struct wait_item item;
    struct pollfd fds[2 + BELL_ROOM];
    struct wait_set set = { .items = &item, .capacity = 1, .fds = fds, .fd_capacity = 2 };
    int64_t status = host_fcntl(call->in.fd, F_GETFL, 0);
    int64_t result;

    if (status < 0 || (status & O_ACCMODE) == O_WRONLY || status & O_PATH) {
        return EMU_NATIVE;
    }
    OWN_MEMORY(memory, self, ROUND_BYTES);
    SPLICE_PINS(pins, self);
    if (!memory.data || !splice_pin(self, &call->out)) {
        return -ENOMEM;
    }
    drain.memory = memory.data;
    drain.nonblock = call->flags & SPLICE_F_NONBLOCK || status & O_NONBLOCK;
    transfer_init(&drain.out, call->out.description, call->out.fd, NULL, 0, call->size, 0);
    result = drain_try(self, &drain, &set, false);
    if (result == WAIT_BLOCK) {
        result = splice_wait(self, drain_try, &drain, &set, ends, &drain.done, describe_drain);
    }
    return result == EMU_NATIVE && drain.done > 0 ? (int64_t)drain.done : result;
}
