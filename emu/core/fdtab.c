/*
 * fdtab.c - see fdtab.h. The arrays are private, zero and sparse: untouched pages cost nothing.
 */
#include "fdtab.h"

#include <string.h>

_Atomic uint64_t fdtab_entries[EMU_MAX_FDS];

static _Atomic uint32_t references[EMU_MAX_DESCRIPTIONS];
static _Atomic uint32_t pins[EMU_MAX_DESCRIPTIONS];
static _Atomic int32_t pin_fds[EMU_MAX_DESCRIPTIONS]; /* fd + 1; 0: none */
static _Atomic int top;

#define PIN_FD_MIN 500 /* hidden copies stay out of the way of the guest's low numbers */

void fdtab_ref(uint32_t index)
{
    atomic_fetch_add(&references[index], 1);
}

void fdtab_unref(struct emu_task *self, uint32_t index)
{
    if (atomic_fetch_sub(&references[index], 1) == 1) {
        description_drop(self, index, self->process->slot);
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

void fdtab_set(struct emu_task *self, int fd, uint32_t index)
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

void fdtab_pin(struct emu_task *self, uint32_t index)
{
    (void)self;
    fdtab_ref(index);
    atomic_fetch_add(&pins[index], 1);
}

void fdtab_unpin(struct emu_task *self, uint32_t index)
{
    if (atomic_fetch_sub(&pins[index], 1) == 1) {
        int copy = atomic_exchange(&pin_fds[index], 0);

        if (copy != 0) {
            host_close(copy - 1);
        }
    }
    fdtab_unref(self, index);
}

void fdtab_keep_for_pins(int fd, uint32_t index)
{
    if (EMU_LIKELY(atomic_load(&pins[index]) == 0) || atomic_load(&pin_fds[index]) != 0 ||
        atomic_load(&references[index]) > atomic_load(&pins[index]) + 1) {
        return;
    }
    atomic_store(&pin_fds[index], (int)host_fcntl(fd, F_DUPFD_CLOEXEC, PIN_FD_MIN) + 1);
}

int64_t fdtab_close(struct emu_task *self, int fd)
{
    uint32_t index;
    int rc;

    if (EMU_LIKELY(!fdtab_present(fd))) {
        return EMU_NATIVE;
    }
    index = fdtab_take(fd);
    if (index == ARENA_NONE) {
        return EMU_NATIVE;
    }
    fdtab_keep_for_pins(fd, index);
    rc = host_close(fd);
    fdtab_unref(self, index);
    return rc;
}

void fdtab_forget_pins(struct emu_task *self)
{
    uint32_t used = atomic_load(&arena->header.descriptions.fresh);

    for (uint32_t i = 0; i < used; i++) {
        uint32_t count = atomic_exchange(&pins[i], 0);
        int copy = count > 0 ? atomic_exchange(&pin_fds[i], 0) : 0;

        if (copy != 0) {
            host_close(copy - 1);
        }
        for (; count > 0; count--) {
            fdtab_unref(self, i);
        }
    }
}

void fdtab_reset(void)
{
    int end = atomic_load(&top);

    for (int fd = 0; fd < end; fd++) {
        atomic_store(&fdtab_entries[fd], 0);
    }
    atomic_store(&top, 0);
    memset((void *)references, 0, sizeof references);
}

int fdtab_top(void)
{
    return atomic_load(&top);
}

uint32_t fdtab_references(uint32_t index)
{
    return atomic_load(&references[index]);
}

bool emu_fd_is_emulated(int fd)
{
    return fdtab_get(fd) != NULL;
}
