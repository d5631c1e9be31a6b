/*
 * test_fdtab.c - numbers: copies, close-on-exec, ranges, and what libc does behind our back
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>

#include "fixture.h"
#include "host.h"
#include "host_fake.h"

TestSuite(fdtab, .init = fixture_start, .fini = fixture_end);

static int fds[2];
static char byte;

static bool works(int reader, int writer)
{
    return emu_write(&self, writer, "x", 1) == 1 && emu_read(&self, reader, &byte, 1) == 1;
}

Test(fdtab, the_lowest_free_numbers)
{
    int more[2];

    fixture_pipe(fds, 0);
    fixture_pipe(more, 0);
    cr_expect(fds[0] == 3 && fds[1] == 4 && more[0] == 5 && more[1] == 6, "%d %d %d %d", fds[0],
              fds[1], more[0], more[1]);
    cr_assert_eq(emu_close(&self, fds[1]), 0);
    cr_expect_eq(emu_dup(&self, more[0]), 4);
    cr_assert_eq(emu_close(&self, 4), 0);
    cr_assert_eq(emu_close(&self, fds[0]), 0);
    fixture_close(more);
}

Test(fdtab, the_end_stays_open_until_its_last_copy_is_closed)
{
    fixture_pipe(fds, 0);
    const int copy = (int)emu_dup(&self, fds[1]);
    cr_expect(emu_fd_is_emulated(copy));
    cr_assert_eq(emu_close(&self, fds[1]), 0);
    cr_expect(!emu_fd_is_emulated(fds[1]));
    cr_expect(works(fds[0], copy));
    cr_assert_eq(emu_close(&self, copy), 0);
    cr_expect_eq(emu_read(&self, fds[0], &byte, 1), 0);
    cr_assert_eq(emu_close(&self, fds[0]), 0);
}

Test(fdtab, dup2_closes_what_was_there)
{
    int other_pipe[2];

    fixture_pipe(fds, 0);
    fixture_pipe(other_pipe, 0);
    cr_expect_eq(emu_dup2(&self, fds[1], other_pipe[1]), other_pipe[1]);
    cr_expect_eq(emu_read(&self, other_pipe[0], &byte, 1), 0, "its only writer is gone");
    cr_expect(works(fds[0], other_pipe[1]));
    cr_expect_eq(emu_dup2(&self, 0, other_pipe[1]), other_pipe[1]);
    cr_expect(!emu_fd_is_emulated(other_pipe[1]), "a file stands there now");
    fixture_close(other_pipe);
    fixture_close(fds);
}

Test(fdtab, dup2_that_fails_changes_nothing)
{
    fixture_pipe(fds, 0);
    cr_expect_eq(emu_dup2(&self, 999, fds[1]), -EBADF);
    cr_expect(works(fds[0], fds[1]));
    cr_expect_eq(emu_dup3(&self, fds[0], fds[1], 0x12345), -EINVAL);
    cr_expect(works(fds[0], fds[1]));
    fixture_close(fds);
}

Test(fdtab, fcntl_copies)
{
    fixture_pipe(fds, 0);
    const int high = (int)fixture_fcntl(fds[1], F_DUPFD_CLOEXEC, 50);
    cr_expect_eq(high, 50);
    cr_expect(emu_fd_is_emulated(high));
    cr_expect_eq(fixture_fcntl(high, F_GETFD, 0), FD_CLOEXEC);
    cr_expect_eq(fixture_fcntl(fds[1], F_GETFD, 0), 0);
    cr_expect(works(fds[0], high));
    cr_assert_eq(emu_close(&self, high), 0);
    fixture_close(fds);
}

Test(fdtab, non_blocking_belongs_to_the_description)
{
    fixture_pipe(fds, 0);
    const int copy = (int)emu_dup(&self, fds[0]);
    cr_assert_eq(fixture_fcntl(copy, F_SETFL, O_NONBLOCK), 0);
    cr_expect_eq(emu_read(&self, fds[0], &byte, 1), -EAGAIN);
    cr_expect_eq(fixture_fcntl(fds[0], F_GETFL, 0), O_NONBLOCK);
    cr_expect_eq(fixture_fcntl(fds[1], F_GETFL, 0), O_WRONLY, "the other end has its own");
    cr_assert_eq(emu_close(&self, copy), 0);
    fixture_close(fds);
}

Test(fdtab, ranges)
{
    int more[2];

    fixture_pipe(fds, 0);
    fixture_pipe(more, 0);
    cr_expect_eq(emu_close_range(&self, 4, 5, 0), 0);
    cr_expect(!emu_fd_is_emulated(4) && !emu_fd_is_emulated(5));
    cr_expect_eq(emu_read(&self, fds[0], &byte, 1), 0);
    cr_expect_eq(emu_write(&self, more[1], "x", 1), -EPIPE);
    cr_expect_eq(emu_close_range(&self, 3, 800, 0), 0);
    cr_expect(!emu_fd_is_emulated(3) && !emu_fd_is_emulated(6));
}

Test(fdtab, a_number_that_libc_gave_away)
{
    /* fclose() inside libc closed fds[1], and open() returns the number for a file. */
    fixture_pipe(fds, 0);
    fake_close_unseen(fds[1]);
    const int file = host_dup(0);
    cr_assert_eq(file, fds[1]);
    cr_expect(emu_fd_is_emulated(file), "nobody told us");
    emu_fd_invalidate(&self, file);
    cr_expect(!emu_fd_is_emulated(file));
    cr_expect_eq(emu_read(&self, fds[0], &byte, 1), 0, "so the writer is gone");
    cr_assert_eq(emu_close(&self, fds[0]), 0);
    host_close(file);
}

Test(fdtab, what_is_not_emulated_is_native)
{
    struct iovec part = { &byte, 1 };

    cr_expect_eq(emu_read(&self, 0, &byte, 1), EMU_NATIVE);
    cr_expect_eq(emu_write(&self, 999, &byte, 1), EMU_NATIVE);
    cr_expect_eq(emu_readv(&self, -1, &part, 1), EMU_NATIVE);
    cr_expect_eq(emu_close(&self, 0), EMU_NATIVE);
    cr_expect_eq(emu_dup(&self, 999), EMU_NATIVE);
    cr_expect(!emu_fd_is_emulated(-1) && !emu_fd_is_emulated(1 << 30));
}
