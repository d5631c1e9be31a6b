/*
 * log_blocks.c - the memory of a log's tree: blocks that are freed together
 */
#include "interpret/log_blocks.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE (256u << 10)

struct block {
    struct block *next;
    size_t used;
    size_t size;
    _Alignas(16) uint8_t bytes[];
};

void *log_allocate(struct log *log, size_t size)
{
    struct block *block = log->blocks;
    void *memory;

    size = (size + 15) & ~(size_t)15;
    if (!block || size > block->size - block->used) {
        size_t wanted = size > BLOCK_SIZE ? size : BLOCK_SIZE;

        if (wanted > LOG_MAX_MEMORY - log->used)
            return NULL;
        block = malloc(sizeof(*block) + wanted);
        if (!block)
            return NULL;
        log->used += wanted;
        block->next = log->blocks;
        block->used = 0;
        block->size = wanted;
        log->blocks = block;
    }
    memory = block->bytes + block->used;
    block->used += size;
    memset(memory, 0, size);
    return memory;
}

const char *log_copy_text(struct log *log, const char *text, size_t size)
{
    char *copy = log_allocate(log, size + 1);

    if (copy)
        memcpy(copy, text, size);
    return copy;
}

void log_blocks_free(struct log *log)
{
    struct block *block = log->blocks;

    while (block) {
        struct block *next = block->next;

        free(block);
        block = next;
    }
    log->blocks = NULL;
}
