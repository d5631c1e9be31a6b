/*
 * 08 - an edge-triggered descriptor isn't drained
 *
 * One recv for each event, and a record for each recv: as long as the reader is quicker than the
 * sender there is one record at a time. When two wait, the second is never told. Fixed: recv until
 * EAGAIN.
 * Shows as: a hang, when the reader is late.
 */
#include "bug.h"

#include <sys/epoll.h>

#define RECORDS 10

static void send_records(int fd)
{
    char answer;

    for (char i = 0; i < RECORDS; i++) {
        MUST(send(fd, &i, 1, 0) == 1);
        work_us(4000); /* makes the next one */
    }
    MUST(read(fd, &answer, 1) == 1); /* the receiver has them all */
    _exit(0);
}

int main(void)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLET };
    int received = 0;
    int pair[2];
    int set;
    pid_t child;

    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
    child = fork();
    MUST(child >= 0);
    if (child == 0) {
        close(pair[0]);
        send_records(pair[1]);
    }
    close(pair[1]);
    MUST(fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0);
    set = epoll_create1(0);
    MUST(set >= 0 && epoll_ctl(set, EPOLL_CTL_ADD, pair[0], &event) == 0);
    while (received < RECORDS) {
        struct epoll_event ready;
        ssize_t count;
        char record;

        if (epoll_wait(set, &ready, 1, -1) < 0)
            continue;
        do {
            count = recv(pair[0], &record, 1, 0);
            received += count == 1;
        } while (!BUG && count == 1);
    }
    MUST(write_all(pair[0], "", 1));
    child_must_succeed(child);
    return 0;
}
