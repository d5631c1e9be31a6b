/*
 * description_sweep.c - what a dead process was making or freeing is ended by others
 */
#include "description.h"

/* Whether a description, live or dying, names the buf as it is now. */
static bool buf_is_named(uint32_t buf)
{
    uint32_t used = atomic_load_explicit(&arena->header.descriptions.fresh, memory_order_acquire);
    uint32_t generation = atomic_load(&buf_at(buf)->generation);

    for (uint32_t i = 0; i < used; i++) {
        const struct description *description = description_at(i);
        uint32_t state = atomic_load(&description->state) & 0xff;

        if ((state == DESCRIPTION_LIVE || state == DESCRIPTION_DYING) &&
            ((description->rx == buf && description->rx_generation == generation) ||
             (description->tx == buf && description->tx_generation == generation))) {
            return true;
        }
    }
    return false;
}

static void sweep_bufs(struct emu_task *self, uint32_t slot)
{
    uint32_t used = atomic_load_explicit(&arena->header.bufs.fresh, memory_order_acquire);

    for (uint32_t i = 0; i < used; i++) {
        uint32_t transit = BUF_TRANSIT | slot << 8;

        if (atomic_load(&buf_at(i)->life) != transit) {
            continue;
        }
        if (buf_is_named(i)) {
            atomic_compare_exchange_strong(&buf_at(i)->life, &transit, BUF_OWNED);
        } else if (atomic_compare_exchange_strong(&buf_at(i)->life, &transit,
                                                  BUF_TRANSIT | self->process->slot << 8)) {
            buf_discard(self, i);
        }
    }
}

/*
 * A server's side whose connection isn't made belongs to its client while that lives, whoever made
 * it, and dies with it. Anything else that was in the making is nobody's.
 */
static void sweep_unconnected(struct emu_task *self, uint32_t index, uint32_t making, uint32_t seen)
{
    struct description *server = description_at(index);
    /* `seen` was read first: if somebody frees it, what we see is another's, and nothing is done.
     */
    uint32_t peer = atomic_load(&server->peer);
    uint32_t mine = self->process->slot << 8;
    bool lives = peer != ARENA_NONE && description_belongs_to(server, description_at(peer)) &&
                 atomic_load(&description_at(peer)->state) != DESCRIPTION_FREE;

    if (lives && atomic_load(&description_at(peer)->pending) == index + 1) {
        atomic_compare_exchange_strong(&server->state, &making,
                                       description_waiting_state(atomic_load(&server->generation)));
    } else if (lives || peer == ARENA_NONE) {
        if (atomic_compare_exchange_strong(&server->state, &making, DESCRIPTION_MAKING | mine)) {
            description_free(index);
        }
    } else if (atomic_compare_exchange_strong(&server->state, &seen, DESCRIPTION_DYING | mine)) {
        description_bury(self, index);
    }
}

void description_sweep(struct emu_task *self, uint32_t slot)
{
    uint32_t used = atomic_load_explicit(&arena->header.descriptions.fresh, memory_order_acquire);
    uint32_t mine = self->process->slot << 8;

    for (uint32_t i = 0; i < used; i++) {
        struct description *description = description_at(i);
        uint32_t making = DESCRIPTION_MAKING | slot << 8;
        uint32_t dying = DESCRIPTION_DYING | slot << 8;
        uint32_t seen = atomic_load(&description->state);

        if (seen == DESCRIPTION_LIVE) {
            description_bury_if_unheld(self, i);
        } else if (atomic_compare_exchange_strong(&description->state, &dying,
                                                  DESCRIPTION_DYING | mine)) {
            description_bury(self, i);
        } else if ((seen & 0xff) == DESCRIPTION_WAITING || seen == making) {
            sweep_unconnected(self, i, making, seen);
        }
    }
    sweep_bufs(self, slot);
}
