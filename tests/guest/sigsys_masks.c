/*
 * Proves: SIGSYS can be blocked like any signal, in every way a mask is set (sigprocmask, pthreads,
 * by hand, a handler's sa_mask, ppoll's mask, sigsuspend, the context of a handler, siglongjmp, a
 * child's spawn attribute), is shown as blocked, and libc and pipes go on working meanwhile.
 *
 * Rows: 5.5 "pipe read/write, unix read/recv/send", 5.5 "poll, ppoll, select, pselect, epoll_wait"
 */
#include <setjmp.h>
#include <spawn.h>
#include <ucontext.h>

#include "inline.h"

static int fds[2];
static sigjmp_buf before_jump;

/* libc, pipes and system calls by hand. */
static void use_everything(void)
{
    char byte;
    FILE *file = fopen("/proc/self/stat", "re");
    CHECK(file != NULL);
    CHECK(fgetc(file) != EOF);
    CHECK_EQ(0, fclose(file));
    CHECK_EQ(getpid(), INLINE1(SYS_getpid, 0));
    CHECK_EQ(1, INLINE3(SYS_write, fds[1], "x", 1));
    CHECK_EQ(1, read(fds[0], &byte, 1));
}

static bool is_blocked(void)
{
    sigset_t now;
    CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &now));
    return sigismember(&now, SIGSYS) == 1;
}

static bool is_blocked_by_hand(void)
{
    uint64_t now;
    CHECK_ZERO(INLINE4(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &now, sizeof now));
    return (now & 1ull << (SIGSYS - 1)) != 0;
}

static void expect(bool blocked)
{
    CHECK_EQ(blocked, is_blocked());
    CHECK_EQ(blocked, is_blocked_by_hand());
    use_everything();
}

static void *in_a_thread(void *argument)
{
    expect(*(bool *)argument);
    return NULL;
}

static void by_calls(void)
{
    sigset_t one, all, old;
    struct guest_thread thread;
    bool blocked = true;
    uint64_t bit = 1ull << (SIGSYS - 1);
    sigemptyset(&one);
    sigaddset(&one, SIGSYS);
    sigfillset(&all);
    expect(false);
    CHECK_OK(sigprocmask(SIG_BLOCK, &one, NULL));
    expect(true);
    guest_thread_start(&thread, in_a_thread, &blocked);
    guest_thread_join(&thread);
    CHECK_ZERO(pthread_sigmask(SIG_UNBLOCK, &one, &old));
    CHECK_EQ(1, sigismember(&old, SIGSYS));
    expect(false);
    CHECK_OK(sigprocmask(SIG_SETMASK, &all, &old));
    CHECK_EQ(0, sigismember(&old, SIGSYS));
    expect(true);
    pid_t pid = guest_fork();
    if (pid == 0) {
        expect(true);
        exit(0);
    }
    guest_wait_exit(pid, 0);
    CHECK_OK(sigprocmask(SIG_SETMASK, &old, NULL));
    expect(false);
    CHECK_ZERO(INLINE4(SYS_rt_sigprocmask, SIG_BLOCK, &bit, NULL, sizeof bit));
    expect(true);
    CHECK_ZERO(syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &bit, NULL, sizeof bit));
    expect(false);
    CHECK_EQ(-EINVAL, INLINE4(SYS_rt_sigprocmask, SIG_BLOCK, &bit, NULL, 4));
    CHECK_EQ(-EINVAL, INLINE4(SYS_rt_sigprocmask, 77, &bit, NULL, 8));
    CHECK_EQ(-EFAULT, INLINE4(SYS_rt_sigprocmask, SIG_BLOCK, guest_bad_pointer(), NULL, 8));
    CHECK_EQ(-EFAULT, INLINE4(SYS_rt_sigprocmask, SIG_BLOCK, NULL, guest_bad_pointer(), 8));
}

static void look_around(int signo)
{
    int error = errno;
    (void)signo;
    use_everything();
    atomic_fetch_add(&guest_signal_count[signo], 1);
    errno = error;
}

