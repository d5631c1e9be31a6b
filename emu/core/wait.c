/*
 * wait.c - see wait.h
 */
#include "wait.h"

#include "fault.h"
#include "host.h"
#include "vigil.h"

#include <errno.h>

void wait_set_add(struct wait_set *set, struct lock *lock, struct wait_queue *queue,
                  const _Atomic uint32_t *version, int peer_cpu, uint32_t events)
{
    EMU_ASSERT(set->count < set->capacity);
    set->items[set->count++] = (struct wait_item){
        lock, queue, version, atomic_load_explicit(version, memory_order_relaxed), events, peer_cpu
    };
}

void wait_set_watch(struct wait_set *set, int fd, short events)
{
    if (fd >= 0 && set->fds) {
        EMU_ASSERT(set->fd_count < set->fd_capacity);
        set->fds[set->fd_count++] = (struct pollfd){ fd, events, 0 };
    }
}

/* Registers the task for one item. */
static int register_item(struct emu_task *self, struct task_record *record,
                         const struct wait_item *item)
{
    const struct waiter_plan plan = {
        .kind = WAITER_TASK,
        .target = self->record - 1,
        .link = atomic_load_explicit(&record->waiters, memory_order_relaxed),
        .events = item->events,
        .lock = item->lock,
        .queue = item->queue,
    };
    uint32_t index = queue_register(self, &plan);

    if (index == ARENA_NONE) {
        return -ENOMEM;
    }
    atomic_store_explicit(&record->waiters, index + 1, memory_order_release);
    return 0;
}

/* Takes back the task's newest waiters until `mark` is the newest. */
static void unregister_to(struct emu_task *self, struct task_record *record, uint32_t mark)
{
    for (uint32_t bound = 0; bound < EMU_MAX_WAITERS; bound++) {
        uint32_t newest = atomic_load_explicit(&record->waiters, memory_order_relaxed);

        if (newest == mark || newest == 0) {
            break;
        }
        /* Off the task first: who is killed in between leaves a stray, never one freed twice. */
        atomic_store_explicit(&record->waiters, waiter_at(newest - 1)->task_next,
                              memory_order_release);
        queue_unregister(self, newest - 1);
    }
}

void wait_clear(struct emu_task *self)
{
    if (self->record != 0) {
        task_sleep_end(task_at(self->record - 1));
        bell_leave(&task_at(self->record - 1)->bell);
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
    if (self->pins && self->pins_count == 0) {
        host_memory_unmap(self->pins, self->pins_size);
        self->pins = NULL;
        self->pins_size = 0;
    }
    if (self->inject_counts) {
        host_memory_unmap(self->inject_counts, EMU_INJECT_COUNTS);
        self->inject_counts = NULL;
    }
    atomic_fetch_sub_explicit(&self->process->tasks, 1, memory_order_relaxed);
    if (self->record == 0) {
        return;
    }
    wait_clear(self);
    record = task_at(self->record - 1);
    bell_close(self, &record->bell);
    atomic_store_explicit(&record->state, TASK_FREE, memory_order_release);
    pool_give(&arena->header.tasks, arena->tasks_links, self->record - 1);
    self->record = 0;
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
    queue_sweep_strays(self, process);
}

static bool any_changed(const struct wait_set *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        if (atomic_load_explicit(set->items[i].version, memory_order_relaxed) !=
            set->items[i].seen) {
            return true;
        }
    }
    return false;
}

/* Whether the other side of some item last ran on another CPU. */
static bool any_elsewhere(const struct wait_set *set, int cpu)
{
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->items[i].peer_cpu >= 0 && set->items[i].peer_cpu != cpu) {
            return true;
        }
    }
    return false;
}

#define SPIN_FLOOR_NS 1000 /* how far failures shorten it; a full one is tried now and then */
#define SPIN_ITEM_NS  40   /* what it costs to register one item and to take it back */

/*
 * Looks at the objects for a short while before the task bothers the kernel: a peer that runs on
 * another CPU often answers within microseconds (the wake of an idle CPU costs 6 to 20). Where much
 * would have to be registered it looks for about as long as that takes. On the same CPU a spin
 * could only keep the peer from running; one yield lets it.
 * Returns true when something changed.
 */
