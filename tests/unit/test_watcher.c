/*
 * test_watcher.c - who sweeps the dead may die over it: what it had in hand goes to somebody else,
 * and to one alone
 */
#include <criterion/criterion.h>
#include <errno.h>

#include "bounds.h"
#include "fixture.h"
#include "host.h"
#include "host_fake.h"
#include "process.h"

enum { CHILD = 200, WATCHER = 60, SUCCESSOR = 61 };

static int fds[2];
static int child; /* slot */
static struct emu_process watcher_process, successor_process;
static struct emu_task watcher, successor;

static void join_as(int32_t pid, struct emu_process *image, struct emu_task *task)
{
    fake_run_as(pid, (uint32_t)pid);
    emu_task_enter(task, image);
    emu_watcher_join(image, task);
    fake_run_as(100, 100);
}

/* A watcher, and a child that has died and isn't swept yet. */
static void start(void)
{
    fixture_start();
    fixture_pipe(fds, 0);
    child = emu_fork_before(&self);
    cr_assert_gt(child, 0);
    emu_fork_parent(&self, child, CHILD);
    watcher_process = successor_process = (struct emu_process){ 0 };
    join_as(WATCHER, &watcher_process, &watcher);
    fake_kill(CHILD);
}

static void end(void)
{
    fixture_close(fds);
    fixture_end();
}

TestSuite(watcher, .init = start, .fini = end);

static uint32_t state_of(uint32_t slot)
{
    return atomic_load(&process_at(slot)->state);
}

static uint32_t count_members(void)
{
    static int32_t pids[EMU_MAX_PROCESSES];
    uint32_t changes;
    struct emu_session_counts counts;
    const uint32_t count = emu_session_members(pids, EMU_MAX_PROCESSES, &changes);

    emu_session_count(&counts);
    cr_expect_eq(counts.processes, count);
    return count;
}

/* The watcher has begun to sweep the child, and stops there. */
static void begin_sweep(void)
{
    atomic_store(&process_at((uint32_t)child)->state,
                 PROCESS_GENERATION(state_of((uint32_t)child) + PROCESS_ONE_GENERATION) |
                     watcher_process.slot << 8 | PROCESS_SWEPT);
}

Test(watcher, it_is_no_member)
{
    cr_expect_neq(watcher_process.slot, 0);
    cr_expect_eq(count_members(), 2, "we, and the child");
    cr_expect_eq(process_find(WATCHER), ARENA_NONE);
    emu_watcher_leave(&watcher);
    cr_expect_eq(watcher_process.slot, 0);
    cr_expect_not(emu_process_sweep(&self, CHILD));
    cr_expect_eq(count_members(), 1);
}

Test(watcher, it_isnt_swept_while_it_lives)
{
    cr_expect_eq(emu_process_sweep_dead(&self), 1, "the child");
    cr_expect_eq(PROCESS_KIND(state_of(watcher_process.slot)), PROCESS_WATCHER);
    cr_expect_eq(count_members(), 1);
}

Test(watcher, nobody_else_sweeps_what_it_sweeps)
{
    begin_sweep();
    const uint32_t seen = state_of((uint32_t)child);
    emu_process_sweep_dead(&self);
    join_as(SUCCESSOR, &successor_process, &successor); /* of its own accord: the other lives */
    emu_process_sweep_dead(&successor);
    cr_expect_eq(state_of((uint32_t)child), seen);
    fake_kill(WATCHER);
    emu_process_sweep_dead(&self);
    cr_expect_eq(count_members(), 1);
}

Test(watcher, its_successor_goes_on)
{
    begin_sweep();
    fake_kill(WATCHER);
    join_as(SUCCESSOR, &successor_process, &successor);
    cr_expect_eq(count_members(), 1);
    cr_expect_eq(PROCESS_KIND(state_of((uint32_t)child)), PROCESS_FREE);
    cr_expect_eq(PROCESS_KIND(state_of(watcher_process.slot)), PROCESS_FREE);
}

