/*
 * Proves (in the emulator only): the order of bind's errors on AF_VSOCK; port 0 is an ordinary,
 * privileged port; the wildcard counts on by one and skips what is taken, 24 times; one port is
 * taken for both types and, with any CID on either side, for all CIDs; SO_REUSEADDR changes nothing
 * and close frees a port at once.
 *
 * Rows: 7.3 "1 address invalid", 7.3 "2 already bound", 7.3 "3 CID not local",
 * 7.3 "4 port <= 1023 without CAP_NET_BIND_SERVICE", 7.3 "5 port taken", 7.3 "Port 0",
 * 7.3 "Wildcard is 0xffffffff", 7.3 "A bind to ANY reads back cid 0xffffffff",
 * 7.3 "closing the listener frees the port at once", 7.4 "no port",
 * 7.3 "A connected socket that was bound explicitly keeps its port", 7.2 "VMADDR_CID_ANY",
 * 7.2 "0 and anything else"
 */
#include "vsock.h"

#include <linux/capability.h>

static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
static const uint32_t cids[] = { VMADDR_CID_ANY, VMADDR_CID_LOCAL, VMADDR_CID_HOST };

/* Of this thread; false when it hadn't the capability. */
static bool set_bind_capability(bool on)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2];
    const uint32_t bit = 1u << CAP_NET_BIND_SERVICE;
    CHECK_OK(syscall(SYS_capget, &header, data));
    bool had = data[0].effective & bit;
    if (on && !(data[0].permitted & bit)) {
        return false;
    }
    data[0].effective = on ? data[0].effective | bit : data[0].effective & ~bit;
    CHECK_OK(syscall(SYS_capset, &header, data));
    return had;
}

/* A port that is free for every CID; another bind of the session may not take it meanwhile. */
static uint32_t free_port(void)
{
    int fd = vsock_socket(SOCK_STREAM);
    CHECK_OK(vsock_bind(fd, VMADDR_CID_ANY, VMADDR_PORT_ANY));
    uint32_t port = vsock_port(fd);
    CHECK_OK(close(fd));
    return port;
}

static void order_of_errors(int type)
{
    static const uint32_t foreign[] = { 0, 3, 4, 77, 0x7fffffff, 0xfffffffe };
    const struct sockaddr_vm wrong = { .svm_family = AF_UNIX };
    int fd = vsock_socket(type);
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        CHECK_ERR(EADDRNOTAVAIL, vsock_bind(fd, foreign[i], VMADDR_PORT_ANY));
        CHECK_ERR(EADDRNOTAVAIL, vsock_bind(fd, foreign[i], 80));
    }
    CHECK_NAME(VMADDR_CID_ANY, VMADDR_PORT_ANY, fd);
    CHECK_OK(vsock_bind(fd, VMADDR_CID_HOST, VMADDR_PORT_ANY));
    uint32_t port = vsock_port(fd);
    CHECK_NAME(VMADDR_CID_HOST, port, fd);
    CHECK_ERR(EINVAL, vsock_bind(fd, VMADDR_CID_HOST, VMADDR_PORT_ANY));
    CHECK_ERR(EINVAL, vsock_bind(fd, 77, 80)); /* before the CID is judged */
    CHECK_ERR(EINVAL, bind(fd, (const struct sockaddr *)&wrong, sizeof wrong));
    int other = vsock_socket(type);
    CHECK_ERR(EADDRNOTAVAIL, vsock_bind(other, 77, port)); /* before the port is */
    CHECK_ERR(EADDRINUSE, vsock_bind(other, VMADDR_CID_HOST, port));
    CHECK_OK(vsock_bind(other, VMADDR_CID_LOCAL, port)); /* a failure binds nothing */
    CHECK_OK(close(other));
    CHECK_OK(close(fd));
}

