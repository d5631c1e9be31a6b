/*
 * async.c - see async.h: who is told what
 *
 * Linux: fs/fcntl.c:kill_fasync, send_sigio_to_task; net/socket.c:sock_wake_async;
 * fs/pipe.c:anon_pipe_read, anon_pipe_write; net/unix/af_unix.c:unix_shutdown, unix_write_space.
 *
 * Invariant: no lock is held while a signal is sent. What is sent says nothing of the state, only
 * that it changed; who gets it looks for itself.
 *
 * Left out: credentials of who called F_SETOWN (the sender's own decide); owners outside of the
 * session that are threads of other processes; of a process group only the session's members get
 * the siginfo.
 */
#include "async.h"

#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

/* struct description_owner's `who`: pid, kind above it, the owner's start above that. */
enum { WHO_KIND_SHIFT = 30, WHO_START_SHIFT = 32 };
#define WHO_PID ((1u << WHO_KIND_SHIFT) - 1) /* PID_MAX_LIMIT is 2^22 */

struct target {
    int kind; /* F_OWNER_* */
    int32_t pid;
    int32_t group;  /* F_OWNER_TID: its process */
    uint32_t start; /* low bits of host_process_mark() */
};

#define MARK                0x5161b0de
#define POLL_INFO_AT        16
#define SIGNAL_FIRST_QUEUED 32 /* the kernel's SIGRTMIN */

/* siginfo_t from its sixteenth byte on (SIL_POLL), and our mark in what the kernel leaves alone. */
struct poll_info {
    int64_t band;
    int32_t fd;
    int32_t pad;
    uint32_t mark;
    int32_t code; /* si_code as Linux has it */
};
static_assert(offsetof(siginfo_t, si_band) == 16 && offsetof(siginfo_t, si_fd) == 24, "x86-64");
static_assert(POLL_INFO_AT + sizeof(struct poll_info) <= 48, "struct kernel_siginfo carries that");

static uint32_t start_of(int32_t pid)
{
    return (uint32_t)host_process_mark(pid);
}

/* The process that a thread belongs to: this one, or another member; 0: unknown. */
static int32_t group_of(const struct emu_task *self, int32_t tid)
{
    int32_t pids[EMU_MAX_PROCESSES];
    uint32_t changes;
    uint32_t count;

    if (host_syscall(SYS_tgkill, self->process->pid, tid, 0, 0, 0, 0) == 0) {
        return self->process->pid;
    }
    count = emu_session_members(pids, EMU_MAX_PROCESSES, &changes);
    for (uint32_t i = 0; i < count; i++) {
        if (host_syscall(SYS_tgkill, pids[i], tid, 0, 0, 0, 0) == 0) {
            return pids[i];
        }
    }
    return 0;
}

void async_learn_owner(struct emu_task *self, struct description *description, int fd)
{
    struct description_owner *owner = &description->owner;
    struct f_owner_ex who = { F_OWNER_PID, 0 };
    int64_t number = host_fcntl(fd, F_GETSIG, 0);
    uint64_t word = 0;

    if (number >= 0) {
        atomic_store(&owner->number, (int32_t)number);
    }
    if (host_fcntl(fd, F_GETOWN_EX, (unsigned long)&who) < 0) {
        return;
    }
    if (who.pid > 0) {
        word = (uint32_t)who.pid | (uint64_t)who.type << WHO_KIND_SHIFT;
        word |= who.type == F_OWNER_PGRP ? 0 : (uint64_t)start_of(who.pid) << WHO_START_SHIFT;
    }
    atomic_store(&owner->group, who.type == F_OWNER_TID ? group_of(self, who.pid) : 0);
    atomic_store(&owner->who, word);
}

/* One waiter. False: there is no room for it. */
static bool hang(struct emu_task *self, struct description *description, _Atomic uint32_t *place,
                 struct lock *lock, struct wait_queue *queue)
{
    const struct waiter_plan plan = {
        .kind = WAITER_OWNER,
        .target = description_index(description),
        .link = atomic_load(&description->generation),
        .events = WAITER_ASYNC,
        .lock = lock,
        .queue = queue,
    };
    uint32_t before = atomic_load(place);
    uint32_t index;

    if (description_owner_waits(description, before)) {
        return true;
    }
    index = queue_register(self, &plan);
    if (index == ARENA_NONE) {
        return false;
    }
    if (!atomic_compare_exchange_strong(place, &before, index + 1)) {
        queue_unregister(self, index); /* another thread was quicker */
        return true;
    }
    queue_keep(index);
    return true;
}

