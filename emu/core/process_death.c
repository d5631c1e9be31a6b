/*
 * process_death.c - see process.h: who is dead, and what is done about it
 *
 * Anybody may find a process dead: the watcher, its parent, who needs a record. One of them sweeps
 * it; when that one dies in the middle, another begins again.
 */
#include "process.h"

#include "passage.h"
#include "rights.h"
#include "wait.h"

#include <errno.h>
#include <sys/syscall.h>

/* Clears the slot's bit wherever it stands, and wakes who waits there. */
void process_drop_all(struct emu_task *self, uint32_t slot)
{
    uint32_t used = atomic_load_explicit(&arena->header.descriptions.fresh, memory_order_acquire);

    for (uint32_t i = 0; i < used; i++) {
        struct description *description = description_at(i);

        if (atomic_load(&description->state) == DESCRIPTION_LIVE &&
            description_held_by(description, slot)) {
            description_wake(self, description, QUEUE_RECHECK);
            description_drop(self, i, slot);
        }
    }
}

void process_free(uint32_t slot)
{
    process_set_kind(slot, PROCESS_FREE); /* first: without its pid it would seem to be unborn */
    atomic_store(&process_at(slot)->pid, 0);
    pool_give(&arena->header.processes, arena->processes_links, slot);
}

static bool slot_is_dead(uint32_t slot);

/*
 * What has no mark: no such process, or a zombie. Where nobody says (after a chroot), or not of
 * this one (hidepid), one that takes signals lives.
 */
static bool is_gone_without_mark(int32_t pid)
{
    int64_t rc = host_syscall(SYS_tgkill, pid, pid, 0, 0, 0, 0);

    return rc == -ESRCH || (rc == 0 && host_process_mark(host_getpid()) != 0);
}

/* Nobody has slot 0: there was no room for a record. Such a one is believed to live. */
static bool sweeper_is_dead(uint32_t slot)
{
    return slot != 0 && (PROCESS_KIND(atomic_load(&process_at(slot)->state)) == PROCESS_FREE ||
                         slot_is_dead(slot));
}

/*
 * Makes this process the sweeper of the record, as it was when it was found dead (`seen`). False:
 * it is free again, or somebody else who lives is at it. Each claim has a generation of its own, so
 * that one which comes late, decided upon when an earlier sweeper was found dead, comes to nothing.
 */
static bool claim_sweep(const struct emu_task *self, uint32_t slot, uint32_t seen)
{
    uint32_t mine = PROCESS_GENERATION(seen + PROCESS_ONE_GENERATION) | self->process->slot << 8 |
                    PROCESS_SWEPT;

    if (PROCESS_KIND(seen) == PROCESS_FREE) {
        return false;
    }
    if (PROCESS_KIND(seen) == PROCESS_SWEPT &&
        (PROCESS_SWEEPER(seen) == self->process->slot || !sweeper_is_dead(PROCESS_SWEEPER(seen)))) {
        return false;
    }
    return atomic_compare_exchange_strong(&process_at(slot)->state, &seen, mine);
}

void process_sweep_slot(struct emu_task *self, uint32_t slot, uint32_t seen)
{
    bool outer = self->sweeps;

    if (!claim_sweep(self, slot, seen)) {
        return;
    }
    self->sweeps = true;
    passage_sweep(self);
    wait_sweep(self, slot);
    process_drop_all(self, slot);
    process_take_over(self, slot);
    self->sweeps = outer;
    process_free(slot);
}

/* What that one was sweeping is to be swept again. False: it was sweeping nobody. */
static bool give_sweeps_up(uint32_t sweeper)
{
    uint32_t used = process_slots();
    bool any = false;

    for (uint32_t slot = 0; slot < used; slot++) {
        uint32_t seen = atomic_load(&process_at(slot)->state);

        if (PROCESS_KIND(seen) == PROCESS_SWEPT && PROCESS_SWEEPER(seen) == sweeper &&
            slot != sweeper) {
            any |= atomic_compare_exchange_strong(
                &process_at(slot)->state, &seen,
                PROCESS_GENERATION(seen + PROCESS_ONE_GENERATION) | PROCESS_LIVE);
        }
    }
    return any;
}

