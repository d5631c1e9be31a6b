/*
 * task.c - see task.h
 */
#include "task.h"

#include "host.h"

#include <linux/futex.h>
#include <string.h>

struct task_record *task_record(struct emu_task *self)
{
    struct task_record *record;
    uint32_t index;

    if (EMU_LIKELY(self->record != 0)) {
        return task_at(self->record - 1);
    }
    index = pool_take(&arena->header.tasks, arena->tasks_links, EMU_MAX_TASKS);
    if (index == ARENA_NONE) {
        return NULL;
    }
    record = task_at(index);
    atomic_store_explicit(&record->process, self->process->slot, memory_order_relaxed);
    record->tid = self->tid;
    record->blocked_since_ns = 0;
    atomic_store_explicit(&record->sleeping, 0, memory_order_relaxed);
    atomic_store_explicit(&record->on_bell, 0, memory_order_relaxed);
    atomic_store_explicit(&record->waiters, 0, memory_order_relaxed);
    atomic_store_explicit(&record->state, TASK_LIVE, memory_order_release);
    self->record = index + 1;
    return record;
}

void task_wake(uint32_t index)
{
    struct task_record *record = task_at(index);

    /* Both sequentially consistent, against the sleeper's store of `sleeping` and load of `wake`.
     */
    atomic_fetch_add(&record->wake, 1);
    if (atomic_load(&record->sleeping)) {
        if (atomic_load(&record->on_bell)) {
            host_bell_ring(arena->header.hidden.bell);
        } else {
            host_futex_wake(&record->wake, 1);
        }
    }
}

void emu_task_enter(struct emu_task *self, struct emu_process *process)
{
    struct robust_list_head *robust = host_robust_list();

    *self = (struct emu_task){
        .process = process,
        .tid = host_gettid(),
        .bell = -1,
        .spin_ns = EMU_SPIN_NS,
    };
    self->robust = robust ? robust : (struct robust_list_head *)(void *)self->robust_own;
}

void emu_task_interrupt(struct emu_task *self, bool restart)
{
    self->interrupts++;
    if (!restart) {
        self->interrupts_final++;
    }
    if (self->record != 0) {
        atomic_fetch_add(&task_at(self->record - 1)->wake, 1);
    }
}

int64_t emu_native_result(struct emu_task *self, int64_t result)
{
    int64_t sum = result;

    if (self->progress > 0) {
        sum = result < 0 ? (int64_t)self->progress : result + (int64_t)self->progress;
        self->progress = 0;
    }
    return sum;
}
