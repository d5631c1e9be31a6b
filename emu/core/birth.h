/*
 * birth.h - where processes come from, for reports: who made them, how, when, and from where
 *
 * An end that somebody has open without having made or received it was inherited: by the fork or
 * spawn that made this process. So one entry for each process, written by the parent where it makes
 * a child, is all that is noted, and nothing anywhere else but a mark on a description that came by
 * SCM_RIGHTS.
 *
 * An entry belongs to a use of its process's record: the generation says which. Nobody waits for
 * anybody here: what is torn is taken for another generation's, or shows as a wrong word in a
 * report.
 */
#ifndef EMU_BIRTH_H
#define EMU_BIRTH_H

#include "arena.h"
#include "emu.h"

/* The parent makes the process of the record `slot` by this (EMU_ORIGIN_FORK, _SPAWN). */
void birth_note(struct emu_task *self, uint32_t slot, uint32_t generation,
                enum emu_origin_kind kind);

/* This process has a new image. */
void birth_executed(uint32_t slot, uint32_t generation);

/* What is known of it; kind EMU_ORIGIN_UNKNOWN: nothing. */
struct emu_origin birth_of(uint32_t slot, uint32_t generation);

#endif
