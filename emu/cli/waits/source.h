/*
 * source.h - function and line of an address in a file, from its symbols and DWARF
 */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOURCE_FUNCTION 40
#define SOURCE_LINE     48

struct source_place {
    char function[SOURCE_FUNCTION]; /* "" when it isn't known */
    char line[SOURCE_LINE];         /* "proxy.c:88", base name; "" when it isn't known */
};

/*
 * What stands at `address`, one of the file's own, in the file at `path`. Looks for separate
 * debugging information where Debian puts it, and never asks a server.
 */
struct source_place source_find(const char *path, uint64_t address);

/*
 * The same with the functions that were inlined there, from the innermost outwards: of each but the
 * first, the line is where the one before stands. Returns how many, at most `max`; at least 1.
 */
size_t source_find_inlined(const char *path, uint64_t address, struct source_place *ret_places,
                           size_t max);

/* Code from `from` to before `to`, as offsets from where the file's first segment is loaded. */
struct source_range {
    uint64_t from;
    uint64_t to;
};

/*
 * The code of `site` in the file at `path`: of a function, also where it was inlined, or of a line
 * ("proxy.c:88").
 *
 * Returns how many ranges it has, at most `max` of which are in ret_ranges; 0: none is known.
 */
size_t source_ranges(const char *path, const char *site, struct source_range *ret_ranges,
                     size_t max);

/* Lets go of the files that were looked at. */
void source_fini(void);

#endif
