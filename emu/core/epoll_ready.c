/*
 * epoll_ready.c - see epoll.h: the ready list, events, and what epoll_wait tells
 */
#include "epoll.h"

#include "channel.h"

#include <errno.h>

#define KEYLESS (POLLERR | POLLHUP | POLLNVAL) /* a change of state: it meets every mask */
#define ALL_POLL \
    (POLLIN | POLLPRI | POLLOUT | POLLRDHUP | POLLRDNORM | POLLRDBAND | POLLWRNORM | POLLWRBAND)

#define NESTS_MAX 4 /* of instances (fs/eventpoll.c:EP_MAX_NESTS) */

/* ---- The ready list ---- */

/* Requires: the instance's lock. Counts a change; `changing` is set while links are moved. */
static void list_begin_locked(struct epoll *epoll)
{
    atomic_store_explicit(&epoll->changing, 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
}

static void list_end_locked(struct epoll *epoll)
{
    atomic_store_explicit(&epoll->version,
                          atomic_load_explicit(&epoll->version, memory_order_relaxed) + 1,
                          memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&epoll->changing, 0, memory_order_relaxed);
}

static void append_locked(struct epoll *epoll, uint32_t index)
{
    atomic_store_explicit(&epoll_item_at(index)->ready, ITEM_LAST, memory_order_relaxed);
    if (atomic_load_explicit(&epoll->first, memory_order_relaxed) == 0) {
        atomic_store_explicit(&epoll->first, index + 1, memory_order_relaxed);
    } else {
        atomic_store_explicit(&epoll_item_at(epoll->last - 1)->ready, index + 1,
                              memory_order_relaxed);
    }
    epoll->last = index + 1;
}

/* Takes the first out. Requires: there is one. */
static uint32_t pop_locked(struct epoll *epoll)
{
    uint32_t index = atomic_load_explicit(&epoll->first, memory_order_relaxed) - 1;
    uint32_t next = atomic_load_explicit(&epoll_item_at(index)->ready, memory_order_relaxed);

    atomic_store_explicit(&epoll->first, next == ITEM_LAST ? 0 : next, memory_order_relaxed);
    atomic_store_explicit(&epoll_item_at(index)->ready, 0, memory_order_relaxed);
    return index;
}

static void push_front_locked(struct epoll *epoll, uint32_t index)
{
    uint32_t first = atomic_load_explicit(&epoll->first, memory_order_relaxed);

    atomic_store_explicit(&epoll_item_at(index)->ready, first == 0 ? ITEM_LAST : first,
                          memory_order_relaxed);
    atomic_store_explicit(&epoll->first, index + 1, memory_order_relaxed);
    if (first == 0) {
        epoll->last = index + 1;
    }
}

void epoll_take_out_locked(struct epoll *epoll, uint32_t index)
{
    uint32_t after = atomic_load_explicit(&epoll_item_at(index)->ready, memory_order_relaxed);
    uint32_t at = atomic_load_explicit(&epoll->first, memory_order_relaxed);

    if (after == 0) {
        return;
    }
    list_begin_locked(epoll);
    if (at == index + 1) {
        pop_locked(epoll);
        at = 0;
    }
    for (uint32_t bound = 0; at != 0 && at != ITEM_LAST && bound < EMU_MAX_ITEMS; bound++) {
        struct epoll_item *before = epoll_item_at(at - 1);

        at = atomic_load_explicit(&before->ready, memory_order_relaxed);
        if (at == index + 1) {
            atomic_store_explicit(&before->ready, after, memory_order_relaxed);
            if (after == ITEM_LAST) {
                epoll->last = (uint32_t)(before - (struct epoll_item *)arena->items) + 1;
            }
            break;
        }
    }
    atomic_store_explicit(&epoll_item_at(index)->ready, 0, memory_order_relaxed);
    list_end_locked(epoll);
}

static void change_undo_locked(struct epoll *epoll)
{
    if (epoll->undo_item != 0) {
        struct epoll_item *item = epoll_item_at(epoll->undo_item - 1);

        atomic_store(&item->events, epoll->undo_events);
        item->data = epoll->undo_data;
        epoll->undo_item = 0;
    }
}

void epoll_change_locked(struct epoll *epoll, uint32_t index, uint32_t events, uint64_t data)
{
    struct epoll_item *item = epoll_item_at(index);

    list_begin_locked(epoll);
    epoll->undo_events = atomic_load_explicit(&item->events, memory_order_relaxed);
    epoll->undo_data = item->data;
    atomic_signal_fence(memory_order_seq_cst);
    epoll->undo_item = index + 1;
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&item->events, events, memory_order_relaxed);
    item->data = data;
    atomic_signal_fence(memory_order_seq_cst);
    epoll->undo_item = 0;
    list_end_locked(epoll);
}

