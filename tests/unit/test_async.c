/*
 * test_async.c - O_ASYNC: who is sent what, in which form, and that nothing stays registered
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

#include "fixture.h"
#include "host.h"
#include "host_fake.h"

TestSuite(async, .init = fixture_start, .fini = fixture_end);

enum { US = 100, PEER = 200, SIGNO = 40 };

static char data[300000];
static int fds[2];

static void own(int fd, int kind, int32_t pid, int number)
{
    struct f_owner_ex owner = { kind, pid };
    const unsigned long flags = (unsigned long)fixture_fcntl(fd, F_GETFL, 0) | O_ASYNC;

    cr_assert_eq(fixture_fcntl(fd, F_SETOWN_EX, (unsigned long)&owner), 0);
    cr_assert_eq(fixture_fcntl(fd, F_SETSIG, (unsigned long)number), 0);
    cr_assert_eq(fixture_fcntl(fd, F_SETFL, flags), 0);
}

/* Takes the next signal, which must be this one once it is translated. */
static void expect(int32_t pid, int32_t tid, int number, int code, int fd)
{
    struct fake_signal got;

    cr_assert(fake_take_signal(&got), "no signal");
    cr_expect_eq(got.pid, pid);
    cr_expect_eq(got.tid, tid);
    cr_expect_eq(got.number, number);
    cr_expect_eq(got.info.si_signo, number);
    if ((tid > 0 ? tid : pid) == (int32_t)self.tid) {
        cr_expect_eq(got.info.si_code, code, "to itself a thread sends it as it is");
    } else {
        cr_expect_eq(got.info.si_code, SI_SIGIO);
    }
    emu_signal_info(&got.info);
    cr_expect_eq(got.info.si_code, code);
    cr_expect_eq(got.info.si_errno, 0);
    cr_expect_eq(got.info.si_fd, fd);
}

static void expect_none(void)
{
    struct fake_signal got;

    cr_expect_not(fake_take_signal(&got), "signal %d, code %d", got.number, got.info.si_code);
}

static void put(int fd)
{
    cr_assert_eq(emu_write(&self, fd, "x", 1), 1);
}

Test(async, to_itself_to_another_and_to_a_thread)
{
    fixture_pipe(fds, O_NONBLOCK);
    own(fds[0], F_OWNER_PID, US, SIGNO);
    put(fds[1]);
    expect(US, 0, SIGNO, POLL_IN, fds[0]);
    own(fds[0], F_OWNER_PID, PEER, SIGNO);
    put(fds[1]);
    expect(PEER, 0, SIGNO, POLL_IN, fds[0]);
    own(fds[0], F_OWNER_TID, 101, SIGNO); /* the test's second thread */
    put(fds[1]);
    expect(US, 101, SIGNO, POLL_IN, fds[0]);
    own(fds[0], F_OWNER_TID, US, SIGCHLD);
    put(fds[1]);
    expect(US, US, SIGCHLD, SI_SIGIO, fds[0]);
    own(fds[0], F_OWNER_PID, PEER, 0);
    put(fds[1]);
    expect(PEER, 0, SIGIO, SI_KERNEL, 0);
    expect_none();
    fixture_close(fds);
}

Test(async, a_full_queue_gives_sigio)
{
    fixture_pipe(fds, O_NONBLOCK);
    own(fds[0], F_OWNER_PID, PEER, SIGNO);
    fake_fill_signal_queue(1);
    put(fds[1]);
    expect(PEER, 0, SIGIO, SI_KERNEL, 0);
    put(fds[1]);
    expect(PEER, 0, SIGNO, POLL_IN, fds[0]);
    expect_none();
    fixture_close(fds);
}

Test(async, nobody)
{
    int off = 0;

    fixture_pipe(fds, O_NONBLOCK);
    cr_assert_eq(fixture_fcntl(fds[0], F_SETFL, O_NONBLOCK | O_ASYNC), 0);
    put(fds[1]); /* no owner */
    own(fds[0], F_OWNER_PID, PEER, SIGNO);
    fake_kill(PEER); /* a number that means another process, or none */
    put(fds[1]);
    expect_none();
    own(fds[0], F_OWNER_PID, US, SIGNO);
    put(fds[1]);
    expect(US, 0, SIGNO, POLL_IN, fds[0]);
    cr_assert_eq(emu_ioctl(&self, fds[0], FIOASYNC, &off), 0);
    put(fds[1]);
    expect_none();
    fixture_close(fds);
}

