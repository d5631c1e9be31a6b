/*
 * 13 - a half-close is taken for a full one
 *
 * A relay between a client and a server. The client says by shutdown(SHUT_WR) that its request is
 * complete; the relay sees an end and tears both connections down: the answer is lost. Fixed: the
 * relay hands the half-close on.
 * Shows as: data that is missing, always.
 */
#include "bug.h"

static void *serve(void *argument)
{
    int fd = *(int *)argument;
    char request[64];

    while (read(fd, request, sizeof(request)) > 0)
        ;
    write_all(fd, "answer", 6); /* EPIPE when the relay has left */
    close(fd);
    return NULL;
}

/* Moves what there is. Returns false at the end. */
static bool move(int from, int to)
{
    char data[64];
    ssize_t count = read(from, data, sizeof(data));

    return count > 0 && write_all(to, data, (size_t)count);
}

static void *relay(void *argument)
{
    const int *sides = argument; /* the client's, the server's */
    struct pollfd ready[2] = { { sides[0], POLLIN, 0 }, { sides[1], POLLIN, 0 } };

    while (ready[0].fd >= 0 || ready[1].fd >= 0) {
        MUST(poll(ready, 2, -1) > 0);
        for (int i = 0; i < 2; i++) {
            if (ready[i].fd < 0 || ready[i].revents == 0 || move(sides[i], sides[1 - i]))
                continue;
            ready[i].fd = -1;
            if (BUG)
                ready[1 - i].fd = -1;
            else
                shutdown(sides[1 - i], SHUT_WR);
        }
    }
    close(sides[0]);
    close(sides[1]);
    return NULL;
}

int main(void)
{
    int client[2];
    int server[2];
    int sides[2];
    pthread_t threads[2];
    char answer[16];
    size_t size;

    signal(SIGPIPE, SIG_IGN);
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, client) == 0);
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, server) == 0);
    sides[0] = client[1];
    sides[1] = server[0];
    MUST(pthread_create(&threads[0], NULL, serve, &server[1]) == 0);
    MUST(pthread_create(&threads[1], NULL, relay, sides) == 0);
    MUST(write_all(client[0], "request", 7));
    MUST(shutdown(client[0], SHUT_WR) == 0);
    size = read_all(client[0], answer, sizeof(answer));
    for (int i = 0; i < 2; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    if (size != 6)
        bug_seen("%zu of 6 bytes of the answer came", size);
    return 0;
}
