/*
 * description.c - see description.h
 */
#include "description.h"

#include <errno.h>
#include <string.h>

/* Fills one end in; it isn't live yet. Returns its index or ARENA_NONE. */
uint32_t description_make(const struct description_plan *plan, uint32_t slot)
{
    uint32_t index = pool_take(&arena->header.descriptions, arena->descriptions_links,
                               EMU_MAX_DESCRIPTIONS);
    struct description *description;

    if (index == ARENA_NONE) {
        return ARENA_NONE;
    }
    description = description_at(index);
    /* A sweep that finds it in the making believes this: what stood there is of an earlier life. */
    atomic_store(&description->peer, ARENA_NONE);
    atomic_store(&description->state, DESCRIPTION_MAKING | slot << 8);
    description->kind = plan->kind;
    description->rx = plan->rx;
    description->tx = plan->tx;
    description->rx_generation = plan->rx == ARENA_NONE ? 0 : buf_at(plan->rx)->generation;
    description->tx_generation = plan->tx == ARENA_NONE ? 0 : buf_at(plan->tx)->generation;
    description->maker = slot;
    atomic_store_explicit(&description->status, plan->status, memory_order_relaxed);
    atomic_store_explicit(&description->shared, 0, memory_order_relaxed);
    atomic_store_explicit(&description->error, 0, memory_order_relaxed);
    atomic_store_explicit(&description->peek_offset, -1, memory_order_relaxed);
    atomic_store_explicit(&description->receive_low, 1, memory_order_relaxed);
    atomic_store_explicit(&description->identified, 0, memory_order_relaxed);
    atomic_store_explicit(&description->receive_timeout_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&description->send_timeout_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&description->sample_fd, -1, memory_order_relaxed);
    atomic_store_explicit(&description->native, 0, memory_order_relaxed);
    atomic_store_explicit(&description->phase, PHASE_CONNECTED, memory_order_relaxed);
    atomic_store_explicit(&description->pending, 0, memory_order_relaxed);
    atomic_store_explicit(&description->queued, 0, memory_order_relaxed);
    atomic_store_explicit(&description->named, 0, memory_order_relaxed);
    atomic_store_explicit(&description->hidden, 0, memory_order_relaxed);
    atomic_store_explicit(&description->handed_over, 0, memory_order_relaxed);
    atomic_store_explicit(&description->in_flight, 0, memory_order_relaxed);
    atomic_store_explicit(&description->site, 0, memory_order_relaxed);
    atomic_store_explicit(&description->receiver, 0, memory_order_relaxed);
    atomic_store_explicit(&description->both_ends, 0, memory_order_relaxed);
    atomic_store_explicit(&description->spliced, 0, memory_order_relaxed);
    atomic_store_explicit(&description->vsock.deadline_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&description->vsock.flags, 0, memory_order_relaxed);
    atomic_store_explicit(&description->watchers, 0, memory_order_relaxed);
    memset((void *)&description->owner, 0, sizeof description->owner);
    description_hold(description, slot);
    return index;
}

/* Gives a description back to the table; nothing names it any more. */
void description_free(uint32_t index)
{
    struct description *description = description_at(index);

    /* First: who reads the new generation doesn't take it for what belonged to the old peer. */
    atomic_store(&description->peer, ARENA_NONE);
    atomic_fetch_add(&description->generation, 1);
    for (int i = 0; i < (int)HOLDER_WORDS; i++) {
        atomic_store_explicit(&description->holders[i], 0, memory_order_relaxed);
    }
    atomic_store_explicit(&description->state, DESCRIPTION_FREE, memory_order_release);
    pool_give(&arena->header.descriptions, arena->descriptions_links, index);
}

uint32_t description_create_set(struct emu_task *self, uint32_t epoll, uint32_t generation)
{
    const struct description_plan plan = { DESCRIPTION_EPOLL, ARENA_NONE, ARENA_NONE, 0 };
    uint32_t index = description_make(&plan, self->process->slot);

    if (index != ARENA_NONE) {
        description_at(index)->epoll = epoll;
        description_at(index)->epoll_generation = generation;
        atomic_store_explicit(&description_at(index)->native, DESCRIPTION_SET,
                              memory_order_relaxed);
        atomic_store_explicit(&description_at(index)->state, DESCRIPTION_LIVE,
                              memory_order_release);
    }
    return index;
}

