/*
 * Proves: handlers on an alternate stack (sigaltstack, SA_ONSTACK) that interrupt a blocked or a
 * running call stand on that stack, may make calls that block themselves, and may leave by
 * siglongjmp; SS_AUTODISARM; without SA_ONSTACK they stand on the thread's own stack.
 *
 * Rows: 5.5 "pipe read/write, unix read/recv/send"
 */
#include <setjmp.h>

#include "guest.h"

#ifndef SS_AUTODISARM
#    define SS_AUTODISARM (1u << 31) /* linux/signal.h, which can't stand beside libc's */
#endif

enum { STACK_SIZE = 256 * 1024, ROUNDS = 2000, AT_MOST_MS = 300 };

static char *stack;
static int inner[2];
static atomic_int runs, off_stack;
static sigjmp_buf jump;

static bool stands_on_it(void)
{
    char here;
    const char *volatile at = &here;
    return at >= stack && at < stack + STACK_SIZE;
}

static void use_stack(unsigned flags)
{
    const stack_t other = { .ss_sp = stack, .ss_size = STACK_SIZE, .ss_flags = (int)flags };
    CHECK_OK(sigaltstack(&other, NULL));
}

static void drop_stack(void)
{
    const stack_t none = { .ss_flags = SS_DISABLE };
    CHECK_OK(sigaltstack(&none, NULL));
}

/* Makes a blocking call, and a large one, on its stack. */
static void call_from_stack(int signo)
{
    int error = errno;
    char buffer[8];
    (void)signo;
    if (!stands_on_it()) {
        atomic_fetch_add(&off_stack, 1);
    }
    struct pollfd entry = { .fd = inner[0], .events = POLLIN };
    CHECK_EQ(1, poll(&entry, 1, -1));
    CHECK_EQ(1, read(inner[0], buffer, 1));
    CHECK_EQ(1, write(inner[1], "a", 1)); /* the next one finds it */
    atomic_fetch_add(&runs, 1);
    errno = error;
}

struct job {
    const int *fds;
    unsigned stack_flags;
};

static void *read_on_own_stack(void *argument)
{
    const struct job *job = argument;
    char byte;
    use_stack(job->stack_flags);
    CHECK_EQ(1, read(job->fds[0], &byte, 1));
    stack_t now;
    CHECK_OK(sigaltstack(NULL, &now)); /* armed again, or still */
    CHECK(now.ss_sp == stack);
    CHECK_EQ(0, now.ss_flags & SS_ONSTACK);
    drop_stack();
    return NULL;
}

static void interrupts_blocked(int flags, unsigned stack_flags)
{
    int fds[2];
    struct guest_thread thread;
    guest_pipe(fds);
    guest_pipe(inner);
    struct job job = { .fds = fds, .stack_flags = stack_flags };
    atomic_store(&runs, 0);
    atomic_store(&off_stack, 0);
    guest_on_signal(SIGUSR1, call_from_stack, flags | SA_RESTART);
    guest_thread_start(&thread, read_on_own_stack, &job);
    for (int i = 1; i <= 3; i++) {
        guest_thread_blocked(&thread);
        CHECK_ZERO(pthread_kill(thread.pthread, SIGUSR1));
        guest_thread_blocked(&thread); /* in the handler's poll now */
        if (i == 1) {
            CHECK_EQ(1, write(inner[1], "a", 1));
        }
        while (atomic_load(&runs) < i) {
            sched_yield();
        }
    }
    CHECK_EQ(flags & SA_ONSTACK ? 0 : 3, atomic_load(&off_stack));
    guest_thread_blocked(&thread);
    CHECK_EQ(1, write(fds[1], "x", 1));
    guest_thread_join(&thread);
    guest_close_both(fds);
    guest_close_both(inner);
}