static bool spin(struct emu_task *self, const struct wait_set *set)
{
    uint64_t register_ns = base_min_u64((uint64_t)set->count * SPIN_ITEM_NS, 4 * EMU_SPIN_NS);
    int looks = set->count < 16 ? 16 : 1; /* between two glances at the clock */
    int cpu = host_cpu();
    uint64_t end;

    if (set->count == 0 || cpu < 0) {
        return false;
    }
    if (!any_elsewhere(set, cpu)) {
        host_yield();
        return any_changed(set);
    }
    if (++self->spins % 16 == 0) {
        self->spin_ns = EMU_SPIN_NS;
    }
    if (register_ns < EMU_SPIN_NS) {
        register_ns = EMU_SPIN_NS;
    }
    end = host_now_ns() + register_ns * self->spin_ns / EMU_SPIN_NS;
    do {
        for (int i = 0; i < looks; i++) {
            if (any_changed(set)) {
                self->spin_ns = EMU_SPIN_NS;
                return true;
            }
            __builtin_ia32_pause();
        }
    } while (host_now_ns() < end);
    self->spin_ns = self->spin_ns / 2 > SPIN_FLOOR_NS ? self->spin_ns / 2 : SPIN_FLOOR_NS;
    return false;
}

/* On the wake word. */
static int64_t sleep_short(struct emu_task *self, struct task_record *record, uint32_t expected,
                           uint64_t deadline_ns, const sigset_t *mask)
{
    sigset_t old;
    int64_t rc;

    if (EMU_UNLIKELY(mask)) {
        host_sigmask(mask, &old); /* a signal let in here changes the wake word */
    }
    rc = self->process->sleep ? self->process->sleep(self, &record->wake, expected, deadline_ns)
                              : host_futex_wait(&record->wake, expected, deadline_ns);
    if (EMU_UNLIKELY(mask)) {
        host_sigmask(&old, NULL);
    }
    return rc;
}

/* When the sleep ends, whether the call does then or is only tried again; 0: never. */
static uint64_t sleep_deadline_ns(const struct wait_request *request)
{
    uint64_t until = request->set->until_ns;

    if (EMU_LIKELY(until == 0) || (request->deadline_ns && request->deadline_ns < until)) {
        return request->deadline_ns;
    }
    return until;
}

/* In poll. */
static int64_t sleep_deep(struct emu_task *self, struct task_record *record, uint32_t expected,
                          const struct wait_request *request)
{
    const struct bell_wait wait = {
        .word = &record->wake,
        .expected = expected,
        .fds = request->set->fds,
        .count = request->set->fd_count,
        .deadline_ns = sleep_deadline_ns(request),
        .mask = request->mask,
        .also = vigil_number(),
    };
    struct pollfd *also = &wait.fds[wait.count + BELL_ROOM - 1];
    int64_t rc;

    also->revents = 0;
    rc = bell_sleep(self, &record->bell, &wait);
    if (EMU_UNLIKELY(also->revents != 0)) {
        vigil_alarm(wait.also);
    }
    return rc;
}

/* A user that runs virtual tasks goes to the kernel for real descriptors only. */
static bool is_virtual(const struct emu_task *self)
{
    return self->process->is_virtual || (self->process->sleep && !self->process->poll);
}

/* Until when a sleep on the wake word may last; what sleeps longer goes on in poll. */
static uint64_t short_deadline_ns(const struct emu_task *self, const struct wait_request *request)
{
    uint64_t ask = request->set->deep ? EMU_DEAF_NS : EMU_ASK_FIRST_NS;
    uint64_t deadline = sleep_deadline_ns(request);

    if (!request->set->fds || is_virtual(self)) {
        return deadline; /* there is nothing to ask, or nobody to hear the answer */
    }
    ask += host_now_ns();
    return deadline ? base_min_u64(ask, deadline) : ask;
}

/* Whether the next sleep is to be in poll, and not on the wake word. */
static bool goes_deep(const struct emu_task *self, const struct wait_request *request)
{
    /* A mask is in force as long as poll lasts; changed around a futex it would let things in. */
    return request->set->real ||
           ((request->mask || (request->set->deep && request->set->fd_count)) && !is_virtual(self));
}

