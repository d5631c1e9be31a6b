/*
 * sys_pipe.c - pipe and pipe2: flags, numbers, and what a new pipe is made of
 *
 * Linux: fs/pipe.c:do_pipe2, create_pipe_files. The placeholder is a real pipe, made by the same
 * call, so all of the call's own errors are the kernel's.
 */
#include "pipe.h"

#include <errno.h>

/* Two descriptions over one buf. Returns 0, or -ENFILE and nothing is left. */
static int make_ends(struct emu_task *self, const int fds[2], uint32_t slots, uint32_t status)
{
    uint32_t slot = self->process->slot;
    uint32_t buf = buf_create(slots * EMU_PAGE, slots, DESCRIPTION_PIPE_READER);
    uint32_t reader;
    uint32_t writer;

    if (buf == ARENA_NONE) {
        return -ENFILE;
    }
    buf_ref(buf_at(buf));
    reader = description_create(DESCRIPTION_PIPE_READER, buf, ARENA_NONE, slot,
                                status & O_NONBLOCK); /* O_DIRECT is the writer's alone */
    writer = description_create(DESCRIPTION_PIPE_WRITER, ARENA_NONE, buf, slot, status);
    if (reader == ARENA_NONE || writer == ARENA_NONE) {
        if (reader != ARENA_NONE) {
            description_drop(self, reader, slot);
        } else {
            buf_unref(self, buf);
        }
        if (writer != ARENA_NONE) {
            description_drop(self, writer, slot);
        } else {
            buf_unref(self, buf);
        }
        return -ENFILE;
    }
    description_pair(reader, writer);
    atomic_store_explicit(&description_at(reader)->sample_fd, fds[0], memory_order_relaxed);
    atomic_store_explicit(&description_at(writer)->sample_fd, fds[1], memory_order_relaxed);
    fdtab_set(self, fds[0], reader);
    fdtab_set(self, fds[1], writer);
    return 0;
}

int64_t emu_pipe2(struct emu_task *self, int *ret_fds, int flags)
{
    int fds[2];
    int64_t size;
    int rc;

    if (flags & O_EXCL) {
        return EMU_NATIVE; /* O_NOTIFICATION_PIPE */
    }
    rc = host_pipe2(fds, flags);
    if (rc < 0) {
        return rc;
    }
    emu_fd_invalidate(self, fds[0]);
    emu_fd_invalidate(self, fds[1]);
    size = host_fcntl(fds[0], F_GETPIPE_SZ, 0); /* fewer slots beyond the user's soft limit */
    rc = host_copy(ret_fds, fds, sizeof fds);
    if (rc == 0 && (unsigned)fds[0] < EMU_MAX_FDS && (unsigned)fds[1] < EMU_MAX_FDS) {
        rc = make_ends(self, fds, size > 0 ? (uint32_t)size / EMU_PAGE : EMU_PIPE_SLOTS,
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
