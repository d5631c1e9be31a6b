/*
 * bell.c - see bell.h
 */
#include "bell.h"

#include "host.h"

#include <errno.h>

enum { BELL_IDLE, BELL_ASLEEP, BELL_RUNG };

#define KIND(state)       ((state)&3u)
#define GENERATION(state) ((state) & ~3u) /* grows by BELL_NEXT with each sleep */
#define BELL_NEXT         4u

/* Numbers of this process, by its tasks' records. A word is cookie << 32 | fd + 1; 0: none. */
static _Atomic uint64_t own[EMU_MAX_TASKS];
static _Atomic int32_t watches[EMU_MAX_TASKS]; /* fd + 1 */
static _Atomic uint32_t end;                   /* no entry is used from here on */
static _Atomic uint64_t sender;
static _Atomic uint32_t sender_network;
static _Atomic bool fifo_lost; /* the guest has closed the session's bell */

static struct host_bell unpack(uint64_t word)
{
    return (struct host_bell){ (int)(uint32_t)word - 1, (uint32_t)(word >> 32), 0 };
}

static uint64_t pack(const struct host_bell *bell)
{
    return (uint64_t)bell->cookie << 32 | ((uint32_t)bell->fd + 1);
}

/* Closes what is still ours. */
static void close_word(uint64_t word)
{
    struct host_bell bell = unpack(word);

    if (word != 0 && host_bell_stands(&bell)) {
        host_close(bell.fd);
    }
}

static void close_watch(uint32_t slot)
{
    int watch = atomic_exchange(&watches[slot], 0) - 1;

    if (watch >= 0 && host_bell_watches(watch, arena->header.hidden.bell)) {
        host_close(watch);
    }
}

static void note_used(uint32_t slot)
{
    uint32_t seen = atomic_load_explicit(&end, memory_order_relaxed);

    while (seen <= slot && !atomic_compare_exchange_weak(&end, &seen, slot + 1)) {
    }
}

/*
 * Whether a task may sleep on this number still, although the guest has closed it: as long as it
 * stays closed, poll says so to who is rung (fs/select.c:do_pollfd looks a number up each time).
 */
bool bell_has_number(int fd)
{
    uint32_t used = atomic_load(&end);

    for (uint32_t slot = 0; slot < used; slot++) {
        if ((uint32_t)atomic_load_explicit(&own[slot], memory_order_relaxed) == (uint32_t)fd + 1) {
            return true;
        }
    }
    return false;
}

/* A socket under a number that nobody sleeps on. 0 or -errno. */
static int make_bell(struct host_bell *ret_bell, uint64_t *ret_name)
{
    int above = -1;

    for (int i = 0; i < EMU_BELL_TRIES; i++) {
        int rc = ret_name ? host_bell_open(above, ret_bell, ret_name)
                          : host_bell_sender(above, ret_bell);

        if (rc < 0 || EMU_LIKELY(!bell_has_number(ret_bell->fd))) {
            return rc;
        }
        host_close(ret_bell->fd);
        above = ret_bell->fd;
    }
    return -EMFILE;
}

bool bell_ready(struct emu_task *self, struct bell *bell)
{
    uint32_t slot = self->record - 1;
    uint64_t word = atomic_load_explicit(&own[slot], memory_order_relaxed);
    struct host_bell mine = unpack(word);
    uint64_t name;

    if (EMU_LIKELY(word != 0 && host_bell_stands(&mine))) {
        return true;
    }
    atomic_store_explicit(&own[slot], 0, memory_order_relaxed);
    atomic_store_explicit(&bell->name, 0, memory_order_relaxed);
    if (word != 0) {
        close_watch(slot); /* what closed the one may have closed the other */
    }
    note_used(slot);
    if (make_bell(&mine, &name) < 0) {
        return false;
    }
    atomic_store_explicit(&own[slot], pack(&mine), memory_order_relaxed);
    atomic_store_explicit(&bell->network, mine.network, memory_order_relaxed);
    atomic_store_explicit(&bell->name, name, memory_order_release);
    return true;
}

/* Whether the session's bell is where it was. */
static bool fifo_stands(void)
{
    struct host_identity identity;

    return host_identify(arena->header.hidden.bell, &identity) == 0 && identity.kind == HOST_PIPE &&
           identity.object == arena->header.bell_object;
}

