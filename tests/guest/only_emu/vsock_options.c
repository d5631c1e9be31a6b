/*
 * Proves (in the emulator only): the options of AF_VSOCK, level by level, with wrong sizes, wrong
 * pointers and wrong values; what of SOL_SOCKET such a socket has; its ioctls before and after the
 * connection.
 *
 * Rows: 7.7 "0 BUFFER_SIZE", 7.7 "1 BUFFER_MIN_SIZE", 7.7 "2 BUFFER_MAX_SIZE",
 * 7.7 "6 CONNECT_TIMEOUT (OLD), 8 (NEW)", 7.7 "3 PEER_HOST_VM_ID, 5 TRUSTED, 7 NONBLOCK_TXRX",
 * 7.7 "optlen < size", 7.7 "Other levels", 7.7 "SOL_SOCKET works as for any socket",
 * 7.7 "SO_RCVLOWAT > BUFFER_SIZE", 7.7 "SO_ZEROCOPY", 7.7 "ioctl: unconnected",
 * 7.7 "Connected: FIONREAD", 7.7 "Unknown: ENOTTY"
 */
#include <linux/sockios.h>
#include <linux/time_types.h>
#include <netinet/in.h>

#include "vsock.h"

static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };

static uint64_t get_size(int fd, int option)
{
    uint64_t value = 0;
    socklen_t size = sizeof value;
    CHECK_OK(getsockopt(fd, AF_VSOCK, option, &value, &size));
    CHECK_EQ(8, size);
    return value;
}

static void check_sizes(int line, int fd, uint64_t size, uint64_t min, uint64_t max)
{
    guest_check_eq(__FILE__, line, "size", (long long)size,
                   (long long)get_size(fd, SO_VM_SOCKETS_BUFFER_SIZE));
    guest_check_eq(__FILE__, line, "min", (long long)min,
                   (long long)get_size(fd, SO_VM_SOCKETS_BUFFER_MIN_SIZE));
    guest_check_eq(__FILE__, line, "max", (long long)max,
                   (long long)get_size(fd, SO_VM_SOCKETS_BUFFER_MAX_SIZE));
}
#define CHECK_SIZES(size, min, max, fd) check_sizes(__LINE__, fd, size, min, max)

static void sizes(int type)
{
    int fd = vsock_socket(type);
    CHECK_SIZES(262144, 128, 262144, fd);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_SIZE, 1000);
    CHECK_SIZES(1000, 128, 262144, fd);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_SIZE, 1); /* clamped, silently */
    CHECK_SIZES(128, 128, 262144, fd);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_SIZE, 524288);
    CHECK_SIZES(262144, 128, 262144, fd);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_MAX_SIZE, 524288); /* to grow: this one first */
    CHECK_SIZES(262144, 128, 524288, fd);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_SIZE, 524288);
    CHECK_SIZES(524288, 128, 524288, fd);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_MAX_SIZE, 4096); /* the size follows */
    CHECK_SIZES(4096, 128, 4096, fd);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_MAX_SIZE, 65536); /* but not upwards */
    CHECK_SIZES(4096, 128, 65536, fd);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_MIN_SIZE, 8192);
    CHECK_SIZES(8192, 8192, 65536, fd);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_MIN_SIZE, 0);
    CHECK_SIZES(8192, 0, 65536, fd);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_SIZE, 0);
    CHECK_SIZES(0, 0, 65536, fd);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_MAX_SIZE, UINT64_C(1) << 40);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_SIZE, UINT64_C(1) << 40);
    CHECK_SIZES(UINT64_C(1) << 40, 0, UINT64_C(1) << 40, fd);
    CHECK_OK(close(fd));
}

