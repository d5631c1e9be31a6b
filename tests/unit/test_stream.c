/*
 * test_stream.c - AF_UNIX socket pairs: charges with two thresholds, ends, resets, records
 *
 * The byte charges are those of Linux 6.18 with 4 KiB pages (net/unix/af_unix.c, net/core/sock.c);
 * tests/conform proves the same rows on the kernel.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

#include "fixture.h"
#include "host_fake.h"

TestSuite(stream, .init = fixture_start, .fini = fixture_end);

static char data[1000000];
static int fds[2];

static int64_t put(size_t size)
{
    return emu_send(&self, fds[0], data, size, 0);
}

static int64_t get(size_t size)
{
    return emu_recv(&self, fds[1], data, size, 0);
}

static int take_error(int fd)
{
    int error = -1;
    socklen_t size = sizeof error;

    cr_assert_eq(emu_getsockopt(&self, fd, SOL_SOCKET, SO_ERROR, &error, &size), 0);
    return error;
}

struct row {
    size_t size;
    int64_t total;
    int reads; /* of the same size until POLLOUT */
};

static void check_rows(int type, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int reads = 0;

        fixture_pair(fds, type | SOCK_NONBLOCK);
        const int64_t total = fixture_fill(fds[0], rows[i].size);
        cr_expect_eq(total, rows[i].total, "writes of %zu: %lld, not %lld", rows[i].size,
                     (long long)total, (long long)rows[i].total);
        while (fixture_poll(fds[0], POLLOUT) == 0 && get(rows[i].size) > 0)
            reads++;
        if (rows[i].reads > 0)
            cr_expect_eq(reads, rows[i].reads, "writes of %zu: POLLOUT after %d reads, not %d",
                         rows[i].size, reads, rows[i].reads);
        fixture_close(fds);
    }
}

Test(stream, accepts_as_much_as_linux)
{
    static const struct row rows[] = {
        { 1, 278, 209 },       { 10, 2780, 209 },      { 100, 27800, 209 },  { 256, 42752, 126 },
        { 1024, 95232, 70 },   { 2048, 100352, 37 },   { 4096, 180224, 34 }, { 8192, 196608, 19 },
        { 16384, 212992, 10 }, { 32768, 229376, 6 },   { 65536, 233152, 3 }, { 100000, 236544, 0 },
        { 262144, 219264, 0 }, { 1000000, 219264, 0 },
    };

    check_rows(SOCK_STREAM, rows, sizeof rows / sizeof rows[0]);
}

Test(stream, accepts_as_many_records_as_linux)
{
    static const struct row rows[] = {
        { 1, 278, 0 }, { 4096, 106496, 0 }, { 65536, 262144, 0 }, { 212960, 212960, 0 }
    };

    check_rows(SOCK_SEQPACKET, rows, sizeof rows / sizeof rows[0]);
}

Test(stream, between_the_thresholds_a_write_fits_that_poll_denies)
{
    fixture_pair(fds, SOCK_STREAM | SOCK_NONBLOCK);
    while (fixture_poll(fds[0], POLLOUT) != 0)
        cr_assert_eq(put(1024), 1024);
    cr_expect_eq(put(1024), 1024);
    fixture_close(fds);
}

