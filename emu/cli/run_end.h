/*
 * run_end.h - ending all processes of a run
 */
#ifndef CLI_RUN_END_H
#define CLI_RUN_END_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "emu.h"

#define RUN_TREE_MAX 4096 /* processes of one run that are found */

/*
 * Finds the processes of the run: `child`, the members of the session, and whatever descends from
 * one of these. Returns their number, at most RUN_TREE_MAX.
 */
size_t run_tree_find(pid_t child, int32_t *ret_pids);

/*
 * Ends them: SIGTERM, a second to tidy up, then SIGKILL; sweeps and reaps them. Only a process that
 * the kernel doesn't let go of (state D) is left.
 *
 * Returns the child's wait status, or -1 when it is among those left.
 */
int run_tree_end(struct emu_task *self, pid_t child);

#endif