/* One sleep, where it belongs. */
static int64_t sleep_somewhere(struct emu_task *self, struct task_record *record, uint32_t expected,
                               const struct wait_request *request)
{
    struct wait_set *set = request->set;
    int64_t rc;

    if (goes_deep(self, request) &&
        (set->real || request->mask || bell_ready(self, &record->bell))) {
        set->deep = true; /* what has ended it may lie at a placeholder */
        return sleep_deep(self, record, expected, request);
    }
    rc = sleep_short(self, record, expected, short_deadline_ns(self, request), request->mask);
    set->deep |= rc == -ETIMEDOUT;
    return rc;
}

/* A watcher that looks for deadlocks learns that somebody sleeps; once, until it has looked. */
static void tell_watcher(void)
{
    uint32_t watched = SLEEPS_WATCHED;

    if (atomic_load_explicit(&arena->header.sleeps, memory_order_relaxed) == watched &&
        atomic_compare_exchange_strong(&arena->header.sleeps, &watched, SLEEPS_NEW)) {
        host_ring_other(atomic_load(&arena->header.watcher),
                        atomic_load(&arena->header.watcher_bell),
                        atomic_load(&arena->header.watcher_object));
    }
}

/* The sleep itself: handlers may run from here on, so those put off run first. */
static int64_t sleep_now(struct emu_task *self, struct task_record *record, uint32_t expected,
                         const struct wait_request *request)
{
    int critical = self->critical;
    int64_t rc;

    if (goes_deep(self, request)) {
        vigil_keep(self);
        tell_watcher();
    }
    self->sleeps++;
    atomic_store(&record->sleeping, 1);
    self->critical = 0;
    if (self->signals_put_off && self->process->deliver) {
        self->process->deliver(self);
    }
    rc = sleep_somewhere(self, record, expected, request);
    self->critical = critical;
    atomic_store_explicit(&record->sleeping, 0, memory_order_relaxed);
    return rc;
}

/* A call that the kernel blocks in is known by its frame, too: what it pinned outlives a jump. */
struct kernel_guard {
    struct emu_task *self;
    const void *frame;
};

static void kernel_guard_undo(struct kernel_guard *guard)
{
    guard->self->wait_frame = guard->frame;
}

int64_t wait_in_kernel(struct emu_task *self, long number, const long arguments[6])
{
    struct kernel_guard guard
        __attribute__((unused, cleanup(kernel_guard_undo))) = { self, self->wait_frame };
    int critical = self->critical;
    int64_t rc;

    self->wait_frame = __builtin_frame_address(0);
    self->sleeps++;
    self->critical = 0; /* and so it stays when the call is left by a jump or an exception */
    if (self->signals_put_off && self->process->deliver) {
        self->process->deliver(self);
    }
    rc = self->process->call ? self->process->call(self, number, arguments)
                             : host_syscall(number, arguments[0], arguments[1], arguments[2],
                                            arguments[3], arguments[4], arguments[5]);
    self->critical = critical;
    return rc;
}

/* What a blocked call must undo however it ends: return, exception, cancellation. */
struct wait_guard {
    struct emu_task *self;
    struct task_record *record;
    uint32_t mark;
    int critical;
    const void *frame;
    uint32_t sleep_word;
    bool interrupted;
    bool returned; /* false when the stack is unwound: the call ends and handlers may run again */
};

static void guard_undo(struct wait_guard *guard)
{
    struct emu_task *self = guard->self;

    self->critical = guard->returned ? guard->critical : 0;
    if (!guard->returned) {
        bell_leave(&guard->record->bell);
    }
    task_sleep_end(guard->record);
    atomic_store_explicit(&guard->record->sleeping, 0, memory_order_relaxed);
    unregister_to(self, guard->record, guard->mark);
    self->wait_frame = guard->frame;
    self->sleep_word = guard->sleep_word;
    self->interrupted = guard->interrupted;
}

static void empty(struct wait_set *set)
{
    set->count = 0;
    set->fd_count = 0;
    set->real = false;
}

