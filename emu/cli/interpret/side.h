/*
 * side.h - the two sides that a script runs on: signals, time-outs, the emulator's set-up
 */
#ifndef INTERPRET_SIDE_H
#define INTERPRET_SIDE_H

#include "interpret/run.h"

/* Prepares this process: descriptors from 3 on are closed, handlers set, the emulator started. */
void side_init(struct run *run);

/* Arms the time-out of a statement: short where it is expected to block. */
void side_arm(bool blocks);
void side_disarm(void);

/* Makes the call. Fills run->result, blocked, signals. */
void side_call(struct run *run, const uint64_t *words);

#endif
