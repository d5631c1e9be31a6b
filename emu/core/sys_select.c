/*
 * sys_select.c - select and pselect: three sets of bits over a poll_set
 *
 * Linux: fs/select.c:core_sys_select, do_select. Readable is IN, RDBAND, HUP or ERR; writable OUT,
 * WRBAND or ERR; exceptional PRI.
 */
#include "poll_set.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#define SELECT_MAX  65536 /* numbers above are left to the kernel */
#define READABLE    (POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR)
#define WRITABLE    (POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR)
#define EXCEPTIONAL POLLPRI

enum { SET_READ, SET_WRITE, SET_EXCEPT, SET_COUNT };

static const uint32_t set_bits[SET_COUNT] = { READABLE, WRITABLE, EXCEPTIONAL };

struct select_call {
    int count;
    size_t bytes;             /* of one set, in whole words */
    fd_set *guest[SET_COUNT]; /* may be NULL */
    uint64_t *in[SET_COUNT];  /* copies */
    uint64_t *out[SET_COUNT];
};

static bool bit(const uint64_t *set, int fd)
{
    return set[fd / 64] >> (fd % 64) & 1;
}

/* Whether any number in the sets is emulated; *ret_total counts numbers. */
static bool look(const struct select_call *call, uint32_t *ret_total)
{
    bool emulated = false;

    *ret_total = 0;
    for (int fd = 0; fd < call->count; fd++) {
        if (bit(call->in[SET_READ], fd) || bit(call->in[SET_WRITE], fd) ||
            bit(call->in[SET_EXCEPT], fd)) {
            (*ret_total)++;
            emulated |= fdtab_get_served(fd) != NULL;
        }
    }
    return emulated;
}

static void fill(const struct select_call *call, struct poll_set *set)
{
    uint32_t next = 0;

    set->always = POLLNVAL; /* errors and hang-ups only as far as they are in the sets' bits */
    for (int fd = 0; fd < call->count; fd++) {
        uint32_t want = 0;

        for (int i = 0; i < SET_COUNT; i++) {
            want |= bit(call->in[i], fd) ? set_bits[i] : 0;
        }
        if (want != 0 && next < set->count) {
            set->fds[next++] = (struct pollfd){ fd, (short)want, 0 };
        }
    }
}

/* True when the kernel's own select says EBADF: some number is closed and below the table's size.
 */
static bool kernel_says_bad(const struct select_call *call)
{
    struct timespec zero = { 0, 0 };
    int64_t rc;

    for (int i = 0; i < SET_COUNT; i++) {
        memcpy(call->out[i], call->in[i], call->bytes);
    }
    rc = host_syscall(SYS_pselect6, call->count, (long)call->out[SET_READ],
                      (long)call->out[SET_WRITE], (long)call->out[SET_EXCEPT], (long)&zero, 0);
    return rc == -EBADF;
}

/* Turns poll's answers into bits. Returns how many bits are set. */
static int64_t collect(const struct select_call *call, const struct poll_set *set)
{
    int64_t bits = 0;

    for (int i = 0; i < SET_COUNT; i++) {
        memset(call->out[i], 0, call->bytes);
    }
    for (uint32_t k = 0; k < set->count; k++) {
        int fd = set->fds[k].fd;

        for (int i = 0; i < SET_COUNT; i++) {
            if (bit(call->in[i], fd) &&
                ((uint32_t)set->fds[k].revents & (set_bits[i] | POLLNVAL))) {
                call->out[i][fd / 64] |= 1ull << (fd % 64);
                bits++;
            }
        }
    }
    return bits;
}

static int64_t select_wait(struct emu_task *self, struct select_call *call, struct poll_set *set,
                           int64_t timeout_ns)
{
    int64_t rc;

    for (uint32_t round = 0; round <= set->count; round++) {
        bool bad = false;

        rc = poll_set_wait(self, set, timeout_ns);
        if (rc < 0) {
            return rc;
        }
        for (uint32_t k = 0; k < set->count; k++) {
            /* Closed while the call slept: that counts as all that was asked for (POLLIN_SET). */
            if ((set->fds[k].revents & POLLNVAL) && !set->watched) {
                bad = true;
                set->fds[k].fd = -1; /* above the table's size: select doesn't look at it */
            }
        }
        if (!bad) {
            break;
        }
        if (kernel_says_bad(call)) {
            return -EBADF;
        }
    }
    for (uint32_t k = 0; k < set->count; k++) {
        if (set->fds[k].fd < 0) {
            set->fds[k] = (struct pollfd){ 0, 0, 0 };
        }
    }
    rc = collect(call, set);
    for (int i = 0; i < SET_COUNT; i++) {
        if (call->guest[i] && host_copy(call->guest[i], call->out[i], call->bytes) < 0) {
            return -EFAULT;
        }
    }
    return rc;
}

