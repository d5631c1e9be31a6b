/*
 * numbers.h - which number a slot means, and what that is, as far as the order of events depends
 * on it: emulated, real, or an epoll instance
 *
 * Each process has its own numbers, as the kernel sees it.
 */
#ifndef RANDOM_NUMBERS_H
#define RANDOM_NUMBERS_H

#include "step.h"

#include <stdbool.h>

enum {
    SLOTS = 40,
    UNUSED_NUMBER = 200, /* slot s that was never filled means this number + s */
    NUMBERS = 1024,
    INSTANCES = 64, /* epoll instances made by one list */
};

enum kind { KIND_CLOSED, KIND_EMULATED, KIND_REAL, KIND_EPOLL };

/* What a number of this process is, as far as the order of events depends on it. */
struct number {
    enum kind kind;
    int instance;
};

/* An epoll instance; what was ever added counts, for a dup may keep it there. */
struct instance {
    bool has_real;
    bool inner[INSTANCES];
};

/* All instances, shared by the processes: what one adds to a set is in the other's set too. */
struct sets {
    int count;
    struct instance instances[INSTANCES];
};

static struct number numbers[NUMBERS];
static int slots[SLOTS];
static struct sets *sets;

static inline void numbers_init(struct sets *shared_sets)
{
    sets = shared_sets;
    for (int i = 0; i < SLOTS; i++)
        slots[i] = UNUSED_NUMBER + i;
}

static inline int *slot(const struct step *step, int index)
{
    const long value = argument(step, index);

    if (value < 0 || value >= SLOTS)
        give_up("no such slot", step->words[index]);
    return &slots[value];
}

/* The descriptor's number; also of one that is closed, or was never made. */
static inline int fd_of(const struct step *step, int index)
{
    return *slot(step, index);
}

static inline struct number *number_at(int fd)
{
    if (fd < 0 || fd >= NUMBERS)
        give_up("a number out of bounds", "");
    return &numbers[fd];
}

static inline void note_number(const struct step *step, int index, int fd, enum kind kind,
                               int instance)
{
    *slot(step, index) = fd;
    *number_at(fd) = (struct number){ kind, instance };
}

static inline int new_instance(void)
{
    if (sets->count == INSTANCES)
        give_up("too many epoll instances", "");
    return sets->count++;
}

/* `fd` is about to be added to `epfd`; noted also when that will fail. */
static inline void note_added(int epfd, int fd)
{
    const struct number *set = number_at(epfd);
    const struct number *entry = number_at(fd);

    if (set->kind != KIND_EPOLL)
        return;
    if (entry->kind == KIND_REAL)
        sets->instances[set->instance].has_real = true;
    else if (entry->kind == KIND_EPOLL)
        sets->instances[set->instance].inner[entry->instance] = true;
}

/* Does a real descriptor have a say in the order of this set's events? */
static inline bool is_mixed(int instance)
{
    const int instance_count = sets->count;
    bool reached[INSTANCES] = { false };
    bool more = true;

    reached[instance] = true;
    while (more) { /* each round but the last reaches one more */
        more = false;
        for (int i = 0; i < instance_count; i++) {
            for (int k = 0; reached[i] && k < instance_count; k++) {
                if (sets->instances[i].inner[k] && !reached[k])
                    more = reached[k] = true;
            }
        }
    }
    for (int i = 0; i < instance_count; i++) {
        if (reached[i] && sets->instances[i].has_real)
            return true;
    }
    return false;
}

#endif
