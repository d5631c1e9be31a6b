/*
 * names.c - see names.h: a table with open addressing
 */
#include "names.h"

#include <errno.h>

#define MASK (EMU_MAX_NAMES - 1)
static_assert((EMU_MAX_NAMES & MASK) == 0, "a power of two");
static_assert(EMU_MAX_NAMES >= 2 * EMU_MAX_DESCRIPTIONS, "half of it stays free");

static _Atomic uint64_t *slot_at(uint64_t place)
{
    return (_Atomic uint64_t *)(void *)arena->names + (place & MASK);
}

/* splitmix64's last steps: every bit of the input moves every bit of the result. */
static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

struct name_key name_of_file(uint64_t device, uint64_t inode)
{
    return (struct name_key){ (uint64_t)NAME_PATH << 56 ^ mix(device) >> 8, inode };
}

struct name_key name_of_bytes(enum name_kind kind, int type, const void *bytes, size_t size)
{
    const unsigned char *byte = bytes;
    uint64_t high = arena->header.id;
    uint64_t low = ~high ^ (uint64_t)type << 32 ^ size;

    for (size_t i = 0; i < size; i++) {
        high = mix(high ^ byte[i]);
        low = mix(low + byte[i]) + high;
    }
    return (struct name_key){ (uint64_t)kind << 56 | high >> 8, low };
}

struct name_key name_of_port(uint32_t machine, uint32_t port)
{
    return (struct name_key){ (uint64_t)NAME_VSOCK << 56 | machine, port };
}

static uint64_t place_of(struct name_key name)
{
    return mix(name.high ^ mix(name.low));
}

static uint64_t entry_of(const struct description *description)
{
    return (uint64_t)atomic_load(&description->generation) << 32 |
           (description_index(description) + 1);
}

/* The description that an entry stands for, while it has its name. */
static struct description *entry_holder(uint64_t entry)
{
    struct description *description;

    if ((uint32_t)entry == 0) {
        return NULL;
    }
    description = description_at((uint32_t)entry - 1);
    if (atomic_load(&description->generation) != (uint32_t)(entry >> 32) ||
        atomic_load(&description->named) == 0 ||
        atomic_load(&description->state) != DESCRIPTION_LIVE) {
        return NULL;
    }
    return description;
}

void names_lock(struct emu_task *self)
{
    lock_acquire(self, &arena->header.names_lock);
}

void names_unlock(struct emu_task *self)
{
    lock_release(self, &arena->header.names_lock);
}

int names_enter_locked(struct description *description)
{
    uint64_t place = place_of(description->name);

    for (uint32_t i = 0; i < EMU_NAME_PROBES; i++) {
        _Atomic uint64_t *slot = slot_at(place + i);

        if (!entry_holder(atomic_load(slot))) {
            atomic_store(slot, entry_of(description));
            atomic_store(&description->named, 1); /* it is true from now on */
            return 0;
        }
    }
    return -ENOMEM;
}

/*
 * Behind the last entry of a row nothing is looked for: entries that hold no more become free.
 * Requires: names_lock, else a name that is being entered behind one of them would be lost.
 */
static void tidy_locked(uint64_t place)
{
    for (uint32_t i = 0; i < EMU_NAME_PROBES; i++) {
        uint64_t entry = atomic_load(slot_at(place - i));

        if (entry == 0 || entry_holder(entry) || atomic_load(slot_at(place - i + 1)) != 0) {
            break;
        }
        atomic_store(slot_at(place - i), 0);
    }
}

void names_forget(struct emu_task *self, struct description *description)
{
    uint64_t place = place_of(description->name);
    uint64_t entry = entry_of(description);

    if (atomic_exchange(&description->named, 0) == 0) {
        return;
    }
    names_lock(self);
    for (uint32_t i = 0; i < EMU_NAME_PROBES; i++) {
        if (atomic_load(slot_at(place + i)) == entry) {
            tidy_locked(place + i);
            break;
        }
    }
    names_unlock(self);
}

struct description *names_find(struct name_key name, uint32_t *at)
{
    uint64_t place = place_of(name);

    while (*at < EMU_NAME_PROBES) {
        uint64_t entry = atomic_load(slot_at(place + (*at)++));
        struct description *holder = entry_holder(entry);

        if (entry == 0) {
            break;
        }
        if (holder && name_same(holder->name, name)) {
            return holder;
        }
    }
    *at = EMU_NAME_PROBES;
    return NULL;
}