/* Whoever died changing the list, or an item, leaves it to be made anew. */
void epoll_lock(struct emu_task *self, struct epoll *epoll)
{
    uint32_t mine = (uint32_t)(epoll - (struct epoll *)arena->epolls);

    lock_acquire(self, &epoll->lock);
    if (EMU_LIKELY(!atomic_load_explicit(&epoll->changing, memory_order_relaxed))) {
        return;
    }
    change_undo_locked(epoll);
    atomic_store_explicit(&epoll->first, 0, memory_order_relaxed);
    for (uint32_t i = 0; i < epoll_items_used(); i++) {
        struct epoll_item *item = epoll_item_at(i);
        uint32_t state = atomic_load(&item->state);

        if (state == ITEM_LIVE && item->epoll == mine) {
            append_locked(epoll, i);
        } else if (state == ITEM_MAKING && item->epoll == mine) {
            atomic_store(&item->ready, 0); /* it will be looked at when it is made */
        }
    }
    list_end_locked(epoll);
}

/* ---- Events ---- */

/*
 * Whether the item is to be told that somebody died. An edge-triggered one that is in the list is:
 * whoever enlisted it may have died before waking those who wait. So is one whose channel may have
 * been handed over by the dead.
 */
static bool item_rechecks(const struct epoll_item *item, uint32_t mask)
{
    const struct description *watched = description_at(item->watched);

    return !(mask & EPOLLET) || atomic_load(&item->ready) != 0 ||
           atomic_load(&watched->native) == DESCRIPTION_HANDED_OVER ||
           (watched->kind != DESCRIPTION_EPOLL &&
            (description_look(watched) & READINESS_HALF_NATIVE));
}

/* Whether what happened concerns the item: a one-shot that was told is silent even for ERR. */
static bool item_wants(const struct epoll_item *item, uint32_t events)
{
    uint32_t mask = atomic_load_explicit(&item->events, memory_order_relaxed);
    uint32_t conditions = mask & ~EPOLL_PRIVATE; /* flags of the queue share the private bits */

    return conditions != 0 && ((events & KEYLESS) || (events & conditions) ||
                               ((events & QUEUE_RECHECK) && item_rechecks(item, mask)));
}

/* Requires: the instance's lock. The item goes to the end of the list, unless it is in it. */
static void enlist_locked(struct epoll *epoll, uint32_t index, struct wake_list *list)
{
    if (atomic_load_explicit(&epoll_item_at(index)->ready, memory_order_relaxed) == 0) {
        list_begin_locked(epoll);
        append_locked(epoll, index);
        list_end_locked(epoll);
    }
    atomic_store_explicit(&epoll->cpu, host_cpu(), memory_order_relaxed);
    if (atomic_load_explicit(&epoll->waiters.first, memory_order_relaxed) != 0) {
        queue_notify_locked(&epoll->waiters, POLLIN, list); /* ep_poll_safewake */
    }
}

void epoll_item_event(struct emu_task *self, uint32_t index, uint32_t generation, uint32_t events)
{
    struct epoll_item *item = epoll_item_at(index);
    struct wake_list list;
    struct epoll *epoll;

    if (atomic_load_explicit(&item->generation, memory_order_acquire) != generation ||
        !item_wants(item, events)) {
        return;
    }
    wake_list_init(&list);
    epoll = epoll_at(item->epoll);
    epoll_lock(self, epoll);
    /* An item is removed under its instance's lock: if it is still the one, it is in this set. */
    if (atomic_load_explicit(&item->generation, memory_order_relaxed) == generation &&
        item_wants(item, events)) {
        enlist_locked(epoll, index, &list);
    }
    lock_release(self, &epoll->lock);
    wake_list_flush(self, &list);
}

/*
 * In epoll_wait, that is: outer sets, whose items hang in the same queue, don't count (ep->wq and
 * ep->poll_wait). Without the lock, as a hint: whoever comes now looks before it sleeps.
 */
static bool somebody_sleeps(const struct epoll *epoll)
{
    uint32_t at = atomic_load_explicit(&epoll->waiters.first, memory_order_acquire);

    for (uint32_t bound = 0; at != 0 && bound < EMU_MAX_WAITERS; bound++) {
        if (atomic_load(&waiter_at(at - 1)->linked) == 1 + WAITER_TASK) {
            return true;
        }
        at = waiter_at(at - 1)->next;
    }
    return false;
}