static int64_t select_imported(struct emu_task *self, struct select_call *call, int64_t timeout_ns,
                               const sigset_t *mask)
{
    struct poll_set set;
    sigset_t mask_copy;
    uint32_t total;
    int64_t rc;

    for (int i = 0; i < SET_COUNT; i++) {
        if (!call->guest[i]) {
            memset(call->in[i], 0, call->bytes);
        } else if (host_copy(call->in[i], call->guest[i], call->bytes) < 0) {
            return -EFAULT;
        }
    }
    if (!look(call, &total)) {
        return EMU_NATIVE;
    }
    if (mask && host_copy(&mask_copy, mask, _NSIG / 8) < 0) {
        return -EFAULT;
    }
    rc = poll_set_init(self, &set, total);
    if (rc == 0) {
        set.mask = mask ? &mask_copy : NULL;
        fill(call, &set);
        rc = select_wait(self, call, &set, timeout_ns);
        poll_set_fini(self, &set);
    }
    return rc;
}

static int64_t select_any(struct emu_task *self, int count, fd_set *sets[SET_COUNT],
                          int64_t timeout_ns, const sigset_t *mask)
{
    uint64_t own[2 * SET_COUNT * FD_SETSIZE / 64];
    uint64_t *words = own;
    struct select_call call = { .count = count, .bytes = ((size_t)count + 63) / 64 * 8 };
    uint64_t size = call.bytes * 2 * SET_COUNT;
    int64_t rc;

    if (size > sizeof own) {
        words = host_memory_private(size);
        if (!words) {
            return -ENOMEM;
        }
    }
    for (int i = 0; i < SET_COUNT; i++) {
        call.guest[i] = sets[i];
        call.in[i] = words + (size_t)i * call.bytes / 8;
        call.out[i] = words + (size_t)(i + SET_COUNT) * call.bytes / 8;
    }
    rc = select_imported(self, &call, timeout_ns, mask);
    if (words != own) {
        host_memory_unmap(words, size);
    }
    return rc;
}

static void store_remaining(struct timeval *timeout, uint64_t deadline_ns)
{
    uint64_t now = host_now_ns();
    uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
    struct timeval copy = { (time_t)(left / 1000000000), (suseconds_t)(left % 1000000000 / 1000) };

    (void)host_copy(timeout, &copy, sizeof copy);
}

int64_t emu_select(struct emu_task *self, int count, fd_set *readable, fd_set *writable,
                   fd_set *except, struct timeval *timeout)
{
    fd_set *sets[SET_COUNT] = { readable, writable, except };
    struct timeval copy;
    int64_t timeout_ns = -1;
    uint64_t deadline_ns = 0;
    int64_t rc;

    if (count <= 0 || count > SELECT_MAX) {
        return EMU_NATIVE;
    }
    if (timeout) {
        if (host_copy(&copy, timeout, sizeof copy) < 0) {
            return -EFAULT;
        }
        if (copy.tv_sec < 0 || copy.tv_usec < 0) {
            return -EINVAL;
        }
        if (copy.tv_sec < INT64_MAX / 4000000000 && copy.tv_usec < INT64_MAX / 4000) {
            timeout_ns = (int64_t)copy.tv_sec * 1000000000 + (int64_t)copy.tv_usec * 1000;
            deadline_ns = host_now_ns() + (uint64_t)timeout_ns;
        }
    }
    rc = select_any(self, count, sets, timeout_ns, NULL);
    if (timeout && deadline_ns != 0 && rc != EMU_NATIVE && rc != -EBADF) {
        store_remaining(timeout, deadline_ns);
    }
    return rc;
}

int64_t emu_pselect(struct emu_task *self, int count, fd_set *readable, fd_set *writable,
                    fd_set *except, const struct timespec *timeout, const sigset_t *mask)
{
    fd_set *sets[SET_COUNT] = { readable, writable, except };
    int64_t timeout_ns;
    int64_t rc;

    if (count <= 0 || count > SELECT_MAX) {
        return EMU_NATIVE;
    }
    rc = poll_import_timespec(timeout, &timeout_ns);
    return rc < 0 ? rc : select_any(self, count, sets, timeout_ns, mask);
}
