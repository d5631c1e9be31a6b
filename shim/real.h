/*
 * real.h - the few functions of libc that the shim calls itself
 *
 * real_NAME() finds libc's NAME (or that of the next preloaded library) at its first use. Never
 * before the constructor has run, never inside a critical section: dlsym takes the loader's lock.
 */
#ifndef SHIM_REAL_H
#define SHIM_REAL_H

#include "wrap.h"

#define SYMBOLS_REAL
#define REAL(name, result, parameters)           \
    typedef result(*real_##name##_t) parameters; \
    real_##name##_t real_##name(void);
#include "symbols.def"
#undef SYMBOLS_REAL

/* Finds all of them now, for calls that may come from a place where the loader's lock is held. */
void real_find_all(void);

#endif