void process_take_over(struct emu_task *self, uint32_t slot)
{
    rights_sweep(self, slot);
    description_sweep(self, slot);
    if (give_sweeps_up(slot)) {
        emu_process_sweep_dead(self);
    }
}

/* The record's process is gone, or its pid belongs to another one by now. */
static bool slot_is_dead(uint32_t slot)
{
    struct process_record *record = process_at(slot);
    int32_t pid = atomic_load(&record->pid);
    uint64_t mark = atomic_load(&record->mark);
    uint64_t now;

    if (PROCESS_KIND(atomic_load(&record->state)) == PROCESS_FREE) {
        return false;
    }
    if (pid <= 0) { /* expected by fork's parent, who fills it in at once unless it is killed */
        pid = record->parent_pid;
        mark = record->parent_mark;
        if (pid == 0) {
            return false;
        }
    }
    now = host_process_mark(pid);
    return now == 0 ? is_gone_without_mark(pid) : host_marks_differ(now, mark);
}

/* Children that the dead process was about to have: expected, and never born. */
static void sweep_unborn(struct emu_task *self, int32_t parent)
{
    uint32_t used = process_slots();

    for (uint32_t slot = 0; slot < used; slot++) {
        uint32_t seen = atomic_load(&process_at(slot)->state);

        if (process_is_member(seen) && atomic_load(&process_at(slot)->pid) <= 0 &&
            process_at(slot)->parent_pid == parent && slot_is_dead(slot)) {
            process_sweep_slot(self, slot, seen);
        }
    }
}

bool emu_process_sweep(struct emu_task *self, int32_t pid)
{
    bool lives = false;

    /* Somebody else may be at it already; who asks for a sweep wants it done when we return. */
    for (uint32_t round = 0; round < EMU_TRY_LIMIT; round++) {
        uint32_t slot = process_find(pid);
        uint32_t seen = slot == ARENA_NONE ? 0 : atomic_load(&process_at(slot)->state);

        lives = slot != ARENA_NONE && !slot_is_dead(slot);
        if (slot == ARENA_NONE || lives ||
            (PROCESS_KIND(seen) == PROCESS_SWEPT && PROCESS_SWEEPER(seen) == 0)) {
            break;
        }
        process_sweep_slot(self, slot, seen);
        host_yield();
    }
    sweep_unborn(self, pid);
    return lives;
}

uint32_t emu_process_sweep_dead(struct emu_task *self)
{
    uint32_t used = process_slots();
    uint32_t count = 0;

    for (uint32_t slot = 0; slot < used; slot++) {
        uint32_t seen = atomic_load(&process_at(slot)->state);

        if (slot_is_dead(slot)) {
            process_sweep_slot(self, slot, seen);
            count++;
        }
    }
    return count;
}

/* ---- Watchers ---- */

static void sweep_watchers(struct emu_task *self)
{
    uint32_t used = process_slots();

    for (uint32_t slot = 0; slot < used; slot++) {
        uint32_t seen = atomic_load(&process_at(slot)->state);

        if (PROCESS_KIND(seen) == PROCESS_WATCHER && slot_is_dead(slot)) {
            process_sweep_slot(self, slot, seen);
        }
    }
}

void emu_watcher_join(struct emu_process *process, struct emu_task *self)
{
    int32_t pid = host_getpid();
    uint64_t mark = host_process_mark(pid);
    uint32_t slot;

    self->process = process;
    process->slot = 0;
    process->pid = pid;
    slot = process_make(pid, mark, PROCESS_WATCHER, NULL);
    if (slot == ARENA_NONE) {
        emu_process_sweep_dead(self);
        slot = process_make(pid, mark, PROCESS_WATCHER, NULL);
    }
    if (slot != ARENA_NONE) {
        process->slot = slot;
        sweep_watchers(self);
    }
}

void emu_watcher_leave(struct emu_task *self)
{
    uint32_t slot = self->process->slot;

    if (slot != 0) {
        self->process->slot = 0;
        process_free(slot);
    }
}
