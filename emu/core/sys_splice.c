/*
 * sys_splice.c - splice, tee, vmsplice, sendfile: arguments, kinds and directions of the two ends
 *
 * Linux: fs/splice.c:__do_splice, do_splice, do_tee, SYSCALL vmsplice; fs/read_write.c:do_sendfile.
 * A call that Linux refuses whatever is unread is the placeholders' to refuse: they are a real pipe
 * and real sockets, so the order of errors is the kernel's.
 */
#include "device.h"
#include "guest_iov.h"
#include "pipe.h"
#include "splice.h"

#include <errno.h>

#define NATIVE_ROUNDS 8 /* an end may go native while it is looked at, each once */

static struct splice_end end_of(int fd)
{
    return (struct splice_end){ fdtab_get_call(fd), fd };
}

static bool reads(const struct splice_end *end)
{
    return end->description->kind != DESCRIPTION_PIPE_WRITER;
}

static bool writes(const struct splice_end *end)
{
    return end->description->kind != DESCRIPTION_PIPE_READER;
}

static bool is_real_pipe(const struct splice_end *end)
{
    struct host_identity identity = { 0 };

    return !end->description && host_identify(end->fd, &identity) == 0 &&
           identity.kind == HOST_PIPE;
}

/* An epoll instance, the device: no end of a channel, and no number of the kernel's either. */
static bool is_other(const struct splice_end *end)
{
    return end->description && !description_is_socket(end->description) && !splice_is_pipe(end);
}

static bool same_pipe(const struct splice_end *in, const struct splice_end *out)
{
    return splice_is_pipe(in) && splice_is_pipe(out) && in->description->rx == out->description->tx;
}

/* A record of the kernel's pipe: nobody looks at it before it is taken. */
static bool keeps_records(const struct splice_end *end)
{
    return end->description && description_keeps_records(end->description);
}

static int64_t out_of_emulated(struct emu_task *self, const struct splice_call *call)
{
    if (!splice_is_pipe(&call->in) && !is_real_pipe(&call->out)) {
        return EMU_NATIVE;
    }
    if (keeps_records(&call->in)) {
        return emu_native_one(self, call->in.fd) < 0 ? -EBUSY : EMU_NATIVE;
    }
    return splice_to_real(self, call);
}

static int64_t into_emulated(struct emu_task *self, const struct splice_call *call)
{
    if (splice_is_pipe(&call->out)) {
        return splice_from_real(self, call);
    }
    if (call->call == EMU_CALL_sendfile) {
        return splice_file_to_socket(self, call);
    }
    return is_real_pipe(&call->in) ? splice_pipe_to_socket(self, call) : EMU_NATIVE;
}

/* splice and tee, and sendfile, which is one of three. One end at least is emulated. */
static int64_t move(struct emu_task *self, const struct splice_call *call)
{
    const struct splice_end *in = &call->in;
    const struct splice_end *out = &call->out;
    bool some_pipe = splice_is_pipe(in) || splice_is_pipe(out);

    if (emu_fd_is_device(in->fd) || emu_fd_is_device(out->fd)) {
        return -EINVAL; /* /dev/vsock has no splice_read and no splice_write */
    }
    if (is_other(in) || is_other(out) || (in->description && !reads(in)) ||
        (out->description && !writes(out)) || same_pipe(in, out)) {
        return EMU_NATIVE;
    }
    if (out->description && description_is_socket(out->description) &&
        host_fcntl(out->fd, F_GETFL, 0) & O_APPEND) {
        return EMU_NATIVE; /* EINVAL: do_splice(), do_sendfile() */
    }
    if (!(in->description && out->description) &&
        host_fcntl(in->description ? out->fd : in->fd, F_GETFL, 0) < 0) {
        return EMU_NATIVE; /* EBADF, before anything else */
    }
    if (in->description && out->description) {
        return some_pipe && !call->offset
                   ? splice_run(self, call->call, in, out, call->size, call->flags)
                   : EMU_NATIVE;
    }
    return in->description ? out_of_emulated(self, call) : into_emulated(self, call);
}

/* Looks again when an end has gone native under the call. */
static int64_t move_any(struct emu_task *self, struct splice_call *call)
{
    int64_t result = EMU_NATIVE;

    for (int round = 0; round < NATIVE_ROUNDS && result == EMU_NATIVE; round++) {
        struct splice_end in = end_of(call->in.fd);
        struct splice_end out = end_of(call->out.fd);

        if ((!in.description && !out.description) ||
            (round > 0 && in.description == call->in.description &&
             out.description == call->out.description)) {
            return EMU_NATIVE;
        }
        call->in = in;
        call->out = out;
        result = move(self, call);
    }
    self->progress = 0;
    return result;
}

