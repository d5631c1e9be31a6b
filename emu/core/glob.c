/*
 * glob.c - see glob.h
 *
 * Not fnmatch(3), which looks at the locale and may allocate. Goes back to the last star alone,
 * which is enough: an earlier one can't match more than that one does.
 */
#include "glob.h"

#include <stddef.h>

bool glob_matches(const char *pattern, const char *text)
{
    const char *star = NULL;
    const char *again = NULL;

    while (*text) {
        if (*pattern == '*') {
            star = ++pattern;
            again = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star;
            text = ++again;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == 0;
}
