/*
 * export.h - exports the section of symbols.def that the file has chosen
 *
 * Included at the end of a wrapper's file, after `#define SYMBOLS_<section>`. Each name becomes an
 * alias of its target with default visibility. The alias has a C name of its own (sym_NAME), so
 * that it can't clash with what libc's headers say of NAME.
 */
#define SYM(name, result, parameters, target)          \
    extern result sym_##name parameters __asm__(#name) \
        __attribute__((alias(#target), visibility("default")));
#include "symbols.def"
