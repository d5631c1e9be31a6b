/*
 * test_process.c - members of a session: joining, forks, deaths, sweeps; the arena they share
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "arena.h"
#include "fixture.h"
#include "host.h"
#include "host_fake.h"

TestSuite(process, .init = fixture_start, .fini = fixture_end);

static int fds[2];
static char byte;

static struct emu_session_counts count(void)
{
    struct emu_session_counts counts;

    emu_session_count(&counts);
    return counts;
}

/* A child, as far as the arena knows of it. */
static void make_child(int32_t pid)
{
    const int slot = emu_fork_before(&self);

    cr_assert_gt(slot, 0);
    emu_fork_parent(&self, slot, pid);
}

Test(process, members_are_listed)
{
    int32_t pids[8];
    uint32_t changes = 0, more = 0;

    cr_expect_eq(emu_session_members(pids, 8, &changes), 1);
    cr_expect_eq(pids[0], 100);
    make_child(200);
    cr_expect_eq(emu_session_members(pids, 8, &more), 2);
    cr_expect_eq(pids[1], 200);
    cr_expect_eq(emu_session_members(pids, 1, &more), 1, "no more than asked for");
    fake_kill(200);
    cr_expect_eq(emu_process_sweep_dead(&self), 1);
    cr_expect_eq(emu_session_members(pids, 8, &more), 1);
    cr_expect_eq(count().processes_joined, 1, "the child never came to that");
}

Test(process, joining_twice_is_one_member)
{
    static struct emu_process again = { 0 };

    cr_expect_eq(emu_process_join(&again, &self), 0);
    cr_expect_eq(again.slot, process.slot);
    cr_expect_eq(count().processes, 1);
}

Test(process, a_fork_that_failed)
{
    fixture_pipe(fds, 0);
    const int slot = emu_fork_before(&self);
    cr_assert_gt(slot, 0);
    emu_fork_parent(&self, slot, -1);
    cr_expect_eq(count().processes, 1);
    cr_assert_eq(emu_close(&self, fds[1]), 0);
    cr_expect_eq(emu_read(&self, fds[0], &byte, 1), 0);
    cr_assert_eq(emu_close(&self, fds[0]), 0);
}

Test(process, a_child_holds_what_it_inherited)
{
    fixture_pipe(fds, O_NONBLOCK);
    make_child(200);
    const int childs = host_dup(fds[1]); /* in the kernel its copy stands for the child's */
    cr_assert_eq(emu_close(&self, fds[1]), 0);
    cr_expect_eq(emu_read(&self, fds[0], &byte, 1), -EAGAIN, "the child may still write");
    host_close(childs);
    fake_kill(200);
    emu_process_sweep(&self, 200);
    cr_expect_eq(emu_read(&self, fds[0], &byte, 1), 0);
    cr_assert_eq(emu_close(&self, fds[0]), 0);
}

Test(process, a_sweep_of_the_living_does_nothing)
{
    fixture_pipe(fds, O_NONBLOCK);
    make_child(200);
    emu_process_sweep(&self, 200);
    emu_process_sweep(&self, 100);
    emu_process_sweep(&self, 4711);
    cr_expect_eq(count().processes, 2);
    fake_kill(200);
    emu_process_sweep(&self, 200);
    emu_process_sweep(&self, 200);
    cr_expect_eq(count().processes, 1);
    fixture_close(fds);
}

static void die(void *context)
{
    host_close(*(int *)context);
    fake_kill(200);
    emu_process_sweep(&other, 200);
}

Test(process, a_death_wakes_who_waits)
{
    fixture_pipe(fds, 0);
    make_child(200);
    int childs = host_dup(fds[1]);
    cr_assert_eq(emu_close(&self, fds[1]), 0);
    fake_plan(1300 * MS, die, &childs);
    cr_expect_eq(emu_read(&self, fds[0], &byte, 1), 0);
    cr_expect_eq(host_now_ns(), 1300 * MS);
    cr_assert_eq(emu_close(&self, fds[0]), 0);
}

