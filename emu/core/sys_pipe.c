/*
 * sys_pipe.c - pipe and pipe2: flags, numbers, and what a new pipe is made of
 *
 * Linux: fs/pipe.c:do_pipe2, create_pipe_files. The placeholder is a real pipe, made by the same
 * call, so all of the call's own errors are the kernel's.
 */
#include "capacity.h"
#include "pipe.h"

#include <errno.h>

/* Two descriptions over one buf. Returns 0, or -ENFILE and nothing is left. */
static int make_ends(struct emu_task *self, const int fds[2], uint32_t slots, uint32_t piece,
                     uint32_t status)
{
    uint32_t buf = buf_create(self->process->slot, slots * EMU_PAGE, slots,
                              DESCRIPTION_PIPE_READER);
    const struct description_plan plans[2] = {
        { DESCRIPTION_PIPE_READER, buf, ARENA_NONE, status & O_NONBLOCK }, /* O_DIRECT is the */
        { DESCRIPTION_PIPE_WRITER, ARENA_NONE, buf, status },              /* writer's alone */
    };
    uint32_t ends[2];

    if (buf == ARENA_NONE || description_create_pair(self, plans, ends) < 0) {
        return -ENFILE;
    }
    if (EMU_UNLIKELY(piece != 0)) {
        pipe_make_tiny(self, buf, piece);
    }
    for (int i = 0; i < 2; i++) {
        atomic_store_explicit(&description_at(ends[i])->sample_fd, fds[i], memory_order_relaxed);
        fdtab_set(self, fds[i], ends[i]);
    }
    return 0;
}

int64_t emu_pipe2(struct emu_task *self, int *ret_fds, int flags)
{
    uint32_t capacity;
    int fds[2];
    int64_t size;
    int rc;

    if (flags & O_EXCL) {
        return EMU_NATIVE; /* O_NOTIFICATION_PIPE */
    }
    FDTAB_CHANGE(self);
    rc = host_pipe2(fds, flags);
    if (rc < 0) {
        return rc;
    }
    emu_fd_invalidate(self, fds[0]);
    emu_fd_invalidate(self, fds[1]);
    capacity = capacity_of_pipe(self);
    if (EMU_UNLIKELY(capacity != 0)) { /* where the limits allow it */
        host_fcntl(fds[0], F_SETPIPE_SZ, capacity);
    }
    size = host_fcntl(fds[0], F_GETPIPE_SZ, 0); /* fewer slots beyond the user's soft limit */
    rc = host_copy(ret_fds, fds, sizeof fds);
    if (rc == 0 && (unsigned)fds[0] < EMU_MAX_FDS && (unsigned)fds[1] < EMU_MAX_FDS) {
        rc = make_ends(self, fds, size > 0 ? (uint32_t)size / EMU_PAGE : EMU_PIPE_SLOTS,
                       capacity < EMU_PAGE ? capacity : 0,
                       (uint32_t)flags & (O_NONBLOCK | O_DIRECT));
    }
    if (rc < 0) {
        host_close(fds[0]);
        host_close(fds[1]);
    }
    return rc;
}

int64_t emu_pipe(struct emu_task *self, int *ret_fds)
{
    return emu_pipe2(self, ret_fds, 0);
}
