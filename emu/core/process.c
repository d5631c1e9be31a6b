/*
 * process.c - see process.h: joining, fork, spawn, exec, death
 */
#include "process.h"

#include "epoll.h"
#include "passage.h"
#include "rights.h"
#include "verify.h"

#include <errno.h>
#include <sys/syscall.h>

#define SLOT_NONE ARENA_NONE

static uint32_t slots_used(void)
{
    return atomic_load_explicit(&arena->header.processes.fresh, memory_order_acquire);
}

static uint32_t descriptions_used(void)
{
    return atomic_load_explicit(&arena->header.descriptions.fresh, memory_order_acquire);
}

static uint32_t find_slot(int32_t pid)
{
    uint32_t used = slots_used();

    for (uint32_t slot = 0; slot < used; slot++) {
        struct process_record *record = process_at(slot);

        if (PROCESS_KIND(atomic_load(&record->state)) != PROCESS_FREE &&
            atomic_load(&record->pid) == pid) {
            return slot;
        }
    }
    return SLOT_NONE;
}

/*
 * A fresh, expected record. pid 0 is a child that isn't born yet, which `parent` expects:
 * everything that tells a sweep so is written before the record is anything but free.
 */
static uint32_t make_slot(int32_t pid, const struct emu_process *parent)
{
    uint32_t slot = pool_take(&arena->header.processes, arena->processes_links, EMU_MAX_PROCESSES);
    struct process_record *record;

    if (slot == ARENA_NONE) {
        return SLOT_NONE;
    }
    record = process_at(slot);
    if (pid ==
        0) { /* unborn: a number of its own, so that a late emu_fork_parent() can't miss it */
        pid = -(int32_t)(atomic_fetch_add(&arena->header.unborn, 1) % INT32_MAX) - 1;
    }
    atomic_store(&record->pid, pid);
    atomic_store(&record->start, 0);
    record->parent_pid = parent ? parent->pid : 0;
    atomic_store(&record->cid, parent ? parent->cid : 0);
    record->parent_start = parent ? atomic_load(&process_at(parent->slot)->start) : 0;
    atomic_store(&record->state,
                 PROCESS_GENERATION(atomic_load(&record->state) + 0x100000u) | PROCESS_EXPECTED);
    return slot;
}

/* Moves a record that is ours, or whose lock we hold, on. */
static void set_kind(uint32_t slot, uint32_t kind)
{
    struct process_record *record = process_at(slot);

    atomic_store(&record->state, PROCESS_GENERATION(atomic_load(&record->state)) | kind);
}

/* Clears the slot's bit wherever it stands, and wakes who waits there. */
static void drop_all(struct emu_task *self, uint32_t slot)
{
    uint32_t used = descriptions_used();

    for (uint32_t i = 0; i < used; i++) {
        struct description *description = description_at(i);

        if (atomic_load(&description->state) == DESCRIPTION_LIVE &&
            description_held_by(description, slot)) {
            description_wake(self, description, QUEUE_RECHECK);
            description_drop(self, i, slot);
        }
    }
}

static void free_slot(uint32_t slot)
{
    atomic_store(&process_at(slot)->pid, 0);
    set_kind(slot, PROCESS_FREE);
    pool_give(&arena->header.processes, arena->processes_links, slot);
}

static bool slot_is_dead(uint32_t slot);

/*
 * No such process, or a zombie. Where /proc shows nothing (after a chroot), or not this one
 * (hidepid), one that takes signals lives.
 */
static bool is_gone(int32_t pid)
{
    int64_t rc;

    if (host_process_start(pid) != 0) {
        return false;
    }
    rc = host_syscall(SYS_tgkill, pid, pid, 0, 0, 0, 0);
    return rc == -ESRCH || (rc == 0 && host_process_start(host_getpid()) != 0);
}

/* Slot 0 is the watcher (sockrig run), which is no member. */
static bool sweeper_is_dead(uint32_t slot)
{
    int32_t watcher = atomic_load(&arena->header.watcher);

    if (slot != 0) { /* a record that is free: it was swept itself, in the middle of the sweep */
        return PROCESS_KIND(atomic_load(&process_at(slot)->state)) == PROCESS_FREE ||
               slot_is_dead(slot);
    }
    return watcher != 0 && is_gone(watcher);
}

/*
 * Makes this process the sweeper of the record, as it was when it was found dead (`seen`). False:
 * it is free again, or somebody else who lives is at it.
 */
