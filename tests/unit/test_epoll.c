/*
 * test_epoll.c - ready lists over the fake host: order, edges, faults, more waiters than a wake
 * list holds, and that what a dead owner left half changed is made anew
 *
 * What Linux does with epoll is proven by tests/guest/epoll_*.c; here stands what they can't reach.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>

#include "epoll.h"
#include "fixture.h"
#include "host_fake.h"

TestSuite(epoll, .init = fixture_start, .fini = fixture_end);

#define SETS 40 /* more than WAKE_LIST_MAX */

static int fds[2];

static int open_set(void)
{
    const int64_t set = emu_epoll_create1(&self, EPOLL_CLOEXEC);

    cr_assert(set >= 0);
    return (int)set;
}

static int64_t control(int set, int operation, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = { .events = events, .data.u64 = data };

    return emu_epoll_ctl(&self, set, operation, fd, &event);
}

/* Data words of what is told now, as digits; the first is the highest. */
static uint64_t told(int set, int max)
{
    struct epoll_event events[16];
    const int64_t count = emu_epoll_wait(&self, set, events, max, 0);
    uint64_t digits = 0;

    cr_assert(count >= 0);
    for (int64_t i = 0; i < count; i++)
        digits = digits * 10 + events[i].data.u64;
    return digits;
}

Test(epoll, levels_go_round)
{
    const int set = open_set();
    int pipes[3][2];

    for (int i = 0; i < 3; i++) {
        fixture_pipe(pipes[i], 0);
        cr_assert_eq(control(set, EPOLL_CTL_ADD, pipes[i][0], EPOLLIN, (uint64_t)i + 1), 0);
        cr_assert_eq(emu_write(&self, pipes[i][1], "x", 1), 1);
    }
    cr_expect_eq(told(set, 2), 12);
    cr_expect_eq(told(set, 2), 31);
    cr_expect_eq(told(set, 16), 231);
    cr_assert_eq(control(set, EPOLL_CTL_MOD, pipes[1][0], EPOLLIN | EPOLLET, 2), 0);
    cr_expect_eq(told(set, 16), 231);
    cr_expect_eq(told(set, 16), 31);
    cr_assert_eq(control(set, EPOLL_CTL_DEL, pipes[2][0], 0, 0), 0);
    cr_expect_eq(told(set, 16), 1);
    emu_close(&self, set);
    for (int i = 0; i < 3; i++)
        fixture_close(pipes[i]);
    cr_expect_eq(epoll_item_count(), 0);
}

Test(epoll, more_waiters_than_a_list_holds)
{
    int sets[SETS];
    char byte;

    fixture_pipe(fds, 0);
    for (int i = 0; i < SETS; i++) {
        sets[i] = open_set();
        cr_assert_eq(control(sets[i], EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLET, 7), 0);
    }
    for (int round = 0; round < 2; round++) {
        cr_assert_eq(emu_write(&self, fds[1], "x", 1), 1);
        for (int i = 0; i < SETS; i++)
            cr_expect_eq(told(sets[i], 1), 7, "set %d, round %d", i, round);
        cr_assert_eq(emu_read(&self, fds[0], &byte, 1), 1);
        for (int i = 0; i < SETS; i++)
            cr_expect_eq(told(sets[i], 1), 0);
    }
    for (int i = 0; i < SETS; i++)
        emu_close(&self, sets[i]);
    fixture_close(fds);
}

Test(epoll, a_fault_keeps_the_event)
{
    const int set = open_set();
    struct epoll_event events[2];

    fixture_pipe(fds, 0);
    cr_assert_eq(control(set, EPOLL_CTL_ADD, fds[1], EPOLLOUT | EPOLLONESHOT, 5), 0);
    fake_bad_memory(events, sizeof events);
    cr_expect_eq(emu_epoll_wait(&self, set, events, 2, 0), -EFAULT);
    fake_bad_memory(NULL, 0);
    cr_expect_eq(told(set, 2), 5);
    cr_expect_eq(told(set, 2), 0);
    emu_close(&self, set);
    fixture_close(fds);
}

