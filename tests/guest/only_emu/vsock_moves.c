/*
 * Proves (in the emulator only): AF_VSOCK data by every call that moves some: read and write,
 * vectors, messages one by one and many at once, stdio, sendfile and splice; calls that don't fit a
 * socket fail as on any socket.
 *
 * Rows: 7.5 "Non-blocking write: min(n, capacity)", 7.5 "Receive order", 7.8 "SEQPACKET:
 * since 5.14"
 */
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "vsock.h"

static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
enum { PIECE = 1000, PIECES = 8 };

enum how { BY_WRITE, BY_WRITEV, BY_SEND, BY_SENDTO, BY_SENDMSG, BY_SENDMMSG, BY_DPRINTF, HOWS };

/* One piece of the pattern, in two halves where the call has vectors. */
static void put(int fd, enum how how, uint64_t position)
{
    char bytes[PIECE];
    struct iovec halves[] = { { bytes, 300 }, { bytes + 300, PIECE - 300 } };
    struct mmsghdr message = { .msg_hdr = { .msg_iov = halves, .msg_iovlen = 2 } };
    guest_pattern_fill(bytes, sizeof bytes, position);
    switch (how) {
    case BY_WRITE: CHECK_EQ(PIECE, write(fd, bytes, PIECE)); break;
    case BY_WRITEV: CHECK_EQ(PIECE, writev(fd, halves, 2)); break;
    case BY_SEND: CHECK_EQ(PIECE, send(fd, bytes, PIECE, 0)); break;
    case BY_SENDTO: CHECK_EQ(PIECE, sendto(fd, bytes, PIECE, MSG_NOSIGNAL, NULL, 0)); break;
    case BY_SENDMSG: CHECK_EQ(PIECE, sendmsg(fd, &message.msg_hdr, 0)); break;
    case BY_SENDMMSG:
        CHECK_EQ(1, sendmmsg(fd, &message, 1, 0));
        CHECK_EQ(PIECE, message.msg_len);
        break;
    default:
        for (int i = 0; i < PIECE; i++) { /* no zeroes in text */
            bytes[i] = bytes[i] == 0 ? 'z' : bytes[i];
        }
        CHECK_EQ(PIECE, dprintf(fd, "%.*s", PIECE, bytes));
    }
}

static void get(int fd, enum how how, uint64_t position)
{
    char bytes[PIECE];
    struct iovec halves[] = { { bytes, 700 }, { bytes + 700, PIECE - 700 } };
    struct mmsghdr message = { .msg_hdr = { .msg_iov = halves, .msg_iovlen = 2 } };
    switch (how) {
    case BY_WRITEV: CHECK_EQ(PIECE, readv(fd, halves, 2)); break;
    case BY_SEND: CHECK_EQ(PIECE, recv(fd, bytes, PIECE, MSG_WAITALL)); break;
    case BY_SENDTO: CHECK_EQ(PIECE, recvfrom(fd, bytes, PIECE, 0, NULL, NULL)); break;
    case BY_SENDMSG: CHECK_EQ(PIECE, recvmsg(fd, &message.msg_hdr, 0)); break;
    case BY_SENDMMSG:
        CHECK_EQ(1, recvmmsg(fd, &message, 1, 0, NULL));
        CHECK_EQ(PIECE, message.msg_len);
        break;
    default: CHECK_EQ(PIECE, read(fd, bytes, PIECE));
    }
    if (how != BY_DPRINTF) {
        guest_pattern_check(bytes, PIECE, position);
    }
}

static void each_server(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        int fd = vsock_answer(side, types[i]);
        for (int how = 0; how < HOWS; how++) {
            put(fd, (enum how)how, (uint64_t)how * PIECE);
        }
        vsock_meet(side);
        CHECK_OK(close(fd));
    }
}

static void each_client(struct vsock_side *side)
{
    for (int i = 0; i < 2; i++) {
        int fd = vsock_dial(side, types[i]);
        vsock_meet(side);
        for (int how = 0; how < HOWS; how++) {
            get(fd, (enum how)how, (uint64_t)how * PIECE);
        }
        CHECK_EQ(0, read(fd, (char[1]){ 0 }, 1));
        CHECK_OK(close(fd));
    }
}

