/*
 * ends.h - under which number a process has an end of a channel
 *
 * The emulator knows which processes hold an end, not their numbers for it. Placeholders are real
 * and really connected, so the kernel tells.
 */
#ifndef CLI_ENDS_H
#define CLI_ENDS_H

#include "blocked.h"

/*
 * A descriptor of process `holder` for the other end of what `blocked_pid` waits for on `blocked`,
 * or -1: not found.
 */
int ends_find_other(int32_t blocked_pid, const struct emu_blocked_fd *blocked, int32_t holder);

#endif
