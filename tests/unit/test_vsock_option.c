/*
 * test_vsock_option.c - options of AF_VSOCK, and what SOL_SOCKET answers on it
 *
 * What Linux 6.18's net/vmw_vsock/af_vsock.c and net/core/sock.c say; sizes and errors were
 * measured.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <linux/vm_sockets.h>
#include <string.h>

#include "host_fake.h"
#include "vsock_pair.h"

TestSuite(vsock_option, .init = fixture_start, .fini = fixture_end);

static int fds[2];

static uint64_t size_of(int fd, int name)
{
    uint64_t value = 0;
    socklen_t size = sizeof value;

    cr_assert_eq(emu_getsockopt(&self, fd, AF_VSOCK, name, &value, &size), 0);
    cr_assert_eq(size, sizeof value);
    return value;
}

static void expect_sizes(int fd, uint64_t size, uint64_t min, uint64_t max)
{
    cr_expect_eq(size_of(fd, SO_VM_SOCKETS_BUFFER_SIZE), size);
    cr_expect_eq(size_of(fd, SO_VM_SOCKETS_BUFFER_MIN_SIZE), min);
    cr_expect_eq(size_of(fd, SO_VM_SOCKETS_BUFFER_MAX_SIZE), max);
}

static int vsock_socket(int type)
{
    const int fd = (int)emu_socket(&self, AF_VSOCK, type, 0);

    cr_assert_geq(fd, 0);
    return fd;
}

Test(vsock_option, sizes)
{
    const int fd = vsock_socket(SOCK_STREAM);

    expect_sizes(fd, 262144, 128, 262144);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_SIZE, 1 << 20);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_SIZE, 1);
    expect_sizes(fd, 128, 128, 262144);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_MAX_SIZE, 1ull << 40);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_SIZE, 1ull << 39);
    expect_sizes(fd, 1ull << 39, 128, 1ull << 40);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_MAX_SIZE, 500);
    expect_sizes(fd, 500, 128, 500);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_MIN_SIZE, 2000);
    expect_sizes(fd, 500, 2000, 500);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_MIN_SIZE, 0);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_SIZE, 0);
    expect_sizes(fd, 0, 0, 500);
    emu_close(&self, fd);
}

Test(vsock_option, credit_of_the_session)
{
    arena->header.options.vsock_credit = 1 << 20;
    const int fd = vsock_socket(SOCK_STREAM);
    expect_sizes(fd, 1 << 20, 128, 1 << 20);
    arena->header.options.vsock_credit = 64;
    const int small = vsock_socket(SOCK_STREAM);
    expect_sizes(small, 64, 64, 262144);
    arena->header.options.vsock_credit = 0;
    emu_close(&self, fd);
    emu_close(&self, small);
}

static int set_timeout(int fd, int name, int64_t seconds, int64_t microseconds)
{
    const int64_t time[2] = { seconds, microseconds };

    return (int)emu_setsockopt(&self, fd, AF_VSOCK, name, time, sizeof time);
}

static void expect_timeout(int fd, int64_t seconds, int64_t microseconds)
{
    int64_t time[3] = { -1, -1, -1 };
    socklen_t size = sizeof time;

    cr_expect_eq(
        emu_getsockopt(&self, fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW, time, &size), 0);
    cr_expect_eq(size, 16);
    cr_expect(time[0] == seconds && time[1] == microseconds && time[2] == -1, "%lld s %lld us",
              (long long)time[0], (long long)time[1]);
}

Test(vsock_option, connect_time_out)
{
    const int fd = vsock_socket(SOCK_SEQPACKET);
    const int old = SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD;

    expect_timeout(fd, 2, 0);
    cr_expect_eq(set_timeout(fd, old, 3, 500000), 0);
    expect_timeout(fd, 3, 500000);
    cr_expect_eq(set_timeout(fd, SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW, 0, 1), 0);
    expect_timeout(fd, 0, 4000); /* a tick */
    cr_expect_eq(set_timeout(fd, old, -1, 0), -ERANGE);
    cr_expect_eq(set_timeout(fd, old, 0, 1000000), -ERANGE);
    cr_expect_eq(set_timeout(fd, old, INT64_MAX, 0), -ERANGE);
    expect_timeout(fd, 0, 4000);
    cr_expect_eq(set_timeout(fd, old, 0, 0), 0);
    expect_timeout(fd, 2, 0);
    emu_close(&self, fd);
}

Test(vsock_option, lengths_and_names)
{
    static const int unknown[] = { SO_VM_SOCKETS_PEER_HOST_VM_ID,
                                   SO_VM_SOCKETS_TRUSTED,
                                   SO_VM_SOCKETS_NONBLOCK_TXRX,
                                   9,
                                   -1,
                                   1000 };
    const int fd = vsock_socket(SOCK_STREAM);
    uint64_t value[2] = { 0 };
    socklen_t size = 7;

    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        cr_expect_eq(emu_getsockopt(&self, fd, AF_VSOCK, unknown[i], value, &size), -ENOPROTOOPT);
        cr_expect_eq(emu_setsockopt(&self, fd, AF_VSOCK, unknown[i], value, 8), -ENOPROTOOPT);
    }
    cr_expect_eq(emu_getsockopt(&self, fd, AF_VSOCK, 0, value, &size), -EINVAL);
    cr_expect_eq(emu_setsockopt(&self, fd, AF_VSOCK, 0, value, 7), -EINVAL);
    cr_expect_eq(set_timeout(fd, SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW, 1, 0), 0);
    cr_expect_eq(emu_setsockopt(&self, fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW, value, 15),
                 -EINVAL);
    cr_expect_eq(emu_setsockopt(&self, fd, AF_VSOCK, 0, value, (socklen_t)-1), -EINVAL);
    cr_expect_eq(emu_getsockopt(&self, fd, 6, 1, value, &size), -ENOPROTOOPT); /* IPPROTO_TCP */
    cr_expect_eq(emu_setsockopt(&self, fd, 6, 1, value, 8), -ENOPROTOOPT);
    fake_bad_memory(value, sizeof value);
    size = 16;
    cr_expect_eq(emu_getsockopt(&self, fd, AF_VSOCK, 0, value, &size), -EFAULT);
    cr_expect_eq(emu_setsockopt(&self, fd, AF_VSOCK, 0, value, 8), -EFAULT);
    fake_bad_memory(NULL, 0);
    emu_close(&self, fd);
}

