/*
 * fdtab.h - which of this process's descriptors are placeholders, and for what
 *
 * A cache of what the kernel says of a number in this process's own memory: fork copies
 * it, exec loses it (process.h rebuilds it). An entry is one word, read and written atomically, so
 * there is no lock to be left behind by fork; two threads that fight for one number get what two
 * threads get from the kernel: one of the two orders.
 *
 * Each description held by this process has a count of its references here: descriptors, and calls
 * that are blocked on it (a pin). The process's bit in the description goes with the last one. A
 * pinned description whose last descriptor was closed keeps a hidden copy of its placeholder, so
 * that its peer doesn't see a hang-up before the blocked call has ended, as in Linux.
 */
#ifndef EMU_FDTAB_H
#define EMU_FDTAB_H

#include "description.h"

#include <fcntl.h>

/* index + 1 of the description, its generation above; 0: not emulated. */
extern _Atomic uint64_t fdtab_entries[EMU_MAX_FDS] __attribute__((visibility("hidden")));

/* The description behind fd, or NULL when it is native. Takes no lock and no reference. */
static inline struct description *fdtab_get(int fd)
{
    uint64_t entry;
    struct description *description;

    if (EMU_UNLIKELY((unsigned)fd >= EMU_MAX_FDS)) {
        return NULL;
    }
    entry = atomic_load_explicit(&fdtab_entries[fd], memory_order_acquire);
    if (EMU_LIKELY((uint32_t)entry == 0)) {
        return NULL;
    }
    description = description_at((uint32_t)entry - 1);
    if (EMU_UNLIKELY((uint32_t)(entry >> 32) !=
                     atomic_load_explicit(&description->generation, memory_order_relaxed)) ||
        EMU_UNLIKELY(atomic_load_explicit(&description->native, memory_order_relaxed))) {
        return NULL;
    }
    return description;
}

/* The same, but also of an epoll instance and of a channel that was handed over. */
static inline struct description *fdtab_get_any(int fd)
{
    uint64_t entry;
    struct description *description;

    if (EMU_UNLIKELY((unsigned)fd >= EMU_MAX_FDS)) {
        return NULL;
    }
    entry = atomic_load_explicit(&fdtab_entries[fd], memory_order_acquire);
    if ((uint32_t)entry == 0) {
        return NULL;
    }
    description = description_at((uint32_t)entry - 1);
    return (uint32_t)(entry >> 32) ==
                   atomic_load_explicit(&description->generation, memory_order_relaxed)
               ? description
               : NULL;
}

/* The description behind fd that is still the emulator's to serve, an epoll instance's too. */
static inline struct description *fdtab_get_served(int fd)
{
    struct description *description = fdtab_get_any(fd);

    return description && atomic_load_explicit(&description->native, memory_order_relaxed) !=
                              DESCRIPTION_HANDED_OVER
               ? description
               : NULL;
}

/*
 * The description behind fd whose data calls and options the emulator answers: what fdtab_get()
 * gives, and a listening socket of AF_VSOCK, whose placeholder is of another family.
 */
static inline struct description *fdtab_get_call(int fd)
{
    struct description *description = fdtab_get_any(fd);
    uint32_t native;

    if (EMU_LIKELY(!description)) {
        return NULL;
    }
    native = atomic_load_explicit(&description->native, memory_order_relaxed);
    if (EMU_LIKELY(native == DESCRIPTION_OURS) ||
        (native == DESCRIPTION_LISTENER && description_is_vsock(description))) {
        return description;
    }
    return NULL;
}

/* True when the number has an entry, also one whose channel went native: for closing. */
static inline bool fdtab_present(int fd)
{
    return (unsigned)fd < EMU_MAX_FDS &&
           (uint32_t)atomic_load_explicit(&fdtab_entries[fd], memory_order_acquire) != 0;
}

/* Enters fd for a description that this process may hold already. Replaces what stood there. */
void fdtab_set(struct emu_task *self, int fd, uint32_t index);

/* The same for one that was there before: after exec, or when dup2 has failed. */
void fdtab_restore(struct emu_task *self, int fd, uint32_t index);