/* Sizes and pointers of the values themselves. */
static void arguments(int type)
{
    static const int options[] = { SO_VM_SOCKETS_BUFFER_SIZE, SO_VM_SOCKETS_BUFFER_MIN_SIZE,
                                   SO_VM_SOCKETS_BUFFER_MAX_SIZE };
    uint64_t values[4] = { 5000, 0, 0, 0 };
    int fd = vsock_socket(type);
    for (int i = 0; i < 3; i++) {
        CHECK_ERR(EINVAL, setsockopt(fd, AF_VSOCK, options[i], values, 0));
        CHECK_ERR(EINVAL, setsockopt(fd, AF_VSOCK, options[i], values, 4));
        CHECK_ERR(EINVAL, setsockopt(fd, AF_VSOCK, options[i], values, 7));
        CHECK_ERR(EINVAL, setsockopt(fd, AF_VSOCK, options[i], values, (socklen_t)-1));
        CHECK_ERR(EFAULT, setsockopt(fd, AF_VSOCK, options[i], guest_bad_pointer(), 8));
        CHECK_OK(setsockopt(fd, AF_VSOCK, options[i], values, 32));
        CHECK_EQ(5000, get_size(fd, options[i]));
        socklen_t size = 7;
        CHECK_ERR(EINVAL, getsockopt(fd, AF_VSOCK, options[i], values, &size));
        size = 0;
        CHECK_ERR(EINVAL, getsockopt(fd, AF_VSOCK, options[i], values, &size));
        size = (socklen_t)-1;
        CHECK_ERR(EINVAL, getsockopt(fd, AF_VSOCK, options[i], values, &size));
        size = 32;
        CHECK_OK(getsockopt(fd, AF_VSOCK, options[i], values, &size));
        CHECK_EQ(8, size);
        CHECK_EQ(0, values[1]);
        CHECK_ERR(EFAULT, getsockopt(fd, AF_VSOCK, options[i], guest_bad_pointer(), &size));
        CHECK_ERR(EFAULT, getsockopt(fd, AF_VSOCK, options[i], values, guest_bad_pointer()));
    }
    CHECK_OK(close(fd));
}

static void no_such_option(int type)
{
    static const int absent[] = { SO_VM_SOCKETS_PEER_HOST_VM_ID,
                                  SO_VM_SOCKETS_TRUSTED,
                                  SO_VM_SOCKETS_NONBLOCK_TXRX,
                                  4,
                                  9,
                                  100,
                                  -1 };
    static const int levels[] = { IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP, SOL_VSOCK, 41, -1 };
    uint64_t value = 1;
    socklen_t size = sizeof value;
    int fd = vsock_socket(type);
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
        CHECK_ERR(ENOPROTOOPT, setsockopt(fd, AF_VSOCK, absent[i], &value, sizeof value));
        CHECK_ERR(ENOPROTOOPT, getsockopt(fd, AF_VSOCK, absent[i], &value, &size));
        CHECK_ERR(ENOPROTOOPT, setsockopt(fd, AF_VSOCK, absent[i], &value, 1));
    }
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        CHECK_ERR(ENOPROTOOPT, setsockopt(fd, levels[i], 1, &value, sizeof value));
        CHECK_ERR(ENOPROTOOPT, getsockopt(fd, levels[i], 1, &value, &size));
        CHECK_ERR(ENOPROTOOPT, setsockopt(fd, levels[i], 0, &value, sizeof value));
    }
    CHECK_OK(close(fd));
}

static const int timeout_options[] = { SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD,
                                       SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW };

static void set_timeout(int fd, int which, int64_t seconds, int64_t microseconds)
{
    const struct __kernel_sock_timeval time = { seconds, microseconds };
    CHECK_OK(setsockopt(fd, AF_VSOCK, timeout_options[which], &time, sizeof time));
}

/* Both options show it; in steps of a clock tick of at most 10 ms. */
static void check_timeout(int fd, int64_t seconds, int64_t microseconds)
{
    for (int i = 0; i < 2; i++) {
        struct __kernel_sock_timeval time = { -1, -1 };
        socklen_t size = sizeof time;
        CHECK_OK(getsockopt(fd, AF_VSOCK, timeout_options[i], &time, &size));
        CHECK_EQ(16, size);
        int64_t more = (time.tv_sec - seconds) * 1000000 + (time.tv_usec - microseconds);
        CHECK(more >= 0 && more < 10000);
        CHECK(microseconds % 100000 != 0 || more == 0); /* a whole number of ticks stays */
    }
}

static void timeouts(int type)
{
    int fd = vsock_socket(type);
    struct __kernel_sock_timeval time = { 1, 0 };
    socklen_t size = sizeof time;
    check_timeout(fd, 2, 0);
    for (int i = 0; i < 2; i++) {
        set_timeout(fd, i, 1, 500000);
        check_timeout(fd, 1, 500000);
        set_timeout(fd, i, 0, 1); /* rounded up, never to 0 */
        check_timeout(fd, 0, 1);
        set_timeout(fd, i, 100000000, 999999);
        check_timeout(fd, 100000000, 999999);
        set_timeout(fd, i, 0, 0); /* the default again */
        check_timeout(fd, 2, 0);
        const struct __kernel_sock_timeval wrong[] = {
            { -1, 0 }, { 0, 1000000 }, { 1, 2000000 }, { INT64_MAX, 0 }, { INT64_MIN, 0 }
        };
        for (size_t j = 0; j < sizeof wrong / sizeof *wrong; j++) {
            CHECK_ERR(ERANGE, setsockopt(fd, AF_VSOCK, timeout_options[i], &wrong[j], 16));
        }
        CHECK_ERR(EINVAL, setsockopt(fd, AF_VSOCK, timeout_options[i], &time, 15));
        CHECK_ERR(EINVAL, setsockopt(fd, AF_VSOCK, timeout_options[i], &time, 8));
        CHECK_ERR(EFAULT, setsockopt(fd, AF_VSOCK, timeout_options[i], guest_bad_pointer(), 16));
        size = 15;
        CHECK_ERR(EINVAL, getsockopt(fd, AF_VSOCK, timeout_options[i], &time, &size));
        check_timeout(fd, 2, 0);
    }
    CHECK_OK(close(fd));
}

