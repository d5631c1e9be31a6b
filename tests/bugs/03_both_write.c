/*
 * 03 - two peers that both write all they have before they read
 *
 * Fixed: one of them writes and reads by turns, as poll says.
 * Shows as: deadlock; with small buffers always.
 */
#include "bug.h"

#define AMOUNT 60000 /* both fit into the kernel's buffers */

static void write_then_read(int fd)
{
    static char data[AMOUNT];

    MUST(write_all(fd, data, sizeof(data)));
    if (read_all(fd, data, sizeof(data)) != sizeof(data))
        bug_seen("data is missing");
}

static void by_turns(int fd)
{
    static char data[AMOUNT];
    size_t sent = 0;
    size_t received = 0;

    MUST(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    while (sent < AMOUNT || received < AMOUNT) {
        short events = (short)((received < AMOUNT ? POLLIN : 0) | (sent < AMOUNT ? POLLOUT : 0));
        struct pollfd ready = { fd, events, 0 };
        ssize_t count;

        MUST(poll(&ready, 1, -1) == 1);
        count = sent < AMOUNT ? write(fd, data, AMOUNT - sent) : 0;
        sent += count > 0 ? (size_t)count : 0;
        count = received < AMOUNT ? read(fd, data, AMOUNT - received) : 0;
        received += count > 0 ? (size_t)count : 0;
    }
}

int main(void)
{
    int pair[2];
    pid_t child;

    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    child = fork();
    MUST(child >= 0);
    if (child == 0) {
        close(pair[0]);
        write_then_read(pair[1]);
        _exit(0);
    }
    close(pair[1]);
    if (BUG)
        write_then_read(pair[0]);
    else
        by_turns(pair[0]);
    child_must_succeed(child);
    return 0;
}