/* As whoever died with a lock leaves it: the flag is set, the links are anything. */
Test(epoll, chains_are_made_anew)
{
    const int set = open_set();
    const uint32_t index = epoll_description(set)->epoll;

    fixture_pipe(fds, 0);
    cr_assert_eq(control(set, EPOLL_CTL_ADD, fds[0], EPOLLIN, 3), 0);
    cr_assert_eq(control(set, EPOLL_CTL_ADD, fds[1], EPOLLOUT, 4), 0);
    epoll_at(index)->items = 0;
    atomic_store(&fdtab_get(fds[0])->watchers, 0);
    atomic_store(&arena->header.epoll_changed, 1);
    cr_expect_eq(control(set, EPOLL_CTL_ADD, fds[0], EPOLLIN, 3), -EEXIST);
    cr_expect_eq(control(set, EPOLL_CTL_MOD, fds[0], EPOLLIN, 6), 0);
    cr_assert_eq(emu_write(&self, fds[1], "x", 1), 1);
    cr_expect_eq(told(set, 2), 46);

    atomic_store(&epoll_at(index)->first, 0);
    epoll_at(index)->changing = 1;
    cr_assert_eq(emu_write(&self, fds[1], "y", 1), 1);
    cr_expect(told(set, 1) != 0);
    cr_expect(told(set, 2) == 46 || told(set, 2) == 46, "both are in the list again");
    fixture_close(fds);
    emu_close(&self, set);
    cr_expect_eq(epoll_item_count(), 0);
}

static void write_other(void *context)
{
    (void)context;
    cr_assert_eq(emu_write(&other, fds[1], "x", 1), 1);
}

Test(epoll, a_sleeper_is_woken_and_a_time_out_ends)
{
    const int set = open_set();
    struct epoll_event event;

    fixture_pipe(fds, 0);
    cr_assert_eq(control(set, EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLET, 9), 0);
    cr_expect_eq(emu_epoll_wait(&self, set, &event, 1, 10), 0);
    fake_plan(1500 * MS, write_other, NULL);
    cr_expect_eq(emu_epoll_wait(&self, set, &event, 1, -1), 1);
    cr_expect_eq(event.data.u64, 9);
    emu_close(&self, set);
    fixture_close(fds);
}

/*
 * Somebody sweeps the dead in the very moment in which a number is closed, finds that nobody holds
 * the description any more, begins to bury it and takes its time over it: close has returned.
 */
Test(epoll, what_is_closed_is_told_no_more_whoever_buries_it)
{
    enum { SWEEPER = 7 };
    const int set = open_set();

    fixture_pipe(fds, 0);
    struct description *reader = fdtab_get_any(fds[0]);
    cr_assert_eq(control(set, EPOLL_CTL_ADD, fds[0], EPOLLIN, 1), 0);
    cr_assert_eq(emu_close(&self, fds[1]), 0);
    cr_expect_eq(told(set, 8), 1, "the hang-up");
    atomic_store(&reader->state, DESCRIPTION_DYING | SWEEPER << 8);
    cr_assert_eq(emu_close(&self, fds[0]), 0);
    cr_expect_eq(told(set, 8), 0);
    description_sweep(&self, SWEEPER); /* it was killed over it */
    cr_expect_eq(epoll_item_count(), 0);
    cr_assert_eq(emu_close(&self, set), 0);
}

/* A child whose parent died over the fork takes up what a sweep has just found without holders. */
Test(epoll, what_was_taken_up_again_is_told)
{
    const int set = open_set();

    fixture_pipe(fds, 0);
    struct description *reader = fdtab_get_any(fds[0]);
    const uint32_t index = description_index(reader);
    cr_assert_eq(control(set, EPOLL_CTL_ADD, fds[0], EPOLLIN, 1), 0);
    cr_assert_eq(emu_write(&self, fds[1], "x", 1), 1);
    description_bury_if_unheld(&self, index);
    cr_expect_eq(atomic_load(&reader->state), DESCRIPTION_LIVE, "it is held");
    cr_expect_eq(told(set, 8), 1);
    description_unhold(reader, process.slot);
    description_bury_if_unheld(&self, index);
    cr_expect_eq(atomic_load(&reader->state), DESCRIPTION_FREE);
    cr_expect_eq(told(set, 8), 0);
    fixture_close(fds);
    cr_assert_eq(emu_close(&self, set), 0);
}
