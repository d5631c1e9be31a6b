/*
 * sys_epoll.c - epoll_create, epoll_ctl, epoll_wait and its kin
 *
 * Linux: fs/eventpoll.c:do_epoll_create, do_epoll_ctl, do_epoll_wait. An instance's number, flags
 * and close-on-exec are its placeholder's; a wait with real entries sleeps on the placeholder and
 * the task's bell together.
 */
#include "epoll.h"

#include "channel.h"
#include "poll_set.h"

#include <errno.h>
#include <limits.h>
#include <sys/syscall.h>

static int enter_set(struct emu_task *self, int fd)
{
    uint32_t epoll = epoll_make();
    uint32_t index = epoll == ARENA_NONE
                         ? ARENA_NONE
                         : description_create_set(self, epoll,
                                                  atomic_load(&epoll_at(epoll)->generation));

    if (index == ARENA_NONE) {
        if (epoll != ARENA_NONE) {
            epoll_unmake(epoll);
        }
        return -ENFILE;
    }
    atomic_store_explicit(&description_at(index)->sample_fd, fd, memory_order_relaxed);
    fdtab_set(self, fd, index);
    return 0;
}

int64_t emu_epoll_create1(struct emu_task *self, int flags)
{
    FDTAB_CHANGE(self);
    int fd = host_epoll_create(flags);
    int rc;

    if (fd < 0) {
        return fd;
    }
    emu_fd_invalidate(self, fd);
    if ((unsigned)fd >= EMU_MAX_FDS) {
        return fd; /* the kernel's alone */
    }
    rc = enter_set(self, fd);
    if (rc < 0) {
        host_close(fd);
        return rc;
    }
    return fd;
}

int64_t emu_epoll_create(struct emu_task *self, int size)
{
    return size <= 0 ? -EINVAL : emu_epoll_create1(self, 0);
}

/* On a descriptor that the kernel serves, or none at all. */
static int64_t control_real(struct emu_task *self, const struct epoll_key *key, int operation,
                            struct epoll_event *event)
{
    int64_t rc;

    if (operation != EPOLL_CTL_ADD) {
        return EMU_NATIVE;
    }
    epoll_note_real(self, key->set);
    rc = host_syscall(SYS_epoll_ctl, key->set_fd, operation, key->fd, (long)event, 0, 0);
    if (rc < 0) {
        epoll_forget_real(key->set);
    }
    return rc;
}

/* The set isn't ours, and what is added is: then that one goes native. */
static int64_t control_foreign(struct emu_task *self, int set_fd, int operation, int fd)
{
    int rc = 0;

    if (operation == EPOLL_CTL_ADD && fdtab_get(fd) && !fdtab_get(set_fd) &&
        host_epoll_ctl(set_fd, EPOLL_CTL_MOD, fd, 0, 0) == -ENOENT) {
        rc = emu_native_one(self, fd);
    }
    return rc < 0 ? -EOPNOTSUPP : EMU_NATIVE;
}

static int64_t control(struct emu_task *self, const struct epoll_key *key, int operation,
                       const struct epoll_event *event)
{
    switch (operation) {
    case EPOLL_CTL_ADD: return epoll_add(self, key, event);
    case EPOLL_CTL_MOD: return epoll_modify(self, key, event);
    case EPOLL_CTL_DEL: return epoll_remove(self, key);
    default: return EMU_NATIVE; /* EINVAL */
    }
}

/* A file without poll. do_epoll_ctl looks at that before it looks at the instance. */
static int64_t control_device(int set_fd, int operation, struct epoll_event *event)
{
    struct epoll_event copy;

    if (operation != EPOLL_CTL_DEL && host_copy(&copy, event, sizeof copy) < 0) {
        return -EFAULT;
    }
    return host_fcntl(set_fd, F_GETFD, 0) < 0 ? -EBADF : -EPERM;
}

