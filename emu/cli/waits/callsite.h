/*
 * callsite.h - from where a blocked thread was called, out of its stack
 *
 * A blocked call costs the guest nothing for this: the stack is read from outside while it sleeps,
 * and frames are followed by .eh_frame. What can't be read (not allowed, no such file any more,
 * hand written code) is just not known.
 */
#ifndef CLI_CALLSITE_H
#define CLI_CALLSITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "waits/source.h"

#define CALLSITE_MODULE 72
#define CALLSITE_CALL   24
#define CALLSITE_FRAMES 8

/* Where a trace begins: registers of the innermost frame. */
struct callsite_start {
    uint64_t code;
    uint64_t stack;
    uint64_t frame; /* rbp; 0: not known */
    bool is_return; /* `code` is where a call comes back to, not where the thread stands */
};

struct callsite_frame {
    char module[CALLSITE_MODULE]; /* base name of the file that the call stands in */
    uint64_t offset;              /* of the return address in it */
    struct source_place source;
};

struct callsite {
    char call[CALLSITE_CALL]; /* the library's wrapper that the guest called ("read"), or "" */
    size_t count;             /* of `frames`; 0: nothing is known */
    struct callsite_frame frames[CALLSITE_FRAMES]; /* from the guest's call outwards */
};

/*
 * Follows the stack out of sockrig's library and libc, and on through the guest's own frames to
 * main, or as far as it can.
 */
struct callsite callsite_find(int32_t pid, struct callsite_start start);

/*
 * The start for a task that sleeps in the emulator: `frame` is an address of
 * __builtin_frame_address (0), where the caller's rbp and the return address stand. False: can't be
 * read.
 */
bool callsite_start_at(int32_t pid, uint64_t frame, struct callsite_start *ret_start);

/* Whether a file, by its base name, is sockrig's library or libc. */
bool callsite_is_inside(const char *file);

#endif
