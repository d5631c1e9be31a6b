/*
 * man2_splice.c - splice(2), tee(2), vmsplice(2), sendfile(2)
 *
 * All four end in the core when one of their descriptors is emulated; what it leaves to the kernel
 * is refused there, or has no emulated end any more.
 */
#include "wrap.h"

#include <errno.h>

ssize_t wrap_splice(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t size,
                    unsigned int flags)
{
    bool emulated = emu_fd_is_emulated(in) || emu_fd_is_emulated(out);

    if (emulated) {
        route_cancel_point();
    }
    ROUTE(emulated, EMULATE(splice, in, in_offset, out, out_offset, size, flags),
          NATIVE6(SYS_splice, in, in_offset, out, out_offset, size, flags));
}

ssize_t wrap_tee(int in, int out, size_t size, unsigned int flags)
{
    bool emulated = emu_fd_is_emulated(in) || emu_fd_is_emulated(out);

    if (emulated) {
        route_cancel_point();
    }
    ROUTE(emulated, EMULATE(tee, in, out, size, flags), NATIVE4(SYS_tee, in, out, size, flags));
}

ssize_t wrap_vmsplice(int fd, const struct iovec *iov, size_t count, unsigned int flags)
{
    bool emulated = emu_fd_is_emulated(fd);

    if (emulated) {
        route_cancel_point();
    }
    ROUTE(emulated, EMULATE(vmsplice, fd, iov, count, flags),
          NATIVE4(SYS_vmsplice, fd, iov, count, flags));
}

ssize_t wrap_sendfile(int out, int in, off_t *offset, size_t size)
{
    ROUTE(emu_fd_is_emulated(in) || emu_fd_is_emulated(out),
          EMULATE(sendfile, out, in, offset, size),
          PLAIN(RAW4(SYS_sendfile, out, in, offset, size)));
}

#define SYMBOLS_MOVE
#include "export.h"
