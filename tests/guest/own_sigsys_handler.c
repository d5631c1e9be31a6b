/*
 * Proves: a program's own SIGSYS is its own: a handler that a seccomp filter calls in place of a
 * system call, sees which, and gives its result; one that a signal calls; what sigaction shows of
 * it; SA_RESETHAND; ignored; the default action, which kills. Pipes work in between.
 *
 * Rows: 5.5 "pipe read/write, unix read/recv/send"
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <ucontext.h>

#include "inline.h"

enum { TRAPPED = SYS_uselib, RESULT = 4321 };

static atomic_int runs;
static int fds[2];

static void use_pipe(void)
{
    char byte;
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(1, read(fds[0], &byte, 1));
}

static void answer(int signo, siginfo_t *info, void *context)
{
    CHECK_EQ(SIGSYS, signo);
    CHECK_EQ(1, info->si_code); /* SYS_SECCOMP */
    CHECK_EQ(TRAPPED, info->si_syscall);
    CHECK_EQ(77, info->si_errno);
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = RESULT;
    atomic_fetch_add(&runs, 1);
    use_pipe();
}

static void count(int signo)
{
    CHECK_EQ(SIGSYS, signo);
    atomic_fetch_add(&runs, 1);
    use_pipe();
}

static void by_signals(void)
{
    struct sigaction action = { .sa_handler = count, .sa_flags = SA_RESTART }, old;
    sigset_t one;
    CHECK_OK(sigaction(SIGSYS, NULL, &old));
    CHECK(old.sa_handler == SIG_DFL);
    sigaddset(&action.sa_mask, SIGUSR2);
    CHECK_OK(sigaction(SIGSYS, &action, &old));
    CHECK(old.sa_handler == SIG_DFL);
    CHECK_ZERO(raise(SIGSYS));
    CHECK_OK(kill(getpid(), SIGSYS));
    CHECK_EQ(2, atomic_load(&runs));
    CHECK_OK(sigaction(SIGSYS, NULL, &old));
    CHECK(old.sa_handler == count);
    CHECK_EQ(1, sigismember(&old.sa_mask, SIGUSR2));
    CHECK_EQ(SA_RESTART, old.sa_flags & (SA_RESTART | SA_SIGINFO | SA_NODEFER | SA_ONSTACK));
    use_pipe();

    CHECK(signal(SIGSYS, SIG_IGN) == count);
    CHECK_ZERO(raise(SIGSYS));
    CHECK_EQ(2, atomic_load(&runs));
    use_pipe();

    action.sa_flags = (int)SA_RESETHAND;
    CHECK_OK(sigaction(SIGSYS, &action, NULL));
    CHECK_ZERO(raise(SIGSYS));
    CHECK_EQ(3, atomic_load(&runs));
    CHECK_OK(sigaction(SIGSYS, NULL, &old));
    CHECK(old.sa_handler == SIG_DFL);
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    use_pipe();
}

static void by_default(void)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        use_pipe();
        raise(SIGSYS);
        _exit(0);
    }
    guest_wait_killed(pid, SIGSYS);
    use_pipe();
}

static void set_trap(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TRAPPED, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP | 77),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = { sizeof code / sizeof code[0], code };
    CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CHECK_OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

static void *trap_by_hand(void *argument)
{
    (void)argument;
    CHECK_EQ(RESULT, INLINE1(TRAPPED, 5));
    return NULL;
}

static void by_a_filter(void)
{
    struct sigaction action = { .sa_sigaction = answer, .sa_flags = SA_SIGINFO };
    struct guest_thread thread;
    CHECK_OK(sigaction(SIGSYS, &action, NULL));
    atomic_store(&runs, 0);
    set_trap();
    CHECK_EQ(RESULT, syscall(TRAPPED, 5));
    CHECK_EQ(RESULT, INLINE1(TRAPPED, 5));
    guest_thread_start(&thread, trap_by_hand, NULL);
    guest_thread_join(&thread);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(RESULT, INLINE1(TRAPPED, 5));
        exit(0);
    }
    guest_wait_exit(pid, 0);
    CHECK_EQ(3, atomic_load(&runs));
    use_pipe();
}

int main(void)
{
    guest_start();
    guest_pipe(fds);
    by_signals();
    by_default();
    by_a_filter();
    guest_close_both(fds);
    return guest_end();
}
