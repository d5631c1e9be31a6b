/*
 * Proves: AF_UNIX's two thresholds: a writer that blocked on a full send buffer stays blocked until
 * the charge fell to a quarter, although a non-blocking write succeeds long before; the same number
 * of reads gives POLLOUT. A large write completes against a slow reader.
 *
 * Rows: 3.7 "Allowed to queue another chunk iff", 3.7 "POLLOUT and the wake-up of blocked writers",
 * 3.7 "Between the two marks", 3.6 "send buffer above the threshold"
 */
#include "guest.h"

enum { PACKET = 4096, BIG = 600000 };

static void *write_packet(void *argument)
{
    static char packet[PACKET];
    CHECK_EQ(PACKET, write(*(int *)argument, packet, PACKET));
    return NULL;
}

/* Reads until poll says writable; the count is the kernel's (34 of 44 on 6.18). */
static int reads_until_pollout(int type)
{
    int fds[2], count = 0;
    char buffer[PACKET];
    guest_pair(type, fds);
    int packets = guest_socket_fill(fds[0], PACKET);
    while ((guest_poll(fds[0], POLLOUT, 0) & POLLOUT) == 0) {
        CHECK_EQ(PACKET, read(fds[1], buffer, PACKET));
        count++;
    }
    CHECK(count > packets / 2);
    CHECK(count < packets);
    guest_close_both(fds);
    return count;
}

static void writer_wakes_with_pollout(int type)
{
    int fds[2], count = 0, expected = reads_until_pollout(type);
    char buffer[PACKET];
    struct guest_thread writer;
    guest_pair(type, fds);
    guest_socket_fill(fds[0], PACKET);
    guest_thread_start(&writer, write_packet, &fds[0]);
    while (guest_wait_settled(getpid(), atomic_load(&writer.tid), &writer.done)) {
        CHECK_EQ(PACKET, read(fds[1], buffer, PACKET));
        count++;
    }
    CHECK_EQ(expected, count);
    guest_thread_join(&writer);
    guest_close_both(fds);
}

static void new_write_passes_the_sleeper(int type)
{
    int fds[2], queued;
    char buffer[PACKET];
    struct guest_thread writer;
    guest_pair(type, fds);
    queued = guest_socket_fill(fds[0], PACKET);
    guest_thread_start(&writer, write_packet, &fds[0]);
    guest_thread_blocked(&writer);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(PACKET, read(fds[1], buffer, PACKET));
    }
    CHECK_EQ(0, guest_poll(fds[0], POLLOUT, 0));
    CHECK_EQ(PACKET, send(fds[0], buffer, PACKET, MSG_DONTWAIT));
    guest_thread_blocked(&writer);
    for (int i = 0; i < queued; i++) { /* queued - 2 + 1, and the sleeper's own */
        CHECK_EQ(PACKET, read(fds[1], buffer, PACKET));
    }
    guest_thread_join(&writer);
    CHECK_ERR(EAGAIN, recv(fds[1], buffer, PACKET, MSG_DONTWAIT));
    guest_close_both(fds);
}

static unsigned char big[BIG];

static void *write_big(void *argument)
{
    CHECK_EQ(BIG, write(*(int *)argument, big, BIG));
    return NULL;
}

static void big_write_slow_reader(void)
{
    int fds[2];
    static unsigned char buffer[9000];
    struct guest_thread writer;
    guest_pair(SOCK_STREAM, fds);
    guest_pattern_fill(big, BIG, 0);
    guest_thread_start(&writer, write_big, &fds[0]);
    guest_thread_blocked(&writer);
    for (size_t have = 0; have < BIG;) {
        ssize_t count = CHECK_OK(read(fds[1], buffer, sizeof buffer));
        guest_pattern_check(buffer, (size_t)count, have);
        have += (size_t)count;
    }
    guest_thread_join(&writer);
    guest_close_both(fds);
}

static void big_write_from_a_child(void)
{
    int fds[2];
    static unsigned char buffer[BIG];
    guest_pair(SOCK_STREAM, fds);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(fds[1]));
        CHECK_EQ(BIG, write(fds[0], big, BIG));
        _exit(0);
    }
    CHECK_OK(close(fds[0]));
    guest_process_blocked(pid);
    CHECK_EQ(BIG, guest_read_all(fds[1], buffer, BIG));
    guest_pattern_check(buffer, BIG, 0);
    CHECK_EQ(0, read(fds[1], buffer, 1));
    guest_wait_exit(pid, 0);
    CHECK_OK(close(fds[1]));
}

int main(void)
{
    guest_start();
    writer_wakes_with_pollout(SOCK_STREAM);
    writer_wakes_with_pollout(SOCK_SEQPACKET);
    new_write_passes_the_sleeper(SOCK_STREAM);
    new_write_passes_the_sleeper(SOCK_SEQPACKET);
    big_write_slow_reader();
    big_write_from_a_child();
    return guest_end();
}
