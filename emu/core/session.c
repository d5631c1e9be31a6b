/*
 * session.c - a session as a whole: making one, joining one, its options and its counts
 */
#include "process.h"

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
    arena->header.hidden = (struct emu_hidden){ .arena = fd, .bell = bell };
    return fd;
}

int emu_session_attach(int fd)
{
    return arena_attach(fd);
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

/* What a watcher was sweeping when it died is nobody's: who takes its place sweeps it again. */
static void adopt_sweeps(void)
{
    uint32_t used = atomic_load_explicit(&arena->header.processes.fresh, memory_order_acquire);

    for (uint32_t slot = 0; slot < used; slot++) {
        uint32_t seen = atomic_load(&process_at(slot)->state);

        if (PROCESS_KIND(seen) == PROCESS_SWEPT && PROCESS_SWEEPER(seen) == 0) {
            atomic_compare_exchange_strong(&process_at(slot)->state, &seen,
                                           PROCESS_GENERATION(seen) | PROCESS_LIVE);
        }
    }
}

void emu_session_set_watcher(int32_t pid, int bell_fd)
{
    if (pid != 0) {
        adopt_sweeps();
    }
    atomic_store(&arena->header.watcher_bell, bell_fd);
    atomic_store(&arena->header.watcher, pid);
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
        count += PROCESS_KIND(atomic_load(&process_at(i)->state)) != PROCESS_FREE;
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