int64_t emu_epoll_ctl(struct emu_task *self, int set_fd, int operation, int fd,
                      struct epoll_event *event)
{
    struct epoll_key key = {
        .set = epoll_description(set_fd),
        .set_fd = set_fd,
        .watched = fdtab_get_any(fd),
        .fd = fd,
    };
    struct epoll_event copy = { 0 };

    if (EMU_UNLIKELY(emu_fd_is_device(fd))) {
        return control_device(set_fd, operation, event);
    }
    if (!key.set) {
        return control_foreign(self, set_fd, operation, fd);
    }
    if (fdtab_get(fd) && (description_look(key.watched) & READINESS_HALF_NATIVE)) {
        emu_native_one(self, fd);
    }
    if (!key.watched) {
        return control_real(self, &key, operation, event);
    }
    if (description_is_kernels(key.watched)) {
        epoll_hand_over(self, key.watched); /* if it was added while it was ours */
        return control_real(self, &key, operation, event);
    }
    if (operation != EPOLL_CTL_DEL && host_copy(&copy, event, sizeof copy) < 0) {
        return -EFAULT;
    }
    if (key.watched == key.set) {
        return -EINVAL; /* before ENOENT of a change */
    }
    return control(self, &key, operation, &copy);
}

/* ---- Waiting ---- */

struct epoll_call {
    struct epoll_harvest harvest;
    const sigset_t *mask;
    int64_t timeout_ns;
};

/* Whether the kernel may have something to tell: of entries of its own, or of a set within. */
static bool has_real(const struct epoll_call *call)
{
    const struct epoll *epoll = epoll_at(call->harvest.set->epoll);

    return atomic_load_explicit(&epoll->real, memory_order_relaxed) != 0 ||
           atomic_load_explicit(&epoll->nested, memory_order_relaxed) != 0;
}

/* The emulator's events, then the kernel's where there can be some, or the other way round. */
static int collect(struct emu_task *self, struct epoll_call *call, bool ask)
{
    struct epoll_harvest *harvest = &call->harvest;
    struct epoll *epoll = epoll_at(harvest->set->epoll);
    bool real = has_real(call);
    bool first = real && atomic_fetch_add_explicit(&epoll->turn, 1, memory_order_relaxed) % 2 == 1;
    int rc = first ? epoll_collect_real(self, harvest) : 0;

    if (rc == 0) {
        rc = epoll_collect(self, harvest);
    }
    if (rc == 0 && !first && (real || (ask && harvest->got == 0))) {
        rc = epoll_collect_real(self, harvest);
        if (rc == 0 && harvest->got == 0) {
            rc = epoll_collect(self, harvest); /* news of placeholders are events by now */
        }
    }
    return harvest->got > 0 ? 0 : rc;
}

/* What the wait has met becomes the kernel's, if need be with what a kill left of that. */
static void hand_over(struct emu_task *self, const struct epoll_harvest *harvest)
{
    int fd = fdtab_find(harvest->handed_over_fd, description_index(harvest->handed_over));

    if (fd >= 0 && fdtab_get(fd)) {
        emu_native_one(self, fd);
    } else {
        epoll_hand_over(self, harvest->handed_over);
    }
}

static int64_t epoll_try(struct emu_task *self, void *op, struct wait_set *set, bool last)
{
    struct epoll_call *call = op;
    struct epoll_harvest *harvest = &call->harvest;
    int rc;

    harvest->got = 0;
    harvest->handed_over = NULL;
    if (EMU_UNLIKELY(!epoll_lives(harvest->set))) {
        return -EBADF; /* another thread closed it, before the call held it */
    }
    rc = collect(self, call, last);
    /* Collecting stops at each that was handed over: behind it may be another one. */
    for (uint32_t bound = 0; EMU_UNLIKELY(harvest->handed_over != NULL) && bound < EMU_MAX_ITEMS;
         bound++) {
        hand_over(self, harvest);
        harvest->handed_over = NULL;
        rc = rc == 0 && harvest->got == 0 ? collect(self, call, last) : rc;
    }
    if (rc < 0) {
        return rc;
    }
    if (harvest->got > 0) {
        return harvest->got;
    }
    epoll_watch(harvest->set, set);
    set->real = has_real(call);
    if (last && (set->real || set->deep)) {
        wait_set_watch(set, fdtab_number(harvest->set_fd, description_index(harvest->set)), POLLIN);
    }
    return WAIT_BLOCK;
}

