/*
 * poll_set.c - see poll_set.h
 */
#include "poll_set.h"

#include "channel.h"

#include <errno.h>

#define BITS_ALWAYS  (POLLERR | POLLHUP | POLLNVAL)
#define WAS_EMULATED (1u << 31) /* in `want`: the number was emulated when the call began */
#define BITS_READ    (POLLIN | POLLRDNORM | POLLRDBAND | POLLRDHUP | POLLPRI)
#define BITS_WRITE   (POLLOUT | POLLWRNORM | POLLWRBAND)

/* The task's scratch, grown to `size`; NULL when it is in use or there is no memory. */
static void *take_scratch(struct emu_task *self, uint64_t size)
{
    if (self->scratch_busy) {
        return NULL;
    }
    if (self->scratch_size < size) {
        if (self->scratch) {
            host_memory_unmap(self->scratch, self->scratch_size);
        }
        self->scratch = host_memory_private(2 * size);
        self->scratch_size = self->scratch ? 2 * size : 0;
    }
    self->scratch_busy = self->scratch != NULL;
    return self->scratch;
}

int poll_set_init(struct emu_task *self, struct poll_set *set, uint32_t count)
{
    uint64_t size = count * (sizeof *set->fds + sizeof *set->want + 2 * sizeof *set->items) +
                    (count + 1) * sizeof *set->real + 64;
    char *memory = set->own;

    set->count = count;
    set->real_count = 0;
    set->mask = NULL;
    set->memory = NULL;
    set->memory_size = 0;
    if (size > sizeof set->own) {
        memory = set->memory = take_scratch(self, size);
        if (!memory) {
            set->memory_size = size;
            memory = set->memory = host_memory_private(size);
        }
        if (!memory) {
            return -ENOMEM;
        }
    }
    set->items = (void *)memory;
    memory += 2 * count * sizeof *set->items;
    set->fds = (void *)memory;
    memory += count * sizeof *set->fds;
    set->real = (void *)memory;
    memory += (count + 1) * sizeof *set->real;
    set->want = (void *)memory;
    return 0;
}

void poll_set_fini(struct emu_task *self, struct poll_set *set)
{
    if (set->memory && set->memory_size > 0) {
        host_memory_unmap(set->memory, set->memory_size);
    } else if (set->memory) {
        self->scratch_busy = false;
    }
}

/* Bits of one emulated entry; asks its placeholder when the other end may have died unseen. */
static uint32_t readiness(struct emu_task *self, int fd, struct description *description,
                          uint32_t want, bool ask)
{
    uint32_t bits = description_readiness(description);

    if (ask && !(bits & want) && atomic_load_explicit(&description->shared, memory_order_relaxed) &&
        channel_ask(self, fd, description) == CHANNEL_CHANGED) {
        bits = description_readiness(description);
    }
    return bits;
}

static void watch(struct wait_set *wait, const struct description *description, uint32_t events)
{
    if (description->rx != ARENA_NONE) {
        struct socket_buf *buf = buf_at(description->rx);

        wait_set_add(wait, &buf->lock, &buf->readers, &buf->version,
                     atomic_load_explicit(&buf->writer_cpu, memory_order_relaxed),
                     events & BITS_READ);
    }
    if (description->tx != ARENA_NONE && (description->rx == ARENA_NONE || events & BITS_WRITE)) {
        struct socket_buf *buf = buf_at(description->tx);

        wait_set_add(wait, &buf->lock, &buf->writers, &buf->version,
                     atomic_load_explicit(&buf->reader_cpu, memory_order_relaxed),
                     events & BITS_WRITE);
    }
    wait->shared |= atomic_load_explicit(&description->shared, memory_order_relaxed);
}

/* Adds the kernel's answers for the real entries, which stand in `real` in the same order. */
static int64_t merge_real(struct poll_set *set)
{
    uint32_t ready = 0;
    uint32_t next = 0;
    int rc = host_poll(set->real, set->real_count, 0, NULL);

    if (rc < 0) {
        return rc;
    }
    for (uint32_t i = 0; i < set->count; i++) {
        if (next >= set->real_count || set->real[next].fd != set->fds[i].fd) {
            continue;
        }
        set->fds[i].revents = (short)((uint32_t)set->real[next].revents & set->want[i]);
        ready += set->fds[i].revents != 0;
        if (set->real[next].revents != 0 && set->fds[i].revents == 0) {
            set->real[next].fd = -1; /* select: this bit isn't what it waits for */
        }
        next++;
    }
    return ready;
}

/* Numbers that were closed under the call: they count once something else has ended it. */
static uint32_t count_closed(const struct poll_set *set)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < set->count; i++) {
        count += (set->want[i] & WAS_EMULATED) && set->fds[i].fd >= 0 &&
                 set->fds[i].revents == POLLNVAL;
    }
    return count;
}

/* The description behind fd, or NULL: the kernel's. */
static struct description *emulated(struct emu_task *self, int fd)
{
    struct description *description = fdtab_get(fd);

    if (description && EMU_UNLIKELY(description_half_native(description))) {
        emu_native_one(self, fd);
        description = fdtab_get(fd);
    }
    return description;
}

