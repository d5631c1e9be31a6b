/*
 * base.h - the words that every file of the core uses: assertions, small arithmetic
 */
#ifndef EMU_BASE_H
#define EMU_BASE_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EMU_LIKELY(x)   __builtin_expect(!!(x), 1)
#define EMU_UNLIKELY(x) __builtin_expect(!!(x), 0)

/*
 * For small variables that every process touches when it starts: in pages that the loader has
 * written to already, and not spread over the zero pages of the large tables.
 */
#define EMU_START_DATA __attribute__((section(".data.start")))

/* Ends the process with a message on the kernel's stderr: an invariant of the emulator is broken.
 */
_Noreturn void base_assert_failed(const char *text, const char *file, int line);

/* Stays in release builds: a wrong byte is worse than an end. */
#define EMU_ASSERT(x)                                   \
    do {                                                \
        if (EMU_UNLIKELY(!(x))) {                       \
            base_assert_failed(#x, __FILE__, __LINE__); \
        }                                               \
    } while (0)

/* Checked where building with -DEMU_DEBUG alone: on paths that are counted in nanoseconds. */
#ifdef EMU_DEBUG
#    define EMU_DEBUG_ASSERT(x) EMU_ASSERT(x)
#else
#    define EMU_DEBUG_ASSERT(x) ((void)0)
#endif

static inline uint32_t base_min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static inline uint64_t base_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The smallest power of two that is at least x; x in 1..2^31. */
static inline uint32_t base_pow2_at_least(uint32_t x)
{
    return x <= 1 ? 1 : 1u << (32 - __builtin_clz(x - 1));
}

#endif
