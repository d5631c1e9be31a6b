/*
 * run_end.h - ending all processes of a run
 */
#ifndef CLI_RUN_END_H
#define CLI_RUN_END_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "emu.h"

#include "run_session.h"

#define RUN_TREE_MAX   4096 /* processes of one run that are found */
#define RUN_TREE_OTHER 64   /* supervisors of the same session whose runs are told from ours */

/* Whose processes are meant. */
struct run_tree {
    pid_t child;
    int32_t others[RUN_TREE_OTHER]; /* supervisors: what is theirs is left alone */
    size_t other_count;
};

/* The run of `child` in the session, and who else supervises there now. */
struct run_tree run_tree_of(pid_t child, const struct run_session *session);

/*
 * Who loses its parents below us becomes our child from now on (a child subreaper), and belongs to
 * the run. `is_own` says which of our children don't: those that we started ourselves.
 */
void run_tree_adopt(bool (*is_own)(void *context, pid_t pid), void *context);

/*
 * Finds the processes of the run: `child`, the members of the session that no other supervisor
 * started, those that we adopted, and whatever descends from one of these. Returns their number, at
 * most RUN_TREE_MAX.
 */
size_t run_tree_find(const struct run_tree *tree, int32_t *ret_pids);

/* The same without the child, which has ended; reaps those of ours that have. */
size_t run_tree_rest(const struct run_tree *tree, int32_t *ret_pids);

/*
 * Ends them: SIGTERM, a second to tidy up, then SIGKILL; sweeps and reaps them. Only a process that
 * the kernel doesn't let go of (state D) is left.
 *
 * Returns the child's wait status, or -1 when it is among those left.
 */
int run_tree_end(struct emu_task *self, const struct run_tree *tree);

#endif
