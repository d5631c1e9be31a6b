/*
 * test_pipe.c - the pipe's buffer model: slots, merging, PIPE_BUF, packets, ends
 *
 * The numbers are Linux's (fs/pipe.c), measured on 6.18; tests/conform proves the same rows on the
 * kernel.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

#include "fixture.h"
#include "host_fake.h"

TestSuite(pipe, .init = fixture_start, .fini = fixture_end);

static char data[200000];
static int fds[2];

static int64_t put(size_t size)
{
    return emu_write(&self, fds[1], data, size);
}

static int64_t get(size_t size)
{
    return emu_read(&self, fds[0], data, size);
}

/* How much is unread, by either end. */
static int unread(void)
{
    int by_reader = -1;
    int by_writer = -2;

    cr_assert_eq(emu_ioctl(&self, fds[0], FIONREAD, &by_reader), 0);
    cr_assert_eq(emu_ioctl(&self, fds[1], FIONREAD, &by_writer), 0);
    cr_assert_eq(by_reader, by_writer);
    return by_reader;
}

Test(pipe, accepts_as_much_as_linux)
{
    static const struct {
        size_t size;
        int64_t total;
    } rows[] = {
        { 1, 65536 },      { 2, 65536 },    { 512, 65536 },  { 4096, 65536 },  { 8192, 65536 },
        { 65536, 65536 },  { 3, 65520 },    { 7, 65520 },    { 4095, 65520 },  { 100, 64000 },
        { 1000, 64000 },   { 1365, 65520 }, { 1366, 43712 }, { 2049, 32784 },  { 3000, 48000 },
        { 4097, 45066 },   { 5000, 54096 }, { 6000, 64096 }, { 10000, 64096 }, { 60000, 64096 },
        { 100000, 65536 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fixture_pipe(fds, O_NONBLOCK);
        const int64_t total = fixture_fill(fds[1], rows[i].size);
        cr_expect_eq(total, rows[i].total, "writes of %zu: %lld, not %lld", rows[i].size,
                     (long long)total, (long long)rows[i].total);
        cr_expect_eq(unread(), total);
        fixture_close(fds);
    }
}

/* 15 full slots, and perhaps something in the last. */
static void nearly_full(size_t in_the_last)
{
    fixture_pipe(fds, O_NONBLOCK);
    cr_assert_eq(put(15 * 4096), 15 * 4096);
    if (in_the_last > 0)
        cr_assert_eq(put(in_the_last), (int64_t)in_the_last);
}

Test(pipe, all_or_nothing_up_to_pipe_buf)
{
    static const struct {
        size_t in_the_last;
        size_t size;
        int64_t result;
    } rows[] = {
        { 0, 4096, 4096 },      { 0, 1, 1 },
        { 0, 4097, 4096 },      { 100, 3996, 3996 },
        { 100, 4095, -EAGAIN }, { 100, 4096, -EAGAIN },
        { 100, 8191, -EAGAIN }, { 100, 8192, -EAGAIN },
        { 100, 4097, 1 },       { 100, 5000, 904 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nearly_full(rows[i].in_the_last);
        const int64_t result = put(rows[i].size);
        cr_expect_eq(result, rows[i].result, "%zu in the last slot, write(%zu): %lld",
                     rows[i].in_the_last, rows[i].size, (long long)result);
        fixture_close(fds);
    }
}

Test(pipe, not_writable_says_poll_but_a_small_write_fits)
{
    nearly_full(100);
    cr_expect_eq(fixture_poll(fds[1], POLLOUT), 0);
    cr_expect_eq(put(3996), 3996);
    cr_expect_eq(put(1), -EAGAIN);
    fixture_close(fds);
}

Test(pipe, a_slot_is_free_when_its_last_byte_is_read)
{
    fixture_pipe(fds, O_NONBLOCK);
    fixture_fill(fds[1], 4096);
    cr_expect_eq(get(1), 1);
    cr_expect_eq(put(1), -EAGAIN);
    cr_expect_eq(get(4094), 4094);
    cr_expect_eq(put(1), -EAGAIN);
    cr_expect_eq(fixture_poll(fds[1], POLLOUT), 0);
    cr_expect_eq(get(1), 1);
    cr_expect_eq(fixture_poll(fds[1], POLLOUT), POLLOUT);
    cr_expect_eq(put(4096), 4096);
    fixture_close(fds);
}

Test(pipe, bytes_come_in_order_over_many_laps)
{
    unsigned char next_in = 0;
    unsigned char next_out = 0;

    fixture_pipe(fds, O_NONBLOCK);
    for (int lap = 0; lap < 300; lap++) {
        const size_t in = 1 + (size_t)lap * 37 % 5000;

        for (size_t i = 0; i < in; i++)
            data[i] = (char)next_in++;
        cr_assert_eq(put(in), (int64_t)in);
        for (size_t left = in; left > 0;) {
            const int64_t got = get(1 + (size_t)lap * 11 % 3000);

            cr_assert(got > 0 && (size_t)got <= left);
            for (int64_t i = 0; i < got; i++)
                cr_assert_eq((unsigned char)data[i], next_out++);
            left -= (size_t)got;
        }
        cr_assert_eq(get(1), -EAGAIN);
    }
    fixture_close(fds);
}

Test(pipe, the_ends_are_different)
{
    fixture_pipe(fds, 0);
    cr_expect_eq(emu_read(&self, fds[1], data, 1), -EBADF);
    cr_expect_eq(emu_write(&self, fds[0], data, 1), -EBADF);
    cr_expect_eq(fixture_fcntl(fds[0], F_GETFL, 0), O_RDONLY);
    cr_expect_eq(fixture_fcntl(fds[1], F_GETFL, 0), O_WRONLY);
    cr_expect_eq(get(0), 0);
    fixture_close(fds);
}

Test(pipe, no_reader)
{
    fixture_pipe(fds, 0);
    cr_assert_eq(emu_close(&self, fds[0]), 0);
    cr_expect_eq(put(0), 0);
    cr_expect(!self.sigpipe);
    cr_expect_eq(put(1), -EPIPE);
    cr_expect(self.sigpipe);
    cr_expect_eq(fixture_poll(fds[1], POLLOUT), POLLOUT | POLLERR);
    cr_assert_eq(emu_close(&self, fds[1]), 0);
}

Test(pipe, no_writer)
{
    fixture_pipe(fds, 0);
    cr_assert_eq(put(10), 10);
    cr_assert_eq(emu_close(&self, fds[1]), 0);
    cr_expect_eq(fixture_poll(fds[0], POLLIN), POLLIN | POLLHUP);
    cr_expect_eq(get(100), 10);
    cr_expect_eq(fixture_poll(fds[0], POLLIN), POLLHUP);
    cr_expect_eq(get(100), 0);
    cr_expect_eq(get(100), 0);
    cr_assert_eq(emu_close(&self, fds[0]), 0);
}

Test(pipe, packets)
{
    fixture_pipe(fds, O_NONBLOCK | O_DIRECT);
    for (int i = 0; i < 16; i++)
        cr_expect_eq(put(1), 1);
    cr_expect_eq(put(1), -EAGAIN);
    for (int i = 0; i < 16; i++)
        cr_expect_eq(get(100), 1);
    cr_expect_eq(put(0), 0);
    cr_expect_eq(get(100), -EAGAIN);
    cr_expect_eq(put(5000), 5000);
    cr_expect_eq(put(10), 10);
    cr_expect_eq(get(10000), 4096);
    cr_expect_eq(get(4), 4);
    cr_expect_eq(get(10000), 10, "the rest of a short read is thrown away");
    fixture_close(fds);
}

Test(pipe, capacity)
{
    fixture_pipe(fds, O_NONBLOCK);
    cr_expect_eq(fixture_fcntl(fds[0], F_GETPIPE_SZ, 0), 65536);
    cr_expect_eq(fixture_fcntl(fds[1], F_SETPIPE_SZ, 5000), 8192);
    cr_expect_eq(fixture_fill(fds[1], 1000), 8000);
    cr_expect_eq(fixture_fcntl(fds[1], F_SETPIPE_SZ, 4096), -EBUSY);
    cr_expect_eq(fixture_fcntl(fds[0], F_GETPIPE_SZ, 0), 8192);
    cr_expect_eq(fixture_fcntl(fds[0], F_SETPIPE_SZ, 1 << 20), 1 << 20);
    cr_expect_eq(fixture_poll(fds[1], POLLOUT), POLLOUT);
    cr_expect_eq(fixture_fill(fds[1], 4096), (256 - 2) * 4096);
    fixture_close(fds);
}

Test(pipe, bad_memory_in_a_write_counts_whole_pages)
{
    fixture_pipe(fds, O_NONBLOCK);
    fake_bad_memory(data + 8192 + 50, 1);
    cr_expect_eq(put(8192 + 100), 8192);
    fake_bad_memory(data + 5000, 1);
    cr_expect_eq(put(8192), 4096);
    fake_bad_memory(data + 10, 1);
    cr_expect_eq(put(100), -EFAULT);
    cr_expect_eq(unread(), 8192 + 4096);
    fake_bad_memory(NULL, 0);
    fixture_close(fds);
}

Test(pipe, bad_memory_in_a_read_leaves_the_slot)
{
    fixture_pipe(fds, O_NONBLOCK);
    cr_assert_eq(put(12288), 12288);
    fake_bad_memory(data + 5000, 1);
    cr_expect_eq(get(12288), 4096);
    cr_expect_eq(unread(), 8192);
    fake_bad_memory(data, 1);
    cr_expect_eq(get(10), -EFAULT);
    cr_expect_eq(unread(), 8192);
    fake_bad_memory(NULL, 0);
    fixture_close(fds);
}

Test(pipe, bad_memory_for_the_numbers)
{
    fake_bad_memory(fds, sizeof fds);
    cr_expect_eq(emu_pipe2(&self, fds, 0), -EFAULT);
    cr_expect_eq(fixture_open_fds(), 0);
    cr_expect_eq(emu_pipe2(&self, fds, 0x10), -EINVAL);
}

Test(pipe, no_number_is_left)
{
    fake_no_fds(1);
    cr_expect_eq(emu_pipe2(&self, fds, 0), -EMFILE);
    cr_expect_eq(fixture_open_fds(), 0);
}

/* ---- Blocking ---- */

static void read_some(void *context)
{
    static char into[100000];

    emu_read(&other, fds[0], into, *(size_t *)context);
}

static void close_reader(void *context)
{
    (void)context;
    emu_close(&other, fds[0]);
}

Test(pipe, a_blocked_write_goes_on_when_a_slot_is_free)
{
    size_t size = 50000;

    fixture_pipe(fds, 0);
    fake_plan(1100 * MS, read_some, &size);
    cr_expect_eq(put(100000), 100000);
    cr_expect_eq(unread(), 50000);
    fixture_close(fds);
}

Test(pipe, a_blocked_write_that_loses_its_reader)
{
    fixture_pipe(fds, 0);
    fake_plan(1100 * MS, close_reader, NULL);
    cr_expect_eq(put(100000), 65536);
    cr_expect(self.sigpipe, "partial, but the signal comes");
    cr_assert_eq(emu_close(&self, fds[1]), 0);
}

/* ---- What only the placeholder knows ---- */

Test(pipe, the_last_writer_went_unseen)
{
    int inherited;

    fixture_pipe(fds, 0);
    cr_assert_eq(put(3), 3);
    /* A child that nobody followed had the only other copy of the writing end. */
    const int slot = emu_fork_before(&self);
    cr_assert_gt(slot, 0);
    emu_fork_parent(&self, slot, 200);
    inherited = (int)fixture_fcntl(fds[1], F_DUPFD, 100);
    cr_assert_eq(emu_close(&self, fds[1]), 0);
    cr_expect_eq(get(100), 3);
    emu_fd_invalidate(&self, inherited);
    fake_close_unseen(inherited);
    cr_expect_eq(get(100), 0);
    fake_kill(200);
    emu_process_sweep(&self, 200);
    cr_assert_eq(emu_close(&self, fds[0]), 0);
}

Test(pipe, bytes_that_came_past_are_behind_what_is_unread)
{
    fixture_pipe(fds, 0);
    const int slot = emu_fork_before(&self); /* the end was inherited once: others may write */
    cr_assert_gt(slot, 0);
    emu_fork_parent(&self, slot, 200);
    memcpy(data, "seen ", 5);
    cr_assert_eq(put(5), 5);
    fake_write_past(fds[1], "unseen", 6);
    int64_t total = get(100);
    while (total > 0 && total < 11) {
        const int64_t got = emu_read(&self, fds[0], data + total, 100);

        cr_assert_gt(got, 0);
        total += got;
    }
    cr_expect_eq(total, 11);
    cr_expect(memcmp(data, "seen unseen", 11) == 0);
    fake_kill(200);
    emu_process_sweep(&self, 200);
    fixture_close(fds);
}
