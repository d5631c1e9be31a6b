/*
 * Proves (in the emulator only): what bind and connect accept as an address of AF_VSOCK (length,
 * family, flags, reserved bytes), and what the calls that return one store: 16 bytes, never more
 * than there is room for.
 *
 * Rows: 7.1 "addrlen < 16", 7.1 "family != 40, incl. AF_UNSPEC", 7.1 "flags other than 0x01",
 * 7.1 "reserved1, zero[] non-zero", 7.1 "getsockname/getpeername/accept"
 */
#include "vsock.h"

#include <stddef.h>

union any_address {
    struct sockaddr_vm vm;
    struct sockaddr plain;
    unsigned char bytes[256];
};

static void set(union any_address *address, uint32_t cid, uint32_t port)
{
    memset(address, 0, sizeof *address);
    address->vm = vsock_address(cid, port);
}

/* Both calls refuse the address; neither binds the socket on the way. */
static void refused(int type, const union any_address *address, socklen_t size)
{
    int fd = vsock_socket(type);
    CHECK_ERR(EINVAL, bind(fd, &address->plain, size));
    CHECK_ERR(EINVAL, connect(fd, &address->plain, size));
    CHECK_NAME(VMADDR_CID_ANY, VMADDR_PORT_ANY, fd);
    CHECK_BITS(VSOCK_OUT, fd);
    CHECK_OK(close(fd));
}

static void bound_with(int type, const union any_address *address, socklen_t size)
{
    int fd = vsock_socket(type);
    CHECK_OK(bind(fd, &address->plain, size));
    CHECK(vsock_port(fd) != VMADDR_PORT_ANY);
    CHECK_OK(close(fd));
}

static void layout(void)
{
    CHECK_EQ(16, sizeof(struct sockaddr_vm));
    CHECK_EQ(2, offsetof(struct sockaddr_vm, svm_reserved1));
    CHECK_EQ(4, offsetof(struct sockaddr_vm, svm_port));
    CHECK_EQ(8, offsetof(struct sockaddr_vm, svm_cid));
    CHECK_EQ(12, offsetof(struct sockaddr_vm, svm_zero) - sizeof(unsigned char));
}

static void validation(int type)
{
    static const socklen_t short_sizes[] = { 0, 1, 2, 8, 12, 15, 129, 256, 0x7fffffff };
    static const socklen_t good_sizes[] = { 16, 17, 110, 128 };
    static const int families[] = { AF_UNSPEC, AF_UNIX, AF_INET, AF_VSOCK - 1, AF_VSOCK + 1, 255 };
    union any_address address;

    for (size_t i = 0; i < sizeof short_sizes / sizeof *short_sizes; i++) {
        set(&address, VMADDR_CID_ANY, VMADDR_PORT_ANY);
        refused(type, &address, short_sizes[i]);
    }
    set(&address, VMADDR_CID_ANY, VMADDR_PORT_ANY);
    refused(type, &address, (socklen_t)-1);
    for (size_t i = 0; i < sizeof good_sizes / sizeof *good_sizes; i++) {
        set(&address, VMADDR_CID_ANY, VMADDR_PORT_ANY);
        memset(address.bytes + 16, 0x5a, 100);
        bound_with(type, &address, good_sizes[i]);
    }
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        set(&address, VMADDR_CID_ANY, VMADDR_PORT_ANY);
        address.vm.svm_family = (sa_family_t)families[i];
        refused(type, &address, 16);
    }
    for (int flags = 0; flags < 256; flags++) {
        set(&address, VMADDR_CID_ANY, VMADDR_PORT_ANY);
        address.bytes[12] = (unsigned char)flags;
        if (flags & ~1) { /* VMADDR_FLAG_TO_HOST is the one there is */
            refused(type, &address, 16);
        } else {
            bound_with(type, &address, 16);
        }
    }
    set(&address, VMADDR_CID_ANY, VMADDR_PORT_ANY);
    address.vm.svm_reserved1 = 0x1234;
    memset(address.bytes + 13, 0xff, 3);
    bound_with(type, &address, 16);
}

static void bad_pointers(int type)
{
    struct sockaddr_vm name;
    int fd = vsock_socket(type);
    CHECK_ERR(EFAULT, bind(fd, guest_bad_pointer(), 16));
    CHECK_ERR(EFAULT, connect(fd, guest_bad_pointer(), 16));
    CHECK_ERR(EINVAL, bind(fd, guest_bad_pointer(), 200)); /* the length is looked at first */
    CHECK_ERR(EFAULT, getsockname(fd, guest_bad_pointer(), &(socklen_t){ 16 }));
    CHECK_ERR(EFAULT, getsockname(fd, (struct sockaddr *)&name, guest_bad_pointer()));
    CHECK_ERR(EINVAL, getsockname(fd, (struct sockaddr *)&name, &(socklen_t){ (socklen_t)-1 }));
    CHECK_OK(close(fd));
}