Test(watcher, a_member_goes_on)
{
    begin_sweep();
    fake_kill(WATCHER);
    cr_expect_not(emu_process_sweep(&self, CHILD));
    cr_expect_eq(count_members(), 1);
    emu_process_sweep_dead(&self);
    cr_expect_eq(PROCESS_KIND(state_of(watcher_process.slot)), PROCESS_FREE);
}

/* Its slot is somebody else's by now, who lives: that one sweeps nobody. */
Test(watcher, what_it_swept_isnt_its_heirs)
{
    const uint32_t slot = watcher_process.slot;

    begin_sweep();
    fake_kill(WATCHER);
    emu_process_sweep_dead(&self);
    join_as(SUCCESSOR, &successor_process, &successor);
    cr_expect_eq(PROCESS_KIND(state_of(slot)), PROCESS_KIND(state_of(successor_process.slot)));
    cr_expect_not(emu_process_sweep(&self, CHILD));
    cr_expect_eq(count_members(), 1);
}

/*
 * Found dead while one watcher had it in hand, which was dead as well; when the claim comes, the
 * next one has it in hand. Two would free the record, and two processes get it.
 */
Test(watcher, a_late_claim_comes_to_nothing)
{
    begin_sweep();
    const uint32_t seen = state_of((uint32_t)child);
    fake_kill(WATCHER);
    join_as(SUCCESSOR, &successor_process, &successor); /* has swept it: the record is free */
    cr_expect_neq(PROCESS_GENERATION(state_of((uint32_t)child)), PROCESS_GENERATION(seen));
    process_sweep_slot(&self, (uint32_t)child, seen);
    const int first = emu_fork_before(&self);
    const int second = emu_fork_before(&other);
    cr_expect_neq(first, second);
    emu_fork_parent(&other, second, -1);
    emu_fork_parent(&self, first, -1);
    cr_expect_eq(count_members(), 1);
}

/* What it was burying, or had begun to make, is nobody's for ever unless somebody knows whose. */
Test(watcher, what_it_was_burying_is_buried)
{
    int more[2];

    emu_process_sweep_dead(&self);
    fixture_pipe(more, 0);
    const uint32_t slot = watcher_process.slot;
    struct description *reader = fdtab_get_any(more[0]);
    fdtab_take(more[0]);
    description_unhold(reader, process.slot);
    atomic_store(&reader->state, DESCRIPTION_DYING | slot << 8);
    fake_kill(WATCHER);
    join_as(SUCCESSOR, &successor_process, &successor);
    cr_expect_eq(atomic_load(&reader->state), DESCRIPTION_FREE);
    cr_expect_eq(emu_write(&self, more[1], "x", 1), -EPIPE);
    cr_assert_eq(emu_close(&self, more[1]), 0);
    host_close(more[0]);
}

/* An image after exec: a thread of the one before was sweeping when it ended. */
Test(watcher, a_later_image_ends_what_the_earlier_began)
{
    static struct emu_process image;

    atomic_store(&process_at((uint32_t)child)->state,
                 PROCESS_GENERATION(state_of((uint32_t)child)) | process.slot << 8 | PROCESS_SWEPT);
    cr_assert_eq(emu_process_join(&image, &self), 0);
    cr_expect_eq(image.slot, process.slot);
    cr_expect_eq(count_members(), 1);
    cr_expect_geq(emu_process_rebuild(&self), 0);
    self.process = &process;
}

/* A pid that is used again: the record of who had it is swept by who has it, as its own. */
Test(watcher, a_namesake_is_swept)
{
    static struct emu_process image;
    struct emu_task task;

    fake_run_as(300, 300);
    emu_task_enter(&task, &image);
    atomic_store(&process_at((uint32_t)child)->pid, 300);
    atomic_store(&process_at((uint32_t)child)->mark, 1);
    cr_assert_eq(emu_process_join(&image, &task), 0);
    fake_run_as(100, 100);
    cr_expect_neq(image.slot, (uint32_t)child);
    cr_expect_eq(PROCESS_KIND(state_of((uint32_t)child)), PROCESS_FREE);
    cr_expect_eq(count_members(), 2);
    fake_kill(300);
    cr_expect_not(emu_process_sweep(&self, 300));
}
