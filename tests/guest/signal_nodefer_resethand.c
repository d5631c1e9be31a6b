/*
 * Proves: SA_NODEFER, SA_RESETHAND and sa_mask around emulated calls. Without SA_NODEFER a second
 * signal waits until the handler returns, with it handlers nest, each of them blocked in a read of
 * its own; sa_mask holds others back; with SA_RESETHAND the second one meets the default action,
 * whether the thread was blocked, in the middle of a call, or outside.
 *
 * Rows: 5.5 "pipe read/write, unix read/recv/send"
 */
#include "guest.h"

enum { DEPTH = 4 };

static int inner[2]; /* what handlers read from and write to */
static atomic_int depth, deepest, finished;

static void read_in_handler(int signo)
{
    int error = errno;
    char byte;
    (void)signo;
    int now = atomic_fetch_add(&depth, 1) + 1;
    if (now > atomic_load(&deepest)) {
        atomic_store(&deepest, now);
    }
    ssize_t count;
    do { /* a nested handler interrupts this read */
        count = read(inner[0], &byte, 1);
    } while (count == -1 && errno == EINTR);
    CHECK_EQ(1, count);
    atomic_fetch_sub(&depth, 1);
    atomic_fetch_add(&finished, 1);
    errno = error;
}

static void *read_outer(void *argument)
{
    char byte;
    CHECK_EQ(1, read(*(int *)argument, &byte, 1));
    CHECK_EQ('o', byte);
    return NULL;
}

/* Signals one after the other, each when the thread is blocked again. */
static void blocked_in_handlers(int type, int flags)
{
    int outer[2];
    struct guest_thread thread;
    if (type == 0) {
        guest_pipe(outer);
        guest_pipe(inner);
    } else {
        guest_pair(type, outer);
        guest_pair(type, inner);
    }
    atomic_store(&deepest, 0);
    atomic_store(&finished, 0);
    guest_on_signal(SIGUSR1, read_in_handler, flags | SA_RESTART);
    guest_thread_start(&thread, read_outer, &outer[0]);
    for (int i = 1; i <= DEPTH; i++) {
        guest_thread_blocked(&thread);
        CHECK_ZERO(pthread_kill(thread.pthread, SIGUSR1));
        while (flags != 0 && atomic_load(&depth) < i) {
            sched_yield();
        }
    }
    guest_thread_blocked(&thread);
    CHECK_EQ(flags != 0 ? DEPTH : 1, atomic_load(&depth));
    int expected = flags != 0 ? DEPTH : 2; /* one ran, one is pending: signals don't count */
    for (int i = 1; i <= expected; i++) {
        CHECK_EQ(1, write(inner[1], "i", 1));
        while (atomic_load(&finished) < i) {
            sched_yield();
        }
    }
    guest_thread_blocked(&thread);
    CHECK_EQ(1, write(outer[1], "o", 1));
    guest_thread_join(&thread);
    CHECK_EQ(flags != 0 ? DEPTH : 1, atomic_load(&deepest));
    CHECK_EQ(expected, atomic_load(&finished));
    guest_close_both(outer);
    guest_close_both(inner);
}

static void write_order(int signo)
{
    int error = errno;
    if (signo == SIGUSR1) {
        CHECK_EQ(1, write(inner[1], "<", 1));
        CHECK_ZERO(raise(SIGUSR2));
        CHECK_EQ(1, write(inner[1], ">", 1));
    } else {
        CHECK_EQ(1, write(inner[1], "2", 1));
    }
    errno = error;
}

static void mask_holds_back(bool blocks)
{
    struct sigaction action = { .sa_flags = 0 };
    char buffer[8];
    guest_pipe(inner);
    guest_on_signal(SIGUSR2, write_order, 0);
    action.sa_handler = write_order;
    sigemptyset(&action.sa_mask);
    if (blocks) {
        sigaddset(&action.sa_mask, SIGUSR2);
    }
    CHECK_OK(sigaction(SIGUSR1, &action, NULL));
    CHECK_ZERO(raise(SIGUSR1));
    CHECK_EQ(3, read(inner[0], buffer, sizeof buffer));
    CHECK_MEM(blocks ? "<>2" : "<2>", buffer, 3);
    guest_close_both(inner);
}

static void note(int signo)
{
    int error = errno;
    struct sigaction now;
    CHECK_OK(sigaction(signo, NULL, &now));
    CHECK(now.sa_handler == SIG_DFL); /* it is gone when the handler runs */
    CHECK_EQ(1, write(inner[1], "r", 1));
    errno = error;
}

enum place { BLOCKED, IN_CALLS, OUTSIDE };

/* In a child: the first signal runs the handler, the second one kills. */
__attribute__((noreturn)) static void die_by_the_second(enum place place, const int fds[2])
{
    char buffer[64] = { 0 };
    guest_on_signal(SIGUSR1, note, (int)SA_RESETHAND | SA_RESTART);
    CHECK_EQ(1, write(inner[1], "s", 1));
    for (;;) {
        switch (place) {
        case BLOCKED: (void)!read(fds[0], buffer, 1); break;
        case IN_CALLS:
            CHECK_EQ(64, write(fds[1], buffer, 64));
            CHECK_EQ(64, read(fds[0], buffer, 64));
            break;
        default: sched_yield(); break;
        }
    }
}

static void reset_handler(enum place place)
{
    int fds[2];
    char byte;
    guest_pipe(fds);
    guest_pipe(inner);
    pid_t pid = guest_fork();
    if (pid == 0) {
        die_by_the_second(place, fds);
    }
    CHECK_EQ(1, read(inner[0], &byte, 1));
    CHECK_EQ('s', byte);
    if (place == BLOCKED) {
        guest_process_blocked(pid);
    }
    CHECK_OK(kill(pid, SIGUSR1));
    CHECK_EQ(1, read(inner[0], &byte, 1));
    CHECK_EQ('r', byte);
    if (place == BLOCKED) {
        guest_process_blocked(pid);
    }
    CHECK_OK(kill(pid, SIGUSR1));
    guest_wait_killed(pid, SIGUSR1);
    guest_close_both(fds);
    guest_close_both(inner);
}

int main(void)
{
    guest_start();
    blocked_in_handlers(0, 0);
    blocked_in_handlers(0, SA_NODEFER);
    blocked_in_handlers(SOCK_STREAM, 0);
    blocked_in_handlers(SOCK_STREAM, SA_NODEFER);
    mask_holds_back(true);
    mask_holds_back(false);
    reset_handler(BLOCKED);
    for (int i = 0; i < 20; i++) {
        reset_handler(IN_CALLS);
    }
    reset_handler(OUTSIDE);
    return guest_end();
}
