/*
 * Proves (in the emulator only): an AF_VSOCK connection that goes to the kernel (sendfile, splice
 * into it) keeps what was unread, in its order: a stream of many small writes, a record that was
 * sent in pieces; and it keeps its names and its family, on both sides.
 */
#include "vsock.h"

#include <sys/mman.h>
#include <sys/sendfile.h>

enum { SMALL = 100, SMALL_COUNT = 1500, FILE_SIZE = 20000 };

static void check_family(int fd)
{
    int domain = -1;
    uint64_t size = 0;
    socklen_t length = sizeof domain;
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length));
    CHECK_EQ(AF_VSOCK, domain);
    length = sizeof size;
    CHECK_OK(getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &size, &length));
    CHECK_EQ(VSOCK_CREDIT, size);
    CHECK_OK(vsock_name_of(fd, false).svm_port);
    CHECK_OK(vsock_name_of(fd, true).svm_port);
}

static void stream_server(struct vsock_side *side)
{
    char bytes[FILE_SIZE];
    int fd = vsock_answer(side, SOCK_STREAM);
    int file = (int)CHECK_OK(memfd_create("file", MFD_CLOEXEC));
    uint64_t position = 0;
    for (int i = 0; i < SMALL_COUNT; i++) {
        vsock_send_pattern(fd, SMALL, &position);
    }
    guest_pattern_fill(bytes, sizeof bytes, position);
    CHECK_EQ(FILE_SIZE, pwrite(file, bytes, sizeof bytes, 0));
    CHECK_EQ(FILE_SIZE, sendfile(fd, file, &(off_t){ 0 }, FILE_SIZE));
    check_family(fd);
    vsock_meet(side);
    CHECK_EQ(1, read(fd, bytes, 1));
    CHECK_OK(close(file));
    CHECK_OK(close(fd));
}

static void stream_client(struct vsock_side *side)
{
    int fd = vsock_dial(side, SOCK_STREAM);
    uint64_t position = 0;
    vsock_meet(side);
    check_family(fd);
    vsock_receive_pattern(fd, SMALL * SMALL_COUNT + FILE_SIZE, &position);
    CHECK_EQ(1, write(fd, "x", 1));
    CHECK_EQ(0, read(fd, &(char){ 0 }, 1));
    CHECK_OK(close(fd));
}

enum { FIRST = 200000, SECOND = 100000, THIRD = 10 };

static void pieces_server(struct vsock_side *side)
{
    static _Thread_local char bytes[FIRST];
    int ends[2];
    int fd = vsock_answer(side, SOCK_SEQPACKET);
    guest_pipe(ends);
    CHECK_EQ(2, write(ends[1], "zz", 2));
    CHECK_EQ(FIRST, send(fd, bytes, FIRST, MSG_DONTWAIT));
    CHECK_ERR(EAGAIN, send(fd, bytes, SECOND, MSG_DONTWAIT)); /* a piece of it is sent */
    vsock_meet(side);
    vsock_meet(side);
    CHECK_EQ(THIRD, send(fd, bytes, THIRD, MSG_DONTWAIT));
    CHECK_EQ(2, splice(ends[0], NULL, fd, NULL, 2, 0));
    vsock_meet(side);
    vsock_meet(side);
    guest_close_both(ends);
    CHECK_OK(close(fd));
}

static void pieces_client(struct vsock_side *side)
{
    static _Thread_local char bytes[VSOCK_CREDIT];
    int fd = vsock_dial(side, SOCK_SEQPACKET);
    vsock_meet(side);
    CHECK_EQ(FIRST, recv(fd, bytes, sizeof bytes, 0));
    vsock_meet(side);
    vsock_meet(side);
    check_family(fd);
    CHECK_EQ(VSOCK_CREDIT - FIRST + THIRD, recv(fd, bytes, sizeof bytes, 0));
    CHECK_EQ(2, recv(fd, bytes, sizeof bytes, 0));
    vsock_meet(side);
    CHECK_EQ(0, recv(fd, bytes, sizeof bytes, 0));
    CHECK_OK(close(fd));
}

static const struct vsock_case cases[] = {
    { "stream", stream_server, stream_client, 0, 0, false },
    { "pieces", pieces_server, pieces_client, 0, 0, false },
};

VSOCK_MAIN(cases)