/* A sleep that couldn't be: the call would go round without ever sleeping. */
static bool is_failure(int64_t rc)
{
    return rc < 0 && rc != -EINTR && rc != -ETIMEDOUT && rc != -EAGAIN;
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

/* Says in the record what the task is about to sleep for. */
static void note_sleep(struct emu_task *self, struct task_record *record,
                       const struct wait_request *request, uint64_t *since_ns)
{
    struct task_sleep sleep = { .timeout_ns = -1 };

    if (*since_ns == 0) {
        *since_ns = host_now_ns();
    }
    if (request->describe) {
        request->describe(request->op, request->set, &sleep);
    }
    sleep.since_ns = *since_ns;
    sleep.outside = request->set->real;
    sleep.frame = (uintptr_t)self->wait_frame;
    task_sleep_begin(record, &sleep);
}

/*
 * One round of register, try again, sleep. WAIT_BLOCK: go on. -EINTR: a handler has run, and before
 * it nothing had happened; what the handler did doesn't count, since Linux decides before it runs a
 * handler. *since_ns is when the call slept first, 0 before.
 */
static int64_t wait_once(struct emu_task *self, struct task_record *record,
                         const struct wait_request *request, uint64_t *since_ns)
{
    struct wait_guard guard
        __attribute__((unused, cleanup(guard_undo))) = { self,
                                                         record,
                                                         atomic_load_explicit(&record->waiters,
                                                                              memory_order_relaxed),
                                                         self->critical,
                                                         self->wait_frame,
                                                         self->sleep_word,
                                                         self->interrupted,
                                                         false };
    uint32_t wake = atomic_load(&record->wake);
    int64_t result;

    self->sleep_word = wake;
    self->interrupted = false;

    self->wait_frame = __builtin_frame_address(0);
    result = register_all(self, record, request->set);
    if (result < 0) {
        guard.returned = true;
        return result;
    }
    empty(request->set);
    result = request->try(self, request->op, request->set, true);
    if (result != WAIT_BLOCK) {
        guard.returned = true;
        return result;
    }
    note_sleep(self, record, request, since_ns);
    result = sleep_now(self, record, wake, request);
    guard.returned = true;
    if (is_failure(result)) {
        return result;
    }
    return self->interrupted && result != 0 ? -EINTR : WAIT_BLOCK;
}

/* SA_RESTART doesn't let a call go on that has moved something: it ends with that. */
static bool is_interrupted_by_fault(struct emu_task *self, const struct wait_request *request)
{
    bool moved = request->done && *request->done > 0;

    return fault_interrupt(self, request->restarts && !moved);
}

/* A handler has run since `*seen`, and the call goes on. Returns 0, or what it ends with. */
static int64_t look_again(const struct emu_task *self, const struct wait_request *request,
                          uint32_t *seen)
{
    if (EMU_LIKELY(self->interrupts == *seen)) {
        return 0;
    }
    *seen = self->interrupts;
    return request->again ? request->again(self, request->op) : 0;
}

int64_t wait_run(struct emu_task *self, const struct wait_request *request)
{
    uint32_t interrupts = self->interrupts;
    uint32_t looked = interrupts;
    uint32_t interrupts_final = self->interrupts_final;
    struct task_record *record = NULL;
    uint64_t since_ns = 0;
    int64_t result;

    request->set->deep = request->mask != NULL;
    for (uint32_t round = 0; round < EMU_WAIT_LIMIT; round++) {
        empty(request->set);
        request->set->until_ns =
            EMU_UNLIKELY(atomic_load_explicit(&arena->header.unanswered, memory_order_relaxed) != 0)
                ? vsock_expire(self)
                : 0;
        result = request->try(self, request->op, request->set, false);
        if (result != WAIT_BLOCK) {
            return result;
        }
        result = reason_to_end(self, request, interrupts, interrupts_final);
        if (result == 0) { /* also when a handler came at once with a wake-up for nothing */
            result = look_again(self, request, &looked);
        }
        if (result != 0) {
            return result;
        }
        if (round == 0 && !is_virtual(self) && spin(self, request->set)) {
            continue;
        }
        if (fault_on(self) && round == 0 && is_interrupted_by_fault(self, request)) {
            return -EINTR;
        }
        record = task_record(self);
        if (!record) {
            return -ENOMEM;
        }
        result = wait_once(self, record, request, &since_ns);
        if (result == -EINTR) {
            result = reason_to_end(self, request, interrupts, interrupts_final);
            if (result == 0) {
                result = look_again(self, request, &looked);
            }
            result = result == 0 ? WAIT_BLOCK : result;
            interrupts = self->interrupts; /* where it goes on, it has begun anew (ERESTARTSYS) */
            if (result == WAIT_BLOCK) {
                self->interrupts_anew = interrupts;
            }
        }
        if (result != WAIT_BLOCK) {
            return result;
        }
        if (fault_on(self)) {
            fault_late(self);
        }
    }
    EMU_ASSERT(!"a blocked call went round for ever");
    return -EINTR;
}
