/*
 * signal.h - handlers of the guest, and when they may run
 *
 * Every handler that the guest installs is replaced by one of ours, which looks where the thread
 * stands. Outside the emulator it calls the guest's. Inside (self->critical) it sends the signal
 * again to its own thread and adds it to the mask of the interrupted context: the kernel keeps it
 * until signal_deliver() unblocks it at the call's edge, and then builds the frame itself, so that
 * siginfo, mask and alternate stack are right.
 *
 * Real-time signals queue, and one that is sent again would stand behind those that came meanwhile.
 * Their siginfo waits in a FIFO of the thread, and an empty "tick" is sent: whichever of them comes
 * next brings the FIFO's head to the guest, and is itself appended unless it is a tick
 * (tests/proof/deferred_signal.c).
 *
 * What the guest believes about a signal is one word: its handler's address, and flags that we
 * change in what the kernel is told.
 */
#ifndef SHIM_SIGNAL_H
#define SHIM_SIGNAL_H

#include "shim.h"

#include <signal.h>

/* Flags of a guest's action beside its address; user addresses end below 2^57 (LA57). */
#define ACTION_INSTALLED (1ull << 63) /* the word holds an action */
#define ACTION_SIGINFO   (1ull << 62)
#define ACTION_RESETHAND (1ull << 61)
#define ACTION_RESTART   (1ull << 60)
#define ACTION_SLOW_COPY (1ull << 59) /* its mask blocks SIGSEGV */
#define ACTION_ADDRESS   ((1ull << 57) - 1)

/* The kernel's struct sigaction (arch/x86/include/uapi/asm/signal.h). */
struct kernel_action {
    void (*handler)(int, siginfo_t *, void *);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

#define KERNEL_SA_RESTORER 0x04000000ul
#define SIGNAL_COUNT       65

extern _Atomic uint64_t signal_actions[SIGNAL_COUNT];

/* True for the two whose faults of our own come first (host_copy). */
static inline bool signal_is_fault(int number)
{
    return number == SIGSEGV || number == SIGBUS;
}

/* Our handler, for all signals. */
void signal_handler(int number, siginfo_t *info, void *context);

/* Where a handler returns to: rt_sigreturn, in the bytes that unwinders know. */
void __restore_rt(void) __attribute__((visibility("hidden")));

/* Notes what the guest wants to happen, whatever the kernel is told. */
void signal_note(int number, const struct sigaction *action);

/* rt_sigaction(2) with our handler in place of the guest's. 0 or -errno. */
long signal_set(int number, const struct sigaction *action, struct sigaction *ret_old);

#endif
