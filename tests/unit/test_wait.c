/*
 * test_wait.c - sleeping: time-outs, signals, wake-ups, and that nobody waits for nothing
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/time.h>

#include "fixture.h"
#include "host.h"
#include "host_fake.h"

TestSuite(wait, .init = fixture_start, .fini = fixture_end);

static char data[100000];
static int fds[2];

static uint32_t waiters(void)
{
    struct emu_session_counts counts;

    emu_session_count(&counts);
    return counts.waiters;
}

static void set_timeout(int fd, int name, long seconds, long microseconds)
{
    const struct timeval time = { seconds, microseconds };

    cr_assert_eq(emu_setsockopt(&self, fd, SOL_SOCKET, name, &time, sizeof time), 0);
}

static void write_other(void *context)
{
    cr_assert_eq(emu_write(&other, fds[1], context, strlen(context)), (int64_t)strlen(context));
}

static void interrupt(void *context)
{
    emu_task_interrupt(&self, *(bool *)context);
}

static void note_waiters(void *context)
{
    *(uint32_t *)context = waiters();
}

Test(wait, nothing_can_wake_it)
{
    fixture_pipe(fds, 0);
    cr_expect_eq(emu_read(&self, fds[0], data, 1), -EDEADLK);
    cr_expect_eq(waiters(), 0);
    fixture_close(fds);
}

Test(wait, a_write_wakes_a_read)
{
    uint32_t during = 0;

    fixture_pipe(fds, 0);
    fake_plan(1100 * MS, note_waiters, &during);
    fake_plan(1200 * MS, write_other, "bell");
    cr_expect_eq(emu_read(&self, fds[0], data, 100), 4);
    cr_expect_eq(host_now_ns(), 1200 * MS);
    cr_expect_eq(during, 1);
    cr_expect_eq(waiters(), 0);
    fixture_close(fds);
}

Test(wait, nobody_waits_no_system_call)
{
    fixture_pipe(fds, 0);
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(emu_write(&self, fds[1], data, 100), 100);
        cr_assert_eq(emu_read(&self, fds[0], data, 100), 100);
    }
    cr_expect_eq(fake_sleeps(), 0);
    cr_expect_eq(fake_wakes(), 0);
    fixture_close(fds);
}

Test(wait, receive_timeout)
{
    fixture_pair(fds, SOCK_STREAM);
    set_timeout(fds[0], SO_RCVTIMEO, 20, 500000);
    cr_expect_eq(emu_recv(&self, fds[0], data, 1, 0), -EAGAIN);
    cr_expect_eq(host_now_ns(), 21500 * MS);
    cr_expect_eq(waiters(), 0);
    fixture_close(fds);
}

Test(wait, receive_timeout_with_a_part)
{
    fixture_pair(fds, SOCK_STREAM);
    set_timeout(fds[0], SO_RCVTIMEO, 3, 0);
    cr_assert_eq(emu_send(&self, fds[1], "part", 4, 0), 4);
    cr_expect_eq(emu_recv(&self, fds[0], data, 10, MSG_WAITALL), 4);
    cr_expect_eq(host_now_ns(), 4000 * MS);
    fixture_close(fds);
}

Test(wait, send_timeout)
{
    fixture_pair(fds, SOCK_STREAM);
    set_timeout(fds[0], SO_SNDTIMEO, 2, 0);
    int64_t total = 0;
    int64_t done;
    while ((done = emu_send(&self, fds[0], data, sizeof data, 0)) > 0)
        total += done;
    cr_expect_eq(done, -EAGAIN);
    cr_expect_gt(total, 200000);
    cr_expect_geq(host_now_ns(), 3000 * MS);
    fixture_close(fds);
}

Test(wait, poll_time_out)
{
    struct pollfd both[2];

    fixture_pipe(fds, 0);
    both[0] = (struct pollfd){ .fd = fds[0], .events = POLLIN };
    both[1] = (struct pollfd){ .fd = fds[0], .events = POLLIN };
    cr_expect_eq(emu_poll(&self, both, 2, 7000), 0);
    cr_expect_eq(host_now_ns(), 8000 * MS);
    cr_expect_eq(both[0].revents, 0);
    fake_plan(9000 * MS, write_other, "x");
    cr_expect_eq(emu_poll(&self, both, 2, -1), 2);
    cr_expect_eq(host_now_ns(), 9000 * MS);
    cr_expect_eq(both[1].revents, POLLIN);
    cr_expect_eq(waiters(), 0);
    fixture_close(fds);
}

Test(wait, select_time_out)
{
    struct timeval time = { 5, 0 };
    fd_set readable, writable;

    fixture_pipe(fds, 0);
    FD_ZERO(&readable);
    FD_ZERO(&writable);
    FD_SET(fds[0], &readable);
    FD_SET(fds[1], &writable);
    cr_expect_eq(emu_select(&self, fds[1] + 1, &readable, &writable, NULL, &time), 1);
    cr_expect(!FD_ISSET(fds[0], &readable) && FD_ISSET(fds[1], &writable));
    FD_SET(fds[0], &readable);
    cr_expect_eq(emu_select(&self, fds[1] + 1, &readable, NULL, NULL, &time), 0);
    cr_expect_eq(host_now_ns(), 6000 * MS);
    cr_expect(time.tv_sec == 0 && time.tv_usec == 0, "Linux writes what is left");
    fixture_close(fds);
}

Test(wait, a_handler_ends_a_call)
{
    bool restart = false;

    fixture_pipe(fds, 0);
    fake_plan(1100 * MS, interrupt, &restart);
    cr_expect_eq(emu_read(&self, fds[0], data, 1), -EINTR);
    cr_expect_eq(waiters(), 0);
    fixture_close(fds);
}

Test(wait, a_handler_with_restart_does_not)
{
    bool restart = true;

    fixture_pipe(fds, 0);
    fake_plan(1100 * MS, interrupt, &restart);
    fake_plan(1200 * MS, write_other, "later");
    cr_expect_eq(emu_read(&self, fds[0], data, 100), 5);
    fixture_close(fds);
}

Test(wait, poll_never_restarts)
{
    bool restart = true;
    struct pollfd one;

    fixture_pipe(fds, 0);
    one = (struct pollfd){ .fd = fds[0], .events = POLLIN };
    fake_plan(1100 * MS, interrupt, &restart);
    cr_expect_eq(emu_poll(&self, &one, 1, 5000), -EINTR);
    fixture_close(fds);
}

Test(wait, a_time_out_makes_restart_impossible)
{
    bool restart = true;

    fixture_pair(fds, SOCK_STREAM);
    set_timeout(fds[0], SO_RCVTIMEO, 5, 0);
    fake_plan(1100 * MS, interrupt, &restart);
    cr_expect_eq(emu_recv(&self, fds[0], data, 1, 0), -EINTR);
    fixture_close(fds);
}

Test(wait, an_interrupted_write_says_how_much)
{
    bool restart = true;

    fixture_pipe(fds, 0);
    fake_plan(1100 * MS, interrupt, &restart);
    cr_expect_eq(emu_write(&self, fds[1], data, 100000), 65536);
    fixture_close(fds);
}

static void write_and_read_other(void *context)
{
    write_other(context);
    cr_assert_eq(emu_read(&other, fds[0], data, 100), 1);
}

Test(wait, two_sleepers_and_one_byte)
{
    /* `other` takes the byte first: `self` finds nothing and goes on sleeping. */
    fixture_pipe(fds, 0);
    fake_plan(1100 * MS, write_and_read_other, "x");
    fake_plan(1300 * MS, write_other, "yz");
    cr_expect_eq(emu_read(&self, fds[0], data, 100), 2);
    cr_expect_eq(host_now_ns(), 1300 * MS);
    fixture_close(fds);
}