bool epoll_item_takes(uint32_t index, uint32_t events)
{
    struct epoll_item *item = epoll_item_at(index);
    uint32_t mask = atomic_load_explicit(&item->events, memory_order_relaxed);
    uint32_t direction = events & (EPOLLIN | EPOLLOUT);

    if (!item_wants(item, events) || !somebody_sleeps(epoll_at(item->epoll))) {
        return false; /* ep_poll_callback: nobody sleeps there, so it is told, and the next too */
    }
    if ((events & KEYLESS) || direction == 0) {
        return true;
    }
    return direction != (EPOLLIN | EPOLLOUT) && (mask & direction) != 0;
}

/* The instance that the item watches, or ARENA_NONE. */
static uint32_t item_instance(const struct epoll_item *item)
{
    const struct description *watched = description_at(item->watched);

    return watched->kind == DESCRIPTION_EPOLL &&
                   atomic_load(&watched->generation) == item->watched_generation
               ? watched->epoll
               : ARENA_NONE;
}

/* Whether the other end is known to be gone: then the placeholder has nothing more to say. */
static bool has_ended(const struct description *watched)
{
    bool reads = watched->rx != ARENA_NONE;
    uint32_t index = reads ? watched->rx : watched->tx;

    return watched->kind != DESCRIPTION_EPOLL && index != ARENA_NONE &&
           (buf_peek(buf_at(index)).flags & (reads ? BUF_WRITER_GONE : BUF_READER_GONE));
}

/*
 * Takes the placeholders of ended channels out of the set's real instance, as far as this process
 * has the numbers. Looks at all items. False: there was none.
 */
static bool dismiss_ended(const struct description *set, int fd)
{
    uint32_t used = epoll_items_used();
    bool any = false;

    for (uint32_t i = 0; i < used; i++) {
        const struct epoll_item *item = epoll_item_at(i);
        const struct description *watched = description_at(item->watched);

        if (atomic_load(&item->state) == ITEM_LIVE && item->epoll == set->epoll &&
            fdtab_get_any(item->fd) == watched && !atomic_load(&watched->native) &&
            has_ended(watched)) {
            any |= host_epoll_ctl(fd, EPOLL_CTL_DEL, item->fd, 0, 0) == 0;
        }
    }
    return any;
}

/*
 * Poll bits of the kernel's entries alone. A placeholder that hung up would show in them until the
 * next epoll_wait takes its word, so it leaves.
 */
static uint32_t real_bits(const struct description *set, int fd)
{
    uint32_t bits = (uint32_t)host_poll_one(fd, POLLIN | POLLRDNORM);

    if (bits != 0 && dismiss_ended(set, fd)) {
        bits = (uint32_t)host_poll_one(fd, POLLIN | POLLRDNORM);
    }
    return bits;
}

/*
 * Bits that hold now for what the item watches, whatever it asks for; READINESS_HALF_NATIVE when it
 * is to be handed over, since whoever made it native was killed before.
 */
static uint32_t item_bits(const struct epoll_item *item)
{
    const struct description *watched = description_at(item->watched);
    uint32_t look;

    /* What dies was closed, and may be with who sweeps: Linux's item is gone when close returns. */
    if (atomic_load_explicit(&watched->life, memory_order_relaxed) !=
        ((uint64_t)item->watched_generation << 32 | DESCRIPTION_LIVE)) {
        return 0;
    }
    if (watched->kind == DESCRIPTION_EPOLL) {
        uint32_t bits = epoll_readiness(watched->epoll);

        if (bits == 0 && atomic_load(&epoll_at(watched->epoll)->real) != 0 &&
            fdtab_get_any(item->fd) == watched) {
            bits = real_bits(watched, item->fd);
        }
        return bits;
    }
    look = description_look(watched);
    if (EMU_UNLIKELY((look & READINESS_HALF_NATIVE) ||
                     atomic_load_explicit(&watched->native, memory_order_relaxed))) {
        look &= READINESS_HALF_NATIVE;
        look |= fdtab_get_any(item->fd) == watched ? (uint32_t)host_poll_one(item->fd, ALL_POLL)
                                                   : 0;
    }
    return look;
}

