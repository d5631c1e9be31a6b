/*
 * test_track.c - what is noted of numbers, and the tables of findings, stacks and files: full ones
 * too
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "bounds.h"
#include "finding.h"
#include "fixture.h"

static uint64_t here; /* where the guest is: one frame */

static uint32_t site(struct emu_task *task)
{
    (void)task;
    return emu_site_number(&here, 1);
}

static void start(void)
{
    fixture_start();
    process.options.track = true;
    process.site = site;
    here = 1;
    emu_track_begin(&self);
}

TestSuite(track, .init = start, .fini = fixture_end);

/* The frame of a site that has one; 0: it isn't known. */
static uint64_t frame(uint32_t number)
{
    const struct emu_site *found = emu_site_get(number);

    return found ? found->frames[0] : 0;
}

static int64_t at(uint64_t place, int64_t (*call)(struct emu_task *, int), int fd)
{
    here = place;
    return call(&self, fd);
}

static void bad(uint64_t place, int fd, long call)
{
    here = place;
    emu_track_bad(&self, fd, call);
}

Test(track, closed_twice_and_used_after)
{
    int fds[2];
    const struct emu_finding *found;

    here = 10;
    fixture_pipe(fds, 0);
    cr_assert_eq(at(20, emu_close, fds[0]), 0);
    bad(30, fds[0], SYS_close);
    bad(40, fds[0], SYS_read);
    bad(40, fds[0], SYS_read);
    bad(50, fds[1], SYS_read); /* it is open: somebody else has been quicker */
    bad(60, 99, SYS_read);     /* it never was */
    bad(70, -1, SYS_close);
    found = emu_finding_get(0);
    cr_assert_not_null(found);
    cr_expect(found->kind == EMU_FINDING_DOUBLE_CLOSE && found->fd == fds[0] && found->count == 1);
    cr_expect_eq(found->object, EMU_OBJECT_PIPE_READER);
    cr_expect(frame(found->made) == 10 && frame(found->closed) == 20 && frame(found->used) == 30);
    found = emu_finding_get(1);
    cr_assert_not_null(found);
    cr_expect(found->kind == EMU_FINDING_USE_AFTER_CLOSE && found->call == SYS_read);
    cr_expect(found->count == 2 && frame(found->used) == 40);
    cr_expect_null(emu_finding_get(2));
    cr_assert_eq(emu_close(&self, fds[1]), 0);
}

Test(track, a_number_that_is_used_again)
{
    int fds[2];

    fixture_pipe(fds, 0);
    fixture_close(fds);
    emu_fd_invalidate(&self, fds[0]); /* the kernel's, from now on */
    bad(30, fds[0], SYS_read);
    emu_track_closed_native(fds[0]);
    bad(30, fds[0], SYS_close);
    cr_expect_null(emu_finding_get(0));
}

Test(track, all_numbers_in_a_loop)
{
    const struct emu_finding *found;
    int fds[2];

    fixture_pipe(fds, 0);
    fixture_close(fds);
    for (int fd = 3; fd < 20; fd++)
        bad(30, fd, SYS_close);
    found = emu_finding_get(0);
    cr_assert_not_null(found);
    cr_expect(emu_site_is_withdrawn(emu_site_get(found->used)));
    bad(40, fds[0], SYS_close); /* elsewhere: no loop */
    bad(40, 30, SYS_close);
    found = emu_finding_get(2);
    cr_assert_not_null(found);
    cr_expect(!emu_site_is_withdrawn(emu_site_get(found->used)));
}

Test(track, bytes_that_nobody_read)
{
    const struct emu_finding *found;
    int fds[2];

    here = 10;
    fixture_pipe(fds, 0);
    cr_assert_eq(emu_write(&self, fds[1], "hello", 5), 5);
    cr_assert_eq(at(20, emu_close, fds[0]), 0);
    found = emu_finding_get(0);
    cr_assert_not_null(found);
    cr_expect(found->kind == EMU_FINDING_UNREAD && found->bytes == 5 && found->fd == fds[0]);
    cr_expect(frame(found->made) == 10 && frame(found->closed) == 20);
    cr_expect_eq(found->doubtful, 1, "it has written them itself");
    cr_assert_eq(emu_close(&self, fds[1]), 0);
    cr_expect_null(emu_finding_get(1));
}

