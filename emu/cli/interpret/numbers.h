/*
 * numbers.h - descriptor numbers of a call: a process's own, and the real ones behind them
 *
 * Virtual processes share one table of the kernel's, so each has a map of its own. Numbers stand in
 * plain arguments, in pollfd arrays, sets of select, epoll_ctl's target and control data; they come
 * back as results, in pipe's array and in control data. What stands in the caller's memory is
 * translated there, and put back when the call is done; a bad pointer is left to whoever answers
 * the call.
 *
 * As long as there is one process whose numbers are the real ones (`plain`) nothing is translated:
 * close_range and its like reach the emulator as they are written, and RLIMIT_NOFILE is the real
 * one.
 *
 * Leaves out: items of an epoll set that a fork's child names by a number it inherited.
 */
#ifndef INTERPRET_NUMBERS_H
#define INTERPRET_NUMBERS_H

#include <sys/select.h>

#include "interpret/world.h"

/* A process's numbers: the real one + 1, or 0. */
struct numbers {
    int real[WORLD_MAX_NUMBERS];
    int top;       /* no number from here on is open */
    uint32_t odd;  /* numbers that aren't the real ones */
    uint64_t most; /* RLIMIT_NOFILE as the process sees it; 0: the real one holds, too */
};

#define NUMBERS_MAX_PATCHES (WORLD_MAX_NUMBERS + WORLD_MAX_NEW)
#define NUMBERS_MAX_PLACES  (WORLD_MAX_NEW * 4)

/* One call, from numbers_begin() to numbers_end(). */
struct numbers_call {
    int call;
    bool plain;
    bool forked; /* it was, until somebody forked while it slept: what it makes gets free numbers */
    uint64_t words[SCRIPT_MAX_ARGUMENTS];
    char path[32]; /* open's, of a number: /proc/self/fd/N */
    int target;    /* dup2's, as the process calls it, or -1 */
    int minimum;   /* F_DUPFD's */
    size_t patch_count;
    struct {
        int *address;
        int original;
    } patches[NUMBERS_MAX_PATCHES];
    struct {
        void *guest; /* the caller's set, or NULL */
        fd_set own[WORLD_MAX_NUMBERS * 4 / FD_SETSIZE];
    } sets[3];
    int set_count; /* select's first argument */
};

void numbers_set(struct numbers *numbers, int number, int real);
void numbers_remove(struct numbers *numbers, int number);

/* The real number, or -1. */
int numbers_real(const struct numbers *numbers, int number);

/*
 * Among other processes: lowers the real RLIMIT_NOFILE for a call that makes descriptors, so that
 * as many can be made as the process has free numbers. True: it did; put `*ret_before` back.
 */
bool numbers_limit(const struct numbers *numbers, int call, uint64_t *ret_before);

/* RLIMIT_NOFILE of this process; set: the soft limit alone. */
uint64_t numbers_real_limit(void);
void numbers_set_real_limit(uint64_t most);

/* Translates a call's arguments into ret_call->words. */
void numbers_begin(const struct numbers *numbers, bool plain, int call, const uint64_t *words,
                   struct numbers_call *ret_call);

/*
 * The call has ended with `result`: takes in what it made and closed. `expect` names the numbers of
 * new descriptors, as world_expect(). Returns the result as the process sees it.
 */
int64_t numbers_end(struct numbers *numbers, struct numbers_call *call, int64_t result,
                    const int *expect, size_t expect_count);

/* close_range and closefrom: what they close. False: another call. */
bool numbers_range(int call, const uint64_t *words, uint32_t *ret_first, uint32_t *ret_last);

/*
 * Where the descriptors stand that a call made: addresses of ints, NULL for the result itself.
 * Returns their number, at most NUMBERS_MAX_PLACES.
 */
size_t numbers_made(int call, const uint64_t *words, int64_t result, int **ret_places);

#endif
