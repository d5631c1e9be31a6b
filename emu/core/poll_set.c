/*
 * poll_set.c - see poll_set.h
 */
#include "poll_set.h"

#include "channel.h"
#include "epoll.h"

#include <errno.h>

#define BITS_ALWAYS (POLLERR | POLLHUP | POLLNVAL) /* told whatever is asked for */
#define BITS_READ   (POLLIN | POLLRDNORM | POLLRDBAND | POLLRDHUP | POLLPRI)
#define BITS_WRITE  (POLLOUT | POLLWRNORM | POLLWRBAND)

int poll_set_init(struct emu_task *self, struct poll_set *set, uint32_t count)
{
    uint64_t size = count * (sizeof *set->fds + sizeof *set->emulated + 2 * sizeof *set->items) +
                    (count + BELL_ROOM) * sizeof *set->real + 64;
    char *memory = set->own;

    set->count = count;
    set->real_count = 0;
    set->watched = false;
    set->always = BITS_ALWAYS;
    set->mask = NULL;
    set->memory = NULL;
    set->memory_size = 0;
    if (size > sizeof set->own) {
        memory = set->memory = task_scratch(self, size);
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
    memory += (count + BELL_ROOM) * sizeof *set->real;
    set->emulated = (void *)memory;
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

static void watch(struct wait_set *wait, const struct description *description, uint32_t events)
{
    if (description->rx != ARENA_NONE) {
        struct socket_buf *buf = buf_at(description->rx);

        wait_set_add(wait, &buf->lock, &buf->readers, &buf->version,
                     atomic_load_explicit(&buf->writer_cpu, memory_order_relaxed),
                     (events & BITS_READ) | BITS_ALWAYS);
    }
    if (description->tx != ARENA_NONE && (description->rx == ARENA_NONE || events & BITS_WRITE)) {
        struct socket_buf *buf = buf_at(description->tx);

        wait_set_add(wait, &buf->lock, &buf->writers, &buf->version,
                     atomic_load_explicit(&buf->reader_cpu, memory_order_relaxed),
                     (events & BITS_WRITE) | BITS_ALWAYS);
    }
}

/* The bits that count for an entry. */
static uint32_t wanted(const struct poll_set *set, const struct pollfd *entry)
{
    return (unsigned short)entry->events | set->always;
}

/* What the kernel says of a descriptor, and if it is an epoll instance, what we say. */
static uint32_t instance_bits(struct emu_task *self, int fd, uint32_t bits)
{
    struct description *set = epoll_description(fd);

    return set ? epoll_instance_bits(self, set, fd, bits) : bits;
}

/* Adds the kernel's answers for the real entries, which stand in `real` in the same order. */
static int64_t merge_real(struct emu_task *self, struct poll_set *set)
{
    uint32_t ready = 0;
    uint32_t next = 0;
    int rc = host_poll(set->real, set->real_count, 0, NULL);

    if (rc < 0) {
        return rc;
    }
    for (uint32_t i = 0; i < set->count && next < set->real_count; i++) {
        struct pollfd *entry = &set->fds[i];
        uint32_t bits;

        if (set->real[next].fd != entry->fd) {
            continue;
        }
        bits = (uint32_t)set->real[next].revents;
        if (EMU_UNLIKELY(set->instances)) {
            bits = instance_bits(self, entry->fd, bits);
        }
        entry->revents = (short)(bits & wanted(set, entry));
        ready += entry->revents != 0;
        if (set->real[next].revents != 0 && entry->revents == 0) {
            set->real[next].fd = -1; /* select: this bit isn't what it waits for */
        }
        next++;
    }
    return ready;
}

/* Numbers that were closed under the call: they count once something else has ended the sleep. */
static uint32_t count_closed(const struct poll_set *set)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < set->count; i++) {
        count += set->emulated[i] && set->fds[i].revents == POLLNVAL;
    }
    return count;
}

/* An entry with nothing emulated behind it: no number, closed under the call, or the kernel's. */
static void look_elsewhere(struct poll_set *set, uint32_t i)
{
    struct pollfd *entry = &set->fds[i];
    short events = entry->events;

    if (epoll_description(entry->fd)) {
        set->instances = true; /* its own half is asked in merge_real() */
        events |= events & POLLRDNORM ? POLLIN : 0;
    } else {
        set->elsewhere++;
    }
    entry->revents = 0;
    if (entry->fd < 0) {
        return;
    }
    if (set->watched && set->emulated[i] && !fdtab_present(entry->fd)) {
        entry->revents = POLLNVAL; /* closed meanwhile: that alone doesn't wake */
        return;
    }
    set->real[set->real_count++] = (struct pollfd){ entry->fd, events, 0 };
}

