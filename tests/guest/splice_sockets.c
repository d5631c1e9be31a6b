/*
 * Proves: what a splice between a pipe and an AF_UNIX socket moves at once: each piece of a
 * message's memory is a slot (how long the pieces of a long one are depends on the machine), a
 * splice into a socket is one message of at most 16 slots, charged by its bytes; records stay
 * records; what was spliced in can be read, spliced on and teed.
 *
 * Rows: 2.7 "socket -> pipe, nothing to read", 2.7 "A slot moved whole by splice keeps its
 * mergeable flag"
 */
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "guest.h"

static char buffer[300000];

static int charged(int fd)
{
    int charge = -1;
    CHECK_OK(ioctl(fd, SIOCOUTQ, &charge));
    return charge;
}

static int slots_free(int writer)
{
    int count = 0;
    CHECK_OK(fcntl(writer, F_SETFL, O_NONBLOCK | O_DIRECT));
    while (write(writer, "x", 1) == 1) {
        count++;
    }
    return count;
}

static void make(int type, int pipe_fds[2], int pair[2])
{
    CHECK_OK(pipe2(pipe_fds, O_NONBLOCK));
    CHECK_OK(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, pair));
}

static void messages_become_slots(void)
{
    static const struct {
        size_t size;
        int slots; /* at least */
    } sizes[] = { { 1, 1 },    { 3776, 1 },  { 3777, 1 },  { 8192, 1 },
                  { 8191, 1 }, { 20000, 2 }, { 36544, 2 }, { 12288, 1 } };
    int pipe_fds[2], pair[2];
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        make(SOCK_STREAM, pipe_fds, pair);
        CHECK_EQ(sizes[i].size, write(pair[0], buffer, sizes[i].size));
        CHECK_EQ(sizes[i].size, splice(pair[1], NULL, pipe_fds[1], NULL, 1 << 20, 0));
        int used = 16 - slots_free(pipe_fds[1]);
        CHECK(used >= sizes[i].slots && (size_t)used <= sizes[i].size / 4096 + 1);
        CHECK_EQ(sizes[i].size, splice(pipe_fds[0], NULL, pair[0], NULL, sizes[i].size, 0));
        CHECK_EQ(768 + sizes[i].size, charged(pair[0]));
        CHECK_EQ(sizes[i].size, read(pair[1], buffer, sizeof buffer));
        guest_pattern_check(buffer, sizes[i].size, 0);
        guest_close_both(pipe_fds);
        guest_close_both(pair);
    }
}

static void many_and_large(void)
{
    int pipe_fds[2], pair[2];
    make(SOCK_STREAM, pipe_fds, pair);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(10, write(pair[0], buffer + 10 * i, 10));
    }
    CHECK_EQ(160, splice(pair[1], NULL, pipe_fds[1], NULL, 1 << 20, 0));
    CHECK_ERR(EAGAIN, splice(pair[1], NULL, pipe_fds[1], NULL, 1 << 20, 0));
    CHECK_EQ(160, splice(pipe_fds[0], NULL, pair[1], NULL, 1 << 20, 0)); /* one message of 16 */
    CHECK_EQ(768 + 160, charged(pair[1]));
    CHECK_EQ(160, read(pair[0], buffer, 200));
    CHECK_EQ(40, read(pair[1], buffer + 160, 200));
    guest_pattern_check(buffer, 200, 0);
    guest_pattern_fill(buffer, sizeof buffer, 0);
    CHECK_EQ(200000, write(pair[0], buffer, 100000) + write(pair[0], buffer + 100000, 100000));
    size_t moved = 0;
    for (ssize_t got; (got = splice(pair[1], NULL, pipe_fds[1], NULL, 1 << 20, 0)) > 0;) {
        moved += (size_t)got;
    }
    CHECK(moved >= 65536 && moved < 200000); /* 16 slots, some are longer than a page */
    CHECK_EQ(moved, guest_read_all(pipe_fds[0], buffer, moved));
    CHECK_EQ(200000 - moved, guest_read_all(pair[1], buffer + moved, 200000 - moved));
    guest_pattern_check(buffer, 200000, 0);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(65536, write(pipe_fds[1], buffer, 65536));
        CHECK_EQ(65536, splice(pipe_fds[0], NULL, pair[0], NULL, 1 << 20, 0));
        CHECK_EQ((i + 1) * (768 + 65536), charged(pair[0]));
    }
    CHECK_EQ(3, write(pipe_fds[1], "end", 3));
    CHECK_ERR(EAGAIN, splice(pipe_fds[0], NULL, pair[0], NULL, 3, 0));
    guest_close_both(pipe_fds);
    guest_close_both(pair);
}