/*
 * What Linux's poll of an instance does: drops from the head of the list what isn't ready, up to
 * the first that is (fs/eventpoll.c:__ep_eventpoll_poll). An instance within is asked first, with
 * no lock held. Depth: EP_MAX_NESTS. Requires: no lock of an instance.
 */
static uint32_t settle(struct emu_task *self, uint32_t index, int depth)
{
    struct epoll *epoll = epoll_at(index);
    uint32_t asked = 0; /* the item at the head, whose instance was asked */

    for (uint32_t bound = 0; bound < EMU_MAX_ITEMS; bound++) {
        uint32_t head = atomic_load_explicit(&epoll->first, memory_order_acquire);
        const struct epoll_item *item;
        bool ready;

        if (head == 0) {
            return 0;
        }
        item = epoll_item_at(head - 1);
        if (head != asked && depth > 0 && item_instance(item) != ARENA_NONE) {
            settle(self, item_instance(item), depth - 1);
            asked = head;
        }
        epoll_lock(self, epoll);
        if (atomic_load_explicit(&epoll->first, memory_order_relaxed) != head) {
            lock_release(self, &epoll->lock);
            continue;
        }
        ready = (item_bits(item) & atomic_load(&item->events)) != 0;
        if (!ready) {
            list_begin_locked(epoll);
            pop_locked(epoll);
            list_end_locked(epoll);
        }
        lock_release(self, &epoll->lock);
        if (ready) {
            return POLLIN | POLLRDNORM;
        }
    }
    return 0;
}

void epoll_item_check(struct emu_task *self, uint32_t index, uint32_t generation)
{
    struct epoll_item *item = epoll_item_at(index);
    struct epoll *epoll = epoll_at(item->epoll);
    struct wake_list list;

    if (item_instance(item) != ARENA_NONE) {
        settle(self, item_instance(item), NESTS_MAX);
    }
    if (!(item_bits(item) & atomic_load(&item->events))) {
        return;
    }
    wake_list_init(&list);
    epoll_lock(self, epoll);
    if (atomic_load(&item->generation) == generation && atomic_load(&item->ready) == 0) {
        enlist_locked(epoll, index, &list);
    }
    lock_release(self, &epoll->lock);
    wake_list_flush(self, &list);
}

#define NEWS_MAX    16 /* words of placeholders taken at a time */
#define PEEK_ROUNDS 64

/*
 * Without the lock, for this may be asked under another instance's: the list is walked, and if it
 * was being changed meanwhile, walked again.
 */
uint32_t epoll_readiness(uint32_t index)
{
    struct epoll *epoll = epoll_at(index);

    for (int round = 0; round < PEEK_ROUNDS; round++) {
        uint32_t version = atomic_load_explicit(&epoll->version, memory_order_acquire);
        uint32_t at = atomic_load_explicit(&epoll->first, memory_order_acquire);
        bool ready = false;

        for (uint32_t i = 0; i < EMU_MAX_ITEMS && at != 0 && at <= EMU_MAX_ITEMS && !ready; i++) {
            const struct epoll_item *item = epoll_item_at(at - 1);
            uint32_t mask = atomic_load_explicit(&item->events, memory_order_relaxed);

            ready = (item_bits(item) & mask) != 0;
            at = atomic_load_explicit(&item->ready, memory_order_acquire);
        }
        if (ready) {
            return POLLIN | POLLRDNORM;
        }
        /* Who tells a level-triggered item has taken it out until it stands at the end again. */
        if (!atomic_load_explicit(&epoll->changing, memory_order_acquire) &&
            atomic_load_explicit(&epoll->version, memory_order_acquire) == version) {
            return 0;
        }
    }
    return POLLIN | POLLRDNORM; /* it changes all the time: something is going on there */
}

/* ---- epoll_wait ---- */

/* Tells one event at the next place of the guest's array. 0 or -EFAULT. */
static int tell(struct epoll_harvest *harvest, uint32_t bits, uint64_t data)
{
    struct epoll_event event = { .events = bits, .data.u64 = data };

    if (host_copy(&harvest->events[harvest->got], &event, sizeof event) < 0) {
        return -EFAULT;
    }
    harvest->got++;
    return 0;
}

