/*
 * birth.c - see birth.h
 */
#include "birth.h"

#include "host.h"

struct birth {
    _Atomic uint32_t generation; /* of the record, when the rest was written */
    uint32_t kind;
    int32_t parent;
    uint32_t site;
    uint64_t since_ns;
    _Atomic uint32_t executed; /* the same, when the process had a new image */
    uint32_t pad;
};
static_assert(sizeof(struct birth) == 32, "arena.def gives 32");

static struct birth *birth_at(uint32_t slot)
{
    return (struct birth *)(void *)arena->births + slot;
}

void birth_note(struct emu_task *self, uint32_t slot, uint32_t generation,
                enum emu_origin_kind kind)
{
    struct birth *birth = birth_at(slot);

    birth->kind = kind;
    birth->parent = self->process->pid;
    birth->site = self->process->site ? self->process->site(self) : 0;
    birth->since_ns = host_now_ns();
    atomic_store(&birth->generation, generation);
}

void birth_executed(uint32_t slot, uint32_t generation)
{
    atomic_store(&birth_at(slot)->executed, generation);
}

struct emu_origin birth_of(uint32_t slot, uint32_t generation)
{
    const struct birth *birth = birth_at(slot);

    if (atomic_load(&birth->generation) != generation) {
        return (struct emu_origin){ .kind = EMU_ORIGIN_UNKNOWN };
    }
    return (struct emu_origin){ .kind = (enum emu_origin_kind)birth->kind,
                                .parent = birth->parent,
                                .site = birth->site,
                                .since_ns = birth->since_ns,
                                .executed = atomic_load(&birth->executed) == generation };
}
