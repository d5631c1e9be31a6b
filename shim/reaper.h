/*
 * reaper.h - who watches the members of a session that no `sockrig run` watches
 *
 * A process of our own, started before the first child is made, or when the session's watcher has
 * died. It sweeps each member that dies, which wakes those who wait for it, and ends with the last
 * one. The guest never sees it: see reaper.c.
 */
#ifndef SHIM_REAPER_H
#define SHIM_REAPER_H

#include "emu.h"

/* Call before a child is made, with nothing held: starts the reaper if this session needs one. */
void reaper_ensure(void);

/*
 * The watcher is gone, or has left (emu_process.unwatched): starts a reaper in its place. Requires:
 * no lock; no handler runs meanwhile.
 */
void reaper_take_over(struct emu_task *self);

/* This process ends in order: if the reaper is its child and has nobody else, it ends first. */
void reaper_dismiss(void);

/*
 * Call before a wait for children: it shall not see the reaper, which only __WALL and __WCLONE can
 * show. Returns 0, and has changed *options where that is enough; or a pid that is to be waited for
 * instead, which isn't there for such a wait.
 */
int32_t reaper_hide(int *options);

#endif
