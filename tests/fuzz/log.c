/*
 * log.c - what one side saw of a sequence
 */
#include "log.h"

#include <string.h>

uint64_t log_hash(uint64_t seed, const void *bytes, uint32_t size)
{
    const uint8_t *from = bytes;
    uint64_t hash = seed ^ (size * 0x9e3779b97f4a7c15u);
    uint64_t word;

    for (; size >= sizeof(word); from += sizeof(word), size -= sizeof(word)) {
        memcpy(&word, from, sizeof(word));
        hash = (hash ^ word) * 0xbf58476d1ce4e5b9u;
        hash ^= hash >> 29;
    }
    word = 0;
    memcpy(&word, from, size);
    hash = (hash ^ word) * 0xbf58476d1ce4e5b9u;
    return hash ^ (hash >> 32);
}

struct entry *log_add(struct log *log, enum entry_kind kind, uint32_t action, uint32_t task,
                      const char *name)
{
    struct entry *entry;

    if (log->count == LOG_MAX) {
        log->full = true;
        log->count--;
    }
    entry = &log->entries[log->count++];
    memset(entry, 0, sizeof(*entry));
    entry->kind = (uint8_t)kind;
    entry->action = (uint16_t)action;
    entry->task = (uint8_t)task;
    strncpy(entry->name, name, sizeof(entry->name) - 1);
    return entry;
}

uint32_t log_compare(const struct log *a, const struct log *b)
{
    uint32_t count = a->count < b->count ? a->count : b->count;

    for (uint32_t i = 0; i < count; i++) {
        if (memcmp(&a->entries[i], &b->entries[i], sizeof(a->entries[i])) != 0)
            return i;
    }
    return a->count == b->count ? UINT32_MAX : count;
}

void log_print_entry(FILE *file, const struct entry *entry)
{
    static const char *const kinds[] = { "-", "result", "out", "blocked", "skipped", "world" };

    fprintf(file, "#%u t%u %s %s", entry->action, entry->task, entry->name,
            kinds[entry->kind > ENTRY_WORLD ? 0 : entry->kind]);
    if (entry->kind == ENTRY_RESULT && entry->value < 0)
        fprintf(file, " = -1 %s", strerrorname_np((int)-entry->value));
    else if (entry->kind == ENTRY_RESULT || entry->kind == ENTRY_WORLD)
        fprintf(file, " = %lld", (long long)entry->value);
    if (entry->kind == ENTRY_RESULT && entry->hash)
        fprintf(file, " signals %llx", (unsigned long long)entry->hash);
    if (entry->kind == ENTRY_OUT) {
        fprintf(file, "[%lld] %u bytes", (long long)entry->value, entry->size);
        for (uint32_t i = 0; i < entry->size && i < LOG_BYTES; i++)
            fprintf(file, "%s%02x", i % 4 ? "" : " ", entry->bytes[i]);
    }
    fputc('\n', file);
}
