/*
 * sandbox.h - --sandbox: the kernel's sockets are out of reach, also of what passes every wrapper
 */
#ifndef CLI_SANDBOX_H
#define CLI_SANDBOX_H

#include "emu.h"

/*
 * What --sandbox means besides: everything that isn't modeled is refused, and names that nobody in
 * the session has bound aren't looked for outside, unless the options said otherwise.
 */
void sandbox_set_options(struct emu_options *options);

/*
 * Installs the filter in this process, for it and all below it: no sockets of other families than
 * AF_UNIX, but for those that a policy makes native, and no io_uring. Needs no rights; from then on
 * setuid programs gain none (no_new_privs).
 *
 * Returns 0 or a positive errno.
 */
int sandbox_install(const struct emu_options *options);

#endif
