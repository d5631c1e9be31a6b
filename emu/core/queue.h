/*
 * queue.h - queues of those who want to know when an object changes
 *
 * A queue belongs to an object and is guarded by the object's lock. A waiter is one registration in
 * one queue, for some events: of a task that is about to sleep, of an item of an epoll set, of a
 * description whose owner wants SIGIO. It stays until whoever registered it takes it back, so each
 * event costs as much as there are waiters for it, not as there are objects watched.
 *
 * An object's own lock is held while its queue is looked at, and no second one can be (lock.h):
 * matches are noted in a wake_list, and told once the lock is released. Whoever is killed in
 * between has told nobody; the sweep of a dead process wakes all who wait on what it held.
 */
#ifndef EMU_QUEUE_H
#define EMU_QUEUE_H

#include "lock.h"
#include "task.h"

enum waiter_kind {
    WAITER_TASK,  /* `target`: index of a task record */
    WAITER_ITEM,  /* ... of an item of an epoll set: epoll.h */
    WAITER_OWNER, /* ... of a description with O_ASYNC: async.h */
};

/* Waiters of one object for one side; guarded by the object's lock. */
struct wait_queue {
    _Atomic uint32_t first; /* index + 1 of the newest waiter; 0: nobody waits */
};

enum {
    WAITER_MORE_SHIFT = 16, /* in what is notified to owners: how many segments beyond the first */
    WAITER_MORE_MAX = 0xfff,
    WAITER_RECEIVES = 1u << 28,  /* in `events`: a blocked receive of a stream; see async_event() */
    WAITER_ASYNC = 1u << 29,     /* all that an owner waits for: Linux calls kill_fasync() here */
    WAITER_EXCLUSIVE = 1u << 30, /* EPOLLEXCLUSIVE, one of these is enough */
    WAITER_OWED = 1u << 31,      /* a wake list was full: it is still to be told */
};
#define WAITER_FLAGS ((uint32_t)(WAITER_ASYNC | WAITER_EXCLUSIVE | WAITER_OWED))

struct waiter {
    uint32_t next;         /* in the queue: index + 1; guarded by the object's lock */
    uint32_t task_next;    /* of a task: its next waiter, index + 1; else `target`'s generation */
    uint32_t target;       /* whom to tell */
    uint32_t queue_offset; /* the queue and the lock that guards it, from the arena's start */
    uint32_t lock_offset;
    uint32_t events;          /* POLL* bits it waits for, WAITER_*; guarded by the object's lock */
    _Atomic uint32_t process; /* slot of the task's process, for the sweep; QUEUE_NOBODY's: none */
    _Atomic uint32_t linked;  /* 1 + enum waiter_kind; 0: not in use */
};
static_assert(sizeof(struct waiter) == 32, "arena.def gives 32");

#define QUEUE_NOBODY UINT32_MAX /* a registration that outlives every single process */

/*
 * Stands for an event: somebody died who may have changed the object and told nobody. Tasks look
 * again; level-triggered items, too; an edge that was told before isn't told again.
 */
#define QUEUE_RECHECK (1u << 15)

/* What to register. */
struct waiter_plan {
    enum waiter_kind kind;
    uint32_t target;
    uint32_t link; /* `task_next` */
    uint32_t events;
    struct lock *lock;
    struct wait_queue *queue;
};

/*
 * Registers; exclusive waiters go behind all others, in the order of their coming, as in Linux.
 * The waiter is this process's: a sweep takes it back until queue_keep() says otherwise.
 * Returns the index, or ARENA_NONE when there are no more. Requires: no lock.
 */
uint32_t queue_register(struct emu_task *self, const struct waiter_plan *plan);

/* The waiter outlives this process. */
void queue_keep(uint32_t waiter);

/* Takes a registration back. May be repeated while nobody reuses it. Requires: no lock. */
void queue_unregister(struct emu_task *self, uint32_t waiter);

static inline struct waiter *waiter_at(uint32_t index)
{
    EMU_DEBUG_ASSERT(index < EMU_MAX_WAITERS);
    return (struct waiter *)arena->waiters + index;
}

/* Whom to tell once the lock is released. */
#define WAKE_LIST_MAX   16
#define WAKE_QUEUES_MAX 4 /* queues that one list can be notified of */
struct wake_entry {
    uint32_t kind;
    uint32_t target;
    uint32_t generation; /* of an item or a description */
    uint32_t events;     /* what happened: POLL* bits, all of them for a change of state */
};
struct wake_list {
    uint32_t count;
    uint32_t owing; /* queues in which some waiter found no place in the list */
    struct wake_entry entries[WAKE_LIST_MAX];
    struct {
        struct lock *lock;
        struct wait_queue *queue;
    } owed[WAKE_QUEUES_MAX];
};

/* Only the counts need it: a list on a hot path isn't cleared as a whole. */
static inline void wake_list_init(struct wake_list *list)
{
    list->count = 0;
    list->owing = 0;
}

/*
 * Notes the waiters whose events meet `events` (POLL* bits, WAITER_ASYNC; ERR, HUP and NVAL meet
 * everybody but owners, as a wake-up without a key does in Linux). Requires: the queue's lock.
 */
void queue_notify_locked(struct wait_queue *queue, uint32_t events, struct wake_list *list);

/* Tells them. Requires: no lock. */
void wake_list_flush(struct emu_task *self, struct wake_list *list);

/*
 * What happens to those that aren't tasks; both take locks of their own. Defined by epoll.c and
 * async.c, which stand above. An owner gets what was notified, and WAITER_RECEIVES when some task
 * sleeps in a receive.
 */
void epoll_item_event(struct emu_task *self, uint32_t item, uint32_t generation, uint32_t events);
void async_event(struct emu_task *self, uint32_t description, uint32_t generation, uint32_t events);

/* Whether an exclusive item takes the event, so that no other need: somebody waits on its set. */
bool epoll_item_takes(uint32_t item, uint32_t events);

/* Waiters of tasks in use, by the elements themselves. */
uint32_t queue_count(void);

/* Takes back what a dead process registered and hadn't yet hung on one of its tasks. */
void queue_sweep_strays(struct emu_task *self, uint32_t process);

#endif
