/*
 * host_fake_epoll.c - epoll instances of the fake host: entries by number, and what is new there
 *
 * Enough for placeholders: an entry is told once each time its bits change (EPOLLET). An instance
 * is known by the number that it was made with; no test copies one.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "host.h"
#include "host_fake.h"

#define ENTRIES 256

static struct entry {
    int instance; /* 0: free */
    int fd;
    short told;
    struct epoll_event event;
} entries[ENTRIES];

static struct entry *find(int instance, int fd)
{
    for (int i = 0; i < ENTRIES; i++) {
        if (entries[i].instance == instance && (instance == 0 || entries[i].fd == fd))
            return &entries[i];
    }
    return NULL;
}

int host_epoll_create(int flags)
{
    int fd = (flags & ~EPOLL_CLOEXEC) != 0 ? -EINVAL : fake_instance(flags != 0);

    for (int i = 0; i < ENTRIES; i++) {
        if (fd > 0 && entries[i].instance == fd)
            entries[i].instance = 0;
    }
    return fd;
}

int host_epoll_ctl(int epoll, int operation, int fd, uint32_t events, uint64_t data)
{
    struct entry *entry = find(epoll, fd);

    switch (operation) {
    case EPOLL_CTL_ADD:
        if (entry)
            return -EEXIST;
        entry = find(0, 0);
        if (!entry)
            return -ENOSPC;
        *entry = (struct entry){ .instance = epoll, .fd = fd };
        entry->event = (struct epoll_event){ .events = events, .data.u64 = data };
        return 0;
    case EPOLL_CTL_DEL:
        if (!entry)
            return -ENOENT;
        entry->instance = 0;
        return 0;
    default: return -EINVAL;
    }
}

int host_epoll_take(int epoll, void *ret_events, int max)
{
    int count = 0;

    for (int i = 0; i < ENTRIES && count < max; i++) {
        struct entry *entry = &entries[i];
        short bits = entry->instance == epoll ? host_poll_one(entry->fd, POLLIN) : 0;

        if (bits != 0 && bits != entry->told) {
            struct epoll_event event = { .events = (uint32_t)bits, .data = entry->event.data };

            memcpy((struct epoll_event *)ret_events + count++, &event, sizeof event);
        }
        entry->told = bits;
    }
    return count;
}

uint64_t host_epoll_find(int epoll, uint16_t tag)
{
    for (int i = 0; i < ENTRIES; i++) {
        if (entries[i].instance == epoll && entries[i].event.data.u64 >> 48 == tag)
            return entries[i].event.data.u64;
    }
    return 0;
}
