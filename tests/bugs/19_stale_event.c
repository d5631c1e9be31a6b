/*
 * 19 - an event is delivered for a number that was closed and given out again
 *
 * The loop takes several events at once. A "close" command on the control connection closes the
 * worker's connection and opens a new one, which gets the same number: the worker's event, already
 * taken, is then handled on the new connection, where nothing is to be read yet. Fixed: events of a
 * connection that was closed meanwhile are dropped (it has a serial number).
 * Shows as: the wrong descriptor is used, by the order of things.
 */
#include "bug.h"

#include <sys/epoll.h>

static uint32_t serial; /* of the connection that is worker's now */
static int worker;      /* our end of it */
static int set;

static void watch(int fd, uint32_t number)
{
    struct epoll_event event = { .events = EPOLLIN,
                                 .data.u64 = (uint64_t)number << 32 | (uint32_t)fd };

    MUST(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0);
}

/* A new connection to the worker. Returns the worker's end. */
static int connect_worker(void)
{
    int pair[2];

    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    worker = pair[0];
    watch(worker, ++serial);
    return pair[1];
}

struct script {
    int control;
    int worker;
};

/* Says "close" to the control connection; its worker has a line at about the same time. */
static void *act(void *argument)
{
    const struct script *script = argument;

    work_us(500);
    MUST(write_all(script->control, "close", 5));
    work_us(1500);
    write_all(script->worker, "late line", 9); /* EPIPE when it is closed already */
    return NULL;
}

static void handle(uint64_t data, int control, bool *ret_closed)
{
    int fd = (int)(uint32_t)data;
    char text[16];

    if (!BUG && data >> 32 != 0 && data >> 32 != serial)
        return;
    if (fd != control) {
        if (*ret_closed && recv(fd, text, sizeof(text), MSG_DONTWAIT) < 0)
            bug_seen("an event for the old connection was handled on the new one");
        return;
    }
    MUST(read_all(control, text, 5) == 5);
    close(worker);
    connect_worker();
    *ret_closed = true;
}

int main(void)
{
    struct epoll_event events[8];
    struct script script;
    pthread_t actor;
    bool closed = false;
    int control[2];

    signal(SIGPIPE, SIG_IGN);
    set = epoll_create1(0);
    MUST(set >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, control) == 0);
    script.worker = connect_worker();
    script.control = control[1];
    watch(control[0], 0);
    MUST(pthread_create(&actor, NULL, act, &script) == 0);
    while (!closed) {
        int count = epoll_wait(set, events, 8, -1);

        for (int i = 0; i < count; i++)
            handle(events[i].data.u64, control[0], &closed);
    }
    MUST(pthread_join(actor, NULL) == 0);
    return 0;
}
