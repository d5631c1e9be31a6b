/*
 * 15 - one recv of a stream is taken for one message
 *
 * Messages of 3,000 bytes, each sent by one call and answered before the next, come in one piece
 * while the socket has its usual buffer. Fixed: read until the message is complete.
 * Shows as: a message that is cut, when data arrives in pieces.
 */
#include "bug.h"

#define MESSAGES 20
#define SIZE     3000

static void serve(int fd)
{
    char message[SIZE];

    for (int i = 0; i < MESSAGES; i++) {
        size_t count;

        if (BUG) {
            ssize_t came = recv(fd, message, sizeof(message), 0);

            MUST(came > 0);
            count = (size_t)came;
        } else {
            count = read_all(fd, message, sizeof(message));
        }
        if (count != SIZE || message[0] != 'a' + i || message[SIZE - 1] != 'a' + i)
            bug_seen("message %d: %zu of %d bytes", i, count, SIZE);
        MUST(write_all(fd, "k", 1));
    }
    exit(0);
}

int main(void)
{
    char message[SIZE];
    int pair[2];
    pid_t child;
    char answer;

    signal(SIGPIPE, SIG_IGN); /* the server says what was wrong */
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    child = fork();
    MUST(child >= 0);
    if (child == 0) {
        close(pair[0]);
        serve(pair[1]);
    }
    close(pair[1]);
    for (int i = 0; i < MESSAGES; i++) {
        memset(message, 'a' + i, sizeof(message));
        if (!write_all(pair[0], message, sizeof(message)) || read_all(pair[0], &answer, 1) != 1)
            break;
    }
    child_must_succeed(child);
    return 0;
}
