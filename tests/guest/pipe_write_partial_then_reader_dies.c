/*
 * Proves: a blocked write whose last reader goes away returns the count written so far and raises
 * SIGPIPE all the same; EPIPE and SIGPIPE if nothing was written yet.
 *
 * Rows: 2.2 "or by loss of readers (returns the partial count and raises SIGPIPE; EPIPE+SIG if
 * nothing)"
 */
#include "guest.h"

enum { BIG = 100000 };

static char big[BIG];

static void *write_big_partial(void *argument)
{
    CHECK_EQ(65536, write(*(int *)argument, big, BIG));
    CHECK_EQ(guest_gettid(), atomic_load(&guest_signal_tid[SIGPIPE]));
    return NULL;
}

static void *write_big_epipe(void *argument)
{
    CHECK_ERR(EPIPE, write(*(int *)argument, big, BIG));
    CHECK_EQ(guest_gettid(), atomic_load(&guest_signal_tid[SIGPIPE]));
    return NULL;
}

static void last_reader_closes(bool full_before)
{
    int fds[2];
    struct guest_thread writer;
    guest_count_signal(SIGPIPE, 0);
    guest_pipe(fds);
    if (full_before) {
        guest_pipe_fill(fds[1]);
    }
    guest_thread_start(&writer, full_before ? write_big_epipe : write_big_partial, &fds[1]);
    guest_thread_blocked(&writer);
    CHECK_OK(close(fds[0]));
    guest_thread_join(&writer);
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGPIPE]));
    CHECK_OK(close(fds[1]));
}

static void reader_process_exits_after_some(void)
{
    int fds[2], gate[2];
    char byte;
    static char buffer[8192];
    guest_count_signal(SIGPIPE, 0);
    guest_pipe(fds);
    guest_pipe(gate);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(fds[1]));
        CHECK_EQ(1, read(gate[0], &byte, 1));
        guest_process_blocked(getppid());
        CHECK_EQ(8192, guest_read_all(fds[0], buffer, 8192));
        guest_process_blocked(getppid());
        _exit(0);
    }
    CHECK_OK(close(fds[0]));
    CHECK_EQ(1, write(gate[1], "g", 1));
    CHECK_EQ(65536 + 8192, write(fds[1], big, BIG));
    CHECK_EQ(1, atomic_load(&guest_signal_count[SIGPIPE]));
    guest_wait_exit(pid, 0);
    CHECK_ERR(EPIPE, write(fds[1], big, 1));
    CHECK_EQ(2, atomic_load(&guest_signal_count[SIGPIPE]));
    CHECK_OK(close(fds[1]));
    guest_close_both(gate);
}

int main(void)
{
    guest_start();
    last_reader_closes(false);
    last_reader_closes(true);
    reader_process_exits_after_some();
    return guest_end();
}
