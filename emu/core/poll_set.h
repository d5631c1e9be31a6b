/*
 * poll_set.h - waiting for several descriptors at once: what poll and select share
 *
 * A set mixes emulated and real descriptors. Readiness of emulated ones is asked of the objects, of
 * real ones of the kernel with one poll. When nothing is ready the task registers with each object
 * and names what the kernel is to watch while it sleeps (wait.h).
 * Linux: fs/select.c:do_poll, do_select.
 */
#ifndef EMU_POLL_SET_H
#define EMU_POLL_SET_H

#include "fdtab.h"
#include "wait.h"

struct poll_set {
    struct pollfd *fds;  /* `count` entries; events asked for; revents are filled in */
    struct pollfd *real; /* room for count + BELL_ROOM: what the kernel watches */
    bool *emulated;      /* whether the number was emulated when it was about to sleep */
    uint32_t always;     /* bits that count as ready though nobody asked for them */
    uint32_t count;
    uint32_t real_count;
    uint32_t elsewhere; /* entries with nothing emulated behind them */
    bool shared;        /* some other end may be in another process: it can die unseen */
    bool instances;     /* some entry is an epoll instance */
    bool watched;       /* it was about to sleep once: `emulated` and the next two hold */
    uint32_t wake;      /* the task's wake word at that time */
    uint32_t item_count;
    const sigset_t *mask;    /* in force while it sleeps, or NULL */
    sigset_t mask_copy;      /* room for the guest's */
    struct wait_item *items; /* room for 2 * count */
    void *memory;            /* all of the above, when it was too much for `own` */
    uint64_t memory_size;    /* 0: it is the task's scratch */
    int64_t timeout_ns;      /* of the call, for who asks what it waits for */
    _Alignas(16) char own[4096];
};

/* Makes room for `count` entries. 0 or -ENOMEM. */
int poll_set_init(struct emu_task *self, struct poll_set *set, uint32_t count);
void poll_set_fini(struct emu_task *self, struct poll_set *set);

/*
 * Waits until an entry is ready: at most timeout_ns, < 0 for ever, 0 not at all.
 * Returns how many are, -EINTR, -errno; EMU_NATIVE when none is emulated.
 */
int64_t poll_set_wait(struct emu_task *self, struct poll_set *set, int64_t timeout_ns);

/*
 * A wait with a time-out of 0: one try, which asks placeholders. It still lets in what the mask
 * lets in: do_poll and ep_poll look at signal_pending(). 0: nothing is ready.
 */
int64_t poll_try_once(struct emu_task *self, const struct wait_request *request,
                      const sigset_t *mask);

/* A timespec as nanoseconds: NULL is -1. -EFAULT, -EINVAL. */
int64_t poll_import_timespec(const struct timespec *timeout, int64_t *ret_ns);

#endif
