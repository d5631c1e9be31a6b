/*
 * man2_alarm.c - alarm(2), ualarm(3), setitimer(2): is a timer armed that will raise SIGALRM?
 *
 * The calls are the kernel's. What they have armed is noted in the process's record, since nobody
 * else can ask for it: who looks for deadlocks must know that a signal will come.
 *
 * Leaves out: a timer that was armed by an inline system call. Timers of timer_create(2) show in
 * /proc.
 */
#include "shim.h"
#include "wrap.h"

#include <sys/time.h>

/* Notes what the kernel says now. */
static void note_timer(void)
{
    struct itimerval timer = { 0 };

    if (!session_attached() || route_in_spawned_child() ||
        RAW2(SYS_getitimer, ITIMER_REAL, &timer) != 0) {
        return;
    }
    emu_process_note_alarm(
        &shim.process, (uint64_t)timer.it_value.tv_sec * 1000000 + (uint64_t)timer.it_value.tv_usec,
        timer.it_interval.tv_sec != 0 || timer.it_interval.tv_usec != 0);
}

int wrap_setitimer(__itimer_which_t which, const struct itimerval *value, struct itimerval *ret_old)
{
    long result = PLAIN(RAW3(SYS_setitimer, which, value, ret_old));

    if (which == ITIMER_REAL && value) {
        note_timer();
    }
    return (int)result;
}

unsigned int wrap_alarm(unsigned int seconds)
{
    unsigned int left = (unsigned int)PLAIN(RAW1(SYS_alarm, seconds));

    note_timer();
    return left;
}

/* misc/ualarm.c */
__useconds_t wrap_ualarm(__useconds_t value, __useconds_t interval)
{
    const struct itimerval timer = { { interval / 1000000, interval % 1000000 },
                                     { value / 1000000, value % 1000000 } };
    struct itimerval old;

    if (wrap_setitimer(ITIMER_REAL, &timer, &old) < 0) {
        return (__useconds_t)-1;
    }
    return (__useconds_t)(old.it_value.tv_sec * 1000000 + old.it_value.tv_usec);
}

#define SYMBOLS_ALARM
#include "export.h"
