/*
 * man3_signal.c - sigaction(2), signal(2), sigprocmask(2) and their kin
 *
 * Handlers go through signal_set(). Masks are only watched: a thread that blocks SIGSEGV must copy
 * the guest's memory another way. Signals 32 and 33 are libc's own and don't exist for the guest.
 */
#include "wrap.h"

#include "host.h"
#include "signal.h"
#include "sud.h"

#include <string.h>

/* sysdeps/nptl: SIGCANCEL and SIGSETXID. */
#define LIBC_SIGNALS ((1ull << 31) | (1ull << 32))

/* Signals whose siginterrupt() said that calls don't restart. */
static _Atomic uint64_t interrupting;

static bool is_valid(int number)
{
    return number > 0 && number < SIGNAL_COUNT && number != 32 && number != 33;
}

int wrap_sigaction(int number, const struct sigaction *action, struct sigaction *ret_old)
{
    struct sigaction copy;

    if (!is_valid(number)) {
        return route_error(-EINVAL);
    }
    if (action) {
        uint64_t mask;

        copy = *action;
        memcpy(&mask, &copy.sa_mask, sizeof mask);
        mask &= ~LIBC_SIGNALS;
        memcpy(&copy.sa_mask, &mask, sizeof mask);
    }
    return route_result(signal_set(number, action ? &copy : NULL, ret_old));
}

/* One handler with flags; returns the one before. SIG_ERR is for the callers to refuse. */
static sighandler_t set_handler(int number, sighandler_t handler, int flags, bool blocks_itself)
{
    struct sigaction action;
    struct sigaction old;

    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = flags;
    sigemptyset(&action.sa_mask);
    if (blocks_itself && is_valid(number)) {
        sigaddset(&action.sa_mask, number);
    }
    return wrap_sigaction(number, &action, &old) < 0 ? SIG_ERR : old.sa_handler;
}

sighandler_t wrap_signal(int number, sighandler_t handler)
{
    bool interrupts = is_valid(number) &&
                      (atomic_load(&interrupting) & (1ull << (number - 1))) != 0;

    if (handler == SIG_ERR) {
        route_error(-EINVAL);
        return SIG_ERR;
    }
    return set_handler(number, handler, interrupts ? 0 : SA_RESTART, true);
}

sighandler_t wrap_sysv_signal(int number, sighandler_t handler)
{
    if (handler == SIG_ERR) {
        route_error(-EINVAL);
        return SIG_ERR;
    }
    return set_handler(number, handler, SA_RESETHAND | SA_NODEFER, false);
}

int wrap_sigignore(int number)
{
    return set_handler(number, SIG_IGN, 0, false) == SIG_ERR ? -1 : 0;
}

int wrap_siginterrupt(int number, int interrupt)
{
    struct sigaction action;

    if (wrap_sigaction(number, NULL, &action) < 0) {
        return -1;
    }
    if (interrupt) {
        atomic_fetch_or(&interrupting, 1ull << (number - 1));
        action.sa_flags &= ~SA_RESTART;
    } else {
        atomic_fetch_and(&interrupting, ~(1ull << (number - 1)));
        action.sa_flags |= SA_RESTART;
    }
    return wrap_sigaction(number, &action, NULL);
}

/* 0 or -errno. */
static long set_mask(int how, const sigset_t *set, sigset_t *ret_old)
{
    uint64_t mask = 0;
    long result;

    if (set) {
        memcpy(&mask, set, sizeof mask);
        mask &= ~LIBC_SIGNALS;
    }
    if (EMU_UNLIKELY(shim.sud)) {
        result = sud_set_mask(how, set ? &mask : NULL, ret_old, sizeof mask);
    } else {
        result = RAW4(SYS_rt_sigprocmask, how, set ? &mask : NULL, ret_old, sizeof mask);
    }
    if (result == 0 && set && (shim.emulates || shim_thread.state != THREAD_NEW)) {
        signal_learn_mask();
    }
    return result;
}

int wrap_sigprocmask(int how, const sigset_t *set, sigset_t *ret_old)
{
    return route_result(set_mask(how, set, ret_old));
}

int wrap_pthread_sigmask(int how, const sigset_t *set, sigset_t *ret_old)
{
    return (int)-set_mask(how, set, ret_old);
}

static int set_old_mask(int how, int mask)
{
    sigset_t set;
    sigset_t old;

    sigemptyset(&set);
    memcpy(&set, &mask, sizeof mask);
    if (wrap_sigprocmask(how, &set, &old) < 0) {
        return -1;
    }
    memcpy(&mask, &old, sizeof mask);
    return mask;
}

int wrap_sigblock(int mask)
{
    return set_old_mask(SIG_BLOCK, mask);
}

int wrap_sigsetmask(int mask)
{
    return set_old_mask(SIG_SETMASK, mask);
}

/* sigset(3): SIG_HOLD blocks and keeps the handler; all else unblocks. */
sighandler_t wrap_sigset(int number, sighandler_t disposition)
{
    struct sigaction old;
    sigset_t set;
    sigset_t before;

    if (!is_valid(number)) {
        route_error(-EINVAL);
        return SIG_ERR;
    }
    sigemptyset(&set);
    sigaddset(&set, number);
    if (disposition == SIG_HOLD) {
        if (wrap_sigprocmask(SIG_BLOCK, &set, &before) < 0 ||
            wrap_sigaction(number, NULL, &old) < 0) {
            return SIG_ERR;
        }
    } else {
        old.sa_handler = set_handler(number, disposition, 0, false);
        if (old.sa_handler == SIG_ERR || wrap_sigprocmask(SIG_UNBLOCK, &set, &before) < 0) {
            return SIG_ERR;
        }
    }
    return sigismember(&before, number) ? SIG_HOLD : old.sa_handler;
}

#define SYMBOLS_SIGNAL
#include "export.h"
