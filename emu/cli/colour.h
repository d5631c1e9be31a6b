/*
 * colour.h - colours in messages, where a terminal shows them
 *
 * None where the file is no terminal, TERM says that it has none (unset, "dumb"), or NO_COLOR is
 * set and not empty.
 */
#ifndef CLI_COLOUR_H
#define CLI_COLOUR_H

#include <stdio.h>

enum colour {
    COLOUR_NONE, /* ends the others */
    COLOUR_ERROR,
    COLOUR_NOTE,
    COLOUR_FAINT,
};

/* What to print to `file` before text of that colour: "" where there are none. */
const char *colour_of(FILE *file, enum colour colour);

#endif