/* The set itself: who looks on sees its entries (blocked.c). */
static void describe_epoll(const void *op, const struct wait_set *set, struct task_sleep *ret_sleep)
{
    const struct epoll_call *call = op;

    (void)set;
    ret_sleep->call = EMU_CALL_epoll_wait;
    ret_sleep->count = 1;
    ret_sleep->timeout_ns = call->timeout_ns;
    ret_sleep->watched = 1;
    ret_sleep->watch[0].fd = call->harvest.set_fd;
    ret_sleep->watch[0].description = description_index(call->harvest.set);
    ret_sleep->watch[0].generation = atomic_load(&call->harvest.set->generation);
    ret_sleep->watch[0].events = POLLIN;
}

static int64_t epoll_run(struct emu_task *self, struct epoll_call *call)
{
    struct wait_item item;
    struct pollfd fds[1 + BELL_ROOM];
    struct wait_set set = { .items = &item, .capacity = 1, .fds = fds, .fd_capacity = 1 };
    struct wait_request request = {
        .try = epoll_try,
        .op = call,
        .set = &set,
        .deadline_ns = call->timeout_ns > 0 ? host_now_ns() + (uint64_t)call->timeout_ns : 0,
        .restarts = false,
        .mask = call->mask,
        .describe = describe_epoll,
    };
    int64_t rc;

    if (call->timeout_ns == 0) {
        rc = epoll_try(self, call, &set, true); /* no time to let a signal in: ep_poll */
        rc = rc == WAIT_BLOCK ? 0 : rc;
    } else {
        rc = epoll_try(self, call, &set, false);
        if (rc == WAIT_BLOCK) {
            rc = channel_wait_pinned(self, description_index(call->harvest.set), &request);
        }
    }
    return rc == -ETIMEDOUT ? 0 : rc;
}

/* Linux looks at the size first, then at the array as far as its address shows, then at epfd. */
static int64_t wait_any(struct emu_task *self, int fd, struct epoll_event *events, int max,
                        int64_t timeout_ns, const sigset_t *mask)
{
    struct epoll_call call = {
        .harvest = { .set = epoll_description(fd), .set_fd = fd, .events = events, .max = max },
        .timeout_ns = timeout_ns,
    };
    sigset_t copy;

    if (!call.harvest.set || max <= 0 || max > INT_MAX / (int)sizeof *events ||
        (intptr_t)events < 0) {
        return EMU_NATIVE; /* the error is the kernel's to say */
    }
    if (mask) {
        if (host_copy(&copy, mask, _NSIG / 8) < 0) {
            return -EFAULT;
        }
        call.mask = &copy;
    }
    return epoll_run(self, &call);
}

int64_t emu_epoll_wait(struct emu_task *self, int fd, struct epoll_event *events, int max,
                       int timeout_ms)
{
    return wait_any(self, fd, events, max, timeout_ms < 0 ? -1 : (int64_t)timeout_ms * 1000000,
                    NULL);
}

int64_t emu_epoll_pwait(struct emu_task *self, int fd, struct epoll_event *events, int max,
                        int timeout_ms, const sigset_t *mask)
{
    return wait_any(self, fd, events, max, timeout_ms < 0 ? -1 : (int64_t)timeout_ms * 1000000,
                    mask);
}

int64_t emu_epoll_pwait2(struct emu_task *self, int fd, struct epoll_event *events, int max,
                         const struct timespec *timeout, const sigset_t *mask)
{
    int64_t timeout_ns;
    int64_t rc = poll_import_timespec(timeout, &timeout_ns);

    return rc < 0 ? rc : wait_any(self, fd, events, max, timeout_ns, mask);
}
