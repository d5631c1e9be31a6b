/*
 * Proves: a program's own SIGSEGV handler still gets its own faults, before and after EFAULTs of
 * emulated calls: right address, code and stack (SA_ONSTACK); it may repair and return, siglongjmp,
 * or use a pipe; kill(SIGSEGV) reaches it, too; SIG_DFL still kills.
 *
 * Rows: 2.3 "EFAULT" (the program's own handler: sigaction(2))
 */
#include <setjmp.h>
#include <sys/mman.h>

#include "guest.h"

static char *page;
static siginfo_t seen;
static volatile sig_atomic_t handled, on_stack;
static char alternate[65536];
static sigjmp_buf jump;
static int pipe_fds[2];

static void repair(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    char here;
    seen = *info;
    handled = handled + 1;
    on_stack = &here >= alternate && &here < alternate + sizeof alternate;
    (void)!write(pipe_fds[1], "s", 1);
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

static void jump_out(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    seen = *info;
    handled = handled + 1;
    siglongjmp(jump, 1);
}

static void install(void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = { .sa_flags = SA_SIGINFO | flags }, old;
    action.sa_sigaction = handler;
    CHECK_OK(sigaction(SIGSEGV, &action, NULL));
    CHECK_OK(sigaction(SIGSEGV, NULL, &old));
    CHECK(old.sa_sigaction == handler); /* its own view, whatever stands below */
    CHECK_EQ(SA_SIGINFO | flags, old.sa_flags & (SA_SIGINFO | SA_ONSTACK | SA_NODEFER));
    handled = 0;
}

static void efault_is_not_the_programs(void)
{
    char byte;
    int before = handled;
    CHECK_ERR(EFAULT, write(pipe_fds[1], guest_bad_pointer(), 1));
    CHECK_EQ(1, write(pipe_fds[1], "x", 1));
    CHECK_ERR(EFAULT, read(pipe_fds[0], guest_bad_pointer(), 1));
    CHECK_EQ(1, read(pipe_fds[0], &byte, 1));
    CHECK_EQ('x', byte);
    CHECK_EQ(before, handled);
}

static void repaired_and_resumed(void)
{
    char byte;
    stack_t stack = { .ss_sp = alternate, .ss_size = sizeof alternate };
    CHECK_OK(sigaltstack(&stack, NULL));
    install(repair, SA_ONSTACK);
    for (int i = 1; i <= 3; i++) {
        efault_is_not_the_programs();
        CHECK_OK(mprotect(page, 4096, PROT_NONE));
        *(volatile char *)(page + 123) = (char)i;
        CHECK_EQ(i, page[123]);
        CHECK_EQ(i, handled);
        CHECK_EQ(1, on_stack);
        CHECK_EQ(SEGV_ACCERR, seen.si_code);
        CHECK(seen.si_addr == page + 123);
        CHECK_EQ(1, read(pipe_fds[0], &byte, 1));
        CHECK_EQ('s', byte);
    }
    stack.ss_flags = SS_DISABLE;
    CHECK_OK(sigaltstack(&stack, NULL));
}

static void jumped_out(void)
{
    install(jump_out, 0);
    for (volatile int i = 1; i <= 3; i++) {
        if (sigsetjmp(jump, 1) == 0) {
            *(volatile char *)guest_bad_pointer() = 1;
            CHECK(!"a store through a bad pointer went on");
        }
        CHECK_EQ(i, handled);
        CHECK_EQ(SEGV_MAPERR, seen.si_code);
        CHECK(seen.si_addr == guest_bad_pointer());
        efault_is_not_the_programs();
    }
}

static void sent_by_kill(void)
{
    install(jump_out, 0);
    if (sigsetjmp(jump, 1) == 0) {
        CHECK_OK(kill(getpid(), SIGSEGV));
        CHECK(!"the signal didn't come");
    }
    CHECK_EQ(1, handled);
    CHECK_EQ(SI_USER, seen.si_code);
    CHECK_EQ(getpid(), seen.si_pid);
}

static void default_kills(void)
{
    guest_on_signal(SIGSEGV, SIG_DFL, 0);
    pid_t pid = guest_fork();
    if (pid == 0) {
        efault_is_not_the_programs();
        *(volatile char *)guest_bad_pointer() = 1;
        _exit(0);
    }
    guest_wait_killed(pid, SIGSEGV);
    efault_is_not_the_programs();
}

int main(void)
{
    guest_start();
    guest_pipe(pipe_fds);
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    efault_is_not_the_programs();
    repaired_and_resumed();
    jumped_out();
    sent_by_kill();
    default_kills();
    guest_close_both(pipe_fds);
    return guest_end();
}
