/*
 * glob.h - the patterns that options hold
 */
#ifndef EMU_GLOB_H
#define EMU_GLOB_H

#include <stdbool.h>

/* `*` and `?` as in glob(7), but that they match slashes too. */
bool glob_matches(const char *pattern, const char *text);

#endif
