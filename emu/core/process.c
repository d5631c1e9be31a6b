/*
 * process.c - see process.h: joining, fork, spawn, exec
 */
#include "process.h"

#include "announce.h"
#include "birth.h"
#include "epoll.h"
#include "fault.h"
#include "track.h"
#include "trace_event.h"
#include "verify.h"
#include "vigil.h"

#include <errno.h>

static uint32_t descriptions_used(void)
{
    return atomic_load_explicit(&arena->header.descriptions.fresh, memory_order_acquire);
}

uint32_t process_find(int32_t pid)
{
    uint32_t used = process_slots();

    for (uint32_t slot = 0; slot < used; slot++) {
        struct process_record *record = process_at(slot);

        if (process_is_member(atomic_load(&record->state)) && atomic_load(&record->pid) == pid) {
            return slot;
        }
    }
    return ARENA_NONE;
}

/* Of one that is the same process, and of no one that had its pid before. */
static uint32_t find_own(int32_t pid, uint64_t mark)
{
    uint32_t used = process_slots();

    for (uint32_t slot = 0; slot < used; slot++) {
        const struct process_record *record = process_at(slot);

        if (process_is_member(atomic_load(&record->state)) && atomic_load(&record->pid) == pid &&
            process_has_mark(slot, mark)) {
            return slot;
        }
    }
    return ARENA_NONE;
}

/* Everything that tells a sweep whose it is stands there before the record is anything but free. */
uint32_t process_make(int32_t pid, uint64_t mark, uint32_t kind, struct emu_process *parent)
{
    uint32_t slot = pool_take(&arena->header.processes, arena->processes_links, EMU_MAX_PROCESSES);
    struct process_record *record;

    if (slot == ARENA_NONE) {
        return ARENA_NONE;
    }
    record = process_at(slot);
    if (pid == 0) { /* a number of its own, so that a late emu_fork_parent() can't miss it */
        pid = -(int32_t)(atomic_fetch_add(&arena->header.unborn, 1) % INT32_MAX) - 1;
    }
    atomic_store(&record->pid, pid);
    atomic_store(&record->mark, mark);
    atomic_store(&record->alarm_ns, 0);
    atomic_store(&record->announced, 0);
    record->place = fault_place_of_child(parent);
    record->parent_pid = parent ? parent->pid : 0;
    atomic_store(&record->cid, parent ? parent->cid : 0);
    record->parent_mark = parent ? atomic_load(&process_at(parent->slot)->mark) : 0;
    atomic_store(&record->state,
                 PROCESS_GENERATION(atomic_load(&record->state) + PROCESS_ONE_GENERATION) | kind);
    return slot;
}

static uint32_t generation_of(uint32_t slot)
{
    return PROCESS_GENERATION(atomic_load(&process_at(slot)->state));
}

