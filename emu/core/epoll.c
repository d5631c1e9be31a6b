/*
 * epoll.c - see epoll.h: instances, items, epoll_ctl, and what the end of a description means
 *
 * Everything here changes the structure, so it runs between ctl_begin() and ctl_end(), one at a
 * time in a session. Linux has its epmutex for nested sets alone; a control call is rare enough.
 */
#include "epoll.h"

#include "channel.h"

#include <errno.h>

#define ANY_EVENT 0xffffu /* poll's bits: the item's own mask decides */

static uint32_t *bucket_of(uint32_t epoll, int fd)
{
    uint32_t hash = (epoll * 0x9e3779b1u) ^ ((uint32_t)fd * 0x85ebca6bu);

    return (uint32_t *)(void *)arena->item_buckets + (hash >> 7) % EMU_MAX_ITEMS;
}

/* ---- Chains ---- */

static void chain_in(uint32_t index)
{
    struct epoll_item *item = epoll_item_at(index);
    struct epoll *epoll = epoll_at(item->epoll);
    struct description *watched = description_at(item->watched);
    uint32_t *bucket = bucket_of(item->epoll, item->fd);

    item->hash_next = *bucket;
    *bucket = index + 1;
    item->watched_next = atomic_load(&watched->watchers);
    atomic_store(&watched->watchers, index + 1);
    item->epoll_previous = 0;
    item->epoll_next = epoll->items;
    if (epoll->items != 0) {
        epoll_item_at(epoll->items - 1)->epoll_previous = index + 1;
    }
    epoll->items = index + 1;
}

static void leave_hash(uint32_t index)
{
    struct epoll_item *item = epoll_item_at(index);
    uint32_t *at = bucket_of(item->epoll, item->fd);

    for (uint32_t i = 0; i < EMU_MAX_ITEMS && *at != 0; i++) {
        if (*at == index + 1) {
            *at = item->hash_next;
            break;
        }
        at = &epoll_item_at(*at - 1)->hash_next;
    }
}

static void leave_watched(uint32_t index)
{
    struct epoll_item *item = epoll_item_at(index);
    struct description *watched = description_at(item->watched);
    uint32_t at = atomic_load(&watched->watchers);

    if (at == index + 1) {
        atomic_store(&watched->watchers, item->watched_next);
        return;
    }
    for (uint32_t i = 0; i < EMU_MAX_ITEMS && at != 0; i++) {
        struct epoll_item *before = epoll_item_at(at - 1);

        at = before->watched_next;
        if (at == index + 1) {
            before->watched_next = item->watched_next;
            break;
        }
    }
}

static void leave_epoll(uint32_t index)
{
    struct epoll_item *item = epoll_item_at(index);

    if (item->epoll_next != 0) {
        epoll_item_at(item->epoll_next - 1)->epoll_previous = item->epoll_previous;
    }
    if (item->epoll_previous != 0) {
        epoll_item_at(item->epoll_previous - 1)->epoll_next = item->epoll_next;
    } else {
        epoll_at(item->epoll)->items = item->epoll_next;
    }
}

/* ---- Items ---- */

/* Gives an item that stands in no chain back. */
static void item_free(uint32_t index)
{
    atomic_store_explicit(&epoll_item_at(index)->state, ITEM_FREE, memory_order_release);
    pool_give(&arena->header.items, arena->items_links, index);
}

/* Takes back the item's registrations, if they are still its own. */
static void item_unregister(struct emu_task *self, uint32_t index)
{
    struct epoll_item *item = epoll_item_at(index);

    for (int i = 0; i < 2; i++) {
        struct waiter *waiter = item->waiters[i] ? waiter_at(item->waiters[i] - 1) : NULL;

        if (waiter && atomic_load(&waiter->linked) == 1 + WAITER_ITEM && waiter->target == index &&
            waiter->task_next == atomic_load(&item->generation)) {
            queue_unregister(self, item->waiters[i] - 1);
        }
        item->waiters[i] = 0;
    }
}

