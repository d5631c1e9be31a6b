/*
 * syscall_entry.S - syscall(2)
 *
 * A number that no wrapper wants goes to the kernel from here, with nothing on the stack but the
 * return address, as in libc: a caller may hand a new stack to clone. The others jump to
 * syscall_by_number() (man2_syscall.c), which takes the same arguments. clone and clone3 are made
 * here too, with man2_clone.c called before and after, the latter also in the child, on whatever
 * stack that has: what it returns to is the caller's to have put there.
 */
    .text
    .p2align 4
    .globl  syscall
    .type   syscall, @function
    .hidden syscall_by_number
    .hidden syscall_wanted
    .hidden syscall_failed
    .hidden syscall_clone_begin
    .hidden syscall_clone_end
syscall:
    .cfi_startproc
    cmp     $512, %rdi
    jae     1f
    lea     syscall_wanted(%rip), %r11
    cmpb    $0, (%r11,%rdi)
    jne     2f
    cmp     $56, %rdi /* SYS_clone */
    je      4f
    cmp     $435, %rdi /* SYS_clone3 */
    je      4f
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
4:  push    %rdi
    .cfi_adjust_cfa_offset 8
    push    %rsi
    .cfi_adjust_cfa_offset 8
    push    %rdx
    .cfi_adjust_cfa_offset 8
    push    %rcx
    .cfi_adjust_cfa_offset 8
    push    %r8
    .cfi_adjust_cfa_offset 8
    push    %r9
    .cfi_adjust_cfa_offset 8
    sub     $8, %rsp
    .cfi_adjust_cfa_offset 8
    call    syscall_clone_begin
    add     $8, %rsp
    .cfi_adjust_cfa_offset -8
    pop     %r9
    .cfi_adjust_cfa_offset -8
    pop     %r8
    .cfi_adjust_cfa_offset -8
    pop     %rcx
    .cfi_adjust_cfa_offset -8
    pop     %rdx
    .cfi_adjust_cfa_offset -8
    pop     %rsi
    .cfi_adjust_cfa_offset -8
    pop     %rdi
    .cfi_adjust_cfa_offset -8
    test    %rax, %rax
    jz      1b
    js      3b
    mov     %rdi, %rax
    mov     %rsi, %rdi
    mov     %rdx, %rsi
    mov     %rcx, %rdx
    mov     %r8, %r10
    mov     %r9, %r8
    syscall
    push    %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbp, 0
    mov     %rsp, %rbp
    .cfi_def_cfa_register %rbp
    and     $-16, %rsp
    mov     %rax, %rdi
    call    syscall_clone_end
    mov     %rbp, %rsp
    pop     %rbp
    .cfi_def_cfa %rsp, 8
    .cfi_restore %rbp
    ret
    .cfi_endproc
    .size   syscall, . - syscall
    .section .note.GNU-stack, "", @progbits