static int64_t poll_try(struct emu_task *self, void *op, struct wait_set *wait, bool last)
{
    struct poll_set *set = op;
    uint32_t ready = 0;
    int64_t rc = 0;

    set->real_count = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        struct pollfd *entry = &set->fds[i];
        struct description *description;

        entry->revents = 0;
        if (entry->fd < 0) {
            continue;
        }
        description = emulated(self, entry->fd);
        if (description) {
            set->want[i] |= WAS_EMULATED;
        } else if ((set->want[i] & WAS_EMULATED) && !fdtab_present(entry->fd)) {
            entry->revents = POLLNVAL; /* closed meanwhile: that alone doesn't wake */
            continue;
        } else {
            set->real[set->real_count++] = (struct pollfd){ entry->fd, entry->events, 0 };
            continue;
        }
        entry->revents = (short)(readiness(self, entry->fd, description, set->want[i], last) &
                                 set->want[i]);
        if (entry->revents != 0) {
            ready++;
        } else if (ready == 0) {
            watch(wait, description, (uint32_t)entry->events);
        }
    }
    if (set->real_count > 0) {
        rc = merge_real(set);
        if (rc < 0) {
            return rc;
        }
    }
    return ready + rc > 0 ? ready + rc + count_closed(set) : WAIT_BLOCK;
}

static int64_t remaining_ns(uint64_t deadline_ns)
{
    uint64_t now = host_now_ns();

    if (deadline_ns == 0) {
        return -1;
    }
    return deadline_ns > now ? (int64_t)(deadline_ns - now) : 0;
}

/* Sleeps in the kernel's poll with the real descriptors; a waker rings the bell. */
static int64_t sleep_mixed(struct emu_task *self, struct task_record *record, uint32_t expected,
                           uint64_t deadline_ns, struct poll_set *set)
{
    int64_t rc;

    if (self->bell < 0) {
        self->bell = host_bell_watch(arena->header.hidden.bell);
        if (self->bell < 0) {
            return self->bell;
        }
    }
    set->real[set->real_count] = (struct pollfd){ self->bell, POLLIN, 0 };
    atomic_store(&record->on_bell, 1);
    host_bell_harvest(self->bell);
    rc = 0;
    if (atomic_load(&record->wake) == expected) {
        rc = host_poll(set->real, set->real_count + 1, remaining_ns(deadline_ns), set->mask);
    }
    atomic_store(&record->on_bell, 0);
    return rc < 0 ? rc : 0;
}

static int64_t poll_sleep(struct emu_task *self, struct task_record *record, uint32_t expected,
                          uint64_t deadline_ns, void *op)
{
    struct poll_set *set = op;
    sigset_t old;
    int64_t rc;

    if (set->real_count > 0) {
        return sleep_mixed(self, record, expected, deadline_ns, set);
    }
    if (set->mask) {
        host_sigmask(set->mask, &old); /* a signal let in here changes the wake word */
    }
    rc = self->process->sleep ? self->process->sleep(self, &record->wake, expected, deadline_ns)
                              : host_futex_wait(&record->wake, expected, deadline_ns);
    if (set->mask) {
        host_sigmask(&old, NULL);
    }
    return rc;
}

/* A time-out of 0 still lets in what the mask lets in: do_poll looks at signal_pending(). */
static int64_t poll_once(struct emu_task *self, struct poll_set *set, struct wait_set *wait)
{
    uint32_t interrupts = self->interrupts;
    int critical = self->critical;
    int64_t rc = poll_try(self, set, wait, true);
    sigset_t old;

    if (rc != WAIT_BLOCK) {
        return rc;
    }
    if (set->mask) {
        self->critical = 0;
        if (self->signals_put_off && self->process->deliver) {
            self->process->deliver(self);
        }
        host_sigmask(set->mask, &old);
        host_sigmask(&old, NULL);
        self->critical = critical;
    }
    return self->interrupts != interrupts ? -EINTR : 0;
}

int64_t poll_set_wait(struct emu_task *self, struct poll_set *set, int64_t timeout_ns)
{
    struct wait_set wait = { .items = set->items, .capacity = 2 * set->count };
    struct wait_request request = {
        .try = poll_try,
        .op = set,
        .set = &wait,
        .deadline_ns = timeout_ns > 0 ? host_now_ns() + (uint64_t)timeout_ns : 0,
        .restarts = false,
        .sleep = poll_sleep,
    };
    int64_t rc;

    if (timeout_ns == 0) {
        return poll_once(self, set, &wait);
    }
    rc = wait_run(self, &request);
    return rc == -ETIMEDOUT ? 0 : rc;
}

int64_t poll_import_timespec(const struct timespec *timeout, int64_t *ret_ns)
{
    struct timespec copy;

    *ret_ns = -1;
    if (!timeout) {
        return 0;
    }
    if (host_copy(&copy, timeout, sizeof copy) < 0) {
        return -EFAULT;
    }
    if (copy.tv_sec < 0 || copy.tv_nsec < 0 || copy.tv_nsec >= 1000000000) {
        return -EINVAL;
    }
    if (copy.tv_sec < INT64_MAX / 1000000000 / 2) {
        *ret_ns = (int64_t)copy.tv_sec * 1000000000 + copy.tv_nsec;
    }
    return 0;
}
