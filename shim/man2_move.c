/*
 * man2_move.c - splice(2) and its kin: calls whose channels the kernel must serve
 *
 * An emulated descriptor that comes up here goes native first. A channel that can't (its other end
 * is out of reach) makes the call fail with the core's EBUSY rather than hang on an empty
 * placeholder.
 */
#include "wrap.h"

/* Runs the emulator's side of a call that only switches. False: the call fails, errno is set. */
#define SWITCHED(emulated, condition)                               \
    ({                                                              \
        struct emu_task *self = (condition) ? route_enter() : NULL; \
        int64_t result_ = self ? (emulated) : EMU_NATIVE;           \
        if (self) {                                                 \
            route_exit(self);                                       \
        }                                                           \
        if (result_ < 0 && result_ != EMU_NATIVE) {                 \
            route_error(result_);                                   \
        }                                                           \
        result_ == EMU_NATIVE || result_ == 0;                      \
    })

ssize_t wrap_splice(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t size,
                    unsigned int flags)
{
    if (!SWITCHED(emu_splice(self, in, out), emu_fd_is_emulated(in) || emu_fd_is_emulated(out))) {
        return -1;
    }
    return NATIVE6(SYS_splice, in, in_offset, out, out_offset, size, flags);
}

ssize_t wrap_tee(int in, int out, size_t size, unsigned int flags)
{
    if (!SWITCHED(emu_tee(self, in, out), emu_fd_is_emulated(in) || emu_fd_is_emulated(out))) {
        return -1;
    }
    return NATIVE4(SYS_tee, in, out, size, flags);
}

ssize_t wrap_vmsplice(int fd, const struct iovec *iov, size_t count, unsigned int flags)
{
    if (!SWITCHED(emu_vmsplice(self, fd), emu_fd_is_emulated(fd))) {
        return -1;
    }
    return NATIVE4(SYS_vmsplice, fd, iov, count, flags);
}

ssize_t wrap_sendfile(int out, int in, off_t *offset, size_t size)
{
    if (!SWITCHED(emu_sendfile(self, out, in), emu_fd_is_emulated(in) || emu_fd_is_emulated(out))) {
        return -1;
    }
    return PLAIN(RAW4(SYS_sendfile, out, in, offset, size));
}

#define SYMBOLS_MOVE
#include "export.h"
