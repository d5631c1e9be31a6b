/*
 * splice_own.c - see splice_own.h
 */
#include "splice_own.h"

#include "host.h"

#include <fcntl.h>

#define NUMBER_MIN 500 /* as the hidden copies of pinned placeholders: fdtab.c */

struct own_memory own_memory_begin(struct emu_task *self, uint64_t size)
{
    struct own_memory memory = { self, task_scratch(self, size), 0 };

    if (!memory.data) {
        memory.data = host_memory_private(size);
        memory.unmap = size;
    }
    return memory;
}

void own_memory_end(struct own_memory *memory)
{
    if (memory->unmap == 0) {
        memory->self->scratch_busy = false;
    } else if (memory->data) {
        host_memory_unmap(memory->data, memory->unmap);
    }
}

struct own_pipe own_pipe_begin(void)
{
    struct own_pipe own = { { -1, -1 } };
    int fds[2];

    if (host_pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
        return own;
    }
    for (int i = 0; i < 2; i++) {
        int64_t high = host_fcntl(fds[i], F_DUPFD_CLOEXEC, NUMBER_MIN);

        own.fds[i] = high >= 0 ? (int)high : fds[i];
        if (high >= 0) {
            host_close(fds[i]);
        }
    }
    return own;
}

void own_pipe_end(struct own_pipe *own)
{
    if (own->fds[0] >= 0) {
        host_close(own->fds[0]);
        host_close(own->fds[1]);
    }
}
