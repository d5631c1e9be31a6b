/*
 * sides.c - the kernel and the emulator, each in a process of its own that carries out sequences
 *
 * A side waits for its next sequence on a word of shared memory, because its world closes all
 * descriptors. It runs in its own folder, so that relative paths are its own.
 */
#include "sides.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runner.h"

#define ANSWER_SECONDS  3
#define PATIENT_SECONDS 30

struct shared {
    _Atomic uint32_t orders;  /* grows with each sequence */
    _Atomic uint32_t answers; /* what orders was when the last one ended */
    bool wants_text;
    struct sequence sequence;
    struct log log;
    struct outcomes outcomes;
    char text[SIDES_TEXT];
};

struct one_side {
    enum side side;
    pid_t pid; /* 0: none; this process's own where the side is here */
    enum side_end end;
    struct shared *shared;
    struct runner *runner; /* where the side is this process */
    char folder[200];
};

struct sides {
    struct one_side kernel;
    struct one_side emulator;
    int cpu;
    uint32_t seconds; /* until a side counts as hung */
    bool emulator_here;
    char scratch[8];
};

static void word_wait(_Atomic uint32_t *word, uint32_t value, const struct timespec *limit)
{
    syscall(SYS_futex, word, FUTEX_WAIT, value, limit, NULL, 0);
}

static void word_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void run_here(struct runner *runner, struct shared *shared)
{
    FILE *text = NULL;

    if (shared->wants_text)
        text = fmemopen(shared->text, sizeof(shared->text) - 1, "w");
    runner_run(runner, &shared->sequence, &shared->log, text);
    if (text)
        fclose(text);
}

static void pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

static void serve(const struct sides *sides, struct one_side *one)
{
    const struct sched_param none = { 0 };
    struct shared *shared = one->shared;
    uint32_t seen = atomic_load(&shared->answers);
    struct runner *runner;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (chdir(one->folder) != 0)
        _exit(125);
    if (sides->cpu >= 0)
        pin(sides->cpu);
    if (one->side == SIDE_KERNEL) {
        pin(sides->cpu >= 0 ? sides->cpu : sched_getcpu());
        sched_setscheduler(0, SCHED_BATCH, &none);
    }
    runner = runner_create(one->side, sides->scratch);
    if (!runner)
        _exit(125);
    runner_outcomes = &shared->outcomes;
    for (;;) {
        while (atomic_load(&shared->orders) == seen)
            word_wait(&shared->orders, seen, NULL);
        run_here(runner, shared);
        seen = atomic_load(&shared->orders);
        atomic_store(&shared->answers, seen);
        word_wake(&shared->answers);
    }
}

static void side_start(const struct sides *sides, struct one_side *one)
{
    fflush(NULL);
    atomic_store(&one->shared->answers, atomic_load(&one->shared->orders));
    one->pid = fork();
    if (one->pid == 0)
        serve(sides, one);
    if (one->pid < 0) {
        perror("fuzz: fork");
        exit(125);
    }
    one->end = SIDE_FINE;
}

/* The world of the kernel's side has processes of its own: they die with it (its own doing). */
static void side_stop(struct one_side *one)
{
    if (one->pid <= 0 || one->runner)
        return;
    kill(one->pid, SIGKILL);
    waitpid(one->pid, NULL, 0);
    one->pid = 0;
}

static void side_post(const struct sides *sides, struct one_side *one,
                      const struct sequence *sequence, bool text)
{
    struct shared *shared = one->shared;

    if (one->pid == 0)
        side_start(sides, one);
    memcpy(&shared->sequence, sequence, sizeof(*sequence));
    shared->wants_text = text;
    shared->text[0] = '\0';
    shared->log.count = 0;
    if (one->runner) {
        run_here(one->runner, shared);
        return;
    }
    atomic_fetch_add(&shared->orders, 1);
    word_wake(&shared->orders);
}

static void side_wait(struct one_side *one, uint32_t seconds)
{
    const struct timespec step = { .tv_nsec = 100000000 };
    struct shared *shared = one->shared;
    uint32_t steps = 0;

    one->end = SIDE_FINE;
    if (one->runner)
        return;
    for (;;) {
        uint32_t answers = atomic_load(&shared->answers);

        if (answers == atomic_load(&shared->orders))
            return;
        word_wait(&shared->answers, answers, &step);
        if (waitpid(one->pid, NULL, WNOHANG) == one->pid) {
            one->pid = 0;
            one->end = SIDE_DIED;
            return;
        }
        if (++steps > seconds * 10 &&
            atomic_load(&shared->answers) != atomic_load(&shared->orders)) {
            one->end = SIDE_HUNG;
            side_stop(one);
            return;
        }
    }
}

static void side_init(struct one_side *one, enum side side, const char *folder)
{
    one->side = side;
    snprintf(one->folder, sizeof(one->folder), "%s/%s", folder,
             side == SIDE_KERNEL ? "kernel" : "emulator");
    mkdir(one->folder, 0700);
    one->shared = mmap(NULL, sizeof(*one->shared), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (one->shared == MAP_FAILED) {
        perror("fuzz: mmap");
        exit(125);
    }
}

struct sides *sides_create(const char *folder, int cpu, bool emulator_here)
{
    struct sides *sides = calloc(1, sizeof(*sides));

    if (!sides)
        return NULL;
    sides->cpu = cpu;
    sides->seconds = ANSWER_SECONDS;
    snprintf(sides->scratch, sizeof(sides->scratch), "%04x", (unsigned)getpid() & 0xffff);
    side_init(&sides->kernel, SIDE_KERNEL, folder);
    side_init(&sides->emulator, SIDE_EMU, folder);
    side_start(sides, &sides->kernel);
    if (emulator_here) {
        if (chdir(sides->emulator.folder) != 0)
            exit(125);
        sides->emulator.pid = getpid();
        sides->emulator.runner = runner_create(SIDE_EMU, sides->scratch);
        if (!sides->emulator.runner)
            exit(125);
    }
    return sides;
}

void sides_renew(struct sides *sides)
{
    side_stop(&sides->kernel);
    side_stop(&sides->emulator);
}

static void side_fini(struct one_side *one)
{
    side_stop(one);
    rmdir(one->folder);
    munmap(one->shared, sizeof(*one->shared));
}

void sides_destroy(struct sides *sides)
{
    side_fini(&sides->kernel);
    side_fini(&sides->emulator);
    free(sides);
}

void sides_run(struct sides *sides, const struct sequence *sequence, bool text)
{
    side_post(sides, &sides->kernel, sequence, text);
    side_post(sides, &sides->emulator, sequence, text);
    side_wait(&sides->kernel, sides->seconds);
    side_wait(&sides->emulator, sides->seconds);
}

void sides_be_patient(struct sides *sides, bool patient)
{
    sides->seconds = patient ? PATIENT_SECONDS : ANSWER_SECONDS;
}

static const struct one_side *get(const struct sides *sides, enum side side)
{
    return side == SIDE_KERNEL ? &sides->kernel : &sides->emulator;
}

const struct log *sides_log(const struct sides *sides, enum side side)
{
    return &get(sides, side)->shared->log;
}

const char *sides_text(const struct sides *sides, enum side side)
{
    return get(sides, side)->shared->text;
}

enum side_end sides_end(const struct sides *sides, enum side side)
{
    return get(sides, side)->end;
}

struct outcomes *sides_outcomes(struct sides *sides, enum side side)
{
    return &get(sides, side)->shared->outcomes;
}
