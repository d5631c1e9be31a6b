/*
 * net.c - the net: calls that libc makes inside itself land in the shim
 *
 * stdio and other code of libc calls the bodies of read, write, close, ... without a symbol that
 * could be interposed. A 14-byte jump written over the entry of each body brings those calls here,
 * at the price of an ordinary call (tests/proof/entry_redirect.c shows what it rests on). Nothing
 * in the shim calls those bodies, so nothing needs the bytes that were there.
 *
 * Done once a process, while it has one thread: when its first emulated descriptor appears, or
 * before its first second thread. Off with net=off, under valgrind (whose translations would not
 * notice), where no way of writing to text is allowed, and for a body that is too short or jumps
 * into its own first bytes.
 */
#include "wrap.h"

#include "host.h"

#include <dlfcn.h>
#include <elf.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>

#define JUMP_SIZE 14
#define PAGE      4096ul

struct entry {
    const char *name;
    void *replacement;
};

/* Public names have twins (__read, lseek64, ...) that are the same body. */
#define ENTRY(name, replacement) {name, (void *)(uintptr_t)(replacement)}

static const struct entry *entries(size_t *ret_count)
{
    static const struct entry list[] = {
        ENTRY("read", wrap_read),
        ENTRY("write", wrap_write),
        ENTRY("readv", wrap_readv),
        ENTRY("writev", wrap_writev),
        ENTRY("close", wrap_close),
        ENTRY("dup", wrap_dup),
        ENTRY("dup2", wrap_dup2),
        ENTRY("dup3", wrap_dup3),
        ENTRY("pipe", wrap_pipe),
        ENTRY("pipe2", wrap_pipe2),
        ENTRY("_exit", wrap_exit_now),
        ENTRY("__close_nocancel", wrap_close_nocancel),
        ENTRY("__read_nocancel", wrap_read_nocancel),
        ENTRY("__write_nocancel", wrap_write_nocancel),
    };

    *ret_count = sizeof list / sizeof *list;
    return list;
}

#define ENTRIES_MAX 16

/* What libc's dynamic section says of its symbols. */
struct symbols {
    const uint32_t *hash; /* DT_GNU_HASH */
    const Elf64_Sym *table;
    const char *names;
    uintptr_t base;
};

/* Finds libc by one of its own functions: other preloaded libraries may export read, too. */
static bool find_libc(struct symbols *ret_symbols)
{
    struct symbols found = {0};
    struct link_map *map = NULL;
    Dl_info info;

    if (dladdr1((const void *)(uintptr_t)gnu_get_libc_version, &info, (void **)&map,
                RTLD_DL_LINKMAP) == 0 ||
        !map) {
        return false;
    }
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

/* Looks a name up as the loader does; versions don't matter, these names have one each. */
static const Elf64_Sym *look_up(const struct symbols *symbols, const char *name)
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

/* True when the body is long enough and doesn't jump back into the bytes that we write over. */
static bool may_redirect(const uint8_t *body, size_t size)
{
    if (size < JUMP_SIZE) {
        return false;
    }
    for (const uint8_t *at = body; at + 6 <= body + size; at++) {
        const uint8_t *target = NULL;
        int32_t distance;

        if (*at == 0xeb || (*at & 0xf0) == 0x70) { /* jmp rel8, jcc rel8 */
            target = at + 2 + (int8_t)at[1];
        } else if (*at == 0xe9) { /* jmp rel32 */
            memcpy(&distance, at + 1, sizeof distance);
            target = at + 5 + distance;
        }
        if (target && at >= body + JUMP_SIZE && target > body && target < body + JUMP_SIZE) {
            return false;
        }
    }
    return true;
}

/* jmp *0(%rip); the address: changes no register. */
static void make_jump(uint8_t ret_code[JUMP_SIZE], const void *target)
{
    static const uint8_t jump[6] = {0xff, 0x25, 0, 0, 0, 0};

    memcpy(ret_code, jump, sizeof jump);
    memcpy(ret_code + sizeof jump, &target, sizeof target);
}

struct patch {
    uint8_t *body;
    const void *replacement;
};

/* One change of protection over all entries, and back. */
static bool write_directly(const struct patch *patches, size_t count)
{
    uintptr_t low = UINTPTR_MAX;
    uintptr_t high = 0;

    for (size_t i = 0; i < count; i++) {
        uintptr_t at = (uintptr_t)patches[i].body;

        low = at < low ? at : low;
        high = at + JUMP_SIZE > high ? at + JUMP_SIZE : high;
    }
    low &= ~(PAGE - 1);
    high = (high + PAGE - 1) & ~(PAGE - 1);
    if (RAW3(SYS_mprotect, low, high - low, PROT_READ | PROT_WRITE | PROT_EXEC) < 0) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        make_jump(patches[i].body, patches[i].replacement);
    }
    RAW3(SYS_mprotect, low, high - low, PROT_READ | PROT_EXEC);
    return true;
}

/* The same where memory may not be writable and executable (PR_SET_MDWE, SELinux). */
static bool write_by_proc(const struct patch *patches, size_t count)
{
    int fd = (int)RAW3(SYS_open, "/proc/self/mem", O_WRONLY | O_CLOEXEC, 0);
    bool written = fd >= 0;

    for (size_t i = 0; i < count && written; i++) {
        uint8_t code[JUMP_SIZE];

        make_jump(code, patches[i].replacement);
        written = RAW4(SYS_pwrite64, fd, code, sizeof code, patches[i].body) == sizeof code;
    }
    if (fd >= 0) {
        RAW1(SYS_close, fd);
    }
    return written;
}

/* Under valgrind, by the libraries that it preloads. */
static bool is_translated(void)
{
    const char *preload = environment_get(environ, "LD_PRELOAD");

    return preload && strstr(preload, "vgpreload") != NULL;
}

void net_install(void)
{
    struct patch patches[ENTRIES_MAX];
    struct symbols symbols;
    size_t count;
    size_t ready = 0;
    const struct entry *list = entries(&count);

    if (shim.net || session_net_off() || is_translated() || !find_libc(&symbols)) {
        return;
    }
    for (size_t i = 0; i < count && ready < ENTRIES_MAX; i++) {
        const Elf64_Sym *symbol = look_up(&symbols, list[i].name);
        uint8_t *body = symbol ? (uint8_t *)(symbols.base + symbol->st_value) : NULL;

        if (body && may_redirect(body, symbol->st_size)) {
            patches[ready++] = (struct patch){body, list[i].replacement};
        }
    }
    shim.net = ready > 0 && (write_directly(patches, ready) || write_by_proc(patches, ready));
}
