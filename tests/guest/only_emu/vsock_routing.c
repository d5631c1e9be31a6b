/*
 * Proves (in the emulator only): which CIDs are a machine's own to bind, where a connect goes from
 * the host and from a guest, and which addresses both sides see; each machine has its own ports; a
 * CID without a machine is ENODEV from the host and silence from a guest; what stays of a connect
 * that failed before it was sent. A child has its parent's CID, across fork and exec.
 *
 * Rows: 7.2 "VMADDR_CID_ANY", 7.2 "G", 7.2 "2 (HOST)", 7.2 "1 (LOCAL)", 7.2 "0 and anything else",
 * 7.2 "loopback present", 7.2 "cid <= 2, or no H2G, or flag TO_HOST", 7.2 "other",
 * 7.2 "Source CID seen by the peer", 7.4 "no transport", 7.4 "immediate send failure",
 * 7.4 "After row 10", 7.3 "Accepted socket: local", 7.3 "Listener matching"
 */
#include "vsock.h"

enum { GUEST = 3, OTHER_GUEST = 4, NO_MACHINE = 77, PORT = 6000, IMPATIENT_MS = 40 };

static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };

/* A socket whose name after the call is checked; -1 and errno of the connect. */
static int dial_flags(uint32_t cid, uint32_t port, unsigned flags, int *ret_fd)
{
    struct sockaddr_vm address = vsock_address(cid, port);
    ((unsigned char *)&address)[12] = (unsigned char)flags;
    *ret_fd = vsock_socket(SOCK_STREAM);
    vsock_set_connect_timeout(*ret_fd, IMPATIENT_MS);
    return connect(*ret_fd, (const struct sockaddr *)&address, sizeof address);
}

static void dial_error(int error, uint32_t cid, uint32_t port, unsigned flags)
{
    int fd;
    CHECK_ERR(error, dial_flags(cid, port, flags, &fd));
    CHECK_OK(close(fd));
}

static void bind_rules(uint32_t own)
{
    for (uint32_t cid = 0; cid < 8; cid++) {
        int fd = vsock_socket(types[cid % 2]);
        if (cid == own || cid == VMADDR_CID_LOCAL) {
            CHECK_OK(vsock_bind(fd, cid, VMADDR_PORT_ANY));
            CHECK_EQ(cid, vsock_name_of(fd, false).svm_cid);
        } else {
            CHECK_ERR(EADDRNOTAVAIL, vsock_bind(fd, cid, VMADDR_PORT_ANY));
        }
        CHECK_OK(close(fd));
    }
    int fd = vsock_socket(SOCK_STREAM);
    CHECK_OK(vsock_bind(fd, VMADDR_CID_ANY, VMADDR_PORT_ANY));
    CHECK_OK(close(fd));
}

/* Accepts `count` connections: the client says which names they must have. */
static void named_server(struct vsock_side *side)
{
    bind_rules(side->own_cid);
    for (int i = 0; i < 2; i++) {
        int listener = vsock_socket(types[i]);
        CHECK_OK(vsock_bind(listener, VMADDR_CID_ANY, PORT));
        CHECK_OK(listen(listener, 8));
        vsock_meet(side);
        for (uint32_t count = vsock_hear(side); count > 0; count--) {
            uint32_t dialled = vsock_hear(side), source = vsock_hear(side), port = vsock_hear(side);
            int fd = vsock_accept(listener);
            CHECK_NAME(dialled, PORT, fd);
            CHECK_PEER(source, port, fd);
            CHECK_EQ(1, write(fd, "s", 1));
            CHECK_EQ(1, read(fd, &(char){ 0 }, 1));
            CHECK_OK(close(fd));
        }
        CHECK_BITS(0, listener); /* nothing else has come */
        CHECK_OK(close(listener));
        vsock_meet(side);
    }
}

