/*
 * vigil.c - see vigil.h
 */
#include "vigil.h"

#include "host.h"

#include <errno.h>

/* Of this process: a watcher's pid << 32 | number + 1, or one of these. Inherited by fork. */
#define NUMBER_NONE 0u         /* it can't be watched: no descriptor is left, the guest has ours */
#define NUMBER_DEAD UINT32_MAX /* it has died */

static _Atomic uint64_t known;
static _Atomic uint64_t object; /* of that number: host_bell_process() */
static _Atomic uint32_t asked;  /* header.changes + 1 when there was no watcher, and we asked */

static uint64_t pack(int32_t watcher, uint32_t number)
{
    return (uint64_t)(uint32_t)watcher << 32 | number;
}

static int32_t watcher_of(uint64_t word)
{
    return (int32_t)(word >> 32);
}

static int number_of(uint64_t word)
{
    uint32_t number = (uint32_t)word;

    return number == NUMBER_NONE || number == NUMBER_DEAD ? -1 : (int)number - 1;
}

static bool has_ended(int pidfd)
{
    return (host_poll_one(pidfd, POLLIN) & POLLIN) != 0;
}

/* Under a number that nobody sleeps on. A number + 1, NUMBER_NONE or NUMBER_DEAD. */
static uint32_t open_watcher(int32_t watcher, uint64_t *ret_object)
{
    int above = -1;

    for (int i = 0; i < EMU_BELL_TRIES; i++) {
        int fd = host_bell_process(above, watcher, ret_object);

        if (fd < 0) {
            return fd == -ESRCH ? NUMBER_DEAD : NUMBER_NONE;
        }
        if (EMU_LIKELY(!bell_has_number(fd))) {
            if (EMU_LIKELY(!has_ended(fd))) {
                return (uint32_t)fd + 1;
            }
            host_close(fd);
            return NUMBER_DEAD;
        }
        host_close(fd);
        above = fd;
    }
    return NUMBER_NONE;
}

/* What `known` said before is so no more: the number is closed, if it is ours still. */
static void let_go(uint64_t word, uint64_t identity)
{
    int number = number_of(word);

    if (number >= 0 && host_bell_process_stands(number, identity)) {
        host_close(number);
    }
}

/* There is none: asked for once, and again when somebody has joined. */
static void ask(struct emu_task *self)
{
    uint32_t now = atomic_load(&arena->header.changes) + 1;

    if (atomic_exchange(&asked, now) != now) {
        self->process->unwatched(self);
    }
}

void vigil_keep(struct emu_task *self)
{
    int32_t watcher = atomic_load(&arena->header.watcher);
    uint64_t word = atomic_load(&known);
    uint64_t before = atomic_load(&object);
    uint64_t identity = 0;
    uint32_t number;

    if (EMU_LIKELY(watcher != 0 && watcher_of(word) == watcher) || !self->process->unwatched) {
        return;
    }
    if (watcher == 0) {
        ask(self);
        return;
    }
    number = open_watcher(watcher, &identity);
    atomic_store(&object, identity); /* the same, if another thread is at it too */
    if (!atomic_compare_exchange_strong(&known, &word, pack(watcher, number))) {
        if (number_of(number) >= 0) { /* another thread was quicker */
            host_close(number_of(number));
        }
        return;
    }
    let_go(word, before);
    if (number == NUMBER_DEAD) {
        self->process->unwatched(self);
    }
}

int vigil_number(void)
{
    return number_of(atomic_load_explicit(&known, memory_order_relaxed));
}

void vigil_forget(void)
{
    let_go(atomic_exchange(&known, 0), atomic_load(&object));
}

bool vigil_has_ended(int32_t pid)
{
    int pidfd = host_process_open(pid);
    bool gone = pidfd == -ESRCH || (pidfd >= 0 && has_ended(pidfd));

    if (pidfd >= 0) {
        host_close(pidfd);
    }
    return gone;
}

void vigil_alarm(int number)
{
    uint64_t word = atomic_load(&known);
    uint64_t next = 0; /* vigil_keep() looks anew; */

    if (number_of(word) != number) {
        return; /* another thread has heard it */
    }
    if (!host_bell_process_stands(number, atomic_load(&object)) &&
        !(host_poll_one(number, 0) & POLLNVAL)) {
        next = pack(watcher_of(word), NUMBER_NONE); /* but not where the number is the guest's */
    }
    if (atomic_compare_exchange_strong(&known, &word, next)) {
        let_go(word, atomic_load(&object));
    }
    atomic_store(&asked, 0);
}

void vigil_announce(void)
{
    uint32_t tasks = atomic_load_explicit(&arena->header.tasks.fresh, memory_order_acquire);

    for (uint32_t i = 0; i < tasks; i++) {
        if (atomic_load(&task_at(i)->state) == TASK_LIVE) {
            task_wake(i);
        }
    }
}

enum emu_watched emu_session_watched(void)
{
    int32_t watcher = atomic_load_explicit(&arena->header.watcher, memory_order_relaxed);

    if (watcher == 0) {
        return EMU_UNWATCHED;
    }
    return EMU_UNLIKELY(atomic_load_explicit(&known, memory_order_relaxed) ==
                        pack(watcher, NUMBER_DEAD))
               ? EMU_WATCHER_DIED
               : EMU_WATCHED;
}
