/*
 * host_fake_signals.c - the fake host's owners of descriptors, and the signals that were sent
 *
 * A signal that is sent is noted, whoever it is for, with the kernel's rule about who may send what
 * (do_rt_sigqueueinfo); nobody is interrupted. Leaves out: process groups, permissions.
 */
#include "host_fake.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#include "host.h"

enum { ENDS = 64, SIGNALS = 64 };

static struct {
    struct f_owner_ex owner;
    int number;
} ends[ENDS];
static struct fake_signal signals[SIGNALS];
static size_t signal_count;
static int full_count;

void fake_reset_signals(void)
{
    memset(ends, 0, sizeof ends);
    signal_count = 0;
    full_count = 0;
}

int64_t fake_owner_command(int end, int command, unsigned long argument)
{
    if (end >= ENDS)
        return -EINVAL;
    switch (command) {
    case F_SETOWN: ends[end].owner = (struct f_owner_ex){ F_OWNER_PID, (int)argument }; return 0;
    case F_SETOWN_EX: ends[end].owner = *(const struct f_owner_ex *)argument; return 0;
    case F_GETOWN_EX: *(struct f_owner_ex *)argument = ends[end].owner; return 0;
    case F_SETSIG:
        if (argument > 64)
            return -EINVAL;
        ends[end].number = (int)argument;
        return 0;
    case F_GETSIG: return ends[end].number;
    default: return -EINVAL;
    }
}

static int64_t note(int32_t pid, int32_t tid, int number, const siginfo_t *info)
{
    if (info->si_code >= 0 && (uint32_t)(tid > 0 ? tid : pid) != host_gettid())
        return -EPERM;
    if (full_count > 0 && number >= 32) {
        full_count--;
        return -EAGAIN;
    }
    if (signal_count == SIGNALS)
        host_abort("fake: too many signals");
    signals[signal_count++] = (struct fake_signal){ pid, tid, number, *info };
    return 0;
}

int64_t fake_signal_call(long number, long a, long b, long c, long d)
{
    switch (number) {
    case SYS_rt_sigqueueinfo: return note((int32_t)a, 0, (int)b, (const siginfo_t *)c);
    case SYS_rt_tgsigqueueinfo: return note((int32_t)a, (int32_t)b, (int)c, (const siginfo_t *)d);
    case SYS_tgkill: return host_process_mark((int32_t)b) != 0 ? 0 : -ESRCH;
    default: return -ENOSYS;
    }
}

bool fake_take_signal(struct fake_signal *ret_signal)
{
    if (signal_count == 0)
        return false;
    *ret_signal = signals[0];
    signal_count--;
    memmove(signals, signals + 1, signal_count * sizeof signals[0]);
    return true;
}

void fake_fill_signal_queue(int count)
{
    full_count = count;
}