/* Requires: it is in no chain. Ends with a generation that nobody names. */
static void item_bury(struct emu_task *self, uint32_t index)
{
    struct epoll_item *item = epoll_item_at(index);
    struct epoll *epoll = epoll_at(item->epoll);

    item_unregister(self, index);
    epoll_lock(self, epoll);
    epoll_take_out_locked(epoll, index);
    atomic_fetch_add(&item->generation, 1);
    lock_release(self, &epoll->lock);
    item_free(index);
}

static void item_remove(struct emu_task *self, uint32_t index)
{
    atomic_store(&epoll_item_at(index)->state, ITEM_DYING);
    leave_hash(index);
    leave_watched(index);
    leave_epoll(index);
    item_bury(self, index);
}

/* An item that is nowhere yet, or ARENA_NONE. */
static uint32_t item_make(const struct epoll_key *key, const struct epoll_event *event)
{
    uint32_t index = pool_take(&arena->header.items, arena->items_links, EMU_MAX_ITEMS);
    struct epoll_item *item;

    if (index == ARENA_NONE) {
        return ARENA_NONE;
    }
    item = epoll_item_at(index);
    item->waiters[0] = item->waiters[1] = 0;
    item->epoll = key->set->epoll;
    item->watched = description_index(key->watched);
    item->watched_generation = atomic_load(&key->watched->generation);
    item->fd = key->fd;
    item->data = event->data.u64;
    atomic_store(&item->ready, 0);
    atomic_store(&item->events, event->events | EPOLLERR | EPOLLHUP);
    atomic_store(&item->state, ITEM_MAKING);
    return index;
}

/* Hangs one waiter of the item into a queue. False: there are no more. */
static bool hang(struct emu_task *self, uint32_t index, int which, struct lock *lock,
                 struct wait_queue *queue)
{
    struct epoll_item *item = epoll_item_at(index);
    const struct waiter_plan plan = {
        .kind = WAITER_ITEM,
        .target = index,
        .link = atomic_load(&item->generation),
        .events = ANY_EVENT | (item->events & EPOLLEXCLUSIVE ? WAITER_EXCLUSIVE : 0),
        .lock = lock,
        .queue = queue,
    };
    uint32_t waiter = queue_register(self, &plan);

    if (waiter == ARENA_NONE) {
        return false;
    }
    item->waiters[which] = waiter + 1;
    queue_keep(waiter);
    return true;
}

static bool item_register(struct emu_task *self, uint32_t index)
{
    const struct description *watched = description_at(epoll_item_at(index)->watched);
    bool done = true;

    if (watched->kind == DESCRIPTION_EPOLL) {
        struct epoll *inner = epoll_at(watched->epoll);

        return hang(self, index, 0, &inner->lock, &inner->waiters);
    }
    if (watched->rx != ARENA_NONE) {
        struct socket_buf *buf = buf_at(watched->rx);

        done = hang(self, index, 0, &buf->lock, &buf->readers);
    }
    if (watched->tx != ARENA_NONE && done) {
        struct socket_buf *buf = buf_at(watched->tx);

        done = hang(self, index, 1, &buf->lock, &buf->writers);
    }
    return done;
}

/* ---- The outer lock ---- */

/* Whoever held it died: chains are made anew of what is live, the rest is buried. */
static void rebuild(struct emu_task *self)
{
    uint32_t used = epoll_items_used();
    uint32_t *buckets = (uint32_t *)(void *)arena->item_buckets;

    for (uint32_t i = 0; i < EMU_MAX_ITEMS; i++) {
        buckets[i] = 0;
    }
    for (uint32_t i = 0; i < EMU_MAX_EPOLLS; i++) {
        epoll_at(i)->items = 0;
    }
    for (uint32_t i = 0; i < used; i++) {
        atomic_store(&description_at(epoll_item_at(i)->watched)->watchers, 0);
    }
    for (uint32_t i = 0; i < used; i++) {
        uint32_t state = atomic_load(&epoll_item_at(i)->state);

        if (state == ITEM_LIVE) {
            chain_in(i);
        } else if (state != ITEM_FREE) {
            item_bury(self, i);
        }
    }
}