/* Dials the server's machine under a CID and says what it must see. */
static void reaches(struct vsock_side *side, int type, uint32_t cid, uint32_t source)
{
    int fd = vsock_socket(type);
    CHECK_OK(vsock_connect(fd, cid, PORT));
    CHECK_NAME(VMADDR_CID_ANY, vsock_port(fd), fd);
    CHECK_PEER(cid, PORT, fd);
    vsock_say(side, cid);
    vsock_say(side, source);
    vsock_say(side, vsock_port(fd));
    CHECK_EQ(1, write(fd, "c", 1));
    CHECK_EQ(1, read(fd, &(char){ 0 }, 1));
    CHECK_OK(close(fd));
}

static void host_to_itself(struct vsock_side *side)
{
    bind_rules(VSOCK_HOST);
    for (int i = 0; i < 2; i++) {
        vsock_meet(side);
        vsock_say(side, 2);
        reaches(side, types[i], VMADDR_CID_LOCAL, VMADDR_CID_LOCAL);
        reaches(side, types[i], VMADDR_CID_HOST, VMADDR_CID_LOCAL);
        dial_error(ENODEV, VMADDR_CID_HYPERVISOR, PORT, 0);
        dial_error(ENODEV, NO_MACHINE, PORT, 0);
        dial_error(ENODEV, NO_MACHINE, PORT, VMADDR_FLAG_TO_HOST);
        dial_error(ENODEV, VMADDR_CID_ANY, PORT, 0);
        dial_error(ECONNRESET, VMADDR_CID_LOCAL, PORT + 1, 0);
        dial_error(ECONNRESET, VMADDR_CID_HOST, PORT + 1, 0);
        vsock_meet(side);
    }
}

static void guest_to_host(struct vsock_side *side)
{
    bind_rules(GUEST);
    for (int i = 0; i < 2; i++) {
        vsock_meet(side);
        vsock_say(side, 1);
        reaches(side, types[i], VMADDR_CID_HOST, GUEST);
        dial_error(ECONNRESET, VMADDR_CID_HOST, PORT + 1, 0);
        dial_error(ECONNRESET, VMADDR_CID_LOCAL, PORT, 0); /* this machine's own */
        dial_error(ECONNRESET, GUEST, PORT, 0);
        dial_error(ETIMEDOUT, VMADDR_CID_HYPERVISOR, PORT, 0);
        dial_error(ETIMEDOUT, NO_MACHINE, PORT, 0);
        dial_error(ETIMEDOUT, NO_MACHINE, PORT, VMADDR_FLAG_TO_HOST);
        vsock_meet(side);
    }
}

static void host_to_guest(struct vsock_side *side)
{
    bind_rules(VSOCK_HOST);
    for (int i = 0; i < 2; i++) {
        vsock_meet(side);
        vsock_say(side, 1);
        reaches(side, types[i], GUEST, VMADDR_CID_HOST);
        dial_error(ECONNRESET, GUEST, PORT + 1, 0);
        dial_error(ECONNRESET, VMADDR_CID_HOST, PORT, 0);
        dial_error(ECONNRESET, VMADDR_CID_LOCAL, PORT, 0);
        dial_error(ENODEV, GUEST, PORT, VMADDR_FLAG_TO_HOST); /* the host has no host */
        dial_error(ENODEV, NO_MACHINE, PORT, 0);
        vsock_meet(side);
    }
}

static void guest_to_itself(struct vsock_side *side)
{
    bind_rules(GUEST);
    for (int i = 0; i < 2; i++) {
        vsock_meet(side);
        vsock_say(side, 2);
        reaches(side, types[i], VMADDR_CID_LOCAL, VMADDR_CID_LOCAL);
        reaches(side, types[i], GUEST, VMADDR_CID_LOCAL);
        dial_error(ECONNRESET, VMADDR_CID_HOST, PORT, 0); /* nobody listens there */
        vsock_meet(side);
    }
}

static void guest_to_guest(struct vsock_side *side)
{
    bind_rules(GUEST);
    for (int i = 0; i < 2; i++) {
        vsock_meet(side);
        vsock_say(side, 0);
        dial_error(ETIMEDOUT, OTHER_GUEST, PORT, 0);
        dial_error(ETIMEDOUT, OTHER_GUEST, PORT, VMADDR_FLAG_TO_HOST);
        vsock_meet(side);
    }
}

