/*
 * judge.h - the parts of judge.c that are about bytes
 */
#ifndef FUZZ_VSOCK_JUDGE_H
#define FUZZ_VSOCK_JUDGE_H

#include "vsock/run.h"

/* Requires: the number refers to an end. */
void judge_send(struct run *run, const struct player *player, int64_t value);
void judge_take(struct run *run, const struct player *player, int64_t value);

#endif
