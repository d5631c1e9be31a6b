/*
 * make_wait.c - poll and epoll
 */
#include <string.h>
#include <sys/epoll.h>

#include "vsock/run.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* 0, for ever, or 20 ms, which pass when the sequence says so. */
static int choose_timeout(struct builder *b)
{
    if (build_below(b, 256) >= b->blocking)
        return 0;
    return build_below(b, 4) == 0 ? 20 : -1;
}

bool make_poll(struct run *run, struct player *player)
{
    static const short events[] = { POLLIN,     POLLOUT,   POLLIN | POLLOUT,   POLLIN,
                                    POLLRDHUP,  0,         POLLIN | POLLRDHUP, POLLOUT,
                                    POLLRDNORM, POLLWRNORM };
    struct builder *b = &run->builder;
    uint32_t count = 1 + build_below(b, RUN_FDS - 1);
    struct pollfd *fds = build_struct(b, RUN_FDS * sizeof(*fds));

    BUILD_BEGIN(b, poll);
    run->move.op = OP_POLL;
    run->move.fds = fds;
    run->move.fd_count = count;
    build_say(b, "[");
    for (uint32_t i = 0; i < count; i++) {
        fds[i].fd = make_number(run, player, END_ALL);
        fds[i].events = events[build_below(b, COUNT(events))];
        build_say(b, "%s{fd=%d, events=%d}", i ? ", " : "", fds[i].fd, fds[i].events);
    }
    memcpy(run->move.asked, fds, sizeof(run->move.asked));
    build_say(b, "]");
    build_pointer(b, fds);
    build_argument(b, count);
    build_argument(b, choose_timeout(b));
    return true;
}

bool make_epoll_create(struct run *run, struct player *player)
{
    struct builder *b = &run->builder;

    if (run->ends.count + 2 > ENDS_MAX || run->processes[player->process].numbers[40] >= 0)
        return false;
    BUILD_BEGIN(b, epoll_create1);
    run->move.op = OP_EPOLL;
    build_argument(b, 0);
    return true;
}

bool make_epoll_ctl(struct run *run, struct player *player)
{
    static const char *const names[] = { "EPOLL_CTL_ADD", "EPOLL_CTL_DEL", "EPOLL_CTL_MOD" };
    static const uint32_t events[] = { EPOLLIN, EPOLLIN | EPOLLOUT, EPOLLIN, EPOLLOUT,
                                       EPOLLIN | EPOLLRDHUP };
    struct builder *b = &run->builder;
    struct epoll_event *event = build_struct(b, sizeof(*event));
    uint32_t how = build_below(b, 8);
    int operation = how < 5 ? EPOLL_CTL_ADD : how < 7 ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
    int set = make_number(run, player, END_EPOLL);
    int number = make_number(run, player, build_below(b, 8) ? END_CONNECTED : END_SOCKETS);

    BUILD_BEGIN(b, epoll_ctl);
    run->move.op = OP_WATCH;
    run->move.number = set;
    run->move.end = ends_at(&run->processes[player->process], set);
    event->events = events[build_below(b, COUNT(events))];
    how = build_below(b, 8);
    if (how < 3)
        event->events |= EPOLLET;
    else if (how == 3)
        event->events |= EPOLLONESHOT;
    event->data.u64 = (uint64_t)b->action * 1000 + (unsigned)number;
    run->move.value = event->data.u64;
    run->move.flags = event->events;
    run->move.target = operation;
    run->move.watched = ends_at(&run->processes[player->process], number);
    run->move.edge = how <= 3;
    build_argument(b, set);
    build_named(b, operation, names[operation - 1]);
    build_argument(b, number);
    build_say(b, ", {events=0x%x, data=%llu}", event->events, (unsigned long long)event->data.u64);
    build_pointer(b, event);
    return true;
}

bool make_epoll_wait(struct run *run, struct player *player)
{
    struct builder *b = &run->builder;
    int set = make_number(run, player, END_EPOLL);

    BUILD_BEGIN(b, epoll_wait);
    run->move.op = OP_WAIT;
    run->move.number = set;
    run->move.end = ends_at(&run->processes[player->process], set);
    build_argument(b, set);
    build_say(b, ", _");
    build_pointer(b, build_struct(b, RUN_EVENTS * sizeof(struct epoll_event)));
    build_argument(b, build_odd(b) ? 0 : 1 + (int)build_below(b, 4));
    build_argument(b, choose_timeout(b));
    return true;
}
