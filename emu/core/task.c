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
    task_sleep_end(record);
    atomic_store_explicit(&record->sleeping, 0, memory_order_relaxed);
    bell_init(&record->bell);
    atomic_store_explicit(&record->waiters, 0, memory_order_relaxed);
    atomic_store_explicit(&record->state, TASK_LIVE, memory_order_release);
    self->record = index + 1;
    return record;
}

void *task_scratch(struct emu_task *self, uint64_t size)
{
    if (self->scratch_busy) {
        return NULL;
    }
    if (self->scratch_size < size) {
        if (self->scratch) {
            host_memory_unmap(self->scratch, self->scratch_size);
        }
        self->scratch = host_memory_private(2 * size);
        self->scratch_size = self->scratch ? 2 * size : 0;
    }
    self->scratch_busy = self->scratch != NULL;
    return self->scratch;
}

void task_sleep_begin(struct task_record *record, const struct task_sleep *sleep)
{
    uint32_t version = atomic_load_explicit(&record->sleep_version, memory_order_relaxed);
    uint64_t words[TASK_SLEEP_WORDS];

    memcpy(words, sleep, sizeof words);
    /* Odd, also when whoever had the record before was killed in the middle. */
    atomic_store_explicit(&record->sleep_version, version | 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (unsigned i = 0; i < TASK_SLEEP_WORDS; i++) {
        atomic_store_explicit(&record->sleep[i], words[i], memory_order_relaxed);
    }
    atomic_store_explicit(&record->sleep_version, (version | 1) + 1, memory_order_release);
}

/* One word says it all: the others may stay. */
void task_sleep_end(struct task_record *record)
{
    static_assert(offsetof(struct task_sleep, since_ns) == 0, "the first word");
    atomic_store_explicit(&record->sleep[0], 0, memory_order_relaxed);
}

#define PEEK_TRIES 1000 /* of reading a record that changes all the time */

bool task_sleep_peek(const struct task_record *record, struct task_sleep *ret_sleep)
{
    uint64_t words[TASK_SLEEP_WORDS];

    for (int i = 0; i < PEEK_TRIES; i++) {
        uint32_t version = atomic_load_explicit(&record->sleep_version, memory_order_acquire);

        for (unsigned at = 0; at < TASK_SLEEP_WORDS; at++) {
            words[at] = atomic_load_explicit(&record->sleep[at], memory_order_relaxed);
        }
        atomic_thread_fence(memory_order_acquire);
        if (version % 2 == 0 &&
            atomic_load_explicit(&record->sleep_version, memory_order_relaxed) == version) {
            memcpy(ret_sleep, words, sizeof words);
            return ret_sleep->since_ns != 0;
        }
    }
    return false;
}

void task_wake(uint32_t index)
{
    struct task_record *record = task_at(index);

    /* Both sequentially consistent, against the sleeper's store of `sleeping` and load of `wake`.
     */
    atomic_fetch_add(&record->wake, 1);
    if (atomic_load(&record->sleeping) && !bell_wake(&record->bell)) {
        host_futex_wake(&record->wake, 1);
    }
}

void emu_task_enter(struct emu_task *self, struct emu_process *process)
{
    struct robust_list_head *robust = host_robust_list();

    *self = (struct emu_task){
        .process = process,
        .tid = host_gettid(),
        .spin_ns = EMU_SPIN_NS,
        .records = process->records,
        .faults = process->options.faults != EMU_FAULTS_NONE || process->options.inject_count != 0,
    };
    self->robust = robust ? robust : (struct robust_list_head *)(void *)self->robust_own;
    atomic_fetch_add_explicit(&process->tasks, 1, memory_order_relaxed);
}

void emu_task_interrupt(struct emu_task *self, bool restart)
{
    self->interrupts++;
    if (!restart) {
        self->interrupts_final++;
    }
    if (self->record != 0) {
        struct task_record *record = task_at(self->record - 1);

        /* The futex compares by itself; poll has to be rung if it is just about to begin. */
        if (atomic_fetch_add(&record->wake, 1) == self->sleep_word) {
            self->interrupted = true;
        }
        bell_wake(&record->bell);
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
