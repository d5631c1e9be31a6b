/*
 * lines.h - a notify message as text: "NAME=value" lines, see sd_notify(3)
 */
#ifndef CLI_NOTIFY_LINES_H
#define CLI_NOTIFY_LINES_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The message as it is printed: each of its lines behind "sockrig: notify: ", control characters as
 * \xNN, for it comes from a program that isn't trusted with a terminal. Empty lines are left out,
 * and a NUL at the message's end.
 *
 * Returns the text, to be freed; NULL: no memory.
 */
char *notify_lines_text(const char *message, size_t size);

/* True when one of the lines is exactly `line`. */
bool notify_lines_have(const char *message, size_t size, const char *line);

#endif