/* A child, or a later image of this process, finds that the watcher knows of it. */
static void announce_slot(uint32_t slot)
{
    if (atomic_load(&process_at(slot)->announced) == 0) {
        announce_ring();
        atomic_store(&process_at(slot)->announced, 1);
    }
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

/* The record made by the parent or by the image before, or a new one; ARENA_NONE: none is free. */
static uint32_t take_record(struct emu_process *process, struct emu_task *self, int32_t pid,
                            uint64_t mark)
{
    uint32_t slot;

    lock_acquire(self, &arena->header.processes_lock);
    slot = find_own(pid, mark);
    process->trace_birth = slot == ARENA_NONE ? TRACE_BIRTH_FIRST : TRACE_BIRTH_EXEC;
    if (slot == ARENA_NONE) {
        slot = process_make(pid, mark, PROCESS_EXPECTED, NULL);
    }
    if (slot != ARENA_NONE) {
        atomic_store(&process_at(slot)->mark, mark);
        process_set_kind(slot, PROCESS_EXPECTED);
        take_cid(process, slot);
    }
    lock_release(self, &arena->header.processes_lock);
    return slot;
}

/* Those that had our pid before us. */
static void sweep_namesakes(struct emu_task *self, uint32_t own)
{
    uint32_t used = process_slots();

    for (uint32_t slot = 0; slot < used; slot++) {
        uint32_t seen = atomic_load(&process_at(slot)->state);

        if (slot != own && PROCESS_KIND(seen) != PROCESS_FREE &&
            atomic_load(&process_at(slot)->pid) == self->process->pid &&
            !process_has_mark(slot, atomic_load(&process_at(own)->mark))) {
            process_sweep_slot(self, slot, seen);
        }
    }
}

int emu_process_join(struct emu_process *process, struct emu_task *self)
{
    int32_t pid = host_getpid();
    uint64_t mark = host_process_mark(pid);
    uint32_t slot;

    fdtab_thaw_child(); /* the table may be a copy of one that another process froze */
    self->process = process;
    process->slot = 0; /* nobody's, until we have our own */
    slot = take_record(process, self, pid, mark);
    if (slot ==
        ARENA_NONE) { /* of processes without descriptions nobody may have noticed the end */
        emu_process_sweep_dead(self);
        slot = take_record(process, self, pid, mark);
    }
    if (slot == ARENA_NONE) {
        return -EAGAIN;
    }
    process->slot = slot;
    process->pid = pid;
    process->options = arena->header.options;
    birth_executed(slot, generation_of(slot));
    process->fault_place = process_at(slot)->place;
    process->records = arena->header.trace.on != 0;
    wait_sweep(self, slot);        /* threads of the image before exec, ... */
    process_take_over(self, slot); /* ... which may have been sweeping */
    sweep_namesakes(self, slot);
    atomic_store(&process->announced, atomic_load(&process_at(slot)->announced) != 0);
    atomic_fetch_add(&arena->header.joined, 1);
    atomic_fetch_add(&arena->header.changes, 1);
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

    announce(rebuild->self->process);
    description_hold(description, rebuild->self->process->slot);
    atomic_store(&description->shared, 1);
    fdtab_restore(rebuild->self, fd, index);
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
    const struct emu_hidden *hidden = &arena->header.hidden;
    const int own[] = { hidden->arena, hidden->bell, hidden->log };
    uint32_t used = descriptions_used();
    bool any = false;
    int rc = 0;

    for (uint32_t i = 0; i < used && !any; i++) {
        any = atomic_load(&description_at(i)->state) == DESCRIPTION_LIVE &&
              atomic_load(&description_at(i)->identified);
    }
    fdtab_reset();
    if (any) {
        rc = host_each_fd(rebuild_one, &rebuild, own, sizeof own / sizeof own[0]);
    }
    /* From here on the parent adds no bits (expect_child), so what is too many goes for good. */
    lock_acquire(self, &arena->header.processes_lock);
    process_set_kind(self->process->slot, PROCESS_LIVE);
    lock_release(self, &arena->header.processes_lock);
    if (rebuild.found > 0) {
        atomic_store(&process_at(self->process->slot)->announced, 1);
    }
    drop_unreferenced(self);
    trace_inherited(self);
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
 * Returns whether there is one.
 */
static bool hold_all(struct emu_task *self, uint32_t slot)
{
    int top = fdtab_top();
    bool any = false;

    for (int fd = 0; fd < top; fd++) {
        struct description *description = fdtab_get_served(fd);

        if (!description) {
            continue;
        }
        any = true;
        description_hold(description, slot);
        atomic_store(&description->shared, 1);
        if (fdtab_get_served(fd) != description &&
            atomic_load(&description->native) != DESCRIPTION_HANDED_OVER) {
            description_drop(self, description_index(description), slot);
        }
    }
    return any;
}

int emu_fork_reserve(struct emu_task *self)
{
    uint32_t slot = process_make(0, 0, PROCESS_EXPECTED, self->process);

    if (slot == ARENA_NONE) {
        emu_process_sweep_dead(self);
        slot = process_make(0, 0, PROCESS_EXPECTED, self->process);
    }
    if (slot == ARENA_NONE) {
        return -EAGAIN;
    }
    self->fork_token = atomic_load(&process_at(slot)->pid);
    birth_note(self, slot, generation_of(slot), EMU_ORIGIN_FORK);
    return (int)slot;
}

void emu_fork_hold(struct emu_task *self, int slot)
{
    trace_fork_begins(self, TRACE_FORK_COPY);
    fdtab_freeze(self);
    self->process->fork_token = atomic_load(&process_at((uint32_t)slot)->pid);
    self->process->fork_state = atomic_load(&process_at((uint32_t)slot)->state);
    process_identify_all(self);
    self->process->fork_holds = hold_all(self, (uint32_t)slot);
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
    trace_forked(self, child);
    if (child < 0) {
        process_drop_all(self, (uint32_t)slot);
        process_free((uint32_t)slot);
        return;
    }
    atomic_compare_exchange_strong(&process_at((uint32_t)slot)->pid, &unborn, child);
    atomic_fetch_add(&arena->header.changes, 1);
    if (self->process->fork_holds) { /* the child may be killed before it comes to that */
        announce_slot((uint32_t)slot);
    }
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
        slot = process_make(pid, 0, PROCESS_LIVE, NULL);
        EMU_ASSERT(slot != ARENA_NONE);
    }
    return slot;
}

void emu_fork_child(struct emu_task *self, int expected)
{
    int32_t pid = host_getpid();
    uint32_t slot;

    fdtab_thaw_child();
    atomic_store(&self->process->announced, false);
    slot = adopt_slot(self->process, (uint32_t)expected, pid);
    self->process->slot = slot;
    self->process->pid = pid;
    self->process->fault_place = process_at(slot)->place;
    self->process->trace_birth = TRACE_BIRTH_FORK;
    atomic_store(&process_at(slot)->cid, self->process->cid);
    atomic_store(&process_at(slot)->mark, host_process_mark(pid));
    /* Other threads went on while we were born: what the copied table says now is what holds. */
    fdtab_forget_pins(self);
    bell_forget_all();
    vigil_forget();
    if (hold_all(self, slot)) {
        announce_slot(slot);
        atomic_store(&self->process->announced, true);
    }
    drop_unreferenced(self);
    atomic_fetch_add(&arena->header.joined, 1);
    atomic_fetch_add(&arena->header.changes, 1);
}

static bool has_any_served(int top)
{
    for (int fd = 0; fd < top; fd++) {
        if (fdtab_get_served(fd)) {
            return true;
        }
    }
    return false;
}

/*
 * A list of the descriptions kept over a spawn, in private memory: count, then indices. None where
 * there is nothing to inherit.
 */
void emu_spawn_before(struct emu_task *self)
{
    uint32_t *list;
    uint32_t count = 0;
    int top;

    trace_fork_begins(self, TRACE_FORK_SPAWN);
    fdtab_freeze(self);
    top = fdtab_top();
    list = has_any_served(top) ? host_memory_private(((uint64_t)top + 1) * sizeof *list) : NULL;
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
 * set here: else what it inherited could end before it says that it has it. list NULL: nothing.
 */
static void expect_child(struct emu_task *self, int32_t child, const uint32_t *list)
{
    uint32_t count = list ? list[0] : 0;
    uint32_t slot;

    lock_acquire(self, &arena->header.processes_lock);
    slot = process_find(child);
    if (slot == ARENA_NONE) {
        slot = process_make(child, 0, PROCESS_EXPECTED, NULL);
        if (slot != ARENA_NONE) {
            atomic_store(&process_at(slot)->cid, self->process->cid);
        }
    }
    if (slot != ARENA_NONE &&
        PROCESS_KIND(atomic_load(&process_at(slot)->state)) == PROCESS_EXPECTED) {
        for (uint32_t i = 0; i < count; i++) {
            description_hold(description_at(list[1 + i]), slot);
        }
    }
    lock_release(self, &arena->header.processes_lock);
    if (slot != ARENA_NONE) {
        birth_note(self, slot, generation_of(slot), EMU_ORIGIN_SPAWN);
    }
    atomic_fetch_add(&arena->header.changes, 1);
    if (slot != ARENA_NONE && count > 0) {
        announce_slot(slot);
    }
}

void emu_spawn_after(struct emu_task *self, int32_t child)
{
    uint32_t *list = self->spawn_list;

    fdtab_thaw(self);
    self->spawn_list = NULL;
    trace_forked(self, child);
    if (child > 0) {
        expect_child(self, child, list);
    }
    if (!list) {
        return;
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
    if (self->process->slot != 0 && atomic_load(&self->process->announced)) {
        atomic_store(&process_at(self->process->slot)->announced, 1);
    }
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

    if (fault_on(self)) {
        fault_rare(self); /* before its ends are seen to be closed, and its parent is told */
    }
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

void emu_fd_invalidate(struct emu_task *self, int fd)
{
    if (EMU_UNLIKELY(fdtab_present(fd))) {
        trace_number(self, fd);
        fdtab_clear(self, fd);
    }
    if (track_is_on()) {
        track_forget(fd);
    }
}

uint32_t emu_session_members(int32_t *ret_pids, uint32_t max, uint32_t *ret_changes)
{
    uint32_t used;
    uint32_t count = 0;

    *ret_changes = atomic_load(&arena->header.changes);
    used = process_slots();
    for (uint32_t slot = 0; slot < used && count < max; slot++) {
        int32_t pid = atomic_load(&process_at(slot)->pid);

        if (process_is_member(atomic_load(&process_at(slot)->state)) && pid > 0) {
            ret_pids[count++] = pid;
        }
    }
    return count;
}