uint32_t description_create_device(struct emu_task *self, uint32_t status)
{
    const struct description_plan plan = { DESCRIPTION_DEVICE, ARENA_NONE, ARENA_NONE, status };
    uint32_t index = description_make(&plan, self->process->slot);

    if (index != ARENA_NONE) {
        /* The placeholder isn't asked for news: nothing stands at its other end. */
        atomic_store_explicit(&description_at(index)->phase, PHASE_FRESH, memory_order_relaxed);
        atomic_store_explicit(&description_at(index)->state, DESCRIPTION_LIVE,
                              memory_order_release);
    }
    return index;
}

void description_discard_bufs(struct emu_task *self, const struct description_plan *plan)
{
    if (plan->rx != ARENA_NONE) {
        buf_discard(self, plan->rx);
    }
    if (plan->tx != ARENA_NONE) {
        buf_discard(self, plan->tx);
    }
}

int description_create_pair(struct emu_task *self, const struct description_plan plans[2],
                            uint32_t ret_indexes[2])
{
    uint32_t slot = self->process->slot;
    uint32_t a = description_make(&plans[0], slot);
    uint32_t b = a == ARENA_NONE ? ARENA_NONE : description_make(&plans[1], slot);

    if (b == ARENA_NONE) {
        if (a != ARENA_NONE) {
            description_free(a);
        }
        description_discard_bufs(self, plans);
        return -ENFILE;
    }
    description_at(a)->peer = b;
    description_at(a)->peer_generation = description_at(b)->generation;
    description_at(b)->peer = a;
    description_at(b)->peer_generation = description_at(a)->generation;
    atomic_store_explicit(&description_at(a)->state, DESCRIPTION_LIVE, memory_order_release);
    atomic_store_explicit(&description_at(b)->state, DESCRIPTION_LIVE, memory_order_release);
    if (plans[0].rx != ARENA_NONE) {
        buf_own(plans[0].rx);
    }
    if (plans[0].tx != ARENA_NONE) {
        buf_own(plans[0].tx);
    }
    ret_indexes[0] = a;
    ret_indexes[1] = b;
    return 0;
}

struct description *description_peer(const struct description *description)
{
    uint32_t index = atomic_load(&description->peer);
    struct description *peer;

    if (index == ARENA_NONE) {
        return NULL;
    }
    peer = description_at(index);
    if (atomic_load_explicit(&peer->state, memory_order_acquire) != DESCRIPTION_LIVE ||
        atomic_load_explicit(&peer->generation, memory_order_relaxed) !=
            description->peer_generation) {
        return NULL;
    }
    return peer;
}

void description_hold(struct description *description, uint32_t slot)
{
    atomic_fetch_or(&description->holders[slot / 64], 1ull << (slot % 64));
}

bool description_held_by(const struct description *description, uint32_t slot)
{
    return atomic_load(&description->holders[slot / 64]) >> (slot % 64) & 1;
}

bool description_held_by_any(const struct description *description)
{
    uint64_t bits = atomic_load(&description->holders[0]) & ~(1ull << DESCRIPTION_IN_FLIGHT);

    for (int i = 1; i < (int)HOLDER_WORDS && bits == 0; i++) {
        bits = atomic_load(&description->holders[i]);
    }
    return bits != 0;
}

bool description_held(const struct description *description)
{
    for (int i = 0; i < (int)HOLDER_WORDS; i++) {
        if (atomic_load(&description->holders[i]) != 0) {
            return true;
        }
    }
    return false;
}

bool description_owner_waits(const struct description *description, uint32_t link)
{
    const struct waiter *waiter = link != 0 ? waiter_at(link - 1) : NULL;

    return waiter && atomic_load(&waiter->linked) == 1 + WAITER_OWNER &&
           waiter->target == description_index(description) &&
           waiter->task_next == atomic_load(&description->generation);
}

static void take_back(struct emu_task *self, const struct description *description, uint32_t link)
{
    if (description_owner_waits(description, link)) {
        /* If we die now, the sweep goes on. */
        atomic_store(&waiter_at(link - 1)->process, self->process->slot);
        queue_unregister(self, link - 1);
    }
}

