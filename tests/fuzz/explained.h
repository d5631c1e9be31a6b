/*
 * explained.h - differences that are known, each with its reason: explained.def
 */
#ifndef FUZZ_EXPLAINED_H
#define FUZZ_EXPLAINED_H

#include <stdint.h>
#include <stdio.h>

#include "log.h"

/* Which of explained.def this difference is, or -1. `position`: where the logs differ first. */
int explained_find(const struct log *kernel, const struct log *emulator, uint32_t position);

/* Counts one; the sequence isn't compared any further. */
void explained_count(int number);

void explained_print(FILE *file);

#endif
