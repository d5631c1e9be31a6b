/*
 * Proves: the bits poll and select report for every state of a connected AF_UNIX socket, stream and
 * SEQPACKET, and for one that was never connected.
 *
 * Rows: 3.6 (all but "listening"), 6.2 "readable = IN|RDBAND|HUP|ERR"
 */
#include "guest.h"

#define ALL  (POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLWRBAND | POLLPRI | POLLRDHUP)
#define IN   (POLLIN | POLLRDNORM)
#define OUT  (POLLOUT | POLLWRNORM | POLLWRBAND)
#define RW   (GUEST_READABLE | GUEST_WRITABLE)
#define GONE (IN | POLLRDHUP | POLLHUP | OUT)

#define EXPECT(fd, poll_bits, select_bits)                                 \
    do {                                                                   \
        CHECK_EQ(poll_bits, guest_poll(fd, ALL, 0));                       \
        CHECK_EQ((poll_bits) & (POLLIN | POLLOUT | POLLHUP | POLLERR),     \
                 guest_poll(fd, POLLIN | POLLOUT, 0));                     \
        CHECK_EQ((poll_bits) & (POLLHUP | POLLERR), guest_poll(fd, 0, 0)); \
        CHECK_EQ(select_bits, guest_select(fd));                           \
    } while (0)

static void unconnected(int type)
{
    int fd = (int)CHECK_OK(socket(AF_UNIX, type, 0));
    EXPECT(fd, OUT | POLLHUP, RW);
    CHECK_OK(close(fd));
}

static void idle_data_and_full(int type)
{
    int fds[2];
    char buffer[4096];
    guest_pair(type, fds);
    EXPECT(fds[0], OUT, GUEST_WRITABLE);
    CHECK_EQ(2, write(fds[1], "xy", 2));
    EXPECT(fds[0], IN | OUT, RW);
    EXPECT(fds[1], OUT, GUEST_WRITABLE);
    CHECK_EQ(2, read(fds[0], buffer, sizeof buffer));
    EXPECT(fds[0], OUT, GUEST_WRITABLE);
    guest_socket_fill(fds[0], 4096);
    EXPECT(fds[0], 0, 0);
    EXPECT(fds[1], IN | OUT, RW);
    CHECK_EQ(4096, read(fds[1], buffer, 4096));
    EXPECT(fds[0], 0, 0); /* a write would succeed: below the mark, above a quarter */
    while (recv(fds[1], buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
    }
    EXPECT(fds[0], OUT, GUEST_WRITABLE);
    guest_close_both(fds);
}

static void peer_shuts_down(int type, bool with_data)
{
    int fds[2];
    char buffer[8];
    guest_pair(type, fds);
    if (with_data) {
        CHECK_EQ(1, write(fds[1], "x", 1));
    }
    CHECK_OK(shutdown(fds[1], SHUT_WR));
    EXPECT(fds[0], IN | POLLRDHUP | OUT, RW);
    EXPECT(fds[1], OUT, GUEST_WRITABLE);
    CHECK_EQ(with_data, read(fds[0], buffer, sizeof buffer));
    EXPECT(fds[0], IN | POLLRDHUP | OUT, RW);
    CHECK_OK(shutdown(fds[1], SHUT_RD));
    EXPECT(fds[0], GONE, RW);
    EXPECT(fds[1], GONE, RW);
    guest_close_both(fds);
}

static void half_shut(int type)
{
    int fds[2];
    guest_pair(type, fds);
    CHECK_OK(shutdown(fds[1], SHUT_RD));
    EXPECT(fds[0], OUT, GUEST_WRITABLE); /* though a write would fail */
    EXPECT(fds[1], IN | POLLRDHUP | OUT, RW);
    guest_close_both(fds);
    guest_pair(type, fds);
    CHECK_OK(shutdown(fds[0], SHUT_WR));
    EXPECT(fds[0], OUT, GUEST_WRITABLE);
    guest_close_both(fds);
    guest_pair(type, fds);
    CHECK_OK(shutdown(fds[0], SHUT_RDWR));
    EXPECT(fds[0], GONE, RW);
    EXPECT(fds[1], GONE, RW);
    guest_close_both(fds);
}

static void peer_closed(int type)
{
    int fds[2];
    char buffer[8];
    guest_pair(type, fds);
    CHECK_OK(close(fds[1]));
    EXPECT(fds[0], GONE, RW);
    CHECK_OK(close(fds[0]));
    guest_pair(type, fds);
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_OK(close(fds[1]));
    EXPECT(fds[0], GONE, RW);
    CHECK_EQ(1, read(fds[0], buffer, 8));
    EXPECT(fds[0], GONE, RW);
    CHECK_OK(close(fds[0]));
    guest_pair(type, fds);
    CHECK_EQ(1, write(fds[0], "unread", 1));
    CHECK_OK(close(fds[1]));
    EXPECT(fds[0], GONE | POLLERR, RW);
    CHECK_ERR(ECONNRESET, read(fds[0], buffer, 8));
    EXPECT(fds[0], GONE, RW);
    CHECK_OK(close(fds[0]));
}

static void urgent_byte_pending(void)
{
    int fds[2];
    char byte;
    guest_pair(SOCK_STREAM, fds);
    CHECK_EQ(1, send(fds[1], "!", 1, MSG_OOB));
    EXPECT(fds[0], IN | POLLPRI | OUT, RW | GUEST_EXCEPTION);
    CHECK_EQ(1, recv(fds[0], &byte, 1, MSG_OOB));
    CHECK_EQ(0, guest_poll(fds[0], POLLPRI, 0));
    guest_close_both(fds);
}

int main(void)
{
    static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
    guest_start();
    for (int i = 0; i < 2; i++) {
        unconnected(types[i]);
        idle_data_and_full(types[i]);
        peer_shuts_down(types[i], false);
        peer_shuts_down(types[i], true);
        half_shut(types[i]);
        peer_closed(types[i]);
    }
    urgent_byte_pending();
    return guest_end();
}
