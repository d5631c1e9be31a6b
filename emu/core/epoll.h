/*
 * epoll.h - epoll sets: what is watched, what is ready, in which order it is told
 *
 * An emulated instance *is* a real epoll instance, its placeholder, which serves the descriptors
 * that the kernel serves. Placeholders of emulated descriptors are entered in it too, under a data
 * word of ours (a tag, the item and its generation) and for EPOLLIN | EPOLLET alone: so every error
 * of epoll_ctl is the kernel's own word, ELOOP and ENOSPC included, and what happens past the
 * emulator, a holder's death or stray bytes, shows there.
 *
 * Beside it stands the emulator's half: an item for each emulated descriptor in the set, keyed by
 * number and description as in Linux. Its waiters hang in the queues of what it watches; an event
 * appends it to the instance's ready list and tells those who wait. Waiting costs as much as there
 * are items ready, never as there are items.
 * Linux: fs/eventpoll.c:ep_insert, ep_poll_callback, ep_send_events.
 *
 * Locks. The structure (which items exist, three chains of them) is guarded by one outer lock of
 * the arena, held by epoll_ctl and by the end of a description; the ready list, an item's events
 * and data, and the queue of who waits by the instance's own. Whoever dies changing one leaves a
 * flag: the next owner rebuilds the chains from the items, or the ready list from nothing, in which
 * all items count as ready: a look at each tells; an edge-triggered one may be told twice.
 */
#ifndef EMU_EPOLL_H
#define EMU_EPOLL_H

#include "fdtab.h"
#include "wait.h"

#include <sys/epoll.h>

struct epoll {
    _Alignas(64) struct lock lock;
    _Atomic uint32_t version;    /* grows with each change of the ready list */
    struct wait_queue waiters;   /* tasks, and items of the sets that this instance is in */
    _Atomic uint32_t generation; /* grows when it is freed */
    _Atomic uint32_t first;      /* ready list: item + 1; written under the lock, peeked without */
    uint32_t last;
    _Atomic uint32_t changing; /* 1: the ready list is being changed */
    uint32_t items;            /* chain of all its items: item + 1; guarded by the outer lock */
    _Atomic uint32_t real;     /* > 0: some entry is, or was, the kernel's */
    _Atomic uint32_t nested;   /* 1: an instance is, or was, in it */
    _Atomic uint32_t turn;     /* odd: the kernel's events go first, so that nobody starves */
    _Atomic int32_t cpu;       /* where an event last came from, or -1: a hint */
    /* Before an entry is modified: what it was, for whoever finds its changer dead. */
    uint32_t undo_item; /* item + 1; 0: nothing is being modified */
    uint32_t undo_events;
    uint64_t undo_data;
};
static_assert(sizeof(struct epoll) == 64, "arena.def gives 64");

enum { ITEM_FREE, ITEM_MAKING, ITEM_LIVE, ITEM_DYING };

struct epoll_item {
    _Alignas(64) _Atomic uint32_t state; /* ITEM_*; by the outer lock */
    _Atomic uint32_t generation;         /* grows, under the instance's lock, when it is removed */
    uint32_t epoll;                      /* constant while live, like the next three */
    uint32_t watched;                    /* description */
    uint32_t watched_generation;
    int32_t fd; /* the number under which it was added */
    /* Guarded by the instance's lock; `ready` and `events` are peeked at without. */
    _Atomic uint32_t events; /* EPOLL*; ERR and HUP are always in, until a one-shot was told */
    _Atomic uint32_t ready;  /* in the ready list: the next item + 1, or ITEM_LAST; 0: it isn't */
    uint64_t data;
    /* Guarded by the outer lock. */
    uint32_t waiters[2]; /* index + 1 */
    uint32_t hash_next;  /* item + 1, in all chains */
    uint32_t watched_next;
    uint32_t epoll_next;
    uint32_t epoll_previous;
};
static_assert(sizeof(struct epoll_item) == 64, "arena.def gives 64");

static inline struct epoll *epoll_at(uint32_t index)
{
    EMU_DEBUG_ASSERT(index < EMU_MAX_EPOLLS);
    return (struct epoll *)arena->epolls + index;
}

static inline struct epoll_item *epoll_item_at(uint32_t index)
{
    EMU_DEBUG_ASSERT(index < EMU_MAX_ITEMS);
    return (struct epoll_item *)arena->items + index;
}

/* Items that were ever in use: what a look at all of them runs to. */
static inline uint32_t epoll_items_used(void)
{
    return base_min_u32(atomic_load_explicit(&arena->header.items.fresh, memory_order_acquire),
                        EMU_MAX_ITEMS);
}

#define ITEM_LAST UINT32_MAX

/* Bits of `events` that are no conditions (fs/eventpoll.c:EP_PRIVATE_BITS). */
#define EPOLL_PRIVATE ((uint32_t)(EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE))

/*
 * The data word of a placeholder's entry: the tag, 32 bits of the item's generation, its index. A
 * guest's own word that happens to begin so names no live item of the set.
 */
