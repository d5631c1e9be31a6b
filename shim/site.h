/*
 * site.h - where the guest is: the stack behind a call that has come to the library
 */
#ifndef SHIM_SITE_H
#define SHIM_SITE_H

#include "emu.h"

/* The number of its stack (finding.h): the core's hook. 0: not known, or no room for another. */
uint32_t site_take(struct emu_task *self);

/* Where the guest's function called the library, as a return address, or NULL. */
const void *site_caller(void);

/* Whether an address is the library's own. */
bool site_is_own(const void *address);

/*
 * A call of the guest's on `fd` has failed in the kernel with EBADF; `call` is its number.
 * Requires: emu_track_is_on().
 */
void site_bad_fd(int fd, long call);

#endif
