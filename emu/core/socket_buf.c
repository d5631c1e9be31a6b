/*
 * socket_buf.c - see socket_buf.h
 */
#include "socket_buf.h"

#include "host.h"

#include <errno.h>
#include <string.h>

struct buf_state buf_peek(const struct socket_buf *buf)
{
    struct buf_state state;
    uint32_t version;

    /* The copy that was current is overwritten by the publication after the next one, so the
     * version must not have moved at all; each round again means that somebody got work done. */
    do {
        version = atomic_load_explicit(&buf->version, memory_order_acquire);
        memcpy(&state, &buf->state[version & 1], sizeof state);
        atomic_thread_fence(memory_order_acquire);
    } while (atomic_load_explicit(&buf->version, memory_order_relaxed) != version);
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

uint32_t buf_create(uint32_t bytes, uint32_t limit, uint8_t kind)
{
    unsigned shift = shift_for(bytes, 0);
    uint32_t index;
    uint32_t chunk;
    struct socket_buf *buf;
    struct buf_state state = {.limit = limit, .kind = kind};

    if (shift > EMU_CHUNK_MAX_SHIFT) {
        return ARENA_NONE;
    }
    index = pool_take(&arena->header.bufs, arena->bufs_links, EMU_MAX_BUFS);
    if (index == ARENA_NONE) {
        return ARENA_NONE;
    }
    chunk = arena_chunk_take(shift);
    if (chunk == ARENA_NONE) {
        pool_give(&arena->header.bufs, arena->bufs_links, index);
        return ARENA_NONE;
    }
    buf = buf_at(index);
    state.chunk = chunk;
    state.shift = (uint8_t)shift;
    buf->old_chunk = 0;
    atomic_store_explicit(&buf->reader_cpu, -1, memory_order_relaxed);
    atomic_store_explicit(&buf->writer_cpu, -1, memory_order_relaxed);
    atomic_store_explicit(&buf->refs, 1, memory_order_relaxed);
    buf_publish_locked(buf, &state); /* nobody else can reach it yet */
    return index;
}

void buf_ref(struct socket_buf *buf)
{
    atomic_fetch_add_explicit(&buf->refs, 1, memory_order_relaxed);
}

void buf_unref(struct emu_task *self, uint32_t index)
{
    struct socket_buf *buf = buf_at(index);
    struct buf_state state;

    if (atomic_fetch_sub_explicit(&buf->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    lock_acquire(self, &buf->lock);
    buf_settle_locked(buf);
    atomic_fetch_add_explicit(&buf->generation, 1, memory_order_relaxed);
    state = buf_state_locked(buf);
    lock_release(self, &buf->lock);
    arena_chunk_give(state.chunk, state.shift);
    pool_give(&arena->header.bufs, arena->bufs_links, index);
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
    moved.seg_head = 0;
    memcpy(buf_ring(&moved), buf_ring(state) + position, first);
    memcpy(buf_ring(&moved) + first, buf_ring(state), state->used - first);
    for (uint32_t i = 0; i + 1 < state->seg_count; i++) {
        buf_segs(&moved)[i] = buf_segs(state)[(state->seg_head + i) & buf_seg_mask(state)];
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