int64_t emu_splice(struct emu_task *self, int in, off64_t *in_offset, int out, off64_t *out_offset,
                   size_t size, unsigned int flags)
{
    struct splice_call call = {
        .call = EMU_CALL_splice,
        .in = { NULL, in },
        .out = { NULL, out },
        .size = base_min_u64(size, EMU_RW_MAX),
        .flags = flags,
    };
    bool in_is_ours = fdtab_get_call(in) != NULL;
    bool out_is_ours = fdtab_get_call(out) != NULL;

    if (size == 0 || flags & ~SPLICE_FLAGS || (in_is_ours && in_offset) ||
        (out_is_ours && out_offset)) {
        return EMU_NATIVE;
    }
    call.offset = in_is_ours ? out_offset : in_offset;
    return move_any(self, &call);
}

int64_t emu_tee(struct emu_task *self, int in, int out, size_t size, unsigned int flags)
{
    struct splice_call call = {
        .call = EMU_CALL_tee,
        .in = end_of(in),
        .out = end_of(out),
        .size = base_min_u64(size, EMU_RW_MAX),
        .flags = flags,
    };

    if (size == 0 || flags & ~SPLICE_FLAGS) {
        return EMU_NATIVE;
    }
    if (!(splice_is_pipe(&call.in) || is_real_pipe(&call.in)) ||
        !(splice_is_pipe(&call.out) || is_real_pipe(&call.out))) {
        return emu_fd_is_device(in) || emu_fd_is_device(out) ? -EINVAL : EMU_NATIVE;
    }
    call.in.description = call.out.description = NULL;
    return move_any(self, &call);
}

/* sendfile can't read from a pipe; what it says of that depends on the other end. */
static int64_t from_pipe(struct emu_task *self, struct splice_call *call)
{
    call->in = end_of(call->in.fd);
    call->out = end_of(call->out.fd);
    if (splice_is_pipe(&call->out) && writes(&call->out) &&
        (!call->in.description || reads(&call->in))) {
        return splice_pipe_refused(self, call);
    }
    return EMU_NATIVE;
}

int64_t emu_sendfile(struct emu_task *self, int out, int in, off64_t *offset, size_t size)
{
    struct splice_end source = end_of(in);
    struct splice_call call = {
        .call = EMU_CALL_sendfile,
        .in = { NULL, in },
        .out = { NULL, out },
        .offset = offset,
        .size = base_min_u64(size, EMU_RW_MAX),
    };

    if (emu_fd_is_device(in) || emu_fd_is_device(out)) {
        return -EINVAL;
    }
    if ((source.description && offset) || size == 0) {
        return EMU_NATIVE; /* ESPIPE */
    }
    if (source.description && host_fcntl(in, F_GETFL, 0) & O_NONBLOCK) {
        call.flags |= SPLICE_F_NONBLOCK;
    }
    if (splice_is_pipe(&source)) {
        return from_pipe(self, &call);
    }
    return move_any(self, &call);
}

int64_t emu_vmsplice(struct emu_task *self, int fd, const struct iovec *iov, size_t count,
                     unsigned int flags)
{
    struct splice_end end = end_of(fd);
    struct guest_iov vector;
    struct transfer transfer;
    bool out_of_pipe;
    int64_t size;

    if (emu_fd_is_device(fd)) {
        return -EBADF;
    }
    if (!splice_is_pipe(&end) || flags & ~SPLICE_FLAGS || count > EMU_IOV_MAX) {
        return EMU_NATIVE;
    }
    size = guest_iov_import(&vector, iov, count);
    if (size <= 0) {
        return size;
    }
    out_of_pipe = end.description->kind == DESCRIPTION_PIPE_READER;
    transfer_init(&transfer, end.description, fd, vector.array, (int)count, (uint64_t)size, 0);
    transfer.nonblock = flags & SPLICE_F_NONBLOCK; /* O_NONBLOCK doesn't count */
    size = channel_run(self, &transfer, out_of_pipe ? pipe_unmap_try : pipe_map_try, 0);
    return size == EMU_NATIVE && transfer.done > 0 ? (int64_t)transfer.done : size;
}
