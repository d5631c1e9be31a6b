/*
 * side.h - a script's calls in the world of one side
 */
#ifndef INTERPRET_SIDE_H
#define INTERPRET_SIDE_H

#include "interpret/run.h"

/* Makes the world, in this process. */
void side_init(struct run *run);

/*
 * Makes the call of run->statement and fills run->result, blocked, signals. One that doesn't come
 * back is interrupted: soon where the script expects that it blocks.
 */
void side_call(struct run *run, const uint64_t *words, bool expects_block);

/*
 * Begins a call that is to go on while others are made. False: it has ended already, and
 * run->result and so on say how.
 */
bool side_begin(struct run *run, const uint64_t *words);

/* The call of run->statement's task is to have ended, if need be by its time-out. False: not so. */
bool side_end(struct run *run);

#endif
