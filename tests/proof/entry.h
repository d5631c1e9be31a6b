/*
 * Entry redirection for the proofs: find a body of libc, look at it, write a 14-byte absolute jump
 * over its first bytes (`jmp *0(%rip)` and the address: no register is touched). Two ways to write:
 * mprotect to RWX and back, or /proc/self/mem, which needs no change of protection.
 * Requires: one thread. Leaves out: writing while other threads run in the body.
 */
#ifndef ENTRY_H
#define ENTRY_H
#include "proof.h"
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>

enum { JUMP_SIZE = 14, PAGE = 4096 };

struct text_range {
    const void *inside; /* any address in the object that is looked for */
    const uint8_t *start, *end;
};

static inline int text_of(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct text_range *range = arg;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + ph->p_vaddr;
        if (ph->p_type == PT_LOAD && (ph->p_flags & PF_X) != 0 &&
            (uintptr_t)range->inside - start < ph->p_memsz) {
            range->start = (const uint8_t *)start;
            range->end = range->start + ph->p_memsz;
            return 1;
        }
    }
    return 0;
}

/* st_size of the symbol at exactly this address, 0 when there is none. */
static inline size_t body_size(const void *entry)
{
    Dl_info info;
    const ElfW(Sym) *sym = NULL;
    void **out = (void **)(void *)&sym;
    if (dladdr1(entry, &info, out, RTLD_DL_SYMENT) == 0 || sym == NULL || info.dli_saddr != entry) {
        return 0;
    }
    return sym->st_size;
}

/*
 * Counts branches to (entry, entry + 14). rel32 forms are looked for at every byte of the object's
 * text (a chance hit has odds of 1 : 100000), rel8 forms only in the body itself.
 */
static inline int jumps_into(const struct text_range *text, const uint8_t *entry, size_t size)
{
    int found = 0;
    for (const uint8_t *p = text->start; p + 6 <= text->end; p++) {
        int32_t rel;
        size_t length = (*p == 0xe8 || *p == 0xe9)                    ? 5
                        : (*p == 0x0f && p[1] >= 0x80 && p[1] < 0x90) ? 6
                                                                      : 0;
        if (length == 0) {
            continue;
        }
        memcpy(&rel, p + length - 4, sizeof(rel));
        uintptr_t offset = (uintptr_t)(p + length) + (uintptr_t)(intptr_t)rel - (uintptr_t)entry;
        found += offset > 0 && offset < JUMP_SIZE;
    }
    for (const uint8_t *p = entry + JUMP_SIZE; p + 2 <= entry + size; p++) {
        const uint8_t *target = p + 2 + (int8_t)p[1];
        found += (*p == 0xeb || (*p & 0xf0) == 0x70) && target > entry &&
                 target < entry + JUMP_SIZE;
    }
    return found;
}

static inline void make_jump(uint8_t code[JUMP_SIZE], uintptr_t target)
{
    static const uint8_t jump[6] = { 0xff, 0x25, 0, 0, 0, 0 };
    memcpy(code, jump, sizeof(jump));
    memcpy(code + sizeof(jump), &target, sizeof(target));
}

/* Returns 0, or -1 with errno as mprotect left it and nothing written. */
static inline int redirect_by_mprotect(uint8_t *entry, uintptr_t target)
{
    uint8_t code[JUMP_SIZE];
    uint8_t *page = (uint8_t *)((uintptr_t)entry & ~(uintptr_t)(PAGE - 1));
    size_t length = ((uintptr_t)entry & (PAGE - 1)) > PAGE - JUMP_SIZE ? 2 * PAGE : PAGE;
    if (mprotect(page, length, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) {
        return -1;
    }
    make_jump(code, target);
    memcpy(entry, code, sizeof(code));
    return mprotect(page, length, PROT_READ | PROT_EXEC);
}

/* The same through a descriptor of /proc/self/mem open for writing. */
static inline int redirect_by_mem(int mem, uint8_t *entry, uintptr_t target)
{
    uint8_t code[JUMP_SIZE];
    make_jump(code, target);
    long rc = syscall(SYS_pwrite64, mem, code, sizeof(code), (off_t)(uintptr_t)entry);
    return rc == JUMP_SIZE ? 0 : -1;
}

#endif
