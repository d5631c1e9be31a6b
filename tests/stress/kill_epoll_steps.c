/*
 * kill_epoll_steps - a process killed at every instruction of an epoll call leaves a usable set
 *
 * Proves: wherever SIGKILL meets a process that changes, asks, fills or ends an epoll set which
 * others have too, they go on with it: entries can be added, changed and removed, what is ready is
 * told, a sleeper in epoll_wait is woken, and when all is closed no entry and no registration is
 * left. At least one kill must have left the structure of the sets to be made anew, and one a ready
 * list (LOCKING.md); else too little was tried. How: kill_steps.h.
 *
 *     kill_epoll_steps [--stride N] [--only SCENARIO]
 *
 * Leaves out: that an edge-triggered sleeper learns of a change whose maker was killed before its
 * notification: it may not (LOCKING.md).
 */
#include "kill_steps.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

enum {
    EVENTS_MAX = 8,
    WORD = 77,       /* of the entry for fds[0] */
    OTHER_WORD = 78, /* the same, as the child changes it; for fds[1] */
};

static int64_t control(int set, int operation, int fd, uint32_t events, uint64_t word)
{
    struct epoll_event event = { .events = events, .data.u64 = word };
    const int64_t result = emu_epoll_ctl(&self, set, operation, fd, &event);

    if (result != EMU_NATIVE)
        return result;
    return epoll_ctl(set, operation, fd, &event) == 0 ? 0 : -errno;
}

static int64_t wait_now(int set, struct epoll_event *events)
{
    return emu_epoll_wait(&self, set, events, EVENTS_MAX, 0);
}

/* ---- What the parent makes ---- */

static void make_set(struct objects *objects)
{
    objects->set = (int)emu_epoll_create1(&self, EPOLL_CLOEXEC);
    check(objects->set >= 0, "no set");
}

static void make_lt(struct objects *objects)
{
    make_set(objects);
    CHECK_EQUAL(control(objects->set, EPOLL_CTL_ADD, objects->fds[0], EPOLLIN, WORD), 0);
}

static void make_et(struct objects *objects)
{
    make_set(objects);
    CHECK_EQUAL(control(objects->set, EPOLL_CTL_ADD, objects->fds[0], EPOLLIN | EPOLLET, WORD), 0);
}

/* The reading end level-triggered, the writing end edge-triggered; both are ready. */
static void make_both(struct objects *objects)
{
    make_lt(objects);
    CHECK_EQUAL(
        control(objects->set, EPOLL_CTL_ADD, objects->fds[1], EPOLLOUT | EPOLLET, OTHER_WORD), 0);
}

static void make_two_sets(struct objects *objects)
{
    make_lt(objects);
    objects->outer = (int)emu_epoll_create1(&self, EPOLL_CLOEXEC);
    check(objects->outer >= 0, "no outer set");
}

static void make_nested(struct objects *objects)
{
    make_two_sets(objects);
    CHECK_EQUAL(control(objects->outer, EPOLL_CTL_ADD, objects->set, EPOLLIN, WORD), 0);
}

/* For those who sleep with a real descriptor beside. */
static void make_eventfd(struct objects *objects)
{
    objects->real = eventfd(0, EFD_CLOEXEC);
    check(objects->real >= 0, "no eventfd");
}

static void make_mixed(struct objects *objects)
{
    make_lt(objects);
    make_eventfd(objects);
    CHECK_EQUAL(control(objects->set, EPOLL_CTL_ADD, objects->real, EPOLLIN, OTHER_WORD), 0);
}

/* ---- What the child does ---- */

static int64_t call_add(const struct objects *objects)
{
    return control(objects->set, EPOLL_CTL_ADD, objects->fds[0], EPOLLIN, WORD);
}

static int64_t call_modify(const struct objects *objects)
{
    return control(objects->set, EPOLL_CTL_MOD, objects->fds[0], EPOLLIN | EPOLLET, OTHER_WORD);
}

static int64_t call_delete(const struct objects *objects)
{
    return control(objects->set, EPOLL_CTL_DEL, objects->fds[0], 0, 0);
}

