/*
 * splice_give.c - splice and its kin out of an emulated end to what the kernel has
 *
 * The kernel is asked with the placeholder, which is empty, what it thinks of the call; then bytes
 * are written out of the ring under its lock, without waiting, and leave it. Who is killed between
 * those two has written bytes that are unread still.
 */
#include "splice.h"

#include "pipe.h"
#include "splice_own.h"

#include <errno.h>
#include <sys/syscall.h>

#define ROUND_BYTES 65536u /* what a pipe of our own holds */

struct give {
    const struct splice_call *call;
    struct transfer in;
    struct transfer probe;
    off64_t offset;
    uint64_t done;
    uint32_t kind; /* HOST_* of the kernel's end */
    bool spliced; /* bytes go through a pipe of our own: it is one, or knows what an offset means */
    bool nonblock; /* don't wait for it */
};

/* Writes what lies in iov without waiting. Returns bytes or -errno. */
static int64_t give_bytes(struct give *give, const struct own_pipe *own, struct iovec iov[2],
                          uint64_t size)
{
    const struct splice_call *call = give->call;
    struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };
    int64_t rc;

    if (give->spliced) {
        rc = host_syscall(SYS_writev, own->fds[1], (long)iov, 2, 0, 0, 0);
        return rc <= 0 ? rc
                       : host_syscall(SYS_splice, own->fds[0], 0, call->out.fd,
                                      call->offset ? (long)&give->offset : 0, (long)size,
                                      SPLICE_F_NONBLOCK);
    }
    if (give->kind == HOST_SOCKET) {
        return host_syscall(SYS_sendmsg, call->out.fd, (long)&message,
                            MSG_DONTWAIT | (call->flags & SPLICE_F_MORE ? MSG_MORE : 0), 0, 0, 0);
    }
    return host_syscall(SYS_writev, call->out.fd, (long)iov, 2, 0, 0, 0);
}

/*
 * One write; to a pipe through `own`. Returns its bytes, -errno, EMU_NATIVE, PIPE_AGAIN: nothing is
 * there by now.
 */
static int64_t give_once(struct emu_task *self, struct give *give, const struct own_pipe *own)
{
    struct transfer *in = &give->in;
    struct buf_state state;
    struct socket_buf *buf = channel_lock(self, in, in->description->rx, &state);
    struct wake_list list;
    struct iovec iov[2];
    uint32_t position;
    uint64_t size;
    uint64_t first;
    int64_t rc;

    if (!buf) {
        return EMU_NATIVE;
    }
    size = base_min_u64(base_min_u64(give->call->size - give->done, state.used), ROUND_BYTES);
    if (size == 0) {
        lock_release(self, &buf->lock);
        return PIPE_AGAIN;
    }
    position = state.head & buf_ring_mask(&state);
    first = base_min_u64(size, (uint64_t)buf_ring_mask(&state) + 1 - position);
    iov[0] = (struct iovec){ buf_ring(&state) + position, first };
    iov[1] = (struct iovec){ buf_ring(&state), size - first };
    rc = give_bytes(give, own, iov, size);
    wake_list_init(&list);
    if (rc > 0 && give->call->call != EMU_CALL_tee) {
        splice_taken_locked(in->description, buf, &state, (uint64_t)rc, &list);
    }
    lock_release(self, &buf->lock);
    wake_list_flush(self, &list);
    return rc;
}

static int64_t give_spliced(struct emu_task *self, struct give *give)
{
    FDTAB_CHANGE(self); /* no child shall inherit what comes next */
    OWN_PIPE(own);
    return own.fds[0] < 0 ? -ENFILE : give_once(self, give, &own);
}

/*
 * Whether the kernel's end takes bytes; a socket is asked when a send has met no room: a listener
 * never has any, and refuses a send at once. False: *ret_result says what becomes of the call.
 */
static bool takes_bytes(struct give *give, struct wait_set *set, int64_t *ret_result)
{
    short bits = host_poll_one(give->call->out.fd, POLLOUT);

    if (bits != 0) {
        return true;
    }
    if (give->nonblock) {
        *ret_result = -EAGAIN;
        return false;
    }
    set->real = true;
    wait_set_watch(set, give->call->out.fd, POLLOUT);
    *ret_result = WAIT_BLOCK;
    return false;
}

/* Something to read: > 0; else what the call ends with, WAIT_BLOCK or PIPE_AGAIN. */
static int64_t has_bytes(struct emu_task *self, struct give *give, struct wait_set *set, bool last)
{
    struct transfer *in = &give->in;
    struct buf_state state;

    if (splice_is_pipe(&give->call->in)) {
        state = buf_peek(buf_at(in->description->rx));
        if (state.flags & BUF_NATIVE) {
            return EMU_NATIVE;
        }
        return state.seg_count > 0 ? 1 : pipe_await_data(self, in, state.flags, set, last);
    }
    return splice_look(self, &give->probe, set, last);
}

