/*
 * Proves: uc_sigmask of a handler's context is the mask that holds again when the handler returns:
 * the thread's own one in a blocked call, in ppoll, pselect and epoll_pwait (not the call's mask),
 * and in the middle of a call; what the handler changes there takes effect. In the handler the
 * call's mask holds, with sa_mask and the signal itself.
 *
 * Rows: 5.5 "pipe read/write, unix read/recv/send", 5.5 "poll, ppoll, select, pselect, epoll_wait"
 */
#include <sys/epoll.h>
#include <ucontext.h>

#include "guest.h"

enum way { BY_READ, BY_POLL, BY_PPOLL, BY_PSELECT, BY_EPOLL_PWAIT, WAYS };
enum { SMALL = 64, RUNS = 200, AT_MOST_MS = 150 };

static sigset_t context_mask, handler_mask;
static atomic_int runs;

/* Blocks SIGURG from the return on. */
static void change_context(int signo, siginfo_t *info, void *data)
{
    int error = errno;
    ucontext_t *context = data;
    (void)signo;
    (void)info;
    memcpy(&context_mask, &context->uc_sigmask, sizeof(uint64_t));
    CHECK_ZERO(pthread_sigmask(SIG_SETMASK, NULL, &handler_mask));
    sigaddset(&context->uc_sigmask, SIGURG);
    atomic_fetch_add(&runs, 1);
    errno = error;
}

static void set_handler(void)
{
    struct sigaction action = { .sa_flags = SA_SIGINFO };
    action.sa_sigaction = change_context;
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGPWR);
    CHECK_OK(sigaction(SIGUSR1, &action, NULL));
    atomic_store(&runs, 0);
}

static bool is_blocked(int signo)
{
    sigset_t set;
    CHECK_ZERO(pthread_sigmask(SIG_SETMASK, NULL, &set));
    return sigismember(&set, signo) == 1;
}

static void block(int how, int signo)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signo);
    CHECK_ZERO(pthread_sigmask(how, &set, NULL));
}

struct job {
    enum way way;
    int fd, epoll_fd;
    bool pending; /* before the call, which then lets it in */
};

static bool has_mask(enum way way)
{
    return way >= BY_PPOLL;
}

static int call_once(const struct job *job, const sigset_t *mask)
{
    struct pollfd entry = { .fd = job->fd, .events = POLLIN };
    struct epoll_event event;
    fd_set set;
    char byte;
    FD_ZERO(&set);
    FD_SET(job->fd, &set);
    switch (job->way) {
    case BY_READ: return (int)read(job->fd, &byte, 1);
    case BY_POLL: return poll(&entry, 1, -1);
    case BY_PPOLL: return ppoll(&entry, 1, NULL, mask);
    case BY_PSELECT: return pselect(job->fd + 1, &set, NULL, NULL, NULL, mask);
    default: return epoll_pwait(job->epoll_fd, &event, 1, -1, mask);
    }
}

/* The thread's own mask: SIGUSR2, and SIGUSR1 when the call opens it. The call's: SIGWINCH. */
static void *be_interrupted(void *argument)
{
    const struct job *job = argument;
    sigset_t mask;
    bool masked = has_mask(job->way);
    sigemptyset(&mask);
    sigaddset(&mask, SIGWINCH);
    block(SIG_BLOCK, SIGUSR2);
    if (masked) {
        block(SIG_BLOCK, SIGUSR1);
    }
    if (job->pending) {
        CHECK_ZERO(pthread_kill(pthread_self(), SIGUSR1));
    }
    CHECK_ERR(EINTR, call_once(job, &mask));
    CHECK_EQ(1, atomic_load(&runs));
    CHECK_EQ(1, sigismember(&context_mask, SIGUSR2));
    CHECK_EQ(masked, sigismember(&context_mask, SIGUSR1));
    CHECK_EQ(0, sigismember(&context_mask, SIGWINCH));
    CHECK_EQ(0, sigismember(&context_mask, SIGPWR));
    CHECK_EQ(!masked, sigismember(&handler_mask, SIGUSR2));
    CHECK_EQ(masked, sigismember(&handler_mask, SIGWINCH));
    CHECK_EQ(1, sigismember(&handler_mask, SIGUSR1));
    CHECK_EQ(1, sigismember(&handler_mask, SIGPWR));
    CHECK(is_blocked(SIGURG)); /* by the handler */
    CHECK(is_blocked(SIGUSR2));
    CHECK_EQ(masked, is_blocked(SIGUSR1));
    CHECK(!is_blocked(SIGWINCH));
    CHECK(!is_blocked(SIGPWR));
    return NULL;
}

static void in_a_blocked_call(int type, enum way way, bool pending)
{
    int fds[2];
    struct guest_thread thread;
    struct epoll_event event = { .events = EPOLLIN };
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
    struct job job = { .way = way, .fd = fds[0], .pending = pending };
    job.epoll_fd = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    if (way == BY_EPOLL_PWAIT) {
        CHECK_OK(epoll_ctl(job.epoll_fd, EPOLL_CTL_ADD, fds[0], &event));
    }
    set_handler();
    guest_thread_start(&thread, be_interrupted, &job);
    if (!pending) {
        guest_thread_blocked(&thread);
        CHECK_ZERO(pthread_kill(thread.pthread, SIGUSR1));
    }
    guest_thread_join(&thread);
    CHECK_OK(close(job.epoll_fd));
    guest_close_both(fds);
}

static void *shoot(void *argument)
{
    pthread_t target = *(pthread_t *)argument;
    int64_t end = guest_now_ms() + AT_MOST_MS; /* a busy machine takes a time slice a run */
    for (int i = 1; i <= RUNS && guest_now_ms() < end; i++) {
        CHECK_ZERO(pthread_kill(target, SIGUSR1));
        while (atomic_load(&runs) < i) {
            sched_yield();
        }
        for (volatile int delay = 0; delay < i * 10; delay++) { /* meets it at another place */
        }
    }
    return NULL;
}

/* Whenever the handler has run, SIGURG is blocked, and not before. */
static void in_the_middle_of_calls(int type)
{
    int fds[2], seen = 0;
    char buffer[SMALL] = { 0 };
    struct guest_thread thread;
    pthread_t self = pthread_self();
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
    set_handler();
    guest_thread_start(&thread, shoot, &self);
    while (!atomic_load(&thread.done) || atomic_load(&runs) != seen) {
        CHECK_EQ(SMALL, write(fds[1], buffer, SMALL));
        CHECK_EQ(SMALL, read(fds[0], buffer, SMALL));
        if (atomic_load(&runs) == seen) {
            continue;
        }
        block(SIG_BLOCK, SIGUSR1);
        CHECK(is_blocked(SIGURG));
        CHECK_EQ(0, sigismember(&context_mask, SIGUSR1));
        CHECK_EQ(0, sigismember(&context_mask, SIGPWR));
        block(SIG_UNBLOCK, SIGURG);
        CHECK(!is_blocked(SIGURG));
        seen = atomic_load(&runs);
        block(SIG_UNBLOCK, SIGUSR1);
    }
    guest_thread_join(&thread);
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    for (int way = 0; way < WAYS; way++) {
        in_a_blocked_call(0, (enum way)way, false);
        in_a_blocked_call(SOCK_STREAM, (enum way)way, false);
        if (has_mask((enum way)way)) {
            in_a_blocked_call(0, (enum way)way, true);
        }
    }
    in_the_middle_of_calls(0);
    in_the_middle_of_calls(SOCK_STREAM);
    return guest_end();
}