static int general(int fd, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    const int rc = (int)emu_getsockopt(&self, fd, SOL_SOCKET, name, &value, &size);

    return rc < 0 ? rc : value;
}

Test(vsock_option, of_any_socket)
{
    struct ucred nobody = { 1, 2, 3 };
    socklen_t size = sizeof nobody;

    vsock_pair(fds, SOCK_STREAM);
    cr_expect_eq(general(fds[0], SO_DOMAIN), AF_VSOCK);
    cr_expect_eq(general(fds[0], SO_PROTOCOL), 0);
    cr_expect_eq(emu_getsockopt(&self, fds[0], SOL_SOCKET, SO_PEERCRED, &nobody, &size), 0);
    cr_expect(nobody.pid == 0 && nobody.uid == (uid_t)-1 && nobody.gid == (gid_t)-1);
    cr_expect_eq(general(fds[0], SO_PASSCRED), -EOPNOTSUPP);
    cr_expect_eq(vsock_set(fds[0], SO_PASSCRED, 1), -EOPNOTSUPP);
    cr_expect_eq(general(fds[0], SO_PEEK_OFF), -EOPNOTSUPP);
    cr_expect_eq(vsock_set(fds[0], SO_PEEK_OFF, 0), -EOPNOTSUPP);
    cr_expect_eq(general(fds[0], SO_PEERGROUPS), -ENODATA);
    cr_expect_eq(vsock_set(fds[0], SO_TIMESTAMP, 1), 0);
    cr_expect_eq(vsock_set(fds[0], SO_SNDBUF, 5000), 0);
    cr_expect_eq(emu_send(&self, fds[0], (char[20000]){ 0 }, 20000, MSG_DONTWAIT), 20000,
                 "without effect");
    fixture_close(fds);
}

Test(vsock_option, low_water_mark)
{
    vsock_pair(fds, SOCK_STREAM);
    cr_expect_eq(vsock_set(fds[0], SO_RCVLOWAT, 262144), 0);
    cr_expect_eq(vsock_set(fds[0], SO_RCVLOWAT, 262145), -EINVAL);
    cr_expect_eq(vsock_set(fds[0], SO_RCVLOWAT, -1), -EINVAL);
    cr_expect_eq(vsock_of(fds[0])->receive_low, 262144);
    cr_expect_eq(vsock_set(fds[0], SO_RCVLOWAT, 0), 0);
    cr_expect_eq(vsock_of(fds[0])->receive_low, 1);
    fixture_close(fds);
    vsock_pair(fds, SOCK_SEQPACKET);
    cr_expect_eq(vsock_set(fds[0], SO_RCVLOWAT, -1), 0);
    cr_expect_eq(vsock_of(fds[0])->receive_low, INT_MAX);
    fixture_close(fds);
}

Test(vsock_option, zero_copy)
{
    const int fd = vsock_socket(SOCK_STREAM);

    cr_expect_eq(vsock_set(fd, SO_ZEROCOPY, 2), -EINVAL);
    cr_expect_eq(vsock_set(fd, SO_ZEROCOPY, -1), -EINVAL);
    cr_expect_eq(general(fd, SO_ZEROCOPY), 0);
    cr_expect_eq(vsock_set(fd, SO_ZEROCOPY, 1), 0);
    cr_expect_eq(general(fd, SO_ZEROCOPY), 1);
    cr_expect_eq(vsock_set(fd, SO_ZEROCOPY, 0), 0);
    emu_close(&self, fd);
    vsock_pair(fds, SOCK_STREAM);
    cr_expect_eq(vsock_set(fds[0], SO_ZEROCOPY, 1), -EOPNOTSUPP, "no transport can");
    fixture_close(fds);
}

Test(vsock_option, the_peers_name)
{
    struct sockaddr_vm name = { 0 };
    socklen_t size = sizeof name;

    vsock_pair(fds, SOCK_STREAM);
    cr_expect_eq(emu_getsockopt(&self, fds[0], SOL_SOCKET, SO_PEERNAME, &name, &size), 0);
    cr_expect(name.svm_family == AF_VSOCK && name.svm_cid == 1 && name.svm_port == 2);
    size = sizeof name + 1;
    cr_expect_eq(emu_getsockopt(&self, fds[0], SOL_SOCKET, SO_PEERNAME, &name, &size), -EINVAL);
    cr_expect_eq(emu_shutdown(&self, fds[0], SHUT_RD), 0);
    size = 0;
    cr_expect_eq(emu_getsockopt(&self, fds[0], SOL_SOCKET, SO_PEERNAME, &name, &size), -ENOTCONN);
    fixture_close(fds);
}
