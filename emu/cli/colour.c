/*
 * colour.c - see colour.h
 */
#include "colour.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_wanted(FILE *file)
{
    const char *never = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");

    return (never == NULL || never[0] == '\0') && terminal != NULL &&
           strcmp(terminal, "dumb") != 0 && terminal[0] != '\0' && isatty(fileno(file));
}

const char *colour_of(FILE *file, enum colour colour)
{
    static const char *const codes[] = { [COLOUR_NONE] = "\033[0m",
                                         [COLOUR_ERROR] = "\033[1;31m",
                                         [COLOUR_NOTE] = "\033[1m",
                                         [COLOUR_FAINT] = "\033[2m" };

    return is_wanted(file) ? codes[colour] : "";
}
