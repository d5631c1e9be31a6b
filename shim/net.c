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
#include "elf_symbols.h"
#include "sud.h"
#include "wrap.h"

#include <gnu/libc-version.h>
#include <string.h>
#include <sys/mman.h>

#define JUMP_SIZE 14
#define PAGE      4096ul

struct entry {
    const char *name;
    void *replacement;
};

/* Public names have twins (__read, lseek64, ...) that are the same body. */
#define ENTRY(name, replacement)               \
    {                                          \
        name, (void *)(uintptr_t)(replacement) \
    }

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
        ENTRY("execve", wrap_execve),
        ENTRY("__close_nocancel", wrap_close_nocancel),
        ENTRY("__read_nocancel", wrap_read_nocancel),
        ENTRY("__write_nocancel", wrap_write_nocancel),
    };

    *ret_count = sizeof list / sizeof *list;
    return list;
}

#define ENTRIES_MAX 16

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
    static const uint8_t jump[6] = { 0xff, 0x25, 0, 0, 0, 0 };

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

bool net_is_translated(void)
{
    enum { UNKNOWN, NO, YES };
    EMU_START_DATA static _Atomic int known;
    int answer = atomic_load_explicit(&known, memory_order_relaxed);

    if (EMU_UNLIKELY(answer == UNKNOWN)) {
        const char *preload = environment_get(environ, "LD_PRELOAD");

        answer = preload && strstr(preload, "vgpreload") != NULL ? YES : NO;
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer == YES;
}

/* By one of its own functions: other preloaded libraries may export read, too. */
static bool find_libc(struct elf_symbols *ret_symbols)
{
    return elf_symbols_of((const void *)(uintptr_t)gnu_get_libc_version, ret_symbols);
}

static bool net_is_off(void)
{
    struct emu_options options;

    session_options(&options);
    return options.net == EMU_NET_OFF;
}

void net_install(void)
{
    struct patch patches[ENTRIES_MAX];
    struct elf_symbols symbols;
    size_t count;
    size_t ready = 0;
    const struct entry *list = entries(&count);

    if (shim.net || net_is_off() || net_is_translated() || !find_libc(&symbols)) {
        return;
    }
    for (size_t i = 0; i < count && ready < ENTRIES_MAX; i++) {
        const Elf64_Sym *symbol = elf_symbols_find(&symbols, list[i].name);
        uint8_t *body = symbol ? (uint8_t *)(symbols.base + symbol->st_value) : NULL;

        if (body && may_redirect(body, symbol->st_size)) {
            patches[ready++] = (struct patch){ body, list[i].replacement };
        }
    }
    shim.net = ready > 0 && (write_directly(patches, ready) || write_by_proc(patches, ready));
}

/* ---- What there is where calls inside libc aren't caught ---- */

/* route_enter(), also from within a call that has entered already. */
static struct emu_task *enter(bool *ret_inside)
{
    *ret_inside = shim_thread.task.critical > 0;
    return *ret_inside ? &shim_thread.task : session_attached() ? route_enter() : NULL;
}

static void leave(struct emu_task *self, bool inside)
{
    if (!inside) {
        route_exit(self);
    }
}

/* The report says that a process has another net than it was to have. */
static void report_missing(const char *what, int error)
{
    bool inside;
    struct emu_task *self = enter(&inside);

    if (self) {
        emu_report_add(self, EMU_REPORT_NO_NET, what, -1, -1, error);
        leave(self, inside);
    }
}

static int sud_error; /* why there is none, until that is reported */

static void report_sud(void)
{
    if (sud_error != 0 && session_attached()) {
        report_missing(sud_error == ENOEXEC ? "Go" : "prctl", sud_error == ENOEXEC ? 0 : sud_error);
        sud_error = 0;
    }
}

void net_start(void)
{
    EMU_START_DATA static bool tried;
    struct emu_options options;

    if (tried || (!shim.options && !session_attached())) {
        return;
    }
    tried = true;
    session_options(&options);
    if (options.net != EMU_NET_SUD || net_is_translated()) {
        return;
    }
    sud_error = -sud_start();
    shim.audit = shim.sud && options.audit;
    report_sud();
}

static bool is_absent(void)
{
    return shim.emulates && !shim.net && !shim.sud;
}

void net_first_descriptor(void)
{
    if (__libc_single_threaded) {
        net_install();
    }
    report_sud();
    if (!is_absent()) {
        return;
    }
    if (net_is_translated()) {
        report_missing("valgrind", 0);
    } else if (!net_is_off()) {
        report_missing(__libc_single_threaded ? "mprotect" : "pthread_create", 0);
    }
    for (int fd = 0; fd <= 2; fd++) {
        net_give_to_libc(fd);
    }
}

void net_give_to_libc(int fd)
{
    struct emu_task *self;
    bool inside;

    if (EMU_LIKELY(!is_absent()) || !emu_fd_is_emulated(fd) || route_in_spawned_child()) {
        return;
    }
    self = enter(&inside);
    if (self) {
        emu_native_one(self, fd); /* what can't go is rescued byte by byte */
        leave(self, inside);
    }
}