static void ctl_begin(struct emu_task *self)
{
    outer_lock_acquire(self, &arena->header.epoll_lock);
    if (EMU_UNLIKELY(atomic_load(&arena->header.epoll_changed))) {
        rebuild(self);
    }
    atomic_store(&arena->header.epoll_changed, 1);
}

static void ctl_end(struct emu_task *self)
{
    atomic_store(&arena->header.epoll_changed, 0);
    outer_lock_release(self, &arena->header.epoll_lock);
}

/* Requires: the outer lock. Index + 1, or 0. */
static uint32_t find_locked(const struct epoll_key *key)
{
    uint32_t at = *bucket_of(key->set->epoll, key->fd);

    for (uint32_t i = 0; i < EMU_MAX_ITEMS && at != 0; i++) {
        const struct epoll_item *item = epoll_item_at(at - 1);

        if (item->epoll == key->set->epoll && item->fd == key->fd &&
            item->watched == description_index(key->watched) &&
            item->watched_generation == atomic_load(&key->watched->generation)) {
            return at;
        }
        at = item->hash_next;
    }
    return 0;
}

/* ---- epoll_ctl ---- */

/* EPOLLEXCLUSIVE goes with these alone (fs/eventpoll.c:EPOLLEXCLUSIVE_OK_BITS). */
#define EXCLUSIVE_OK \
    ((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE))

static int add_locked(struct emu_task *self, const struct epoll_key *key,
                      const struct epoll_event *event, uint32_t *ret_index)
{
    uint32_t index;
    int rc;

    if (find_locked(key) != 0) { /* its placeholder may have left the real instance */
        return -EEXIST;
    }
    index = item_make(key, event);
    if (index == ARENA_NONE) {
        return -ENOSPC;
    }
    *ret_index = index;
    rc = host_epoll_ctl(key->set_fd, EPOLL_CTL_ADD, key->fd, KERNEL_EVENTS, epoll_item_word(index));
    if (rc == -EEXIST) { /* of an item that a kill left half-made, or half-removed */
        rc = host_epoll_ctl(key->set_fd, EPOLL_CTL_MOD, key->fd, KERNEL_EVENTS,
                            epoll_item_word(index));
    }
    if (rc < 0) {
        item_free(index);
        return rc;
    }
    if (!item_register(self, index)) {
        host_epoll_ctl(key->set_fd, EPOLL_CTL_DEL, key->fd, 0, 0);
        item_bury(self, index);
        return -ENOMEM;
    }
    chain_in(index);
    if (key->watched->kind == DESCRIPTION_EPOLL) {
        atomic_store(&epoll_at(key->set->epoll)->nested, 1);
    }
    atomic_store(&epoll_item_at(index)->state, ITEM_LIVE);
    return 0;
}

/* The number was closed under the call, by the last who had it: what dies looks before we chain. */
static bool died_meanwhile(const struct epoll_key *key, uint32_t index)
{
    return atomic_load(&key->watched->state) != DESCRIPTION_LIVE ||
           atomic_load(&key->watched->generation) != epoll_item_at(index)->watched_generation;
}

int epoll_add(struct emu_task *self, const struct epoll_key *key, const struct epoll_event *event)
{
    uint32_t generation = 0;
    uint32_t index = 0;
    int rc;

    if ((event->events & EPOLLEXCLUSIVE) &&
        ((event->events & ~EXCLUSIVE_OK) || key->watched->kind == DESCRIPTION_EPOLL)) {
        return -EINVAL;
    }
    ctl_begin(self);
    rc = epoll_lives(key->set) ? add_locked(self, key, event, &index) : -EBADF;
    if (rc == 0 && died_meanwhile(key, index)) {
        item_remove(self, index);
        rc = -EBADF;
    }
    generation = atomic_load(&epoll_item_at(index)->generation);
    ctl_end(self);
    if (rc == 0) {
        epoll_item_check(self, index, generation);
    }
    return rc;
}

