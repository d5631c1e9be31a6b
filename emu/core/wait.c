/*
 * wait.c - see wait.h
 */
#include "wait.h"

#include "host.h"

#include <errno.h>
#include <poll.h>

static struct waiter *waiter_at(uint32_t index)
{
    EMU_DEBUG_ASSERT(index < EMU_MAX_WAITERS);
    return (struct waiter *)arena->waiters + index;
}

static uint32_t offset_of(const void *place)
{
    return (uint32_t)((const char *)place - (const char *)arena);
}

static void *place_of(uint32_t offset)
{
    return (char *)arena + offset;
}

void wait_set_add(struct wait_set *set, struct lock *lock, struct wait_queue *queue,
                  const _Atomic uint32_t *version, int peer_cpu, uint32_t events)
{
    EMU_ASSERT(set->count < set->capacity);
    set->items[set->count++] = (struct wait_item){ lock, queue, version, peer_cpu, events };
}

/* Registers the task for one item. The waiter is whole before one store makes it reachable. */
static int register_item(struct emu_task *self, struct task_record *record,
                         const struct wait_item *item)
{
    uint32_t index = pool_take(&arena->header.waiters, arena->waiters_links, EMU_MAX_WAITERS);
    struct waiter *waiter;

    if (index == ARENA_NONE) {
        return -ENOMEM;
    }
    waiter = waiter_at(index);
    /* First of all whose it is: from here on the sweep finds it. */
    atomic_store_explicit(&waiter->process, self->process->slot, memory_order_relaxed);
    atomic_store_explicit(&waiter->linked, 1, memory_order_release);
    waiter->task = self->record - 1;
    waiter->events = item->events;
    waiter->queue_offset = offset_of(item->queue);
    waiter->lock_offset = offset_of(item->lock);
    waiter->task_next = atomic_load_explicit(&record->waiters, memory_order_relaxed);
    atomic_store_explicit(&record->waiters, index + 1, memory_order_release);

    lock_acquire(self, item->lock);
    waiter->next = atomic_load_explicit(&item->queue->first, memory_order_relaxed);
    atomic_store_explicit(&item->queue->first, index + 1, memory_order_release);
    lock_release(self, item->lock);
    return 0;
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

/* Takes back the task's newest waiters until `mark` is the newest. */
static void unregister_to(struct emu_task *self, struct task_record *record, uint32_t mark)
{
    for (uint32_t bound = 0; bound < EMU_MAX_WAITERS; bound++) {
        uint32_t newest = atomic_load_explicit(&record->waiters, memory_order_relaxed);
        struct waiter *waiter;

        if (newest == mark || newest == 0) {
            break;
        }
        waiter = waiter_at(newest - 1);
        unlink_waiter(self, newest - 1);
        atomic_store_explicit(&record->waiters, waiter->task_next, memory_order_release);
        atomic_store_explicit(&waiter->linked, 0, memory_order_release);
        pool_give(&arena->header.waiters, arena->waiters_links, newest - 1);
    }
}

void wait_clear(struct emu_task *self)
{
    if (self->record != 0) {
        unregister_to(self, task_at(self->record - 1), 0);
    }
    self->wait_frame = NULL;
    self->scratch_busy = false;
}

void emu_task_leave(struct emu_task *self)
{
    struct task_record *record;

    if (self->scratch) {
        host_memory_unmap(self->scratch, self->scratch_size);
        self->scratch = NULL;
        self->scratch_size = 0;
    }
    if (self->bell >= 0) {
        host_close(self->bell);
        self->bell = -1;
    }
    if (self->record == 0) {
        return;
    }
    wait_clear(self);
    record = task_at(self->record - 1);
    atomic_store_explicit(&record->state, TASK_FREE, memory_order_release);
    pool_give(&arena->header.tasks, arena->tasks_links, self->record - 1);
    self->record = 0;
}

void wait_notify_locked(struct wait_queue *queue, uint32_t events, struct wake_list *list)
{
    uint32_t at = atomic_load_explicit(&queue->first, memory_order_relaxed);

    if (events & (POLLERR | POLLHUP | POLLNVAL)) {
        events = UINT32_MAX;
    }
    for (uint32_t bound = 0; at != 0 && bound < EMU_MAX_WAITERS; bound++) {
        struct waiter *waiter = waiter_at(at - 1);

        if (waiter->events & events) {
            if (list->count < WAKE_LIST_MAX) {
                list->tasks[list->count++] = waiter->task;
            } else {
                task_wake(waiter->task);
            }
        }
        at = waiter->next;
    }
}

void wake_list_flush(struct wake_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        task_wake(list->tasks[i]);
    }
    list->count = 0;
}

