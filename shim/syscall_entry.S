/*
 * syscall_entry.S - syscall(2)
 *
 * A number that no wrapper wants goes to the kernel from here, with nothing on the stack but the
 * return address, as in libc: a caller may hand a new stack to clone. The others jump to
 * syscall_by_number() (man2_syscall.c), which takes the same arguments.
 */
    .text
    .p2align 4
    .globl  syscall
    .type   syscall, @function
    .hidden syscall_by_number
    .hidden syscall_wanted
    .hidden syscall_failed
syscall:
    .cfi_startproc
    cmp     $512, %rdi
    jae     1f
    lea     syscall_wanted(%rip), %r11
    cmpb    $0, (%r11,%rdi)
    jne     2f
1:  mov     %rdi, %rax
    mov     %rsi, %rdi
    mov     %rdx, %rsi
    mov     %rcx, %rdx
    mov     %r8, %r10
    mov     %r9, %r8
    mov     8(%rsp), %r9
    syscall
    cmp     $-4095, %rax
    jae     3f
    ret
2:  jmp     syscall_by_number
3:  mov     %rax, %rdi
    jmp     syscall_failed
    .cfi_endproc
    .size   syscall, . - syscall
    .section .note.GNU-stack, "", @progbits