Test(async, the_number_is_that_of_the_first_time)
{
    int copy;

    fixture_pipe(fds, O_NONBLOCK);
    own(fds[0], F_OWNER_PID, US, SIGNO);
    copy = (int)fixture_fcntl(fds[0], F_DUPFD, 50);
    cr_assert_eq(copy, 50);
    own(copy, F_OWNER_PID, US, SIGNO + 1);
    put(fds[1]);
    expect(US, 0, SIGNO + 1, POLL_IN, fds[0]);
    cr_assert_eq(fixture_fcntl(copy, F_SETFL, O_NONBLOCK), 0);
    own(copy, F_OWNER_PID, US, SIGNO);
    put(fds[1]);
    expect(US, 0, SIGNO, POLL_IN, copy);
    emu_close(&self, copy);
    fixture_close(fds);
    expect_none();
}

Test(async, one_signal_for_each_segment)
{
    fixture_pair(fds, SOCK_STREAM | SOCK_NONBLOCK);
    own(fds[0], F_OWNER_PID, US, SIGNO);
    cr_assert_eq(emu_write(&self, fds[1], data, 100000), 100000);
    for (int i = 0; i < 3; i++)
        expect(US, 0, SIGNO, POLL_IN, fds[0]);
    own(fds[0], F_OWNER_PID, US, SIGUSR1); /* it doesn't queue */
    cr_assert_eq(emu_write(&self, fds[1], data, 50000), 50000);
    expect(US, 0, SIGUSR1, POLL_IN, fds[0]);
    expect_none();
    fixture_close(fds);
}

Test(async, space_once_after_a_send_met_none)
{
    fixture_pair(fds, SOCK_STREAM | SOCK_NONBLOCK);
    own(fds[0], F_OWNER_PID, US, SIGNO);
    put(fds[0]);
    cr_assert_eq(emu_read(&self, fds[1], data, sizeof data), 1);
    expect_none(); /* there was room all the time */
    fixture_fill(fds[0], 4096);
    cr_assert_gt(emu_read(&self, fds[1], data, sizeof data), 0);
    expect(US, 0, SIGNO, POLL_OUT, fds[0]);
    expect_none();
    fixture_fill(fds[0], 4096);
    cr_assert_eq(emu_close(&self, fds[1]), 0); /* unread data goes */
    expect(US, 0, SIGNO, POLL_OUT, fds[0]);
    expect_none(); /* the hang-up is the kernel's to tell */
    cr_assert_eq(emu_close(&self, fds[0]), 0);
}

Test(async, shutdown)
{
    fixture_pair(fds, SOCK_STREAM | SOCK_NONBLOCK);
    own(fds[0], F_OWNER_PID, US, SIGNO);
    own(fds[1], F_OWNER_PID, US, SIGNO + 1);
    emu_shutdown(&self, fds[1], SHUT_RD);
    expect_none();
    emu_shutdown(&self, fds[1], SHUT_WR);
    expect(US, 0, SIGNO, POLL_IN, fds[0]);
    emu_shutdown(&self, fds[1], SHUT_RDWR);
    expect(US, 0, SIGNO, POLL_HUP, fds[0]);
    expect_none();
    fixture_close(fds);
}

Test(async, other_signals_keep_their_siginfo)
{
    siginfo_t info;
    siginfo_t copy;

    memset(&info, 0, sizeof info);
    info.si_signo = SIGIO;
    info.si_code = SI_SIGIO; /* the kernel's own, of a native descriptor */
    info.si_band = POLLIN;
    info.si_fd = 7;
    copy = info;
    emu_signal_info(&info);
    cr_expect_arr_eq(&info, &copy, sizeof info);
    info.si_code = SI_USER;
    info.si_pid = 5;
    copy = info;
    emu_signal_info(&info);
    cr_expect_arr_eq(&info, &copy, sizeof info);
}
