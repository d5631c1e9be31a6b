/*
 * description.c - see description.h
 */
#include "description.h"

#include <errno.h>
#include <string.h>

/* Fills one end in; it isn't live yet. Returns its index or ARENA_NONE. */
static uint32_t make_end(const struct description_plan *plan, uint32_t slot)
{
    uint32_t index = pool_take(&arena->header.descriptions, arena->descriptions_links,
                               EMU_MAX_DESCRIPTIONS);
    struct description *description;

    if (index == ARENA_NONE) {
        return ARENA_NONE;
    }
    description = description_at(index);
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
    description->peer = ARENA_NONE;
    atomic_store_explicit(&description->watchers, 0, memory_order_relaxed);
    memset((void *)&description->owner, 0, sizeof description->owner);
    description_hold(description, slot);
    return index;
}

/* Gives a description back to the table; nothing names it any more. */
static void free_end(uint32_t index)
{
    struct description *description = description_at(index);

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
    uint32_t index = make_end(&plan, self->process->slot);

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

static void discard_bufs(struct emu_task *self, const struct description_plan plans[2])
{
    if (plans[0].rx != ARENA_NONE) {
        buf_discard(self, plans[0].rx);
    }
    if (plans[0].tx != ARENA_NONE) {
        buf_discard(self, plans[0].tx);
    }
}

int description_create_pair(struct emu_task *self, const struct description_plan plans[2],
                            uint32_t ret_indexes[2])
{
    uint32_t slot = self->process->slot;
    uint32_t a = make_end(&plans[0], slot);
    uint32_t b = a == ARENA_NONE ? ARENA_NONE : make_end(&plans[1], slot);

    if (b == ARENA_NONE) {
        if (a != ARENA_NONE) {
            free_end(a);
        }
        discard_bufs(self, plans);
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
    struct description *peer;

    if (description->peer == ARENA_NONE) {
        return NULL;
    }
    peer = description_at(description->peer);
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

bool description_held(const struct description *description)
{
    for (int i = 0; i < (int)HOLDER_WORDS; i++) {
        if (atomic_load(&description->holders[i]) != 0) {
            return true;
        }
    }
    return false;
}

/* Whether closing with this unread resets the peer: a lone empty record doesn't. */
static bool unread_counts(const struct buf_state *state)
{
    return state->seg_count > 1 || (state->seg_count == 1 && state->last_len > state->first_taken);
}

/*
 * One direction ends at one side. Says how; wakes who waits at the other side. On this side nobody
 * can: a blocked call pins its description, and poll learns of a closed number when it next looks.
 * A socket's unread data is dropped, and `reset`, the other end, learns of it.
 */
static void end_direction(struct emu_task *self, uint32_t index, uint32_t flags,
                          struct description *reset)
{
    struct socket_buf *buf = buf_at(index);
    struct wake_list list;
    struct buf_state state;
    uint32_t told;

    wake_list_init(&list);
    lock_acquire(self, &buf->lock);
    state = buf_state_locked(buf);
    if (reset && unread_counts(&state) && !(state.flags & BUF_READER_GONE)) {
        atomic_store(&reset->error, ECONNRESET); /* once: under the lock that drops the data */
    }
    /* Whoever said it before told those who wait, unless a kill came in between. */
    told = (state.flags & flags) == flags ? QUEUE_RECHECK : POLLHUP;
    state.flags |= (uint16_t)flags;
    if (flags & BUF_SHUT && flags & BUF_READER_GONE) {
        told |= state.charged > 0 ? POLLOUT | WAITER_ASYNC : 0; /* skbs are freed: sock_wfree */
        state.head = state.used = state.seg_count = state.first_taken = state.charged = 0;
    }
    buf_publish_locked(buf, &state);
    queue_notify_locked(flags & BUF_READER_GONE ? &buf->writers : &buf->readers, told, &list);
    lock_release(self, &buf->lock);
    wake_list_flush(self, &list);
}

void description_end(struct emu_task *self, struct description *description)
{
    bool socket = description_is_socket(description);

    if (atomic_load(&description->native)) {
        return; /* the kernel tells the peer */
    }
    if (description->rx != ARENA_NONE) {
        end_direction(self, description->rx, BUF_READER_GONE | (socket ? BUF_SHUT : 0),
                      socket ? description_peer(description) : NULL);
    }
    if (description->tx != ARENA_NONE) {
        end_direction(self, description->tx, BUF_WRITER_GONE | (socket ? BUF_SHUT : 0), NULL);
    }
}

void description_end_other(struct emu_task *self, struct description *description)
{
    bool socket = description_is_socket(description);

    if (atomic_load(&description->native)) {
        return;
    }
    if (description->tx != ARENA_NONE) {
        end_direction(self, description->tx, BUF_READER_GONE | (socket ? BUF_SHUT : 0),
                      socket ? description : NULL);
    }
    if (description->rx != ARENA_NONE) {
        end_direction(self, description->rx, BUF_WRITER_GONE | (socket ? BUF_SHUT : 0), NULL);
    }
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
static void bury(struct emu_task *self, uint32_t index)
{
    struct description *description = description_at(index);

    description_disown(self, description);
    description_end(self, description);
    epoll_description_dies(self, description);
    if (description->rx != ARENA_NONE) {
        buf_release(self, description->rx, description->rx_generation, BUF_REF_READER);
    }
    if (description->tx != ARENA_NONE) {
        buf_release(self, description->tx, description->tx_generation, BUF_REF_WRITER);
    }
    free_end(index);
}

/* Buries a description that nobody holds, unless somebody else does so already. */
static void bury_if_unheld(struct emu_task *self, uint32_t index)
{
    struct description *description = description_at(index);
    uint32_t live = DESCRIPTION_LIVE;

    if (!description_held(description) &&
        atomic_compare_exchange_strong(&description->state, &live,
                                       DESCRIPTION_DYING | self->process->slot << 8)) {
        bury(self, index);
    }
}

void description_drop(struct emu_task *self, uint32_t index, uint32_t slot)
{
    struct description *description = description_at(index);

    atomic_fetch_and(&description->holders[slot / 64], ~(1ull << (slot % 64)));
    bury_if_unheld(self, index);
}

/* Whether a description, live or dying, names the buf as it is now. */
static bool buf_is_named(uint32_t buf)
{
    uint32_t used = atomic_load_explicit(&arena->header.descriptions.fresh, memory_order_acquire);
    uint32_t generation = atomic_load(&buf_at(buf)->generation);

    for (uint32_t i = 0; i < used; i++) {
        const struct description *description = description_at(i);
        uint32_t state = atomic_load(&description->state) & 0xff;

        if ((state == DESCRIPTION_LIVE || state == DESCRIPTION_DYING) &&
            ((description->rx == buf && description->rx_generation == generation) ||
             (description->tx == buf && description->tx_generation == generation))) {
            return true;
        }
    }
    return false;
}

static void sweep_bufs(struct emu_task *self, uint32_t slot)
{
    uint32_t used = atomic_load_explicit(&arena->header.bufs.fresh, memory_order_acquire);

    for (uint32_t i = 0; i < used; i++) {
        uint32_t transit = BUF_TRANSIT | slot << 8;

        if (atomic_load(&buf_at(i)->life) != transit) {
            continue;
        }
        if (buf_is_named(i)) {
            atomic_compare_exchange_strong(&buf_at(i)->life, &transit, BUF_OWNED);
        } else if (atomic_compare_exchange_strong(&buf_at(i)->life, &transit,
                                                  BUF_TRANSIT | self->process->slot << 8)) {
            buf_discard(self, i);
        }
    }
}

void description_sweep(struct emu_task *self, uint32_t slot)
{
    uint32_t used = atomic_load_explicit(&arena->header.descriptions.fresh, memory_order_acquire);
    uint32_t mine = self->process->slot << 8;

    for (uint32_t i = 0; i < used; i++) {
        struct description *description = description_at(i);
        uint32_t making = DESCRIPTION_MAKING | slot << 8;
        uint32_t dying = DESCRIPTION_DYING | slot << 8;

        if (atomic_load(&description->state) == DESCRIPTION_LIVE) {
            bury_if_unheld(self, i);
        } else if (atomic_compare_exchange_strong(&description->state, &dying,
                                                  DESCRIPTION_DYING | mine)) {
            bury(self, i);
        } else if (atomic_compare_exchange_strong(&description->state, &making,
                                                  DESCRIPTION_MAKING | mine)) {
            free_end(i);
        }
    }
    sweep_bufs(self, slot);
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