/* Slots longer than a page are written around, resized, teed and merged behind. */
static void long_slots(void)
{
    int pipe_fds[2], other[2], pair[2];
    make(SOCK_STREAM, pipe_fds, pair);
    CHECK_OK(pipe2(other, O_NONBLOCK));
    CHECK_EQ(36544, write(pair[0], buffer, 36544));
    CHECK_EQ(36544, splice(pair[1], NULL, pipe_fds[1], NULL, 1 << 20, 0));
    size_t size = 36544;
    while (write(pipe_fds[1], buffer + size, 4096) == 4096) {
        size += 4096;
    }
    CHECK_EQ(size, tee(pipe_fds[0], other[1], 1 << 20, 0));
    CHECK_EQ(131072, fcntl(pipe_fds[1], F_SETPIPE_SZ, 131072));
    CHECK_EQ(65536, write(pipe_fds[1], buffer + size, 65536));
    size += 65536;
    CHECK_EQ(size - 65536, guest_read_all(other[0], buffer, size - 65536));
    guest_pattern_check(buffer, size - 65536, 0);
    CHECK_EQ(10000, read(pipe_fds[0], buffer, 10000));
    size_t moved = (size_t)CHECK_OK(splice(pipe_fds[0], NULL, other[1], NULL, 1 << 20, 0));
    CHECK(moved > 40000);
    CHECK_EQ(moved, guest_read_all(other[0], buffer + 10000, moved));
    moved += 10000;
    CHECK_EQ(size - moved, guest_read_all(pipe_fds[0], buffer + moved, size - moved));
    guest_pattern_check(buffer, size, 0);
    guest_close_both(pipe_fds);
    guest_close_both(other);
    guest_close_both(pair);
}

static void records(void)
{
    int pipe_fds[2], pair[2];
    int file = (int)CHECK_OK(memfd_create("file", MFD_CLOEXEC));
    off_t offset = 4000;
    CHECK_OK(ftruncate(file, 200000));
    make(SOCK_SEQPACKET, pipe_fds, pair);
    CHECK_EQ(300, write(pipe_fds[1], buffer, 100) + write(pipe_fds[1], buffer, 200));
    CHECK_EQ(100, splice(pipe_fds[0], NULL, pair[0], NULL, 100, 0));
    CHECK_EQ(200, splice(pipe_fds[0], NULL, pair[0], NULL, 1000, 0));
    CHECK_EQ(50, splice(pair[1], NULL, pipe_fds[1], NULL, 50, 0)); /* the rest is thrown away */
    CHECK_EQ(200, splice(pair[1], NULL, pipe_fds[1], NULL, 1000, 0));
    CHECK_EQ(250, read(pipe_fds[0], buffer, 1000));
    CHECK_ERR(EAGAIN, splice(pair[1], NULL, pipe_fds[1], NULL, 1000, 0));
    CHECK_EQ(100000, sendfile(pair[0], file, &offset, 100000));
    CHECK_EQ(104000, offset);
    CHECK_EQ(61536, recv(pair[1], buffer, sizeof buffer, 0)); /* 16 pages, the first in part */
    CHECK_EQ(38464, recv(pair[1], buffer, sizeof buffer, 0));
    CHECK_OK(close(file));
    guest_close_both(pipe_fds);
    guest_close_both(pair);
}

int main(void)
{
    guest_start();
    guest_pattern_fill(buffer, sizeof buffer, 0);
    messages_become_slots();
    guest_pattern_fill(buffer, sizeof buffer, 0);
    many_and_large();
    guest_pattern_fill(buffer, sizeof buffer, 0);
    long_slots();
    records();
    return guest_end();
}