static void privileged_ports(int type)
{
    static const uint32_t ports[] = { 0, 1, 80, 1023 };
    bool had = set_bind_capability(false);
    for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
        int fd = vsock_socket(type);
        CHECK_ERR(EACCES, vsock_bind(fd, VMADDR_CID_ANY, ports[i]));
        CHECK_ERR(EACCES, vsock_bind(fd, VMADDR_CID_LOCAL, ports[i]));
        CHECK_ERR(EADDRNOTAVAIL, vsock_bind(fd, 77, ports[i]));
        CHECK_NAME(VMADDR_CID_ANY, VMADDR_PORT_ANY, fd);
        if (had) {
            set_bind_capability(true);
            CHECK_OK(vsock_bind(fd, VMADDR_CID_ANY, ports[i]));
            CHECK_NAME(VMADDR_CID_ANY, ports[i], fd);
            set_bind_capability(false);
            int other = vsock_socket(type); /* EACCES comes before EADDRINUSE */
            CHECK_ERR(EACCES, vsock_bind(other, VMADDR_CID_ANY, ports[i]));
            CHECK_OK(close(other));
        }
        CHECK_OK(close(fd));
    }
    int fd = vsock_socket(type);
    CHECK_OK(vsock_bind(fd, VMADDR_CID_ANY, 1024));
    CHECK_NAME(VMADDR_CID_ANY, 1024, fd);
    CHECK_OK(close(fd));
    if (had) {
        set_bind_capability(true);
    }
}

static void errors_server(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        order_of_errors(types[i]);
        privileged_ports(types[i]);
    }
    vsock_say(side, 1);
}

static void errors_client(struct vsock_side *side)
{
    CHECK_EQ(1, vsock_hear(side)); /* ports below 1024 are too few for both at once */
    errors_server(side);
}

static void errors_first(struct vsock_side *side)
{
    errors_server(side);
    CHECK_EQ(1, vsock_hear(side));
}

/* Each side in turn binds the wildcard: one counter for all processes of a machine. */
static void wildcard(struct vsock_side *side, bool first)
{
    enum { TURNS = 20 };
    int fds[TURNS];
    uint32_t before = 0;
    for (int i = 0; i < TURNS; i++) {
        if ((i % 2 == 0) == first) {
            fds[i] = vsock_socket(types[i / 2 % 2]);
            CHECK_OK(vsock_bind(fds[i], cids[i % 3], VMADDR_PORT_ANY));
            uint32_t port = vsock_port(fds[i]);
            CHECK_NAME(cids[i % 3], port, fds[i]);
            CHECK(port > 1023 && port != VMADDR_PORT_ANY);
            if (i > 0) {
                CHECK_EQ(before + 1, port);
            }
            before = port;
            vsock_say(side, port);
        } else {
            fds[i] = -1;
            before = vsock_hear(side);
        }
    }
    for (int i = 0; i < TURNS; i++) {
        CHECK(fds[i] < 0 || close(fds[i]) == 0);
    }
    vsock_meet(side);
}

static void wildcard_server(struct vsock_side *side)
{
    wildcard(side, true);
}

static void wildcard_client(struct vsock_side *side)
{
    wildcard(side, false);
}

/* The server holds the next 24 ports; the client has to go past them. */
static void drained_server(struct vsock_side *side)
{
    enum { TRIES = 24 }; /* MAX_PORT_RETRIES of af_vsock.c */
    int fds[TRIES];
    uint32_t port = vsock_hear(side);
    for (int i = 0; i < TRIES; i++) {
        fds[i] = vsock_socket(types[i % 2]);
        CHECK_OK(vsock_bind(fds[i], cids[i % 3], port + 1 + (uint32_t)i));
    }
    vsock_say(side, TRIES);
    vsock_meet(side); /* the client has tried */
    for (int i = 0; i < TRIES; i++) {
        CHECK_OK(close(fds[i]));
    }
    vsock_meet(side);
}

static void drained_client(struct vsock_side *side)
{
    uint32_t port = free_port();
    vsock_say(side, port);
    uint32_t tries = vsock_hear(side);
    int fd = vsock_socket(SOCK_STREAM);
    CHECK_ERR(EADDRNOTAVAIL, vsock_bind(fd, VMADDR_CID_ANY, VMADDR_PORT_ANY));
    CHECK_NAME(VMADDR_CID_ANY, VMADDR_PORT_ANY, fd);
    CHECK_OK(vsock_bind(fd, VMADDR_CID_ANY, VMADDR_PORT_ANY)); /* 24 further on */
    CHECK_NAME(VMADDR_CID_ANY, port + tries + 1, fd);
    CHECK_OK(close(fd));
    vsock_meet(side);
    vsock_meet(side);
}

