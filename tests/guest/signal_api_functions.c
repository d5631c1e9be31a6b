/*
 * Proves: every way of libc to install a handler gives the kernel the right flags and mask, and
 * shows the program its own view: sigaction, signal, ssignal, bsd_signal, sysv_signal, sigset,
 * sighold, sigrelse, sigignore, siginterrupt, sigpause, sigvec where libc still has it. A read that
 * such a handler interrupts ends or restarts as that function promises.
 *
 * Rows: 5.5 "pipe read/write, unix read/recv/send" both columns
 */
#include <dlfcn.h>

#include "guest.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

typedef void (*handler_t)(int);
typedef handler_t (*install_t)(int, handler_t);

/* _XOPEN_SOURCE's old names: not in the headers with the newest standard. */
handler_t bsd_signal(int signo, handler_t handler);

static atomic_int runs;
static sigset_t mask_inside;
static handler_t action_inside;

static void note(int signo)
{
    int error = errno;
    struct sigaction now;
    CHECK_ZERO(pthread_sigmask(SIG_SETMASK, NULL, &mask_inside));
    CHECK_OK(sigaction(signo, NULL, &now));
    action_inside = now.sa_handler;
    atomic_fetch_add(&runs, 1);
    errno = error;
}

static void other(int signo)
{
    (void)signo;
}

enum { RESTARTS = 1, RESETS = 2, LEAVES_OPEN = 4 }; /* what a function promises */

struct job {
    int fd;
    ssize_t result;
    int error;
};

static void *read_once(void *argument)
{
    struct job *job = argument;
    char byte;
    job->result = read(job->fd, &byte, 1);
    job->error = errno;
    return NULL;
}

static void read_meets(bool restarts)
{
    int fds[2];
    struct guest_thread thread;
    guest_pipe(fds);
    struct job job = { .fd = fds[0] };
    guest_thread_start(&thread, read_once, &job);
    guest_thread_blocked(&thread);
    atomic_store(&runs, 0);
    CHECK_ZERO(pthread_kill(thread.pthread, SIGUSR1));
    while (atomic_load(&runs) == 0) {
        sched_yield();
    }
    if (restarts) {
        guest_thread_blocked(&thread);
        CHECK_EQ(1, write(fds[1], "x", 1));
    }
    guest_thread_join(&thread);
    CHECK_EQ(restarts ? 1 : -1, job.result);
    if (!restarts) {
        CHECK_EQ(EINTR, job.error);
    }
    guest_close_both(fds);
}

static void view_is(handler_t handler, int flags)
{
    struct sigaction now;
    CHECK_OK(sigaction(SIGUSR1, NULL, &now));
    CHECK(now.sa_handler == handler);
    CHECK_EQ(flags, now.sa_flags & (SA_RESTART | SA_SIGINFO | (int)SA_RESETHAND | SA_NODEFER));
}

static void installs(install_t install, int promise)
{
    int flags = (promise & RESTARTS ? SA_RESTART : 0) | (promise & RESETS ? (int)SA_RESETHAND : 0) |
                (promise & LEAVES_OPEN ? SA_NODEFER : 0);
    guest_on_signal(SIGUSR1, SIG_DFL, 0);
    CHECK(install(SIGUSR1, other) == SIG_DFL);
    view_is(other, flags);
    CHECK(install(SIGUSR1, SIG_IGN) == other);
    CHECK(install(SIGUSR1, note) == SIG_IGN);
    view_is(note, flags);
    read_meets(promise & RESTARTS);
    CHECK_EQ(!(promise & LEAVES_OPEN), sigismember(&mask_inside, SIGUSR1));
    CHECK(action_inside == (promise & RESETS ? SIG_DFL : note));
    CHECK(install(SIGUSR1, SIG_DFL) == (promise & RESETS ? SIG_DFL : note));
    CHECK(install(SIGKILL, note) == SIG_ERR);
    CHECK_EQ(EINVAL, errno);
    CHECK(install(0, note) == SIG_ERR);
    CHECK(install(65, note) == SIG_ERR);
}

/* siginterrupt changes the flag of what is installed, and what signal() installs later. */
static void interrupts_or_not(void)
{
    CHECK(signal(SIGUSR1, note) == SIG_DFL);
    CHECK_OK(siginterrupt(SIGUSR1, 1));
    view_is(note, 0);
    read_meets(false);
    CHECK(signal(SIGUSR1, note) == note);
    view_is(note, 0);
    read_meets(false);
    CHECK_OK(siginterrupt(SIGUSR1, 0));
    view_is(note, SA_RESTART);
    read_meets(true);
    CHECK(signal(SIGUSR1, SIG_DFL) == note);
    CHECK_ERR(EINVAL, siginterrupt(SIGKILL, 0));
    CHECK_ERR(EINVAL, siginterrupt(0, 0));
}