static void *shoot(void *argument)
{
    pthread_t target = *(pthread_t *)argument;
    int64_t end = guest_now_ms() + AT_MOST_MS; /* a busy machine takes a time slice a round */
    for (int i = 1; i <= ROUNDS && guest_now_ms() < end; i++) {
        CHECK_ZERO(pthread_kill(target, SIGUSR1));
        while (atomic_load(&runs) < i) {
            sched_yield();
        }
    }
    return NULL;
}

/* The thread makes calls all the time; the handler's own calls go through on the other stack. */
static void interrupts_running(unsigned stack_flags)
{
    int fds[2];
    struct guest_thread thread;
    unsigned char out[64], in[64];
    pthread_t self = pthread_self();
    guest_pair(SOCK_STREAM, fds);
    guest_pipe(inner);
    CHECK_EQ(1, write(inner[1], "a", 1));
    use_stack(stack_flags);
    atomic_store(&runs, 0);
    atomic_store(&off_stack, 0);
    guest_on_signal(SIGUSR1, call_from_stack, SA_ONSTACK | SA_RESTART);
    guest_thread_start(&thread, shoot, &self);
    for (uint64_t position = 0; !atomic_load(&thread.done); position += 64) {
        guest_pattern_fill(out, 64, position);
        CHECK_EQ(64, write(fds[1], out, 64));
        CHECK_EQ(64, read(fds[0], in, 64));
        guest_pattern_check(in, 64, position);
    }
    guest_thread_join(&thread);
    CHECK_EQ(0, atomic_load(&off_stack));
    drop_stack();
    guest_close_both(fds);
    guest_close_both(inner);
}

static void jump_from_stack(int signo)
{
    (void)signo;
    if (!stands_on_it()) {
        atomic_fetch_add(&off_stack, 1);
    }
    siglongjmp(jump, 1);
}

static void *jump_thread(void *argument)
{
    const struct job *job = argument;
    char byte;
    use_stack(job->stack_flags);
    for (volatile int i = 0; i < 3; i++) {
        if (sigsetjmp(jump, 1) == 0) {
            (void)!read(job->fds[0], &byte, 1);
            CHECK(!"the blocked call returned");
        }
        if (job->stack_flags != 0) { /* SS_AUTODISARM: only the handler's return arms it again */
            use_stack(job->stack_flags);
        }
        CHECK_EQ(3, write(inner[1], "abc", 3));
        atomic_fetch_add(&runs, 1);
    }
    drop_stack();
    return NULL;
}

static void jumps_out_of_blocked(unsigned stack_flags)
{
    int fds[2];
    char buffer[16];
    struct guest_thread thread;
    guest_pipe(fds);
    guest_pipe(inner);
    struct job job = { .fds = fds, .stack_flags = stack_flags };
    atomic_store(&runs, 0);
    atomic_store(&off_stack, 0);
    guest_on_signal(SIGUSR1, jump_from_stack, SA_ONSTACK | SA_RESTART);
    guest_thread_start(&thread, jump_thread, &job);
    for (int i = 1; i <= 3; i++) {
        guest_thread_blocked(&thread);
        CHECK_ZERO(pthread_kill(thread.pthread, SIGUSR1));
        while (atomic_load(&runs) < i) {
            sched_yield();
        }
    }
    guest_thread_join(&thread);
    CHECK_EQ(0, atomic_load(&off_stack));
    CHECK_EQ(9, read(inner[0], buffer, sizeof buffer));
    CHECK_MEM("abcabcabc", buffer, 9);
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(1, read(fds[0], buffer, 1));
    guest_close_both(fds);
    guest_close_both(inner);
}

int main(void)
{
    guest_start();
    stack = malloc(STACK_SIZE);
    CHECK(stack != NULL);
    interrupts_blocked(SA_ONSTACK, 0);
    interrupts_blocked(SA_ONSTACK, SS_AUTODISARM);
    interrupts_blocked(0, 0);
    interrupts_running(0);
    interrupts_running(SS_AUTODISARM);
    jumps_out_of_blocked(0);
    jumps_out_of_blocked(SS_AUTODISARM);
    free(stack);
    return guest_end();
}
