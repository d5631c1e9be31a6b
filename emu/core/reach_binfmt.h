/*
 * reach_binfmt.h - the interpreter that binfmt_misc has for a file
 */
#ifndef EMU_REACH_BINFMT_H
#define EMU_REACH_BINFMT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Looks for a handler of the file at `path` that begins with `head` (256 bytes are enough).
 * Returns true and the path of its interpreter, which fits into `room`.
 */
bool reach_binfmt(const char *path, const char *head, size_t size, char *ret_interpreter,
                  size_t room);

#endif
