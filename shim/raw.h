/*
 * raw.h - system calls as they are, inline
 *
 * The shim stands between the program and libc's wrappers, so it makes its own system calls: no
 * symbol is looked up, no errno is touched, nothing is locked. Results are the kernel's: >= 0, or
 * -errno.
 */
#ifndef SHIM_RAW_H
#define SHIM_RAW_H

#include <sys/syscall.h>

static inline long raw_call6(long number, long a, long b, long c, long d, long e, long f)
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

static inline long raw_call3(long number, long a, long b, long c)
{
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

#define RAW0(nr)             raw_call3((nr), 0, 0, 0)
#define RAW1(nr, a)          raw_call3((nr), (long)(a), 0, 0)
#define RAW2(nr, a, b)       raw_call3((nr), (long)(a), (long)(b), 0)
#define RAW3(nr, a, b, c)    raw_call3((nr), (long)(a), (long)(b), (long)(c))
#define RAW4(nr, a, b, c, d) raw_call6((nr), (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define RAW5(nr, a, b, c, d, e) \
    raw_call6((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define RAW6(nr, a, b, c, d, e, f) \
    raw_call6((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

#endif