/* Ends what somebody began who handed the channel behind fd over and died. */
static struct description *complete(struct emu_task *self, int fd)
{
    emu_native_one(self, fd);
    return fdtab_get(fd);
}

/* The bits of all emulated entries; the others are sorted. Returns how many are ready. */
static uint32_t look(struct emu_task *self, struct poll_set *set)
{
    struct pollfd *entries = set->fds;
    uint32_t always = set->always;
    uint32_t end = set->count;
    uint32_t ready = 0;
    uint32_t shared = 0;

    set->real_count = 0;
    set->elsewhere = 0;
    set->instances = false;
    for (uint32_t i = 0; i < end; i++) {
        struct description *description = fdtab_get(entries[i].fd);
        uint32_t bits = description ? description_look(description) : 0;

        if (EMU_UNLIKELY(bits & READINESS_HALF_NATIVE)) {
            description = complete(self, entries[i].fd);
        }
        if (EMU_UNLIKELY(!description)) {
            look_elsewhere(set, i);
            continue;
        }
        shared |= atomic_load_explicit(&description->shared, memory_order_relaxed);
        bits &= (unsigned short)entries[i].events | always;
        entries[i].revents = (short)bits;
        ready += (bits & 0xffff) != 0;
    }
    set->shared = shared != 0;
    return ready;
}

#define ASK_ROUNDS 4 /* each finds news that don't end the call */

/*
 * Names what the kernel is to watch, and asks the placeholders, all in one poll, whether other ends
 * died unseen or bytes came past: before a short sleep those of descriptions that other processes
 * may hold. A placeholder that would end every sleep at once is left out.
 * Returns true when something changed.
 */
static bool ask(struct emu_task *self, struct poll_set *set, struct wait_set *wait)
{
    struct pollfd *asked = set->real + set->real_count; /* together no more than `count` */
    bool all = wait->deep || set->real_count > 0;
    uint32_t count = 0;
    bool changed = false;

    for (uint32_t i = 0; (all || set->shared) && i < set->count; i++) {
        const struct description *description = fdtab_get(set->fds[i].fd);

        if (description && description_is_connected(description) &&
            set->real_count + count < set->count &&
            (all || atomic_load_explicit(&description->shared, memory_order_relaxed))) {
            bool reads = description->rx != ARENA_NONE;

            asked[count++] = (struct pollfd){ set->fds[i].fd, reads ? POLLIN : 0, 0 };
        }
    }
    wait->real = set->real_count > 0;
    wait->fd_count = all ? set->real_count + count : 0;
    if (!(wait->deep || set->shared) || host_poll(asked, count, 0, NULL) <= 0) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct description *description = asked[i].revents != 0 ? fdtab_get(asked[i].fd) : NULL;
        enum channel_news news = description ? channel_ask(self, asked[i].fd, description)
                                             : CHANNEL_SAME;

        changed |= news == CHANNEL_CHANGED;
        asked[i].fd = news == CHANNEL_STUCK ? -1 : asked[i].fd;
    }
    return changed;
}

/* The task's wake word: it has changed when an event, or a handler, ended a sleep. */
static uint32_t wake_word(struct emu_task *self)
{
    const struct task_record *record = task_record(self);

    return record ? atomic_load(&record->wake) : 0;
}

/*
 * As in Linux the call holds what it waits for, whatever another thread does to the number. What
 * stands there when the call began is held, and nothing that comes later.
 */
static void hold(struct emu_task *self, int fd, const struct description *description)
{
    uint32_t mark = self->pins_count;

    if (fdtab_pin_one_more(self, description_index(description)) && fdtab_get(fd) != description) {
        fdtab_unpin_to(self, mark);
    }
}

/*
 * What the task will register with: always what the call began with. In Linux, too, it hangs in the
 * queues of the files that it found first, and looks at the numbers anew.
 */
