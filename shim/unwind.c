/*
 * unwind.c - exceptions and cancellation pass through us without libgcc_s
 *
 * Calls that wait are compiled with -fexceptions, so that what they hold is given back when a
 * thread is cancelled there or a handler throws. Such code names two functions of libgcc_s, a
 * library that plain C programs don't load. But whoever unwinds has an unwinder: these stand in
 * for the two and hand over to the functions of the object that calls us. An unwinder that doesn't
 * export them (libgcc linked into the program) skips our clean-up; what is left then is found at
 * the thread's next call, or at its end.
 */
#include "elf_symbols.h"
#include "host.h"

#include <stdatomic.h>

/* The Itanium C++ ABI's interface. Not <unwind.h>: that would export what is ours alone. */
#define CONTINUE_UNWIND 8 /* _URC_CONTINUE_UNWIND */

typedef int personality_t(int version, int actions, uint64_t class, void *exception, void *context);
typedef void resume_t(void *exception);

personality_t __gcc_personality_v0;
resume_t _Unwind_Resume;

static personality_t *_Atomic real_personality;
static resume_t *_Atomic real_resume;

static uintptr_t function_of(const struct elf_symbols *symbols, const char *name)
{
    const Elf64_Sym *symbol = elf_symbols_find(symbols, name);

    return symbol ? symbols->base + symbol->st_value : 0;
}

static void find_unwinder(const void *caller)
{
    struct elf_symbols symbols;

    if (elf_symbols_of(caller, &symbols)) {
        atomic_store(&real_resume, (resume_t *)function_of(&symbols, "_Unwind_Resume"));
        atomic_store(&real_personality,
                     (personality_t *)function_of(&symbols, "__gcc_personality_v0"));
    }
}

int __gcc_personality_v0(int version, int actions, uint64_t class, void *exception, void *context)
{
    personality_t *personality = atomic_load(&real_personality);

    if (!personality) {
        find_unwinder(__builtin_return_address(0));
        personality = atomic_load(&real_personality);
    }
    if (!personality || !atomic_load(&real_resume)) {
        return CONTINUE_UNWIND;
    }
    return personality(version, actions, class, exception, context);
}

void _Unwind_Resume(void *exception)
{
    resume_t *resume = atomic_load(&real_resume);

    if (resume) {
        resume(exception);
    }
    host_abort("sockrig: nobody to unwind with\n");
}
