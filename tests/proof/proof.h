/*
 * What all proofs share. A proof is one plain program that asks the kernel or libc for one fact the
 * design stands on: 0 = the fact holds (one line says what was measured), 1 = it does not,
 * 77 = this kernel or machine lacks the feature. Nothing here belongs to the emulator.
 */
#ifndef PROOF_H
#define PROOF_H
#ifndef _GNU_SOURCE
#    define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROOF_SKIP 77

#define CHECK(cond, ...)                                                              \
    do {                                                                              \
        if (!(cond)) {                                                                \
            int saved_errno = errno;                                                  \
            fprintf(stderr, "%s:%d: does not hold: %s: ", __FILE__, __LINE__, #cond); \
            fprintf(stderr, __VA_ARGS__);                                             \
            fprintf(stderr, " (errno %d %s)\n", saved_errno, strerror(saved_errno));  \
            exit(1);                                                                  \
        }                                                                             \
    } while (0)

#define SKIP(...)                        \
    do {                                 \
        printf("skipped: " __VA_ARGS__); \
        printf("\n");                    \
        exit(PROOF_SKIP);                \
    } while (0)

#ifndef __has_feature
#    define __has_feature(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
/* A sanitizer puts its own bodies before libc's and its own handlers before ours. */
__attribute__((constructor)) static void proof_refuse_sanitizer(void)
{
    SKIP("a sanitizer stands between this program and libc");
}
#endif

static inline int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Waits for a child this program started; returns its exit code, or 128 + the signal. */
static inline int child_result(pid_t pid)
{
    int status = 0;
    pid_t got;
    do {
        got = waitpid(pid, &status, 0);
    } while (got < 0 && errno == EINTR);
    if (got != pid) {
        return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#endif
