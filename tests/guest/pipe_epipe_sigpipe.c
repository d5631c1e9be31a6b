/*
 * Proves: writing to a pipe without readers gives EPIPE and SIGPIPE in the calling thread; the
 * default action kills; ignored or blocked, EPIPE alone is seen; a write of nothing is harmless.
 *
 * Rows: 2.2 "no reader: EPIPE+SIG", 2.2 "n==0 returns 0 even with no reader"
 */
#include "guest.h"

static void default_action_kills(void)
{
    int fds[2];
    guest_pipe(fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(fds[0]));
        CHECK_EQ(1, write(fds[1], "x", 1)); /* the parent still reads */
        raise(SIGSTOP);
        (void)!write(fds[1], "x", 1);
        _exit(0);
    }
    int status = 0;
    CHECK_EQ(pid, waitpid(pid, &status, WUNTRACED));
    CHECK(WIFSTOPPED(status));
    CHECK_OK(close(fds[0]));
    CHECK_OK(kill(pid, SIGCONT));
    guest_wait_killed(pid, SIGPIPE);
    CHECK_OK(close(fds[1]));
}

static void ignored_gives_epipe(void)
{
    int fds[2];
    struct iovec vector = { .iov_base = "xyz", .iov_len = 3 };
    guest_on_signal(SIGPIPE, SIG_IGN, 0);
    guest_pipe(fds);
    CHECK_EQ(1, write(fds[1], "x", 1)); /* data that nobody will read is no excuse */
    CHECK_OK(close(fds[0]));
    CHECK_ERR(EPIPE, write(fds[1], "x", 1));
    CHECK_ERR(EPIPE, write(fds[1], "x", 1));
    CHECK_ERR(EPIPE, writev(fds[1], &vector, 1));
    CHECK_EQ(0, write(fds[1], "x", 0));
    CHECK_OK(close(fds[1]));
}

static void *write_one(void *argument)
{
    CHECK_ERR(EPIPE, write(*(int *)argument, "x", 1));
    CHECK_EQ(guest_gettid(), atomic_load(&guest_signal_tid[SIGPIPE]));
    return NULL;
}

static void handler_runs_in_the_writing_thread(void)
{
    int fds[2];
    struct guest_thread thread;
    guest_count_signal(SIGPIPE, 0);
    guest_pipe(fds);
    CHECK_OK(close(fds[0]));
    CHECK_EQ(0, write(fds[1], "x", 0));
    CHECK_EQ(0, atomic_load(&guest_signal_count[SIGPIPE]));
    guest_thread_start(&thread, write_one, &fds[1]);
    guest_thread_join(&thread);
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGPIPE]));
    write_one(&fds[1]);
    CHECK_EQ(2, atomic_load(&guest_signal_count[SIGPIPE]));
    CHECK_OK(close(fds[1]));
}

static void blocked_stays_pending(void)
{
    int fds[2];
    sigset_t set, pending;
    const struct timespec now = { 0, 0 };
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    CHECK_ZERO(pthread_sigmask(SIG_BLOCK, &set, NULL));
    guest_pipe(fds);
    CHECK_OK(close(fds[0]));
    CHECK_ERR(EPIPE, write(fds[1], "x", 1));
    CHECK_OK(sigpending(&pending));
    CHECK_EQ(1, sigismember(&pending, SIGPIPE));
    CHECK_EQ(SIGPIPE, sigtimedwait(&set, NULL, &now));
    CHECK_ZERO(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
    CHECK_EQ(2, atomic_load(&guest_signal_count[SIGPIPE]));
    CHECK_OK(close(fds[1]));
}

static void reader_exits_in_another_process(void)
{
    int fds[2];
    char byte;
    guest_on_signal(SIGPIPE, SIG_IGN, 0);
    guest_pipe(fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(1, read(fds[0], &byte, 1));
        _exit(0);
    }
    CHECK_OK(close(fds[0]));
    CHECK_EQ(1, write(fds[1], "x", 1));
    guest_wait_exit(pid, 0);
    CHECK_ERR(EPIPE, write(fds[1], "x", 1));
    CHECK_OK(close(fds[1]));
}

int main(void)
{
    guest_start();
    default_action_kills();
    ignored_gives_epipe();
    handler_runs_in_the_writing_thread();
    blocked_stays_pending();
    reader_exits_in_another_process();
    return guest_end();
}