/* Looks at the first item of the list and tells it if it is ready. 0 or -EFAULT. */
static int collect_first_locked(struct epoll *epoll, struct epoll_harvest *harvest)
{
    uint32_t index = pop_locked(epoll);
    struct epoll_item *item = epoll_item_at(index);
    uint32_t mask = atomic_load_explicit(&item->events, memory_order_relaxed);
    uint32_t bits = item_bits(item);

    if (EMU_UNLIKELY((bits & READINESS_HALF_NATIVE) ||
                     atomic_load_explicit(&description_at(item->watched)->native,
                                          memory_order_relaxed) == DESCRIPTION_HANDED_OVER)) {
        harvest->handed_over = description_at(item->watched); /* the kernel will tell it */
        harvest->handed_over_fd = item->fd;
        return 0;
    }
    bits &= mask;
    if (bits == 0) {
        return 0;
    }
    if (EMU_UNLIKELY(tell(harvest, bits, item->data) < 0)) {
        push_front_locked(epoll, index);
        return -EFAULT;
    }
    if (mask & EPOLLONESHOT) {
        atomic_store_explicit(&item->events, mask & EPOLL_PRIVATE, memory_order_relaxed);
    } else if (!(mask & EPOLLET)) {
        append_locked(epoll, index);
    }
    return 0;
}

/* Asks the instances among those that are about to be told, `max` at most: as Linux's look does. */
static void settle_inner(struct emu_task *self, struct epoll *epoll, int max)
{
    uint32_t at = atomic_load_explicit(&epoll->first, memory_order_acquire);

    for (uint32_t i = 0; i < EMU_MAX_ITEMS && at != 0 && at <= EMU_MAX_ITEMS && max > 0; i++) {
        const struct epoll_item *item = epoll_item_at(at - 1);

        if (item_instance(item) != ARENA_NONE) {
            settle(self, item_instance(item), NESTS_MAX);
        }
        max -= (item_bits(item) & atomic_load(&item->events)) != 0;
        at = atomic_load_explicit(&item->ready, memory_order_acquire);
    }
}

int epoll_collect(struct emu_task *self, struct epoll_harvest *harvest)
{
    struct epoll *epoll = epoll_at(harvest->set->epoll);
    uint32_t last;
    bool more;
    int rc = 0;

    if (atomic_load_explicit(&epoll->first, memory_order_acquire) == 0 || harvest->handed_over) {
        return 0; /* who appends now finds our waiter, or we look again before we sleep */
    }
    if (EMU_UNLIKELY(atomic_load_explicit(&epoll->nested, memory_order_relaxed))) {
        settle_inner(self, epoll, harvest->max - harvest->got);
    }
    epoll_lock(self, epoll);
    if (EMU_UNLIKELY(!epoll_lives(harvest->set))) {
        lock_release(self, &epoll->lock);
        return 0;
    }
    last = epoll->last;
    more = atomic_load_explicit(&epoll->first, memory_order_relaxed) != 0;
    if (more) {
        list_begin_locked(epoll);
    }
    while (more && harvest->got < harvest->max && rc == 0 && !harvest->handed_over) {
        more = atomic_load_explicit(&epoll->first, memory_order_relaxed) != last;
        rc = collect_first_locked(epoll, harvest);
    }
    if (atomic_load_explicit(&epoll->changing, memory_order_relaxed)) {
        list_end_locked(epoll);
    }
    lock_release(self, &epoll->lock);
    return rc < 0 && harvest->got == 0 ? rc : 0;
}

static void placeholder_news(struct emu_task *self, uint64_t word, uint32_t bits);

/* Takes what an instance's placeholder says where nothing but placeholders can say something. */
static void take_news(struct emu_task *self, uint32_t index, int fd)
{
    struct epoll_event news[NEWS_MAX];
    int count = NEWS_MAX;

    for (uint32_t round = 0; round < EMU_MAX_ITEMS && count == NEWS_MAX; round++) {
        count = epoll_take_news(self, epoll_at(index), fd, news, NEWS_MAX);
        for (int i = 0; i < count; i++) {
            if (news[i].data.u64 >> 48 == EPOLL_TAG) {
                placeholder_news(self, news[i].data.u64, news[i].events);
            }
        }
    }
}

/* An instance within says something: an event only if it isn't news of placeholders alone. */
static void instance_news(struct emu_task *self, uint32_t index, uint32_t generation)
{
    const struct epoll_item *item = epoll_item_at(index);
    uint32_t inner = description_at(item->watched)->epoll;
    int fd = fdtab_find(item->fd, item->watched);

    if (fd >= 0 && atomic_load(&epoll_at(inner)->real) == 0) {
        take_news(self, inner, fd);
    } else if (fd < 0 || real_bits(description_at(item->watched), fd)) {
        epoll_item_event(self, index, generation, POLLIN);
    }
}

