/*
 * test_blocked.c - who waits for what: what a sleeping task says of its sleep, as others read it
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>

#include "blocked.h"
#include "fixture.h"
#include "host.h"
#include "host_fake.h"
#include "task.h"

TestSuite(blocked, .init = fixture_start, .fini = fixture_end);

static char data[100000];
static int fds[2];
static struct emu_blocked seen;

/* All tasks that are blocked now; the last one stays in `seen`. */
static uint32_t count_blocked(void)
{
    struct emu_blocked blocked;
    uint32_t index = 0;
    uint32_t count = 0;

    while (emu_session_blocked(&index, &blocked)) {
        seen = blocked;
        count++;
    }
    return count;
}

static void look(void *context)
{
    *(uint32_t *)context = count_blocked();
}

static void write_one(void *context)
{
    (void)context;
    cr_assert_eq(emu_write(&other, fds[1], "x", 1), 1);
}

static void read_all(void *context)
{
    (void)context;
    cr_assert_gt(emu_read(&other, fds[0], data, sizeof data), 0);
}

static void interrupt(void *context)
{
    (void)context;
    emu_task_interrupt(&self, false);
}

static void check_holder(const struct emu_blocked_fd *fd, int32_t pid)
{
    int32_t pids[4];

    cr_assert_eq(emu_session_holders(fd->peer, fd->peer_generation, pids, 4), 1);
    cr_expect_eq(pids[0], pid);
    cr_expect_eq(emu_session_holders(fd->peer, fd->peer_generation + 1, pids, 4), 0);
    cr_expect_eq(emu_session_holders(fd->peer, fd->peer_generation, pids, 0), 0);
}

Test(blocked, a_read_of_an_empty_pipe)
{
    uint32_t during = 0;

    fixture_pipe(fds, 0);
    cr_expect_eq(count_blocked(), 0);
    fake_plan(1100 * MS, look, &during);
    fake_plan(1200 * MS, write_one, NULL);
    cr_expect_eq(emu_read(&self, fds[0], data, 123), 1);
    cr_expect_eq(during, 1);
    cr_expect_eq(count_blocked(), 0, "it is over");

    cr_expect_eq(seen.pid, 100);
    cr_expect_eq(seen.tid, self.tid);
    cr_expect_str_eq(emu_call_name(seen.call), "read");
    cr_expect_eq(seen.size, 123);
    cr_expect_eq(seen.done, 0);
    cr_expect_eq(seen.since_ns, 1000 * MS);
    cr_expect_lt(seen.timeout_ns, 0);
    cr_expect_neq(seen.frame, 0);
    cr_expect_eq(seen.count, 1);
    cr_assert_eq(seen.fd_count, 1);
    cr_expect_eq(seen.fds[0].fd, fds[0]);
    cr_expect_eq(seen.fds[0].kind, EMU_CHANNEL_PIPE);
    cr_expect_eq(seen.fds[0].events, POLLIN | POLLRDNORM);
    cr_expect(seen.fds[0].in.there && !seen.fds[0].out.there);
    cr_expect_eq(seen.fds[0].in.bytes, 0);
    cr_expect_eq(seen.fds[0].in.capacity, 65536);
    cr_expect_eq(seen.fds[0].in.slots, 16);
    cr_expect_eq(seen.fds[0].peer_maker, 100);
    cr_expect_eq(seen.fds[0].peer_sample_fd, fds[1]);
    check_holder(&seen.fds[0], 100);
    fixture_close(fds);
}

Test(blocked, a_write_into_a_full_pipe)
{
    uint32_t during = 0;

    fixture_pipe(fds, 0);
    fake_plan(1100 * MS, look, &during);
    fake_plan(1200 * MS, read_all, NULL);
    cr_expect_eq(emu_write(&self, fds[1], data, 70000), 70000);
    cr_expect_eq(during, 1);
    cr_expect_str_eq(emu_call_name(seen.call), "write");
    cr_expect_eq(seen.size, 70000);
    cr_expect_eq(seen.done, 65536);
    cr_expect(seen.fds[0].out.there && !seen.fds[0].in.there);
    cr_expect_eq(seen.fds[0].out.bytes, 65536);
    cr_expect_eq(seen.fds[0].out.pieces, 16);
    check_holder(&seen.fds[0], 100);
    fixture_close(fds);
}