static int64_t call_add_set(const struct objects *objects)
{
    return control(objects->outer, EPOLL_CTL_ADD, objects->set, EPOLLIN, WORD);
}

static int64_t call_wait(const struct objects *objects)
{
    struct epoll_event events[EVENTS_MAX];

    return wait_now(objects->set, events) > 0 ? 0 : -1;
}

static int64_t call_wait_outer(const struct objects *objects)
{
    struct epoll_event events[EVENTS_MAX];

    return wait_now(objects->outer, events) == 1 ? 0 : -1;
}

static int64_t call_wait_long(const struct objects *objects)
{
    struct epoll_event events[EVENTS_MAX];

    return emu_epoll_wait(&self, objects->set, events, EVENTS_MAX, POLL_MS);
}

static int64_t call_poll_mixed(const struct objects *objects)
{
    struct pollfd both[2] = { { .fd = objects->fds[0], .events = POLLIN },
                              { .fd = objects->real, .events = POLLIN } };

    return emu_poll(&self, both, 2, POLL_MS);
}

static int64_t call_write(const struct objects *objects)
{
    return emu_write(&self, objects->fds[1], call_data, sizeof call_data);
}

static int64_t call_close_reader(const struct objects *objects)
{
    return emu_close(&self, objects->fds[0]);
}

static int64_t call_close_writer(const struct objects *objects)
{
    return emu_close(&self, objects->fds[1]);
}

static int64_t call_close_set(const struct objects *objects)
{
    return emu_close(&self, objects->set);
}

static int64_t call_create(const struct objects *objects)
{
    (void)objects;
    return emu_epoll_create1(&self, 0);
}

static int64_t call_exit(const struct objects *objects)
{
    (void)objects;
    emu_process_exit(&self);
    return 0;
}

static int64_t call_fork(const struct objects *objects)
{
    (void)objects;
    return emu_fork_before(&self);
}

static int64_t call_native(const struct objects *objects)
{
    return emu_native_one(&self, objects->fds[0]);
}

/* ---- What the parent finds ---- */

static void close_sets(struct objects *objects)
{
    if (objects->outer >= 0)
        CHECK_EQUAL(close_any(objects->outer), 0);
    if (objects->set >= 0)
        CHECK_EQUAL(close_any(objects->set), 0);
    if (objects->real >= 0)
        CHECK_EQUAL(close_any(objects->real), 0);
}

/* The set tells fds[0] when it has something to read, and not when it hasn't. Empties it. */
static void see_events(const struct objects *objects, int set, uint64_t word)
{
    struct epoll_event events[EVENTS_MAX];
    const unsigned char byte = byte_at(0);

    drain(objects->fds[0], 0);
    CHECK_EQUAL(wait_now(set, events), 0);
    CHECK_EQUAL(write_any(objects->fds[1], &byte, 1), 1);
    CHECK_EQUAL(wait_now(set, events), 1);
    CHECK_EQUAL(events[0].events, EPOLLIN);
    CHECK_EQUAL((int64_t)events[0].data.u64, (int64_t)word);
    CHECK_EQUAL((int64_t)drain(objects->fds[0], 0), 1);
}

/* Adds, changes and removes the entry, and sees its events. Requires: it is not in the set. */
static void use_set(struct objects *objects)
{
    struct epoll_event events[EVENTS_MAX];
    const int set = objects->set;
    const int fd = objects->fds[0];

    CHECK_EQUAL(control(set, EPOLL_CTL_ADD, fd, EPOLLIN, WORD), 0);
    CHECK_EQUAL(control(set, EPOLL_CTL_ADD, fd, EPOLLIN, WORD), -EEXIST);
    see_events(objects, set, WORD);
    CHECK_EQUAL(control(set, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLET, OTHER_WORD), 0);
    see_events(objects, set, OTHER_WORD);
    CHECK_EQUAL(control(set, EPOLL_CTL_DEL, fd, 0, 0), 0);
    CHECK_EQUAL(control(set, EPOLL_CTL_DEL, fd, 0, 0), -ENOENT);
    CHECK_EQUAL(wait_now(set, events), 0);
    CHECK_EQUAL(control(set, EPOLL_CTL_ADD, fd, EPOLLIN, WORD), 0);
    CHECK_EQUAL((int64_t)epoll_item_count(), objects->outer >= 0 ? 2 : 1);
}