int epoll_modify(struct emu_task *self, const struct epoll_key *key,
                 const struct epoll_event *event)
{
    struct epoll *epoll = epoll_at(key->set->epoll);
    uint32_t generation = 0;
    uint32_t index;
    int rc = 0;

    if (event->events & EPOLLEXCLUSIVE) {
        return -EINVAL;
    }
    ctl_begin(self);
    index = find_locked(key);
    if (index == 0) {
        rc = -ENOENT;
    } else if (epoll_item_at(index - 1)->events & EPOLLEXCLUSIVE) {
        rc = -EINVAL;
    } else {
        generation = atomic_load(&epoll_item_at(index - 1)->generation);
        epoll_lock(self, epoll);
        epoll_change_locked(epoll, index - 1, event->events | EPOLLERR | EPOLLHUP, event->data.u64);
        lock_release(self, &epoll->lock);
    }
    ctl_end(self);
    if (rc == 0) {
        epoll_item_check(self, index - 1, generation);
    }
    return rc;
}

int epoll_remove(struct emu_task *self, const struct epoll_key *key)
{
    uint32_t index;
    int rc = -ENOENT;

    ctl_begin(self);
    index = find_locked(key);
    if (index != 0) {
        /* In this order: an item without its placeholder's word would miss deaths. */
        item_remove(self, index - 1);
        host_epoll_ctl(key->set_fd, EPOLL_CTL_DEL, key->fd, 0, 0); /* may be out already */
        rc = 0;
    }
    ctl_end(self);
    return rc;
}

/* The descriptor of this process for the instance, or -1. */
static int instance_fd(uint32_t epoll, struct description **ret_set)
{
    int top = fdtab_top();

    for (int fd = 0; fd < top; fd++) {
        struct description *set = epoll_description(fd);

        if (set && set->epoll == epoll) {
            *ret_set = set;
            return fd;
        }
    }
    return -1;
}

/* Requires: the outer lock. The first one wakes those who sleep without the placeholder. */
static void note_real_locked(struct emu_task *self, struct epoll *epoll)
{
    struct wake_list list;

    if (atomic_fetch_add(&epoll->real, 1) != 0) {
        return;
    }
    wake_list_init(&list);
    epoll_lock(self, epoll);
    queue_notify_locked(&epoll->waiters, QUEUE_RECHECK, &list); /* no event of a set around this */
    lock_release(self, &epoll->lock);
    wake_list_flush(self, &list);
}

/* Requires: the outer lock. The kernel's entry gets what the guest asked for. */
static void hand_over_locked(struct emu_task *self, uint32_t index)
{
    struct epoll_item *item = epoll_item_at(index);
    struct description *set = NULL;
    int set_fd = instance_fd(item->epoll, &set);

    if (set_fd < 0 || fdtab_get_any(item->fd) != description_at(item->watched)) {
        return;
    }
    note_real_locked(self, epoll_at(set->epoll));
    host_epoll_ctl(set_fd, EPOLL_CTL_DEL, item->fd, 0, 0);
    host_epoll_ctl(set_fd, EPOLL_CTL_ADD, item->fd, atomic_load(&item->events), item->data);
    item_remove(self, index);
}

void epoll_hand_over(struct emu_task *self, struct description *watched)
{
    uint32_t at;

    if (atomic_load(&watched->watchers) == 0) {
        return;
    }
    ctl_begin(self);
    at = atomic_load(&watched->watchers);
    for (uint32_t bound = 0; at != 0 && bound < EMU_MAX_ITEMS; bound++) {
        uint32_t next = epoll_item_at(at - 1)->watched_next;

        hand_over_locked(self, at - 1);
        at = next;
    }
    ctl_end(self);
}

