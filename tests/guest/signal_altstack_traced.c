/*
 * Proves: a signal that comes with another one before its handler has begun stands on the alternate
 * stack all the same, also on one with SS_AUTODISARM. A tracer brings them together: at each stop
 * of the tracee for a signal it sends SIGUSR1, which is then delivered on top of that one. Natively
 * the tracee stops for the tracer's own SIGUSR2; where system calls are caught by SIGSYS
 * (`run --net=sud`), at each of its calls too.
 *
 * Rows: 5.5 "pipe read/write, unix read/recv/send"
 */
#include <sys/ptrace.h>

#include "guest.h"

#ifndef SS_AUTODISARM
#    define SS_AUTODISARM (1u << 31) /* linux/signal.h, which can't stand beside libc's */
#endif

enum { STACK_SIZE = 64 * 1024, ROUNDS = 100 };

static char *stack;
static atomic_int runs, off_stack, others;

static void on_stack(int signo)
{
    char here;
    const char *volatile at = &here;
    (void)signo;
    if (at < stack || at >= stack + STACK_SIZE) {
        atomic_fetch_add(&off_stack, 1);
    }
    atomic_fetch_add(&runs, 1);
}

static void on_other(int signo)
{
    (void)signo;
    atomic_fetch_add(&others, 1);
}

static int tracee(unsigned stack_flags)
{
    const stack_t other = { .ss_sp = stack, .ss_size = STACK_SIZE, .ss_flags = (int)stack_flags };
    int fds[2];
    char byte;
    guest_pipe(fds);
    CHECK_OK(sigaltstack(&other, NULL));
    guest_on_signal(SIGUSR1, on_stack, SA_ONSTACK | SA_RESTART);
    guest_on_signal(SIGUSR2, on_other, SA_ONSTACK | SA_RESTART);
    CHECK_OK(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_ZERO(raise(SIGUSR2));
        CHECK_EQ(1, write(fds[1], "x", 1));
        CHECK_EQ(1, read(fds[0], &byte, 1));
    }
    CHECK_EQ(ROUNDS, atomic_load(&others));
    CHECK(atomic_load(&runs) >= ROUNDS);
    CHECK_EQ(0, atomic_load(&off_stack));
    guest_close_both(fds);
    return 0;
}

static void trace(unsigned stack_flags)
{
    int status;
    pid_t pid = guest_fork();
    if (pid == 0) {
        _exit(tracee(stack_flags));
    }
    for (;;) {
        CHECK_EQ(pid, waitpid(pid, &status, 0));
        if (!WIFSTOPPED(status)) {
            break;
        }
        if (WSTOPSIG(status) != SIGUSR1) {
            CHECK_OK(kill(pid, SIGUSR1));
        }
        CHECK_OK(ptrace(PTRACE_CONT, pid, NULL, (void *)(intptr_t)WSTOPSIG(status)));
    }
    CHECK(WIFEXITED(status));
    CHECK_EQ(0, WEXITSTATUS(status));
}

int main(void)
{
    guest_start();
    stack = malloc(STACK_SIZE);
    CHECK(stack != NULL);
    trace(0);
    trace(SS_AUTODISARM);
    free(stack);
    return guest_end();
}