void description_disown(struct emu_task *self, struct description *description)
{
    take_back(self, description, atomic_exchange(&description->owner.waiter, 0));
    take_back(self, description, atomic_exchange(&description->owner.waiter_out, 0));
}

/* The last steps of a description's life; each may be repeated. Requires: state is DYING. */
void description_bury(struct emu_task *self, uint32_t index)
{
    struct description *description = description_at(index);

    description_disown(self, description);
    names_forget(self, description);
    description_end(self, description);
    epoll_description_dies(self, description);
    description_end_meetings(self, description);
    if (description->rx != ARENA_NONE) {
        buf_release(self, description->rx, description->rx_generation, BUF_REF_READER);
    }
    if (description->tx != ARENA_NONE) {
        buf_release(self, description->tx, description->tx_generation, BUF_REF_WRITER);
    }
    description_free(index);
    rights_collect(self);
}

/* An acceptor holds it, then takes it off the queue: looked at the other way round. */
static bool is_in_use(const struct description *description)
{
    return description_is_queued(description) || description_held(description);
}

/* From live to dying, in the life that the record has in `seen`. */
static bool begin_to_die(const struct emu_task *self, struct description *description,
                         uint64_t seen)
{
    uint64_t dying = seen >> 32 << 32 | DESCRIPTION_DYING | self->process->slot << 8;

    return atomic_compare_exchange_strong(&description->life, &seen, dying);
}

/*
 * Buries a description that nobody holds, unless somebody else does so already: then that may take
 * its time, and the closing of a number is over before. So what dies is told to nobody (epoll).
 *
 * Live, then without holders, then dying, all in one life of the record: it was nobody's. Only a
 * child whose parent was killed over the fork, and swept, takes up what nobody holds, at any moment
 * (process.c:hold_all). It gets it back; and since it may have let go of it while that was dying,
 * we look again.
 */
void description_bury_if_unheld(struct emu_task *self, uint32_t index)
{
    struct description *description = description_at(index);
    uint64_t seen = atomic_load(&description->life);

    for (uint32_t round = 0; round < EMU_TRY_LIMIT; round++) {
        if ((uint32_t)seen != DESCRIPTION_LIVE || is_in_use(description) ||
            !begin_to_die(self, description, seen)) {
            return;
        }
        if (EMU_LIKELY(!is_in_use(description))) {
            description_bury(self, index);
            return;
        }
        atomic_store(&description->state, DESCRIPTION_LIVE);
        description_wake(self, description, QUEUE_RECHECK);
    }
}

void description_unhold(struct description *description, uint32_t slot)
{
    uint32_t place = description_queue_place(description);

    /* Who holds a server's side has accepted it, whether or not it came to say so. */
    if (EMU_UNLIKELY(place != 0 && place != QUEUED_LOST) &&
        description_held_by(description, slot)) {
        description_accepted(description);
    }
    atomic_fetch_and(&description->holders[slot / 64], ~(1ull << (slot % 64)));
}

void description_drop(struct emu_task *self, uint32_t index, uint32_t slot)
{
    description_unhold(description_at(index), slot);
    description_bury_if_unheld(self, index);
}

int description_take_error(struct description *description)
{
    if (EMU_LIKELY(atomic_load_explicit(&description->error, memory_order_relaxed) == 0)) {
        return 0;
    }
    return atomic_exchange(&description->error, 0);
}

static void wake_queue(struct emu_task *self, uint32_t index, uint32_t events)
{
    struct socket_buf *buf;
    struct wake_list list;

    wake_list_init(&list);
    if (index == ARENA_NONE) {
        return;
    }
    buf = buf_at(index);
    lock_acquire(self, &buf->lock);
    queue_notify_locked(&buf->readers, events, &list);
    queue_notify_locked(&buf->writers, events, &list);
    lock_release(self, &buf->lock);
    wake_list_flush(self, &list);
}

void description_wake(struct emu_task *self, struct description *description, uint32_t events)
{
    wake_queue(self, description->rx, events);
    wake_queue(self, description->tx, events);
}