Test(stream, a_small_send_buffer)
{
    int size = 1;

    fixture_pair(fds, SOCK_STREAM | SOCK_NONBLOCK);
    cr_assert_eq(emu_setsockopt(&self, fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    cr_expect_eq(fixture_fill(fds[0], 1), 6);
    fixture_close(fds);
}

Test(stream, joins_what_was_sent_apart)
{
    fixture_pair(fds, SOCK_STREAM);
    memcpy(data, "onetwo", 6);
    cr_assert_eq(put(3), 3);
    cr_assert_eq(emu_write(&self, fds[0], data + 3, 3), 3);
    cr_expect_eq(emu_recv(&self, fds[1], data, 100, MSG_PEEK), 6);
    cr_expect_eq(get(4), 4);
    cr_expect(memcmp(data, "onet", 4) == 0);
    cr_expect_eq(get(4), 2);
    cr_expect(memcmp(data, "wo", 2) == 0);
    cr_expect_eq(emu_recv(&self, fds[1], data, 1, MSG_DONTWAIT), -EAGAIN);
    fixture_close(fds);
}

Test(stream, records_stay_apart)
{
    char small[2];
    struct iovec part = { small, sizeof small };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

    fixture_pair(fds, SOCK_SEQPACKET | SOCK_NONBLOCK);
    cr_assert_eq(put(5), 5);
    cr_assert_eq(put(0), 0);
    cr_assert_eq(put(7), 7);
    cr_expect_eq(emu_recvmsg(&self, fds[1], &message, MSG_PEEK), 2);
    cr_expect_eq(message.msg_flags, MSG_TRUNC);
    cr_expect_eq(emu_recv(&self, fds[1], small, 2, MSG_TRUNC), 5, "its real length");
    cr_expect_eq(get(100), 0, "a record of no bytes");
    cr_expect_eq(get(100), 7);
    cr_expect_eq(get(100), -EAGAIN);
    cr_expect_eq(put(212961), -EMSGSIZE);
    cr_expect_eq(put(212960), 212960);
    cr_expect_eq(get(1000000), 212960);
    fixture_close(fds);
}

Test(stream, shutdown_of_one_direction)
{
    fixture_pair(fds, SOCK_STREAM | SOCK_NONBLOCK);
    cr_assert_eq(put(3), 3);
    cr_assert_eq(emu_shutdown(&self, fds[0], SHUT_WR), 0);
    cr_assert_eq(emu_shutdown(&self, fds[0], SHUT_WR), 0, "may be repeated");
    cr_expect_eq(put(1), -EPIPE);
    cr_expect(self.sigpipe);
    cr_expect_eq(get(100), 3);
    cr_expect_eq(get(100), 0);
    cr_expect_eq(fixture_poll(fds[1], POLLIN | POLLOUT | POLLRDHUP), POLLIN | POLLOUT | POLLRDHUP);
    cr_expect_eq(emu_send(&self, fds[1], "x", 1, 0), 1, "the other direction still works");
    cr_expect_eq(emu_recv(&self, fds[0], data, 10, 0), 1);
    fixture_close(fds);
}

Test(stream, shutdown_of_reading)
{
    fixture_pair(fds, SOCK_STREAM | SOCK_NONBLOCK);
    cr_assert_eq(put(3), 3);
    cr_assert_eq(emu_shutdown(&self, fds[1], SHUT_RD), 0);
    self.sigpipe = false;
    cr_expect_eq(emu_send(&self, fds[0], data, 1, MSG_NOSIGNAL), -EPIPE);
    cr_expect(!self.sigpipe);
    cr_expect_eq(fixture_poll(fds[0], POLLIN | POLLOUT), POLLOUT, "though a write fails");
    cr_expect_eq(get(100), 3, "what was queued can be read");
    cr_expect_eq(get(100), 0);
    fixture_close(fds);
}

Test(stream, the_peer_closed)
{
    fixture_pair(fds, SOCK_STREAM);
    cr_assert_eq(put(3), 3);
    cr_assert_eq(emu_close(&self, fds[0]), 0);
    cr_expect_eq(fixture_poll(fds[1], POLLIN | POLLOUT | POLLRDHUP),
                 POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
    cr_expect_eq(get(100), 3);
    cr_expect_eq(get(100), 0);
    cr_expect_eq(emu_send(&self, fds[1], "x", 1, 0), -EPIPE);
    cr_expect_eq(emu_send(&self, fds[1], "x", 0, 0), -EPIPE, "also of nothing");
    cr_assert_eq(emu_close(&self, fds[1]), 0);
}

Test(stream, the_peer_closed_with_unread_data)
{
    fixture_pair(fds, SOCK_STREAM);
    cr_assert_eq(emu_send(&self, fds[1], "ours", 4, 0), 4);
    cr_assert_eq(put(3), 3);
    cr_assert_eq(emu_close(&self, fds[0]), 0);
    cr_expect(fixture_poll(fds[1], POLLIN) & POLLERR);
    self.sigpipe = false;
    cr_expect_eq(emu_send(&self, fds[1], "x", 1, 0), -EPIPE, "not the reset");
    cr_expect(self.sigpipe);
    cr_expect_eq(get(100), 3, "all data first");
    cr_expect_eq(get(100), -ECONNRESET, "then the reset, once");
    cr_expect_eq(get(100), 0);
    cr_expect_eq(take_error(fds[1]), 0);
    cr_assert_eq(emu_close(&self, fds[1]), 0);
}

Test(stream, records_and_a_reset)
{
    fixture_pair(fds, SOCK_SEQPACKET);
    cr_assert_eq(emu_send(&self, fds[1], "ours", 4, 0), 4);
    cr_assert_eq(put(3), 3);
    cr_assert_eq(emu_close(&self, fds[0]), 0);
    self.sigpipe = false;
    cr_expect_eq(emu_send(&self, fds[1], "x", 1, 0), -ECONNRESET, "first of all");
    cr_expect_eq(emu_send(&self, fds[1], "x", 1, 0), -EPIPE);
    cr_expect(!self.sigpipe, "a record never raises it");
    cr_expect_eq(get(100), 3);
    cr_expect_eq(get(100), 0);
    cr_assert_eq(emu_close(&self, fds[1]), 0);
}

Test(stream, the_error_is_taken_once)
{
    fixture_pair(fds, SOCK_STREAM);
    cr_assert_eq(emu_send(&self, fds[1], "ours", 4, 0), 4);
    cr_assert_eq(emu_close(&self, fds[0]), 0);
    cr_expect_eq(take_error(fds[1]), ECONNRESET);
    cr_expect_eq(take_error(fds[1]), 0);
    cr_expect_eq(get(100), 0);
    cr_assert_eq(emu_close(&self, fds[1]), 0);
}

Test(stream, a_receive_of_nothing)
{
    fixture_pair(fds, SOCK_STREAM | SOCK_NONBLOCK);
    cr_expect_eq(emu_recv(&self, fds[1], data, 0, 0), -EAGAIN);
    cr_expect_eq(emu_read(&self, fds[1], data, 0), 0);
    cr_assert_eq(put(3), 3);
    cr_expect_eq(emu_recv(&self, fds[1], data, 0, 0), 0);
    cr_expect_eq(get(100), 3, "nothing was taken");
    fixture_close(fds);
}

Test(stream, peek_offset)
{
    int offset = 2;

    fixture_pair(fds, SOCK_STREAM | SOCK_NONBLOCK);
    cr_assert_eq(emu_setsockopt(&self, fds[1], SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset), 0);
    memcpy(data, "abcdefgh", 8);
    cr_assert_eq(put(8), 8);
    cr_expect_eq(emu_recv(&self, fds[1], data, 3, MSG_PEEK), 3);
    cr_expect(memcmp(data, "cde", 3) == 0);
    cr_expect_eq(emu_recv(&self, fds[1], data, 10, MSG_PEEK), 3);
    cr_expect(memcmp(data, "fgh", 3) == 0);
    cr_expect_eq(get(100), 8);
    fixture_close(fds);
}

/* ---- Blocking ---- */

static void send_some(void *context)
{
    emu_send(&other, fds[0], "some", *(size_t *)context, 0);
}

static void close_sender(void *context)
{
    (void)context;
    emu_close(&other, fds[0]);
}

Test(stream, wait_for_all)
{
    size_t size = 4;

    fixture_pair(fds, SOCK_STREAM);
    fake_plan(1100 * MS, send_some, &size);
    fake_plan(1200 * MS, send_some, &size);
    fake_plan(1300 * MS, send_some, &size);
    cr_expect_eq(emu_recv(&self, fds[1], data, 10, MSG_WAITALL), 10);
    cr_expect_eq(get(100), 2);
    fake_plan(1400 * MS, send_some, &size);
    fake_plan(1500 * MS, close_sender, NULL);
    cr_expect_eq(emu_recv(&self, fds[1], data, 10, MSG_WAITALL), 4, "short at the end");
    cr_assert_eq(emu_close(&self, fds[1]), 0);
}

Test(stream, an_end_of_file_wakes)
{
    fixture_pair(fds, SOCK_STREAM);
    fake_plan(1100 * MS, close_sender, NULL);
    cr_expect_eq(get(10), 0);
    cr_assert_eq(emu_close(&self, fds[1]), 0);
}
