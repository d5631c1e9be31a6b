/*
 * inline.h: system calls written by hand, past every symbol of libc
 *
 * As rustix, sanitizers and libc itself make them. Results are the kernel's: >= 0, or -errno.
 */
#ifndef GUEST_INLINE_H
#define GUEST_INLINE_H

#include "guest.h"

static inline long inline_call(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

#define INLINE1(number, a)       inline_call((number), (long)(a), 0, 0, 0, 0, 0)
#define INLINE2(number, a, b)    inline_call((number), (long)(a), (long)(b), 0, 0, 0, 0)
#define INLINE3(number, a, b, c) inline_call((number), (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define INLINE4(number, a, b, c, d) \
    inline_call((number), (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define INLINE6(number, a, b, c, d, e, f) \
    inline_call((number), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

#endif
