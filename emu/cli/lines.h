/*
 * lines.h - the lines of source that a report's events happened at
 */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include "report.h"

/*
 * Finds those of what --inject did, in the program at `program` and in the files that the session's
 * findings name: an event holds no more than a file's base name. What isn't found stays "".
 */
void lines_find(struct report *report, const char *program);

#endif
