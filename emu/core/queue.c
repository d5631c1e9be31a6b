/*
 * queue.c - see queue.h
 */
#include "queue.h"

#include "fault.h"

#include <poll.h>

#define EVERYBODY (POLLERR | POLLHUP | POLLNVAL | QUEUE_RECHECK)

static uint32_t offset_of(const void *place)
{
    return (uint32_t)((const char *)place - (const char *)arena);
}

static void *place_of(uint32_t offset)
{
    return (char *)arena + offset;
}

/* Requires: the lock. One store makes the waiter reachable. */
static void link_locked(struct wait_queue *queue, uint32_t index)
{
    struct waiter *waiter = waiter_at(index);
    _Atomic uint32_t *place = &queue->first;
    uint32_t at = atomic_load_explicit(place, memory_order_relaxed);

    if (!(waiter->events & WAITER_EXCLUSIVE)) {
        waiter->next = at;
        atomic_store_explicit(place, index + 1, memory_order_release);
        return;
    }
    waiter->next = 0;
    if (at == 0) {
        atomic_store_explicit(place, index + 1, memory_order_release);
        return;
    }
    for (uint32_t bound = 0; bound < EMU_MAX_WAITERS && waiter_at(at - 1)->next != 0; bound++) {
        at = waiter_at(at - 1)->next;
    }
    atomic_thread_fence(memory_order_release);
    waiter_at(at - 1)->next = index + 1;
}

uint32_t queue_register(struct emu_task *self, const struct waiter_plan *plan)
{
    uint32_t index = pool_take(&arena->header.waiters, arena->waiters_links, EMU_MAX_WAITERS);
    struct waiter *waiter;

    if (index == ARENA_NONE) {
        return ARENA_NONE;
    }
    waiter = waiter_at(index);
    /* First of all whose it is: from here on the sweep finds it. */
    atomic_store_explicit(&waiter->process, self->process->slot, memory_order_relaxed);
    atomic_store_explicit(&waiter->linked, 1 + plan->kind, memory_order_release);
    waiter->target = plan->target;
    waiter->events = plan->events;
    waiter->queue_offset = offset_of(plan->queue);
    waiter->lock_offset = offset_of(plan->lock);
    waiter->task_next = plan->link;
    lock_acquire(self, plan->lock);
    link_locked(plan->queue, index);
    lock_release(self, plan->lock);
    return index;
}

void queue_keep(uint32_t index)
{
    atomic_store_explicit(&waiter_at(index)->process, QUEUE_NOBODY, memory_order_release);
}

/* Takes a waiter out of its queue, if it is in it. */
static void unlink_waiter(struct emu_task *self, uint32_t index)
{
    struct waiter *waiter = waiter_at(index);
    struct wait_queue *queue = place_of(waiter->queue_offset);
    struct lock *lock = place_of(waiter->lock_offset);
    uint32_t at;

    lock_acquire(self, lock);
    at = atomic_load_explicit(&queue->first, memory_order_relaxed);
    if (at == index + 1) {
        atomic_store_explicit(&queue->first, waiter->next, memory_order_relaxed);
    } else {
        for (uint32_t bound = 0; at != 0 && bound < EMU_MAX_WAITERS; bound++) {
            struct waiter *before = waiter_at(at - 1);

            if (before->next == index + 1) {
                before->next = waiter->next;
                break;
            }
            at = before->next;
        }
    }
    lock_release(self, lock);
}

void queue_unregister(struct emu_task *self, uint32_t index)
{
    struct waiter *waiter = waiter_at(index);

    if (waiter->lock_offset != 0) { /* 0: it was never used before */
        unlink_waiter(self, index);
    }
    if (atomic_exchange(&waiter->linked, 0) != 0) {
        pool_give(&arena->header.waiters, arena->waiters_links, index);
    }
}

static uint32_t waiter_kind(const struct waiter *waiter)
{
    return atomic_load_explicit(&waiter->linked, memory_order_relaxed) - 1;
}

/* Notes one waiter, once; false: the list is full. */
static bool note(struct wake_list *list, const struct waiter *waiter, uint32_t events)
{
    uint32_t kind = waiter_kind(waiter);

    for (uint32_t i = 0; i < list->count; i++) {
        if (list->entries[i].target == waiter->target && list->entries[i].kind == kind) {
            list->entries[i].events |= events;
            return true;
        }
    }
    if (list->count == WAKE_LIST_MAX) {
        return false;
    }
    list->entries[list->count].kind = kind;
    list->entries[list->count].target = waiter->target;
    list->entries[list->count].generation = waiter->task_next;
    list->entries[list->count].events = events;
    list->count++;
    return true;
}

/* Whether some task sleeps in a receive: an owner isn't told then (SOCKWQ_ASYNC_WAITDATA). */
static uint32_t receives(const struct wait_queue *queue)
{
    uint32_t at = atomic_load_explicit(&queue->first, memory_order_relaxed);

    for (uint32_t bound = 0; at != 0 && bound < EMU_MAX_WAITERS; bound++) {
        if (waiter_at(at - 1)->events & WAITER_RECEIVES) {
            return WAITER_RECEIVES;
        }
        at = waiter_at(at - 1)->next;
    }
    return 0;
}