static int get_int(int fd, int option)
{
    int value = -99;
    socklen_t size = sizeof value;
    CHECK_OK(getsockopt(fd, SOL_SOCKET, option, &value, &size));
    CHECK_EQ(sizeof value, size);
    return value;
}

static void socket_level(int type)
{
    int fd = vsock_socket(type), value = 1;
    socklen_t size = sizeof value;
    CHECK_EQ(type, get_int(fd, SO_TYPE));
    CHECK_EQ(AF_VSOCK, get_int(fd, SO_DOMAIN));
    CHECK_EQ(0, get_int(fd, SO_PROTOCOL));
    CHECK_EQ(0, get_int(fd, SO_ACCEPTCONN));
    CHECK_EQ(0, get_int(fd, SO_ERROR));
    CHECK_EQ(1, get_int(fd, SO_RCVLOWAT));
    CHECK_EQ(0, get_int(fd, SO_KEEPALIVE));
    vsock_set_int(fd, SO_KEEPALIVE, 1);
    CHECK_EQ(1, get_int(fd, SO_KEEPALIVE));
    vsock_set_int(fd, SO_SNDBUF, 10000);
    CHECK_EQ(20000, get_int(fd, SO_SNDBUF));
    vsock_set_int(fd, SO_RCVBUF, 5000);
    CHECK_EQ(10000, get_int(fd, SO_RCVBUF));
    CHECK_SIZES(262144, 128, 262144, fd); /* which is something else */
    const struct timeval wait = { 3, 500000 };
    struct timeval got = { 0, 0 };
    size = sizeof got;
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait));
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &got, &size));
    CHECK_MEM(&wait, &got, sizeof got);
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait));
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &got, &size));
    CHECK_MEM(&wait, &got, sizeof got);
    const struct timeval wrong = { 0, 1000000 };
    CHECK_ERR(EDOM, setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wrong, sizeof wrong));
    const struct linger linger = { 1, 5 };
    struct linger got_linger = { 0, 0 };
    size = sizeof got_linger;
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_LINGER, &got_linger, &size));
    CHECK_MEM(&linger, &got_linger, sizeof linger);
    CHECK_ERR(EOPNOTSUPP, setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &value, sizeof value));
    CHECK_ERR(EOPNOTSUPP, setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &value, sizeof value));
    struct ucred peer = { 1, 1, 1 };
    size = sizeof peer;
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size));
    CHECK_EQ(0, peer.pid);
    CHECK_EQ((uid_t)-1, peer.uid);
    CHECK_EQ((gid_t)-1, peer.gid);
    CHECK_OK(close(fd));
}

static void low_mark(int type)
{
    int fd = vsock_socket(type);
    for (int i = 0; i < 3; i++) {
        static const int values[] = { -1, VSOCK_CREDIT + 1, 1000000 };
        if (type == SOCK_STREAM) {
            CHECK_ERR(EINVAL, setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &values[i], sizeof(int)));
            CHECK_EQ(1, get_int(fd, SO_RCVLOWAT));
        } else {
            vsock_set_int(fd, SO_RCVLOWAT, values[i]);
            CHECK_EQ(values[i] < 0 ? INT_MAX : values[i], get_int(fd, SO_RCVLOWAT));
        }
    }
    vsock_set_int(fd, SO_RCVLOWAT, VSOCK_CREDIT);
    CHECK_EQ(VSOCK_CREDIT, get_int(fd, SO_RCVLOWAT));
    vsock_set_int(fd, SO_RCVLOWAT, 0);
    CHECK_EQ(1, get_int(fd, SO_RCVLOWAT));
    if (type == SOCK_STREAM) { /* the size it is compared with is the socket's own */
        int value = 1001;
        vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_SIZE, 1000);
        CHECK_ERR(EINVAL, setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof value));
        vsock_set_int(fd, SO_RCVLOWAT, 1000);
    }
    CHECK_OK(close(fd));
}

