/*
 * real.c - see real.h
 *
 * A look-up that finds nothing ends the process: libc without one of these isn't the libc that the
 * shim was built for.
 */
#include "real.h"

#include "host.h"

#include <dlfcn.h>

static void *find(const char *name, void *_Atomic *ret_found)
{
    void *found = atomic_load_explicit(ret_found, memory_order_acquire);

    if (!found) {
        found = dlsym(RTLD_NEXT, name);
        if (!found) {
            host_abort("sockrig: libc lacks a function that the preloaded library needs\n");
        }
        atomic_store_explicit(ret_found, found, memory_order_release);
    }
    return found;
}

#define SYMBOLS_REAL
#define REAL(name, result, parameters)               \
    real_##name##_t real_##name(void)                \
    {                                                \
        static void *_Atomic found;                  \
        return (real_##name##_t)find(#name, &found); \
    }
#include "symbols.def"
#undef REAL
#undef SYMBOLS_REAL

void real_find_all(void)
{
#define SYMBOLS_REAL
#define REAL(name, result, parameters) real_##name();
#include "symbols.def"
}