/* The number under which this sleep hears the session's bell, or -1. */
static int session_bell(uint32_t slot)
{
    int watch;

    if (EMU_UNLIKELY(atomic_load_explicit(&fifo_lost, memory_order_relaxed))) {
        return -1;
    }
    if (EMU_LIKELY(!atomic_load(&arena->header.bell_mute))) {
        return arena->header.hidden.bell;
    }
    watch = atomic_load_explicit(&watches[slot], memory_order_relaxed) - 1;
    if (watch < 0) {
        note_used(slot);
        watch = fifo_stands() ? host_bell_watch(arena->header.hidden.bell) : -1;
        if (watch >= 0 && bell_has_number(watch)) {
            host_close(watch);
            watch = -1;
        }
        atomic_store_explicit(&watches[slot], watch < 0 ? 0 : watch + 1, memory_order_relaxed);
    }
    return watch;
}

/* The session's bell showed something. */
static void answer_session(uint32_t slot, int fd)
{
    if (fd == arena->header.hidden.bell) {
        if (fifo_stands()) {
            atomic_store(&arena->header.bell_mute, 1); /* it is set already, by who rang */
        } else {
            atomic_store(&fifo_lost, true);
        }
    } else if (host_bell_watches(fd, arena->header.hidden.bell)) {
        host_bell_harvest(fd);
    } else {
        atomic_store_explicit(&watches[slot], 0, memory_order_relaxed);
    }
}

static int64_t remaining_ns(uint64_t deadline_ns)
{
    uint64_t now = host_now_ns();

    if (deadline_ns == 0) {
        return -1;
    }
    return deadline_ns > now ? (int64_t)(deadline_ns - now) : 0;
}

/*
 * With `own` entries of ours. 0: nobody can be sure to be heard, or there are too many entries for
 * a bell among them.
 */
static int64_t poll_now(struct emu_task *self, const struct bell_wait *wait, nfds_t own)
{
    nfds_t count = wait->count + own;
    int64_t limit_ns = remaining_ns(wait->deadline_ns);
    bool deaf = own == 0;
    int64_t rc;

    deaf = deaf && (limit_ns < 0 || limit_ns > EMU_DEAF_NS);
    limit_ns = deaf ? EMU_DEAF_NS : limit_ns;
    rc = self->process->poll ? self->process->poll(self, wait->fds, count, limit_ns, wait->mask)
                             : host_poll(wait->fds, count, limit_ns, wait->mask);
    if (rc == 0 && !deaf) {
        return -ETIMEDOUT;
    }
    return rc > 0 ? 0 : rc;
}

/* From the announcement to the end of the sleep. */
static int64_t sleep_announced(struct emu_task *self, const struct bell_wait *wait, bool named)
{
    struct pollfd *bells = wait->fds + wait->count;
    nfds_t own;
    int64_t rc;

    bells[1] = (struct pollfd){ session_bell(self->record - 1), POLLIN, 0 };
    bells[2] = (struct pollfd){ wait->also, POLLIN, 0 };
    if (atomic_load(wait->word) != wait->expected) {
        return -EAGAIN; /* as the futex says */
    }
    own = wait->also >= 0 ? BELL_ROOM : BELL_ROOM - 1;
    rc = poll_now(self, wait, bells[1].fd < 0 && !named ? 0 : own);
    if (EMU_UNLIKELY(rc == -EINVAL)) { /* more entries than RLIMIT_NOFILE: ours were too many */
        rc = own == BELL_ROOM ? poll_now(self, wait, BELL_ROOM - 1) : rc;
        rc = rc == -EINVAL ? poll_now(self, wait, 0) : rc;
    }
    return rc;
}