static void zerocopy(int type)
{
    int fd = vsock_socket(type), value = 2;
    CHECK_ERR(EINVAL, setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &value, sizeof value));
    value = -1;
    CHECK_ERR(EINVAL, setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &value, sizeof value));
    CHECK_ERR(EINVAL, setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &value, 3));
    vsock_set_int(fd, SO_ZEROCOPY, 0);
    CHECK_EQ(0, get_int(fd, SO_ZEROCOPY));
    vsock_set_int(fd, SO_ZEROCOPY, 1);
    CHECK_EQ(1, get_int(fd, SO_ZEROCOPY));
    CHECK_OK(close(fd));
}

static void ioctls_unconnected(int type)
{
    int fd = vsock_socket(type), value = -1;
    for (int i = 0; i < 3; i++) { /* fresh, bound, listening */
        CHECK_ERR(EOPNOTSUPP, ioctl(fd, FIONREAD, &value));
        CHECK_ERR(EOPNOTSUPP, ioctl(fd, SIOCINQ, &value));
        CHECK_ERR(EOPNOTSUPP, ioctl(fd, SIOCOUTQ, &value));
        CHECK_ERR(EOPNOTSUPP, ioctl(fd, SIOCOUTQ, guest_bad_pointer()));
        CHECK_ERR(ENOTTY, ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &value));
        CHECK_ERR(ENOTTY, ioctl(fd, SIOCATMARK, &value));
        CHECK_ERR(ENOTTY, ioctl(fd, 0x5499, &value));
        CHECK_OK(ioctl(fd, FIONBIO, &(int){ 1 }));
        CHECK_EQ(O_RDWR | O_NONBLOCK, fcntl(fd, F_GETFL));
        CHECK_OK(ioctl(fd, FIONBIO, &(int){ 0 }));
        if (i == 0) {
            CHECK_OK(vsock_bind(fd, VMADDR_CID_ANY, VMADDR_PORT_ANY));
        } else if (i == 1) {
            CHECK_OK(listen(fd, 1));
        }
    }
    CHECK_OK(close(fd));
}

static void one_sided(struct vsock_side *side)
{
    (void)side;
    for (int i = 0; i < 2; i++) {
        sizes(types[i]);
        arguments(types[i]);
        no_such_option(types[i]);
        timeouts(types[i]);
        socket_level(types[i]);
        low_mark(types[i]);
        zerocopy(types[i]);
        ioctls_unconnected(types[i]);
    }
}

/* On a connection: what is queued and what isn't sent; options go on working. */
static void connected(struct vsock_side *side, int fd, int type)
{
    int value = -1;
    char bytes[64];
    CHECK_OK(ioctl(fd, FIONREAD, &value));
    CHECK_EQ(0, value);
    vsock_meet(side);
    CHECK_EQ(30, write(fd, bytes, 30));
    CHECK_EQ(12, write(fd, bytes, 12));
    CHECK_OK(ioctl(fd, SIOCOUTQ, &value)); /* it is with the peer already */
    CHECK_EQ(0, value);
    vsock_meet(side);
    CHECK_OK(ioctl(fd, SIOCINQ, &value));
    CHECK_EQ(42, value);
    CHECK_EQ(10, read(fd, bytes, 10));
    CHECK_OK(ioctl(fd, FIONREAD, &value));
    CHECK_EQ(type == SOCK_STREAM ? 32 : 12, value);
    CHECK_ERR(EFAULT, ioctl(fd, FIONREAD, guest_bad_pointer()));
    CHECK_ERR(ENOTTY, ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &value));
    CHECK_ERR(ENOTTY, ioctl(fd, SIOCATMARK, &value));
    CHECK_SIZES(262144, 128, 262144, fd);
    vsock_set_size(fd, SO_VM_SOCKETS_BUFFER_SIZE, 1000);
    CHECK_SIZES(1000, 128, 262144, fd);
    struct ucred peer = { 1, 1, 1 };
    socklen_t size = sizeof peer;
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size));
    CHECK_EQ(0, peer.pid);
    CHECK_EQ((uid_t)-1, peer.uid);
    CHECK_EQ(0, get_int(fd, SO_ACCEPTCONN));
    CHECK_EQ(AF_VSOCK, get_int(fd, SO_DOMAIN));
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static void connected_server(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        connected(side, vsock_answer(side, types[i]), types[i]);
    }
}

static void connected_client(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        connected(side, vsock_dial(side, types[i]), types[i]);
    }
}

static const struct vsock_case cases[] = {
    { "options", one_sided, one_sided, 0, 0, false },
    { "connected", connected_server, connected_client, 0, 0, false },
};

VSOCK_MAIN(cases)