static void die_unseen(void *context)
{
    host_close(*(int *)context);
    fake_kill(200);
}

Test(process, a_death_that_nobody_saw)
{
    /* No supervisor: the sleeper asks its placeholder now and then. */
    fixture_pipe(fds, 0);
    make_child(200);
    int childs = host_dup(fds[1]);
    cr_assert_eq(emu_close(&self, fds[1]), 0);
    fake_plan(1300 * MS, die_unseen, &childs);
    cr_expect_eq(emu_read(&self, fds[0], &byte, 1), 0);
    cr_expect_leq(host_now_ns(), 2000 * MS);
    emu_process_sweep_dead(&self);
    cr_assert_eq(emu_close(&self, fds[0]), 0);
}

Test(process, the_session_is_full)
{
    static int slots[EMU_MAX_PROCESSES];
    uint32_t children = 0;

    while (children < EMU_MAX_PROCESSES && (slots[children] = emu_fork_before(&self)) > 0)
        children++;
    cr_expect_geq(children, EMU_MAX_PROCESSES - 8);
    cr_expect_lt(children, EMU_MAX_PROCESSES);
    cr_expect_eq(emu_fork_before(&self), -EAGAIN);
    for (uint32_t i = 0; i < children; i++)
        emu_fork_parent(&self, slots[i], -1);
    cr_expect_eq(count().processes, 1);
}

Test(process, exit_closes_everything)
{
    fixture_pipe(fds, 0);
    const int copy = (int)emu_dup(&self, fds[1]);
    cr_expect_gt(copy, 0);
    emu_process_exit(&self);
    cr_expect_eq(count().descriptions, 0);
    cr_expect_eq(count().bufs, 0);
}

/* ---- The arena ---- */

Test(process, an_arena_is_attached_only_when_it_is_one)
{
    struct arena *first = arena;
    struct emu_hidden hidden = emu_session_hidden();
    const int strange = host_memory_create("strange", EMU_ARENA_SIZE);
    const int small = host_memory_create("small", 4096);

    cr_expect_eq(emu_session_attach(strange), -EINVAL);
    cr_expect_eq(emu_session_attach(small), -EINVAL);
    cr_expect_eq(emu_session_attach(0), -EINVAL);
    cr_expect_eq(emu_session_attach(hidden.arena), 0);
    cr_expect_neq(arena, first, "mapped at another address");
    cr_expect_eq(count().processes, 1, "and it is the same one");
    arena->header.signature++;
    cr_expect_eq(emu_session_attach(hidden.arena), -ESTALE);
    arena = first;
    arena->header.signature--;
    host_close(strange);
    host_close(small);
}

Test(process, descriptors_work_wherever_the_arena_is_mapped)
{
    struct arena *first = arena;

    fixture_pipe(fds, 0);
    cr_assert_eq(emu_write(&self, fds[1], "across", 6), 6);
    cr_assert_eq(emu_session_attach(emu_session_hidden().arena), 0);
    char data[10];
    cr_expect_eq(emu_read(&self, fds[0], data, sizeof data), 6);
    cr_expect(memcmp(data, "across", 6) == 0);
    arena = first;
    fixture_close(fds);
}

Test(process, pools_give_back_what_they_got)
{
    static int pipes[600][2];

    for (int lap = 0; lap < 3; lap++) {
        int made = 0;

        while (made < 600 && emu_pipe2(&self, pipes[made], 0) == 0)
            made++;
        cr_assert_gt(made, 400); /* the fake's table ends before the arena's */
        cr_expect_eq(count().bufs, (uint32_t)made);
        cr_expect_eq(count().descriptions, 2 * (uint32_t)made);
        for (int i = 0; i < made; i++)
            fixture_close(pipes[i]);
        cr_expect_eq(count().bufs, 0);
    }
}