/* connect() binds by the same rule, and has no other error for it. */
static void no_port_client(struct vsock_side *side)
{
    enum { TRIES = 24 };
    int fds[TRIES];
    uint32_t port = free_port();
    for (int i = 0; i < TRIES; i++) {
        fds[i] = vsock_socket(SOCK_SEQPACKET);
        CHECK_OK(vsock_bind(fds[i], VMADDR_CID_ANY, port + 1 + (uint32_t)i));
    }
    int fd = vsock_socket(SOCK_STREAM | SOCK_NONBLOCK);
    CHECK_ERR(EADDRNOTAVAIL, vsock_connect(fd, VMADDR_CID_LOCAL, port));
    CHECK_NAME(VMADDR_CID_ANY, VMADDR_PORT_ANY, fd);
    CHECK_ERR(EINPROGRESS, vsock_connect(fd, VMADDR_CID_LOCAL, port));
    CHECK_NAME(VMADDR_CID_ANY, port + TRIES + 1, fd);
    CHECK_ERR(EINVAL, vsock_bind(fd, VMADDR_CID_ANY, VMADDR_PORT_ANY)); /* bound by connect */
    CHECK_OK(close(fd));
    for (int i = 0; i < TRIES; i++) {
        CHECK_OK(close(fds[i]));
    }
    vsock_say(side, 0);
}

static void no_port_server(struct vsock_side *side)
{
    CHECK_EQ(0, vsock_hear(side));
}

static bool conflict(uint32_t a, uint32_t b)
{
    return a == b || a == VMADDR_CID_ANY || b == VMADDR_CID_ANY;
}

static void taken_server(struct vsock_side *side)
{
    for (int i = 0; i < 6; i++) {
        int fd = vsock_socket(types[i % 2]);
        CHECK_OK(vsock_bind(fd, cids[i / 2], VMADDR_PORT_ANY));
        vsock_set_int(fd, SO_REUSEADDR, 1);
        if (i % 2 == 0) {
            CHECK_OK(listen(fd, 1));
        }
        vsock_say(side, vsock_port(fd));
        vsock_meet(side); /* the client has tried */
        CHECK_OK(close(fd));
        vsock_meet(side);
    }
}

static void taken_client(struct vsock_side *side)
{
    for (int i = 0; i < 6; i++) {
        uint32_t port = vsock_hear(side);
        for (int j = 0; j < 6; j++) {
            int fd = vsock_socket(types[j % 2]);
            vsock_set_int(fd, SO_REUSEADDR, 1);
            if (conflict(cids[i / 2], cids[j / 2])) {
                CHECK_ERR(EADDRINUSE, vsock_bind(fd, cids[j / 2], port));
                CHECK_NAME(VMADDR_CID_ANY, VMADDR_PORT_ANY, fd);
            } else {
                CHECK_OK(vsock_bind(fd, cids[j / 2], port));
            }
            CHECK_OK(close(fd));
        }
        vsock_meet(side);
        vsock_meet(side); /* closed: free at once */
        int fd = vsock_socket(SOCK_STREAM);
        CHECK_OK(vsock_bind(fd, VMADDR_CID_ANY, port));
        CHECK_OK(close(fd));
    }
}

/* A bound client's port: taken while it is connected, free when the server has read all. */
static void kept_server(struct vsock_side *side)
{
    int fd = vsock_answer(side, SOCK_STREAM);
    CHECK_EQ(1, read(fd, &(char){ 0 }, 1));
    vsock_meet(side);
    vsock_meet(side); /* the client has closed, and has its port again */
    CHECK_EQ(0, read(fd, &(char){ 0 }, 1));
    CHECK_OK(close(fd));
}

static void kept_client(struct vsock_side *side)
{
    uint32_t port = vsock_hear(side), own = free_port();
    int fd = vsock_socket(SOCK_STREAM), again = vsock_socket(SOCK_STREAM);
    CHECK_OK(vsock_bind(fd, VMADDR_CID_ANY, own));
    CHECK_OK(vsock_connect(fd, side->peer_cid, port));
    vsock_meet(side);
    CHECK_NAME(VMADDR_CID_ANY, own, fd);
    CHECK_EQ(1, write(fd, "x", 1));
    vsock_meet(side);
    CHECK_ERR(EADDRINUSE, vsock_bind(again, VMADDR_CID_ANY, own));
    CHECK_OK(close(fd));
    CHECK_OK(vsock_bind(again, VMADDR_CID_ANY, own));
    vsock_meet(side);
    CHECK_OK(close(again));
}

static const struct vsock_case cases[] = {
    { "errors", errors_first, errors_client, 0, 0, false },
    { "wildcard", wildcard_server, wildcard_client, 0, 0, false },
    { "24 tries", drained_server, drained_client, 0, 0, false },
    { "no port", no_port_server, no_port_client, 0, 0, false },
    { "taken", taken_server, taken_client, 0, 0, false },
    { "kept", kept_server, kept_client, 0, 0, false },
};

VSOCK_MAIN(cases)
