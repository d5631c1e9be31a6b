/*
 * poll_set.h - waiting for several descriptors at once: what poll and select share
 *
 * A set mixes emulated and real descriptors. Readiness of emulated ones is asked of the objects, of
 * real ones of the kernel with one poll. When nothing is ready the task registers with each object;
 * sets without real descriptors sleep on the task's wake word, mixed ones in the kernel's poll
 * together with the session's bell.
 * Linux: fs/select.c:do_poll, do_select.
 */
#ifndef EMU_POLL_SET_H
#define EMU_POLL_SET_H

#include "fdtab.h"

struct poll_set {
    struct pollfd *fds;  /* `count` entries; events asked for; revents are filled in */
    uint32_t *want;      /* which bits count as ready, for each entry */
    struct pollfd *real; /* room for count + 1: the real ones, and the bell */
    uint32_t count;
    uint32_t real_count;
    const sigset_t *mask;    /* in force while it sleeps, or NULL */
    struct wait_item *items; /* room for 2 * count */
    void *memory;            /* all of the above, when it was too much for `own` */
    uint64_t memory_size;    /* 0: it is the task's scratch */
    _Alignas(16) char own[4096];
};

/* Makes room for `count` entries. 0 or -ENOMEM. */
int poll_set_init(struct emu_task *self, struct poll_set *set, uint32_t count);
void poll_set_fini(struct emu_task *self, struct poll_set *set);

/*
 * Waits until an entry is ready: at most timeout_ns, < 0 for ever, 0 not at all.
 * Returns how many are, -EINTR, -errno.
 */
int64_t poll_set_wait(struct emu_task *self, struct poll_set *set, int64_t timeout_ns);

/* A timespec as nanoseconds: NULL is -1. -EFAULT, -EINVAL. */
int64_t poll_import_timespec(const struct timespec *timeout, int64_t *ret_ns);

#endif
