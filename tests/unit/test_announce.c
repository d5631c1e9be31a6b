/*
 * test_announce.c - whom the session's watcher is told of: who has a description, and nobody else
 */
#include <criterion/criterion.h>
#include <errno.h>

#include "bounds.h"
#include "fixture.h"
#include "host.h"
#include "host_fake.h"

enum { WATCHER = 50 };

static int fds[2];

static void start(void)
{
    fixture_start();
    emu_session_set_watcher(WATCHER, emu_session_hidden().bell);
}

TestSuite(announce, .init = start, .fini = fixture_end);

static bool is_member(int32_t pid)
{
    static int32_t pids[EMU_MAX_PROCESSES];
    uint32_t changes;
    const uint32_t count = emu_session_members(pids, EMU_MAX_PROCESSES, &changes);

    for (uint32_t i = 0; i < count; i++) {
        if (pids[i] == pid)
            return true;
    }
    return false;
}

/* The image of another process, or the next one of the same; itself again afterwards. */
static void start_image(int32_t pid, struct emu_process *image)
{
    struct emu_task task;

    fake_run_as(pid, (uint32_t)pid);
    emu_task_enter(&task, image);
    cr_assert_eq(emu_process_join(image, &task), 0);
    fake_run_as(100, 100);
}

static void end_child(int32_t pid)
{
    fake_kill(pid);
    cr_expect_not(emu_process_sweep(&self, pid));
}

Test(announce, nobody_is_told_of_a_member_without_descriptions)
{
    struct emu_process child = { 0 };

    start_image(200, &child);
    cr_expect(is_member(200));
    cr_expect_eq(fake_rings(), 0);
    end_child(200);
    cr_expect_not(is_member(200));
}

Test(announce, the_first_description_and_no_other)
{
    fixture_pipe(fds, 0);
    cr_expect_eq(fake_rings(), 1);
    fixture_close(fds);
    fixture_pair(fds, SOCK_STREAM);
    fixture_close(fds);
    cr_expect_eq(fake_rings(), 1);
}

Test(announce, before_there_is_a_watcher_it_is_told_of_nobody)
{
    emu_session_set_watcher(0, -1);
    fixture_pipe(fds, 0);
    cr_expect_eq(fake_rings(), 0);
    fixture_close(fds);
}

Test(announce, a_forked_child_that_inherits_one)
{
    int slot;

    slot = emu_fork_before(&self);
    emu_fork_parent(&self, slot, 200);
    cr_expect_eq(fake_rings(), 0, "it inherits nothing");
    end_child(200);

    fixture_pipe(fds, 0);
    slot = emu_fork_before(&self);
    emu_fork_parent(&self, slot, 201);
    cr_expect_eq(fake_rings(), 2, "ourselves, and the child");
    end_child(201);

    fixture_close(fds);
    slot = emu_fork_before(&self);
    emu_fork_parent(&self, slot, 202);
    cr_expect_eq(fake_rings(), 2, "it inherits nothing again");
    end_child(202);
}

Test(announce, a_spawned_child_that_inherits_one)
{
    struct emu_process image = { 0 };

    emu_spawn_before(&self);
    emu_spawn_after(&self, 200);
    cr_expect(is_member(200), "expected all the same");
    cr_expect_eq(fake_rings(), 0, "it inherits nothing");
    end_child(200);

    fixture_pipe(fds, 0);
    emu_spawn_before(&self);
    emu_spawn_after(&self, 201);
    cr_expect_eq(fake_rings(), 2, "ourselves, and the child");
    start_image(201, &image);
    cr_expect(image.announced, "its image knows that");
    cr_expect_eq(fake_rings(), 2);
    end_child(201);
    fixture_close(fds);
}

Test(announce, the_next_image_is_known)
{
    struct emu_process image = { 0 };

    start_image(100, &image);
    cr_expect_not(image.announced);
    fixture_pipe(fds, 0);
    emu_exec_freeze(&self);
    emu_numbers_thaw(&self);
    image = (struct emu_process){ 0 };
    start_image(100, &image);
    cr_expect(image.announced);
    cr_expect_eq(fake_rings(), 1);
    fixture_close(fds);
}

Test(announce, records_of_the_forgotten_dead_are_used_again)
{
    static struct emu_process images[9];
    static int slots[EMU_MAX_PROCESSES];
    uint32_t full = 0;

    for (int i = 0; i < 8; i++)
        start_image(200 + i, &images[i]);
    while ((slots[full] = emu_fork_reserve(&self)) > 0)
        full++;
    for (int i = 0; i < 8; i++)
        fake_kill(200 + i);
    start_image(300, &images[8]);
    cr_expect(is_member(300));
    cr_expect_not(is_member(200));
    for (uint32_t i = 0; i < full; i++)
        emu_fork_parent(&self, slots[i], -1);
    end_child(300);
}
