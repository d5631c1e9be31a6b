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
#include "host.h"

#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>

/* The Itanium C++ ABI's interface. Not <unwind.h>: that would export what is ours alone. */
#define CONTINUE_UNWIND 8 /* _URC_CONTINUE_UNWIND */

typedef int personality_t(int version, int actions, uint64_t class, void *exception, void *context);
typedef void resume_t(void *exception);

personality_t __gcc_personality_v0;
resume_t _Unwind_Resume;

static personality_t *_Atomic real_personality;
static resume_t *_Atomic real_resume;

static void find_unwinder(const void *caller)
{
    struct link_map *map = NULL;
    Dl_info info;

    if (dladdr1(caller, &info, (void **)&map, RTLD_DL_LINKMAP) == 0 || !map) {
        return;
    }
    atomic_store(&real_resume, (resume_t *)(uintptr_t)dlsym(map, "_Unwind_Resume"));
    atomic_store(&real_personality,
                 (personality_t *)(uintptr_t)dlsym(map, "__gcc_personality_v0"));
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