Test(track, what_is_open_at_the_end)
{
    const struct emu_finding *found;
    int fds[2];

    here = 10;
    fixture_pipe(fds, 0);
    here = 11;
    const int copy = (int)emu_dup(&self, fds[0]);
    cr_assert_eq(emu_write(&self, fds[1], "hello", 5), 5);
    emu_track_exit(&self);
    emu_process_exit(&self);
    found = emu_finding_get(0);
    cr_assert_not_null(found);
    cr_expect(found->kind == EMU_FINDING_OPEN && found->fd == fds[0] && found->bytes == 5);
    cr_expect_eq(frame(found->made), 10);
    found = emu_finding_get(2);
    cr_assert_not_null(found);
    cr_expect(found->fd == copy && frame(found->made) == 11);
    cr_expect_null(emu_finding_get(3), "what is between its own ends is no finding of its own");
}

TestSuite(finding, .init = fixture_start, .fini = fixture_end);

Test(finding, off_unless_asked_for)
{
    int fds[2];

    emu_track_begin(&self);
    cr_expect(!emu_track_is_on());
    fixture_pipe(fds, 0);
    fixture_close(fds);
    emu_track_bad(&self, fds[0], SYS_close);
    cr_expect_null(emu_finding_get(0));
}

Test(finding, stacks_are_kept_once)
{
    const uint64_t frames[3] = { 1, 2, 3 };
    const uint32_t all = emu_site_number(frames, 3);

    cr_assert_gt(all, 0);
    cr_expect_eq(emu_site_number(frames, 3), all);
    cr_expect_neq(emu_site_number(frames, 2), all);
    cr_expect_eq(emu_site_number(frames, 0), 0);
    cr_expect_eq(emu_site_get(all)->count, 3);
    cr_expect_eq(memcmp(emu_site_get(all)->frames, frames, sizeof frames), 0);
    cr_expect_null(emu_site_get(0));
    cr_expect_null(emu_site_get(EMU_MAX_SITES + 1));
}

Test(finding, stacks_without_room)
{
    uint32_t known = 0;
    uint64_t number = 1;

    for (; number <= 2 * EMU_MAX_SITES; number++)
        known += emu_site_number(&number, 1) != 0;
    cr_expect_gt(known, EMU_MAX_SITES / 2);
    cr_expect_leq(known, EMU_MAX_SITES);
    number = 1;
    cr_expect_neq(emu_site_number(&number, 1), 0, "what is known stays so");
}

Test(finding, files_without_room)
{
    char path[2 * EMU_IMAGE_PATH];

    for (unsigned i = 0; i < EMU_MAX_IMAGES; i++) {
        snprintf(path, sizeof path, "/lib/%u", i);
        cr_assert_eq(emu_image_number(path), i + 1);
    }
    cr_expect_eq(emu_image_number("/lib/another"), 0);
    cr_expect_eq(emu_image_number("/lib/7"), 8);
    cr_expect_str_eq(emu_image_path(8), "/lib/7");
    cr_expect_null(emu_image_path(0));
}

Test(finding, a_long_path_is_cut)
{
    char path[2 * EMU_IMAGE_PATH];

    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    cr_expect_eq(emu_image_number(path), 1);
    cr_expect_eq(emu_image_number(path), 1);
    cr_expect_eq(strlen(emu_image_path(1)), EMU_IMAGE_PATH - 1);
}

Test(finding, those_without_room_are_counted)
{
    struct emu_finding finding = { .kind = EMU_FINDING_OPEN, .fd = 5, .bytes = 2 };

    for (uint32_t i = 0; i < EMU_MAX_FINDINGS + 3; i++) {
        finding.made = i + 1;
        emu_finding_add(&finding);
    }
    cr_expect_eq(emu_findings_lost(), 3);
    finding.made = 1;
    emu_finding_add(&finding);
    cr_expect_eq(emu_findings_lost(), 3, "it is there already");
    cr_expect(emu_finding_get(0)->count == 2 && emu_finding_get(0)->bytes == 4);
    cr_expect_null(emu_finding_get(EMU_MAX_FINDINGS));
}

Test(finding, standard_descriptors_apart)
{
    struct emu_finding finding = { .kind = EMU_FINDING_UNREAD, .fd = 0, .bytes = 1 };

    emu_finding_add(&finding);
    finding.fd = 5;
    emu_finding_add(&finding);
    finding.fd = 6;
    emu_finding_add(&finding);
    cr_expect_eq(emu_finding_get(0)->count, 1);
    cr_expect_eq(emu_finding_get(1)->count, 2);
    cr_expect_null(emu_finding_get(2));
}