Test(blocked, a_socket_has_two_directions)
{
    const struct emu_blocked_fd *fd = &seen.fds[0];
    uint32_t during = 0;

    fixture_pair(fds, SOCK_SEQPACKET);
    cr_assert_eq(emu_write(&self, fds[0], data, 1000), 1000);
    fake_plan(1100 * MS, look, &during);
    fake_plan(1200 * MS, write_one, NULL);
    cr_expect_eq(emu_recv(&self, fds[0], data, 10, 0), 1);
    cr_expect_eq(during, 1);
    cr_expect_eq(fd->kind, EMU_CHANNEL_SEQPACKET);
    cr_expect_eq(fd->events & (POLLIN | POLLOUT), POLLIN);
    cr_expect_eq(fd->in.bytes, 0);
    cr_expect_eq(fd->out.bytes, 1000);
    cr_expect_eq(fd->out.pieces, 1);
    cr_expect_gt(fd->out.used, 1000, "a charge, not bytes");
    cr_expect_eq(fd->out.capacity, 212992);
    cr_expect_eq(fd->out.slots, 0);
    fixture_close(fds);
}

Test(blocked, poll_shows_the_first_of_its_descriptors)
{
    struct pollfd set[7];
    uint32_t during = 0;
    int more[2];

    fixture_pipe(fds, 0);
    fixture_pipe(more, 0);
    for (int i = 0; i < 7; i++)
        set[i] = (struct pollfd){ .fd = i % 2 == 0 ? fds[0] : more[0], .events = POLLIN };
    set[0].fd = -1;
    fake_plan(1100 * MS, look, &during);
    fake_plan(1200 * MS, write_one, NULL);
    cr_expect_eq(emu_poll(&self, set, 7, 5000), 3);
    cr_expect_eq(during, 1);
    cr_expect_str_eq(emu_call_name(seen.call), "poll");
    cr_expect_eq(seen.count, 7);
    cr_expect_eq(seen.timeout_ns, 5000 * (int64_t)MS);
    cr_assert_eq(seen.fd_count, EMU_BLOCKED_FDS);
    cr_expect_eq(seen.fds[0].fd, more[0]);
    cr_expect_eq(seen.fds[1].fd, fds[0]);
    cr_expect_neq(seen.fds[0].number, seen.fds[1].number);
    cr_expect_eq(seen.fds[0].number, seen.fds[2].number);
    fixture_close(fds);
    fixture_close(more);
}

Test(blocked, epoll_shows_what_is_in_its_set)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLET };
    uint32_t during = 0;
    const int set = (int)emu_epoll_create1(&self, 0);

    cr_assert_geq(set, 0);
    fixture_pipe(fds, 0);
    cr_assert_eq(emu_epoll_ctl(&self, set, EPOLL_CTL_ADD, fds[0], &event), 0);
    fake_plan(1100 * MS, look, &during);
    fake_plan(1200 * MS, write_one, NULL);
    cr_expect_eq(emu_epoll_wait(&self, set, &event, 1, 7000), 1);
    cr_expect_eq(during, 1);
    cr_expect_str_eq(emu_call_name(seen.call), "epoll_wait");
    cr_expect_eq(seen.set_fd, set);
    cr_expect_eq(seen.timeout_ns, 7000 * (int64_t)MS);
    cr_expect_eq(seen.count, 1);
    cr_assert_eq(seen.fd_count, 1);
    cr_expect_eq(seen.fds[0].fd, fds[0]);
    cr_expect_eq(seen.fds[0].kind, EMU_CHANNEL_PIPE);
    cr_expect_eq(seen.fds[0].events & POLLIN, POLLIN);
    cr_expect(seen.fds[0].in.there);
    fixture_close(fds);
    cr_assert_eq(emu_close(&self, set), 0);
}