/* What was the only writing end closes: the entry, which use_set() left, hangs up. */
static void see_end(struct objects *objects)
{
    struct epoll_event events[EVENTS_MAX];

    CHECK_EQUAL(close_any(objects->fds[1]), 0);
    CHECK_EQUAL(wait_now(objects->set, events), 1);
    check((events[0].events & EPOLLHUP) != 0, "the end isn't told");
    CHECK_EQUAL(close_any(objects->fds[0]), 0);
    CHECK_EQUAL(wait_now(objects->set, events), 0);
    CHECK_EQUAL((int64_t)epoll_item_count(), objects->outer >= 0 ? 1 : 0);
    close_sets(objects);
}

/* Whether or not the entry is in the set: from here on everything is as usual. */
static void finish(struct objects *objects)
{
    struct epoll_event events[EVENTS_MAX];
    const int64_t removed = control(objects->set, EPOLL_CTL_DEL, objects->fds[0], 0, 0);

    check(removed == 0 || removed == -ENOENT, "EPOLL_CTL_DEL fails");
    CHECK_EQUAL(wait_now(objects->set, events), 0);
    drain(objects->fds[0], 0);
    use_set(objects);
    see_end(objects);
}

static void check_control(struct objects *objects)
{
    CHECK_EQUAL((int64_t)drain(objects->fds[0], 0), BEFORE);
    finish(objects);
}

/* Without asking first: what is in the set works, and what isn't can be added. */
static void check_added(struct objects *objects)
{
    const int64_t added = control(objects->set, EPOLL_CTL_ADD, objects->fds[0], EPOLLIN, WORD);

    check(added == 0 || added == -EEXIST, "EPOLL_CTL_ADD fails");
    CHECK_EQUAL((int64_t)epoll_item_count(), 1);
    see_events(objects, objects->set, WORD);
    finish(objects);
}

static void check_set_added(struct objects *objects)
{
    const int64_t added = control(objects->outer, EPOLL_CTL_ADD, objects->set, EPOLLIN, WORD);

    check(added == 0 || added == -EEXIST, "EPOLL_CTL_ADD of a set fails");
    CHECK_EQUAL((int64_t)epoll_item_count(), 2);
    see_events(objects, objects->outer, WORD);
    finish(objects);
}

/* The whole change or nothing of it; the new one tells what is ready once more. */
static void check_modified(struct objects *objects)
{
    struct epoll_event events[EVENTS_MAX];

    CHECK_EQUAL(wait_now(objects->set, events), 1);
    CHECK_EQUAL(events[0].events, EPOLLIN);
    check(events[0].data.u64 == WORD || events[0].data.u64 == OTHER_WORD, "a wild word");
    CHECK_EQUAL(wait_now(objects->set, events), events[0].data.u64 == WORD ? 1 : 0);
    CHECK_EQUAL(control(objects->set, EPOLL_CTL_MOD, objects->fds[0], EPOLLIN, WORD), 0);
    CHECK_EQUAL(wait_now(objects->set, events), 1);
    see_events(objects, objects->set, WORD);
    finish(objects);
}

/* The level-triggered one of two is told, always; the other one perhaps, and not twice. */
static void check_waited(struct objects *objects)
{
    struct epoll_event events[EVENTS_MAX];
    const int64_t told = wait_now(objects->set, events);

    check(told == 1 || told == 2, "not what is ready is told");
    check(events[0].data.u64 == WORD || events[told - 1].data.u64 == WORD, "LT isn't told");
    CHECK_EQUAL(wait_now(objects->set, events), 1);
    CHECK_EQUAL((int64_t)events[0].data.u64, WORD);
    CHECK_EQUAL((int64_t)drain(objects->fds[0], 0), BEFORE);
    CHECK_EQUAL(control(objects->set, EPOLL_CTL_DEL, objects->fds[1], 0, 0), 0);
    see_events(objects, objects->set, WORD);
    finish(objects);
}

