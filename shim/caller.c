/*
 * caller.c - see caller.h
 *
 * A library is known by the name under which the loader has it, the program by the name it was
 * started as and by the file that it is. _dl_find_object() finds it without a lock, in a handler
 * too, and sees what dlopen() brought: nothing is remembered but the answer for the program, which
 * is never unloaded. That takes 3 ns for the program and 10 for a library, of a call that takes a
 * thousand.
 *
 * Leaves out: a call that the library makes as its last act (the compiler turns it into a jump)
 * counts as its caller's; one through a sanitizer's interceptor as the sanitizer's.
 */
#include "caller.h"

#include "route.h"
#include "shim.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/auxv.h>

/* For the program itself. */
static bool program_excluded(void)
{
    const struct emu_options *options = &shim.process.options;
    const char *started = (const char *)getauxval(AT_EXECFN);
    char file[PATH_MAX];
    long size = RAW3(SYS_readlink, "/proc/self/exe", file, sizeof file - 1);

    file[size < 0 ? 0 : size] = 0;
    return emu_options_exclude(options, file) || (started && emu_options_exclude(options, started));
}

static bool program_left_alone(void)
{
    enum { UNKNOWN, NO, YES };
    static _Atomic int known;
    int answer = atomic_load_explicit(&known, memory_order_relaxed);

    if (EMU_UNLIKELY(answer == UNKNOWN)) {
        answer = program_excluded() ? YES : NO;
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer == YES;
}

bool caller_left_alone(const void *caller)
{
    struct dl_find_object object;
    const char *name;

    if (EMU_UNLIKELY(shim_thread.left_alone)) {
        return true;
    }
    if (EMU_UNLIKELY(shim_thread.trapped != NULL)) {
        caller = shim_thread.trapped;
    }
    if (_dl_find_object((void *)(uintptr_t)caller, &object) != 0) {
        return false; /* made at run time, by the guest */
    }
    name = object.dlfo_link_map->l_name;
    return name && *name ? emu_options_exclude(&shim.process.options, name) : program_left_alone();
}

bool caller_begin(const void *caller)
{
    bool before = shim_thread.left_alone;

    shim_thread.left_alone = session_attached() && caller_left_alone(caller);
    return before;
}

void caller_resume(bool before)
{
    shim_thread.left_alone = before;
}