/* The same port on both machines at once, and the wildcard on either. */
static void own_ports(struct vsock_side *side)
{
    int fd = vsock_socket(SOCK_STREAM), again = vsock_socket(SOCK_SEQPACKET);
    CHECK_OK(vsock_bind(fd, VMADDR_CID_ANY, PORT));
    vsock_meet(side);
    CHECK_ERR(EADDRINUSE, vsock_bind(again, side->own_cid, PORT));
    vsock_meet(side);
    CHECK_OK(close(fd));
    CHECK_OK(close(again));
}

/* What is left of an attempt that wasn't sent (vsock_connect() returns in the middle). */
static void not_sent(struct vsock_side *side)
{
    int fd;
    CHECK_ERR(ENODEV, dial_flags(VMADDR_CID_HYPERVISOR, PORT, 0, &fd));
    CHECK_NAME(VMADDR_CID_ANY, VMADDR_PORT_ANY, fd); /* no transport: not bound yet */
    CHECK_BITS(VSOCK_OUT, fd);
    CHECK_EQ(0, vsock_error(fd));
    CHECK_OK(close(fd));
    CHECK_ERR(ENODEV, dial_flags(NO_MACHINE, PORT, 0, &fd));
    uint32_t own = vsock_port(fd);
    CHECK(own != VMADDR_PORT_ANY);
    CHECK_NO_PEER(fd);
    CHECK_EQ(0, vsock_error(fd));
    CHECK_BITS(0, fd); /* no OUT: it waits for an answer inside */
    CHECK_ERR(ENOTCONN, shutdown(fd, SHUT_RDWR));
    CHECK_ERR(ENOTCONN, send(fd, "x", 1, MSG_NOSIGNAL));
    guest_set_nonblock(fd, true);
    CHECK_ERR(ENODEV, vsock_connect(fd, NO_MACHINE, PORT)); /* not EALREADY */
    guest_set_nonblock(fd, false);
    CHECK_ERR(ECONNRESET, vsock_connect(fd, side->own_cid, PORT + 1));
    CHECK_NAME(VMADDR_CID_ANY, own, fd);
    CHECK_BITS(POLLERR | VSOCK_OUT, fd);
    CHECK_OK(close(fd));
}

/* A listener made by a child of a child serves this machine. */
static void heirs_server(struct vsock_side *side)
{
    int listener = vsock_socket(SOCK_STREAM);
    CHECK_OK(vsock_bind(listener, side->own_cid, PORT));
    CHECK_OK(listen(listener, 1));
    pid_t pid = guest_fork();
    if (pid == 0) {
        bind_rules(side->own_cid);
        int fd = vsock_accept(listener);
        CHECK_NAME(side->own_cid, PORT, fd);
        CHECK_EQ(5, write(fd, "child", 5));
        CHECK_EQ(0, read(fd, &(char){ 0 }, 1));
        _exit(0);
    }
    CHECK_OK(close(listener));
    vsock_meet(side);
    guest_wait_exit(pid, 0);
}

static void heirs_client(struct vsock_side *side)
{
    char bytes[8];
    vsock_meet(side);
    int fd = vsock_socket(SOCK_STREAM);
    CHECK_OK(vsock_connect(fd, side->peer_cid, PORT));
    CHECK_EQ(5, read(fd, bytes, sizeof bytes));
    CHECK_MEM("child", bytes, 5);
    CHECK_OK(close(fd));
}

static const struct vsock_case cases[] = {
    { "host to itself", named_server, host_to_itself, 0, 0, false },
    { "not sent", not_sent, not_sent, 0, 0, false },
    { "guest to host", named_server, guest_to_host, VSOCK_HOST, GUEST, false },
    { "host to guest", named_server, host_to_guest, GUEST, VSOCK_HOST, false },
    { "guest to itself", named_server, guest_to_itself, GUEST, GUEST, false },
    { "guest to guest", named_server, guest_to_guest, OTHER_GUEST, GUEST, false },
    { "ports", own_ports, own_ports, VSOCK_HOST, GUEST, false },
    { "heirs, host", heirs_server, heirs_client, VSOCK_HOST, GUEST, false },
    { "heirs, guest", heirs_server, heirs_client, GUEST, VSOCK_HOST, false },
};

VSOCK_MAIN(cases)
