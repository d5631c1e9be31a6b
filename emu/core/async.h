/*
 * async.h - SIGIO: O_ASYNC, F_SETOWN, F_SETSIG on emulated descriptors
 *
 * A description with O_ASYNC has a waiter of its own kind (queue.h) in the queue of each direction.
 * It is told where Linux calls kill_fasync(), and sends the owner the signal from the process that
 * made the event. The placeholder has the same owner, signal and O_ASYNC: it answers F_GETFL,
 * F_GETOWN and F_GETSIG, sends what the kernel alone knows (the other end was closed, also by a
 * kill), and takes over when the channel goes native.
 *
 * A process can't send another one a siginfo with si_code > 0. It sends SI_SIGIO, the code that
 * include/uapi/asm-generic/siginfo.h has for this, with si_band and si_fd in their places and a
 * mark behind them; emu_signal_info() makes of it what Linux shows, before the program sees it.
 */
#ifndef EMU_ASYNC_H
#define EMU_ASYNC_H

#include "description.h"

/*
 * O_ASYNC is now `on`, set through the number fd. Does nothing when it was so already.
 * Requires: no lock. Returns 0, -ENOMEM: it is still off.
 */
int async_set(struct emu_task *self, struct description *description, int fd, bool on);

/* Takes over from the placeholder behind fd whom it tells, and by which signal. */
void async_learn_owner(struct emu_task *self, struct description *description, int fd);

#endif