/* Waiters of a dead process that hung on no task: it died while it made or freed them. */
static void sweep_strays(struct emu_task *self, uint32_t process)
{
    uint32_t used = atomic_load_explicit(&arena->header.waiters.fresh, memory_order_acquire);

    for (uint32_t i = 0; i < used; i++) {
        struct waiter *waiter = waiter_at(i);

        if (atomic_load_explicit(&waiter->linked, memory_order_acquire) &&
            atomic_load_explicit(&waiter->process, memory_order_relaxed) == process) {
            if (waiter->lock_offset != 0) { /* 0: it was never used before */
                unlink_waiter(self, i);
            }
            atomic_store_explicit(&waiter->linked, 0, memory_order_release);
            pool_give(&arena->header.waiters, arena->waiters_links, i);
        }
    }
}

void wait_sweep(struct emu_task *self, uint32_t process)
{
    uint32_t tasks = atomic_load_explicit(&arena->header.tasks.fresh, memory_order_acquire);

    for (uint32_t i = 0; i < tasks; i++) {
        struct task_record *record = task_at(i);

        uint32_t live = TASK_LIVE;

        if (atomic_load_explicit(&record->process, memory_order_relaxed) == process &&
            atomic_compare_exchange_strong(&record->state, &live, TASK_SWEPT)) {
            unregister_to(self, record, 0);
            atomic_store_explicit(&record->state, TASK_FREE, memory_order_release);
            pool_give(&arena->header.tasks, arena->tasks_links, i);
        }
    }
    sweep_strays(self, process);
}

uint32_t wait_count(void)
{
    uint32_t used = atomic_load_explicit(&arena->header.waiters.fresh, memory_order_acquire);
    uint32_t count = 0;

    for (uint32_t i = 0; i < used; i++) {
        count += atomic_load_explicit(&waiter_at(i)->linked, memory_order_relaxed);
    }
    return count;
}

static bool any_changed(const struct wait_set *set, const uint32_t *seen)
{
    for (uint32_t i = 0; i < set->count; i++) {
        if (atomic_load_explicit(set->items[i].version, memory_order_relaxed) != seen[i]) {
            return true;
        }
    }
    return false;
}

#define SPIN_ITEMS    4    /* more objects than this and a spin isn't worth its look-ups */
#define SPIN_FLOOR_NS 1000 /* how far failures shorten it; a full one is tried now and then */

/*
 * Looks at the objects for a short while before the task bothers the kernel: a peer that runs on
 * another CPU often answers within microseconds (the wake of an idle CPU costs
 * 6 to 20). On the same CPU a spin could only keep
 * the peer from running; one yield lets it.
 * Returns true when something changed.
 */
static bool spin(struct emu_task *self, const struct wait_set *set)
{
    uint32_t seen[SPIN_ITEMS];
    bool elsewhere = false;
    int cpu = host_cpu();
    uint64_t end;

    if (set->count == 0 || set->count > SPIN_ITEMS || cpu < 0) {
        return false;
    }
    for (uint32_t i = 0; i < set->count; i++) {
        seen[i] = atomic_load_explicit(set->items[i].version, memory_order_relaxed);
        elsewhere |= set->items[i].peer_cpu >= 0 && set->items[i].peer_cpu != cpu;
    }
    if (!elsewhere) {
        host_yield();
        return any_changed(set, seen);
    }
    if (++self->spins % 16 == 0) {
        self->spin_ns = EMU_SPIN_NS;
    }
    end = host_now_ns() + self->spin_ns;
    do {
        for (int i = 0; i < 16; i++) {
            if (any_changed(set, seen)) {
                self->spin_ns = EMU_SPIN_NS;
                return true;
            }
            __builtin_ia32_pause();
        }
    } while (host_now_ns() < end);
    self->spin_ns = self->spin_ns / 2 > SPIN_FLOOR_NS ? self->spin_ns / 2 : SPIN_FLOOR_NS;
    return false;
}

/* The sleep itself: handlers may run from here on, so those put off run first. */
static int64_t sleep_now(struct emu_task *self, struct task_record *record, uint32_t expected,
                         uint64_t deadline_ns, const struct wait_request *request)
{
    int critical = self->critical;
    int64_t rc = 0;

    atomic_store(&record->sleeping, 1);
    self->critical = 0;
    if (self->signals_put_off && self->process->deliver) {
        self->process->deliver(self);
    }
    if (request->sleep) {
        rc = request->sleep(self, record, expected, deadline_ns, request->op);
    } else if (self->process->sleep) {
        rc = self->process->sleep(self, &record->wake, expected, deadline_ns);
    } else {
        rc = host_futex_wait(&record->wake, expected, deadline_ns);
    }
    self->critical = critical;
    atomic_store_explicit(&record->sleeping, 0, memory_order_relaxed);
    return rc;
}