static int64_t give_try(struct emu_task *self, void *op, struct wait_set *set, bool last)
{
    struct give *give = op;

    for (uint32_t round = 0; round < EMU_TRY_LIMIT; round++) {
        int64_t result;

        if (give->done >= give->call->size ||
            (give->done > 0 && (give->call->call == EMU_CALL_tee ||
                                buf_peek(buf_at(give->in.description->rx)).used == 0))) {
            return (int64_t)give->done;
        }
        result = has_bytes(self, give, set, last);
        if (result > 0 && (give->kind == HOST_SOCKET || takes_bytes(give, set, &result))) {
            result = give->spliced ? give_spliced(self, give) : give_once(self, give, NULL);
            if (result == -EAGAIN && !give->nonblock && give->kind != HOST_OTHER &&
                takes_bytes(give, set, &result)) {
                continue; /* somebody was quicker */
            }
        }
        if (result > 0) {
            give->done += (uint64_t)result;
            continue;
        }
        if (result != PIPE_AGAIN) {
            return result == WAIT_BLOCK || give->done == 0 ? result : (int64_t)give->done;
        }
    }
    return -EAGAIN;
}

static void describe_give(const void *op, const struct wait_set *set, struct task_sleep *ret_sleep)
{
    const struct give *give = op;

    ret_sleep->call = set->real ? EMU_CALL_write : EMU_CALL_read;
    ret_sleep->size = give->call->size;
    ret_sleep->done = give->done;
    ret_sleep->count = 1;
    ret_sleep->watched = 1;
    ret_sleep->watch[0].fd = set->real ? give->call->out.fd : give->in.fd;
    ret_sleep->watch[0].description = set->real ? ARENA_NONE : give->in.index;
    ret_sleep->watch[0].generation = give->in.generation;
    ret_sleep->watch[0].events = set->real ? POLLOUT : POLLIN;
}

/*
 * The kernel's opinion: the call with an empty source that doesn't wait. 0: it would have moved
 * bytes; else an error, or what lay in the placeholder and was moved.
 */
static int64_t ask_kernel(const struct splice_call *call)
{
    long flags = (long)call->flags | SPLICE_F_NONBLOCK;
    int64_t rc;

    if (!splice_is_pipe(&call->in) && call->in.description->kind != DESCRIPTION_STREAM) {
        return 0; /* its placeholder would wait, or is of another family */
    }
    rc = call->call == EMU_CALL_tee
             ? host_syscall(SYS_tee, call->in.fd, call->out.fd, (long)call->size, flags, 0, 0)
             : host_syscall(SYS_splice, call->in.fd, 0, call->out.fd, (long)call->offset,
                            (long)call->size, flags);
    return rc == -EAGAIN ? 0 : rc;
}

static int64_t give_prepare(struct give *give, const struct splice_call *call)
{
    int64_t status = host_fcntl(call->out.fd, F_GETFL, 0);
    bool nonblock = call->flags & SPLICE_F_NONBLOCK;
    int64_t rc = ask_kernel(call);

    if (rc != 0) {
        return rc;
    }
    if (call->offset && host_copy(&give->offset, call->offset, sizeof give->offset) < 0) {
        return -EFAULT;
    }
    if (give->kind == HOST_PIPE) {
        nonblock |= (status & O_NONBLOCK) != 0;
    }
    transfer_init(&give->in, call->in.description, call->in.fd, NULL, 0, call->size, 0);
    give->in.nonblock |= nonblock;
    transfer_init(&give->probe, call->in.description, call->in.fd, NULL, 0, 1, MSG_PEEK);
    give->probe.nonblock = give->in.nonblock;
    give->nonblock = give->kind == HOST_PIPE ? give->in.nonblock : (status & O_NONBLOCK) != 0;
    return 0;
}

int64_t splice_to_real(struct emu_task *self, const struct splice_call *call)
{
    struct host_identity identity = { 0 };
    struct give give = { .call = call };
    const struct splice_end ends[2] = { call->in, call->out };
    struct wait_item item;
    struct pollfd fds[2 + BELL_ROOM];
    struct wait_set set = { .items = &item, .capacity = 1, .fds = fds, .fd_capacity = 2 };
    int64_t result;

    host_identify(call->out.fd, &identity);
    SPLICE_PINS(pins, self);
    give.kind = identity.kind;
    give.spliced = identity.kind == HOST_PIPE || call->offset;
    result = give_prepare(&give, call);
    if (result != 0) {
        return result;
    }
    if (!splice_pin(self, &call->in)) {
        return -ENOMEM;
    }
    result = give_try(self, &give, &set, false);
    if (result == WAIT_BLOCK) {
        result = splice_wait(self, give_try, &give, &set, ends, &give.done, describe_give);
    }
    if (result == EMU_NATIVE && give.done > 0) {
        result = (int64_t)give.done;
    }
    if (result > 0 && call->offset &&
        host_copy(call->offset, &give.offset, sizeof give.offset) < 0) {
        return -EFAULT;
    }
    return result;
}
