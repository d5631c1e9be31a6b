/*
 * capacity.c - see capacity.h
 */
#include "capacity.h"

#include <string.h>

/*
 * The size that an option gives to what is made here; 0: none does. A return address stands behind
 * its call, so the byte before it belongs to the place.
 */
static uint32_t size_at_place(struct emu_task *self, enum emu_capacity kind)
{
    const struct emu_options *options = &self->process->options;
    char module[EMU_PLACE_NAME];
    uint64_t offset;

    if (EMU_LIKELY(options->place_count == 0) || !self->process->call_site) {
        return 0;
    }
    self->process->call_site(self, module, sizeof module, &offset);
    for (uint32_t i = 0; i < options->place_count; i++) {
        const struct emu_place *place = &options->places[i];

        if (place->kind == kind && offset > place->from && offset <= place->to &&
            strcmp(place->module, module) == 0) {
            return place->size;
        }
    }
    return 0;
}

uint32_t capacity_of_pipe(struct emu_task *self)
{
    uint32_t size = size_at_place(self, EMU_CAPACITY_PIPE);

    return EMU_LIKELY(size == 0) ? fault_pipe_capacity(self) : size;
}

uint32_t capacity_of_socket(struct emu_task *self)
{
    uint32_t size = size_at_place(self, EMU_CAPACITY_SOCKET);

    return EMU_LIKELY(size == 0) ? fault_send_buffer(self) : size;
}

uint32_t capacity_of_credit(struct emu_task *self)
{
    return size_at_place(self, EMU_CAPACITY_CREDIT);
}

int capacity_of_backlog(struct emu_task *self, int backlog)
{
    uint32_t more = size_at_place(self, EMU_CAPACITY_BACKLOG);

    if (more == 0) {
        more = self->process->options.backlog;
    }
    if (more == 0) {
        return fault_backlog(self, backlog);
    }
    return backlog < 0 || (uint32_t)backlog >= more ? (int)(more - 1) : backlog;
}
