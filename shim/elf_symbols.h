/*
 * elf_symbols.h - the symbols of one loaded object
 *
 * For where dlsym doesn't do: in the object that holds an address, whatever other libraries export
 * under the same name, and without the loader's lock held over user code.
 */
#ifndef SHIM_ELF_SYMBOLS_H
#define SHIM_ELF_SYMBOLS_H

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>

struct elf_symbols {
    const uint32_t *hash; /* DT_GNU_HASH */
    const Elf64_Sym *table;
    const char *names;
    uintptr_t base;
};

/* The object that `address` lies in. False: none, or it has no table of the kind we read. */
bool elf_symbols_of(const void *address, struct elf_symbols *ret_symbols);

/* The definition of `name`, whatever its version, or NULL. Its address: base + st_value. */
const Elf64_Sym *elf_symbols_find(const struct elf_symbols *symbols, const char *name);

#endif
