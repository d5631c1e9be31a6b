/*
 * calls.c - the calls that a script may make: calls.def as a table, called through libffi
 *
 * One signature serves both: libc's `name(...)` and the emulator's `emu_name(self, ...)`. Where the
 * emulator has no function (PLACEHOLDER) or answers EMU_NATIVE, libc's is called on the
 * placeholder.
 */
#include "interpret/calls.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ffi.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arguments.h"
#include "emu.h"
#include "host.h"
#include "interpret/args.h"

#define EMU_FULL(name)        (void (*)(void)) emu_##name
#define EMU_REFUSED(name)     (void (*)(void)) emu_##name
#define EMU_SWITCHES(name)    (void (*)(void)) emu_##name
#define EMU_PLACEHOLDER(name) NULL

static const struct call calls[] = {
#define CALL(name, group, signature, parameters, level, note) \
    { #name, #group, signature, KINDS_##name, (void (*)(void))name, EMU_##level(name) },
#include "calls.def"
#undef CALL
#define HELPER(name, signature, kinds) \
    { #name, "helper", signature, kinds, (void (*)(void))name, NULL },
    HELPERS(HELPER)
#undef HELPER
};

int call_find(const char *name)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (strcmp(calls[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

const struct call *call_get(int number)
{
    return &calls[number];
}

bool call_is(const struct call *call, const char *name)
{
    return strcmp(call->name, name) == 0;
}

static ffi_type *type_of(char letter)
{
    switch (letter) {
    case 'i': return &ffi_type_sint32;
    case 'u': return &ffi_type_uint32;
    case 'l': return &ffi_type_sint64;
    case 'z': return &ffi_type_uint64;
    case 'p': return &ffi_type_pointer;
    case 'v': return &ffi_type_void;
    default: break;
    }
    assert(!"a letter of calls.def that has no type here");
    return NULL;
}

/* Narrows a word to what the signature says, so that libffi reads the right bytes of it. */
static void narrow(char letter, uint64_t word, uint64_t *ret_storage)
{
    uint32_t half = (uint32_t)word;

    *ret_storage = 0;
    if (letter == 'i' || letter == 'u')
        memcpy(ret_storage, &half, sizeof(half));
    else
        *ret_storage = word;
}

/* How libffi calls one function: worked out once. */
struct prepared {
    bool ready;
    ffi_type *types[SCRIPT_MAX_ARGUMENTS + 1];
    ffi_cif cif;
    void (*function)(void);
};

static struct prepared prepared_real[sizeof(calls) / sizeof(calls[0])];
static struct prepared prepared_emu[sizeof(calls) / sizeof(calls[0])];

static void prepare(struct prepared *prepared, void (*function)(void), const char *signature,
                    bool emu)
{
    const char *letters = signature + 2;
    unsigned count = 0;
    ffi_status status;

    if (emu)
        prepared->types[count++] = &ffi_type_pointer;
    for (size_t i = 0; letters[i]; i++)
        prepared->types[count++] = type_of(letters[i]);
    status = ffi_prep_cif(&prepared->cif, FFI_DEFAULT_ABI, count,
                          emu ? &ffi_type_sint64 : type_of(signature[0]), prepared->types);
    assert(status == FFI_OK);
    (void)status;
    prepared->function = function;
    prepared->ready = true;
}

static int64_t call_through(struct prepared *prepared, const char *letters, struct emu_task *self,
                            const uint64_t *arguments)
{
    void *values[SCRIPT_MAX_ARGUMENTS + 1];
    uint64_t storage[SCRIPT_MAX_ARGUMENTS];
    unsigned count = 0;
    ffi_arg result = 0;

    if (self)
        values[count++] = &self;
    for (size_t i = 0; letters[i]; i++) {
        narrow(letters[i], arguments[i], &storage[i]);
        values[count++] = &storage[i];
    }
    errno = 0;
    ffi_call(&prepared->cif, prepared->function, &result, values);
    return prepared->cif.rtype == &ffi_type_sint32 ? (int32_t)result : (int64_t)result;
}

/* libc's own function: sanitizers put theirs in front, and those read what a bad pointer names. */
static void (*libc_function(const struct call *call))(void)
{
    static void *libc;
    union {
        void *object;
        void (*function)(void);
    } found;

    if (!libc)
        libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    found.object = libc ? dlsym(libc, call->name) : NULL;
    return found.object ? found.function : call->real;
}

int64_t call_real(const struct call *call, const uint64_t *arguments)
{
    struct prepared *prepared = &prepared_real[call - calls];
    int64_t result;

    if (!prepared->ready)
        prepare(prepared, libc_function(call), call->signature, false);
    result = call_through(prepared, call->signature + 2, NULL, arguments);
    if (call->signature[0] == 'v')
        return 0;
    return result == -1 && errno != 0 ? -errno : result;
}

void call_prepare_all(void)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        prepare(&prepared_real[i], libc_function(&calls[i]), calls[i].signature, false);
}

/* True when the kernel made a new descriptor of this number: the emulator must forget the old. */
static bool makes_descriptor(const struct call *call, const uint64_t *arguments)
{
    static const char *const names[] = { "open", "eventfd", "socket", "dup", "accept", "accept4" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(call->name, names[i]) == 0)
            return true;
    }
    return strcmp(call->name, "fcntl") == 0 &&
           (arguments[1] == F_DUPFD || arguments[1] == F_DUPFD_CLOEXEC);
}

/* A pipe that is opened once more by its number becomes native first, as the preload does it. */
static void before_open(const struct call *call, struct emu_task *self, const uint64_t *arguments)
{
    char path[32] = "";
    int fd;

    if (strcmp(call->name, "open") == 0 &&
        host_copy(path, (const void *)(uintptr_t)arguments[0], sizeof(path) - 1) == 0 &&
        sscanf(path, "/proc/self/fd/%d", &fd) == 1)
        emu_native_one(self, fd);
}

int64_t call_emu(const struct call *call, struct emu_task *self, const uint64_t *arguments,
                 call_fallback fallback, bool *ret_native)
{
    struct prepared *prepared = &prepared_emu[call - calls];
    int64_t result = EMU_NATIVE;

    self->progress = 0;
    *ret_native = false;
    if (call->emu) {
        if (!prepared->ready)
            prepare(prepared, call->emu, call->signature, true);
        result = call_through(prepared, call->signature + 2, self, arguments);
    }
    if (result != EMU_NATIVE)
        return result;
    *ret_native = call->emu && (strcmp(call->group, "rw") == 0 || strcmp(call->group, "msg") == 0 ||
                                strcmp(call->group, "poll") == 0);
    before_open(call, self, arguments);
    result = fallback(self, call, arguments);
    if (result >= 0 && makes_descriptor(call, arguments))
        emu_fd_invalidate(self, (int)result);
    return emu_native_result(self, result);
}
