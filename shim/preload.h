/*
 * preload.h - what LD_PRELOAD shall hold for the program that is started next
 *
 * This library, before what the guest has there, but behind a sanitizer's (sanitizer.h). When the
 * program itself is linked with such a one, that one stands first, and SOCKRIG_RUNTIME says so, so
 * that it is taken out again when that program starts another.
 */
#ifndef SHIM_PRELOAD_H
#define SHIM_PRELOAD_H

#include "sanitizer.h"

/* The form of it; points into the guest's environment. */
struct preload {
    bool changed;                      /* else the guest's environment is right as it is */
    bool listed;                       /* `theirs` holds this library */
    const char *theirs;                /* the guest's list, without what we had put in front */
    char runtime[SANITIZER_NAME_SIZE]; /* what comes in front, or "" */
};

/* `path`: the program, NULL when it isn't known: then nothing but this library is added. */
void preload_plan(const char *path, char *const *guest, struct preload *ret_preload);

/* Writes "LD_PRELOAD=..." and a NUL. Returns the end, behind it. */
char *preload_put(char *at, const struct preload *preload);

/* The same for "SOCKRIG_RUNTIME=...". Requires: there is one. */
char *preload_put_runtime(char *at, const struct preload *preload);

/*
 * For a program whose loader can't take this library: writes "LD_PRELOAD=..." with the guest's own
 * list alone, and a NUL. Returns the end, behind it; `at`: nothing is left of the list.
 */
char *preload_put_theirs(char *at, char *const *guest);

/* Room for both, beside the guest's list. */
#define PRELOAD_ROOM (PATH_MAX + 2 * SANITIZER_NAME_SIZE + 64)

#endif