static bool claim_sweep(const struct emu_task *self, uint32_t slot, uint32_t seen)
{
    uint32_t mine = PROCESS_GENERATION(seen) | self->process->slot << 8 | PROCESS_SWEPT;

    if (PROCESS_KIND(seen) == PROCESS_FREE) {
        return false;
    }
    if (PROCESS_KIND(seen) == PROCESS_SWEPT &&
        (PROCESS_SWEEPER(seen) == self->process->slot || !sweeper_is_dead(PROCESS_SWEEPER(seen)))) {
        return false;
    }
    return atomic_compare_exchange_strong(&process_at(slot)->state, &seen, mine);
}

static void sweep_slot(struct emu_task *self, uint32_t slot, uint32_t seen)
{
    if (!claim_sweep(self, slot, seen)) {
        return;
    }
    passage_sweep(self);
    wait_sweep(self, slot);
    drop_all(self, slot);
    rights_sweep(self, slot);
    description_sweep(self, slot);
    free_slot(slot);
}

/* The record's process is gone, or its pid belongs to another one by now. */
static bool slot_is_dead(uint32_t slot)
{
    struct process_record *record = process_at(slot);
    int32_t pid = atomic_load(&record->pid);
    uint64_t start = atomic_load(&record->start);
    uint64_t now;

    if (PROCESS_KIND(atomic_load(&record->state)) == PROCESS_FREE) {
        return false;
    }
    if (pid <= 0) { /* expected by fork's parent, who fills it in at once unless it is killed */
        pid = record->parent_pid;
        start = record->parent_start;
        if (pid == 0) {
            return false;
        }
    }
    now = host_process_start(pid);
    return now == 0 ? is_gone(pid) : start != 0 && now != start;
}

void process_ring_watcher(void)
{
    int32_t watcher = atomic_load(&arena->header.watcher);

    if (watcher != 0) {
        host_ring_other(watcher, atomic_load(&arena->header.watcher_bell),
                        atomic_load(&arena->header.watcher_object));
    }
}

static void announce(void)
{
    atomic_fetch_add(&arena->header.changes, 1);
    process_ring_watcher();
}

/* What was asked for, else what the image before, or the parent, said; else the host. */
static void take_cid(struct emu_process *process, uint32_t slot)
{
    uint32_t known = atomic_load(&process_at(slot)->cid);

    if (process->cid == 0) {
        process->cid = known != 0 ? known : EMU_CID_HOST;
    }
    atomic_store(&process_at(slot)->cid, process->cid);
}

bool emu_process_set_cid(struct emu_task *self, uint32_t cid)
{
    if (cid < EMU_CID_HOST || cid == UINT32_MAX) {
        return false;
    }
    self->process->cid = cid;
    if (self->process->slot != 0) {
        atomic_store(&process_at(self->process->slot)->cid, cid);
    }
    return true;
}

uint32_t emu_process_cid(const struct emu_task *self)
{
    return self->process->cid != 0 ? self->process->cid : EMU_CID_HOST;
}

int emu_process_join(struct emu_process *process, struct emu_task *self)
{
    int32_t pid = host_getpid();
    uint64_t start = host_process_start(pid);
    uint32_t slot = find_slot(pid);
    uint32_t seen = slot == SLOT_NONE ? 0 : atomic_load(&process_at(slot)->state);

    fdtab_thaw_child(); /* the table may be a copy of one that another process froze */
    if (slot != SLOT_NONE && start != 0 && atomic_load(&process_at(slot)->start) != 0 &&
        atomic_load(&process_at(slot)->start) != start) {
        self->process = process;
        process->slot = 0; /* nobody's, until we have our own */
        sweep_slot(self, slot, seen);
    }
    lock_acquire(self, &arena->header.processes_lock);
    slot = find_slot(pid);
    if (slot == SLOT_NONE) {
        slot = make_slot(pid, NULL);
    }
    if (slot != SLOT_NONE) {
        atomic_store(&process_at(slot)->start, start);
        set_kind(slot, PROCESS_EXPECTED);
        take_cid(process, slot);
    }
    lock_release(self, &arena->header.processes_lock);
    if (slot == SLOT_NONE) {
        return -EAGAIN;
    }
    process->slot = slot;
    process->pid = pid;
    process->options = arena->header.options;
    wait_sweep(self, slot); /* threads of the image before exec */
    atomic_fetch_add(&arena->header.joined, 1);
    announce();
    return 0;
}