static void clear(void *context)
{
    emu_task_clear(context);
}

Test(wait, a_call_that_was_left_is_undone)
{
    /* What siglongjmp out of a handler leaves is undone by emu_task_clear(). */
    bool restart = false;
    uint32_t during = 9;

    fixture_pipe(fds, 0);
    fake_plan(1001 * MS, clear, &self);
    fake_plan(1001 * MS, note_waiters, &during);
    fake_plan(1002 * MS, interrupt, &restart);
    cr_expect_eq(emu_read(&self, fds[0], data, 1), -EINTR);
    cr_expect_eq(during, 0);
    fixture_close(fds);
}

static void close_unseen(void *context)
{
    fake_close_unseen(*(int *)context);
}

static void write_past(void *context)
{
    fake_write_past(fds[1], context, strlen(context));
}

Test(wait, a_long_sleep_has_no_clock)
{
    fixture_pipe(fds, 0);
    fake_plan(90000 * MS, write_other, "bell");
    cr_expect_eq(emu_read(&self, fds[0], data, 100), 4);
    cr_expect_eq(host_now_ns(), 90000 * MS);
    cr_expect_eq(fake_sleeps(), 2, "on the futex, then in poll");
    cr_expect_eq(fake_wakes(), 1);
    fixture_close(fds);
}

Test(wait, a_death_that_nobody_reports_ends_a_long_sleep)
{
    /* Another process has the writing end, and dies without anybody knowing. */
    fixture_pipe(fds, 0);
    const int slot = emu_fork_before(&self);
    cr_assert_gt(slot, 0);
    emu_fork_parent(&self, slot, 200);
    int inherited = (int)host_fcntl(fds[1], F_DUPFD, 100);
    cr_assert_eq(emu_close(&self, fds[1]), 0);
    fake_plan(5000 * MS, close_unseen, &inherited);
    cr_expect_eq(emu_read(&self, fds[0], data, 100), 0);
    cr_expect_eq(host_now_ns(), 5000 * MS);
    fake_kill(200);
    emu_process_sweep(&self, 200);
    cr_assert_eq(emu_close(&self, fds[0]), 0);
}

Test(wait, bytes_that_come_past_end_a_long_sleep)
{
    struct pollfd one;

    fixture_pipe(fds, 0);
    fake_plan(5000 * MS, write_past, "past");
    cr_expect_eq(emu_read(&self, fds[0], data, 100), 4);
    cr_expect_eq(host_now_ns(), 5000 * MS);
    one = (struct pollfd){ .fd = fds[0], .events = POLLIN };
    fake_plan(9000 * MS, write_past, "again");
    cr_expect_eq(emu_poll(&self, &one, 1, -1), 1);
    cr_expect_eq(host_now_ns(), 9000 * MS);
    cr_expect_eq(emu_read(&self, fds[0], data, 100), 5);
    fixture_close(fds);
}

Test(wait, without_descriptors_the_clock_remains)
{
    fixture_pipe(fds, 0);
    fake_no_fds(1000);
    fake_plan(1500 * MS, write_other, "late");
    cr_expect_eq(emu_read(&self, fds[0], data, 100), 4);
    cr_expect_eq(host_now_ns(), 1500 * MS);
    fake_no_fds(0);
    fixture_close(fds);
}
