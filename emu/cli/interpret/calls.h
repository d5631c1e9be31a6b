/*
 * calls.h - the calls that a script may make: calls.def as a table for libffi
 */
#ifndef INTERPRET_CALLS_H
#define INTERPRET_CALLS_H

#include "interpret/script.h"

struct emu_task;

struct call {
    const char *name;
    const char *group;     /* of calls.def; "helper" for those of args.h */
    const char *signature; /* of calls.def */
    const char *kinds;     /* one letter for each argument: see args.h */
    void (*real)(void);    /* libc's function */
    void (*emu)(void);     /* emu_NAME, or NULL: the placeholder answers */
};

/* Returns the number of the call with this name, or -1. */
int call_find(const char *name);
const struct call *call_get(int number);
bool call_is(const struct call *call, const char *name);

/*
 * Calls libc's function.
 *
 * `arguments` holds a word for each argument. Returns its result, or -errno.
 */
int64_t call_real(const struct call *call, const uint64_t *arguments);

/* Looks up all functions of libc now: before there are threads. */
void call_prepare_all(void);

/* Makes the call that the emulator has left to the kernel; as call_real(). */
typedef int64_t (*call_fallback)(struct emu_task *self, const struct call *call,
                                 const uint64_t *arguments);

/*
 * Calls the emulator's function, then `fallback` where that is the answer.
 *
 * Returns as call_real(). *ret_native: the emulator has a function that moves data or waits, and
 * the kernel answered. (Flags and options are the placeholder's to answer, always.)
 */
int64_t call_emu(const struct call *call, struct emu_task *self, const uint64_t *arguments,
                 call_fallback fallback, bool *ret_native);

#endif