static bool is_blocked(int signo)
{
    sigset_t set;
    CHECK_ZERO(pthread_sigmask(SIG_SETMASK, NULL, &set));
    return sigismember(&set, signo) == 1;
}

static void sigset_and_kin(void)
{
    CHECK(sigset(SIGUSR1, note) == SIG_DFL);
    CHECK(sigset(SIGUSR1, SIG_HOLD) == note);
    CHECK(is_blocked(SIGUSR1));
    view_is(note, 0);
    atomic_store(&runs, 0);
    CHECK_ZERO(raise(SIGUSR1));
    CHECK_EQ(0, atomic_load(&runs));
    CHECK(sigset(SIGUSR1, other) == SIG_HOLD); /* unblocks; the new handler gets it */
    CHECK(!is_blocked(SIGUSR1));
    CHECK_EQ(0, atomic_load(&runs));
    CHECK(sigset(SIGUSR1, note) == other);
    CHECK_OK(sighold(SIGUSR1));
    CHECK(is_blocked(SIGUSR1));
    CHECK_ZERO(raise(SIGUSR1));
    CHECK_OK(sigrelse(SIGUSR1));
    CHECK_EQ(1, atomic_load(&runs));
    CHECK(!is_blocked(SIGUSR1));
    CHECK_OK(sigignore(SIGUSR1));
    view_is(SIG_IGN, 0);
    CHECK_ZERO(raise(SIGUSR1));
    CHECK_EQ(1, atomic_load(&runs));
    CHECK(sigset(SIGUSR1, SIG_DFL) == SIG_IGN);
}

/* sigpause of X/Open: takes one signal out of the mask and waits. */
static void pauses(void)
{
    CHECK(sigset(SIGUSR1, note) == SIG_DFL);
    CHECK_OK(sighold(SIGUSR1));
    atomic_store(&runs, 0);
    CHECK_ZERO(raise(SIGUSR1));
    CHECK_ERR(EINTR, sigpause(SIGUSR1));
    CHECK_EQ(1, atomic_load(&runs));
    CHECK(is_blocked(SIGUSR1));
    CHECK_OK(sigrelse(SIGUSR1));
    CHECK(sigset(SIGUSR1, SIG_DFL) == note);
}

/* glibc has kept it for old binaries alone, or not at all. */
static void old_vector(void)
{
    struct {
        handler_t handler;
        int mask, flags;
    } vector = { note, 0, 0 };
    void *symbol = dlsym(RTLD_DEFAULT, "sigvec");
    int (*sigvec)(int, const void *, void *);
    if (symbol == NULL) {
        return;
    }
    memcpy(&sigvec, &symbol, sizeof sigvec);
    CHECK_OK(sigvec(SIGUSR1, &vector, NULL));
    read_meets(true);
    guest_on_signal(SIGUSR1, SIG_DFL, 0);
}

static handler_t by_sigaction(int signo, handler_t handler)
{
    struct sigaction action = { .sa_flags = 0 }, old;
    action.sa_handler = handler;
    sigemptyset(&action.sa_mask);
    if (handler == SIG_ERR) { /* for sigaction that is an address like any other */
        errno = EINVAL;
        return SIG_ERR;
    }
    return sigaction(signo, &action, &old) == 0 ? old.sa_handler : SIG_ERR;
}

int main(void)
{
    int fds[2];
    guest_start();
    guest_pipe(fds); /* an emulated fd from the start */
    installs(by_sigaction, 0);
    installs(signal, RESTARTS);
    installs(ssignal, RESTARTS);
    installs(bsd_signal, RESTARTS);
    installs(sigset, 0);
    installs(sysv_signal, RESETS | LEAVES_OPEN);
    CHECK(signal(SIGUSR1, SIG_ERR) == SIG_ERR);
    CHECK_EQ(EINVAL, errno);
    CHECK(sysv_signal(SIGUSR1, SIG_ERR) == SIG_ERR);
    interrupts_or_not();
    sigset_and_kin();
    pauses();
    old_vector();
    guest_close_both(fds);
    return guest_end();
}
