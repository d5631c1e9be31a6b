/*
 * fdtab.c - see fdtab.h. The arrays are private, zero and sparse: untouched pages cost nothing.
 */
#include "fdtab.h"

#include "announce.h"
#include "track.h"

#include <stdint.h>
#include <string.h>

_Atomic uint64_t fdtab_entries[EMU_MAX_FDS];

/* References, pins among them, and above them how many of these are pins. */
static _Atomic uint64_t counts[EMU_MAX_DESCRIPTIONS];
static _Atomic int32_t pin_fds[EMU_MAX_DESCRIPTIONS]; /* fd + 1; 0: none */
EMU_START_DATA static _Atomic int top;

#define PIN_FD_MIN 500 /* hidden copies stay out of the way of the guest's low numbers */

#define ONE_PIN ((1ull << 32) + 1)

/* Changes that are being made, and FROZEN. Private, so fork's child has a copy. */
EMU_START_DATA static _Atomic uint32_t changes;
EMU_START_DATA static _Atomic uint32_t frozen_by; /* tid */
EMU_START_DATA static _Atomic uint32_t change_waiters;
EMU_START_DATA static _Atomic uint32_t holding; /* a lock: holding_begin() */

#define FROZEN 0x80000000u

/*
 * How long a change and a fork wait for each other at most. A program's own fork handlers may want
 * what a thread holds that waits here; better the child's table is a little off than a deadlock.
 */
#define FREEZE_PATIENCE_NS 1000000000u

static bool may_change(const struct emu_task *self, uint32_t seen)
{
    return !(seen & FROZEN) || atomic_load(&frozen_by) == self->tid;
}

/* Sleeps while `changes` is as it was seen. */
static void await_changes(uint32_t seen, uint64_t end)
{
    atomic_fetch_add(&change_waiters, 1);
    host_futex_wait(&changes, seen, end);
    atomic_fetch_sub(&change_waiters, 1);
}

static void changes_moved(void)
{
    if (EMU_UNLIKELY(atomic_load(&change_waiters) != 0)) {
        host_futex_wake(&changes, INT32_MAX);
    }
}

struct emu_task *fdtab_change_begin(struct emu_task *self)
{
    uint32_t seen = atomic_load_explicit(&changes, memory_order_relaxed);
    uint64_t end = 0;

    announce(self->process);
    for (;;) {
        if (EMU_LIKELY(may_change(self, seen)) || (end != 0 && host_now_ns() >= end)) {
            if (atomic_compare_exchange_weak(&changes, &seen, seen + 1)) {
                return self;
            }
            continue;
        }
        end = end != 0 ? end : host_now_ns() + FREEZE_PATIENCE_NS;
        await_changes(seen, end);
        seen = atomic_load(&changes);
    }
}

void fdtab_change_end(struct emu_task **self)
{
    (void)self;
    if (EMU_UNLIKELY(atomic_fetch_sub(&changes, 1) & FROZEN)) {
        changes_moved();
    }
}

void fdtab_freeze(struct emu_task *self)
{
    uint64_t end = host_now_ns() + FREEZE_PATIENCE_NS;
    uint32_t seen = atomic_load(&changes);

    if (atomic_load(&frozen_by) == self->tid) {
        return;
    }
    for (;;) { /* one at a time */
        if (!(seen & FROZEN)) {
            if (atomic_compare_exchange_weak(&changes, &seen, seen | FROZEN)) {
                break;
            }
            continue;
        }
        if (host_now_ns() >= end) {
            return;
        }
        await_changes(seen, end);
        seen = atomic_load(&changes);
    }
    atomic_store(&frozen_by, self->tid);
    while (((seen = atomic_load(&changes)) & ~FROZEN) != 0 && host_now_ns() < end) {
        await_changes(seen, end);
    }
}

void fdtab_thaw(struct emu_task *self)
{
    if (atomic_load(&frozen_by) == self->tid) {
        atomic_store(&frozen_by, 0);
        atomic_fetch_and(&changes, ~FROZEN);
        changes_moved();
    }
}

void fdtab_thaw_child(void)
{
    atomic_store(&frozen_by, 0);
    atomic_store(&changes, 0);
    atomic_store(&change_waiters, 0);
    atomic_store(&holding, 0);
}

