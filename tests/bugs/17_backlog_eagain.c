/*
 * 17 - connect of AF_UNIX answers EAGAIN when the backlog is full
 *
 * A client that doesn't block knows EINPROGRESS, from TCP, but not that AF_UNIX says EAGAIN and has
 * begun nothing. Fixed: try again once the server has accepted somebody.
 * Shows as: an error, when the backlog is full.
 */
#include "bug.h"

#define CLIENTS 5

static void *accept_all(void *argument)
{
    int listener = *(int *)argument;

    for (int i = 0; i < CLIENTS; i++) {
        int fd = accept(listener, NULL, NULL);

        MUST(fd >= 0);
        MUST(write_all(fd, "w", 1));
        close(fd);
    }
    return NULL;
}

static int connect_one(const struct sockaddr_un *address, socklen_t size)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    MUST(fd >= 0);
    while (connect(fd, (const struct sockaddr *)address, size) != 0) {
        if (errno != EAGAIN || BUG)
            bug_seen("connect: %m");
        work_us(200);
    }
    return fd;
}

int main(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    socklen_t size = sizeof(address);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    pthread_t server;
    int clients[CLIENTS];

    MUST(listener >= 0);
    MUST(bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0); /* any name */
    MUST(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    MUST(listen(listener, CLIENTS) == 0);
    MUST(pthread_create(&server, NULL, accept_all, &listener) == 0);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = connect_one(&address, size);
    for (int i = 0; i < CLIENTS; i++) {
        struct pollfd ready = { clients[i], POLLIN, 0 };
        char byte;

        MUST(poll(&ready, 1, -1) == 1);
        MUST(read(clients[i], &byte, 1) == 1);
    }
    MUST(pthread_join(server, NULL) == 0);
    return 0;
}
