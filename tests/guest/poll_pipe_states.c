/*
 * Proves: the bits poll and select report for every state of a pipe's two ends; unasked HUP and ERR
 * are reported, other bits are masked.
 *
 * Rows: 2.6 (all), 6.1, 6.2 "readable = IN|RDBAND|HUP|ERR", 2.2 "POLLOUT"
 */
#include "guest.h"

#define ALL (POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLWRBAND | POLLPRI | POLLRDHUP)
#define IN  (POLLIN | POLLRDNORM)
#define OUT (POLLOUT | POLLWRNORM)

#define EXPECT(fd, poll_bits, select_bits)                                 \
    do {                                                                   \
        CHECK_EQ(poll_bits, guest_poll(fd, ALL, 0));                       \
        CHECK_EQ((poll_bits) & (POLLIN | POLLOUT | POLLHUP | POLLERR),     \
                 guest_poll(fd, POLLIN | POLLOUT, 0));                     \
        CHECK_EQ((poll_bits) & (POLLHUP | POLLERR), guest_poll(fd, 0, 0)); \
        CHECK_EQ(select_bits, guest_select(fd));                           \
    } while (0)

static void both_ends_open(void)
{
    int fds[2];
    static char buffer[GUEST_PIPE_SIZE];
    guest_pipe(fds);
    EXPECT(fds[0], 0, 0);
    EXPECT(fds[1], OUT, GUEST_WRITABLE);
    CHECK_EQ(1, write(fds[1], "x", 1));
    EXPECT(fds[0], IN, GUEST_READABLE);
    EXPECT(fds[1], OUT, GUEST_WRITABLE);
    CHECK_EQ(1, read(fds[0], buffer, 1));
    EXPECT(fds[0], 0, 0);
    guest_pipe_fill(fds[1]);
    EXPECT(fds[0], IN, GUEST_READABLE);
    EXPECT(fds[1], 0, 0);
    CHECK_EQ(4095, read(fds[0], buffer, 4095));
    EXPECT(fds[1], 0, 0); /* a partly read slot isn't free */
    CHECK_EQ(1, read(fds[0], buffer, 1));
    EXPECT(fds[1], OUT, GUEST_WRITABLE);
    guest_close_both(fds);
}

/* All slots in use, the last one short: a small write would still succeed. */
static void no_slot_but_room_to_merge(void)
{
    int fds[2];
    static char buffer[GUEST_PIPE_SIZE];
    CHECK_OK(pipe2(fds, O_NONBLOCK));
    CHECK_EQ(15 * 4096 + 100, write(fds[1], buffer, 15 * 4096 + 100));
    EXPECT(fds[1], 0, 0);
    CHECK_EQ(3996, write(fds[1], buffer, 3996));
    CHECK_ERR(EAGAIN, write(fds[1], buffer, 1));
    guest_close_both(fds);
}

static void writers_closed(void)
{
    int fds[2];
    char byte;
    guest_pipe(fds);
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_OK(close(fds[1]));
    EXPECT(fds[0], IN | POLLHUP, GUEST_READABLE);
    CHECK_EQ(1, read(fds[0], &byte, 1));
    EXPECT(fds[0], POLLHUP, GUEST_READABLE);
    CHECK_EQ(0, read(fds[0], &byte, 1));
    EXPECT(fds[0], POLLHUP, GUEST_READABLE);
    CHECK_OK(close(fds[0]));
}

static void readers_closed(void)
{
    int fds[2];
    guest_pipe(fds);
    CHECK_OK(close(fds[0]));
    EXPECT(fds[1], OUT | POLLERR, GUEST_READABLE | GUEST_WRITABLE);
    CHECK_OK(close(fds[1]));
    guest_pipe(fds);
    guest_pipe_fill(fds[1]);
    CHECK_OK(close(fds[0]));
    EXPECT(fds[1], POLLERR, GUEST_READABLE | GUEST_WRITABLE);
    CHECK_OK(close(fds[1]));
}

static void another_process_closes(void)
{
    int fds[2], gate[2];
    char byte;
    guest_pipe(fds);
    guest_pipe(gate);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(gate[1]));
        CHECK_EQ(0, read(gate[0], &byte, 1));
        _exit(0);
    }
    CHECK_OK(close(fds[1]));
    EXPECT(fds[0], 0, 0);
    CHECK_OK(close(gate[1]));
    guest_wait_exit(pid, 0);
    EXPECT(fds[0], POLLHUP, GUEST_READABLE);
    CHECK_OK(close(fds[0]));
    CHECK_OK(close(gate[0]));
}

int main(void)
{
    guest_start();
    both_ends_open();
    no_slot_but_room_to_merge();
    writers_closed();
    readers_closed();
    another_process_closes();
    return guest_end();
}
