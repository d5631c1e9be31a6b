/*
 * splice_own.h - memory and a pipe of our own, for the time of one call of splice's
 *
 * Bytes of descriptors that the kernel has go through them. Both end with their block. Nothing may
 * sleep while there is such a pipe, and no child be made (FDTAB_CHANGE).
 */
#ifndef EMU_SPLICE_OWN_H
#define EMU_SPLICE_OWN_H

#include "task.h"

struct own_memory {
    struct emu_task *self;
    char *data; /* NULL: there is none */
    uint64_t unmap;
};
struct own_memory own_memory_begin(struct emu_task *self, uint64_t size);
void own_memory_end(struct own_memory *memory);

#define OWN_MEMORY(name, self, size) \
    struct own_memory name           \
        __attribute__((unused, cleanup(own_memory_end))) = own_memory_begin((self), (size))

/* Reading and writing number, non-blocking, out of the way of the guest's; -1: there is none. */
struct own_pipe {
    int fds[2];
};
struct own_pipe own_pipe_begin(void);
void own_pipe_end(struct own_pipe *own);

#define OWN_PIPE(name) \
    struct own_pipe name __attribute__((unused, cleanup(own_pipe_end))) = own_pipe_begin()

#endif
