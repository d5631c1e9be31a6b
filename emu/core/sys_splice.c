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
#include <sys/syscall.h>

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

static bool is_any_pipe(const struct splice_end *end)
{
    return splice_is_pipe(end) || is_real_pipe(end);
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

/* Into a pipe, and the kernel refuses what is read, or does nothing: when there is room. */
static bool is_refused_with_room(const struct splice_call *call)
{
    const struct splice_end *in = &call->in;
    bool sends = call->call == EMU_CALL_sendfile;

    if (!in->description || !reads(in) || !splice_is_pipe(&call->out) || !writes(&call->out) ||
        call->call == EMU_CALL_tee) {
        return false;
    }
    return is_other(in) || description_is_unix_fresh(in->description) ||
           (sends && (splice_is_pipe(in) || call->size == 0));
}

/* A number of the kernel's that isn't open, or not for this: EBADF, before anything else. */
static bool is_bad_number(int fd, int wrong_access)
{
    int64_t status = host_fcntl(fd, F_GETFL, 0);

    return status < 0 || (status & O_ACCMODE) == wrong_access || status & O_PATH;
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
    if (is_refused_with_room(call)) {
        return splice_from_real(self, call);
    }
    if (is_other(in) || is_other(out) || (in->description && !reads(in)) ||
        (out->description && !writes(out)) || same_pipe(in, out)) {
        return EMU_NATIVE;
    }
    if (out->description && description_is_socket(out->description) &&
        host_fcntl(out->fd, F_GETFL, 0) & O_APPEND) {
        return EMU_NATIVE; /* EINVAL: do_splice(), do_sendfile() */
    }
    if ((!in->description && is_bad_number(in->fd, O_WRONLY)) ||
        (!out->description && is_bad_number(out->fd, O_RDONLY))) {
        return EMU_NATIVE;
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

static bool is_first_splice(const struct splice_end *end)
{
    return splice_is_pipe(end) &&
           !atomic_load_explicit(&end->description->spliced, memory_order_relaxed);
}

/*
 * From its first splice on a pipe's end refuses RWF_NOWAIT, whatever came of it. The placeholder
 * learns it by a splice to itself, which is EBADF in any case. Linux: pipe_clear_nowait().
 */
static void refuse_nowait(const struct splice_end *end)
{
    if (is_first_splice(end)) {
        atomic_store_explicit(&end->description->spliced, 1, memory_order_relaxed);
        host_syscall(SYS_splice, end->fd, 0, end->fd, 0, 1, 0);
    }
}

/* Both ends: of two open numbers, in order, until an offset is refused (__do_splice). */
static void refuse_nowait_of_both(const struct splice_end *in, bool in_offset,
                                  const struct splice_end *out, bool out_offset)
{
    if ((!in->description && is_bad_number(in->fd, -1)) ||
        (!out->description && is_bad_number(out->fd, -1)) || (splice_is_pipe(in) && in_offset)) {
        return;
    }
    refuse_nowait(in);
    if (!out_offset) {
        refuse_nowait(out);
    }
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
    const struct splice_end source = end_of(in);
    const struct splice_end target = end_of(out);
    bool in_is_ours = source.description && !is_other(&source);
    bool out_is_ours = target.description != NULL;

    if (size == 0 || flags & ~SPLICE_FLAGS) {
        return EMU_NATIVE;
    }
    if (EMU_UNLIKELY(is_first_splice(&source) || is_first_splice(&target))) {
        refuse_nowait_of_both(&source, in_offset, &target, out_offset);
    }
    if ((in_is_ours && in_offset) || (out_is_ours && out_offset) ||
        (EMU_UNLIKELY((int64_t)size < 0) && !(is_any_pipe(&source) && is_any_pipe(&target)))) {
        return EMU_NATIVE; /* the last: rw_verify_area() of what is no pipe */
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
    if (!is_any_pipe(&call.in) || !is_any_pipe(&call.out)) {
        return emu_fd_is_device(in) || emu_fd_is_device(out) ? -EINVAL : EMU_NATIVE;
    }
    call.in.description = call.out.description = NULL;
    return move_any(self, &call);
}

int64_t emu_sendfile(struct emu_task *self, int out, int in, off64_t *offset, size_t size)
{
    const struct splice_end source = end_of(in);
    const struct splice_end target = end_of(out);
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
    if ((source.description && !is_other(&source) && offset) || (int64_t)size < 0) {
        return EMU_NATIVE; /* ESPIPE, EINVAL */
    }
    if (!splice_is_pipe(&target) && (size == 0 || splice_is_pipe(&source))) {
        return EMU_NATIVE; /* a pipe can't be read so */
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
    refuse_nowait(&end);
    out_of_pipe = end.description->kind == DESCRIPTION_PIPE_READER;
    transfer_init(&transfer, end.description, fd, vector.array, (int)count, (uint64_t)size, 0);
    transfer.nonblock = flags & SPLICE_F_NONBLOCK; /* O_NONBLOCK doesn't count */
    size = channel_run(self, &transfer, out_of_pipe ? pipe_unmap_try : pipe_map_try, 0);
    return size == EMU_NATIVE && transfer.done > 0 ? (int64_t)transfer.done : size;
}