static bool same_identity(const struct host_identity *a, const struct host_identity *b)
{
    return a->kind == b->kind && a->device == b->device && a->object == b->object &&
           a->access == b->access;
}

struct rebuild {
    struct emu_task *self;
    int found;
};

static void take_up(struct rebuild *rebuild, int fd, uint32_t index)
{
    struct description *description = description_at(index);

    description_hold(description, rebuild->self->process->slot);
    atomic_store(&description->shared, 1);
    fdtab_set(rebuild->self, fd, index);
    rebuild->found++;
}

/* An epoll instance of the session says so itself. */
static void rebuild_set(struct rebuild *rebuild, int fd)
{
    uint32_t index = epoll_named(fd);

    if (index != ARENA_NONE && atomic_load(&description_at(index)->state) == DESCRIPTION_LIVE &&
        description_at(index)->kind == DESCRIPTION_EPOLL) {
        take_up(rebuild, fd, index);
    }
}

static void rebuild_one(void *context, int fd)
{
    struct rebuild *rebuild = context;
    struct host_identity identity;
    uint32_t used = descriptions_used();

    if ((unsigned)fd >= EMU_MAX_FDS || host_identify(fd, &identity) < 0) {
        return;
    }
    if (identity.kind == HOST_OTHER) {
        rebuild_set(rebuild, fd);
        return;
    }
    for (uint32_t i = 0; i < used; i++) {
        struct description *description = description_at(i);

        if (atomic_load(&description->state) == DESCRIPTION_LIVE &&
            atomic_load(&description->identified) &&
            atomic_load(&description->native) != DESCRIPTION_HANDED_OVER &&
            same_identity(&identity, &description->identity)) {
            take_up(rebuild, fd, i);
            return;
        }
    }
}

/* Bits of descriptions that this process doesn't refer to (any more) go. */
static void drop_unreferenced(struct emu_task *self)
{
    uint32_t slot = self->process->slot;
    uint32_t used = descriptions_used();

    for (uint32_t i = 0; i < used; i++) {
        struct description *description = description_at(i);

        if (atomic_load(&description->state) == DESCRIPTION_LIVE && fdtab_references(i) == 0 &&
            description_held_by(description, slot)) {
            description_drop(self, i, slot);
        }
    }
}

int emu_process_rebuild(struct emu_task *self)
{
    struct rebuild rebuild = { self, 0 };
    uint32_t used = descriptions_used();
    bool any = false;
    int rc = 0;

    for (uint32_t i = 0; i < used && !any; i++) {
        any = atomic_load(&description_at(i)->state) == DESCRIPTION_LIVE &&
              atomic_load(&description_at(i)->identified);
    }
    fdtab_reset();
    if (any) {
        rc = host_each_fd(rebuild_one, &rebuild);
    }
    /* From here on the parent adds no bits (expect_child), so what is too many goes for good. */
    lock_acquire(self, &arena->header.processes_lock);
    set_kind(self->process->slot, PROCESS_LIVE);
    lock_release(self, &arena->header.processes_lock);
    drop_unreferenced(self);
    return rc < 0 ? rc : rebuild.found;
}

/* An instance is known by an entry of its own set: all of them share one inode. */
static bool identify(int fd, struct description *description)
{
    if (description->kind == DESCRIPTION_EPOLL) {
        return epoll_identify(fd, description) == 0;
    }
    return host_identify(fd, &description->identity) == 0;
}

void process_identify_all(struct emu_task *self)
{
    int top = fdtab_top();

    (void)self;
    for (int fd = 0; fd < top; fd++) {
        struct description *description = fdtab_get_served(fd);

        if (!description) {
            continue;
        }
        if (!atomic_load(&description->identified) && identify(fd, description)) {
            atomic_store(&description->identified, 1);
        }
        atomic_store(&description->shared, 1);
    }
}

/*
 * Sets the slot's bit in every description of this process. Another thread may close a number
 * meanwhile: if the entry still stands after the bit is set, the description was alive then.
 */
static void hold_all(struct emu_task *self, uint32_t slot)
{
    int top = fdtab_top();

    for (int fd = 0; fd < top; fd++) {
        struct description *description = fdtab_get_served(fd);

        if (!description) {
            continue;
        }
        description_hold(description, slot);
        atomic_store(&description->shared, 1);
        if (fdtab_get_served(fd) != description &&
            atomic_load(&description->native) != DESCRIPTION_HANDED_OVER) {
            description_drop(self, description_index(description), slot);
        }
    }
}

