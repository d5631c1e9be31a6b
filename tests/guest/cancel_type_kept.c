/*
 * Proves: a thread's cancellation type is what it set, before, between and after calls:
 * asynchronous cancellation ends a loop that makes no call, deferred doesn't; calls that block,
 * that are interrupted, that move nothing, and calls of handlers change nothing of it. A thread
 * that left a blocked call by siglongjmp can be cancelled wherever it is, and nothing stays locked.
 *
 * Rows: 5.5 "pipe read/write, unix read/recv/send"
 */
#include <setjmp.h>

#include "guest.h"

enum { SMALL = 64, ROUNDS = 100, AT_MOST_MS = 300 };

static int fds[2];
static atomic_int spinning, cleaned, pieces;

static int type_now(void)
{
    int type, same;
    CHECK_ZERO(pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type));
    CHECK_ZERO(pthread_setcanceltype(type, &same));
    CHECK_EQ(PTHREAD_CANCEL_DEFERRED, same);
    return type;
}

static void call_in_handler(int signo)
{
    int error = errno;
    char byte;
    (void)signo;
    CHECK_EQ(1, write(fds[1], "h", 1));
    CHECK_EQ(1, read(fds[0], &byte, 1));
    errno = error;
}

/* Each of these leaves the type alone. */
static void make_calls(int type)
{
    char byte;
    struct pollfd entry = { .fd = fds[0], .events = POLLIN };
    CHECK_EQ(type, type_now());
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(type, type_now());
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_EQ(type, type_now());
    CHECK_EQ(0, poll(&entry, 1, 0));
    CHECK_EQ(0, poll(&entry, 1, 2));
    CHECK_EQ(type, type_now());
    CHECK_ZERO(pthread_kill(pthread_self(), SIGUSR1));
    CHECK_EQ(type, type_now());
}

static void say_cleaned(void *argument)
{
    (void)argument;
    atomic_store(&cleaned, 1);
}

static void *spin(void *argument)
{
    int type = *(int *)argument;
    CHECK_ZERO(pthread_setcanceltype(type, NULL));
    make_calls(type);
    pthread_cleanup_push(say_cleaned, NULL);
    atomic_store(&spinning, 1);
    while (atomic_load(&spinning) == 1) { /* no call in here */
    }
    CHECK_EQ(PTHREAD_CANCEL_DEFERRED, type);
    make_calls(type); /* ends here, or with the next line */
    pthread_testcancel();
    CHECK(!"the cancelled thread goes on");
    pthread_cleanup_pop(0);
    return NULL;
}

static void ends_where_it_should(int type)
{
    struct guest_thread thread;
    guest_pipe(fds);
    atomic_store(&spinning, 0);
    atomic_store(&cleaned, 0);
    guest_thread_start(&thread, spin, &type);
    while (atomic_load(&spinning) == 0) {
        sched_yield();
    }
    CHECK_ZERO(pthread_cancel(thread.pthread));
    if (type == PTHREAD_CANCEL_DEFERRED) {
        const struct timespec while_ms = { 0, 5000000 }; /* would be enough to end it */
        nanosleep(&while_ms, NULL);
        CHECK_EQ(0, atomic_load(&cleaned));
        atomic_store(&spinning, 2);
    }
    CHECK(guest_thread_join(&thread) == PTHREAD_CANCELED);
    CHECK_EQ(1, atomic_load(&cleaned));
    guest_close_both(fds);
}

static __thread sigjmp_buf jump;

static void jump_out(int signo)
{
    (void)signo;
    siglongjmp(jump, 1);
}

static void *jump_and_write(void *argument)
{
    unsigned char piece[SMALL];
    const int *never = argument;
    if (sigsetjmp(jump, 1) == 0) {
        (void)!read(never[0], piece, 1);
        CHECK(!"the blocked call returned");
    }
    for (;;) {
        guest_pattern_fill(piece, SMALL, (uint64_t)atomic_load(&pieces) * SMALL);
        (void)!write(fds[1], piece, SMALL);
        atomic_fetch_add(&pieces, 1);
    }
    return NULL;
}

/* libc leaves the type of such a thread asynchronous; that must not reach inside of a call. */
static void cancelled_after_jump(int type)
{
    static unsigned char buffer[1 << 20];
    int never[2];
    int64_t end = guest_now_ms() + AT_MOST_MS;
    guest_on_signal(SIGUSR2, jump_out, 0);
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
    guest_pipe(never);
    guest_set_nonblock(fds[0], true);
    for (int round = 0; round < ROUNDS && guest_now_ms() < end; round++) {
        struct guest_thread thread;
        size_t size = 0;
        ssize_t count;
        atomic_store(&pieces, 0);
        guest_thread_start(&thread, jump_and_write, never);
        guest_thread_blocked(&thread);
        CHECK_ZERO(pthread_kill(thread.pthread, SIGUSR2));
        while (atomic_load(&pieces) <= round % 10) {
            sched_yield();
        }
        CHECK_ZERO(pthread_cancel(thread.pthread));
        CHECK(guest_thread_join(&thread) == PTHREAD_CANCELED);
        while ((count = read(fds[0], buffer + size, sizeof buffer - size)) > 0) {
            size += (size_t)count;
        }
        CHECK_EQ(EAGAIN, errno);
        guest_pattern_check(buffer, size, 0);
        CHECK_EQ(0, size % SMALL);
        CHECK((int)(size / SMALL) - atomic_load(&pieces) <= 1);
        CHECK((int)(size / SMALL) >= atomic_load(&pieces));
    }
    guest_close_both(never);
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    guest_on_signal(SIGUSR1, call_in_handler, 0);
    ends_where_it_should(PTHREAD_CANCEL_ASYNCHRONOUS);
    ends_where_it_should(PTHREAD_CANCEL_DEFERRED);
    cancelled_after_jump(0);
    cancelled_after_jump(SOCK_STREAM);
    return guest_end();
}
