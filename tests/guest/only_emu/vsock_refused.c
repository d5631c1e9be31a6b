/*
 * Proves (in the emulator only): which sockets of AF_VSOCK there are: streams and records, with
 * protocol 0 or 40; datagrams, which need another transport, are refused with ENOTSUP after Linux's
 * own errors; there are no pairs, and no fd is left by a refusal.
 *
 * Rows: 1.2 "AF_VSOCK", 1.1 "bits of type", 1.1 "(type & 0xf) >= 11", 7.8 "DGRAM: only VMCI"
 */
#include "vsock.h"

static void served(int type, int protocol)
{
    int fd = (int)CHECK_OK(socket(AF_VSOCK, type, protocol));
    CHECK_EQ(type & SOCK_CLOEXEC ? FD_CLOEXEC : 0, fcntl(fd, F_GETFD));
    CHECK_EQ(type & SOCK_NONBLOCK ? O_RDWR | O_NONBLOCK : O_RDWR, fcntl(fd, F_GETFL));
    struct stat status;
    CHECK_OK(fstat(fd, &status));
    CHECK_EQ(S_IFSOCK | 0777, status.st_mode);
    CHECK_OK(close(fd));
}

static void pairs(void)
{
    int fds[2] = { -1, -1 };
    CHECK_ERR(EOPNOTSUPP, socketpair(AF_VSOCK, SOCK_STREAM, 0, fds));
    CHECK_ERR(EOPNOTSUPP, socketpair(AF_VSOCK, SOCK_SEQPACKET, 0, fds));
    CHECK_ERR(EPROTONOSUPPORT, socketpair(AF_VSOCK, SOCK_STREAM, 1, fds));
    CHECK_ERR(EINVAL, socketpair(AF_VSOCK, SOCK_STREAM | 0x100, 0, fds));
    CHECK_ERR(EFAULT, socketpair(AF_VSOCK, SOCK_STREAM, 0, guest_bad_pointer()));
}

int main(void)
{
    static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
    guest_start();
    vsock_require_guard();
    for (int i = 0; i < 2; i++) {
        served(types[i], 0);
        served(types[i], AF_VSOCK);
        served(types[i] | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        CHECK_ERR(EINVAL, socket(AF_VSOCK, types[i] | 0x100, 0));
        CHECK_ERR(EPROTONOSUPPORT, socket(AF_VSOCK, types[i], 1));
        CHECK_ERR(EPROTONOSUPPORT, socket(AF_VSOCK, types[i], -1));
    }
    CHECK_ERR(ENOTSUP, socket(AF_VSOCK, SOCK_DGRAM, 0)); /* Linux: ENODEV without VMCI */
    CHECK_ERR(ENOTSUP, socket(AF_VSOCK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, AF_VSOCK));
    CHECK_ERR(EPROTONOSUPPORT, socket(AF_VSOCK, SOCK_DGRAM, 1));
    CHECK_ERR(EINVAL, socket(AF_VSOCK, 11, 0));
    CHECK_ERR(EPROTONOSUPPORT, socket(AF_VSOCK, SOCK_RAW, 1));
    CHECK_ERR(ESOCKTNOSUPPORT, socket(AF_VSOCK, SOCK_RAW, 0));
    CHECK_ERR(ESOCKTNOSUPPORT, socket(AF_VSOCK, SOCK_RDM, 0));
    CHECK_ERR(ESOCKTNOSUPPORT, socket(AF_VSOCK, 0, 0));
    pairs();
    return guest_end();
}
