/*
 * world_worker.c - the processes of the kernel's side: threads that carry out orders
 *
 * All processes are children of the world's own, whoever has forked them (CLONE_PARENT), so that it
 * can wait for each, and so that each dies with it (PR_SET_PDEATHSIG, which is a matter of parent
 * and child). They keep no descriptor of their own.
 */
#include "interpret/world_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "interpret/calls.h"
#include "interpret/numbers.h"

#define STACK_SIZE (256u << 10)

static struct worker_shared *shared;
static _Thread_local struct box *my_box; /* NULL in the world's own process */

/* ---- Signals ---- */

static void add_signal(struct box *box, const siginfo_t *info)
{
    uint32_t at = atomic_fetch_add(&box->signal_count, 1);

    if (at < WORLD_MAX_SIGNALS)
        box->signals[at] = *info;
}

/* SIGPIPE is of the thread that writes; others were raised by the call that runs. */
static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (my_box)
        add_signal(number == SIGPIPE ? my_box : &shared->boxes[atomic_load(&shared->current)],
                   info);
}

static void on_interrupt(int number)
{
    (void)number; /* that it ran is all */
}

static void on_leave(int number)
{
    (void)number;
    syscall(SYS_exit, 0);
}

void worker_prepare(struct worker_shared *memory)
{
    struct sigaction action = { 0 };

    shared = memory;
    world_catch_signals(on_signal);
    action.sa_handler = on_interrupt;
    sigaction(WORKER_FINAL, &action, NULL);
    action.sa_flags = SA_RESTART;
    sigaction(WORKER_RESTART, &action, NULL);
    action.sa_handler = on_leave;
    sigaction(WORKER_LEAVE, &action, NULL);
}

/* ---- Orders ---- */

static void futex(_Atomic uint32_t *word, int operation, uint32_t value)
{
    syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

static void answer(struct box *box, uint32_t order)
{
    atomic_store(&box->answered, order);
    atomic_fetch_add(&shared->news, 1);
    if (atomic_load(&shared->sleeping))
        futex(&shared->news, FUTEX_WAKE, 1);
}

/* Moves one to the number that it is expected to have. Returns that, -1 when it isn't free. */
static int move_one(int number, int expected)
{
    int flags = fcntl(number, F_GETFD);

    if (number == expected || flags < 0 || expected < 0 || fcntl(expected, F_GETFD) >= 0 ||
        dup3(number, expected, flags & FD_CLOEXEC ? O_CLOEXEC : 0) < 0)
        return -1;
    close(number);
    return expected;
}

/*
 * Moves new descriptors to the numbers that they are expected to have, where these are free: again
 * while one has moved, since it may have stood where another belongs.
 */
static int64_t move_made(const struct box *box, int64_t result)
{
    int *places[NUMBERS_MAX_PLACES];
    size_t count = numbers_made(box->call, box->words, result, places);
    bool moved = true;

    for (size_t round = 0; moved && round < count; round++) {
        moved = false;
        for (size_t i = 0; i < count && i < box->expect_count; i++) {
            int number = move_one(places[i] ? *places[i] : (int)result, box->expect[i]);

            if (number < 0)
                continue;
            moved = true;
            if (places[i])
                *places[i] = number;
            else
                result = number;
        }
    }
    return result;
}

static int64_t make_call(const struct box *box)
{
    int64_t result = world_call_real(box->call, box->words);

    return result >= 0 && box->expect_count > 0 ? move_made(box, result) : result;
}

static void close_on_exec(void)
{
    for (int number = 0; number < WORLD_MAX_NUMBERS; number++) {
        int flags = fcntl(number, F_GETFD);

        if (flags >= 0 && (flags & FD_CLOEXEC))
            close(number);
    }
}

static void work(uint32_t index, bool initial);

static void *run_thread(void *argument)
{
    work((uint32_t)(uintptr_t)argument, false);
    return NULL;
}

static int64_t make_thread(uint32_t child)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int rc;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    rc = pthread_create(&thread, &attributes, run_thread, (void *)(uintptr_t)child);
    pthread_attr_destroy(&attributes);
    return -rc;
}

/* Carries out orders until one says to leave. */
static void work(uint32_t index, bool initial)
{
    struct box *box = &shared->boxes[index];
    uint32_t seen = atomic_load(&box->order);

    my_box = box;
    atomic_store(&box->pid, getpid());
    atomic_store(&box->tid, (int32_t)syscall(SYS_gettid));
    answer(box, seen);
    for (;;) {
        uint32_t order;

        while ((order = atomic_load(&box->order)) == seen)
            futex(&box->order, FUTEX_WAIT, seen);
        seen = order;
        switch (box->kind) {
        case ORDER_CALL: box->value = make_call(box); break;
        case ORDER_FORK: box->value = worker_fork(box->child); break;
        case ORDER_THREAD: box->value = make_thread(box->child); break;
        case ORDER_EXEC: close_on_exec(); break;
        case ORDER_LEAVE:
            my_box = NULL;
            answer(box, order);
            if (initial)
                syscall(SYS_exit, 0); /* the first thread of a process; others go on */
            return;
        }
        answer(box, order);
    }
}

int worker_fork(uint32_t box)
{
    bool in_world = getpid() == shared->world_pid;
    /* Not fork(): the parent shall be the world. libc needs no preparation: the others stand. */
    long pid = syscall(SYS_clone, SIGCHLD | (in_world ? 0 : CLONE_PARENT), 0, 0, 0, 0);

    if (pid != 0)
        return pid < 0 ? -errno : (int)pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != shared->world_pid)
        _exit(1); /* it died before */
    work(box, true);
    _exit(0);
}