int emu_fork_reserve(struct emu_task *self)
{
    uint32_t slot = make_slot(0, self->process);

    if (slot == SLOT_NONE) {
        emu_process_sweep_dead(self);
        slot = make_slot(0, self->process);
    }
    if (slot == SLOT_NONE) {
        return -EAGAIN;
    }
    self->fork_token = atomic_load(&process_at(slot)->pid);
    return (int)slot;
}

void emu_fork_hold(struct emu_task *self, int slot)
{
    fdtab_freeze(self);
    self->process->fork_token = atomic_load(&process_at((uint32_t)slot)->pid);
    self->process->fork_state = atomic_load(&process_at((uint32_t)slot)->state);
    process_identify_all(self);
    hold_all(self, (uint32_t)slot);
}

int emu_fork_before(struct emu_task *self)
{
    int slot = emu_fork_reserve(self);

    if (slot > 0) {
        emu_fork_hold(self, slot);
    }
    return slot;
}

void emu_numbers_thaw(struct emu_task *self)
{
    fdtab_thaw(self);
}

void emu_fork_parent(struct emu_task *self, int slot, int32_t child)
{
    int32_t unborn = self->fork_token;

    fdtab_thaw(self);
    if (child < 0) {
        drop_all(self, (uint32_t)slot);
        free_slot((uint32_t)slot);
        return;
    }
    atomic_compare_exchange_strong(&process_at((uint32_t)slot)->pid, &unborn, child);
    announce(); /* the child does, too, unless it is killed before it comes to that */
}

/*
 * The record that our parent made becomes ours, unless the parent died and was swept with it: then
 * a new one. Who sweeps claims the record by its state as it was, so one of us is first.
 */
static uint32_t adopt_slot(struct emu_process *process, uint32_t slot, int32_t pid)
{
    struct process_record *record = process_at(slot);
    int32_t unborn = process->fork_token;
    uint32_t state = process->fork_state;

    atomic_compare_exchange_strong(&record->pid, &unborn, pid);
    if (!atomic_compare_exchange_strong(&record->state, &state,
                                        PROCESS_GENERATION(state) | PROCESS_LIVE)) {
        slot = make_slot(pid, NULL);
        EMU_ASSERT(slot != SLOT_NONE);
        set_kind(slot, PROCESS_LIVE);
    }
    return slot;
}

void emu_fork_child(struct emu_task *self, int expected)
{
    int32_t pid = host_getpid();
    uint32_t slot;

    fdtab_thaw_child();
    slot = adopt_slot(self->process, (uint32_t)expected, pid);
    self->process->slot = slot;
    self->process->pid = pid;
    atomic_store(&process_at(slot)->cid, self->process->cid);
    atomic_store(&process_at(slot)->start, host_process_start(pid));
    /* Other threads went on while we were born: what the copied table says now is what holds. */
    fdtab_forget_pins(self);
    bell_forget_all();
    hold_all(self, slot);
    drop_unreferenced(self);
    atomic_fetch_add(&arena->header.joined, 1);
    announce();
}

/* A list of the descriptions kept over a spawn, in private memory: count, then indices. */
void emu_spawn_before(struct emu_task *self)
{
    uint32_t *list;
    uint32_t count = 0;
    int top;

    fdtab_freeze(self);
    top = fdtab_top();
    list = host_memory_private(((uint64_t)top + 1) * sizeof *list);
    self->spawn_list = list;
    self->spawn_list_size = ((uint64_t)top + 1) * sizeof *list;
    process_identify_all(self);
    if (!list) {
        return;
    }
    for (int fd = 0; fd < top; fd++) {
        struct description *description = fdtab_get_served(fd);

        if (description) {
            list[1 + count] = description_index(description);
            fdtab_ref(list[1 + count]);
            count++;
        }
    }
    list[0] = count;
}

/*
 * The child inherited these. Until it has looked for itself, which it may have begun, its bits are
 * set here: else what it inherited could end before it says that it has it.
 */
