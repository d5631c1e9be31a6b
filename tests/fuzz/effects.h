/*
 * effects.h - what the result of a call means to the model
 */
#ifndef FUZZ_EFFECTS_H
#define FUZZ_EFFECTS_H

#include "build.h"

void effect_apply(struct model *model, uint32_t process, const struct made *made, int64_t result);

#endif
