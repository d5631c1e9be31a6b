/*
 * 06 - a connection is reset because the server closes it with data unread
 *
 * The client ends its request with an empty line of its own write. The server answers as soon as it
 * has the first line, and closes: when the second write comes too late for the server's one read,
 * the client's read ends with ECONNRESET in place of the end. Fixed: the server reads to the empty
 * line.
 * Shows as: an error, by the order of things.
 */
#include "bug.h"

static bool has_empty_line(const char *text, size_t size)
{
    return size >= 2 && memcmp(text + size - 2, "\n\n", 2) == 0;
}

static void *serve(void *argument)
{
    int fd = *(int *)argument;
    char request[256];
    size_t size = 0;

    work_us(1500); /* accepts, starts a thread, logs ... */
    do {
        ssize_t count = read(fd, request + size, sizeof(request) - size);

        MUST(count > 0);
        size += (size_t)count;
    } while (!BUG && !has_empty_line(request, size));
    MUST(write_all(fd, "200\n", 4));
    work_us(100);
    close(fd);
    return NULL;
}

int main(void)
{
    pthread_t server;
    char answer[64];
    size_t size = 0;
    int pair[2];

    signal(SIGPIPE, SIG_IGN);
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    MUST(pthread_create(&server, NULL, serve, &pair[1]) == 0);
    MUST(write_all(pair[0], "GET /\n", 6));
    if (!write_all(pair[0], "\n", 1))
        bug_seen("the server is gone before the request is complete");
    for (;;) {
        ssize_t count = read(pair[0], answer + size, sizeof(answer) - size);

        if (count < 0)
            bug_seen("read: %m");
        if (count == 0)
            break;
        size += (size_t)count;
    }
    MUST(size == 4);
    MUST(pthread_join(server, NULL) == 0);
    return 0;
}
