/*
 * sud_entry.S - system calls that can't be made from inside sud.c's handler
 *
 * clone may return on another stack, vfork twice on the same one, rt_sigreturn never; so the
 * handler lets the thread make the call again from here, where it isn't caught. No register is free
 * to carry the way back: each place that such calls come from has a stub of its own, and its
 * address stands in sud_sites.
 *
 *   sud_stubs     SUD_SITES of them, 8 bytes each: the call, and back
 *   sud_threads   the same, 32 bytes each, for clone with a new thread of libc's: it begins with
 *                 sud_thread_begins() (sud.c), since dispatch is off in it
 */
#define SUD_SITES 64 /* sud.c has it, too */

    .text
    .hidden sud_sites
    .hidden sud_thread_begins
    .globl  sud_stubs
    .hidden sud_stubs
    .globl  sud_threads
    .hidden sud_threads

    .p2align 5
    .type   sud_stubs, @function
sud_stubs:
    .set    site, 0
    .rept   SUD_SITES
    syscall
    jmp     *(sud_sites + site)(%rip)
    .set    site, site + 8
    .endr
    .size   sud_stubs, . - sud_stubs

    .p2align 5
    .type   sud_threads, @function
sud_threads:
    .set    site, 0
    .rept   SUD_SITES
    .p2align 5
    syscall
    test    %rax, %rax
    jz      1f
    jmp     *(sud_sites + site)(%rip)
1:  lea     (sud_sites + site)(%rip), %r11
    jmp     begin
    .set    site, site + 8
    .endr
    .p2align 5
    .size   sud_threads, . - sud_threads

/* The new thread, on its own stack: %r11 is where the way back stands. */
    .type   begin, @function
begin:
    push    %rbp
    mov     %rsp, %rbp
    push    %r11
    push    %rdi
    push    %rsi
    push    %rdx
    push    %r8
    push    %r9
    push    %r10
    and     $-16, %rsp
    call    sud_thread_begins
    lea     -56(%rbp), %rsp
    pop     %r10
    pop     %r9
    pop     %r8
    pop     %rdx
    pop     %rsi
    pop     %rdi
    pop     %r11
    pop     %rbp
    xor     %eax, %eax
    jmp     *(%r11)
    .size   begin, . - begin
    .section .note.GNU-stack, "", @progbits