/* As much as fits is stored; the length is that of the whole address. */
static void check_stored(int fd, bool peer, uint32_t cid, uint32_t port)
{
    const struct sockaddr_vm wanted = vsock_address(cid, port);
    for (socklen_t room = 0; room <= 20; room++) {
        unsigned char bytes[32];
        socklen_t size = room;
        socklen_t stored = room < 16 ? room : 16;
        memset(bytes, 0x5a, sizeof bytes);
        CHECK_OK((peer ? getpeername : getsockname)(fd, (struct sockaddr *)bytes, &size));
        CHECK_EQ(16, size);
        CHECK_MEM(&wanted, bytes, stored);
        CHECK_EQ(0x5a, bytes[stored]);
    }
}

static void one_sided(struct vsock_side *side)
{
    static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
    (void)side;
    layout();
    for (int i = 0; i < 2; i++) {
        validation(types[i]);
        bad_pointers(types[i]);
        int fd = vsock_socket(types[i]);
        check_stored(fd, false, VMADDR_CID_ANY, VMADDR_PORT_ANY);
        CHECK_NO_PEER(fd);
        CHECK_OK(close(fd));
    }
}

static void names_server(struct vsock_side *side)
{
    int listener = vsock_listen(side, SOCK_STREAM, 5);
    uint32_t port = vsock_port(listener);
    check_stored(listener, false, VMADDR_CID_ANY, port);
    for (socklen_t room = 0; room <= 20; room++) {
        unsigned char bytes[32];
        socklen_t size = room;
        socklen_t stored = room < 16 ? room : 16;
        memset(bytes, 0x5a, sizeof bytes);
        int fd = (int)CHECK_OK(accept(listener, (struct sockaddr *)bytes, &size));
        uint32_t client = vsock_hear(side);
        struct sockaddr_vm wanted = vsock_address(VMADDR_CID_LOCAL, client);
        CHECK_EQ(16, size);
        CHECK_MEM(&wanted, bytes, stored);
        CHECK_EQ(0x5a, bytes[stored]);
        check_stored(fd, false, side->own_cid, port);
        check_stored(fd, true, VMADDR_CID_LOCAL, client);
        vsock_meet(side);
        CHECK_OK(close(fd));
    }
    CHECK_OK(close(listener));
}

static void names_client(struct vsock_side *side)
{
    uint32_t port = vsock_hear(side);
    for (int i = 0; i <= 20; i++) {
        int fd = vsock_socket(SOCK_STREAM);
        CHECK_OK(vsock_connect(fd, side->peer_cid, port));
        vsock_say(side, vsock_port(fd));
        check_stored(fd, false, VMADDR_CID_ANY, vsock_port(fd));
        check_stored(fd, true, side->peer_cid, port);
        vsock_meet(side);
        CHECK_OK(close(fd));
    }
}

/* What is dialled is kept as it is, flags and all (vsock_connect() copies the whole address). */
static void dialled_server(struct vsock_side *side)
{
    int fd = vsock_answer(side, SOCK_STREAM);
    CHECK_PEER(VMADDR_CID_LOCAL, vsock_hear(side), fd);
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static void dialled_client(struct vsock_side *side)
{
    union any_address address, name;
    socklen_t size = sizeof name;
    int fd = vsock_socket(SOCK_STREAM);
    set(&address, side->peer_cid, vsock_hear(side));
    address.vm.svm_reserved1 = 0x1234;
    memset(address.bytes + 13, 0x77, 3);
    CHECK_OK(connect(fd, &address.plain, 128));
    vsock_meet(side);
    vsock_say(side, vsock_port(fd));
    memset(&name, 0x5a, sizeof name);
    CHECK_OK(getpeername(fd, &name.plain, &size));
    CHECK_EQ(16, size);
    CHECK_MEM(&address, &name, 16);
    CHECK_EQ(0x5a, name.bytes[16]);
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static const struct vsock_case cases[] = {
    { "validation", one_sided, one_sided, 0, 0, false },
    { "names", names_server, names_client, 0, 0, false },
    { "as dialled", dialled_server, dialled_client, 0, 0, false },
};

VSOCK_MAIN(cases)