static void in_handlers(void)
{
    struct sigaction action = { .sa_handler = look_around };
    struct timespec soon = { 0, 0 };
    sigset_t all, old;
    struct pollfd entry = { .fd = fds[0], .events = POLLIN };
    sigfillset(&all);
    sigfillset(&action.sa_mask);
    CHECK_OK(sigaction(SIGUSR1, &action, NULL));
    CHECK_ZERO(raise(SIGUSR1));
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGUSR1]));
    CHECK_OK(sigaction(SIGUSR1, NULL, &action));
    CHECK_EQ(1, sigismember(&action.sa_mask, SIGSYS));
    expect(false);

    CHECK_OK(sigprocmask(SIG_SETMASK, &all, &old));
    CHECK_ZERO(raise(SIGUSR1));
    sigdelset(&all, SIGUSR1);
    CHECK_ERR(EINTR, ppoll(&entry, 1, NULL, &all));
    CHECK_EQ(2, atomic_load(&guest_signal_count[SIGUSR1]));
    CHECK_EQ(0, ppoll(&entry, 1, &soon, &all));
    CHECK_ZERO(raise(SIGUSR1));
    CHECK_ERR(EINTR, sigsuspend(&all));
    CHECK_EQ(3, atomic_load(&guest_signal_count[SIGUSR1]));
    CHECK_ZERO(raise(SIGUSR1));
    CHECK_EQ(-EINTR, INLINE2(SYS_rt_sigsuspend, &all, 8));
    CHECK_EQ(4, atomic_load(&guest_signal_count[SIGUSR1]));
    expect(true);
    CHECK_OK(sigprocmask(SIG_SETMASK, &old, NULL));
    expect(false);
}

static void block_in_context(int signo, siginfo_t *info, void *context)
{
    (void)signo, (void)info;
    sigaddset(&((ucontext_t *)context)->uc_sigmask, SIGSYS);
}

static void unblock_in_context(int signo, siginfo_t *info, void *context)
{
    sigset_t *mask = &((ucontext_t *)context)->uc_sigmask;
    (void)signo, (void)info;
    CHECK_EQ(1, sigismember(mask, SIGSYS));
    sigdelset(mask, SIGSYS);
}

static void jump_away(int signo)
{
    siglongjmp(before_jump, signo);
}

static void by_contexts(void)
{
    struct sigaction action = { .sa_sigaction = block_in_context, .sa_flags = SA_SIGINFO };
    CHECK_OK(sigaction(SIGUSR2, &action, NULL));
    CHECK_ZERO(raise(SIGUSR2));
    expect(true);
    action.sa_sigaction = unblock_in_context;
    CHECK_OK(sigaction(SIGUSR2, &action, NULL));
    CHECK_EQ(0, INLINE2(SYS_kill, getpid(), SIGUSR2));
    expect(false);

    struct sigaction jump = { .sa_handler = jump_away };
    sigfillset(&jump.sa_mask);
    CHECK_OK(sigaction(SIGUSR2, &jump, NULL));
    if (sigsetjmp(before_jump, 1) == 0) {
        raise(SIGUSR2);
        CHECK(false);
    }
    expect(false);
    if (sigsetjmp(before_jump, 0) == 0) {
        raise(SIGUSR2);
        CHECK(false);
    }
    expect(true);
    sigset_t none;
    sigemptyset(&none);
    CHECK_OK(sigprocmask(SIG_SETMASK, &none, NULL));
    expect(false);
}

static void in_a_new_image(char *program)
{
    char *arguments[] = { program, (char *)(uintptr_t) "child", NULL };
    posix_spawnattr_t attributes;
    sigset_t all;
    pid_t pid;
    sigfillset(&all);
    CHECK_ZERO(posix_spawnattr_init(&attributes));
    CHECK_ZERO(posix_spawnattr_setsigmask(&attributes, &all));
    CHECK_ZERO(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK));
    CHECK_ZERO(posix_spawn(&pid, program, NULL, &attributes, arguments, environ));
    CHECK_ZERO(posix_spawnattr_destroy(&attributes));
    guest_wait_exit(pid, 0);
    expect(false);
}

int main(int argc, char **argv)
{
    guest_start();
    guest_pipe(fds);
    if (argc > 1) {
        expect(true);
    } else {
        by_calls();
        in_handlers();
        by_contexts();
        in_a_new_image(argv[0]);
    }
    guest_close_both(fds);
    return guest_end();
}