/* What a blocked call must undo however it ends: return, exception, cancellation. */
struct wait_guard {
    struct emu_task *self;
    struct task_record *record;
    uint32_t mark;
    int critical;
    const void *frame;
    bool returned; /* false when the stack is unwound: the call ends and handlers may run again */
};

static void guard_undo(struct wait_guard *guard)
{
    struct emu_task *self = guard->self;

    self->critical = guard->returned ? guard->critical : 0;
    atomic_store_explicit(&guard->record->sleeping, 0, memory_order_relaxed);
    unregister_to(self, guard->record, guard->mark);
    self->wait_frame = guard->frame;
}

/*
 * The soonest of the call's deadline and the next time to ask the placeholders. Where somebody may
 * die unseen that is often; else ever more rarely, for bytes that come past the shim while we
 * sleep.
 */
static uint64_t next_wake_up(const struct wait_request *request, uint32_t round)
{
    bool unseen = request->set->shared &&
                  (atomic_load_explicit(&arena->header.watcher, memory_order_relaxed) == 0 ||
                   atomic_load_explicit(&arena->header.orphans, memory_order_relaxed) != 0);
    uint64_t ask = EMU_ASK_FIRST_NS << base_min_u32(2 * round, 20);

    ask = host_now_ns() + base_min_u64(ask, unseen ? EMU_ASK_UNSEEN_NS : EMU_ASK_RARELY_NS);
    return request->deadline_ns ? base_min_u64(ask, request->deadline_ns) : ask;
}

static int register_all(struct emu_task *self, struct task_record *record,
                        const struct wait_set *set)
{
    int rc = 0;

    for (uint32_t i = 0; i < set->count && rc == 0; i++) {
        rc = register_item(self, record, &set->items[i]);
    }
    return rc;
}

/* Why a blocked call ends although its try would go on: 0 when it doesn't. */
static int64_t reason_to_end(struct emu_task *self, const struct wait_request *request,
                             uint32_t interrupts, uint32_t interrupts_final)
{
    if (self->interrupts != interrupts &&
        (!request->restarts || self->interrupts_final != interrupts_final ||
         (request->done && *request->done > 0))) {
        return -EINTR;
    }
    if (request->deadline_ns && host_now_ns() >= request->deadline_ns) {
        return -ETIMEDOUT;
    }
    return 0;
}

/* One round of register, try again, sleep. WAIT_BLOCK: go on. */
static int64_t wait_once(struct emu_task *self, struct task_record *record,
                         const struct wait_request *request, uint32_t round)
{
    struct wait_guard guard __attribute__((unused, cleanup(guard_undo))) = {
        self,
        record,
        atomic_load_explicit(&record->waiters, memory_order_relaxed),
        self->critical,
        self->wait_frame,
        false
    };
    uint32_t wake = atomic_load(&record->wake);
    int64_t result;

    self->wait_frame = __builtin_frame_address(0);
    result = register_all(self, record, request->set);
    if (result < 0) {
        guard.returned = true;
        return result;
    }
    request->set->count = 0;
    request->set->shared = false;
    result = request->try(self, request->op, request->set, true);
    if (result != WAIT_BLOCK) {
        guard.returned = true;
        return result;
    }
    result = sleep_now(self, record, wake, next_wake_up(request, round), request);
    guard.returned = true;
    return result == -EDEADLK ? result : WAIT_BLOCK;
}

int64_t wait_run(struct emu_task *self, const struct wait_request *request)
{
    uint32_t interrupts = self->interrupts;
    uint32_t interrupts_final = self->interrupts_final;
    struct task_record *record = NULL;
    int64_t result;

    for (uint32_t round = 0; round < EMU_WAIT_LIMIT; round++) {
        request->set->count = 0;
        request->set->shared = false;
        result = request->try(self, request->op, request->set, false);
        if (result != WAIT_BLOCK) {
            return result;
        }
        result = reason_to_end(self, request, interrupts, interrupts_final);
        if (result != 0) {
            return result;
        }
        if (round == 0 && spin(self, request->set)) {
            continue;
        }
        record = task_record(self);
        if (!record) {
            return -ENOMEM;
        }
        result = wait_once(self, record, request, round);
        if (result != WAIT_BLOCK) {
            return result;
        }
    }
    EMU_ASSERT(!"a blocked call went round for ever");
    return -EINTR;
}