static void watch_all(struct emu_task *self, struct poll_set *set, struct wait_set *wait)
{
    bool holds = atomic_load_explicit(&self->process->tasks, memory_order_relaxed) > 1;

    if (set->watched) {
        wait->count = set->item_count; /* they stand there still */
        return;
    }
    for (uint32_t i = 0; i < set->count; i++) {
        const struct description *description = fdtab_get(set->fds[i].fd);

        set->emulated[i] = description;
        if (description) {
            if (holds) {
                hold(self, set->fds[i].fd, description);
            }
            watch(wait, description, (uint32_t)set->fds[i].events);
        } else if (EMU_UNLIKELY(set->instances) && epoll_description(set->fds[i].fd)) {
            epoll_watch(epoll_description(set->fds[i].fd), wait);
        }
    }
    set->wake = wake_word(self);
    set->item_count = wait->count;
    set->watched = true;
}

static int64_t poll_try(struct emu_task *self, void *op, struct wait_set *wait, bool last)
{
    struct poll_set *set = op;
    uint32_t ready = look(self, set);
    int64_t rc = 0;

    if (EMU_UNLIKELY(set->elsewhere == set->count && !set->watched)) {
        return EMU_NATIVE;
    }
    for (int i = 0; last && ready == 0 && i < ASK_ROUNDS && ask(self, set, wait); i++) {
        ready = look(self, set);
    }
    if (set->real_count > 0) {
        rc = merge_real(self, set);
        if (rc < 0) {
            return rc;
        }
    }
    if (set->watched && (ready + rc > 0 || wake_word(self) != set->wake)) {
        rc += count_closed(set);
    }
    if (ready + rc > 0) {
        return ready + rc;
    }
    if (!last) {
        watch_all(self, set, wait);
    }
    return WAIT_BLOCK;
}

int64_t poll_try_once(struct emu_task *self, const struct wait_request *request,
                      const sigset_t *mask)
{
    uint32_t interrupts = self->interrupts;
    int critical = self->critical;
    int64_t rc = request->try(self, request->op, request->set, true);
    sigset_t old;

    if (rc != WAIT_BLOCK) {
        return rc;
    }
    if (mask) {
        self->critical = 0;
        if (self->signals_put_off && self->process->deliver) {
            self->process->deliver(self);
        }
        host_sigmask(mask, &old);
        host_sigmask(&old, NULL);
        self->critical = critical;
    }
    return self->interrupts != interrupts ? -EINTR : 0;
}

/* The first few emulated descriptors stand for all of them. */
static void describe_poll(const void *op, const struct wait_set *wait, struct task_sleep *ret_sleep)
{
    const struct poll_set *set = op;

    (void)wait;
    ret_sleep->call = EMU_CALL_poll;
    ret_sleep->count = set->count;
    ret_sleep->timeout_ns = set->timeout_ns;
    for (uint32_t i = 0; i < set->count && ret_sleep->watched < TASK_WATCHED; i++) {
        const struct description *description = fdtab_get_served(set->fds[i].fd);

        if (description) {
            uint32_t at = ret_sleep->watched++;

            ret_sleep->watch[at].fd = set->fds[i].fd;
            ret_sleep->watch[at].description = description_index(description);
            ret_sleep->watch[at].generation = atomic_load(&description->generation);
            ret_sleep->watch[at].events = (uint16_t)set->fds[i].events;
        }
    }
}

/* What the call holds it lets go however it ends. */
struct poll_hold {
    struct emu_task *self;
    uint32_t mark;
};

static void poll_hold_undo(struct poll_hold *held)
{
    struct emu_task *self = held->self;
    int critical = self->critical;

    if (self->pins_count > held->mark) {
        self->critical = 1; /* when the stack is unwound, handlers may run by now */
        fdtab_unpin_to(self, held->mark);
        self->critical = critical;
    }
}

int64_t poll_set_wait(struct emu_task *self, struct poll_set *set, int64_t timeout_ns)
{
    struct poll_hold held
        __attribute__((unused, cleanup(poll_hold_undo))) = { self, self->pins_count };
    struct wait_set wait = {
        .items = set->items, .capacity = 2 * set->count, .fds = set->real, .fd_capacity = set->count
    };
    struct wait_request request = {
        .try = poll_try,
        .op = set,
        .set = &wait,
        .deadline_ns = timeout_ns > 0 ? host_now_ns() + (uint64_t)timeout_ns : 0,
        .restarts = false,
        .mask = set->mask,
        .describe = describe_poll,
    };
    int64_t rc;

    if (timeout_ns == 0) {
        return poll_try_once(self, &request, set->mask);
    }
    set->timeout_ns = timeout_ns;
    rc = wait_run(self, &request);
    if (rc == -ETIMEDOUT) {
        return set->watched ? count_closed(set) : 0;
    }
    return rc;
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
