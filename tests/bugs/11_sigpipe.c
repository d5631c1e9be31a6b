/*
 * 11 - death by SIGPIPE
 *
 * A client says good-bye to a server that leaves by itself a little later. When the server was
 * quicker the client dies. Fixed: MSG_NOSIGNAL, and EPIPE is no error here.
 * Shows as: death by a signal, by the order of things.
 */
#include "bug.h"

static void *serve(void *argument)
{
    int fd = *(int *)argument;
    char byte;

    MUST(read(fd, &byte, 1) == 1);
    MUST(write_all(fd, "y", 1));
    work_us(1500); /* puts its files away */
    close(fd);
    return NULL;
}

int main(void)
{
    pthread_t server;
    int pair[2];
    char answer;

    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    MUST(pthread_create(&server, NULL, serve, &pair[1]) == 0);
    MUST(write_all(pair[0], "x", 1));
    MUST(read(pair[0], &answer, 1) == 1);
    if (send(pair[0], "bye", 3, BUG ? 0 : MSG_NOSIGNAL) < 0)
        MUST(errno == EPIPE);
    MUST(pthread_join(server, NULL) == 0);
    return 0;
}