/* The own bell by name, or -errno. */
static int send_ring(const struct bell *bell)
{
    uint64_t word = atomic_load(&sender);
    uint64_t name = atomic_load_explicit(&bell->name, memory_order_acquire);
    struct host_bell from = unpack(word);
    uint32_t network;
    int rc;

    if (name == 0) {
        return -ENOENT;
    }
    if (EMU_UNLIKELY(word == 0 || !host_bell_stands(&from))) {
        rc = make_bell(&from, NULL);
        if (rc < 0) {
            return rc;
        }
        if (atomic_compare_exchange_strong(&sender, &word, pack(&from))) {
            atomic_store(&sender_network, from.network);
        } else { /* another thread was quicker */
            host_close(from.fd);
            from = unpack(word);
        }
    }
    network = atomic_load_explicit(&sender_network, memory_order_relaxed);
    rc = host_bell_send(&from, name);
    /* In our own network that socket is gone: its task is dead, or makes another before it sleeps.
     */
    if (rc == -ECONNREFUSED && network != 0 &&
        network == atomic_load_explicit(&bell->network, memory_order_relaxed)) {
        rc = 0;
    }
    return rc;
}

/* Rings a task that was asleep when `state` was read. */
static void ring(struct bell *bell, uint32_t state)
{
    int rc = send_ring(bell);

    if (rc == -EAGAIN && atomic_load(&bell->state) != state) {
        rc = 0; /* its queue was full of rings */
    }
    if (EMU_UNLIKELY(rc < 0) && fifo_stands()) {
        atomic_store(&arena->header.bell_mute, 1);
        host_bell_ring(arena->header.hidden.bell);
    }
    /* Afterwards: who is killed in between leaves a bell that others ring. */
    atomic_compare_exchange_strong(&bell->state, &state, GENERATION(state) | BELL_RUNG);
}

bool bell_wake(struct bell *bell)
{
    uint32_t state = atomic_load(&bell->state);

    if (KIND(state) == BELL_IDLE) {
        return false;
    }
    if (KIND(state) == BELL_ASLEEP) {
        ring(bell, state);
    }
    return true;
}

/* After a sleep: takes in what rang. */
static void settle(struct emu_task *self, const struct host_bell *mine, bool rung,
                   const struct pollfd *bells)
{
    if ((rung || bells[0].revents != 0) && host_bell_stands(mine)) {
        host_bell_take(mine);
    }
    if (EMU_UNLIKELY(bells[1].revents != 0)) {
        answer_session(self->record - 1, bells[1].fd);
    }
}

/*
 * A handler of the guest may run anywhere in here, and sleep on the same bell. What interrupted the
 * outer sleep has rung; the inner one takes that ring, for else it couldn't sleep, and leaves a new
 * one, for else the outer one could.
 */
int64_t bell_sleep(struct emu_task *self, struct bell *bell, const struct bell_wait *wait)
{
    struct pollfd *bells = wait->fds + wait->count;
    bool named = bell_ready(self, bell);
    const struct host_bell mine = unpack(atomic_load(&own[self->record - 1]));
    uint32_t outer = atomic_load(&bell->state);
    uint32_t left;
    int64_t rc;

    bells[0] = (struct pollfd){ named ? mine.fd : -1, POLLIN, 0 };
    if (EMU_UNLIKELY(KIND(outer) != BELL_IDLE) && named) {
        host_bell_take(&mine);
    }
    while (!atomic_compare_exchange_strong(&bell->state, &outer,
                                           (GENERATION(outer) + BELL_NEXT) | BELL_ASLEEP)) {
    }
    rc = sleep_announced(self, wait, named);
    left = atomic_fetch_and(&bell->state, GENERATION(UINT32_MAX));
    settle(self, &mine, named && KIND(left) == BELL_RUNG, bells);
    if (EMU_UNLIKELY(KIND(outer) != BELL_IDLE)) {
        atomic_fetch_or(&bell->state, BELL_RUNG);
        send_ring(bell);
    }
    return rc;
}

void bell_leave(struct bell *bell)
{
    atomic_fetch_and(&bell->state, GENERATION(UINT32_MAX));
}

void bell_init(struct bell *bell)
{
    bell_leave(bell);
    atomic_store_explicit(&bell->name, 0, memory_order_relaxed);
}

void bell_close(struct emu_task *self, struct bell *bell)
{
    uint32_t slot = self->record - 1;

    atomic_store_explicit(&bell->name, 0, memory_order_relaxed);
    close_word(atomic_exchange(&own[slot], 0));
    close_watch(slot);
}

void bell_forget_all(void)
{
    uint32_t used = atomic_exchange(&end, 0);

    for (uint32_t slot = 0; slot < used; slot++) {
        close_word(atomic_exchange(&own[slot], 0));
        close_watch(slot);
    }
}
