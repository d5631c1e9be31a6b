/*
 * Proves (in the emulator only): AF_VSOCK, which isn't modeled yet, is refused with ENOTSUP for
 * every type, after Linux's own errors; socketpair says EOPNOTSUPP as Linux does. Connects nothing,
 * and runs only under the guard: it ends first thing if a raw socket(AF_VSOCK) isn't denied.
 *
 * Rows: 1.2 "AF_VSOCK", 1.1 "1", 1.1 "3"
 */
#include "../guest.h"

static void require_guard(void)
{
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(SYS_socket), "D"(AF_VSOCK), "S"(SOCK_STREAM), "d"(0)
                     : "rcx", "r11", "memory");
    if (result >= 0) {
        close((int)result);
        guest_fail(__FILE__, __LINE__, "guard", "a raw AF_VSOCK socket is not denied");
    }
}

int main(void)
{
    int fds[2] = { -1, -1 };
    guest_start();
    require_guard();
    CHECK_ERR(ENOTSUP, socket(AF_VSOCK, SOCK_STREAM, 0));
    CHECK_ERR(ENOTSUP, socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    CHECK_ERR(ENOTSUP, socket(AF_VSOCK, SOCK_STREAM, AF_VSOCK));
    CHECK_ERR(ENOTSUP, socket(AF_VSOCK, SOCK_SEQPACKET, 0));
    CHECK_ERR(ENOTSUP, socket(AF_VSOCK, SOCK_DGRAM, 0)); /* Linux: ENODEV without VMCI */
    CHECK_ERR(EINVAL, socket(AF_VSOCK, SOCK_STREAM | 0x100, 0));
    CHECK_ERR(EINVAL, socket(AF_VSOCK, 11, 0));
    CHECK_ERR(EPROTONOSUPPORT, socket(AF_VSOCK, SOCK_STREAM, 1));
    CHECK_ERR(EPROTONOSUPPORT, socket(AF_VSOCK, SOCK_RAW, 1));
    CHECK_ERR(ESOCKTNOSUPPORT, socket(AF_VSOCK, SOCK_RAW, 0));
    CHECK_ERR(EOPNOTSUPP, socketpair(AF_VSOCK, SOCK_STREAM, 0, fds));
    CHECK_ERR(EOPNOTSUPP, socketpair(AF_VSOCK, SOCK_SEQPACKET, 0, fds));
    return guest_end();
}