/* Forgets fd and drops its reference. The caller closes or has closed the kernel's. */
void fdtab_clear(struct emu_task *self, int fd);

/*
 * Closes fd, its placeholder first, then the reference: whoever is woken by that asks the kernel.
 * Returns close's result, or EMU_NATIVE when fd has no entry.
 */
int64_t fdtab_close(struct emu_task *self, int fd);

/* Says that fd, which stood for the description, is closed by the guest: track.h. */
void fdtab_note_closed(struct emu_task *self, int fd, uint32_t index);

/* Takes fd's entry out; the reference becomes the caller's. Returns it, or ARENA_NONE. */
uint32_t fdtab_take(int fd);

/* References of this process beside its entries. */
void fdtab_ref(uint32_t index);
void fdtab_unref(struct emu_task *self, uint32_t index);

/* Another reference, which may be this process's first: it holds the description from now on. */
void fdtab_hold(struct emu_task *self, uint32_t index);

/* Pins for the time of a blocked call: see the top. */
void fdtab_pin(struct emu_task *self, uint32_t index);
void fdtab_unpin(struct emu_task *self, uint32_t index);

/*
 * Pins of a call that waits for many: they are noted in the task, so that they are undone also when
 * a handler leaves the call by a jump. False: no memory for the note, and nothing is pinned.
 */
bool fdtab_pin_one_more(struct emu_task *self, uint32_t index);

/* Undoes the task's newest pins until `mark` of them are left. */
void fdtab_unpin_to(struct emu_task *self, uint32_t mark);

/* Called before a descriptor of the description is closed: keeps a copy for the pins, if any. */
void fdtab_keep_for_pins(int fd, uint32_t index);

/*
 * A number under which the kernel has the placeholder of a description now: `fd` while it still
 * stands for it, else the pins' hidden copy, else -1.
 */
int fdtab_number(int fd, uint32_t index);

/* A number of this process for the description: `hint` if it is one, else any; -1: none. */
int fdtab_find(int hint, uint32_t index);

/*
 * Where the kernel has the placeholder: another thread may have closed the number that the call
 * began with, and the number may be anything by now. -1: nowhere in this process.
 */
static inline int fdtab_placeholder(int fd, uint32_t index)
{
    int number = fdtab_number(fd, index);

    return EMU_LIKELY(number >= 0) ? number : fdtab_find(fd, index);
}

/* Puts `fd` over each number of this process for the description; their flags stay. */
void fdtab_replace(int fd, const struct description *description);

/* In a fork's child: blocked calls of the parent's other threads keep nothing here. */
void fdtab_forget_pins(struct emu_task *self);

/* Forgets everything without touching the arena: in a fresh image. */
void fdtab_reset(void);

/*
 * A change of numbers: from before the system call that makes, copies or closes a placeholder until
 * the table and the arena say so, too. FDTAB_CHANGE(self) lasts to the end of its block. Blocks
 * while another thread forks, for that long. May not be nested; not to be begun under a lock of the
 * arena, for who forks takes these. The first one announces the process.
 */
struct emu_task *fdtab_change_begin(struct emu_task *self);
void fdtab_change_end(struct emu_task **self);
#define FDTAB_CHANGE(self)                                                        \
    __attribute__((cleanup(fdtab_change_end), unused)) struct emu_task *change_ = \
        fdtab_change_begin(self)

/*
 * Lets no change be made, and none be half made, until fdtab_thaw(): what a child inherits is what
 * the table says, and what a message carries is what its numbers stand for. The calling thread
 * itself may go on changing. Both may be repeated; a thaw by another thread does nothing. Fork's
 * child begins with fdtab_thaw_child().
 */
void fdtab_freeze(struct emu_task *self);
void fdtab_thaw(struct emu_task *self);
void fdtab_thaw_child(void);

/* Highest number in use + 1: bounds loops over the table. */
int fdtab_top(void);

/* References that this process has to a description. */
uint32_t fdtab_references(uint32_t index);

#endif