#define EPOLL_TAG        0xe90cull
#define EPOLL_NAME_TAG   0xe90dull /* the entry that names the instance itself */
#define EPOLL_INDEX_BITS 16
static_assert(EMU_MAX_ITEMS == 1u << EPOLL_INDEX_BITS, "an index fills its part of the word");

#define KERNEL_EVENTS ((uint32_t)(EPOLLIN | EPOLLET)) /* of a placeholder: what is news */

static inline uint64_t epoll_item_word(uint32_t index)
{
    return EPOLL_TAG << 48 |
           (uint64_t)atomic_load(&epoll_item_at(index)->generation) << EPOLL_INDEX_BITS | index;
}

/* The emulated instance behind fd, or NULL. */
static inline struct description *epoll_description(int fd)
{
    struct description *description = fdtab_get_any(fd);

    return description && description->kind == DESCRIPTION_EPOLL ? description : NULL;
}

/*
 * False: another thread closed the set under the call. What it says under the set's own lock or the
 * outer one holds until release, for who buries the set takes both.
 */
static inline bool epoll_lives(const struct description *set)
{
    return atomic_load(&set->state) == DESCRIPTION_LIVE && set->kind == DESCRIPTION_EPOLL &&
           atomic_load(&epoll_at(set->epoll)->generation) == set->epoll_generation;
}

/* A new, empty instance: its index, or ARENA_NONE. */
uint32_t epoll_make(void);

/* Frees one that no description ever owned. */
void epoll_unmake(uint32_t index);

/* One entry of a set, as epoll_ctl names it. */
struct epoll_key {
    struct description *set; /* an epoll instance that this process holds as `set_fd` */
    int set_fd;
    struct description *watched; /* what it holds as `fd`: a channel or an instance */
    int fd;
};

/*
 * epoll_ctl(2) on an emulated descriptor. Each returns 0 or the -errno that Linux gives. An entry
 * that is ready is told at once. Requires: no lock.
 */
int epoll_add(struct emu_task *self, const struct epoll_key *key, const struct epoll_event *event);
int epoll_modify(struct emu_task *self, const struct epoll_key *key,
                 const struct epoll_event *event);
int epoll_remove(struct emu_task *self, const struct epoll_key *key);

/*
 * The watched channel is the kernel's now: so become its entries in all sets, as far as this
 * process has the numbers that it takes. Requires: no lock.
 */
void epoll_hand_over(struct emu_task *self, struct description *watched);

/* A number of this process for a channel that the set watches and the emulator serves, or -1. */
int epoll_any_fd(struct emu_task *self, const struct description *set);

/* The instance's lock; the list is whole then. */
void epoll_lock(struct emu_task *self, struct epoll *epoll);

/* Takes an item out of its instance's ready list. Requires: the instance's lock. */
void epoll_take_out_locked(struct epoll *epoll, uint32_t index);

/* Gives an item of the instance another mask and word, both or none. Requires: its lock. */
void epoll_change_locked(struct epoll *epoll, uint32_t index, uint32_t events, uint64_t data);

/* Tells an item that is ready now. Requires: no lock of the instance's. */
void epoll_item_check(struct emu_task *self, uint32_t index, uint32_t generation);

/* One epoll_wait's progress. */
struct epoll_harvest {
    struct description *set;
    int set_fd;
    struct epoll_event *events; /* the guest's; may be bad */
    int max;
    int got;
    struct description *handed_over; /* met one that the kernel serves: epoll_hand_over() it */
    int handed_over_fd;              /* the number that the entry names */
};

/*
 * Tells what is ready on the emulator's side, in Linux's order: one-shots fall silent, level-
 * triggered ones go to the end, what isn't ready after all leaves the list. Returns 0, or -EFAULT
 * (events that were told already stay told, the others stay ready).
 */
int epoll_collect(struct emu_task *self, struct epoll_harvest *harvest);

/* Tells the kernel's events, and learns from its word about placeholders. Returns 0 or -errno. */
int epoll_collect_real(struct emu_task *self, struct epoll_harvest *harvest);

/* What a wait for the instance's events waits for. */
void epoll_watch(const struct description *set, struct wait_set *wait);

/*
 * Poll bits of an instance: ours, and `real`, the kernel's for its placeholder. Where nothing but
 * placeholders is in it, the kernel's are news of them, which are taken in.
 */
uint32_t epoll_instance_bits(struct emu_task *self, struct description *set, int fd, uint32_t real);

/*
 * An entry of the kernel's is about to come: those who wait must watch the placeholder, too. It
 * must be noted before it is there, for until then what the placeholder says is taken as news.
 */
void epoll_note_real(struct emu_task *self, struct description *set);

/* It didn't come. */
void epoll_forget_real(struct description *set);

/* Takes what the placeholder says, unless a kernel's entry may be what says it. The count. */
int epoll_take_news(struct emu_task *self, struct epoll *epoll, int fd, struct epoll_event *news,
                    int max);

/* Names the instance in its placeholder, so that a later image finds it. 0 or -errno. */
int epoll_identify(int fd, const struct description *set);

/* The description that the instance behind fd names, or ARENA_NONE. From /proc. */
uint32_t epoll_named(int fd);

/* Entries in use. */
uint32_t epoll_item_count(void);

#endif
