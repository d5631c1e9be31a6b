/*
 * stack_exchange.S - void stack_exchange(void **ret_from, void *to): see stack.c
 *
 * What the System V ABI for x86-64 has a function keep for its caller: rbx, rbp, r12 to r15, the
 * control bits of MXCSR, the x87 control word, and the stack pointer.
 */
    .text
    .globl stack_exchange
    .hidden stack_exchange
    .type stack_exchange, @function
stack_exchange:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq $8, %rsp
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    ldmxcsr (%rsp)
    fldcw 4(%rsp)
    addq $8, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size stack_exchange, . - stack_exchange

    .section .note.GNU-stack, "", @progbits
