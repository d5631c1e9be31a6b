/*
 * verify.h - the invariant between the arena and the kernel, checked (--verify)
 *
 * The last holder of an end is gone exactly when the kernel shows a hang-up on the placeholder of
 * the other end.
 */
#ifndef EMU_VERIFY_H
#define EMU_VERIFY_H

#include "emu.h"

/*
 * Compares the two for each emulated descriptor of this process. A death or a close that is under
 * way is waited for, 200 ms at most; what still differs is counted in the report.
 * Returns how many ends differ. Blocks for that time. Requires: no lock.
 */
uint32_t verify_ends(struct emu_task *self);

#endif
