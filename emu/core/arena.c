/*
 * arena.c - see arena.h
 */
#include "arena.h"

#include "host.h"

#include <errno.h>
#include <string.h>

static const char arena_magic[8] = "sockrig";

EMU_START_DATA struct arena *arena;

/* FNV-1a over sizes and offsets: builds whose arenas look different refuse each other. */
static uint64_t layout_signature(void)
{
    const uint64_t facts[] = {
        1, /* version of the meaning; grows when a layout stays and its meaning doesn't */
        sizeof(struct arena),
        sizeof(struct arena_header),
        sizeof(struct emu_options),
#define SECTION(name, size, count) offsetof(struct arena, name), size, count,
#include "arena.def"
#undef SECTION
    };
    const unsigned char *byte = (const unsigned char *)facts;
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < sizeof facts; i++) {
        hash = (hash ^ byte[i]) * 0x100000001b3u;
    }
    return hash;
}

static int map_arena(int fd)
{
    arena = host_memory_map(fd, EMU_ARENA_SIZE);
    return arena ? 0 : -ENOMEM;
}

int arena_create(void)
{
    int fd = host_memory_create("sockrig-arena", EMU_ARENA_SIZE);
    int rc;

    if (fd < 0) {
        return fd;
    }
    rc = map_arena(fd);
    if (rc < 0) {
        host_close(fd);
        return rc;
    }
    arena->header.size = EMU_ARENA_SIZE;
    arena->header.signature = layout_signature();
    arena->header.hidden = (struct emu_hidden){ .arena = fd, .bell = -1, .log = -1 };
    memcpy(arena->header.magic, arena_magic, sizeof arena_magic);
    return fd;
}

int arena_attach(int fd)
{
    int rc;

    if (host_memory_size(fd) != (int64_t)EMU_ARENA_SIZE) {
        return -EINVAL;
    }
    rc = map_arena(fd);
    if (rc < 0) {
        return rc;
    }
    if (memcmp(arena->header.magic, arena_magic, sizeof arena_magic) != 0) {
        rc = -EINVAL;
    } else if (arena->header.signature != layout_signature()) {
        rc = -ESTALE;
    }
    if (rc < 0) {
        host_memory_unmap(arena, EMU_ARENA_SIZE);
        arena = NULL;
    }
    return rc;
}

uint32_t pool_take(struct pool *pool, _Atomic uint32_t *links, uint32_t max)
{
    uint64_t top = atomic_load_explicit(&pool->top, memory_order_acquire);
    uint32_t fresh;

    while ((uint32_t)top != 0) {
        uint32_t index = (uint32_t)top - 1;
        uint32_t next = atomic_load_explicit(&links[index], memory_order_relaxed);
        uint64_t replaced = ((top >> 32) + 1) << 32 | next;

        if (atomic_compare_exchange_weak_explicit(&pool->top, &top, replaced, memory_order_acquire,
                                                  memory_order_acquire)) {
            atomic_fetch_add_explicit(&pool->used, 1, memory_order_relaxed);
            return index;
        }
    }
    fresh = atomic_load_explicit(&pool->fresh, memory_order_relaxed);
    while (fresh < max) {
        if (atomic_compare_exchange_weak_explicit(&pool->fresh, &fresh, fresh + 1,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            atomic_fetch_add_explicit(&pool->used, 1, memory_order_relaxed);
            return fresh;
        }
    }
    return ARENA_NONE;
}

void pool_give(struct pool *pool, _Atomic uint32_t *links, uint32_t index)
{
    uint64_t top = atomic_load_explicit(&pool->top, memory_order_relaxed);
    uint64_t replaced;

    do {
        atomic_store_explicit(&links[index], (uint32_t)top, memory_order_relaxed);
        replaced = ((top >> 32) + 1) << 32 | (index + 1);
    } while (!atomic_compare_exchange_weak_explicit(&pool->top, &top, replaced,
                                                    memory_order_release, memory_order_relaxed));
    atomic_fetch_sub_explicit(&pool->used, 1, memory_order_relaxed);
}

/* Takes untouched units from the end of the data; ARENA_NONE when they are used up. */
static uint32_t fresh_units(uint32_t count)
{
    const uint64_t room = (EMU_ARENA_SIZE - offsetof(struct arena, data)) >> EMU_CHUNK_MIN_SHIFT;
    uint32_t units = atomic_load_explicit(&arena->header.units, memory_order_relaxed);

    while (units + (uint64_t)count <= room) {
        if (atomic_compare_exchange_weak_explicit(&arena->header.units, &units, units + count,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            return units;
        }
    }
    return ARENA_NONE;
}

uint32_t arena_chunk_take(unsigned shift)
{
    struct pool *pool = &arena->header.chunks[shift - EMU_CHUNK_MIN_SHIFT];
    uint32_t unit;

    EMU_ASSERT(shift >= EMU_CHUNK_MIN_SHIFT && shift <= EMU_CHUNK_MAX_SHIFT);
    unit = pool_take(pool, arena->chunk_links, 0);
    if (unit != ARENA_NONE) {
        atomic_fetch_sub_explicit(&arena->header.chunks_kept, 1, memory_order_relaxed);
        return unit;
    }
    return fresh_units(1u << (shift - EMU_CHUNK_MIN_SHIFT));
}

void arena_chunk_give(uint32_t unit, unsigned shift)
{
    struct pool *pool = &arena->header.chunks[shift - EMU_CHUNK_MIN_SHIFT];

    /* A few small chunks keep their pages, which cost 2 us each to touch again. */
    if (atomic_fetch_add_explicit(&arena->header.chunks_kept, 1, memory_order_relaxed) >=
            EMU_CHUNKS_KEPT ||
        shift > EMU_CHUNK_KEPT_SHIFT) {
        host_memory_drop(arena_chunk_at(unit), 1ull << shift);
    }
    pool_give(pool, arena->chunk_links, unit);
}
