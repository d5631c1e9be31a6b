/*
 * sys_poll.c - poll and ppoll. Linux: fs/select.c:do_sys_poll.
 */
#include "poll_set.h"

#include <errno.h>

static int64_t poll_entries(struct emu_task *self, struct poll_set *set, struct pollfd *fds,
                            int64_t timeout_ns, const sigset_t *mask)
{
    int64_t rc;

    if (host_copy(set->fds, fds, set->count * sizeof *fds) < 0) {
        return -EFAULT;
    }
    if (mask) {
        if (host_copy(&set->mask_copy, mask, _NSIG / 8) < 0) {
            return -EFAULT;
        }
        set->mask = &set->mask_copy;
    }
    rc = poll_set_wait(self, set, timeout_ns);
    if ((rc >= 0 || rc == -EINTR) && host_put_revents(fds, set->fds, set->count) < 0) {
        return -EFAULT;
    }
    return rc;
}

static int64_t poll_any(struct emu_task *self, struct pollfd *fds, nfds_t count, int64_t timeout_ns,
                        const sigset_t *mask)
{
    struct poll_set set;
    int64_t rc;

    if (count == 0 || count > EMU_MAX_FDS || (count > 256 && count > host_fd_limit())) {
        return EMU_NATIVE; /* EINVAL, or nothing to look at, is the kernel's to say */
    }
    rc = poll_set_init(self, &set, (uint32_t)count);
    if (rc == 0) {
        rc = poll_entries(self, &set, fds, timeout_ns, mask);
        poll_set_fini(self, &set);
    }
    return rc;
}

int64_t emu_poll(struct emu_task *self, struct pollfd *fds, nfds_t count, int timeout_ms)
{
    return poll_any(self, fds, count, timeout_ms < 0 ? -1 : (int64_t)timeout_ms * 1000000, NULL);
}

int64_t emu_ppoll(struct emu_task *self, struct pollfd *fds, nfds_t count,
                  const struct timespec *timeout, const sigset_t *mask)
{
    int64_t timeout_ns;
    int64_t rc = poll_import_timespec(timeout, &timeout_ns);

    return rc < 0 ? rc : poll_any(self, fds, count, timeout_ns, mask);
}
