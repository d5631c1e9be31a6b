/*
 * announce.c - see announce.h
 */
#include "announce.h"

#include "host.h"

void announce_ring(void)
{
    int32_t watcher = atomic_load(&arena->header.watcher);

    if (watcher != 0) {
        host_ring_other(watcher, atomic_load(&arena->header.watcher_bell),
                        atomic_load(&arena->header.watcher_object));
    }
}

void announce_process(struct emu_process *process)
{
    atomic_store(&process->announced, true);
    announce_ring();
}
