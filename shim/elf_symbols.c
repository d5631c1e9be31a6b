/*
 * elf_symbols.c - see elf_symbols.h
 */
#include "elf_symbols.h"

#include <dlfcn.h>
#include <link.h>
#include <stddef.h>
#include <string.h>

bool elf_symbols_of(const void *address, struct elf_symbols *ret_symbols)
{
    struct elf_symbols found = { 0 };
    struct dl_find_object object; /* dladdr() would look at every symbol that there is */
    const struct link_map *map;

    if (_dl_find_object((void *)(uintptr_t)address, &object) != 0 || !object.dlfo_link_map) {
        return false;
    }
    map = object.dlfo_link_map;
    found.base = map->l_addr;
    for (const Elf64_Dyn *item = map->l_ld; item->d_tag != DT_NULL; item++) {
        switch (item->d_tag) {
        case DT_GNU_HASH: found.hash = (const void *)item->d_un.d_ptr; break;
        case DT_SYMTAB: found.table = (const void *)item->d_un.d_ptr; break;
        case DT_STRTAB: found.names = (const void *)item->d_un.d_ptr; break;
        default: break;
        }
    }
    if (!found.hash || !found.table || !found.names) {
        return false;
    }
    *ret_symbols = found;
    return true;
}

const Elf64_Sym *elf_symbols_find(const struct elf_symbols *symbols, const char *name)
{
    uint32_t bucket_count = symbols->hash[0];
    uint32_t first = symbols->hash[1];
    uint32_t bloom_size = symbols->hash[2];
    const uint32_t *buckets = symbols->hash + 4 + bloom_size * 2;
    const uint32_t *chain = buckets + bucket_count;
    uint32_t hash = 5381;
    uint32_t index;

    for (const char *at = name; *at; at++) {
        hash = hash * 33 + (unsigned char)*at;
    }
    index = buckets[hash % bucket_count];
    for (; index >= first; index++) {
        const Elf64_Sym *symbol = symbols->table + index;

        if ((chain[index - first] | 1) == (hash | 1) &&
            strcmp(symbols->names + symbol->st_name, name) == 0 && symbol->st_value != 0) {
            return symbol;
        }
        if (chain[index - first] & 1) {
            break;
        }
    }
    return NULL;
}
