/*
 * syscall_text.c - see syscall_text.h
 *
 * Leaves out the arguments of most calls: those are shown that say what is waited for.
 */
#include "waits/syscall_text.h"

#include <inttypes.h>
#include <linux/futex.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

void syscall_name(long number, char ret_name[SYSCALL_NAME])
{
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, (int)number);

    if (name != NULL)
        snprintf(ret_name, SYSCALL_NAME, "%s", name);
    else
        snprintf(ret_name, SYSCALL_NAME, "syscall %ld", number);
    free(name);
}

int syscall_fd(const struct proc_call *call)
{
    switch (call->number) {
    case SYS_read:
    case SYS_write:
    case SYS_readv:
    case SYS_writev:
    case SYS_pread64:
    case SYS_pwrite64:
    case SYS_preadv:
    case SYS_pwritev:
    case SYS_preadv2:
    case SYS_pwritev2:
    case SYS_recvfrom:
    case SYS_sendto:
    case SYS_recvmsg:
    case SYS_sendmsg:
    case SYS_recvmmsg:
    case SYS_sendmmsg:
    case SYS_accept:
    case SYS_accept4:
    case SYS_connect:
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
    case SYS_flock:
    case SYS_fcntl:
    case SYS_ioctl:
    case SYS_fsync:
    case SYS_fdatasync:
    case SYS_splice:
    case SYS_tee:
    case SYS_vmsplice:
    case SYS_sendfile:
    case SYS_close: return (int)call->arguments[0];
    default: return -1;
    }
}

static void wait_text(int64_t pid, const char *name, char *ret_text, size_t room)
{
    if (pid > 0)
        snprintf(ret_text, room, "%s(%" PRId64 ")", name, pid);
    else
        snprintf(ret_text, room, "%s(%s)", name, pid == -1 ? "any child" : "a group of children");
}

/* A relative time in the guest's memory, in seconds. */
static void time_text(int32_t pid, uint64_t address, const char *name, char *ret_text, size_t room)
{
    struct timespec time = { 0 };

    if (proc_read(pid, address, &time, sizeof time))
        snprintf(ret_text, room, "%s(%.6g s)", name,
                 (double)time.tv_sec + (double)time.tv_nsec / 1e9);
    else
        snprintf(ret_text, room, "%s(…)", name);
}

/* clock_nanosleep until a time: of whichever clock, those of threads aside. */
static void clock_text(int32_t pid, const uint64_t *arguments, const char *name, char *ret_text,
                       size_t room)
{
    const clockid_t clock = (clockid_t)arguments[0];
    struct timespec end = { 0 };
    struct timespec now;

    if (clock >= 0 && clock_gettime(clock, &now) == 0 &&
        proc_read(pid, arguments[2], &end, sizeof end))
        snprintf(ret_text, room, "%s(%.6g s left)", name,
                 (double)(end.tv_sec - now.tv_sec) + (double)(end.tv_nsec - now.tv_nsec) / 1e9);
    else
        snprintf(ret_text, room, "%s(…)", name);
}

static const char *futex_text(uint64_t operation)
{
    switch (operation & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET: return "wait";
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2: return "lock";
    default: return "…";
    }
}

void syscall_text(int32_t pid, const struct proc_call *call, const char *name, char *ret_text,
                  size_t room)
{
    const uint64_t *arguments = call->arguments;
    const int fd = syscall_fd(call);

    switch (call->number) {
    case SYS_wait4: wait_text((int32_t)arguments[0], name, ret_text, room); return;
    case SYS_waitid:
        wait_text(arguments[0] == P_PID ? (int32_t)arguments[1] : -1, name, ret_text, room);
        return;
    case SYS_nanosleep: time_text(pid, arguments[0], name, ret_text, room); return;
    case SYS_clock_nanosleep:
        if (arguments[1] & TIMER_ABSTIME)
            clock_text(pid, arguments, name, ret_text, room);
        else
            time_text(pid, arguments[2], name, ret_text, room);
        return;
    case SYS_futex: snprintf(ret_text, room, "%s(%s)", name, futex_text(arguments[1])); return;
    case SYS_poll:
        if ((int)arguments[2] < 0)
            snprintf(ret_text, room, "%s(%" PRIu64 " fds, no time-out)", name, arguments[1]);
        else
            snprintf(ret_text, room, "%s(%" PRIu64 " fds, %d ms)", name, arguments[1],
                     (int)arguments[2]);
        return;
    case SYS_ppoll: snprintf(ret_text, room, "%s(%" PRIu64 " fds)", name, arguments[1]); return;
    default: break;
    }
    if (fd >= 0)
        snprintf(ret_text, room, "%s(%d, …)", name, fd);
    else
        snprintf(ret_text, room, "%s(…)", name);
}
