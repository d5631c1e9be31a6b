/*
 * Proves: closing an fd in one thread doesn't wake another that is blocked in a read or write on
 * it; the blocked call goes on with its pipe, even if the number is taken by another file.
 *
 * Rows: 3.5 "Closing an fd while another thread is blocked in read() on it does not wake that
 * thread" (pipes), 2.2 "no reader: EPIPE+SIG"
 */
#include "guest.h"

static void *read_late(void *argument)
{
    char buffer[8];
    CHECK_EQ(4, read(*(int *)argument, buffer, sizeof buffer));
    CHECK_MEM("late", buffer, 4);
    return NULL;
}

static void reader_keeps_its_pipe(bool number_reused)
{
    int fds[2], other[2] = { -1, -1 };
    struct guest_thread reader;
    guest_pipe(fds);
    guest_thread_start(&reader, read_late, &fds[0]);
    guest_thread_blocked(&reader);
    CHECK_OK(close(fds[0]));
    if (number_reused) {
        guest_pipe(other);
        CHECK_EQ(fds[0], other[0]);
        CHECK_EQ(5, write(other[1], "other", 5));
    }
    guest_thread_blocked(&reader);
    CHECK_EQ(4, write(fds[1], "late", 4)); /* the blocked read is still a reader */
    guest_thread_join(&reader);
    CHECK_ERR(EPIPE, write(fds[1], "x", 1));
    CHECK_OK(close(fds[1]));
    if (number_reused) {
        guest_close_both(other);
    }
}

static void reader_sees_end_of_file(void)
{
    int fds[2];
    struct guest_thread reader;
    char byte;
    guest_pipe(fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(fds[0]));
        guest_process_blocked(getppid());
        CHECK_EQ(4, write(fds[1], "late", 4));
        _exit(0);
    }
    CHECK_OK(close(fds[1]));
    guest_thread_start(&reader, read_late, &fds[0]);
    guest_thread_join(&reader);
    CHECK_EQ(0, read(fds[0], &byte, 1));
    guest_wait_exit(pid, 0);
    CHECK_OK(close(fds[0]));
}

static void *write_big(void *argument)
{
    static char big[100000];
    CHECK_EQ(sizeof big, write(*(int *)argument, big, sizeof big));
    return NULL;
}

static void writer_keeps_its_pipe(void)
{
    int fds[2];
    static char buffer[100000];
    struct guest_thread writer;
    guest_pipe(fds);
    guest_thread_start(&writer, write_big, &fds[1]);
    guest_thread_blocked(&writer);
    CHECK_OK(close(fds[1]));
    guest_thread_blocked(&writer);
    CHECK_EQ(sizeof buffer, guest_read_all(fds[0], buffer, sizeof buffer));
    guest_thread_join(&writer);
    CHECK_EQ(0, read(fds[0], buffer, 1));
    CHECK_OK(close(fds[0]));
}

int main(void)
{
    guest_start();
    guest_on_signal(SIGPIPE, SIG_IGN, 0);
    reader_keeps_its_pipe(false);
    reader_keeps_its_pipe(true);
    reader_sees_end_of_file();
    writer_keeps_its_pipe();
    return guest_end();
}
