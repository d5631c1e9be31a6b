/*
 * session.c - a session as a whole: making one, joining one, its options and its counts
 */
#include "announce.h"
#include "process.h"
#include "vigil.h"

#include <errno.h>
#include <fcntl.h>

int emu_session_create(void)
{
    struct host_identity identity = { 0 };
    int fd = arena_create();
    int bell;

    if (fd < 0) {
        return fd;
    }
    /* Slot 0 is nobody: so a slot is never mistaken for "none". */
    pool_take(&arena->header.processes, arena->processes_links, EMU_MAX_PROCESSES);
    bell = host_bell_create();
    if (bell < 0) {
        host_close(fd);
        return bell;
    }
    host_identify(bell, &identity);
    arena->header.bell_object = identity.object;
    arena->header.id = host_random();
    atomic_store(&arena->header.next_port, (uint32_t)(host_random() | 1024));
    arena->header.hidden = (struct emu_hidden){ .arena = fd, .bell = bell, .log = -1 };
    return fd;
}

int emu_session_attach(int fd)
{
    return arena_attach(fd);
}

void emu_session_conceal(void)
{
    /* Not the tables: they hold wake words and locks. */
    host_memory_conceal(arena->header.hidden.arena, arena, offsetof(struct arena, data),
                        EMU_ARENA_SIZE);
}

bool emu_session_attached(void)
{
    return arena != NULL;
}

void emu_session_set_options(const struct emu_options *options)
{
    arena->header.options = *options;
}

void emu_session_get_options(struct emu_options *ret_options)
{
    *ret_options = arena->header.options;
}

struct emu_hidden emu_session_hidden(void)
{
    return arena->header.hidden;
}

void emu_session_set_hidden(struct emu_hidden hidden)
{
    arena->header.hidden = hidden;
}

void emu_session_set_watcher(int32_t pid, int bell_fd)
{
    struct host_identity identity = { 0 };

    if (pid != 0) {
        host_identify(bell_fd, &identity);
    }
    atomic_store(&arena->header.watcher_object, identity.object);
    atomic_store(&arena->header.watcher_bell, bell_fd);
    atomic_store(&arena->header.watcher, pid);
    if (pid != 0) {
        vigil_announce();
    }
}

void emu_session_watch_sleeps(bool on)
{
    atomic_store(&arena->header.sleeps, on ? SLEEPS_WATCHED : SLEEPS_UNWATCHED);
}

bool emu_session_news_of_sleeps(void)
{
    uint32_t news = SLEEPS_NEW;

    return atomic_compare_exchange_strong(&arena->header.sleeps, &news, SLEEPS_WATCHED);
}

bool emu_session_claim_reaper(void)
{
    int32_t seen = atomic_load(&arena->header.reaper);

    return (seen == 0 || vigil_has_ended(seen > 0 ? seen : -seen)) &&
           atomic_compare_exchange_strong(&arena->header.reaper, &seen, -host_getpid());
}

void emu_session_set_reaper(int32_t pid, int32_t parent)
{
    atomic_store(&arena->header.reaper_leave, 0);
    atomic_store(&arena->header.reaper_parent, parent);
    atomic_store(&arena->header.reaper, pid);
}

int32_t emu_session_reaper_of(int32_t parent)
{
    int32_t pid = atomic_load(&arena->header.reaper);

    return pid > 0 && (parent == 0 || atomic_load(&arena->header.reaper_parent) == parent) ? pid
                                                                                           : 0;
}

void emu_session_dismiss_reaper(void)
{
    atomic_store(&arena->header.reaper_leave, 1);
    announce_ring();
}

bool emu_session_reaper_dismissed(void)
{
    return atomic_load(&arena->header.reaper_leave) != 0;
}

void emu_session_place(uintptr_t *ret_start, uint64_t *ret_size)
{
    *ret_start = (uintptr_t)arena;
    *ret_size = EMU_ARENA_SIZE;
}

void emu_session_forget_table(void)
{
    fdtab_thaw_child();
    fdtab_reset();
}

/* What is in the table now, by the elements themselves: a pool may have lost one to a kill. */
static uint32_t count_descriptions(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < atomic_load(&arena->header.descriptions.fresh); i++) {
        count += atomic_load(&description_at(i)->state) != DESCRIPTION_FREE;
    }
    return count;
}

static uint32_t count_bufs(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < atomic_load(&arena->header.bufs.fresh); i++) {
        count += atomic_load(&buf_at(i)->life) != BUF_FREE;
    }
    return count;
}

static uint32_t count_processes(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < atomic_load(&arena->header.processes.fresh); i++) {
        count += process_is_member(atomic_load(&process_at(i)->state));
    }
    return count;
}

void emu_session_count(struct emu_session_counts *ret_counts)
{
    const struct arena_header *header = &arena->header;

    *ret_counts = (struct emu_session_counts){
        .processes_joined = atomic_load(&header->joined),
        .processes = count_processes(),
        .descriptions = count_descriptions(),
        .bufs = count_bufs(),
        .waiters = queue_count(),
    };
}