static void check_set(struct objects *objects)
{
    see_events(objects, objects->set, WORD);
    finish(objects);
}

static void check_nested(struct objects *objects)
{
    see_events(objects, objects->outer, WORD);
    see_events(objects, objects->set, WORD);
    finish(objects);
}

/* Some bytes are there: then the sleeper has been told, or will be by what the sweep did. */
static void wake_if_empty(const struct objects *objects)
{
    unsigned char data[CALL];
    int left = 0;

    fill(data, 0, sizeof data);
    CHECK_EQUAL(emu_ioctl(&self, objects->fds[0], FIONREAD, &left), 0);
    if (left == 0)
        CHECK_EQUAL(write_any(objects->fds[1], data, sizeof data), CALL);
}

static void check_sleeper(struct objects *objects)
{
    wake_if_empty(objects);
    pthread_join(objects->sleeper, NULL);
    CHECK_EQUAL(objects->slept_result, 1);
    CHECK_EQUAL((int64_t)drain(objects->fds[0], 0), CALL);
    finish(objects);
}

/* An edge that stands in the ready list is told; one that doesn't may have been missed. */
static void check_edge_sleeper(struct objects *objects)
{
    unsigned char data[CALL] = { 0 };
    bool ready = false;

    for (uint32_t i = 0; i < epoll_items_used(); i++)
        ready |= atomic_load(&epoll_item_at(i)->state) == ITEM_LIVE &&
                 atomic_load(&epoll_item_at(i)->ready) != 0;
    if (!ready)
        CHECK_EQUAL(write_any(objects->fds[1], data, sizeof data), CALL);
    pthread_join(objects->sleeper, NULL);
    CHECK_EQUAL(objects->slept_result, 1);
    while (is_readable(objects->fds[0]))
        CHECK_EQUAL(read_any(objects->fds[0], data, sizeof data), CALL);
    finish(objects);
}

/* The child had the only writing end. */
static void check_woken_by_end(struct objects *objects)
{
    pthread_join(objects->sleeper, NULL);
    CHECK_EQUAL(objects->slept_result, 1);
    objects->fds[1] = -1;
    CHECK_EQUAL(close_any(objects->fds[0]), 0);
    CHECK_EQUAL((int64_t)epoll_item_count(), 0);
    close_sets(objects);
}

static void check_end_told(struct objects *objects)
{
    struct epoll_event events[EVENTS_MAX];

    CHECK_EQUAL(wait_now(objects->set, events), 1);
    CHECK_EQUAL(events[0].events, EPOLLIN | EPOLLHUP);
    CHECK_EQUAL((int64_t)drain(objects->fds[0], 0), BEFORE);
    CHECK_EQUAL(wait_now(objects->set, events), 1);
    CHECK_EQUAL(events[0].events, EPOLLHUP);
    CHECK_EQUAL(close_any(objects->fds[0]), 0);
    close_sets(objects);
}

/* What was watched is gone, and with it the entry; the set takes others. */
static void check_watched_gone(struct objects *objects)
{
    struct epoll_event events[EVENTS_MAX];

    CHECK_EQUAL((int64_t)epoll_item_count(), 0);
    CHECK_EQUAL(wait_now(objects->set, events), 0);
    CHECK_EQUAL(write_any(objects->fds[1], "x", 1), -EPIPE);
    CHECK_EQUAL(close_any(objects->fds[1]), 0);
    CHECK_EQUAL(emu_pipe2(&self, objects->fds, 0), 0);
    use_set(objects);
    see_end(objects);
}

/* The set is gone; what it watched isn't, and another set takes it. */
static void check_set_gone(struct objects *objects)
{
    CHECK_EQUAL((int64_t)epoll_item_count(), 0);
    CHECK_EQUAL((int64_t)drain(objects->fds[0], 0), BEFORE);
    make_set(objects);
    use_set(objects);
    see_end(objects);
}

static void check_all_gone(struct objects *objects)
{
    CHECK_EQUAL((int64_t)epoll_item_count(), 0);
    CHECK_EQUAL(write_any(objects->fds[1], "x", 1), -EPIPE);
    CHECK_EQUAL(close_any(objects->fds[1]), 0);
}

