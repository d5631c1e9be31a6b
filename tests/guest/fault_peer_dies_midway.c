/*
 * Proves: a peer that dies after any number of bytes: they arrive, and nothing more; then comes
 * end-of-file, or ECONNRESET before it when the peer left something unread; a sender gets the count
 * of what went before, then EPIPE and SIGPIPE. Closing, exit and SIGKILL are the same.
 */
#include "guest.h"

enum how { CLOSES, IS_KILLED, HOWS };
enum { SIZE = 200000, LEFT = 30001 };

static char data[SIZE], received[SIZE];

/* The peer sends so many bytes and dies; with `unread`, it leaves a byte of ours. */
static void dies_while_sending(int count, int buffer, bool unread, enum how how)
{
    int fds[2], status;

    guest_pair(SOCK_STREAM, fds);
    CHECK_OK(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer));
    if (unread) {
        CHECK_EQ(1, write(fds[0], "u", 1));
    }
    pid_t peer = guest_fork();
    if (peer == 0) {
        close(fds[0]);
        guest_write_all(fds[1], data, (size_t)count);
        how == CLOSES ? _exit(0) : raise(SIGKILL);
    }
    CHECK_OK(close(fds[1]));
    CHECK_EQ(count, recv(fds[0], received, (size_t)count, MSG_WAITALL));
    CHECK_MEM(data, received, (size_t)count);
    status = guest_wait(peer);
    CHECK(how == CLOSES ? WIFEXITED(status) : WIFSIGNALED(status));
    if (unread) {
        CHECK_ERR(ECONNRESET, read(fds[0], received, 1));
    }
    CHECK_EQ(0, read(fds[0], received, 1));
    CHECK_ERR(EPIPE, send(fds[0], data, 1, MSG_NOSIGNAL));
    CHECK_OK(close(fds[0]));
}

/* The peer reads so many bytes of a blocked send and dies. */
static void dies_while_receiving(enum how how)
{
    int fds[2];

    guest_count_signal(SIGPIPE, 0);
    guest_pair(SOCK_STREAM, fds);
    pid_t peer = guest_fork();
    if (peer == 0) {
        close(fds[0]);
        guest_read_all(fds[1], received, LEFT);
        how == CLOSES ? _exit(0) : raise(SIGKILL);
    }
    CHECK_OK(close(fds[1]));
    ssize_t went = 0, count;
    do {
        count = write(fds[0], data, SIZE);
        went += count > 0 ? count : 0;
    } while (count == SIZE);
    CHECK(went >= LEFT);
    for (int i = 0; i < 2 && (count > 0 || errno == ECONNRESET); i++) {
        count = write(fds[0], data, 1); /* a reset is told once */
    }
    CHECK_EQ(-1, count);
    CHECK_EQ(EPIPE, errno);
    CHECK(atomic_load(&guest_signal_count[SIGPIPE]) > 0);
    guest_wait(peer);
    CHECK_OK(close(fds[0]));
    guest_on_signal(SIGPIPE, SIG_DFL, 0);
}

int main(void)
{
    guest_start();
    guest_pattern_fill(data, SIZE, 0);
    for (int how = 0; how < HOWS; how++) {
        for (int buffer = 1; buffer <= 100001; buffer += 100000) {
            dies_while_sending(1, buffer, false, how);
            dies_while_sending(50000, buffer, false, how);
            dies_while_sending(50000, buffer, true, how);
        }
        dies_while_receiving(how);
    }
    return guest_end();
}
