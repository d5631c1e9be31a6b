/*
 * socket_buf.c - see socket_buf.h
 */
#include "socket_buf.h"

#include "host.h"

#include <errno.h>
#include <string.h>

struct buf_state buf_peek(const struct socket_buf *buf)
{
    buf_word words[BUF_STATE_WORDS];
    struct buf_state state;
    uint32_t version;

    /* The copy that was current is overwritten by the publication after the next one, so the
     * version must not have moved at all; each round again means that somebody got work done. */
    do {
        const buf_word *from;

        version = atomic_load_explicit(&buf->version, memory_order_acquire);
        from = (const buf_word *)(const void *)&buf->state[buf_copy_of(version)].at;
        for (unsigned i = 0; i < BUF_STATE_WORDS; i++) {
            words[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
        }
        atomic_thread_fence(memory_order_acquire);
    } while (atomic_load_explicit(&buf->version, memory_order_relaxed) != version);
    /* every word was read: there is more than none */
    /* cppcheck-suppress uninitvar */
    memcpy(&state, words, sizeof state);
    return state;
}

/* A chunk whose ring, the upper half, holds `bytes`, and whose lower half holds `segs`. */
static unsigned shift_for(uint64_t bytes, uint64_t segs)
{
    unsigned shift = EMU_CHUNK_MIN_SHIFT + 1;

    while (shift <= EMU_CHUNK_MAX_SHIFT &&
           ((1ull << (shift - 1)) < bytes || (1ull << (shift - 1)) < segs * sizeof(struct seg))) {
        shift++;
    }
    return shift;
}

uint32_t buf_create(uint32_t slot, uint32_t bytes, uint32_t limit, uint8_t kind)
{
    unsigned shift = shift_for(bytes, 0);
    struct buf_state state = { .limit = limit, .kind = kind };
    bool tiny = (kind == DESCRIPTION_STREAM || kind == DESCRIPTION_SEQPACKET) && limit > 0 &&
                limit < EMU_SQUEEZED_SOCKET;
    struct socket_buf *buf;
    uint32_t index;

    if (EMU_UNLIKELY(tiny)) {
        state.piece = limit;
        state.limit = BUF_TINY_LIMIT;
    }
    if (shift > EMU_CHUNK_MAX_SHIFT) {
        return ARENA_NONE;
    }
    index = pool_take(&arena->header.bufs, arena->bufs_links, EMU_MAX_BUFS);
    if (index == ARENA_NONE) {
        return ARENA_NONE;
    }
    buf = buf_at(index);
    state.chunk = ARENA_NONE;
    buf_publish_locked(buf, &state); /* nobody else can reach it yet */
    buf->old_chunk = 0;
    atomic_store_explicit(&buf->sent, 0, memory_order_relaxed);
    atomic_store_explicit(&buf->received, 0, memory_order_relaxed);
    atomic_store_explicit(&buf->reader, 0, memory_order_relaxed);
    atomic_store_explicit(&buf->writer, 0, memory_order_relaxed);
    buf->reader_end.pid = 0;
    atomic_store_explicit(&buf->reader_cpu, -1, memory_order_relaxed);
    atomic_store_explicit(&buf->writer_cpu, -1, memory_order_relaxed);
    atomic_store_explicit(&buf->refs, BUF_REF_READER | BUF_REF_WRITER, memory_order_relaxed);
    atomic_store_explicit(&buf->life, BUF_TRANSIT | slot << 8, memory_order_release);
    state.chunk = arena_chunk_take(shift);
    state.shift = (uint8_t)shift;
    buf_publish_locked(buf, &state);
    if (state.chunk == ARENA_NONE) {
        atomic_store(&buf->life, BUF_FREE);
        pool_give(&arena->header.bufs, arena->bufs_links, index);
        return ARENA_NONE;
    }
    return index;
}

void buf_own(uint32_t index)
{
    atomic_store_explicit(&buf_at(index)->life, BUF_OWNED, memory_order_release);
}

/*
 * In an order that a kill at any point makes harmless: the chunk is unnamed before it is given back
 * and the buf is free before it is in the pool, so nothing is ever given back twice.
 */
void buf_discard(struct emu_task *self, uint32_t index)
{
    struct socket_buf *buf = buf_at(index);
    struct buf_state state;
    uint32_t chunk;
    uint32_t rights;

    lock_acquire(self, &buf->lock);
    rights = rights_detach_locked(self, buf);
    state = buf_state_locked(buf);
    chunk = state.chunk;
    if (chunk != ARENA_NONE) {
        buf_settle_locked(buf);
        state.chunk = ARENA_NONE;
        buf_publish_locked(buf, &state);
    }
    atomic_fetch_add_explicit(&buf->generation, 1, memory_order_relaxed);
    lock_release(self, &buf->lock);
    if (chunk != ARENA_NONE) {
        arena_chunk_give(chunk, state.shift);
    }
    atomic_store_explicit(&buf->life, BUF_FREE, memory_order_release);
    pool_give(&arena->header.bufs, arena->bufs_links, index);
    rights_let_go(self, rights);
}

void buf_release(struct emu_task *self, uint32_t index, uint32_t generation, uint32_t ref)
{
    struct socket_buf *buf = buf_at(index);
    uint32_t owned = BUF_OWNED;
    uint32_t before;

    if (atomic_load(&buf->generation) != generation) {
        return;
    }
    before = atomic_fetch_and(&buf->refs, ~ref);
    if ((before & ~ref) == 0 && atomic_compare_exchange_strong(
                                    &buf->life, &owned, BUF_TRANSIT | self->process->slot << 8)) {
        buf_discard(self, index);
    }
}

void buf_settle_locked(struct socket_buf *buf)
{
    struct buf_state current;
    uint32_t unit = buf->old_chunk - 1;

    if (EMU_LIKELY(buf->old_chunk == 0)) {
        return;
    }
    current = buf_state_locked(buf);
    buf->old_chunk = 0;
    if (unit != current.chunk) {
        arena_chunk_give(unit, buf->old_shift);
    }
}

/* Copies what is unread, segments and bytes, into a larger chunk. */
static int move_state(struct socket_buf *buf, struct buf_state *state, unsigned shift)
{
    struct buf_state moved = *state;
    uint32_t from_mask = buf_ring_mask(state);
    uint32_t position = state->head & from_mask;
    uint32_t first = base_min_u32(state->used, from_mask + 1 - position);

    moved.chunk = arena_chunk_take(shift);
    if (moved.chunk == ARENA_NONE) {
        return -ENOMEM;
    }
    moved.shift = (uint8_t)shift;
    moved.head = 0;
    memcpy(buf_ring(&moved), buf_ring(state) + position, first);
    memcpy(buf_ring(&moved) + first, buf_ring(state), state->used - first);
    for (uint32_t i = 0; i + 1 < state->seg_count; i++) {
        uint32_t number = state->seg_head + i; /* they keep their numbers: rights.h */

        buf_segs(&moved)[number & buf_seg_mask(&moved)] =
            buf_segs(state)[number & buf_seg_mask(state)];
    }
    /* Until it is published the new chunk is the stray one; afterwards the old one is. */
    buf->old_shift = shift;
    buf->old_chunk = moved.chunk + 1;
    buf_publish_locked(buf, &moved);
    buf->old_shift = state->shift;
    buf->old_chunk = state->chunk + 1;
    *state = moved;
    buf_settle_locked(buf);
    return 0;
}

int buf_reserve_locked(struct socket_buf *buf, struct buf_state *state, uint32_t bytes,
                       uint32_t segs)
{
    uint64_t all_bytes = (uint64_t)state->used + bytes;
    uint64_t all_segs = (uint64_t)state->seg_count + segs;
    unsigned shift;

    if (EMU_LIKELY(all_bytes <= (uint64_t)buf_ring_mask(state) + 1 &&
                   all_segs <= (uint64_t)buf_seg_mask(state) + 1)) {
        return 0;
    }
    buf_settle_locked(buf);
    shift = shift_for(all_bytes, all_segs);
    if (shift > EMU_CHUNK_MAX_SHIFT) {
        return -ENOMEM;
    }
    return move_state(buf, state, shift);
}