static void owe(struct wake_list *list, struct wait_queue *queue, struct waiter *waiter)
{
    waiter->events |= WAITER_OWED;
    if (list->owing > 0 && list->owed[list->owing - 1].queue == queue) {
        return;
    }
    EMU_ASSERT(list->owing < WAKE_QUEUES_MAX);
    list->owed[list->owing].queue = queue;
    list->owed[list->owing].lock = place_of(waiter->lock_offset);
    list->owing++;
}

void queue_notify_locked(struct wait_queue *queue, uint32_t events, struct wake_list *list)
{
    uint32_t at = atomic_load_explicit(&queue->first, memory_order_relaxed);
    uint32_t match = events & EVERYBODY ? events | ~WAITER_FLAGS : events;
    bool taken = false;

    for (uint32_t bound = 0; at != 0 && bound < EMU_MAX_WAITERS; bound++) {
        struct waiter *waiter = waiter_at(at - 1);
        bool exclusive = waiter->events & WAITER_EXCLUSIVE;
        uint32_t told;

        at = waiter->next;
        if (!(waiter->events & (match | WAITER_OWED)) || (exclusive && taken)) {
            continue;
        }
        /* A change of state wakes all: wake_up_interruptible_all(). */
        taken |= exclusive && !(events & EVERYBODY) && epoll_item_takes(waiter->target, events);
        waiter->events &= ~(uint32_t)WAITER_OWED;
        told = waiter->events & WAITER_ASYNC ? events | receives(queue) : events;
        if (EMU_UNLIKELY(!note(list, waiter, told))) {
            owe(list, queue, waiter);
        }
    }
}

static void tell(struct emu_task *self, struct wake_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        switch (list->entries[i].kind) {
        case WAITER_TASK: task_wake(list->entries[i].target); break;
        case WAITER_ITEM:
            epoll_item_event(self, list->entries[i].target, list->entries[i].generation,
                             list->entries[i].events);
            break;
        case WAITER_OWNER:
            async_event(self, list->entries[i].target, list->entries[i].generation,
                        list->entries[i].events);
            break;
        default: break; /* taken back meanwhile */
        }
    }
    list->count = 0;
}

/* Those of one queue that found no place: as many as the list holds. False: there were none. */
static bool collect_owed(struct emu_task *self, struct lock *lock, struct wait_queue *queue,
                         struct wake_list *list)
{
    uint32_t at;

    lock_acquire(self, lock);
    at = atomic_load_explicit(&queue->first, memory_order_relaxed);
    for (uint32_t bound = 0; at != 0 && bound < EMU_MAX_WAITERS; bound++) {
        struct waiter *waiter = waiter_at(at - 1);

        if ((waiter->events & WAITER_OWED) && note(list, waiter, UINT32_MAX)) {
            waiter->events &= ~(uint32_t)WAITER_OWED;
        }
        at = waiter->next;
    }
    lock_release(self, lock);
    return list->count > 0;
}

/* --faults: tasks are woken in any order. */
static void shuffle(struct emu_task *self, struct wake_list *list)
{
    for (uint32_t i = list->count; i > 1; i--) {
        uint32_t other = fault_below(self, i);
        struct wake_entry entry = list->entries[i - 1];

        if (entry.kind == WAITER_TASK && list->entries[other].kind == WAITER_TASK) {
            list->entries[i - 1] = list->entries[other];
            list->entries[other] = entry;
        }
    }
}

void wake_list_flush(struct emu_task *self, struct wake_list *list)
{
    if (list->count > 1 && fault_on(self)) {
        shuffle(self, list);
    }
    tell(self, list);
    for (uint32_t i = 0; i < list->owing; i++) {
        for (uint32_t bound = 0; bound < EMU_MAX_WAITERS; bound++) {
            if (!collect_owed(self, list->owed[i].lock, list->owed[i].queue, list)) {
                break;
            }
            tell(self, list);
        }
    }
    list->owing = 0;
}

uint32_t queue_count(void)
{
    uint32_t used = atomic_load_explicit(&arena->header.waiters.fresh, memory_order_acquire);
    uint32_t count = 0;

    for (uint32_t i = 0; i < used; i++) {
        count += atomic_load_explicit(&waiter_at(i)->linked, memory_order_relaxed) ==
                 1 + WAITER_TASK;
    }
    return count;
}

void queue_sweep_strays(struct emu_task *self, uint32_t process)
{
    uint32_t used = atomic_load_explicit(&arena->header.waiters.fresh, memory_order_acquire);

    for (uint32_t i = 0; i < used; i++) {
        struct waiter *waiter = waiter_at(i);

        if (atomic_load_explicit(&waiter->linked, memory_order_acquire) != 0 &&
            atomic_load_explicit(&waiter->process, memory_order_relaxed) == process) {
            queue_unregister(self, i);
        }
    }
}
