/*
 * Proves: shutdown wakes a task that is blocked in read or recv: own SHUT_RD and SHUT_RDWR, the
 * peer's SHUT_WR, from a thread, through a dup, and from another process; close doesn't.
 *
 * Rows: 3.5 "we SHUT_WR", 3.5 "we SHUT_RD", 3.5 "shutdown() does", 3.5 "Closing an fd while another
 * thread is blocked in read()", 3.4 "empty, peer closed / peer SHUT_WR / own SHUT_RD"
 */
#include "guest.h"

static void *read_end_of_file(void *argument)
{
    char byte;
    CHECK_EQ(0, read(*(int *)argument, &byte, 1));
    CHECK_EQ(0, recv(*(int *)argument, &byte, 1, 0));
    return NULL;
}

static void woken_by(int type, int end, int how)
{
    int fds[2];
    struct guest_thread reader;
    guest_pair(type, fds);
    int copy = (int)CHECK_OK(dup(fds[end]));
    guest_thread_start(&reader, read_end_of_file, &fds[0]);
    guest_thread_blocked(&reader);
    CHECK_OK(shutdown(copy, how));
    guest_thread_join(&reader);
    CHECK_OK(close(copy));
    guest_close_both(fds);
}

static void not_woken_by_the_other_direction(int type)
{
    int fds[2];
    struct guest_thread reader;
    guest_pair(type, fds);
    guest_thread_start(&reader, read_end_of_file, &fds[0]);
    guest_thread_blocked(&reader);
    CHECK_OK(shutdown(fds[0], SHUT_WR));
    CHECK_OK(shutdown(fds[1], SHUT_RD));
    guest_thread_blocked(&reader);
    CHECK_OK(shutdown(fds[1], SHUT_WR));
    guest_thread_join(&reader);
    guest_close_both(fds);
}

static void woken_by_a_child(int type)
{
    int fds[2];
    char byte;
    guest_pair(type, fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_process_blocked(getppid());
        CHECK_OK(shutdown(fds[1], SHUT_WR));
        _exit(0);
    }
    CHECK_EQ(0, read(fds[0], &byte, 1));
    guest_wait_exit(pid, 0);
    CHECK_EQ(1, write(fds[0], "x", 1)); /* half-closed: the other way is open */
    CHECK_EQ(1, read(fds[1], &byte, 1));
    CHECK_ERR(EPIPE, send(fds[1], "x", 1, MSG_NOSIGNAL));
    guest_close_both(fds);
}

static void *read_late(void *argument)
{
    char buffer[8];
    CHECK_EQ(4, read(*(int *)argument, buffer, sizeof buffer));
    return NULL;
}

static void close_does_not_wake(int type)
{
    int fds[2];
    struct guest_thread reader;
    guest_pair(type, fds);
    guest_thread_start(&reader, read_late, &fds[0]);
    guest_thread_blocked(&reader);
    CHECK_OK(close(fds[0]));
    guest_thread_blocked(&reader);
    CHECK_EQ(4, write(fds[1], "late", 4)); /* the blocked call keeps the socket alive */
    guest_thread_join(&reader);
    CHECK_ERR(EPIPE, send(fds[1], "x", 1, MSG_NOSIGNAL));
    CHECK_OK(close(fds[1]));
}

int main(void)
{
    static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
    guest_start();
    for (int i = 0; i < 2; i++) {
        woken_by(types[i], 0, SHUT_RD);
        woken_by(types[i], 0, SHUT_RDWR);
        woken_by(types[i], 1, SHUT_WR);
        woken_by(types[i], 1, SHUT_RDWR);
        not_woken_by_the_other_direction(types[i]);
        woken_by_a_child(types[i]);
        close_does_not_wake(types[i]);
    }
    return guest_end();
}