/* Many messages in one call: as many as there are, and the end of the stream fills the rest. */
static void many_server(struct vsock_side *side)
{
    static const char text[] = "abcdefghijklmnop";
    struct iovec vectors[PIECES];
    struct mmsghdr messages[PIECES];
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < PIECES; i++) {
        vectors[i] = (struct iovec){ (void *)(uintptr_t)text, (size_t)i + 1 };
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    int fd = vsock_answer(side, SOCK_SEQPACKET);
    CHECK_EQ(PIECES, sendmmsg(fd, messages, PIECES, 0));
    for (int i = 0; i < PIECES; i++) {
        CHECK_EQ(i + 1, messages[i].msg_len);
    }
    vsock_meet(side);
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static void many_client(struct vsock_side *side)
{
    char bytes[PIECES + 2][32];
    struct iovec vectors[PIECES + 2];
    struct mmsghdr messages[PIECES + 2];
    memset(messages, 0, sizeof messages);
    memset(bytes, 0, sizeof bytes);
    for (int i = 0; i < PIECES + 2; i++) {
        vectors[i] = (struct iovec){ bytes[i], sizeof bytes[i] };
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    int fd = vsock_dial(side, SOCK_SEQPACKET);
    vsock_meet(side);
    CHECK_EQ(PIECES, recvmmsg(fd, messages, PIECES + 2, MSG_DONTWAIT, NULL));
    for (int i = 0; i < PIECES; i++) {
        CHECK_EQ(i + 1, messages[i].msg_len);
        CHECK_MEM("abcdefghijklmnop", bytes[i], (size_t)i + 1);
    }
    CHECK_ERR(EAGAIN, recvmmsg(fd, messages, PIECES, MSG_DONTWAIT, NULL));
    vsock_meet(side);
    CHECK_EQ(PIECES, recvmmsg(fd, messages, PIECES, 0, NULL));
    CHECK_EQ(0, messages[PIECES - 1].msg_len);
    CHECK_OK(close(fd));
}

/* Line by line through stdio, both ways over two streams of one socket. */
static void stdio_server(struct vsock_side *side)
{
    char line[100];
    int fd = vsock_answer(side, SOCK_STREAM), other = (int)CHECK_OK(dup(fd));
    FILE *in = fdopen(fd, "r"), *out = fdopen(other, "w");
    CHECK(in != NULL && out != NULL);
    for (int i = 0; fgets(line, sizeof line, in) != NULL; i++) {
        int number = -1;
        CHECK_EQ(1, sscanf(line, "line %d\n", &number));
        CHECK_EQ(i, number);
        CHECK(fprintf(out, "%d: %s", i, line) > 0);
        CHECK_EQ(0, fflush(out));
    }
    CHECK(feof(in));
    CHECK_EQ(0, fclose(out));
    CHECK_EQ(0, fclose(in));
}

static void stdio_client(struct vsock_side *side)
{
    char line[100], wanted[100];
    int fd = vsock_dial(side, SOCK_STREAM);
    FILE *both = fdopen(fd, "r+");
    CHECK(both != NULL);
    for (int i = 0; i < 200; i++) {
        CHECK(fprintf(both, "line %d\n", i) > 0);
        CHECK_EQ(0, fflush(both));
        CHECK(fgets(line, sizeof line, both) != NULL);
        snprintf(wanted, sizeof wanted, "%d: line %d\n", i, i);
        CHECK_STR(wanted, line);
    }
    CHECK_EQ(0, fclose(both));
}

/* From a file to the socket, from the socket to a pipe, and from a pipe to the socket. */
enum { FILE_SIZE = 100000 };

static void splice_server(struct vsock_side *side)
{
    int fd = vsock_answer(side, SOCK_STREAM), ends[2];
    int file = (int)CHECK_OK(memfd_create("data", MFD_CLOEXEC));
    off_t offset = 0;
    uint64_t position = 0;
    vsock_send_pattern(file, FILE_SIZE, &position);
    while (offset < FILE_SIZE) {
        CHECK(CHECK_OK(sendfile(fd, file, &offset, FILE_SIZE)) > 0);
    }
    guest_pipe(ends);
    CHECK_EQ(8, write(ends[1], "by pipe.", 8));
    CHECK_EQ(8, splice(ends[0], NULL, fd, NULL, 8, 0));
    guest_close_both(ends);
    CHECK_OK(close(file));
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static void splice_client(struct vsock_side *side)
{
    char bytes[16];
    uint64_t position = 0;
    int fd = vsock_dial(side, SOCK_STREAM), ends[2];
    guest_pipe(ends);
    vsock_receive_pattern(fd, FILE_SIZE, &position);
    CHECK_EQ(3, recv(fd, bytes, 3, MSG_WAITALL));
    CHECK_MEM("by ", bytes, 3);
    CHECK_EQ(5, splice(fd, NULL, ends[1], NULL, 100, 0));
    CHECK_EQ(5, read(ends[0], bytes, sizeof bytes));
    CHECK_MEM("pipe.", bytes, 5);
    guest_close_both(ends);
    vsock_meet(side);
    CHECK_EQ(0, read(fd, bytes, sizeof bytes));
    CHECK_OK(close(fd));
}

static void misfits(struct vsock_side *side, int fd)
{
    char bytes[8];
    struct iovec vector = { bytes, 8 };
    CHECK_ERR(ESPIPE, lseek(fd, 0, SEEK_CUR));
    CHECK_ERR(ESPIPE, pread(fd, bytes, 8, 0));
    CHECK_ERR(ESPIPE, pwrite(fd, bytes, 8, 0));
    CHECK_ERR(ESPIPE, preadv(fd, &vector, 1, 0));
    CHECK_ERR(EINVAL, ftruncate(fd, 0));
    CHECK_ERR(EINVAL, fsync(fd));
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
    CHECK_EQ(ENODEV, errno);
    vector.iov_len = (size_t)-1;
    CHECK_ERR(EINVAL, readv(fd, &vector, 1));
    CHECK_ERR(EINVAL, writev(fd, &vector, 1));
    CHECK_EQ(0, readv(fd, &vector, 0));
    CHECK_BITS(VSOCK_OUT, fd);
    vsock_meet(side);
    CHECK_OK(close(fd));
}

static void misfits_server(struct vsock_side *side)
{
    misfits(side, vsock_answer(side, SOCK_STREAM));
}

static void misfits_client(struct vsock_side *side)
{
    misfits(side, vsock_dial(side, SOCK_STREAM));
}

static const struct vsock_case cases[] = {
    { "each call", each_server, each_client, 0, 0, false },
    { "many messages", many_server, many_client, 0, 0, false },
    { "stdio", stdio_server, stdio_client, 0, 0, false },
    { "splice", splice_server, splice_client, 0, 0, false },
    { "misfits", misfits_server, misfits_client, 0, 0, false },
};

VSOCK_MAIN(cases)