int epoll_any_fd(struct emu_task *self, const struct description *set)
{
    uint32_t at;
    int fd = -1;

    ctl_begin(self);
    at = epoll_at(set->epoll)->items;
    for (uint32_t bound = 0; at != 0 && fd < 0 && bound < EMU_MAX_ITEMS; bound++) {
        const struct epoll_item *item = epoll_item_at(at - 1);

        fd = fdtab_get(item->fd) == description_at(item->watched) ? item->fd : -1;
        at = item->epoll_next;
    }
    ctl_end(self);
    return fd;
}

/* ---- Instances ---- */

uint32_t epoll_make(void)
{
    uint32_t index = pool_take(&arena->header.epolls, arena->epolls_links, EMU_MAX_EPOLLS);
    struct epoll *epoll;

    if (index == ARENA_NONE) {
        return ARENA_NONE;
    }
    epoll = epoll_at(index);
    atomic_store(&epoll->first, 0);
    epoll->undo_item = 0;
    epoll->items = 0;
    atomic_store(&epoll->real, 0);
    atomic_store(&epoll->nested, 0);
    atomic_store(&epoll->cpu, -1);
    return index;
}

void epoll_unmake(uint32_t index)
{
    pool_give(&arena->header.epolls, arena->epolls_links, index);
}

void epoll_note_real(struct emu_task *self, struct description *set)
{
    ctl_begin(self);
    note_real_locked(self, epoll_at(set->epoll));
    ctl_end(self);
}

void epoll_forget_real(struct description *set)
{
    atomic_fetch_sub(&epoll_at(set->epoll)->real, 1);
}

int epoll_take_news(struct emu_task *self, struct epoll *epoll, int fd, struct epoll_event *news,
                    int max)
{
    int count = 0;

    ctl_begin(self);
    if (atomic_load(&epoll->real) == 0) {
        count = host_epoll_take(fd, news, max);
    }
    ctl_end(self);
    return count;
}

int epoll_identify(int fd, const struct description *set)
{
    int rc = host_epoll_ctl(fd, EPOLL_CTL_ADD, arena->header.hidden.bell, 0,
                            EPOLL_NAME_TAG << 48 | description_index(set));

    return rc == -EEXIST ? 0 : rc;
}

uint32_t epoll_named(int fd)
{
    uint64_t word = host_epoll_find(fd, EPOLL_NAME_TAG);
    uint32_t index = (uint32_t)word;

    return word != 0 && index < EMU_MAX_DESCRIPTIONS ? index : ARENA_NONE;
}

/* While chains are made anew a watched description seems not to be: then who asks must wait. */
static bool is_watched(const struct description *description)
{
    return atomic_load(&description->watchers) != 0 ||
           atomic_load(&arena->header.epoll_changed) != 0 ||
           atomic_load(&description->watchers) != 0;
}

void epoll_description_dies(struct emu_task *self, struct description *description)
{
    uint32_t index;

    if (description->kind != DESCRIPTION_EPOLL && !is_watched(description)) {
        return;
    }
    ctl_begin(self);
    while ((index = atomic_load(&description->watchers)) != 0) {
        item_remove(self, index - 1);
    }
    if (description->kind == DESCRIPTION_EPOLL &&
        atomic_load(&epoll_at(description->epoll)->generation) == description->epoll_generation) {
        struct epoll *epoll = epoll_at(description->epoll);

        while (epoll->items != 0) {
            item_remove(self, epoll->items - 1);
        }
        epoll_lock(self, epoll);
        atomic_fetch_add(&epoll->generation, 1);
        lock_release(self, &epoll->lock);
        epoll_unmake(description->epoll); /* the generation tells who comes again */
    }
    ctl_end(self);
}

uint32_t epoll_item_count(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < epoll_items_used(); i++) {
        count += atomic_load(&epoll_item_at(i)->state) == ITEM_LIVE;
    }
    return count;
}