/* Told once: by the emulator or by the kernel. */
static void check_native(struct objects *objects)
{
    struct epoll_event events[EVENTS_MAX];

    CHECK_EQUAL(wait_now(objects->set, events), 1);
    CHECK_EQUAL((int64_t)events[0].data.u64, WORD);
    CHECK_EQUAL((int64_t)drain(objects->fds[0], 0), BEFORE);
    see_events(objects, objects->set, WORD);
    use_and_close(objects, false);
    CHECK_EQUAL(wait_now(objects->set, events), 0);
    close_sets(objects);
}

/* Who sleeps meanwhile learns of what is written afterwards. */
static void check_native_sleeper(struct objects *objects)
{
    const unsigned char byte = byte_at(0);

    CHECK_EQUAL(write_any(objects->fds[1], &byte, 1), 1);
    pthread_join(objects->sleeper, NULL);
    CHECK_EQUAL(objects->slept_result, 1);
    see_events(objects, objects->set, WORD);
    use_and_close(objects, false);
    close_sets(objects);
}

static void check_mixed(struct objects *objects)
{
    CHECK_EQUAL((int64_t)drain(objects->fds[0], 0), 0);
    use_and_close(objects, false);
    close_sets(objects);
}

static void check_rung(struct objects *objects)
{
    wake_if_empty(objects);
    pthread_join(objects->sleeper, NULL);
    CHECK_EQUAL(objects->slept_result, 1);
    CHECK_EQUAL((int64_t)drain(objects->fds[0], 0), CALL);
    use_and_close(objects, false);
    close_sets(objects);
}

static void check_nothing(struct objects *objects)
{
    (void)objects;
}

/* ---- Sleepers ---- */

static void *sleep_in(struct objects *objects,
                      int64_t (*sleep)(struct emu_task *, struct objects *))
{
    struct emu_task task = { 0 };

    emu_task_enter(&task, &process);
    objects->slept_result = sleep(&task, objects);
    emu_task_leave(&task);
    return NULL;
}

static int64_t wait_for_set(struct emu_task *task, struct objects *objects)
{
    struct epoll_event events[EVENTS_MAX];
    const int set = objects->outer >= 0 ? objects->outer : objects->set;

    return emu_epoll_wait(task, set, events, EVENTS_MAX, -1);
}

static int64_t poll_both(struct emu_task *task, struct objects *objects)
{
    struct pollfd both[2] = { { .fd = objects->fds[0], .events = POLLIN },
                              { .fd = objects->real, .events = POLLIN } };

    return emu_poll(task, both, 2, -1);
}

static void *sleep_in_wait(void *objects)
{
    return sleep_in(objects, wait_for_set);
}

static void *sleep_in_poll(void *objects)
{
    return sleep_in(objects, poll_both);
}

static void wait_for_bell(void)
{
    for (bool asleep = false; !asleep; sched_yield()) { /* ends, or SIGALRM comes */
        for (uint32_t i = 0; i < atomic_load(&arena->header.tasks.fresh); i++)
            asleep |= (atomic_load(&task_at(i)->bell.state) & 3) != 0;
    }
}

/* A thread that sleeps in the kernel, with a real descriptor beside. */
static void make_poller(struct objects *objects)
{
    make_eventfd(objects);
    check(pthread_create(&objects->sleeper, NULL, sleep_in_poll, objects) == 0, "no thread");
    wait_for_bell();
}