static void expect_child(struct emu_task *self, int32_t child, const uint32_t *list)
{
    uint32_t slot;

    lock_acquire(self, &arena->header.processes_lock);
    slot = find_slot(child);
    if (slot == SLOT_NONE) {
        slot = make_slot(child, NULL);
        if (slot != SLOT_NONE) {
            atomic_store(&process_at(slot)->cid, self->process->cid);
        }
    }
    if (slot != SLOT_NONE &&
        PROCESS_KIND(atomic_load(&process_at(slot)->state)) == PROCESS_EXPECTED) {
        for (uint32_t i = 0; i < list[0]; i++) {
            description_hold(description_at(list[1 + i]), slot);
        }
    }
    lock_release(self, &arena->header.processes_lock);
    announce();
}

void emu_spawn_after(struct emu_task *self, int32_t child)
{
    uint32_t *list = self->spawn_list;

    fdtab_thaw(self);
    self->spawn_list = NULL;
    if (!list) {
        return;
    }
    if (child > 0) {
        expect_child(self, child, list);
    }
    for (uint32_t i = 0; i < list[0]; i++) {
        fdtab_unref(self, list[1 + i]);
    }
    host_memory_unmap(list, self->spawn_list_size);
}

void emu_exec_before(struct emu_task *self)
{
    process_identify_all(self);
}

void emu_exec_freeze(struct emu_task *self)
{
    fdtab_freeze(self);
    process_identify_all(self); /* and what was made since emu_exec_before() */
}

/* Lower numbers of the same description: the last to be put on the list is the first to run. */
static void close_others(struct emu_task *self, int fd)
{
    struct description *description = fdtab_get_any(fd);

    for (int other = 0;
         description && other < fd && fdtab_references(description_index(description)) > 1;
         other++) {
        if (fdtab_get_any(other) == description) {
            fdtab_close(self, other);
        }
    }
}

void emu_process_exit(struct emu_task *self)
{
    int top = fdtab_top();

    if (self->process->options.verify) {
        verify_ends(self);
    }
    /* From the top: Linux's exit puts files on a list of task work, and runs the newest first. */
    for (int fd = top - 1; fd >= 0; fd--) {
        if (fdtab_present(fd)) {
            close_others(self, fd);
            fdtab_close(self, fd);
        }
    }
}

/* Children that the dead process was about to have: expected, and never born. */
static void sweep_unborn(struct emu_task *self, int32_t parent)
{
    uint32_t used = slots_used();

    for (uint32_t slot = 0; slot < used; slot++) {
        uint32_t seen = atomic_load(&process_at(slot)->state);

        if (PROCESS_KIND(seen) == PROCESS_EXPECTED && atomic_load(&process_at(slot)->pid) <= 0 &&
            process_at(slot)->parent_pid == parent && slot_is_dead(slot)) {
            sweep_slot(self, slot, seen);
        }
    }
}

void emu_process_sweep(struct emu_task *self, int32_t pid)
{
    /* Somebody else may be at it already; who asks for a sweep wants it done when we return. */
    for (uint32_t round = 0; round < EMU_TRY_LIMIT; round++) {
        uint32_t slot = find_slot(pid);
        uint32_t seen = slot == SLOT_NONE ? 0 : atomic_load(&process_at(slot)->state);

        if (slot == SLOT_NONE || !slot_is_dead(slot)) {
            break;
        }
        sweep_slot(self, slot, seen);
        host_yield();
    }
    sweep_unborn(self, pid);
}

uint32_t emu_process_sweep_dead(struct emu_task *self)
{
    uint32_t used = slots_used();
    uint32_t count = 0;

    for (uint32_t slot = 0; slot < used; slot++) {
        uint32_t seen = atomic_load(&process_at(slot)->state);

        if (slot_is_dead(slot)) {
            sweep_slot(self, slot, seen);
            count++;
        }
    }
    return count;
}

void emu_fd_invalidate(struct emu_task *self, int fd)
{
    if (EMU_UNLIKELY(fdtab_present(fd))) {
        fdtab_clear(self, fd);
    }
}

uint32_t emu_session_members(int32_t *ret_pids, uint32_t max, uint32_t *ret_changes)
{
    uint32_t used;
    uint32_t count = 0;

    *ret_changes = atomic_load(&arena->header.changes);
    used = slots_used();
    for (uint32_t slot = 0; slot < used && count < max; slot++) {
        int32_t pid = atomic_load(&process_at(slot)->pid);

        if (PROCESS_KIND(atomic_load(&process_at(slot)->state)) != PROCESS_FREE && pid > 0) {
            ret_pids[count++] = pid;
        }
    }
    return count;
}
