/*
 * 16 - the partial success of sendmmsg is ignored
 *
 * It answers how many messages were sent; whoever looks for -1 alone loses the others. Fixed: go on
 * behind those that were sent.
 * Shows as: messages that are missing; with a small socket buffer always.
 */
#include "bug.h"

#define MESSAGES 24
#define SIZE     1000

static char bodies[MESSAGES][SIZE];

static void send_messages(int fd)
{
    struct mmsghdr messages[MESSAGES] = { 0 };
    struct iovec parts[MESSAGES];
    int sent = 0;

    for (int i = 0; i < MESSAGES; i++) {
        parts[i] = (struct iovec){ bodies[i], SIZE };
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    while (sent < MESSAGES) {
        struct pollfd room = { fd, POLLOUT, 0 };
        int count = sendmmsg(fd, messages + sent, (unsigned)(MESSAGES - sent), MSG_DONTWAIT);

        if (count < 0) {
            MUST(errno == EAGAIN);
            MUST(poll(&room, 1, -1) == 1);
            continue;
        }
        if (BUG)
            break;
        sent += count;
    }
    close(fd);
}

int main(void)
{
    static char body[SIZE];
    int received = 0;
    int pair[2];
    pid_t child;

    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
    child = fork();
    MUST(child >= 0);
    if (child == 0) {
        close(pair[0]);
        send_messages(pair[1]);
        _exit(0);
    }
    close(pair[1]);
    while (recv(pair[0], body, sizeof(body), 0) == SIZE)
        received++;
    if (received != MESSAGES)
        bug_seen("%d of %d messages came", received, MESSAGES);
    child_must_succeed(child);
    return 0;
}
