/*
 * track.h - what this process noted of its descriptors' numbers, for findings (finding.h)
 *
 * Off, and nothing but a load and a branch, unless emu_options.track says otherwise. On, each
 * number has an entry: who opened it and where, and, when it is closed, where that was. The
 * entries are in memory of this process alone: fork copies them, so a child knows what it has
 * inherited, and what its parent had closed; exec loses them. Where a description came from stands
 * with it in the arena, so that survives everything.
 *
 * Two threads that fight for a number may leave a mixture of both in its entry. It is read for
 * messages alone.
 */
#ifndef EMU_TRACK_H
#define EMU_TRACK_H

#include "finding.h"

#include "arena.h"

enum track_state {
    TRACK_UNKNOWN, /* never open here, as far as we know; or the kernel's, and open */
    TRACK_OPEN,
    TRACK_CLOSED,
    TRACK_CLOSED_NATIVE,
};

struct track_number {
    _Atomic uint32_t state;  /* enum track_state */
    _Atomic uint32_t object; /* enum emu_object */
    _Atomic int32_t opener;  /* pid that opened it */
    _Atomic uint32_t made;   /* site */
    _Atomic uint32_t closed; /* site */
};

/* Which description ended how: kept with what the other end looks at. */
struct track_end {
    uint32_t site;
    int32_t pid; /* 0: nobody has noted it */
    uint32_t at_exit;
    uint32_t pad;
    char program[16];
};

extern struct track_number *track_numbers __attribute__((visibility("hidden"))); /* NULL: off */

static inline bool track_is_on(void)
{
    return EMU_UNLIKELY(track_numbers != NULL);
}

/* A number was opened. `*made`: where its description was; set when that is new. */
void track_opened(struct emu_task *self, int fd, uint32_t object, _Atomic uint32_t *made);

/* An emulated one is closed. `made` is where its description was. */
void track_closed(struct emu_task *self, int fd, uint32_t object, uint32_t made);

/* The number is the kernel's now. */
void track_forget(int fd);

/* Where this process opened the number, as its own. False: it has inherited it. */
bool track_is_own(const struct emu_task *self, int fd, uint32_t *ret_made);

/* From now on what is closed is closed by the end of the process. */
void track_set_ending(void);
bool track_is_ending(void);

/* Who ends an end, and where, for its other end. */
struct track_end track_end_here(struct emu_task *self);

/* The last reader is closed and leaves `bytes`. `sure`: this process was to read them. */
void track_unread(struct emu_task *self, uint32_t object, uint32_t made, uint32_t bytes, bool sure);

/* Where the guest is; 0: not known. */
uint32_t track_site(struct emu_task *self);

#endif
