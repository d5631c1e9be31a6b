/*
 * Proves: with SA_RESTART the handler runs while the reader of a pipe is blocked and the read goes
 * on; ignored signals, and ones whose default is to be ignored, don't disturb it; the handler has
 * run before the data comes.
 *
 * Rows: 5.5 "pipe read/write" column "SA_RESTART"
 */
#include "guest.h"

static void *read_three(void *argument)
{
    char buffer[8];
    CHECK_EQ(3, read(*(int *)argument, buffer, sizeof buffer));
    CHECK_MEM("abc", buffer, 3);
    return NULL;
}

static void handler_runs_read_goes_on(void)
{
    int fds[2];
    struct guest_thread reader;
    guest_pipe(fds);
    guest_count_signal(SIGUSR1, SA_RESTART);
    guest_thread_start(&reader, read_three, &fds[0]);
    for (int i = 1; i <= 5; i++) {
        guest_thread_blocked(&reader);
        CHECK_ZERO(pthread_kill(reader.pthread, SIGUSR1));
        while (atomic_load(&guest_signal_count[SIGUSR1]) < i) { /* runs with no data around */
            sched_yield();
        }
        CHECK_EQ(atomic_load(&reader.tid), atomic_load(&guest_signal_tid[SIGUSR1]));
    }
    guest_thread_blocked(&reader);
    CHECK_EQ(3, write(fds[1], "abc", 3));
    guest_thread_join(&reader);
    guest_close_both(fds);
}

static void ignored_signals_are_not_seen(void)
{
    int fds[2];
    struct guest_thread reader;
    guest_pipe(fds);
    guest_on_signal(SIGUSR2, SIG_IGN, 0);
    guest_thread_start(&reader, read_three, &fds[0]);
    guest_thread_blocked(&reader);
    CHECK_ZERO(pthread_kill(reader.pthread, SIGUSR2));
    CHECK_ZERO(pthread_kill(reader.pthread, SIGWINCH));
    CHECK_ZERO(pthread_kill(reader.pthread, SIGCHLD));
    guest_thread_blocked(&reader);
    CHECK_EQ(3, write(fds[1], "abc", 3));
    guest_thread_join(&reader);
    guest_close_both(fds);
}

static void stop_and_continue_are_not_seen(void)
{
    int fds[2], status;
    char byte;
    guest_pipe(fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(1, read(fds[0], &byte, 1));
        _exit(0);
    }
    guest_process_blocked(pid);
    CHECK_OK(kill(pid, SIGSTOP));
    CHECK_EQ(pid, waitpid(pid, &status, WUNTRACED));
    CHECK(WIFSTOPPED(status));
    CHECK_OK(kill(pid, SIGCONT));
    CHECK_EQ(pid, waitpid(pid, &status, WCONTINUED));
    guest_process_blocked(pid);
    CHECK_EQ(1, write(fds[1], "x", 1));
    guest_wait_exit(pid, 0);
    guest_close_both(fds);
}

int main(void)
{
    guest_start();
    handler_runs_read_goes_on();
    ignored_signals_are_not_seen();
    stop_and_continue_are_not_seen();
    return guest_end();
}