/* What the kernel says of a placeholder: ask it, which tells all whom it concerns. */
static void placeholder_news(struct emu_task *self, uint64_t word, uint32_t bits)
{
    uint32_t index = (uint32_t)(word & (EMU_MAX_ITEMS - 1));
    uint32_t generation = (uint32_t)(word >> EPOLL_INDEX_BITS);
    struct epoll_item *item = epoll_item_at(index);
    struct description *watched = description_at(item->watched);
    struct description *peer;
    int fd;

    if (atomic_load(&item->generation) != generation || atomic_load(&item->state) != ITEM_LIVE) {
        return;
    }
    if (watched->kind == DESCRIPTION_EPOLL) {
        instance_news(self, index, generation);
        return;
    }
    if (watched->native) { /* a channel that was handed over */
        epoll_item_event(self, index, generation, POLLNVAL);
        return;
    }
    fd = fdtab_find(item->fd, item->watched);
    if (fd >= 0) {
        channel_ask(self, fd, watched);
        return;
    }
    peer = bits & (POLLHUP | POLLERR) ? description_peer(watched) : NULL;
    if (peer) {
        description_end(self, peer);
    }
}

/* Drops our own words from the `count` events that the kernel wrote behind `got`. 0 or -EFAULT. */
static int sift(struct emu_task *self, struct epoll_harvest *harvest, int count)
{
    struct epoll_event event;
    int first = harvest->got;

    for (int i = 0; i < count; i++) {
        if (host_copy(&event, &harvest->events[first + i], sizeof event) < 0) {
            return -EFAULT;
        }
        if (event.data.u64 >> 48 == EPOLL_TAG) {
            placeholder_news(self, event.data.u64, event.events);
        } else if (tell(harvest, event.events, event.data.u64) < 0) {
            return -EFAULT;
        }
    }
    return 0;
}

int epoll_collect_real(struct emu_task *self, struct epoll_harvest *harvest)
{
    int fd = fdtab_number(harvest->set_fd, description_index(harvest->set));
    const int before = harvest->got;
    uint32_t round = 0;
    int count;
    int rc;

    if (fd < 0 || harvest->got == harvest->max) {
        return 0;
    }
    if (atomic_load(&epoll_at(harvest->set->epoll)->real) == 0) {
        take_news(self, harvest->set->epoll, fd); /* none of it is for the guest's array */
        return 0;
    }
    do { /* a placeholder's word comes once: behind it may be what the guest waits for */
        count = host_epoll_take(fd, harvest->events + harvest->got, harvest->max - harvest->got);
        if (count <= 0) {
            return harvest->got > 0 ? 0 : count;
        }
        rc = sift(self, harvest, count);
    } while (rc == 0 && harvest->got == before && ++round < EMU_MAX_ITEMS);
    return rc;
}

void epoll_watch(const struct description *set, struct wait_set *wait)
{
    struct epoll *epoll = epoll_at(set->epoll);

    wait_set_add(wait, &epoll->lock, &epoll->waiters, &epoll->version,
                 atomic_load_explicit(&epoll->cpu, memory_order_relaxed), POLLIN | POLLRDNORM);
}

/* The same for the sets within: they show in the placeholder of this one. */
static void take_inner_news(struct emu_task *self, const struct description *set)
{
    uint32_t used = epoll_items_used();

    for (uint32_t i = 0; i < used; i++) {
        const struct epoll_item *item = epoll_item_at(i);
        const struct description *watched = description_at(item->watched);

        if (atomic_load(&item->state) == ITEM_LIVE && item->epoll == set->epoll &&
            watched->kind == DESCRIPTION_EPOLL && fdtab_get_any(item->fd) == watched &&
            atomic_load(&epoll_at(watched->epoll)->real) == 0) {
            take_news(self, watched->epoll, item->fd);
        }
    }
}

uint32_t epoll_instance_bits(struct emu_task *self, struct description *set, int fd, uint32_t real)
{
    if ((real & (POLLIN | POLLRDNORM)) && atomic_load(&epoll_at(set->epoll)->real) == 0) {
        take_news(self, set->epoll, fd);
        real &= ~(uint32_t)(POLLIN | POLLRDNORM);
    } else if (real & (POLLIN | POLLRDNORM)) {
        if (atomic_load(&epoll_at(set->epoll)->nested) != 0) {
            take_inner_news(self, set);
        }
        real &= real_bits(set, fd) | ~(uint32_t)(POLLIN | POLLRDNORM);
    }
    return real | settle(self, set->epoll, NESTS_MAX);
}
