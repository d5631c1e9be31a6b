/*
 * source.h - function and line of an address in a file, from its symbols and DWARF
 */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include <stdbool.h>
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

/* Lets go of the files that were looked at. */
void source_fini(void);

#endif
