/*
 * stack.h - several stacks in one thread, and the step from one to another
 *
 * Nothing but the stack and the registers that a function keeps for its caller is exchanged: signal
 * masks are the thread's. (libc's swapcontext() makes two system calls for them, and
 * AddressSanitizer doesn't follow it.)
 */
#ifndef INTERPRET_STACK_H
#define INTERPRET_STACK_H

#include <stddef.h>

/* Zeroed: the stack that the thread has. */
struct stack {
    void *pointer;      /* while it is left */
    void (*run)(void);  /* what is begun on it, until it has been */
    void *fake;         /* AddressSanitizer's */
    const void *bottom; /* lowest address */
    size_t size;        /* in bytes */
};

/*
 * Makes a stack in `size` bytes at `bottom` on which `run` begins when it is switched to. `run`
 * never returns.
 */
void stack_prepare(struct stack *stack, void *bottom, size_t size, void (*run)(void));

/* Leaves `from` and goes on where `to` was left. Returns when somebody switches back. */
void stack_switch(struct stack *from, struct stack *to);

#endif