int async_set(struct emu_task *self, struct description *description, int fd, bool on)
{
    struct description_owner *owner = &description->owner;
    struct socket_buf *rx = description->rx != ARENA_NONE ? buf_at(description->rx) : NULL;
    struct socket_buf *tx = description->tx != ARENA_NONE ? buf_at(description->tx) : NULL;
    bool was = (!rx || description_owner_waits(description, atomic_load(&owner->waiter))) &&
               (!tx || description_owner_waits(description, atomic_load(&owner->waiter_out)));

    if (was && on) {
        return 0; /* the number of the first time stays: setfl */
    }
    if (!on) {
        description_disown(self, description);
        return 0;
    }
    atomic_store(&owner->fd, fd);
    if ((rx && !hang(self, description, &owner->waiter, &rx->lock, &rx->readers)) ||
        (tx && !hang(self, description, &owner->waiter_out, &tx->lock, &tx->writers))) {
        description_disown(self, description);
        return -ENOMEM;
    }
    return 0;
}

/* ---- Sending ---- */

/* Whether a member of the session has that pid, and is the one that began then. */
static bool is_member(int32_t pid, uint32_t start)
{
    uint32_t used = atomic_load_explicit(&arena->header.processes.fresh, memory_order_acquire);

    for (uint32_t slot = 0; slot < used; slot++) {
        const struct process_record *record = process_at(slot);
        uint32_t kind = PROCESS_KIND(atomic_load_explicit(&record->state, memory_order_relaxed));
        uint64_t began = atomic_load(&record->mark);

        if (atomic_load(&record->pid) == pid &&
            (kind == PROCESS_LIVE || kind == PROCESS_EXPECTED)) {
            return began == 0 || (uint32_t)began == start;
        }
    }
    return false;
}

/* Whether the pid is still the owner's: Linux holds the process, we hold a number. */
static bool still_there(const struct emu_task *self, const struct target *target)
{
    int32_t process = target->kind == F_OWNER_TID ? target->group : target->pid;

    return process == self->process->pid || is_member(target->pid, target->start) ||
           start_of(target->pid) == target->start;
}

/* Signals whose si_code means something of their own: SI_SIGIO stands in (sig_specific_sicodes). */
static bool has_own_codes(int number)
{
    return number == SIGILL || number == SIGFPE || number == SIGSEGV || number == SIGBUS ||
           number == SIGTRAP || number == SIGCHLD || number == SIGSYS;
}

/*
 * One signal to a process, or to one thread of it (tid > 0). `reason`: POLL_IN, ..., or 0: SIGIO
 * without a siginfo. Returns 0 or -errno.
 */
static int64_t queue_signal(const struct emu_task *self, int32_t pid, int32_t tid, int number,
                            int reason, int fd)
{
    static const int64_t bands[] = {
        [POLL_IN] = POLLIN | POLLRDNORM,
        [POLL_OUT] = POLLOUT | POLLWRNORM | POLLWRBAND,
        [POLL_HUP] = POLLHUP | POLLERR,
    }; /* fs/fcntl.c:band_table */
    struct poll_info poll = { .band = bands[reason], .fd = fd, .mark = MARK, .code = reason };
    siginfo_t info;

    if (reason == 0) {
        poll.code = SI_KERNEL;
    } else if (has_own_codes(number)) {
        poll.code = SI_SIGIO;
    }
    memset(&info, 0, sizeof info);
    info.si_signo = number;
    info.si_code = SI_SIGIO;
    memcpy((char *)&info + POLL_INFO_AT, &poll, sizeof poll);
    if ((uint32_t)(tid > 0 ? tid : pid) == self->tid) {
        emu_signal_info(&info); /* to itself a thread may send anything (do_rt_sigqueueinfo) */
    }
    return tid > 0 ? host_syscall(SYS_rt_tgsigqueueinfo, pid, tid, number, (long)&info, 0, 0)
                   : host_syscall(SYS_rt_sigqueueinfo, pid, number, (long)&info, 0, 0, 0);
}

void emu_signal_info(siginfo_t *info)
{
    struct poll_info poll;

    memcpy(&poll, (const char *)info + POLL_INFO_AT, sizeof poll);
    if (info->si_signo == SIGIO && info->si_code == SI_USER && info->si_pid == 0) {
        info->si_code = SI_KERNEL; /* the queue was full: ours has lost what it carried */
    }
    if (info->si_code != SI_SIGIO || poll.mark != MARK) {
        return;
    }
    info->si_code = poll.code;
    poll.mark = 0;
    poll.code = 0;
    memcpy((char *)info + POLL_INFO_AT, &poll, sizeof poll);
}

