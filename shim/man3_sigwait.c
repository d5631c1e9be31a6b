/*
 * man3_sigwait.c - sigtimedwait(2), sigwaitinfo(2)
 *
 * Nothing here waits for descriptors. A signal that the emulator sent in the kernel's place (SIGIO,
 * F_SETSIG) must show the siginfo that Linux shows; handlers see it so by signal.c. What signalfd
 * reads is left as it was sent: si_code SI_SIGIO.
 */
#include "wrap.h"

#include <signal.h>

int wrap_sigtimedwait(const sigset_t *set, siginfo_t *ret_info, const struct timespec *timeout)
{
    int number = (int)NATIVE4(SYS_rt_sigtimedwait, set, ret_info, timeout, _NSIG / 8);

    if (number > 0 && ret_info) {
        emu_signal_info(ret_info);
        if (ret_info->si_code == SI_TKILL) {
            ret_info->si_code = SI_USER; /* as libc shows it */
        }
    }
    return number;
}

int wrap_sigwaitinfo(const sigset_t *set, siginfo_t *ret_info)
{
    return wrap_sigtimedwait(set, ret_info, NULL);
}

#define SYMBOLS_SIGWAIT
#include "export.h"
