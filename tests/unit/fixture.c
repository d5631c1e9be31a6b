/*
 * fixture.c - see fixture.h
 */
#include "fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "host.h"
#include "host_fake.h"

struct emu_process process;
struct emu_task self;
struct emu_task other;

static int own_fds; /* the session's own */

int fixture_open_fds(void)
{
    return fake_open_fds() - own_fds;
}

/* Out of the way of low numbers, as the shim does it. */
static void hide_bell(void)
{
    struct emu_hidden hidden = emu_session_hidden();

    if (hidden.bell < 0)
        return;
    const int moved = (int)host_fcntl(hidden.bell, F_DUPFD_CLOEXEC, 900);
    host_close(hidden.bell);
    hidden.bell = moved;
    emu_session_set_hidden(hidden);
}

void fixture_start(void)
{
    fake_reset();
    cr_assert_geq(emu_session_create(), 0, "no session");
    emu_task_enter(&self, &process);
    cr_assert_eq(emu_process_join(&process, &self), 0);
    fake_run_as(100, 101);
    emu_task_enter(&other, &process);
    fake_run_as(100, 100);
    hide_bell();
    own_fds = fake_open_fds();
}

void fixture_end(void)
{
    struct emu_session_counts left;

    emu_task_leave(&self);
    emu_task_leave(&other);
    emu_session_count(&left);
    cr_expect_eq(left.descriptions, 0, "%u descriptions left", left.descriptions);
    cr_expect_eq(left.bufs, 0, "%u bufs left", left.bufs);
    cr_expect_eq(left.waiters, 0, "%u waiters left", left.waiters);
    cr_expect_eq(left.processes, 1, "%u processes left", left.processes);
    cr_expect_eq(fixture_open_fds(), 0, "%d descriptors left", fixture_open_fds());
}

void fixture_pipe(int ret_fds[2], int flags)
{
    cr_assert_eq(emu_pipe2(&self, ret_fds, flags), 0);
}

void fixture_pair(int ret_fds[2], int type)
{
    cr_assert_eq(emu_socketpair(&self, AF_UNIX, type, 0, ret_fds), 0);
}

void fixture_close(const int fds[2])
{
    for (int i = 0; i < 2; i++) {
        const int64_t result = emu_close(&self, fds[i]);

        cr_assert_eq(result == EMU_NATIVE ? host_close(fds[i]) : result, 0);
    }
}

short fixture_poll(int fd, short events)
{
    struct pollfd one = { .fd = fd, .events = events };
    const int64_t result = emu_poll(&self, &one, 1, 0);

    cr_assert(result == 0 || result == 1, "poll answers %lld", (long long)result);
    cr_assert_eq(result, one.revents != 0);
    return one.revents;
}

int64_t fixture_fill(int fd, size_t size)
{
    static char data[1000000];
    int64_t total = 0;
    int64_t done;

    memset(data, 'f', sizeof data);
    while ((done = emu_write(&self, fd, data, size)) > 0)
        total += done;
    cr_assert_eq(done, -EAGAIN);
    return total;
}

int64_t fixture_fcntl(int fd, int command, unsigned long argument)
{
    const int64_t result = emu_fcntl(&self, fd, command, argument);

    return result == EMU_NATIVE ? host_fcntl(fd, command, argument) : result;
}
