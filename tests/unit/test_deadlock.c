/*
 * test_deadlock.c - who can never go on: pictures of tasks and of those who could wake them
 */
#include <criterion/criterion.h>

#include "waits/deadlock.h"

#define TASKS  8
#define WAKERS 32

static struct deadlock_task tasks[TASKS];
static struct deadlock_waker wakers[WAKERS];
static size_t task_count;
static size_t waker_count;

static void start(void)
{
    task_count = 0;
    waker_count = 0;
}

TestSuite(deadlock, .init = start);

static void add_runner(int32_t pid, int32_t tid)
{
    tasks[task_count++] = (struct deadlock_task){ .pid = pid, .tid = tid };
}

/* A blocked task; its wakers follow. */
static void add_blocked(int32_t pid, int32_t tid)
{
    tasks[task_count++] =
        (struct deadlock_task){ .pid = pid, .tid = tid, .blocked = true, .first = waker_count };
}

static void waits_for(int32_t pid, int32_t tid)
{
    wakers[waker_count++] = (struct deadlock_waker){ pid, tid };
    tasks[task_count - 1].count++;
}

static size_t find(void)
{
    return deadlock_find(tasks, task_count, wakers);
}

Test(deadlock, nobody)
{
    cr_assert_eq(find(), 0);
}

Test(deadlock, two_wait_for_each_other)
{
    add_blocked(1, 1);
    waits_for(2, 0);
    add_blocked(2, 2);
    waits_for(1, 0);
    cr_assert_eq(find(), 2);
    cr_assert(tasks[0].stuck && tasks[1].stuck);
}

Test(deadlock, a_chain_that_ends_at_a_runner)
{
    add_blocked(1, 1);
    waits_for(2, 0);
    add_blocked(2, 2);
    waits_for(3, 0);
    add_runner(3, 3);
    cr_assert_eq(find(), 0);
}

Test(deadlock, a_cycle_beside_a_runner)
{
    add_blocked(1, 1);
    waits_for(2, 0);
    add_blocked(2, 2);
    waits_for(1, 0);
    add_runner(3, 3);
    cr_assert_eq(find(), 2);
    cr_assert_not(tasks[2].stuck);
}

Test(deadlock, one_of_two_wakers_is_enough)
{
    add_blocked(1, 1);
    waits_for(2, 0);
    waits_for(3, 0);
    add_blocked(2, 2);
    waits_for(1, 0);
    add_runner(3, 3);
    cr_assert_eq(find(), 0);
}

Test(deadlock, who_waits_for_the_stuck_is_stuck)
{
    add_blocked(4, 4);
    waits_for(1, 0);
    add_blocked(1, 1);
    waits_for(2, 0);
    add_blocked(2, 2);
    waits_for(1, 0);
    cr_assert_eq(find(), 3);
}

Test(deadlock, another_thread_of_the_process_can_help)
{
    add_blocked(1, 1);
    waits_for(1, 0);
    add_runner(1, 2);
    cr_assert_eq(find(), 0);
}

Test(deadlock, a_process_alone_with_its_own_end)
{
    add_blocked(1, 1);
    waits_for(1, 0);
    add_blocked(1, 2);
    waits_for(1, 1);
    cr_assert_eq(find(), 2);
}

Test(deadlock, one_thread_is_meant)
{
    add_blocked(1, 1);
    waits_for(1, 2);
    add_blocked(1, 2);
    waits_for(1, 1);
    add_runner(1, 3);
    cr_assert_eq(find(), 2);
}

Test(deadlock, a_stranger_may_do_anything)
{
    add_blocked(1, 1);
    waits_for(99, 0);
    cr_assert_eq(find(), 0);
}

Test(deadlock, nobody_to_wait_for)
{
    add_blocked(1, 1);
    cr_assert_eq(find(), 1);
}