/* The chosen signal; SIGIO when there is none, or no room for it (send_sigio_to_task). */
static void tell_one(const struct emu_task *self, const struct description_owner *owner,
                     int32_t pid, int32_t tid, int reason)
{
    int number = atomic_load(&owner->number);

    if (number == 0 || queue_signal(self, pid, tid, number, reason, atomic_load(&owner->fd)) < 0) {
        queue_signal(self, pid, tid, SIGIO, 0, 0);
    }
}

/* Every member of the session that is in the group; the kernel's kill() reaches it without them. */
static void tell_group(const struct emu_task *self, const struct description_owner *owner,
                       int32_t group, int reason)
{
    int32_t pids[EMU_MAX_PROCESSES];
    uint32_t changes;
    uint32_t count = emu_session_members(pids, EMU_MAX_PROCESSES, &changes);
    int number = atomic_load(&owner->number);
    bool any = false;

    for (uint32_t i = 0; i < count; i++) {
        if (host_syscall(SYS_getpgid, pids[i], 0, 0, 0, 0, 0) == group) {
            tell_one(self, owner, pids[i], 0, reason);
            any = true;
        }
    }
    if (!any) {
        host_syscall(SYS_kill, -group, number != 0 ? number : SIGIO, 0, 0, 0, 0);
    }
}

static void tell(const struct emu_task *self, const struct description *description, int reason)
{
    const struct description_owner *owner = &description->owner;
    uint64_t who = atomic_load(&owner->who);
    struct target target = {
        .kind = (int)(who >> WHO_KIND_SHIFT & 3),
        .pid = (int32_t)(who & WHO_PID),
        .group = atomic_load(&owner->group),
        .start = (uint32_t)(who >> WHO_START_SHIFT),
    };

    if (who == 0) {
        return;
    }
    if (target.kind == F_OWNER_PGRP) {
        tell_group(self, owner, target.pid, reason);
    } else if (still_there(self, &target)) {
        if (target.kind == F_OWNER_PID) {
            tell_one(self, owner, target.pid, 0, reason);
        } else if (target.group > 0) {
            tell_one(self, owner, target.group, target.pid, reason);
        }
    }
}

/* ---- Events ---- */

/* Linux tells of each segment (unix_stream_sendmsg). */
static void tell_of_data(struct emu_task *self, const struct description *description,
                         uint32_t events)
{
    uint32_t count = 1 + (events >> WAITER_MORE_SHIFT & WAITER_MORE_MAX);

    if (events == UINT32_MAX || atomic_load(&description->owner.number) < SIGNAL_FIRST_QUEUED) {
        count = 1; /* nobody knows; more of them would merge */
    }
    for (; count > 0; count--) {
        tell(self, description, POLL_IN);
    }
}

static void socket_event(struct emu_task *self, struct description *description, uint32_t events)
{
    if ((events & POLLOUT) && atomic_exchange(&description->owner.full, 0) != 0) {
        tell(self, description, POLL_OUT);
    }
    if (events & WAITER_RECEIVES && events != UINT32_MAX) {
        return; /* who sleeps in a receive is woken by the change: sock_wake_async */
    }
    if (events & POLLHUP && events != UINT32_MAX) {
        if (!(events & POLLOUT)) { /* that is a close, which the kernel tells of */
            tell(self, description, events & POLLIN ? POLL_IN : POLL_HUP);
        }
    } else if (events & POLLIN) {
        tell_of_data(self, description, events);
    }
}

void async_event(struct emu_task *self, uint32_t index, uint32_t generation, uint32_t events)
{
    struct description *description = description_at(index);
    const struct description_owner *owner = &description->owner;

    if (atomic_load(&description->state) != DESCRIPTION_LIVE ||
        atomic_load(&description->generation) != generation ||
        atomic_load(&description->native) != DESCRIPTION_OURS ||
        (atomic_load(&owner->waiter) | atomic_load(&owner->waiter_out)) == 0) {
        return; /* or switched off meanwhile */
    }
    if (description_is_socket(description)) {
        socket_event(self, description, events);
    } else {
        tell(self, description, description->rx != ARENA_NONE ? POLL_IN : POLL_OUT);
    }
}
