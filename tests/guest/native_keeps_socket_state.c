/*
 * Proves: what a channel was before an option that only the kernel serves it is afterwards: the
 * pending error of a peer that closed with unread data, alone and behind unread bytes; bytes that
 * were charged before SO_SNDBUF became smaller.
 *
 * Rows: 3.6 "peer closed with unread data", 3.8 "SO_PASSCRED"
 */
#include "guest.h"

static int fds[2];

/* Nothing of the emulator's: from here on the kernel serves the pair. */
static void pass_credentials(int fd)
{
    const int on = 1;
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
}

static int pending_error(int fd)
{
    int error = -1;
    socklen_t size = sizeof error;
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size));
    return error;
}

static void reset_is_kept(int type, bool unread)
{
    char byte;
    guest_pair(type, fds);
    CHECK_EQ(1, write(fds[0], "x", 1));
    if (unread) {
        CHECK_EQ(1, write(fds[1], "y", 1));
    }
    CHECK_OK(close(fds[1]));
    pass_credentials(fds[0]);
    CHECK_EQ(POLLIN | POLLERR | POLLHUP | POLLRDHUP, guest_poll(fds[0], POLLIN | POLLRDHUP, 0));
    CHECK_EQ(ECONNRESET, pending_error(fds[0]));
    CHECK_EQ(0, pending_error(fds[0]));
    if (unread) {
        CHECK_EQ(1, read(fds[0], &byte, 1));
        CHECK_EQ('y', byte);
    }
    CHECK_EQ(0, read(fds[0], &byte, 1));
    CHECK_OK(close(fds[0]));
}

static void smaller_buffer(int type)
{
    static char data[16384], back[16384];
    const int small = 2500;
    int size = 0;
    socklen_t length = sizeof size;
    guest_pair(type, fds);
    memset(data, 'a', sizeof data);
    CHECK_EQ(sizeof data, write(fds[0], data, sizeof data));
    CHECK_OK(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small));
    pass_credentials(fds[1]);
    CHECK_OK(getsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, &length));
    CHECK_EQ(2 * small, size);
    CHECK_EQ(sizeof back, read(fds[1], back, sizeof back));
    CHECK(memcmp(data, back, sizeof data) == 0);
    guest_close_both(fds);
}

int main(void)
{
    static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
    guest_start();
    for (int i = 0; i < 2; i++) {
        reset_is_kept(types[i], false);
        reset_is_kept(types[i], true);
        smaller_buffer(types[i]);
    }
    return guest_end();
}
