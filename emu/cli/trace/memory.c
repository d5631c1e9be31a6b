/*
 * memory.c - the guest's memory, as far as it was recorded with a call
 */
#include "trace/memory.h"

static const struct trace_chunk *find(const struct trace_call *call, enum trace_when when,
                                      uint64_t address)
{
    for (size_t i = 0; i < call->chunk_count; i++) {
        const struct trace_chunk *chunk = &call->chunks[i];

        if (chunk->when == when && address >= chunk->address &&
            address - chunk->address < chunk->size)
            return chunk;
    }
    return NULL;
}

size_t memory_find(const struct trace_call *call, enum trace_when when, uint64_t address,
                   const uint8_t **ret_bytes)
{
    const struct trace_chunk *chunk = find(call, when, address);

    if (chunk == NULL && when == TRACE_AT_LEAVE)
        chunk = find(call, TRACE_AT_ENTER, address);
    if (chunk == NULL)
        return 0;
    *ret_bytes = (const uint8_t *)chunk->data + (address - chunk->address);
    return chunk->size - (size_t)(address - chunk->address);
}