Test(blocked, since_the_first_sleep_of_the_call)
{
    uint32_t during = 0;

    fixture_pipe(fds, 0);
    fake_plan(60000 * MS, look, &during); /* it has asked its placeholder many times by then */
    fake_plan(60001 * MS, interrupt, NULL);
    cr_expect_eq(emu_read(&self, fds[0], data, 1), -EINTR);
    cr_expect_eq(during, 1);
    cr_expect_eq(seen.since_ns, 1000 * MS);
    cr_expect_eq(count_blocked(), 0, "a signal ended it");
    fixture_close(fds);
}

Test(blocked, an_object_that_is_gone_is_not_shown)
{
    struct task_sleep sleep = { .since_ns = 1, .watched = 1 };
    struct task_record *record = task_record(&self);

    fixture_pipe(fds, 0);
    sleep.watch[0].fd = fds[0];
    sleep.watch[0].description = 0;
    sleep.watch[0].generation = 4711;
    task_sleep_begin(record, &sleep);
    cr_expect_eq(count_blocked(), 1);
    cr_expect_eq(seen.fds[0].kind, EMU_CHANNEL_OTHER);
    sleep.watch[0].description = UINT32_MAX;
    sleep.watched = UINT32_MAX;
    task_sleep_begin(record, &sleep);
    cr_expect_eq(count_blocked(), 1);
    cr_expect_eq(seen.fd_count, EMU_BLOCKED_FDS);
    task_sleep_end(record);
    cr_expect_eq(count_blocked(), 0);
    fixture_close(fds);
}

Test(blocked, a_writer_that_was_killed_in_the_middle)
{
    const struct task_sleep sleep = { .since_ns = 1, .size = 5 };
    struct task_record *record = task_record(&self);
    struct task_sleep read;

    atomic_store(&record->sleep_version, 7);
    atomic_store(&record->sleep[0], 1);
    cr_expect_not(task_sleep_peek(record, &read), "half written");
    task_sleep_begin(record, &sleep);
    cr_expect(task_sleep_peek(record, &read));
    cr_expect_eq(read.size, 5);
    task_sleep_end(record);
}

#define ROUNDS 100000

/* Each sleep's fields are made of one number. */
static void *sleep_often(void *context)
{
    struct task_record *record = context;

    for (uint64_t i = 1; i <= ROUNDS; i++) {
        struct task_sleep sleep = {
            .since_ns = i, .size = i, .done = i, .timeout_ns = (int64_t)i, .frame = i
        };

        sleep.watch[TASK_WATCHED - 1].events = (uint32_t)i;
        task_sleep_begin(record, &sleep);
    }
    task_sleep_end(record);
    return NULL;
}

Test(blocked, never_half_of_one_sleep_and_half_of_another)
{
    static struct task_record record;
    struct task_sleep sleep;
    uint64_t last = 0;
    pthread_t thread;

    cr_assert_eq(pthread_create(&thread, NULL, sleep_often, &record), 0);
    while (last < ROUNDS / 2) { /* ends: the numbers grow, and the writer ends */
        if (!task_sleep_peek(&record, &sleep)) {
            if (atomic_load(&record.sleep_version) == 2 * ROUNDS)
                break;
            continue;
        }
        cr_assert(sleep.size == sleep.since_ns && sleep.done == sleep.since_ns &&
                  (uint64_t)sleep.timeout_ns == sleep.since_ns && sleep.frame == sleep.since_ns &&
                  sleep.watch[TASK_WATCHED - 1].events == (uint32_t)sleep.since_ns);
        cr_assert_geq(sleep.since_ns, last);
        last = sleep.since_ns;
    }
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_expect_not(task_sleep_peek(&record, &sleep));
}

Test(blocked, names_of_calls)
{
    cr_expect_str_eq(emu_call_name(EMU_CALL_NONE), "");
    cr_expect_str_eq(emu_call_name(EMU_CALL_recvmmsg), "recvmmsg");
    cr_expect_str_eq(emu_call_name(1000000), "");
}
