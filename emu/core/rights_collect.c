/*
 * rights_collect.c - what nobody can receive any more, and what the dead had in hand: see rights.h
 *
 * Linux: net/unix/garbage.c. A socket in flight whose receiver is in flight, and so on, until none
 * is left that a process could reach.
 */
#include "rights_record.h"

#define COLLECT_ROUNDS EMU_MAX_RIGHTS /* each but the last marks one record at least */

struct marks {
    unsigned char *description; /* by index */
    bool changed;
};

/* Somebody can reach it but through a message: a process, a listener's queue. */
static bool is_rooted(const struct description *description)
{
    return description_held_by_any(description) || description_is_queued(description);
}

static bool is_reachable(const struct rights *record, const struct marks *marks)
{
    const struct description *reader;

    if (rights_kind(record) != RIGHTS_QUEUED) {
        return true; /* in somebody's hands */
    }
    if (record->reader == ARENA_NONE) {
        return true;
    }
    reader = description_at(record->reader);
    return atomic_load(&reader->generation) != record->reader_generation ||
           marks->description[record->reader] || is_rooted(reader);
}

static void mark_round(struct marks *marks)
{
    uint32_t used = rights_used();

    marks->changed = false;
    for (uint32_t i = 0; i < used; i++) {
        const struct rights *record = rights_at(i);

        if (rights_kind(record) == RIGHTS_FREE || !is_reachable(record, marks)) {
            continue;
        }
        for (uint32_t at = 0; at < record->held; at++) {
            uint32_t index = record->index[at];

            if (index != ARENA_NONE && !marks->description[index]) {
                marks->description[index] = 1;
                marks->changed = true;
            }
        }
    }
}

/* The first record that nobody will ever receive: its receiver, or ARENA_NONE. */
static uint32_t find_unreachable(struct emu_task *self, uint32_t *ret_generation)
{
    struct marks marks = { host_memory_private(EMU_MAX_DESCRIPTIONS), true };
    uint32_t found = ARENA_NONE;
    uint32_t used;

    if (!marks.description) {
        return ARENA_NONE;
    }
    outer_lock_acquire(self, &arena->header.rights_lock);
    for (uint32_t round = 0; round < COLLECT_ROUNDS && marks.changed; round++) {
        mark_round(&marks);
    }
    used = rights_used();
    for (uint32_t i = 0; i < used && found == ARENA_NONE; i++) {
        const struct rights *record = rights_at(i);

        if (rights_kind(record) == RIGHTS_QUEUED && !is_reachable(record, &marks)) {
            found = record->reader;
            *ret_generation = record->reader_generation;
        }
    }
    outer_lock_release(self, &arena->header.rights_lock);
    host_memory_unmap(marks.description, EMU_MAX_DESCRIPTIONS);
    return found;
}

/* Nobody can receive what is unread at this socket: it lets go of it, as if it were closed. */
static void empty_socket(struct emu_task *self, uint32_t index, uint32_t generation)
{
    struct description *description = description_at(index);
    struct socket_buf *buf = buf_at(description->rx);
    uint32_t chain = 0;

    lock_acquire(self, &buf->lock);
    if (atomic_load(&description->generation) == generation) {
        chain = rights_detach_locked(self, buf);
    }
    lock_release(self, &buf->lock);
    rights_let_go(self, chain);
}

/* Linux: unix_release_sock: unix_gc(), while anything is in flight. */
void rights_collect(struct emu_task *self)
{
    if (EMU_LIKELY(atomic_load(&arena->header.rights.used) == 0) || self->rights_collects) {
        return;
    }
    self->rights_collects = true;
    for (uint32_t bound = 0; bound < EMU_MAX_RIGHTS; bound++) {
        uint32_t generation;
        uint32_t index = find_unreachable(self, &generation);

        if (index == ARENA_NONE) {
            break;
        }
        empty_socket(self, index, generation);
    }
    self->rights_collects = false;
}

/* One that was taken out of the list, or was being put in, when its process was killed. */
static void unlink_swept(struct emu_task *self, uint32_t record)
{
    struct rights *at = rights_at(record - 1);
    struct description *reader = at->reader == ARENA_NONE ? NULL : description_at(at->reader);
    struct socket_buf *buf = reader && reader->rx != ARENA_NONE ? buf_at(reader->rx) : NULL;
    uint32_t *place;

    if (!buf || atomic_load(&reader->generation) != at->reader_generation) {
        return;
    }
    lock_acquire(self, &buf->lock);
    place = rights_link_to(buf, record);
    if (*place == record) {
        *place = at->next;
    }
    lock_release(self, &buf->lock);
}

/* Counts anew: a process was killed while it counted. */
static void recount(struct emu_task *self)
{
    uint32_t descriptions = atomic_load(&arena->header.descriptions.fresh);
    uint32_t used;

    outer_lock_acquire(self, &arena->header.rights_lock);
    for (uint32_t i = 0; i < descriptions; i++) {
        atomic_store(&description_at(i)->in_flight, 0);
    }
    used = rights_used();
    for (uint32_t i = 0; i < used; i++) {
        const struct rights *record = rights_at(i);

        for (uint32_t at = 0; rights_kind(record) != RIGHTS_FREE && at < record->held; at++) {
            if (record->index[at] != ARENA_NONE) {
                atomic_fetch_add(&description_at(record->index[at])->in_flight, 1);
            }
        }
    }
    for (uint32_t i = 0; i < descriptions; i++) {
        if (atomic_load(&description_at(i)->in_flight) == 0) {
            atomic_fetch_and(&description_at(i)->holders[0], ~(1ull << DESCRIPTION_IN_FLIGHT));
        }
    }
    outer_lock_release(self, &arena->header.rights_lock);
}

void rights_sweep(struct emu_task *self, uint32_t slot)
{
    uint32_t used = rights_used();
    bool any = false;

    for (uint32_t i = 0; i < used; i++) {
        struct rights *record = rights_at(i);
        uint32_t theirs = RIGHTS_HELD | slot << 8;

        if (atomic_compare_exchange_strong(&record->state, &theirs, rights_hands_of(self))) {
            if (!any) {
                recount(self);
            }
            any = true;
            unlink_swept(self, i + 1);
            record->next = 0;
            rights_let_go(self, i + 1);
        }
    }
}
