/*
 * Proves: an instance can't come to contain itself, over any number of links, and chains end at
 * five instances: ELOOP; what was refused changes nothing, and a chain that was cut can be closed
 * again. The innermost entry is a pipe or a socketpair's end.
 *
 * Rows: 6.3 "nesting cycle, or depth beyond 5 levels (chain of 4 links ok, 5th ADD fails)"
 */
#include <sys/epoll.h>

#include "guest.h"

enum { LINKS = 6, DEEPEST = 4 }; /* fs/eventpoll.c: EP_MAX_NESTS */

static int add(int epoll, int fd)
{
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static uint32_t next_event(int epoll)
{
    struct epoll_event event;
    return CHECK_OK(epoll_wait(epoll, &event, 1, 0)) == 1 ? event.events : 0;
}

static void open_instances(int *instances)
{
    for (int i = 0; i <= LINKS; i++) {
        instances[i] = (int)CHECK_OK(epoll_create1(0));
    }
}

static void close_instances(const int *instances)
{
    for (int i = 0; i <= LINKS; i++) {
        CHECK_OK(close(instances[i]));
    }
}

static void cycles(void)
{
    int instances[LINKS + 1];
    open_instances(instances);
    CHECK_EQ(0, add(instances[0], instances[1]));
    CHECK_ERR(ELOOP, add(instances[1], instances[0]));
    CHECK_EQ(0, add(instances[1], instances[2]));
    CHECK_ERR(ELOOP, add(instances[2], instances[0]));
    CHECK_ERR(ELOOP, add(instances[2], instances[1]));
    CHECK_ERR(ELOOP, add(instances[1], instances[0])); /* before EEXIST, there's no entry */
    CHECK_EQ(0, add(instances[0], instances[2]));      /* two ways to one are no cycle */
    CHECK_ERR(EEXIST, add(instances[0], instances[1]));
    CHECK_EQ(0, epoll_ctl(instances[0], EPOLL_CTL_DEL, instances[1], NULL));
    CHECK_EQ(0, epoll_ctl(instances[0], EPOLL_CTL_DEL, instances[2], NULL));
    CHECK_EQ(0, add(instances[2], instances[0])); /* the chain was cut: the other way is free */
    CHECK_ERR(ELOOP, add(instances[0], instances[1]));
    close_instances(instances);
}

/* From the outermost inwards: each ADD puts an empty instance at the deep end. */
static void too_deep_downwards(const int fds[2])
{
    int instances[LINKS + 1];
    open_instances(instances);
    for (int i = 0; i < DEEPEST; i++) {
        CHECK_EQ(0, add(instances[i], instances[i + 1]));
    }
    CHECK_EQ(0, add(instances[DEEPEST], fds[0]));
    CHECK_EQ(EPOLLIN, next_event(instances[0])); /* through all five */
    close_instances(instances);
}

/* From the innermost outwards: each ADD puts a new outermost instance around the chain. */
static void too_deep_upwards(const int fds[2])
{
    int instances[LINKS + 1];
    open_instances(instances);
    CHECK_EQ(0, add(instances[0], fds[0]));
    for (int i = 0; i < DEEPEST; i++) {
        CHECK_EQ(0, add(instances[i + 1], instances[i]));
    }
    CHECK_ERR(ELOOP, add(instances[DEEPEST + 1], instances[DEEPEST]));
    CHECK_EQ(0, add(instances[DEEPEST + 1], instances[DEEPEST - 1])); /* one link less is fine */
    CHECK_EQ(EPOLLIN, next_event(instances[DEEPEST]));
    CHECK_EQ(EPOLLIN, next_event(instances[DEEPEST + 1]));
    char byte;
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_EQ(0, next_event(instances[DEEPEST]));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(EPOLLIN, next_event(instances[DEEPEST]));
    close_instances(instances);
}

static void *sleep_outermost(void *argument)
{
    struct epoll_event event;
    const int *epoll = argument;
    CHECK_EQ(1, epoll_wait(*epoll, &event, 1, -1));
    CHECK_EQ(EPOLLIN, event.events);
    return NULL;
}

/* A sleeper in the outermost of five hears of the innermost end. */
static void sleeper_through_five(const int fds[2])
{
    int instances[LINKS + 1];
    char byte;
    struct guest_thread thread;
    open_instances(instances);
    CHECK_EQ(1, read(fds[0], &byte, 1));
    CHECK_EQ(0, add(instances[0], fds[0]));
    for (int i = 0; i < DEEPEST; i++) {
        CHECK_EQ(0, add(instances[i + 1], instances[i]));
    }
    guest_thread_start(&thread, sleep_outermost, &instances[DEEPEST]);
    guest_thread_blocked(&thread);
    CHECK_EQ(1, write(fds[1], "x", 1));
    guest_thread_join(&thread);
    close_instances(instances);
}

int main(void)
{
    guest_start();
    cycles();
    const int types[] = { 0, SOCK_STREAM, SOCK_SEQPACKET };
    for (int i = 0; i < 3; i++) {
        int fds[2];
        if (types[i] == 0) {
            guest_pipe(fds);
        } else {
            guest_pair(types[i], fds);
        }
        CHECK_EQ(1, write(fds[1], "x", 1));
        too_deep_downwards(fds);
        too_deep_upwards(fds);
        sleeper_through_five(fds);
        guest_close_both(fds);
    }
    return guest_end();
}
