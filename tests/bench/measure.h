/*
 * What the benchmark programs share: time, samples, the line of JSON at the end.
 *
 * A program runs one workload once, for about BUDGET_NS, and prints one line. It uses plain libc
 * calls and knows nothing of sockrig; scripts/bench runs it natively and preloaded and compares.
 * Operations too short to be timed one at a time run in batches. A batch is one sample, and the
 * median over the samples is the result: a burst of foreign load costs samples, not the result.
 *
 * Left out: comparing and judging (scripts/bench); whether the right bytes arrive (the tests).
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)

enum {
    BUDGET_NS = 100 * 1000 * 1000, /* what one run spends on measuring */
    BATCH_NS = 2 * 1000 * 1000,    /* short enough for some 40 in a run, long against the clock */
    BATCH_OPS_MAX = 1 << 24,
    SAMPLES_MAX = 1 << 18, /* BUDGET_NS of samples of 0.4 us */
};

struct samples {
    double *ns; /* SAMPLES_MAX of them */
    size_t count;
};

/* Ends the whole program, also from a thread; in a forked child, the child. */
static inline _Noreturn void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    _exit(1);
}

static inline void check_count(ssize_t result, size_t expected, const char *what)
{
    if (result < 0) {
        die(what);
    }
    if ((size_t)result != expected) {
        fprintf(stderr, "%s: %zd where %zu was expected\n", what, result, expected);
        _exit(1);
    }
}

static inline uint64_t now_ns(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        die("clock_gettime");
    }
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* --- samples ---------------------------------------------------------------------------------- */

/*
 * Touches every page, so that no fault falls into the measuring. In a program that forks: call it
 * after the fork, or the faults come back as copies on write.
 */
static inline void samples_init(struct samples *samples)
{
    samples->ns = malloc(SAMPLES_MAX * sizeof *samples->ns);
    if (samples->ns == NULL) {
        die("malloc");
    }
    for (size_t i = 0; i < SAMPLES_MAX; i++) {
        samples->ns[i] = 1.0;
    }
    samples->count = 0;
}

static inline void samples_add(struct samples *samples, double ns)
{
    samples->ns[samples->count++] = ns;
}

static inline bool samples_wanted(const struct samples *samples, uint64_t started, uint64_t now)
{
    return now - started < BUDGET_NS && samples->count < SAMPLES_MAX;
}

static inline int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

/* Prints the line: the median, and the 99th percentile where a sample is one operation. */
static inline void samples_report(struct samples *samples, bool emulated, bool with_p99)
{
    double *ns = samples->ns;
    size_t count = samples->count;

    qsort(ns, count, sizeof *ns, compare_doubles);
    printf("{\"ns\": %.2f, \"min_ns\": %.2f, ", ns[count / 2], ns[0]);
    if (with_p99) {
        printf("\"p99_ns\": %.2f, ", ns[count - 1 - count / 100]);
    }
    printf("\"samples\": %zu, \"emulated\": %s}\n", count, emulated ? "true" : "false");
    free(ns);
}

/* --- batches ---------------------------------------------------------------------------------- */

typedef void (*batch_fn)(void *context, uint64_t ops);

static inline uint64_t batch_time(batch_fn batch, void *context, uint64_t ops)
{
    uint64_t started = now_ns();

    batch(context, ops);
    return now_ns() - started;
}

/* Finds how many operations make a batch, which warms up too, then samples batches. */
static inline void samples_take(struct samples *samples, batch_fn batch, void *context)
{
    uint64_t ops = 1;
    uint64_t started;

    while (ops < BATCH_OPS_MAX && batch_time(batch, context, ops) < BATCH_NS) {
        ops *= 2;
    }
    started = now_ns();
    do {
        samples_add(samples, (double)batch_time(batch, context, ops) / (double)ops);
    } while (samples_wanted(samples, started, now_ns()));
}

/* --- the machine ------------------------------------------------------------------------------ */

enum cpu { CPU_FIRST, CPU_LAST };

/* The calling thread, on the first or the last CPU it may use. CPU 0 often serves the interrupts,
 * so what is alone goes on the last. */
static inline void pin(enum cpu which)
{
    cpu_set_t allowed;
    cpu_set_t chosen;
    int found = -1;

    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
        die("sched_getaffinity");
    }
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed)) {
            found = cpu;
            if (which == CPU_FIRST) {
                break;
            }
        }
    }
    CPU_ZERO(&chosen);
    CPU_SET(found, &chosen);
    if (sched_setaffinity(0, sizeof chosen, &chosen) != 0) {
        die("sched_setaffinity");
    }
}

/* --- who serves the channel ------------------------------------------------------------------- */

/* FIONREAD asked of the kernel itself: an inline instruction, which no preloaded library sees. */
static inline int kernel_bytes_readable(int fd)
{
    int count = -1;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"((long)SYS_ioctl), "D"((long)fd), "S"((long)FIONREAD), "d"(&count)
                     : "rcx", "r11", "memory");
    return result == 0 ? count : -1;
}

/* Writes a byte and reads it back. Emulated: the byte came through, and the kernel never had it. */
static inline bool is_emulated(int out, int in)
{
    char byte = 'x';
    int held;

    check_count(write(out, &byte, 1), 1, "write of the probe");
    held = kernel_bytes_readable(in);
    check_count(read(in, &byte, 1), 1, "read of the probe");
    return held == 0;
}

#endif
