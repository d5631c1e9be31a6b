/*
 * stack.c - see stack.h; stack_exchange.S does the step
 */
#include "interpret/stack.h"

#include <assert.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__)
#    define FOLLOWED 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define FOLLOWED 1
#    endif
#endif

#ifdef FOLLOWED
#    include <sanitizer/asan_interface.h>
#    include <sanitizer/common_interface_defs.h>
#endif

/* Pushes the callee's registers, keeps the stack pointer in *ret_from, and pops them from `to`. */
void stack_exchange(void **ret_from, void *to);

static struct stack *left;    /* the stack that was left last */
static struct stack *entered; /* and the one that was switched to */

/* We stand on another stack. `fake` is what start_switch() kept for it. */
static void arrived(void *fake)
{
#ifdef FOLLOWED
    __sanitizer_finish_switch_fiber(fake, &left->bottom, &left->size);
#else
    (void)fake;
#endif
}

static void begin(void)
{
    void (*run)(void) = entered->run;

    entered->run = NULL;
    arrived(NULL);
    run();
    assert(!"run() never returns");
}

void stack_prepare(struct stack *stack, void *bottom, size_t size, void (*run)(void))
{
    /* What stack_exchange() pops: MXCSR and the x87 control word, six registers, where to go. */
    enum { CONTROL, REGISTERS, GO = REGISTERS + 6, CALLER, WORDS };
    uint64_t *words = (uint64_t *)(void *)((char *)bottom + size) - WORDS;

#ifdef FOLLOWED
    __asan_unpoison_memory_region(bottom, size);
#endif
    for (int i = 0; i < WORDS; i++)
        words[i] = 0;
    words[CONTROL] = 0x037full << 32 | 0x1f80; /* as a process begins: System V ABI, x86-64 */
    words[GO] = (uintptr_t)begin;
    *stack = (struct stack){ .pointer = words, .run = run, .bottom = bottom, .size = size };
}

void stack_switch(struct stack *from, struct stack *to)
{
    left = from;
    entered = to;
#ifdef FOLLOWED
    __sanitizer_start_switch_fiber(&from->fake, to->bottom, to->size);
#endif
    stack_exchange(&from->pointer, to->pointer);
    arrived(from->fake);
}