static uint32_t pins_of(uint32_t index)
{
    return (uint32_t)(atomic_load(&counts[index]) >> 32);
}

void fdtab_ref(uint32_t index)
{
    atomic_fetch_add(&counts[index], 1);
}

/* Guards: a description that is counted here has this process's bit. Private, and held briefly. */
static void holding_begin(void)
{
    while (atomic_exchange(&holding, 1) != 0) {
        host_yield();
    }
}

static void holding_end(void)
{
    atomic_store(&holding, 0);
}

void fdtab_hold(struct emu_task *self, uint32_t index)
{
    holding_begin();
    fdtab_ref(index);
    description_hold(description_at(index), self->process->slot);
    holding_end();
}

/*
 * The last reference went. Another thread may have received the description meanwhile (rights.h):
 * its bit must not be cleared, not even for a moment, for who lands it would bury it then.
 */
static void last_went(struct emu_task *self, uint32_t index)
{
    holding_begin();
    if (EMU_LIKELY((uint32_t)atomic_load(&counts[index]) == 0)) {
        description_unhold(description_at(index), self->process->slot);
    }
    holding_end();
    description_bury_if_unheld(self, index);
}

void fdtab_unref(struct emu_task *self, uint32_t index)
{
    if ((uint32_t)atomic_fetch_sub(&counts[index], 1) == 1) {
        last_went(self, index);
    }
}

uint32_t fdtab_take(int fd)
{
    uint64_t entry;

    if ((unsigned)fd >= EMU_MAX_FDS || (uint32_t)atomic_load(&fdtab_entries[fd]) == 0) {
        return ARENA_NONE;
    }
    entry = atomic_exchange(&fdtab_entries[fd], 0);
    return (uint32_t)entry - 1; /* ARENA_NONE when somebody was quicker */
}

void fdtab_clear(struct emu_task *self, int fd)
{
    uint32_t index = fdtab_take(fd);

    if (index != ARENA_NONE) {
        fdtab_unref(self, index);
    }
}

void fdtab_restore(struct emu_task *self, int fd, uint32_t index)
{
    struct description *description = description_at(index);
    uint64_t entry = (uint64_t)description->generation << 32 | (index + 1);
    int seen = atomic_load(&top);
    uint64_t before;

    EMU_ASSERT((unsigned)fd < EMU_MAX_FDS);
    fdtab_ref(index);
    before = atomic_exchange(&fdtab_entries[fd], entry);
    while (seen <= fd && !atomic_compare_exchange_weak(&top, &seen, fd + 1)) {
    }
    if ((uint32_t)before != 0) {
        fdtab_unref(self, (uint32_t)before - 1);
    }
}

void fdtab_set(struct emu_task *self, int fd, uint32_t index)
{
    fdtab_restore(self, fd, index);
    if (track_is_on()) {
        track_opened(self, fd, description_at(index)->kind, &description_at(index)->site);
    }
}

void fdtab_note_closed(struct emu_task *self, int fd, uint32_t index)
{
    const struct description *description = description_at(index);

    if (track_is_on()) {
        track_closed(self, fd, description->kind, atomic_load(&description->site));
    }
}

void fdtab_pin(struct emu_task *self, uint32_t index)
{
    (void)self;
    atomic_fetch_add(&counts[index], ONE_PIN);
}

void fdtab_unpin(struct emu_task *self, uint32_t index)
{
    uint64_t before = atomic_fetch_sub(&counts[index], ONE_PIN);

    if (before >> 32 == 1 && EMU_UNLIKELY(atomic_load(&pin_fds[index]) != 0)) {
        int copy = atomic_exchange(&pin_fds[index], 0);

        if (copy != 0) {
            host_close(copy - 1);
        }
    }
    if ((uint32_t)before == 1) {
        last_went(self, index);
    }
}

static uint32_t *pins_of_task(struct emu_task *self)
{
    return self->pins ? self->pins : self->pins_own;
}

