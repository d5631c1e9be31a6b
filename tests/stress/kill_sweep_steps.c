/*
 * kill_sweep_steps - who sweeps the dead is killed at every instruction of that
 *
 * Proves: whoever finds a sweeper dead, be it a member or a watcher, ends what that had begun: what
 * the first of the dead held ends once, who waits for it learns of it, no record and no object is
 * left, and none is in the pool twice. How: kill_steps.h.
 *
 *     kill_sweep_steps [--stride N] [--only SCENARIO]
 *
 * Exit: 0; 1 with the scenario and step for what was wrong; killed by SIGALRM: somebody slept for
 * ever.
 */
#include "kill_steps.h"
#include "process.h"

#include <sys/epoll.h>

static pid_t dead; /* a child that holds both ends and the set: it has ended, and isn't reaped */

static void make_dead(struct objects *objects)
{
    struct epoll_event event = { .events = EPOLLIN };
    siginfo_t info;

    objects->set = (int)emu_epoll_create1(&self, 0);
    check(objects->set >= 0, "no set");
    CHECK_EQUAL(emu_epoll_ctl(&self, objects->set, EPOLL_CTL_ADD, objects->fds[0], &event), 0);
    const int slot = emu_fork_before(&self);
    check(slot > 0, "emu_fork_before fails");
    dead = fork();
    if (dead == 0)
        _exit(0);
    emu_fork_parent(&self, slot, dead);
    check(dead > 0, "fork fails");
    CHECK_EQUAL(waitid(P_PID, (id_t)dead, &info, WEXITED | WNOWAIT), 0);
}

static void close_all(const struct objects *objects)
{
    emu_close(&self, objects->set);
    emu_close(&self, objects->fds[0]);
    emu_close(&self, objects->fds[1]);
}

/* A member sweeps, as `wait` does. */
static int64_t call_sweep(const struct objects *objects)
{
    close_all(objects);
    emu_process_sweep(&self, dead);
    return 0;
}

/* The next member of all sweeps whoever is dead. */
static int64_t call_sweep_dead(const struct objects *objects)
{
    close_all(objects);
    emu_process_sweep_dead(&self);
    return 0;
}

/* A watcher comes, sweeps, and goes. */
static int64_t call_watch(const struct objects *objects)
{
    static struct emu_process image;
    static struct emu_task task;

    close_all(objects);
    emu_task_enter(&task, &image);
    emu_watcher_join(&image, &task);
    emu_process_sweep(&task, dead);
    emu_watcher_leave(&task);
    return image.slot == 0 ? 0 : -1;
}

/* Records that are somebody's, and how many can be had at once: two that are one would show. */
static void check_records(void)
{
    uint32_t used = 0;

    for (uint32_t slot = 1; slot < process_slots(); slot++)
        used += PROCESS_KIND(atomic_load(&process_at(slot)->state)) != PROCESS_FREE;
    CHECK_EQUAL(used, 1);
    const int first = emu_fork_before(&self);
    const int second = emu_fork_reserve(&self);
    check(first > 0 && second > 0 && first != second, "one record is two processes'");
    emu_fork_parent(&self, second, -1);
    emu_fork_parent(&self, first, -1);
}

static void check_swept(struct objects *objects)
{
    struct epoll_event event = { 0 };
    unsigned char byte;
    int status;

    emu_process_sweep(&self, dead);
    emu_process_sweep_dead(&self);
    CHECK_EQUAL(waitpid(dead, &status, 0), dead);
    CHECK_EQUAL(emu_epoll_wait(&self, objects->set, &event, 1, 0), 1);
    check(event.events & EPOLLHUP, "the set tells no hang-up");
    CHECK_EQUAL(read_any(objects->fds[0], &byte, 1), 0);
    CHECK_EQUAL(close_any(objects->fds[0]), 0);
    CHECK_EQUAL(emu_epoll_wait(&self, objects->set, &event, 1, 0), 0);
    CHECK_EQUAL(close_any(objects->set), 0);
    check_records();
}

static void *sleep_in_read(void *argument)
{
    struct objects *objects = argument;
    struct emu_task task = { 0 };
    unsigned char byte;

    emu_task_enter(&task, &process);
    objects->slept_result = emu_read(&task, objects->fds[0], &byte, 1);
    emu_task_leave(&task);
    return NULL;
}

static void check_woken(struct objects *objects)
{
    emu_process_sweep(&self, dead);
    pthread_join(objects->sleeper, NULL);
    CHECK_EQUAL(objects->slept_result, 0);
    check_swept(objects);
}

static const struct scenario scenarios[] = {
    { "sweep pipe", 0, 0, CHILDS_WRITER, .call = call_sweep, .check = check_swept,
      .prepare = make_dead },
    { "sweep stream", SOCK_STREAM, 0, CHILDS_WRITER, .call = call_sweep, .check = check_swept,
      .prepare = make_dead, .sample = 3 },
    { "sweep all", 0, 0, CHILDS_WRITER, .call = call_sweep_dead, .check = check_swept,
      .prepare = make_dead },
    { "watch pipe", 0, 0, CHILDS_WRITER, .call = call_watch, .check = check_swept,
      .prepare = make_dead },
    { "watch stream", SOCK_STREAM, 0, CHILDS_WRITER, .call = call_watch, .check = check_swept,
      .prepare = make_dead, .sample = 3 },
    { "watch a sleeper", 0, 0, CHILDS_WRITER, .call = call_watch, .check = check_woken,
      .prepare = make_dead, .sleeper = sleep_in_read, .sample = 3 },
};

int main(int argc, char **argv)
{
    return run_scenarios(argc, argv, scenarios, sizeof scenarios / sizeof scenarios[0]);
}
