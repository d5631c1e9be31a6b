/*
 * man2_rw.c - read(2), write(2) and their kin
 *
 * The hottest code of the shim: a look at the table, then either the raw call or the emulator. A
 * write that was blocked when its channel went native goes on in the kernel with what is left.
 * Left out: pread, pwrite, preadv, pwritev; the placeholder answers ESPIPE like any pipe or socket.
 */
#include "wrap.h"

/* The rest of a transfer in the kernel. `done` bytes were moved before the switch. */
static ssize_t rest(struct emu_task *self, long number, int fd, const void *data, size_t size)
{
    size_t done = self->progress;
    long result;

    route_exit(self);
    if (done > size) {
        done = size;
    }
    result = done > 0 && done == size ? 0
                                      : RAW3(number, fd, (const char *)data + done, size - done);
    return route_result(emu_native_result(self, result));
}

ssize_t wrap_read(int fd, void *data, size_t size)
{
    if (emu_fd_is_emulated(fd)) {
        struct emu_task *self;

        route_cancel_point();
        self = route_enter();
        if (EMU_LIKELY(self != NULL)) {
            int64_t result = EMULATE(read, fd, data, size);

            if (EMU_LIKELY(result != EMU_NATIVE)) {
                return route_leave(self, result);
            }
            route_exit(self);
        }
    }
    return NATIVE3(SYS_read, fd, data, size);
}

ssize_t wrap_write(int fd, const void *data, size_t size)
{
    ROUTE_TRANSFER(fd, route_enter(), EMULATE(write, fd, data, size),
                   rest(self, SYS_write, fd, data, size), NATIVE3(SYS_write, fd, data, size));
}

ssize_t wrap_read_nocancel(int fd, void *data, size_t size)
{
    bool before = shim_thread.no_cancel;
    ssize_t result;

    shim_thread.no_cancel = true;
    result = wrap_read(fd, data, size);
    shim_thread.no_cancel = before;
    return result;
}

ssize_t wrap_write_nocancel(int fd, const void *data, size_t size)
{
    bool before = shim_thread.no_cancel;
    ssize_t result;

    shim_thread.no_cancel = true;
    result = wrap_write(fd, data, size);
    shim_thread.no_cancel = before;
    return result;
}

ssize_t wrap_read_chk(int fd, void *data, size_t size, size_t room)
{
    if (size > room) {
        __chk_fail();
    }
    return wrap_read(fd, data, size);
}

ssize_t wrap_readv(int fd, const struct iovec *iov, int count)
{
    if (emu_fd_is_emulated(fd)) {
        route_cancel_point();
    }
    ROUTE(emu_fd_is_emulated(fd), EMULATE(readv, fd, iov, count),
          NATIVE3(SYS_readv, fd, iov, count));
}

/* The same for a vector: the element that the switch cut in two, then the others. */
static ssize_t rest_of_vector(struct emu_task *self, int fd, const struct iovec *iov, int count)
{
    size_t done = self->progress;
    long result = 0;

    route_exit(self);
    while (count > 0 && done >= iov->iov_len) {
        done -= iov->iov_len;
        iov++;
        count--;
    }
    if (count > 0 && done > 0) {
        size_t left = iov->iov_len - done;

        result = RAW3(SYS_write, fd, (const char *)iov->iov_base + done, left);
        iov++;
        count = result == (long)left ? count - 1 : 0;
    }
    if (count > 0) {
        long more = RAW3(SYS_writev, fd, iov, count);

        result = more < 0 && result > 0 ? result : result + more;
    }
    return route_result(emu_native_result(self, result));
}

ssize_t wrap_writev(int fd, const struct iovec *iov, int count)
{
    ROUTE_TRANSFER(fd, route_enter(), EMULATE(writev, fd, iov, count),
                   rest_of_vector(self, fd, iov, count), NATIVE3(SYS_writev, fd, iov, count));
}

/* The kernel takes the offset in two halves; on x86-64 the upper one is ignored. */
ssize_t wrap_preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    if (emu_fd_is_emulated(fd)) {
        route_cancel_point();
    }
    ROUTE(emu_fd_is_emulated(fd), EMULATE(preadv2, fd, iov, count, offset, flags),
          NATIVE6(SYS_preadv2, fd, iov, count, offset, 0, flags));
}

ssize_t wrap_pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    if (emu_fd_is_emulated(fd)) {
        route_cancel_point();
    }
    ROUTE(emu_fd_is_emulated(fd), EMULATE(pwritev2, fd, iov, count, offset, flags),
          NATIVE6(SYS_pwritev2, fd, iov, count, offset, 0, flags));
}

#define SYMBOLS_RW
#include "export.h"