static const struct scenario scenarios[] = {
    { "add pipe", 0, BEFORE, 0, .call = call_add, .check = check_added, .prepare = make_set },
    { "add stream", SOCK_STREAM, BEFORE, 0, .call = call_add, .check = check_added,
      .prepare = make_set, .sample = 3 },
    { "modify pipe", 0, BEFORE, 0, .call = call_modify, .check = check_modified,
      .prepare = make_lt },
    { "modify stream", SOCK_STREAM, BEFORE, 0, .call = call_modify, .check = check_modified,
      .prepare = make_lt, .sample = 3 },
    { "delete pipe", 0, BEFORE, 0, .call = call_delete, .check = check_control,
      .prepare = make_lt },
    { "delete stream", SOCK_STREAM, BEFORE, 0, .call = call_delete, .check = check_control,
      .prepare = make_lt, .sample = 3 },
    { "add set", 0, 0, 0, .call = call_add_set, .check = check_set_added,
      .prepare = make_two_sets },
    { "wait", 0, BEFORE, 0, .call = call_wait, .check = check_waited, .prepare = make_both },
    { "wait stream", SOCK_STREAM, BEFORE, 0, .call = call_wait, .check = check_waited,
      .prepare = make_both, .sample = 3 },
    { "wait nested", 0, BEFORE, 0, .call = call_wait_outer, .check = check_nested,
      .prepare = make_nested },
    { "wait long", 0, 0, 0, .call = call_wait_long, .check = check_set, .prepare = make_lt,
      .sleeps = true },
    { "write to waiter", 0, 0, 0, .call = call_write, .check = check_sleeper,
      .sleeper = sleep_in_wait, .prepare = make_lt },
    { "send to waiter", SOCK_STREAM, 0, 0, .call = call_write, .check = check_sleeper,
      .sleeper = sleep_in_wait, .prepare = make_lt, .sample = 3 },
    { "write to ET", 0, 0, 0, .call = call_write, .check = check_edge_sleeper,
      .sleeper = sleep_in_wait, .prepare = make_et },
    { "write and end", 0, 0, CHILDS_WRITER, .call = call_write, .check = check_woken_by_end,
      .sleeper = sleep_in_wait, .prepare = make_et },
    { "write nested", 0, 0, 0, .call = call_write, .check = check_sleeper, .sleeper = sleep_in_wait,
      .prepare = make_nested },
    { "close writer", 0, BEFORE, CHILDS_WRITER, .call = call_close_writer, .check = check_end_told,
      .prepare = make_lt },
    { "close watched", 0, BEFORE, CHILDS_READER, .call = call_close_reader,
      .check = check_watched_gone, .prepare = make_lt },
    { "close set", 0, BEFORE, CHILDS_SET, .call = call_close_set, .check = check_set_gone,
      .prepare = make_lt },
    { "exit", 0, BEFORE, CHILDS_READER | CHILDS_SET, .call = call_exit, .check = check_all_gone,
      .prepare = make_lt, .sample = 3 },
    { "prepare a fork", 0, BEFORE, 0, .call = call_fork, .check = check_control,
      .prepare = make_lt },
    { "native", 0, BEFORE, 0, .call = call_native, .check = check_native, .prepare = make_lt,
      .sample = 2 },
    { "native stream", SOCK_STREAM, BEFORE, 0, .call = call_native, .check = check_native,
      .prepare = make_lt, .sample = 5 },
    { "native and waiter", 0, 0, 0, .call = call_native, .check = check_native_sleeper,
      .sleeper = sleep_in_wait, .prepare = make_lt, .sample = 3 },
    { "native and ET", 0, 0, 0, .call = call_native, .check = check_native_sleeper,
      .sleeper = sleep_in_wait, .prepare = make_et },
    { "write to mixed", 0, 0, 0, .call = call_write, .check = check_sleeper,
      .sleeper = sleep_in_wait, .prepare = make_mixed },
    { "create", -1, 0, 0, .call = call_create, .check = check_nothing },
    { "poll mixed", 0, 0, 0, .call = call_poll_mixed, .check = check_mixed, .prepare = make_eventfd,
      .sleeps = true, .sample = 2 },
    { "ring", 0, 0, 0, .call = call_write, .check = check_rung, .prepare = make_poller },
};

int main(int argc, char **argv)
{
    const int result = run_scenarios(argc, argv, scenarios, sizeof scenarios / sizeof scenarios[0]);

    printf("left to be made anew: %lu times the structure, %lu times a ready list\n",
           torn_structure, torn_lists);
    if (argc == 1 && (torn_structure == 0 || torn_lists == 0)) {
        printf("kill_epoll_steps: no kill did what it is for\n");
        return 1;
    }
    return result;
}