/* Room for one more in the task's list: false when there is no memory. */
static bool pins_grow(struct emu_task *self)
{
    uint64_t used = self->pins_count * sizeof *self->pins;
    uint64_t size = 2 * used + EMU_PAGE;
    uint32_t *grown;

    if (EMU_LIKELY(used < (self->pins ? self->pins_size : sizeof self->pins_own))) {
        return true;
    }
    grown = host_memory_private(size);
    if (!grown) {
        return false;
    }
    memcpy(grown, pins_of_task(self), used);
    if (self->pins) {
        host_memory_unmap(self->pins, self->pins_size);
    }
    self->pins = grown;
    self->pins_size = size;
    return true;
}

bool fdtab_pin_one_more(struct emu_task *self, uint32_t index)
{
    if (!pins_grow(self)) {
        return false;
    }
    fdtab_pin(self, index);
    pins_of_task(self)[self->pins_count++] = index;
    return true;
}

void fdtab_unpin_to(struct emu_task *self, uint32_t mark)
{
    while (self->pins_count > mark) {
        fdtab_unpin(self, pins_of_task(self)[--self->pins_count]);
    }
}

void fdtab_keep_for_pins(int fd, uint32_t index)
{
    uint64_t now = atomic_load(&counts[index]);

    if (EMU_LIKELY(now >> 32 == 0) || atomic_load(&pin_fds[index]) != 0 ||
        (uint32_t)now > (now >> 32) + 1) {
        return;
    }
    atomic_store(&pin_fds[index], (int)host_fcntl(fd, F_DUPFD_CLOEXEC, PIN_FD_MIN) + 1);
}

int fdtab_number(int fd, uint32_t index)
{
    if (fdtab_get_any(fd) == description_at(index)) {
        return fd;
    }
    return atomic_load(&pin_fds[index]) - 1;
}

int fdtab_find(int hint, uint32_t index)
{
    int end = atomic_load(&top);

    if (fdtab_get_any(hint) == description_at(index)) {
        return hint;
    }
    for (int fd = 0; fd < end && fdtab_references(index) > 0; fd++) {
        if (fdtab_get_any(fd) == description_at(index)) {
            return fd;
        }
    }
    return -1;
}

void fdtab_replace(int fd, const struct description *description)
{
    int end = atomic_load(&top);

    for (int number = 0; number < end; number++) {
        if (fdtab_get_any(number) == description) {
            int64_t close_on_exec = host_fcntl(number, F_GETFD, 0);

            host_dup3(fd, number, close_on_exec & FD_CLOEXEC ? O_CLOEXEC : 0);
        }
    }
}

int64_t fdtab_close(struct emu_task *self, int fd)
{
    uint32_t index;
    int rc;

    if (EMU_LIKELY(!fdtab_present(fd))) {
        return EMU_NATIVE;
    }
    FDTAB_CHANGE(self);
    index = fdtab_take(fd);
    if (index == ARENA_NONE) {
        return EMU_NATIVE;
    }
    fdtab_keep_for_pins(fd, index);
    fdtab_note_closed(self, fd, index);
    rc = host_close(fd);
    fdtab_unref(self, index);
    return rc;
}

void fdtab_forget_pins(struct emu_task *self)
{
    uint32_t used = atomic_load(&arena->header.descriptions.fresh);

    for (uint32_t i = 0; i < used; i++) {
        for (uint32_t count = pins_of(i); count > 0; count--) {
            fdtab_unpin(self, i);
        }
    }
    self->pins_count = 0; /* a handler forked, and the child returns into the call */
    self->pinned = 0;
}

void fdtab_reset(void)
{
    int end = atomic_load(&top);

    if (end == 0) {
        return; /* nothing was ever entered, so nothing counted */
    }
    for (int fd = 0; fd < end; fd++) {
        atomic_store(&fdtab_entries[fd], 0);
    }
    atomic_store(&top, 0);
    /* Not all of it: a new image would touch 128 pages before its main(). */
    memset((void *)counts, 0, atomic_load(&arena->header.descriptions.fresh) * sizeof counts[0]);
}

int fdtab_top(void)
{
    return atomic_load(&top);
}

uint32_t fdtab_references(uint32_t index)
{
    return (uint32_t)atomic_load(&counts[index]);
}

bool emu_fd_is_emulated(int fd)
{
    return fdtab_get_call(fd) != NULL;
}

bool emu_fd_is_known(int fd)
{
    return fdtab_present(fd);
}
